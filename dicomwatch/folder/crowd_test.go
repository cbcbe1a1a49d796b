package folder_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/dir/dirtest"
	"github.com/medanchor/medanchor/dicomwatch/folder"
	"github.com/medanchor/medanchor/document"
)

// crowdTime is more than a crowd takes on a machine that is busy.
const crowdTime = 2 * time.Minute

// crowded fills a folder with files, half of them in one directory.
func crowded(t *testing.T, at string, crowd int) {
	t.Helper()
	if testing.Short() {
		t.Skip("a hundred thousand files")
	}
	for i := range crowd / 500 {
		if err := os.MkdirAll(filepath.Join(at, fmt.Sprintf("sub%03d", i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i := range crowd {
		name := fmt.Sprintf("study-%06d.dcm", i)
		if i%2 == 0 {
			name = filepath.Join(fmt.Sprintf("sub%03d", i%(crowd/500)), name)
		}
		if err := os.WriteFile(filepath.Join(at, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// greedy takes all that is offered, and acknowledges it at once, as many at a time as the pipeline does.
type greedy struct {
	crowd int
	all   chan struct{} // closed when a crowd was taken
	more  chan document.Delivery

	mu    sync.Mutex
	group []document.Claim
	taken int
	first time.Time
}

func (g *greedy) Submit(ctx context.Context, d document.Delivery) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.taken++; g.taken == 1 {
		g.first = time.Now()
	}
	g.group = append(g.group, d.Claim)
	if len(g.group) == 64 || g.taken >= g.crowd {
		if _, err := d.Door.Acknowledge(ctx, g.group); err != nil {
			return err
		}
		g.group = nil
	}
	if g.taken == g.crowd {
		close(g.all)
	}
	if g.taken > g.crowd {
		select {
		case g.more <- d:
		default:
		}
	}
	return nil
}

// startGreedy runs a folder, and waits until a crowd was taken.
func startGreedy(t *testing.T, o folder.Options, crowd int) (f *folder.Folder, g *greedy, began time.Time) {
	t.Helper()
	g = &greedy{crowd: crowd, all: make(chan struct{}), more: make(chan document.Delivery, 2)}
	f, err := folder.New(o, g)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	began = time.Now()
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = f.Close()
	})
	select {
	case <-g.all:
	case <-time.After(crowdTime):
		t.Fatal("not all was offered in two minutes")
	}
	return f, g, began
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A hundred thousand files wait at the start. The first is offered while the others are looked at, a new one does not have them
// all looked at again, and a rescan neither offers one again nor makes the table grow.
func TestAHundredThousandFilesWait(t *testing.T) {
	var disk dirtest.Disk
	o := options(t)
	o.Disposal, o.Quiet, o.Rescan, o.OpenDir = folder.Keep, 100*time.Millisecond, time.Hour, disk.Open
	const crowd = 100_000
	crowded(t, o.Path, crowd)
	before := heap()
	f, g, began := startGreedy(t, o, crowd)
	first, all := g.first.Sub(began), time.Since(began)
	if first > 5*time.Second || all > time.Minute {
		t.Errorf("the first was offered after %s, all after %s", first, all)
	}
	within(t, crowdTime, "the first scan ends", func() bool { return f.Scans() == 1 })
	size := heap() - before
	if size > 64<<20 {
		t.Errorf("%d files take %d bytes of memory", crowd, size)
	}
	lists := disk.Counts()[dirtest.List]

	began = time.Now()
	write(t, filepath.Join(o.Path, "late.dcm"), "x")
	if d := <-g.more; filepath.Base(d.Claim.Path) != "late.dcm" {
		t.Errorf("offered again: %s", d.Claim.Path)
	}
	late := time.Since(began)
	if late > 5*time.Second || disk.Counts()[dirtest.List] != lists {
		t.Errorf("one more was offered after %s, and %d lists", late, disk.Counts()[dirtest.List]-lists)
	}

	for round := range uint32(3) {
		f.Overflow() // scans all again
		within(t, crowdTime, "a rescan", func() bool { return f.Scans() == round+2 })
	}
	within(t, crowdTime, "a rescan ends", func() bool { return disk.Counts()[dirtest.List] == 4*lists })
	if now := heap() - before; now > size+4<<20 {
		t.Errorf("memory grew from %d to %d bytes", size, now)
	}
	if len(g.more) != 0 {
		t.Errorf("%d were offered again", len(g.more))
	}
	t.Logf("first after %s, all after %s, one more after %s; %d bytes a file", first, all, late, size/crowd)
	runtime.KeepAlive(f)
}

func TestTenThousandFilesAreDisposedOf(t *testing.T) {
	o := options(t)
	o.Quiet, o.Rescan = 100*time.Millisecond, time.Second
	crowded(t, o.Path, 10_000)
	f, g, began := startGreedy(t, o, 10_000)
	t.Logf("all after %s", time.Since(began))
	eventually(t, "all are forgotten", func() bool { return f.Waiting() == 0 })
	if len(g.more) != 0 {
		t.Errorf("%d were offered again", len(g.more))
	}
}

// After a restart what is kept is offered again, acknowledged, and not kept in mind twice.
func TestWhatIsKeptIsOfferedOnceAStart(t *testing.T) {
	o := options(t)
	o.Disposal = folder.Keep
	for i := range 20 {
		write(t, filepath.Join(o.Path, fmt.Sprintf("%02d.dcm", i)), "END")
	}
	p := newPipeline(o.Path)
	for start := range 3 {
		f, stop := p.through(t, o)
		eventually(t, "all are offered", func() bool { return p.offered() == 20*(start+1) && f.Waiting() == 0 })
		scans := f.Scans()
		eventually(t, "some more scans", func() bool { return f.Scans() > scans+3 })
		stop()
	}
	if len(p.items()) != 20 || p.offered() != 60 || len(p.known()) != 20 {
		t.Errorf("%d items, %d offers, %d claims", len(p.items()), p.offered(), len(p.known()))
	}
}
