package folder_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch/dir/dirtest"
	"github.com/medanchor/medanchor/dicomwatch/folder"
)

func TestAMarkerSaysThatAFileIsWhole(t *testing.T) {
	for _, disposal := range []folder.Disposal{folder.Done, folder.Delete} {
		t.Run(string(disposal), func(t *testing.T) {
			t.Parallel()
			o := options(t)
			o.Ready, o.Disposal, o.Rescan = true, disposal, time.Hour
			f, in := startFolder(t, o)
			path := filepath.Join(o.Path, "sub", "a.dcm")
			write(t, path, "bytes")
			eventually(t, "it waits", func() bool { return f.Held()["sub/a.dcm"] == "waits for its marker, <name>.ready" })
			in.quiet(t)
			write(t, path+".ready", "")
			d := in.next(t)
			if d.Claim.Path != path || d.Growing {
				t.Errorf("offered: %s, growing %t", d.Claim.Path, d.Growing)
			}
			if held := f.Held(); len(held) != 0 {
				t.Errorf("held: %v", held)
			}
			acknowledge(t, d)
			if exists(t, path) || exists(t, path+".ready") || exists(t, filepath.Join(o.Path, "done", "sub", "a.dcm.ready")) {
				t.Error("the file or its marker is left")
			}
			in.quiet(t)
		})
	}
}

func TestAMarkerThatCannotBeRemovedIsToldAndRemovedLater(t *testing.T) {
	for name, again := range map[string]bool{"it stands alone": false, "the next file and its marker come meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var disk dirtest.Disk
			o := options(t)
			o.Ready, o.OpenDir = true, disk.Open
			f, in := startFolder(t, o)
			path := filepath.Join(o.Path, "a.dcm")
			write(t, path, "bytes")
			write(t, path+".ready", "")
			d := in.next(t)
			disk.Fail(dirtest.Fault{Call: dirtest.Remove, N: 1, Err: unix.EROFS, Stays: true})
			if gone := acknowledge(t, d); len(gone) != 1 {
				t.Fatal("the file is not gone")
			}
			if held := f.Held()["a.dcm.ready"]; !strings.Contains(held, "read-only file system") {
				t.Errorf("held: %q", held)
			}
			if again {
				write(t, path, "next")
				write(t, path+".ready", "2")
				d = in.next(t)
			}
			disk.Heal()
			eventually(t, "it is cleared", func() bool { return len(f.Held()) == 0 })
			if exists(t, path+".ready") != again {
				t.Errorf("the marker is there: %t", !again)
			}
			if again {
				acknowledge(t, d)
			}
			if exists(t, path+".ready") {
				t.Error("the marker of the next file is left")
			}
		})
	}
}

// A marker that is older than its file was made for another, or for half of it.
func TestAMarkerOfAnEarlierFileDoesNotCount(t *testing.T) {
	for name, before := range map[string]func(t *testing.T, in intake, path string){
		"it stood there before the file": func(t *testing.T, _ intake, path string) { write(t, path+".ready", "") },
		"the file is written anew": func(t *testing.T, in intake, path string) {
			write(t, path, "bytes")
			write(t, path+".ready", "")
			acknowledge(t, in.next(t))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			o.Ready, o.Disposal = true, folder.Keep
			f, in := startFolder(t, o)
			path := filepath.Join(o.Path, "a.dcm")
			before(t, in, path)
			eventually(t, "the file is the newer one", func() bool { // the clock of a file system has ticks
				write(t, path+".part", "other bytes")
				return modified(t, path+".part").After(modified(t, path+".ready"))
			})
			if err := os.Rename(path+".part", path); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is told", func() bool {
				return f.Held()["a.dcm"] == "its marker, <name>.ready, is older than the file: it is to be touched once that is whole"
			})
			in.quiet(t)
			now := time.Now()
			if err := os.Chtimes(path+".ready", now, now); err != nil {
				t.Fatal(err)
			}
			if got := read(t, in.next(t)); got != "other bytes" {
				t.Errorf("read %q", got)
			}
		})
	}
}

func modified(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}

// A sender that keeps the times of its files, and whose clock is ahead, makes no marker that is newer.
func TestAMarkerOfAFileFromTheFutureCounts(t *testing.T) {
	o := options(t)
	o.Ready = true
	path, future := filepath.Join(o.Path, "a.dcm"), time.Now().Add(24*time.Hour)
	write(t, path, "bytes")
	if err := os.Chtimes(path, future, future); err != nil {
		t.Fatal(err)
	}
	write(t, path+".ready", "")
	start(t, o).next(t)
}

// What is left in a folder that another one takes the place of is no concern there.
func TestAMarkerIsNotRemovedFromAnotherFolder(t *testing.T) {
	var disk dirtest.Disk
	o := inside(t, options(t))
	o.Ready, o.OpenDir = true, disk.Open
	f, in := startFolder(t, o)
	write(t, filepath.Join(o.Path, "a.dcm"), "bytes")
	write(t, filepath.Join(o.Path, "a.dcm.ready"), "")
	d := in.next(t)
	disk.Fail(dirtest.Fault{Call: dirtest.Remove, N: 1, Err: unix.EROFS, Stays: true})
	acknowledge(t, d)
	if err := errors.Join(os.Rename(o.Path, o.Path+"-away"), os.Mkdir(o.Path, 0o700)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is forgotten", func() bool { return len(f.Held()) == 0 && f.Err() == nil })
}

// Markers and sidecars together: both must be there.
func TestMarkerAndSidecar(t *testing.T) {
	o := bySidecar(t)
	o.Ready = true
	f, in := startFolder(t, o)
	write(t, filepath.Join(o.Path, "a.pdf"), "x")
	write(t, filepath.Join(o.Path, "a.pdf.ready"), "")
	eventually(t, "it waits", func() bool { return strings.HasPrefix(f.Held()["a.pdf"], "waits for its sidecar file") })
	write(t, filepath.Join(o.Path, "a.pdf.patient.json"), jane)
	d := in.next(t)
	if d.Patient.Identifier != "4711" {
		t.Errorf("patient %+v", d.Patient)
	}
	acknowledge(t, d)
	for _, name := range []string{"a.pdf", "a.pdf.ready", "a.pdf.patient.json"} {
		if exists(t, filepath.Join(o.Path, name)) {
			t.Errorf("%s is left", name)
		}
	}
}
