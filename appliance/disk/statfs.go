package disk

import (
	"errors"
	"math"

	"golang.org/x/sys/unix"
)

// Space is how much a file system has.
type Space struct {
	Bytes, Free        int64 // Free is what a user other than root may use
	Inodes, FreeInodes int64 // 0 where their number is not fixed (btrfs)
}

// Statfs looks at the file system of path (statfs(2)).
func Statfs(path string) (Space, error) {
	var s unix.Statfs_t
	for {
		err := unix.Statfs(path, &s)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return Space{}, err
		}
	}
	return Space{
		Bytes: bytes(s.Blocks, s.Frsize), Free: bytes(s.Bavail, s.Frsize),
		Inodes: bytes(s.Files, 1), FreeInodes: bytes(s.Ffree, 1),
	}, nil
}

// bytes is n blocks of size bytes, or the most that an int64 holds.
func bytes(n uint64, size int64) int64 {
	blocks := int64(min(n, math.MaxInt64)) //nolint:gosec // compared
	if size > 0 && blocks > math.MaxInt64/size {
		return math.MaxInt64
	}
	return blocks * size
}
