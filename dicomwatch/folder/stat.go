package folder

import (
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/medanchor/medanchor/document"
)

// takeable says whether a directory entry is a file that may be offered.
func takeable(entry fs.DirEntry) bool {
	name := entry.Name()
	return entry.Type().IsRegular() && !hidden(name) && !inProgress(name)
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// inProgress says whether a name is one that copying programs give to a file that is not whole yet.
func inProgress(name string) bool {
	name = strings.ToLower(name)
	for _, suffix := range []string{".part", ".tmp", ".filepart", ".partial", ".crdownload", "~"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

func stampOf(entry fs.DirEntry) (stamp, bool) {
	info, err := entry.Info()
	if err != nil {
		return stamp{}, false // gone since
	}
	return stampOfInfo(info)
}

func stampOfInfo(info fs.FileInfo) (stamp, bool) {
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{}, false
	}
	return stamp{
		device:     sys.Dev,
		inode:      sys.Ino,
		size:       info.Size(),
		modTime:    info.ModTime(),
		changeTime: time.Unix(sys.Ctim.Unix()),
	}, true
}

// matches says whether a file is still what was claimed.
func (s stamp) matches(c document.Claim) bool {
	return s.device == c.Device && s.inode == c.Inode && s.size == c.Size && s.modTime.Equal(c.ModTime) &&
		s.changeTime.Equal(c.ChangeTime)
}
