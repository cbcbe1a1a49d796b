package inspect_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect"
	"github.com/medanchor/medanchor/test/synth"
)

func pool(t testing.TB, o inspect.Options) *inspect.Pool {
	t.Helper()
	p, err := inspect.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func inspectBytes(t testing.TB, p *inspect.Pool, data []byte) document.Metadata {
	t.Helper()
	m, err := p.Inspect(t.Context(), bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// fixtures are the files of a small synthetic hospital.
func fixtures(t testing.TB) (string, synth.Manifest) {
	t.Helper()
	dir := t.TempDir()
	m, err := synth.Generate(synth.Small(dir, 1))
	if err != nil {
		t.Fatal(err)
	}
	return dir, m
}

// TestInspect reads the synthetic files through real children, several at a time.
func TestInspect(t *testing.T) {
	dir, manifest := fixtures(t)
	p := pool(t, inspect.Options{Children: 3, Program: inspector(t)})
	var wg sync.WaitGroup
	for _, f := range manifest.Files {
		wg.Go(func() {
			data, err := os.ReadFile(filepath.Join(dir, f.Path))
			if err != nil {
				t.Error(err)
				return
			}
			m, err := p.Inspect(t.Context(), bytes.NewReader(data), f.Size)
			if err != nil {
				t.Error(err)
				return
			}
			want := f.Reason
			if want == document.ReasonPlaceholder || want == document.ReasonBadIdentifier {
				want = "" // the pipeline judges identifiers, by the hospital's rules
			}
			if m.Format != f.Format || m.Problem != want || m.DatasetOffset != f.Offset {
				t.Errorf("%s: %q, problem %q, offset %d; want %q, %q, %d",
					f.Path, m.Format, m.Problem, m.DatasetOffset, f.Format, want, f.Offset)
			}
			if f.Format == document.FormatDICOM && m.Patient.Identifier != f.NHS {
				t.Errorf("%s: patient %q, want %q", f.Path, m.Patient.Identifier, f.NHS)
			}
		})
	}
	wg.Wait()
}

func TestHostileChildren(t *testing.T) {
	pdf := []byte("%PDF-1.7\n")
	for name, detail := range map[string]string{
		"dies":   "inspector died",
		"hangs":  "inspector ran out of time",
		"liar":   "inspector broke the protocol",
		"greedy": "inspector broke the protocol",
	} {
		t.Run(name, func(t *testing.T) {
			o := inspect.Options{Children: 1, Program: program(t, t.TempDir(), name)}
			if name == "hangs" {
				o.Timeout = 2 * time.Second // the others are not to run out of it, on a machine that is busy
			}
			p := pool(t, o)
			for range 2 { // the pool goes on
				m := inspectBytes(t, p, pdf)
				if m.Problem != document.ReasonInspectFailed || m.Format != document.FormatPDF ||
					!strings.Contains(m.Detail, detail) {
					t.Errorf("got %+v, want %q", m, detail)
				}
			}
		})
	}
}

func TestSecondAttemptIsCareful(t *testing.T) {
	p := pool(t, inspect.Options{Children: 1, Program: program(t, t.TempDir(), "careful")})
	if m := inspectBytes(t, p, []byte("anything")); m.Parser != "header" || m.Problem != "" {
		t.Errorf("got %+v, want the careful reader's answer", m)
	}
}

// TestTimeOfAFile: both attempts together take no longer than a file may, and the second has its share.
func TestTimeOfAFile(t *testing.T) {
	const limit = 2 * time.Second
	for name, want := range map[string]document.Reason{"hangs": document.ReasonInspectFailed, "hangs-first": ""} {
		p := pool(t, inspect.Options{Children: 1, Timeout: limit, Program: program(t, t.TempDir(), name)})
		began := time.Now()
		m := inspectBytes(t, p, []byte("anything"))
		if took := time.Since(began); m.Problem != want || took > limit+limit/2 || took < limit/2 {
			t.Errorf("%s: %q (%s) after %v, want %q", name, m.Problem, m.Detail, took, want)
		}
	}
}

// TestAPDFThatTakesTooLongIsNotTriedAgain: it would take as long again.
func TestAPDFThatTakesTooLongIsNotTriedAgain(t *testing.T) {
	const limit = 4 * time.Second
	p := pool(t, inspect.Options{Children: 1, Timeout: limit, Program: program(t, t.TempDir(), "hangs")})
	began := time.Now()
	m := inspectBytes(t, p, []byte("%PDF-1.7\n"))
	if took := time.Since(began); m.Problem != document.ReasonInspectFailed || took > limit*3/4 || took < limit/2 {
		t.Errorf("%q (%s) after %v", m.Problem, m.Detail, took)
	}
}

// TestSlowFilesLeaveAChildForDICOM: however many PDFs hang, a DICOM file has its answer at once.
func TestSlowFilesLeaveAChildForDICOM(t *testing.T) {
	const limit = time.Minute
	p := pool(t, inspect.Options{Children: 2, Timeout: limit, Program: program(t, t.TempDir(), "hangs-on-PDF")})
	ctx, cancel := context.WithCancel(t.Context())
	var pdfs sync.WaitGroup
	for range 4 {
		read := make(chan struct{})
		pdfs.Go(func() {
			src := &signalling{data: []byte("%PDF-1.7\n"), read: func() { close(read) }}
			if _, err := p.Inspect(ctx, src, int64(len(src.data))); !errors.Is(err, context.Canceled) {
				t.Errorf("a PDF: %v", err)
			}
		})
		<-read
	}
	began := time.Now()
	m := inspectBytes(t, p, append(make([]byte, 128), "DICM\x02\x00"...))
	if took := time.Since(began); took > limit/3 || m.Format != document.FormatDICOM || m.Problem != "" {
		t.Errorf("got %+v after %v", m, took)
	}
	text := inspectBytes(t, p, []byte("words")) // of which the head is all that is read
	if took := time.Since(began); took > limit/3 {
		t.Errorf("got %+v after %v", text, took)
	}
	cancel()
	pdfs.Wait()
}

// slow is a source of which each read takes a while.
type slow struct {
	data  []byte
	delay time.Duration
}

func (s slow) ReadAt(p []byte, off int64) (int, error) {
	<-time.After(s.delay)
	return bytes.NewReader(s.data).ReadAt(p, off)
}

// TestASlowSourceIsNotTheFilesFault: the time that it takes is not the child's, and has a bound of its own.
func TestASlowSourceIsNotTheFilesFault(t *testing.T) {
	pdf := []byte("%PDF-1.7\n")
	asks := program(t, t.TempDir(), "asks")
	p := pool(t, inspect.Options{Children: 1, Timeout: time.Second, Program: asks})
	m, err := p.Inspect(t.Context(), slow{pdf, 300 * time.Millisecond}, int64(len(pdf)))
	if err != nil || m.Problem != "" || m.Format != document.FormatPDF {
		t.Errorf("got %+v, %v", m, err)
	}
	p = pool(t, inspect.Options{Children: 1, SourceTimeout: 500 * time.Millisecond, Program: asks})
	m, err = p.Inspect(t.Context(), slow{pdf, 200 * time.Millisecond}, int64(len(pdf)))
	if err == nil || !strings.Contains(err.Error(), "the source is slow") {
		t.Errorf("slower than a source may be: %+v, %v", m, err)
	}
	if m := inspectBytes(t, p, pdf); m.Problem != "" {
		t.Errorf("afterwards: %+v", m)
	}
}

// TestCancelWhileTheSourceIsRead: that a slow source gives a file more time does not undo the end of its context.
func TestCancelWhileTheSourceIsRead(t *testing.T) {
	p := pool(t, inspect.Options{Children: 1, Timeout: time.Minute, Program: program(t, t.TempDir(), "asks-and-hangs")})
	ctx, cancel := context.WithCancel(t.Context())
	began := time.Now()
	_, err := p.Inspect(ctx, &cancelling{cancel: cancel}, 9)
	if took := time.Since(began); !errors.Is(err, context.Canceled) || took > 20*time.Second {
		t.Errorf("got %v after %v, want context canceled at once", err, took)
	}
}

// cancelling calls cancel when it is read from once more.
type cancelling struct {
	reads  int
	cancel func()
}

func (c *cancelling) ReadAt(p []byte, off int64) (int, error) {
	if c.reads++; c.reads == 2 {
		c.cancel()
		<-time.After(100 * time.Millisecond) // what the cancellation does to the pipes is done, and could be undone
	}
	return strings.NewReader("%PDF-1.7\n").ReadAt(p, off)
}

// TestChildThatDoesNotStart: that no child is ready in time is not the file's fault.
func TestChildThatDoesNotStart(t *testing.T) {
	p := pool(t, inspect.Options{Children: 1, Timeout: time.Second, Program: program(t, t.TempDir(), "slow-to-start")})
	if m := inspectBytes(t, p, []byte("text")); m.Problem != "" {
		t.Fatalf("got %+v", m)
	}
	began := time.Now()
	m, err := p.Inspect(t.Context(), strings.NewReader("text"), 4)
	if err == nil || !strings.Contains(err.Error(), "overloaded") || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %+v, %v", m, err)
	}
	if took := time.Since(began); took > 10*time.Second { // the default is twice as much
		t.Errorf("it took %v", took)
	}
}

func TestWornChildIsReplaced(t *testing.T) {
	p := pool(t, inspect.Options{Children: 1, Program: program(t, t.TempDir(), "worn")})
	a, b := inspectBytes(t, p, []byte("a")), inspectBytes(t, p, []byte("b"))
	if a.Pages == b.Pages || a.Problem != "" || b.Problem != "" {
		t.Errorf("process %d served after it had asked for a successor (%d)", a.Pages, b.Pages)
	}
}

func TestProgramThatCannotRun(t *testing.T) {
	for name, want := range map[string]string{
		"not-there":     "check that it is installed",
		"no-inspector":  "check that the path names medanchor-inspect",
		"other-version": "install both from one package",
		"no-sandbox":    "needs a Linux kernel with seccomp",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			if name != "not-there" {
				path = program(t, t.TempDir(), name)
			}
			p, err := inspect.New(t.Context(), inspect.Options{Program: path})
			if err == nil {
				_ = p.Close()
				t.Fatal("New succeeded")
			}
			if !strings.Contains(err.Error(), want) {
				t.Errorf("got %q, want it to say %q", err, want)
			}
		})
	}
}

type failing struct{ bytes.Reader }

var errDisk = errors.New("disk failure")

func (*failing) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

func TestErrorsThatAreNotTheFiles(t *testing.T) {
	p := pool(t, inspect.Options{Children: 1, Program: inspector(t)})
	if _, err := p.Inspect(t.Context(), &failing{}, 10); !errors.Is(err, errDisk) {
		t.Errorf("unreadable source: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Inspect(ctx, strings.NewReader("text"), 4); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if m := inspectBytes(t, p, []byte("text")); m.Format != document.FormatText {
		t.Errorf("afterwards: %+v", m)
	}
	_ = p.Close()
	if _, err := p.Inspect(t.Context(), strings.NewReader("text"), 4); !errors.Is(err, inspect.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestCancelWhileReading(t *testing.T) {
	p := pool(t, inspect.Options{Children: 1, Program: program(t, t.TempDir(), "hangs")})
	ctx, cancel := context.WithCancel(t.Context())
	src := &signalling{data: []byte("text"), read: cancel}
	if _, err := p.Inspect(ctx, src, 4); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context canceled", err)
	}
}

// signalling calls read when it is first read from.
type signalling struct {
	data []byte
	read func()
	once sync.Once
}

func (s *signalling) ReadAt(p []byte, off int64) (int, error) {
	s.once.Do(s.read)
	return bytes.NewReader(s.data).ReadAt(p, off)
}

// TestChildIsConfined: the program that is installed enters the sandbox before it reads a file.
func TestChildIsConfined(t *testing.T) {
	p := pool(t, inspect.Options{Children: 1, Program: inspector(t)})
	if m := inspectBytes(t, p, []byte("text")); m.Problem != "" {
		t.Fatalf("got %+v", m)
	}
	children := childrenOf(t, os.Getpid())
	if len(children) == 0 {
		t.Fatal("there is no child")
	}
	for _, pid := range children {
		for file, wants := range map[string][]string{
			"status": {"NoNewPrivs:\t1", "Seccomp:\t2"},
			"limits": {"Max data size 268435456 268435456", "Max cpu time 30 30", "Max file size 0 0", "Max core file size 0 0"},
		} {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
			if err != nil {
				t.Fatal(err)
			}
			said := string(b)
			if file == "limits" {
				said = blanks.ReplaceAllString(said, " ")
				// Without it one mapping of any size passes RLIMIT_DATA (see package sandbox).
				if !strings.Contains(said, "Max address space ") || strings.Contains(said, "Max address space unlimited") {
					t.Errorf("the child's addresses are not limited:\n%s", b)
				}
			}
			for _, want := range wants {
				if !strings.Contains(said, want) {
					t.Errorf("%s of the child does not say %q:\n%s", file, want, b)
				}
			}
		}
	}
}

var blanks = regexp.MustCompile(` +`)

// TestIdleChildDies: a child that is killed while it waits is replaced without harm to the next file.
func TestIdleChildDies(t *testing.T) {
	p := pool(t, inspect.Options{Children: 1, Program: inspector(t)})
	for range 3 {
		if m := inspectBytes(t, p, []byte("text")); m.Problem != "" {
			t.Errorf("got %+v", m)
		}
		for _, pid := range childrenOf(t, os.Getpid()) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			awaitDeath(t, pid)
		}
	}
}

// TestNoChildSurvivesTheDaemon kills a process that keeps a pool, whose child notices neither signals nor the end of its
// stdin.
func TestNoChildSurvivesTheDaemon(t *testing.T) {
	dir := t.TempDir()
	program(t, dir, "deaf")
	daemon := exec.CommandContext(t.Context(), program(t, dir, "daemon"))
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("daemon said %q, %v", line, err)
	}
	left := childrenOf(t, daemon.Process.Pid)
	if len(left) == 0 {
		t.Fatal("the daemon has no child")
	}
	_ = daemon.Process.Kill()
	_ = daemon.Wait()
	for _, pid := range left {
		awaitDeath(t, pid)
	}
}

// childrenOf lists the processes whose parent is the given one.
func childrenOf(t *testing.T, parent int) []int {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, l := range lists {
		b, _ := os.ReadFile(l) // a thread may have ended since
		for f := range strings.FieldsSeq(string(b)) {
			pid, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// awaitDeath waits until a process is gone or a zombie, whose pipes are closed.
func awaitDeath(t *testing.T, pid int) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(b, []byte(") Z ")) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("process %d is still there", pid)
		case <-tick.C:
		}
	}
}

// BenchmarkInspect reads the header of a CT slice again and again, in one child for each processor.
func BenchmarkInspect(b *testing.B) {
	dir := b.TempDir()
	manifest, err := synth.Many(dir, 1, "bench", 1, 524<<10)
	if err != nil {
		b.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, manifest.Files[0].Path))
	if err != nil {
		b.Fatal(err)
	}
	p := pool(b, inspect.Options{Program: inspector(b)})
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if m := inspectBytes(b, p, data); m.Problem != "" {
				b.Error(m.Problem)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "files/s")
}
