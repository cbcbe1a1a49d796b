package folder_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch/dir/dirtest"
	"github.com/medanchor/medanchor/dicomwatch/folder"
)

// inside has the folder stand in a directory where it can be moved.
func inside(t *testing.T, o folder.Options) folder.Options {
	t.Helper()
	o.Path = filepath.Join(o.Path, "mounted")
	if err := os.Mkdir(o.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAFolderThatGoesAndComesBackIsTold(t *testing.T) {
	o := inside(t, options(t))
	f, in := startFolder(t, o)
	if err := os.Rename(o.Path, o.Path+"-away"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is told", func() bool { return f.Err() != nil })
	if want := "the folder is not there: mount it, or create it"; f.Err().Error() != want {
		t.Errorf("Err: %v", f.Err())
	}
	write(t, filepath.Join(o.Path+"-away", "a.dcm"), "x")
	in.quiet(t)
	if err := os.Rename(o.Path+"-away", o.Path); err != nil {
		t.Fatal(err)
	}
	if got := read(t, in.next(t)); got != "x" {
		t.Errorf("read %q", got)
	}
	eventually(t, "it is over", func() bool { return f.Err() == nil })
}

// After a power cut the appliance may be up before the file server: the folder's files are taken once it is there, as at any start.
func TestAFolderThatIsNotThereAtTheStart(t *testing.T) {
	for name, tc := range map[string]struct {
		stands func(at string) error // instead of the folder
		want   string
	}{
		"nothing": {os.Remove, "the folder is not there: mount it, or create it"},
		"a file": {
			func(at string) error { return errors.Join(os.Remove(at), put(at, "x")) }, "it is not a directory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := inside(t, options(t))
			if err := tc.stands(o.Path); err != nil {
				t.Fatal(err)
			}
			f, in := startFolder(t, o)
			if f.Err() == nil || f.Err().Error() != tc.want {
				t.Errorf("Err: %v", f.Err())
			}
			if f.Disposed(filepath.Join(o.Path, "a.dcm")) {
				t.Error("a file of a folder that is not there is disposed of")
			}
			in.quiet(t)
			if err := errors.Join(os.RemoveAll(o.Path), os.Mkdir(o.Path, 0o700)); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(o.Path, "a.dcm"), "x")
			d := in.next(t)
			if got := read(t, d); got != "x" {
				t.Errorf("read %q", got)
			}
			if gone := acknowledge(t, d); len(gone) != 1 || !exists(t, filepath.Join(o.Path, "done", "a.dcm")) {
				t.Errorf("gone: %v", gone)
			}
			eventually(t, "it is over", func() bool { return f.Err() == nil })
		})
	}
}

// Another directory at the path, as after it was mounted, or removed and made again.
func TestTheFolderThatStandsThereNowIsWatched(t *testing.T) {
	for name, gone := range map[string]func(at string) error{
		"removed": os.RemoveAll,
		"moved":   func(at string) error { return os.Rename(at, at+"-away") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := inside(t, options(t))
			f, in := startFolder(t, o)
			write(t, filepath.Join(o.Path, "a.dcm"), "old")
			old := in.next(t)
			if err := errors.Join(gone(o.Path), os.Mkdir(o.Path, 0o700)); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(o.Path, "b.dcm"), "new")
			if got := read(t, in.next(t)); got != "new" {
				t.Errorf("read %q", got)
			}
			// The old one may come back, with what was taken of it: its claim must not be forgotten.
			if claims := acknowledge(t, old); len(claims) != 0 {
				t.Errorf("gone: %v", claims)
			}
			if err := f.Err(); err != nil {
				t.Errorf("Err: %v", err)
			}
			write(t, filepath.Join(o.Path, "c.dcm"), "by a hint")
			if got := read(t, in.next(t)); got != "by a hint" {
				t.Errorf("read %q", got)
			}
		})
	}
}

// What is being taken when the folder changes is not offered twice, though it is there again.
func TestWhatIsBeingTakenIsNotOfferedTwice(t *testing.T) {
	var disk dirtest.Disk
	var log buffer
	o := options(t)
	o.OpenDir, o.Log = disk.Open, slog.New(slog.NewTextHandler(&log, nil))
	_, in := startFolder(t, o)
	write(t, filepath.Join(o.Path, "a.dcm"), "x")
	d := in.next(t)
	eventually(t, "another folder stands there", func() bool { // the first call is of what stands there, the second of what did
		disk.Heal()
		disk.Fail(dirtest.Fault{Call: dirtest.Stat, N: 2, Err: unix.ESTALE})
		pause(t, 2*o.Rescan)
		return strings.Contains(log.text(), "another folder stands")
	})
	disk.Heal()
	in.quiet(t)
	acknowledge(t, d)
	if !exists(t, filepath.Join(o.Path, "done", "a.dcm")) {
		t.Error("not disposed of")
	}
}

func TestThePathMayBeALink(t *testing.T) {
	o := options(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(o.Path, link); err != nil {
		t.Fatal(err)
	}
	there := o.Path
	o.Path = link
	in := start(t, o)
	write(t, filepath.Join(there, "a.dcm"), "x")
	d := in.next(t)
	if d.Claim.Path != filepath.Join(link, "a.dcm") || read(t, d) != "x" {
		t.Errorf("offered %s", d.Claim.Path)
	}
	acknowledge(t, d)
	if !exists(t, filepath.Join(there, "done", "a.dcm")) {
		t.Error("not moved")
	}
}

// A subfolder that is closed to the appliance is told, and keeps nothing else from being taken.
func TestASubfolderThatCannotBeReadIsTold(t *testing.T) {
	var disk dirtest.Disk
	o := options(t)
	o.OpenDir = disk.Open
	f, in := startFolder(t, o)
	eventually(t, "the first scan", func() bool { return f.Scans() > 0 })
	if err := os.Mkdir(filepath.Join(o.Path, "closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is seen", func() bool {
		disk.Heal()
		disk.Fail(dirtest.Fault{Call: dirtest.List, N: 2, Err: unix.EACCES}) // the first is of the folder itself
		return strings.Contains(f.Held()["closed"], "permission denied")
	})
	if err := f.Err(); err != nil {
		t.Errorf("Err: %v", err)
	}
	disk.Heal()
	eventually(t, "it is over", func() bool { return len(f.Held()) == 0 })
	write(t, filepath.Join(o.Path, "closed", "a.dcm"), "x")
	in.next(t)
}
