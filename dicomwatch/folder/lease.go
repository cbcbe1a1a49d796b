package folder

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch/dir"
)

// beingWritten says whether a program has the file open for writing, where that can be known: on a local file system the
// kernel refuses a read lease then (fcntl(2), F_SETLEASE). File servers refuse leases for other reasons too, and tell
// nothing; nor can it be known of a file of another user, unless with CAP_LEASE.
func beingWritten(f dir.File) bool {
	if !local(f) {
		return false
	}
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	if err != nil {
		return errors.Is(err, unix.EAGAIN)
	}
	// Nothing is lost if this fails: the lease ends with the descriptor.
	_, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return false
}

func local(f dir.File) bool {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return false
	}
	switch fs.Type {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC:
		return true
	}
	return false
}
