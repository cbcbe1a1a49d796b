package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/medanchor/medanchor/dicomwatch/dir"
)

// errAway says that nothing stands at the folder's path.
var errAway = errors.New("the folder is not there: mount it, or create it")

// reach makes sure that root is what stands at the folder's path now.
func (f *Folder) reach() error {
	err := f.reopen()
	f.mu.Lock()
	f.away = err
	f.mu.Unlock()
	f.wake()
	return err
}

func (f *Folder) reopen() error {
	if f.current() == (nowhere{}) {
		there, err := f.open()
		if err != nil {
			return err
		}
		return f.moveTo(there, true)
	}
	there, err := f.OpenDir(f.Path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return errAway
	}
	if err != nil {
		return fmt.Errorf("open the folder: %w", dir.Cause(err))
	}
	found, err := there.Stat(".")
	if err != nil {
		return errors.Join(fmt.Errorf("look at the folder: %w", err), there.Close())
	}
	known, err := f.current().Stat(".")
	if err == nil && sameFile(known, found) {
		return there.Close()
	}
	return f.moveTo(there, err == nil)
}

// moveTo goes on with what stands at the path now: a folder that was unmounted or removed, and came back. What was known of the
// old one is forgotten, but for what is being taken: it is not offered twice. another says that it is surely another directory.
func (f *Folder) moveTo(there dir.FS, another bool) error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return errors.Join(fs.ErrClosed, there.Close())
	}
	old, before := f.root, f.files
	f.root, f.first, f.table = there, another, newTable(f.Patient.sidecar)
	for at, known := range before {
		if known.state == offered {
			known.elsewhere = true
			f.add(at, known)
		}
	}
	clear(f.refused)
	f.keepLitter()
	f.mu.Unlock()
	if old != (nowhere{}) {
		f.Log.Warn("another folder stands at the door's path: files are taken from it now", "door", f.Name)
	}
	f.hints.start()
	return old.Close()
}

// sameFile says whether two descriptions are of one file.
func sameFile(a, b fs.FileInfo) bool {
	one, ok := a.Sys().(*syscall.Stat_t)
	other, too := b.Sys().(*syscall.Stat_t)
	return ok && too && one.Dev == other.Dev && one.Ino == other.Ino
}
