package folder_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch/dir/dirtest"
	"github.com/medanchor/medanchor/dicomwatch/folder"
	"github.com/medanchor/medanchor/document"
)

// delivered are the files that a run on a failing disk takes in, with what stands beside them; and what is taken of them.
var (
	delivered = map[string]string{
		"a.pdf": "aEND", "a.pdf.ready": "", "a.pdf.patient.json": `{"identifier": "1"}`,
		"sub/b.pdf": "bEND", "sub/b.pdf.ready": "", "sub/b.patient.json": `{"identifier": "2"}`,
	}
	wanted = []string{"a.pdf 1 aEND", "sub/b.pdf 2 bEND"}
)

// deliver takes the files in on a disk that may fail, until they are disposed of.
func deliver(t *testing.T, disk *dirtest.Disk, disposal folder.Disposal) (*pipeline, *folder.Folder) {
	t.Helper()
	o := bySidecar(t)
	o.Ready, o.Disposal, o.OpenDir = true, disposal, disk.Open
	o.Quiet, o.Rescan = 5*time.Millisecond, 20*time.Millisecond
	for _, at := range slices.Sorted(maps.Keys(delivered)) { // markers after their files
		write(t, filepath.Join(o.Path, at), delivered[at])
	}
	p := newPipeline(o.Path)
	f, _ := p.through(t, o)
	eventually(t, "all are disposed of", func() bool { return len(p.items()) >= 2 && len(left(t, o.Path)) == 0 })
	return p, f
}

// left are the files outside done/.
func left(t *testing.T, root string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(at string, entry os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == "done" {
			return filepath.SkipDir
		}
		if !entry.IsDir() {
			names = append(names, at)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Each call of the disk fails once, with each error: each file is taken once, whole, for its patient, and disposed of; nothing
// but what it was is in done/.
func TestEachCallOfTheDiskFails(t *testing.T) {
	disposals, errs := []folder.Disposal{folder.Done, folder.Delete}, []error{unix.EIO, unix.ENOSPC, unix.EROFS}
	calls := 48 // later calls of a kind are those of rescans
	if testing.Short() {
		disposals, errs, calls = disposals[:1], errs[:1], 6
	}
	for _, disposal := range disposals {
		var peace dirtest.Disk
		p, _ := deliver(t, &peace, disposal)
		checkTaken(t, p, disposal)
		for call, n := range peace.Counts() {
			first := 0
			if call == dirtest.OpenDir {
				first = 1 // without it there is no door
			}
			for i := first; i < min(n, calls); i++ {
				for _, err := range errs {
					for _, done := range []bool{false, true} {
						fault := dirtest.Fault{Call: call, N: i + 1, Err: err, Done: done}
						t.Run(fmt.Sprintf("%s/%s %d/%s, done %t", disposal, call, i+1, err, done), func(t *testing.T) {
							t.Parallel()
							var disk dirtest.Disk
							disk.Fail(fault)
							p, f := deliver(t, &disk, disposal)
							checkTaken(t, p, disposal)
							eventually(t, "nothing is held any more", func() bool { return len(f.Held()) == 0 && f.Err() == nil })
						})
					}
				}
			}
		}
	}
}

func checkTaken(t *testing.T, p *pipeline, disposal folder.Disposal) {
	t.Helper()
	items := p.items()
	slices.Sort(items)
	if !slices.Equal(items, wanted) {
		t.Errorf("taken: %q", items)
	}
	if disposal != folder.Done {
		return
	}
	for at, content := range delivered {
		got, err := os.ReadFile(filepath.Join(p.root, "done", at))
		if marker := strings.HasSuffix(at, ".ready"); marker == (err == nil) || !marker && string(got) != content {
			t.Errorf("done/%s is %q, %v", at, got, err)
		}
	}
}

// A fault that stays: what is taken is taken once, the folder says what is wrong, does not spin, and goes on when it ends.
func TestTheDiskFailsForAWhile(t *testing.T) {
	for call, says := range map[dirtest.Call]string{
		dirtest.Rename:  "it is taken, and stays in the folder until it can be moved or deleted: move to done/: ",
		dirtest.MakeDir: "it is taken, and stays in the folder until it can be moved or deleted: make done/: ",
		dirtest.Stat:    "look at the folder: ",
		dirtest.List:    "",
		dirtest.OpenDir: "open the folder: ",
		dirtest.Open:    "open source: ",
		dirtest.Read:    "",
	} {
		for _, err := range []error{unix.ENOSPC, unix.EIO, unix.EROFS} {
			t.Run(fmt.Sprintf("%s/%s", call, err), func(t *testing.T) {
				t.Parallel()
				var disk dirtest.Disk
				o := options(t)
				o.Quiet, o.OpenDir = 5*time.Millisecond, disk.Open
				p := newPipeline(o.Path)
				f, _ := p.through(t, o)
				eventually(t, "the first scan", func() bool { return f.Scans() > 0 })
				disk.Fail(dirtest.Fault{Call: call, N: 1, Err: err, Stays: true})
				write(t, filepath.Join(o.Path, "a.dcm"), "END")
				eventually(t, "it is told", func() bool {
					return strings.Contains(f.Held()["a.dcm"]+text(f.Err()), says+err.Error())
				})
				calls := total(&disk)
				pause(t, time.Second/2)
				if n := total(&disk) - calls; n > 100 {
					t.Errorf("%d calls of the disk in half a second", n)
				}
				disk.Heal()
				eventually(t, "it is disposed of", func() bool { return exists(t, filepath.Join(o.Path, "done", "a.dcm")) })
				eventually(t, "nothing is held any more", func() bool { return len(f.Held()) == 0 && f.Err() == nil })
				if got := p.items(); !slices.Equal(got, []string{"a.dcm  END"}) {
					t.Errorf("taken: %q", got)
				}
			})
		}
	}
}

func total(disk *dirtest.Disk) (n int) {
	for _, calls := range disk.Counts() {
		n += calls
	}
	return n
}

// pause lets some time pass, in which something must not happen.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	<-ctx.Done()
}

// A move that is not durable is not called gone: after a power cut the file may be back.
func TestAMoveThatIsNotDurableLeavesTheClaim(t *testing.T) {
	var disk dirtest.Disk
	var steps []document.Step
	o := options(t)
	o.OpenDir, o.Trace = disk.Open, func(s document.Step) { steps = append(steps, s) }
	in := start(t, o)
	write(t, filepath.Join(o.Path, "a.dcm"), "x")
	d := in.next(t)
	disk.Fail(dirtest.Fault{Call: dirtest.SyncDir, N: 1, Err: unix.EIO})
	gone, err := d.Door.Acknowledge(t.Context(), []document.Claim{d.Claim})
	if len(gone) != 0 || !errors.Is(err, unix.EIO) || len(steps) != 0 {
		t.Errorf("gone %v, %v, %v", gone, err, steps)
	}
	write(t, filepath.Join(o.Path, "b.dcm"), "x")
	acknowledge(t, in.next(t))
	if !slices.Equal(steps, []document.Step{document.StepDisposed}) {
		t.Errorf("steps: %v", steps)
	}
}
