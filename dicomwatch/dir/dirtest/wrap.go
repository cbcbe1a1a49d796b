package dirtest

import (
	"io/fs"
	"os"

	"github.com/medanchor/medanchor/dicomwatch/dir"
)

// directory is a dir.FS whose calls its disk may make fail.
type directory struct {
	under dir.FS
	disk  *Disk
}

// Open implements dir.FS.
func (d *directory) Open(name string, flags int, perm fs.FileMode) (dir.File, error) {
	call := Open
	if flags&os.O_CREATE != 0 {
		call = Create
	}
	f := d.disk.call(call)
	if f.refused() {
		return nil, f.Err
	}
	under, err := d.under.Open(name, flags, perm)
	if err != nil {
		return nil, err
	}
	if f.Err != nil {
		_ = under.Close()
		return nil, f.Err
	}
	return &file{under, d.disk}, nil
}

// Stat implements dir.FS.
func (d *directory) Stat(name string) (fs.FileInfo, error) {
	if f := d.disk.call(Stat); f.Err != nil {
		return nil, f.Err
	}
	return d.under.Stat(name)
}

// List implements dir.FS.
func (d *directory) List(name string) ([]fs.DirEntry, error) {
	f := d.disk.call(List)
	if f.refused() {
		return nil, f.Err
	}
	entries, err := d.under.List(name)
	if err != nil {
		return entries, err
	}
	if f.Err != nil { // some, then the error, as os.ReadDir gives them
		return entries[:len(entries)/2], f.Err
	}
	return entries, nil
}

// Rename implements dir.FS.
func (d *directory) Rename(from, to string) error {
	return d.disk.do(Rename, func() error { return d.under.Rename(from, to) })
}

// Remove implements dir.FS.
func (d *directory) Remove(name string) error {
	return d.disk.do(Remove, func() error { return d.under.Remove(name) })
}

// MakeDir implements dir.FS.
func (d *directory) MakeDir(name string, perm fs.FileMode) error {
	return d.disk.do(MakeDir, func() error { return d.under.MakeDir(name, perm) })
}

// Sync implements dir.FS.
func (d *directory) Sync(name string) error {
	return d.disk.do(SyncDir, func() error { return d.under.Sync(name) })
}

// Close implements dir.FS. It does not fail: what is only read loses nothing when it is closed.
func (d *directory) Close() error { return d.under.Close() }

// file is an open file whose calls its disk may make fail.
type file struct {
	under dir.File
	disk  *Disk
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(b []byte, off int64) (int, error) {
	fault := f.disk.call(Read)
	if fault.refused() {
		return 0, fault.Err
	}
	if fault.Err != nil {
		n, _ := f.under.ReadAt(b[:len(b)/2], off)
		return n, fault.Err
	}
	return f.under.ReadAt(b, off)
}

// Write implements io.Writer.
func (f *file) Write(b []byte) (int, error) {
	fault := f.disk.call(Write)
	if fault.refused() {
		return 0, fault.Err
	}
	if fault.Err != nil {
		n, _ := f.under.Write(b[:len(b)/2])
		return n, fault.Err
	}
	return f.under.Write(b)
}

// Stat implements dir.File.
func (f *file) Stat() (fs.FileInfo, error) {
	if fault := f.disk.call(StatFile); fault.Err != nil {
		return nil, fault.Err
	}
	return f.under.Stat()
}

// Sync implements dir.File.
func (f *file) Sync() error { return f.disk.do(Sync, f.under.Sync) }

// Close implements io.Closer: the file is closed, whatever it gives (close(2)).
func (f *file) Close() error {
	fault := f.disk.call(Close)
	if err := f.under.Close(); err != nil {
		return err
	}
	return fault.Err
}

// Fd implements dir.File.
func (f *file) Fd() uintptr { return f.under.Fd() }
