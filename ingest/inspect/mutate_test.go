package inspect_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect"
	"github.com/medanchor/medanchor/test/mutate"
)

// The limits that hostile files are held to.
const (
	memoryOfAChild = 256 << 20
	timeOfAFile    = 20 * time.Second
)

// TestMutations gives the pool 2,000 broken files: each has its answer in its time, no child becomes large, and good files are
// read as before. MEDANCHOR_MUTATIONS is another number of files.
func TestMutations(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 200
	}
	if s := os.Getenv("MEDANCHOR_MUTATIONS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	dir, manifest := fixtures(t)
	p := pool(t, inspect.Options{Children: 2, Timeout: timeOfAFile, Program: inspector(t)})
	peak := watchChildren(t)

	files := make(chan mutate.File)
	go func() {
		defer close(files)
		for f := range mutate.Files(1, n) {
			files <- f
		}
	}()
	var tally results
	began := time.Now()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for f := range files {
				began := time.Now()
				m, err := p.Inspect(t.Context(), bytes.NewReader(f.Data), int64(len(f.Data)))
				tally.add(t, f, m, err, time.Since(began))
			}
		})
	}
	wg.Wait()
	tally.report(t)
	most := peak()
	t.Logf("%d files in %v; the largest child had %d MiB", n, time.Since(began).Round(time.Millisecond), most>>20)
	if most > memoryOfAChild || most == 0 {
		t.Errorf("a child had %d bytes", most)
	}
	for _, f := range manifest.Files[:10] {
		m := inspectFile(t, p, filepath.Join(dir, f.Path))
		if m.Format != f.Format || m.Problem == document.ReasonInspectFailed {
			t.Errorf("afterwards %s gives %+v", f.Path, m)
		}
	}
}

// results counts what became of the files of each kind.
type results struct {
	sync.Mutex
	count   map[mutate.Kind]map[document.Reason]int
	slowest map[mutate.Kind]time.Duration
}

func (r *results) add(t *testing.T, f mutate.File, m document.Metadata, err error, took time.Duration) {
	r.Lock()
	defer r.Unlock()
	if err != nil {
		t.Errorf("%s: no answer: %v", f.Name, err)
	}
	if took > timeOfAFile+2*time.Second { // a killed child's successor, on a busy machine
		t.Errorf("%s took %v", f.Name, took)
	}
	if m.Problem == document.ReasonInspectFailed || took > timeOfAFile/4 {
		t.Logf("%s: %q (%s) after %v", f.Name, m.Problem, m.Detail, took.Round(time.Millisecond))
	}
	if r.count == nil {
		r.count, r.slowest = map[mutate.Kind]map[document.Reason]int{}, map[mutate.Kind]time.Duration{}
	}
	if r.count[f.Kind] == nil {
		r.count[f.Kind] = map[document.Reason]int{}
	}
	r.count[f.Kind][m.Problem]++
	r.slowest[f.Kind] = max(r.slowest[f.Kind], took)
}

// report says what became of the files. Of each kind some must have been noticed, or the kind reaches nothing.
func (r *results) report(t *testing.T) {
	for kind, counts := range r.count {
		t.Logf("%-12s %v, at most %v", kind, counts, r.slowest[kind].Round(time.Millisecond))
		noticed := 0
		for reason, n := range counts {
			if reason != "" {
				noticed += n
			}
		}
		if noticed == 0 && kind != mutate.DeflateBomb && kind != mutate.PDFBomb {
			t.Errorf("no %s file was noticed", kind)
		}
	}
}

// watchChildren looks at this process's children, and gives the most memory that one of them had (VmHWM), in bytes.
func watchChildren(t *testing.T) (peak func() int) {
	ctx, cancel := context.WithCancel(t.Context())
	most := make(chan int, 1)
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		seen := 0
		for ended := false; !ended; {
			select {
			case <-ctx.Done():
				ended = true
			case <-tick.C:
			}
			for _, pid := range childrenOf(t, os.Getpid()) {
				seen = max(seen, highWater(pid))
			}
		}
		most <- seen
	}()
	var once sync.Once
	result := 0
	peak = func() int {
		once.Do(func() { cancel(); result = <-most })
		return result
	}
	t.Cleanup(func() { peak() })
	return peak
}

// highWater is the most memory that a process has had in use; 0 if it has ended.
func highWater(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	if !strings.HasPrefix(string(status), "Name:\tmedanchor-inspe") {
		return 0 // not yet: it still shares the memory of this process
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			return kib << 10
		}
	}
	return 0
}
