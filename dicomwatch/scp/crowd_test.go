package scp_test

import (
	"context"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/medanchor/medanchor/dicomwatch"
	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
	"github.com/medanchor/medanchor/test/dcmtk"
)

// 64 associations at once: of dcmtk, which send all that they have; and of peers that are idle for ever, abort within an object,
// or lose their connection there. All places are taken, one more is rejected, and those that behave go through.
func TestACrowd(t *testing.T) {
	dcmtk.Need(t, "storescu", "dcmdump")
	const places, well, files = 64, 32, 3
	before := goleak.IgnoreCurrent()
	s := &spool{hold: make(chan struct{})}
	r := start(t, scp.Options{Spool: s, Limits: scp.Limits{
		Associations: places, PerSender: places, Idle: 5 * time.Second, ARTIM: 5 * time.Second,
	}})
	descriptors := openDescriptors(t)

	var sending sync.WaitGroup
	for n := range well {
		sent := imagesBy(t, uint64(100+n), files, 100<<10)
		sending.Go(func() {
			if output, err := dcmtk.StoreSCU(t.Context(), r.peer(), sent); err != nil {
				t.Error(err, output)
			}
		})
	}
	r.eventually(t, "dcmtk's are there", func(s scp.Stats) bool { return s.Associations == well })
	ill := make([]*peer, places-well)
	half := append(pdata(pdv(1, isCommand|isLast, storeRQ(1, "1.2.3").encode())), pdata(pdv(1, isDataset, make([]byte, 9000)))...)
	for n := range ill {
		ill[n] = r.dial(t)
		ill[n].open(ct())
		if n%3 > 0 {
			ill[n].send(half)
		}
	}
	if now := r.Stats().Associations; now != places {
		t.Fatalf("%d associations, want %d:\n%s", now, places, r.log)
	}
	oneMore := r.dial(t)
	oneMore.send(proper(echo()).encode())
	rejected(t, oneMore, scp.RejectedLimit)
	oneMore.Close()

	close(s.hold)
	idle := 0
	for n, p := range ill {
		switch n % 3 {
		case 0:
			idle++
		case 1:
			p.send(wire.AppendPDU(nil, wire.TypeAbort, make([]byte, 4)))
		case 2:
			p.Close()
		}
	}
	sending.Wait()
	r.eventually(t, "all end", func(s scp.Stats) bool { return s.Associations == 0 })
	for _, p := range ill {
		p.Close()
	}
	stats := r.Stats()
	if stats.Stored != well*files || stats.Ended[scp.EndReleased] != well || stats.Ended[scp.EndIdle] != uint64(idle) {
		t.Errorf("%+v", stats)
	}
	if got := len(s.objects()); got != well*files {
		t.Errorf("%d objects, want %d", got, well*files)
	}
	if now := waitForDescriptors(t, descriptors); now > descriptors {
		t.Errorf("%d file descriptors are open, and were %d", now, descriptors)
	}
	r.stop()
	goleak.VerifyNone(t, before)
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// waitForDescriptors waits until no more than want are open, and gives how many are.
func waitForDescriptors(t *testing.T, want int) (open int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for open = openDescriptors(t); open > want; open = openDescriptors(t) {
		select {
		case <-ctx.Done():
			return open
		case <-poll.C:
		}
	}
	return open
}

// nowhere is a spool that keeps nothing.
type nowhere struct{}

func (nowhere) Create(dicomwatch.Object) (dicomwatch.Incoming, error) { return nowhere{}, nil }
func (nowhere) Write(b []byte) (int, error)                           { return len(b), nil }
func (nowhere) Commit(context.Context) error                          { return nil }
func (nowhere) Discard() error                                        { return nil }

// An object of any size takes the memory of a PDU.
func TestMemoryDoesNotGrowWithTheObject(t *testing.T) {
	r := start(t, scp.Options{Spool: nowhere{}})
	p := r.dial(t)
	p.open(ct())
	fragment := pdata(pdv(1, isDataset, make([]byte, 128<<10-6)))
	p.send(pdata(pdv(1, isCommand|isLast, storeRQ(1, "1.2.3").encode())))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 2048 { // 256 MiB
		p.send(fragment)
	}
	runtime.ReadMemStats(&after)
	p.send(pdata(pdv(1, isLast, nil)))
	p.response(storeRQ(1, "1.2.3"), scp.StatusSuccess)
	p.release()
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 2<<20 {
		t.Errorf("%d bytes were allocated for an object of 256 MiB", grown)
	}
}

// BenchmarkReceive is what a sender over loopback can give to a spool that costs nothing.
func BenchmarkReceive(b *testing.B) {
	r := &receiver{log: &lockedBuffer{}}
	server, err := scp.New(scp.Options{AETitle: ours, Senders: local(), Spool: nowhere{}, Log: discard()})
	if err != nil {
		b.Fatal(err)
	}
	r.Server = server
	r.serve(b, nil)
	p := r.dial(b)
	p.open(ct())
	data := ctDataset(ctStorage, "1.2.3", 524<<10)
	object := pdata(pdv(1, isCommand|isLast, storeRQ(1, "1.2.3").encode()))
	const part = 128<<10 - 6
	for ; len(data) > part; data = data[part:] {
		object = append(object, pdata(pdv(1, isDataset, data[:part]))...)
	}
	object = append(object, pdata(pdv(1, isLast, data))...)
	b.SetBytes(int64(len(object)))
	b.ReportAllocs()
	for b.Loop() {
		p.send(object)
		p.response(storeRQ(1, "1.2.3"), scp.StatusSuccess)
	}
	p.release()
}
