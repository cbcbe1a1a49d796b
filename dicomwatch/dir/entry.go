package dir

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// entry describes a file: as an entry of its directory, and by itself.
type entry struct {
	name string
	stat syscall.Stat_t
	err  error // why stat is empty
}

// Name implements fs.DirEntry and fs.FileInfo.
func (e *entry) Name() string { return e.name }

// IsDir implements fs.DirEntry and fs.FileInfo.
func (e *entry) IsDir() bool { return e.Mode().IsDir() }

// Type implements fs.DirEntry.
func (e *entry) Type() fs.FileMode { return e.Mode().Type() }

// Info implements fs.DirEntry.
func (e *entry) Info() (fs.FileInfo, error) {
	if e.err != nil {
		return nil, e.err
	}
	return e, nil
}

// Size implements fs.FileInfo.
func (e *entry) Size() int64 { return e.stat.Size }

// ModTime implements fs.FileInfo.
func (e *entry) ModTime() time.Time { return time.Unix(e.stat.Mtim.Unix()) }

// Sys implements fs.FileInfo: it is a *syscall.Stat_t, as the os package's is.
func (e *entry) Sys() any { return &e.stat }

// Mode implements fs.FileInfo.
func (e *entry) Mode() fs.FileMode {
	mode := fs.FileMode(e.stat.Mode & 0o777)
	switch e.stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return mode
	case unix.S_IFDIR:
		return mode | fs.ModeDir
	case unix.S_IFLNK:
		return mode | fs.ModeSymlink
	case unix.S_IFIFO:
		return mode | fs.ModeNamedPipe
	case unix.S_IFSOCK:
		return mode | fs.ModeSocket
	case unix.S_IFCHR:
		return mode | fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFBLK:
		return mode | fs.ModeDevice
	default: // nor is it known of what cannot be described
		return mode | fs.ModeIrregular
	}
}

// describe makes the entries of these names in the open directory. What is gone since is left out.
func describe(fd int, names []string) []fs.DirEntry {
	slices.Sort(names)
	described := make([]entry, len(names)) // in one piece: there may be a hundred thousand
	entries := make([]fs.DirEntry, 0, len(names))
	for i, name := range names {
		var stat unix.Stat_t
		err := again(func() error { return unix.Fstatat(fd, name, &stat, unix.AT_SYMLINK_NOFOLLOW) })
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		described[i] = entry{name, osStat(&stat), err}
		entries = append(entries, &described[i])
	}
	return entries
}

// osStat is a description in the os package's type, which has no fstatat.
func osStat(s *unix.Stat_t) syscall.Stat_t {
	return syscall.Stat_t{
		Dev: s.Dev, Ino: s.Ino, Nlink: s.Nlink, Mode: s.Mode, Uid: s.Uid, Gid: s.Gid, Rdev: s.Rdev,
		Size: s.Size, Blksize: s.Blksize, Blocks: s.Blocks,
		Atim: syscall.Timespec(s.Atim), Mtim: syscall.Timespec(s.Mtim), Ctim: syscall.Timespec(s.Ctim),
	}
}
