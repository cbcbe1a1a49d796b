package folder_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/medanchor/medanchor/dicomwatch/dir"
)

// late has a sender replace a file in the moment before it is moved to done/.
type late struct {
	dir.FS
	replace func() error
}

func (l *late) Rename(from, to string) error {
	replace := l.replace
	l.replace = nil
	if replace != nil {
		if err := replace(); err != nil {
			return err
		}
	}
	return l.FS.Rename(from, to)
}

func TestAFileThatComesInTheLastMomentIsNotLost(t *testing.T) {
	o := options(t)
	path, next := filepath.Join(o.Path, "a.dcm"), filepath.Join(t.TempDir(), "next.dcm")
	write(t, next, "next")
	var root *late
	o.OpenDir = func(path string) (dir.FS, error) {
		opened, err := dir.Open(path)
		if root != nil { // to see whether it is still the same
			return opened, err
		}
		root = &late{opened, func() error { return os.Rename(next, filepath.Join(path, "a.dcm")) }}
		return root, err
	}
	in := start(t, o)
	write(t, path, "first")
	d := in.next(t)
	if got := read(t, d); got != "first" {
		t.Fatalf("read %q", got)
	}
	if gone := acknowledge(t, d); len(gone) != 1 {
		t.Errorf("gone: %v", gone)
	}
	d = in.next(t)
	if got := read(t, d); got != "next" {
		t.Fatalf("read %q", got)
	}
	acknowledge(t, d)
	if got, err := os.ReadFile(filepath.Join(o.Path, "done", "a.dcm")); err != nil || string(got) != "next" {
		t.Errorf("done/a.dcm is %q, %v", got, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}
