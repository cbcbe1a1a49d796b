// Package dir reaches the files of one directory, and nothing outside: every path is resolved by the kernel beneath it, without
// symbolic links (openat2(2): RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS). The doors reach the disk through
// FS alone, so that tests can make any call fail.
package dir

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// FS is one directory. Names are inside it, with slashes; "." is the directory itself. Errors name no path: paths may be
// personal data.
type FS interface {
	// Open opens a file as open(2) does with these flags.
	Open(name string, flags int, perm fs.FileMode) (File, error)
	// Stat describes what stands at name, which is not followed if it is a link.
	Stat(name string) (fs.FileInfo, error)
	// List gives the entries of a directory, sorted by name.
	List(name string) ([]fs.DirEntry, error)
	// Rename gives a file another name; what has that name is replaced.
	Rename(from, to string) error
	// Remove removes a file, or an empty directory.
	Remove(name string) error
	// MakeDir makes a directory; fs.ErrExist if there is one.
	MakeDir(name string, perm fs.FileMode) error
	// Sync makes the entries of a directory durable.
	Sync(name string) error
	Close() error
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.Writer
	io.Closer
	Stat() (fs.FileInfo, error)
	// Sync makes its content durable.
	Sync() error
	// Fd is its descriptor.
	Fd() uintptr
}

// Root is a directory of the operating system.
type Root struct {
	file *os.File
}

// Open opens the directory at path. Links on the way to it are followed.
func Open(at string) (*Root, error) {
	f, err := os.OpenFile(filepath.Clean(at), os.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &Root{f}, nil
}

// Close lets go of it.
func (r *Root) Close() error { return r.file.Close() }

// Open implements FS.
func (r *Root) Open(name string, flags int, perm fs.FileMode) (File, error) {
	f, err := r.open(name, flags, perm)
	if err != nil {
		return nil, err // not f: a nil *os.File in a File is not nil
	}
	return pathless{f}, nil
}

func (r *Root) open(name string, flags int, perm fs.FileMode) (*os.File, error) {
	how := &unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC), //nolint:gosec // flags are not negative
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flags&os.O_CREATE != 0 {
		how.Mode = uint64(perm.Perm())
	}
	for {
		fd, err := unix.Openat2(int(r.file.Fd()), name, how)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) { // EAGAIN: something above was renamed meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), path.Base(name)), nil
	}
}

// in calls f with the directory that holds name open, and name's last element.
func (r *Root) in(name string, f func(fd int, base string) error) error {
	parent, err := r.open(path.Dir(name), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	return errors.Join(f(int(parent.Fd()), path.Base(name)), parent.Close())
}

// Stat implements FS.
func (r *Root) Stat(name string) (fs.FileInfo, error) {
	f, err := r.open(name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, unix.ELOOP
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	return info, errors.Join(cause(err), f.Close())
}

// List implements FS.
func (r *Root) List(name string) ([]fs.DirEntry, error) {
	f, err := r.open(name, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	sortByName(entries)
	return entries, errors.Join(cause(err), f.Close())
}

// Rename implements FS.
func (r *Root) Rename(from, to string) error {
	return r.in(from, func(fromDir int, fromBase string) error {
		return r.in(to, func(toDir int, toBase string) error { return unix.Renameat(fromDir, fromBase, toDir, toBase) })
	})
}

// Remove implements FS.
func (r *Root) Remove(name string) error {
	return r.in(name, func(fd int, base string) error {
		err := unix.Unlinkat(fd, base, 0)
		if errors.Is(err, unix.EISDIR) {
			return unix.Unlinkat(fd, base, unix.AT_REMOVEDIR)
		}
		return err
	})
}

// MakeDir implements FS.
func (r *Root) MakeDir(name string, perm fs.FileMode) error {
	return r.in(name, func(fd int, base string) error { return unix.Mkdirat(fd, base, uint32(perm.Perm())) })
}

// Sync implements FS.
func (r *Root) Sync(name string) error {
	f, err := r.open(name, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	return errors.Join(cause(f.Sync()), f.Close())
}
