package spool_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/document"
)

// The spool's directory vanishes while objects wait in it, and comes back.
func TestTheDirectoryVanishes(t *testing.T) {
	for _, test := range []struct {
		name string
		// vanish takes the directory away, back brings it back or another in its place.
		vanish, back func(at string) error
		keeps        bool // back brings the files back
	}{
		{"deleted", os.RemoveAll, func(at string) error { return os.Mkdir(at, 0o700) }, false},
		{
			"moved away and back",
			func(at string) error { return os.Rename(at, at+".old") },
			func(at string) error { return os.Rename(at+".old", at) },
			true,
		},
		{
			"moved away, and another in its place",
			func(at string) error { return os.Rename(at, at+".old") },
			func(at string) error { return os.Mkdir(at, 0o700) },
			false,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := options(t)
			synctest.Test(t, func(t *testing.T) {
				var back atomic.Bool
				p := &pipeline{take: func(document.Delivery) error {
					if !back.Load() {
						return errors.New("not yet")
					}
					return nil
				}}
				s := start(t, o, p)
				stop := run(t.Context(), s)
				for n := range 3 {
					if err := send(t.Context(), s, content(n, 100_000)); err != nil {
						t.Fatal(err)
					}
				}
				arriving, err := s.Create(sent)
				if err != nil {
					t.Fatal(err)
				}

				if err := test.vanish(o.Path); err != nil {
					t.Fatal(err)
				}
				if err := arriving.Commit(t.Context()); err == nil || !strings.Contains(err.Error(), "mount its disk") {
					t.Errorf("Commit = %v", err)
				}
				if err := send(t.Context(), s, content(3, 100)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("send = %v", err)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if err := s.Err(); err == nil || !strings.Contains(err.Error(), "mount its disk") {
					t.Errorf("Err = %v", err)
				}
				if s.Disposed(document.NewItemID(time.Now()).String()) {
					t.Error("a directory that is not there tells what was removed")
				}

				if err := test.back(o.Path); err != nil {
					t.Fatal(err)
				}
				if err := send(t.Context(), s, content(4, 100)); err != nil {
					t.Errorf("once it is back: %v", err)
				}
				back.Store(true)
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if err := errors.Join(stop(), s.Err()); err != nil {
					t.Error(err)
				}
				if got := len(p.contents()); got != 4 {
					t.Errorf("%d objects reached the pipeline, of 4 that were acknowledged", got)
				}
				if n, _ := s.Waiting(); n != 0 || len(files(t, o.Path)) != 0 {
					t.Errorf("left: %d objects, %v", n, files(t, o.Path))
				}
			})
		})
	}
}

// Where another directory was put in its place at once, an object shows it: its sender has no success, and sends it again.
func TestAnotherDirectoryInItsPlace(t *testing.T) {
	o := options(t)
	s := start(t, o, &pipeline{})
	if err := errors.Join(os.Rename(o.Path, o.Path+".old"), os.Mkdir(o.Path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := send(t.Context(), s, content(1, 100)); err == nil || s.Err() == nil || len(files(t, o.Path+".old")) != 0 {
		t.Errorf("send = %v, Err = %v, files %v", err, s.Err(), files(t, o.Path+".old"))
	}
	if err := send(t.Context(), s, content(1, 100)); err != nil || s.Err() != nil || len(files(t, o.Path)) != 1 {
		t.Errorf("again: %v, Err = %v, files %v", err, s.Err(), files(t, o.Path))
	}
}

// A disk that was mounted again holds what waited: it is known, and offered once.
func TestADirectoryThatIsAnotherWithTheSameFiles(t *testing.T) {
	o := options(t)
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Bool
		p := &pipeline{take: func(document.Delivery) error {
			if !back.Load() {
				return errors.New("not yet")
			}
			return nil
		}}
		s := start(t, o, p)
		stop := run(t.Context(), s)
		for n := range 300 { // more than are kept open
			if err := send(t.Context(), s, content(n, 100)); err != nil {
				t.Fatal(err)
			}
		}
		old := o.Path + ".old"
		if err := errors.Join(os.Rename(o.Path, old), os.CopyFS(o.Path, os.DirFS(old)), os.RemoveAll(old)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		back.Store(true)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if err := errors.Join(stop(), s.Err()); err != nil {
			t.Error(err)
		}
		if got, n := len(p.contents()), len(files(t, o.Path)); got != 300 || n != 0 {
			t.Errorf("%d objects reached the pipeline, %d files are left", got, n)
		}
	})
}

// A mount point whose disk is away is not taken into use: what is put there is hidden once the disk is back. What waits on the
// disk is still within reach.
func TestAMountPointWithoutItsDiskIsNotTakenIntoUse(t *testing.T) {
	o := options(t)
	if err := os.Mkdir(o.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("medanchor-test", o.Path, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("a tmpfs of its own is needed, and mounting one is not permitted: %v", err)
	}
	mounted := true
	t.Cleanup(func() {
		if mounted {
			_ = unix.Unmount(o.Path, unix.MNT_DETACH)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := &pipeline{}
		s := start(t, o, p)
		for n := range 300 {
			if err := send(t.Context(), s, content(n, 100)); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Unmount(o.Path, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
		mounted = false
		for range 3 {
			if err := send(t.Context(), s, content(301, 100)); err == nil || !strings.Contains(err.Error(), "mount its disk") {
				t.Errorf("send = %v", err)
			}
		}
		stop := run(t.Context(), s)
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := stop(); err != nil || len(p.contents()) != 300 || s.Err() == nil || len(files(t, o.Path)) != 0 {
			t.Errorf("Run %v, %d objects reached the pipeline, Err %v, files %v", err, len(p.contents()), s.Err(), files(t, o.Path))
		}
	})
}

func TestNewSaysWhatIsWrongWithTheDirectory(t *testing.T) {
	o := options(t)
	if err := os.WriteFile(o.Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newSpool(o); err == nil || !strings.Contains(err.Error(), "must be a directory") {
		t.Errorf("a file in its place: %v", err)
	}
	o.Path += "/below/it"
	if _, err := newSpool(o); err == nil {
		t.Error("it is made where nothing is mounted")
	}
}
