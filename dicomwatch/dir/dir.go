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
	"syscall"

	"golang.org/x/sys/unix"
)

// FS is one directory. Names are inside it, with slashes, in their shortest form; "." is the directory itself, and any other
// is fs.ErrInvalid. Errors name no path: paths may be personal data. It may be used by several goroutines at once.
type FS interface {
	// Open opens a file as open(2) does with these flags.
	Open(name string, flags int, perm fs.FileMode) (File, error)
	// Stat describes what stands at name, which is not followed if it is a link.
	Stat(name string) (fs.FileInfo, error)
	// List gives the entries of a directory, sorted by name. Their Info is of the time of the call, and costs nothing more.
	List(name string) ([]fs.DirEntry, error)
	// Rename gives a file another name; fs.ErrExist if something has that name. It is one step: what has the old name in that moment
	// has the new one after it. Where the file system cannot see to it that nothing is replaced (NFS), what comes to the new name
	// between a look and the step is.
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

// Root is a directory of the operating system. It stays the same directory when it is renamed, or another takes its path.
type Root struct {
	file *os.File
	conn syscall.RawConn // keeps the descriptor from being closed, and its number from being reused, during a call
}

// Open opens the directory at path. Links on the way to it are followed.
func Open(at string) (*Root, error) {
	f, err := os.OpenFile(filepath.Clean(at), os.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Root{f, conn}, nil
}

// Close lets go of it. Calls from then on fail with fs.ErrClosed.
func (r *Root) Close() error { return Cause(r.file.Close()) }

// Open implements FS.
func (r *Root) Open(name string, flags int, perm fs.FileMode) (File, error) {
	fd, err := r.open(name, flags, perm)
	if err != nil {
		return nil, err
	}
	return pathless{os.NewFile(uintptr(fd), "file")}, nil
}

// Stat implements FS.
func (r *Root) Stat(name string) (fs.FileInfo, error) {
	fd, err := r.open(name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	described := &entry{name: path.Base(name)}
	err = again(func() error { return syscall.Fstat(fd, &described.stat) })
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return nil, err
	}
	return described, nil
}

// List implements FS.
func (r *Root) List(name string) ([]fs.DirEntry, error) {
	fd, err := r.open(name, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	d := os.NewFile(uintptr(fd), "directory")
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, errors.Join(Cause(err), Cause(d.Close())) // a part would be taken for the whole
	}
	return describe(fd, names), Cause(d.Close())
}

// Rename implements FS.
func (r *Root) Rename(from, to string) error {
	return r.in(from, func(fromDir int, fromBase string) error {
		return r.in(to, func(toDir int, toBase string) error {
			err := unix.Renameat2(fromDir, fromBase, toDir, toBase, unix.RENAME_NOREPLACE)
			if errors.Is(err, unix.EINVAL) || errors.Is(err, errors.ErrUnsupported) { // not on this file system, NFS for one
				err = lookAndRename(fromDir, fromBase, toDir, toBase)
			}
			return err
		})
	})
}

// lookAndRename looks whether the name is free, and renames. A hard link would replace nothing; but to remove the old name after
// it is a second step, and would remove what came there since.
func lookAndRename(fromDir int, fromBase string, toDir int, toBase string) error {
	var there unix.Stat_t
	switch err := unix.Fstatat(toDir, toBase, &there, unix.AT_SYMLINK_NOFOLLOW); {
	case err == nil:
		return fs.ErrExist
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return unix.Renameat(fromDir, fromBase, toDir, toBase)
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

// Sync implements FS. For "." it takes no descriptor more, so that there being none left is not taken for a disk that fails.
func (r *Root) Sync(name string) error {
	if name == "." {
		return r.use(unix.Fsync)
	}
	fd, err := r.open(name, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	return errors.Join(again(func() error { return unix.Fsync(fd) }), unix.Close(fd))
}

// open opens what stands at name beneath the root.
func (r *Root) open(name string, flags int, perm fs.FileMode) (fd int, err error) {
	if !inside(name) {
		return -1, fs.ErrInvalid
	}
	how := &unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC), //nolint:gosec // flags are not negative
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flags&os.O_CREATE != 0 {
		how.Mode = uint64(perm.Perm())
	}
	err = r.use(func(root int) error {
		fd, err = unix.Openat2(root, name, how)
		return err
	})
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// in calls f with the directory that holds name open, and name's last element.
func (r *Root) in(name string, f func(fd int, base string) error) error {
	parent, base := path.Dir(name), path.Base(name)
	if name == "." || !inside(name) {
		return fs.ErrInvalid
	}
	if parent == "." {
		return r.use(func(root int) error { return f(root, base) })
	}
	fd, err := r.open(parent, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	return errors.Join(again(func() error { return f(fd, base) }), unix.Close(fd))
}

// use calls f with the root's descriptor, which stays open meanwhile.
func (r *Root) use(f func(root int) error) (err error) {
	closed := r.conn.Control(func(fd uintptr) { err = again(func() error { return f(int(fd)) }) })
	if closed != nil {
		return fs.ErrClosed
	}
	return err
}

// again calls f until no signal interrupts it.
func again(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// inside says whether a name is in its shortest form and leads nowhere up. The kernel refuses to leave the root all the same;
// it would not refuse to delete by the name "a/../b".
func inside(name string) bool { return path.Clean(name) == name && filepath.IsLocal(name) }
