package folder

import (
	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// Deafen has the folder hear of no more changes.
func (f *Folder) Deafen() { f.hints.stop() }

// Overflow is what the folder hears when the kernel's queue of changes overflows.
func (f *Folder) Overflow() {
	errs := make(chan error, 1)
	errs <- fsnotify.ErrEventOverflow
	close(errs)
	f.hints.read(nil, errs, make(chan struct{}))
}

// TooManyFolders is what the folder hears when one more folder cannot be watched.
func (f *Folder) TooManyFolders() { f.hints.watched(unix.ENOSPC) }

// ParseSidecar is parseSidecar.
var ParseSidecar = parseSidecar

// Scans is how many scans of everything were begun and ended.
func (f *Folder) Scans() uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.first {
		return 0
	}
	return f.round
}
