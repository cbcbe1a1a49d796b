package folder_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch/dir"
	"github.com/medanchor/medanchor/dicomwatch/dir/dirtest"
	"github.com/medanchor/medanchor/dicomwatch/folder"
)

// late has senders do things in the moment before a file is moved or deleted: the first one before the first time, and so on.
type late struct {
	dir.FS
	senders []func() error
}

func (l *late) Rename(from, to string) error {
	return l.after(func() error { return l.FS.Rename(from, to) })
}

func (l *late) Remove(name string) error { return l.after(func() error { return l.FS.Remove(name) }) }

func (l *late) after(then func() error) error {
	if len(l.senders) > 0 {
		sender := l.senders[0]
		l.senders = l.senders[1:]
		if err := sender(); err != nil {
			return err
		}
	}
	return then()
}

// replaced has a.dcm replaced by a file that says next, in the last moment, on a disk that fails from then on.
func replaced(t *testing.T, o *folder.Options, disk *dirtest.Disk, faults ...dirtest.Fault) {
	t.Helper()
	next := filepath.Join(t.TempDir(), "next.dcm")
	write(t, next, "next, to its END")
	path := filepath.Join(o.Path, "a.dcm")
	write(t, path, "first, to its END")
	replace := func() error {
		for _, fault := range faults {
			disk.Fail(fault)
		}
		return os.Rename(next, path)
	}
	between(o, disk, replace)
}

// between has senders do things between the calls of a folder.
func between(o *folder.Options, disk *dirtest.Disk, senders ...func() error) {
	o.OpenDir = func(path string) (dir.FS, error) {
		opened, err := disk.Open(path)
		if senders == nil || err != nil { // to see whether it is still the same
			return opened, err
		}
		root := &late{opened, senders}
		senders = nil
		return root, nil
	}
}

// heldBut is what is held, but for what is at a path: to look at that may fail as well, or not yet.
func heldBut(f *folder.Folder, at string) []string {
	held := f.Held()
	delete(held, at)
	return slices.Collect(maps.Values(held))
}

// That it can neither be looked at nor moved back for a while does not lose it either.
func TestAFileThatComesInTheLastMomentIsNotLost(t *testing.T) {
	for _, disposal := range []folder.Disposal{folder.Done, folder.Delete} {
		for name, faults := range map[string][]dirtest.Fault{
			"in peace":            nil,
			"it is not looked at": {{Call: dirtest.Stat, N: 1, Err: unix.EIO, Stays: true}},
			"it is not put back":  {{Call: dirtest.Rename, N: 2, Err: unix.EIO, Stays: true}}, // the first moves it away
		} {
			t.Run(string(disposal)+", "+name, func(t *testing.T) {
				t.Parallel()
				var disk dirtest.Disk
				o := options(t)
				o.Disposal = disposal
				replaced(t, &o, &disk, faults...)
				f, in := startFolder(t, o)
				d := in.next(t)
				if got := read(t, d); got != "first, to its END" {
					t.Fatalf("read %q", got)
				}
				if gone := acknowledge(t, d); len(gone) != 1 {
					t.Errorf("gone: %v", gone)
				}
				if held := heldBut(f, "a.dcm"); len(faults) > 0 &&
					(len(held) != 1 || !strings.Contains(held[0], "input/output error")) {
					t.Errorf("held: %q", held)
				}
				disk.Heal()
				d = in.next(t)
				if got := read(t, d); got != "next, to its END" || filepath.Base(d.Claim.Path) != "a.dcm" {
					t.Fatalf("read %q of %s", got, d.Claim.Path)
				}
				acknowledge(t, d)
				if got, _ := os.ReadFile(filepath.Join(o.Path, "done", "a.dcm")); disposal == folder.Done && string(got) != "next, to its END" {
					t.Errorf("done/a.dcm is %q", got)
				}
				eventually(t, "nothing is left or held", func() bool { return len(left(t, o.Path)) == 0 && len(f.Held()) == 0 })
			})
		}
	}
}

// offersBoth wants the file that was put back, and the one after it, which has its name by then.
func (i intake) offersBoth(t *testing.T) {
	t.Helper()
	offered := make(map[string]string)
	for range 2 {
		d := i.next(t)
		offered[filepath.Base(d.Claim.Path)] = read(t, d)
	}
	want := map[string]string{"a.dcm": "the one after, to its END", "a.dcm.2.recovered": "next, to its END"}
	if !maps.Equal(offered, want) {
		t.Errorf("offered %q", offered)
	}
}

// Where the next file has its name by then, it gets one that shares no sidecar with that: a.dcm.2 would.
func TestAFileThatIsPutBackBesideTheNextHasAStemOfItsOwn(t *testing.T) {
	var disk dirtest.Disk
	o := options(t)
	replaced(t, &o, &disk, dirtest.Fault{Call: dirtest.Rename, N: 2, Err: unix.EIO, Stays: true})
	f, in := startFolder(t, o)
	acknowledge(t, in.next(t))
	eventually(t, "it is held", func() bool { return len(f.Held()) == 1 })
	write(t, filepath.Join(o.Path, "a.dcm"), "the one after, to its END")
	disk.Heal()
	in.offersBoth(t)
}

// Nor is the next one replaced that comes in the very moment in which it is put back.
func TestNothingIsReplacedByAFileThatIsPutBack(t *testing.T) {
	for _, disposal := range []folder.Disposal{folder.Done, folder.Delete} {
		t.Run(string(disposal), func(t *testing.T) {
			t.Parallel()
			o := options(t)
			o.Disposal = disposal
			path := filepath.Join(o.Path, "a.dcm")
			write(t, path, "first, to its END")
			between(&o, new(dirtest.Disk),
				func() error { return errors.Join(os.Remove(path), put(path, "next, to its END")) },
				func() error { return put(path, "the one after, to its END") },
			)
			_, in := startFolder(t, o)
			acknowledge(t, in.next(t))
			in.offersBoth(t)
		})
	}
}

// Nor is what comes into done/ in the very moment in which a file is moved there.
func TestNothingIsReplacedInDone(t *testing.T) {
	o := options(t)
	path, done := filepath.Join(o.Path, "a.dcm"), filepath.Join(o.Path, "done", "a.dcm")
	write(t, path, "first, to its END")
	between(&o, new(dirtest.Disk), func() error { return put(done, "somebody's") })
	_, in := startFolder(t, o)
	acknowledge(t, in.next(t))
	for at, want := range map[string]string{done: "somebody's", done + ".~2~": "first, to its END"} {
		if got, err := os.ReadFile(at); string(got) != want {
			t.Errorf("%s is %q, %v", at, got, err)
		}
	}
}

func put(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

// Nor does it that the folder goes meanwhile, and comes back.
func TestAFileThatIsNotPutBackWaitsForItsFolder(t *testing.T) {
	for _, disposal := range []folder.Disposal{folder.Done, folder.Delete} {
		t.Run(string(disposal), func(t *testing.T) {
			t.Parallel()
			var disk dirtest.Disk
			o := inside(t, options(t))
			o.Disposal = disposal
			replaced(t, &o, &disk, dirtest.Fault{Call: dirtest.Rename, N: 2, Err: unix.EIO, Stays: true})
			f, in := startFolder(t, o)
			acknowledge(t, in.next(t))
			if err := errors.Join(os.Rename(o.Path, o.Path+"-away"), os.Mkdir(o.Path, 0o700)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is told that it is not there", func() bool {
				held := slices.Collect(maps.Values(f.Held()))
				return len(held) == 1 && strings.HasSuffix(held[0], "it cannot be looked at: no such file or directory")
			})
			disk.Heal()
			if err := errors.Join(os.Remove(o.Path), os.Rename(o.Path+"-away", o.Path)); err != nil {
				t.Fatal(err)
			}
			if d := in.next(t); read(t, d) != "next, to its END" || filepath.Base(d.Claim.Path) != "a.dcm" {
				t.Errorf("offered %s", d.Claim.Path)
			}
			eventually(t, "nothing is held", func() bool { return len(f.Held()) == 0 })
		})
	}
}

// What a stop leaves of a deletion goes at the next start if it is what was taken, and is taken if it is not.
func TestAStopInTheMiddleOfADeletion(t *testing.T) {
	for name, tc := range map[string]struct {
		fault dirtest.Fault
		taken []string // after the start
	}{
		"it is what was taken":       {dirtest.Fault{Call: dirtest.Remove, N: 1, Err: unix.EIO, Stays: true}, nil},
		"it came in the last moment": {dirtest.Fault{Call: dirtest.Rename, N: 2, Err: unix.EIO, Stays: true}, []string{"recovered  next, to its END"}},
		"it was not even looked at":  {dirtest.Fault{Call: dirtest.Stat, N: 1, Err: unix.EIO, Stays: true}, []string{"recovered  next, to its END"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var disk dirtest.Disk
			o := options(t)
			o.Disposal = folder.Delete
			if tc.taken != nil {
				replaced(t, &o, &disk, tc.fault)
			} else {
				write(t, filepath.Join(o.Path, "a.dcm"), "first, to its END")
				o.OpenDir = disk.Open
				disk.Fail(tc.fault)
			}
			p := newPipeline(o.Path)
			f, stop := p.through(t, o)
			eventually(t, "it is told", func() bool { return len(p.items()) == 1 && len(heldBut(f, "a.dcm")) == 1 })
			stop()
			if exists(t, filepath.Join(o.Path, "a.dcm")) || len(left(t, o.Path)) != 1 {
				t.Fatalf("before the start there are %q", left(t, o.Path))
			}
			o.OpenDir = nil
			p = newPipeline(o.Path)
			f, _ = p.through(t, o)
			eventually(t, "nothing is left", func() bool { return len(left(t, o.Path)) == 0 && len(f.Held()) == 0 })
			if got := p.items(); !slices.Equal(got, tc.taken) {
				t.Errorf("taken: %q", got)
			}
		})
	}
}

func TestWhatCannotBeDeletedIsToldAndDeletedLater(t *testing.T) {
	var disk dirtest.Disk
	o := options(t)
	o.Disposal, o.OpenDir = folder.Delete, disk.Open
	f, in := startFolder(t, o)
	write(t, filepath.Join(o.Path, "a.dcm"), "bytes")
	d := in.next(t)
	disk.Fail(dirtest.Fault{Call: dirtest.Remove, N: 1, Err: unix.EROFS, Stays: true})
	if gone := acknowledge(t, d); len(gone) != 1 {
		t.Error("it is not gone")
	}
	held := slices.Collect(maps.Values(f.Held()))
	if want := "its file is taken, and it cannot be removed: read-only file system"; !slices.Equal(held, []string{want}) {
		t.Errorf("held: %q", held)
	}
	in.quiet(t)
	disk.Heal()
	eventually(t, "it is deleted", func() bool { return len(left(t, o.Path)) == 0 && len(f.Held()) == 0 })
	in.quiet(t)
}
