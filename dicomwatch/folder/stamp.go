package folder

import (
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/medanchor/medanchor/document"
)

// stamp changes whenever a file's content may have. There is one for each file that waits: times are Unix nanoseconds.
type stamp struct {
	device, inode uint64
	size          int64
	modTime       int64
	changeTime    int64
}

// stampOf is the stamp of a regular file.
func stampOf(info fs.FileInfo) (s stamp, ok bool) {
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() {
		return stamp{}, false
	}
	return stamp{
		device: sys.Dev, inode: sys.Ino, size: sys.Size, modTime: sys.Mtim.Nano(), changeTime: sys.Ctim.Nano(),
	}, true
}

// changed is when the file changed last, by the clock of where it is.
func (s stamp) changed() time.Time { return time.Unix(0, max(s.modTime, s.changeTime)) }

// claim is that of a file with this stamp.
func (s stamp) claim(door, root, at string) document.Claim {
	return document.Claim{
		Door: door, Path: filepath.Join(root, at), Device: s.device, Inode: s.inode, Size: s.size,
		ModTime: time.Unix(0, s.modTime), ChangeTime: time.Unix(0, s.changeTime),
	}
}

// claimed is the stamp of what was claimed.
func claimed(c document.Claim) stamp {
	return stamp{c.Device, c.Inode, c.Size, c.ModTime.UnixNano(), c.ChangeTime.UnixNano()}
}

// matches says whether a file is still what was claimed.
func (s stamp) matches(c document.Claim) bool { return s == claimed(c) }

// isNow says whether it is the file that had a stamp before it was moved, which is a change. The disk may be mounted anew.
func (s stamp) isNow(before stamp) bool {
	return s.inode == before.inode && s.size == before.size && s.modTime == before.modTime
}
