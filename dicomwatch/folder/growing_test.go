package folder_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/medanchor/medanchor/document"
)

// A sender that pauses for three times the quiet period, twice, is a process of its own.
func TestASlowWriterIsTakenOnceAndWhole(t *testing.T) {
	for name, tc := range map[string]struct {
		script string
		reason error // with which half of it is handed back
	}{
		"it closes the file meanwhile, as over NFS": {
			`printf one- > "$1"; sleep 0.3; printf two- >> "$1"; sleep 0.3; printf END >> "$1"`, document.ErrGrowing,
		},
		"it holds the file open": {
			`{ printf one-; sleep 0.3; printf two-; sleep 0.3; printf END; } > "$1"`, document.ErrChanged,
		},
		"it writes over what it began": {
			`printf one- > "$1"; sleep 0.3; printf one-two- > "$1"; sleep 0.3; printf one-two-END > "$1"`, document.ErrGrowing,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			o.Quiet, o.Patience = 100*time.Millisecond, 10*time.Second
			p := newPipeline(o.Path)
			f, _ := p.through(t, o)
			at := filepath.Join(o.Path, "slow.dcm")
			writer := exec.CommandContext(t.Context(), "sh", "-c", tc.script, "sh", at)
			writer.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			if err := writer.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "half of it is offered, and handed back", func() bool { return p.handedBack(tc.reason) > 0 })
			if held := f.Held()["slow.dcm"]; errors.Is(tc.reason, document.ErrGrowing) && !strings.HasPrefix(held, "ends early: waits for the rest until") {
				t.Errorf("held: %q", held)
			}
			if err := writer.Wait(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is taken", func() bool { return len(p.items()) > 0 })
			eventually(t, "it is moved", func() bool { return exists(t, filepath.Join(o.Path, "done", "slow.dcm")) })
			if got := p.items(); !slices.Equal(got, []string{"slow.dcm  one-two-END"}) {
				t.Errorf("taken: %q", got)
			}
		})
	}
}

// What ends early and does not change is not inspected over and over, and goes in as it is in the end.
func TestPatienceEnds(t *testing.T) {
	o := options(t)
	o.Patience = time.Second
	p := newPipeline(o.Path)
	f, _ := p.through(t, o)
	eventually(t, "the first scan", func() bool { return f.Scans() > 0 }) // what that finds is as old as its file says
	began := time.Now()
	write(t, filepath.Join(o.Path, "half.dcm"), "half")
	eventually(t, "it is taken", func() bool { return len(p.items()) > 0 })
	if took := time.Since(began); took < o.Patience {
		t.Errorf("taken after %s", took)
	}
	if n := p.offered(); n != 2 {
		t.Errorf("offered %d times", n)
	}
}

// After a start it counts for how long the file has been there.
func TestAnOldFileIsNotGrowing(t *testing.T) {
	o := options(t)
	o.Patience = time.Minute
	o.Now = func() time.Time { return time.Now().Add(time.Hour) } // the file is an hour old
	write(t, filepath.Join(o.Path, "half.dcm"), "half")
	if d := start(t, o).next(t); d.Growing {
		t.Error("it may still grow")
	}
}

func TestAFileThatIsRewrittenWhileItIsReadIsOfferedAgain(t *testing.T) {
	o := options(t)
	in := start(t, o)
	path := filepath.Join(o.Path, "a.dcm")
	write(t, path, "first")
	d := in.next(t)
	source, err := d.Door.Open(d.Claim)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	write(t, path, "other")
	if err := source.Unchanged(); err == nil {
		t.Fatal("it is taken for unchanged")
	}
	d.Door.Release(d.Claim, document.ErrChanged)
	if got := read(t, in.next(t)); got != "other" {
		t.Fatalf("read %q", got)
	}
}

func TestAFileThatIsRenamedIntoPlaceIsOffered(t *testing.T) {
	o := options(t)
	in := start(t, o)
	hidden := filepath.Join(o.Path, ".a.dcm.Xy12Zz") // as rsync does
	write(t, hidden, "whole")
	in.quiet(t)
	if err := os.Rename(hidden, filepath.Join(o.Path, "a.dcm")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, in.next(t)); got != "whole" {
		t.Fatalf("read %q", got)
	}
}

// A file that a program has to itself (a lease for writing, as file servers take) is not waited for.
func TestALeaseDoesNotBlock(t *testing.T) {
	o := options(t)
	in := start(t, o)
	path := filepath.Join(o.Path, "a.dcm")
	write(t, path, "x")
	d := in.next(t)
	holder, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if !lease(t, holder) {
		t.Skip("the file system of the temporary folder gives no leases")
	}
	ended := make(chan error, 1)
	go func() {
		_, err := d.Door.Open(d.Claim)
		ended <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it was opened")
		}
	case <-ctx.Done():
		t.Error("Open waits for the lease")
	}
}
