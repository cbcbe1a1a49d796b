package folder

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// scan looks at everything. What is stable is queued as it is found.
func (f *Folder) scan(ctx context.Context) error {
	if err := f.reach(); err != nil {
		return err
	}
	f.mu.Lock()
	f.round++
	f.mu.Unlock()
	if err := f.walk(ctx, ".", func() { f.attend(ctx) }); err != nil {
		return err
	}
	f.finish()
	f.removeLitter()
	return nil
}

// finish forgets what a scan of everything did not see.
func (f *Folder) finish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.first = false
	maps.DeleteFunc(f.refused, func(_ string, r refusal) bool { return r.round != f.round })
	if f.unread == 0 && len(f.refused) > 0 {
		f.Log.Warn("some of the folder cannot be read: see medanchor status for the paths", "door", f.Name, "count", len(f.refused))
	}
	f.unread = len(f.refused)
	for at, known := range f.files {
		if known.round != f.round && known.state != offered && !f.unseen(at) {
			f.forget(at, known)
		}
	}
}

// unseen says whether a file, or a folder above it, could not be looked at.
func (f *Folder) unseen(at string) bool {
	for ; len(f.refused) > 0 && at != "."; at = path.Dir(at) {
		if _, refused := f.refused[at]; refused {
			return true
		}
	}
	return false
}

// walk looks at a directory and all below it, and calls between after each. The error is of the folder itself; subfolders that
// cannot be read are remembered.
func (f *Folder) walk(ctx context.Context, top string, between func()) error {
	for pending := []string{top}; len(pending) > 0; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		at := pending[len(pending)-1]
		f.hints.watch(at) // before it is listed, so that nothing comes in between
		entries, err := f.current().List(at)
		if err != nil && at == "." {
			return err
		}
		f.refuse(at, err)
		if err != nil {
			entries = nil // half a list is none
		}
		pending = append(pending[:len(pending)-1], f.noteAll(at, entries)...)
		between()
	}
	return nil
}

// refuse remembers why something cannot be looked at, or that it can.
func (f *Folder) refuse(at string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil || isGone(err) {
		delete(f.refused, at)
		return
	}
	f.refused[at] = refusal{err, f.round}
}

// isGone says by an error that nothing stands at a path that could be looked at: nothing at all, or a link.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// noteAll takes down a directory's files, and gives its subfolders, the first one last.
func (f *Folder) noteAll(at string, entries []fs.DirEntry) (subfolders []string) {
	stands := listed(at, entries)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, entry := range entries {
		name := path.Join(at, entry.Name())
		if entry.IsDir() && enters(name) {
			subfolders = append(subfolders, name)
		}
		left := strings.HasPrefix(entry.Name(), takenPrefix)
		if entry.IsDir() || !left && !f.takeable(entry.Name()) {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			f.refused[name] = refusal{err, f.round}
			continue
		}
		delete(f.refused, name)
		switch s, ok := stampOf(info); {
		case ok && left:
			f.noteLeft(name, s)
		case ok:
			f.note(name, s, stands, f.first)
		}
	}
	slices.Reverse(subfolders)
	return subfolders
}

// listed says what stands beside a file by the list of its directory.
func listed(dir string, entries []fs.DirEntry) beside {
	return func(at string) (stamp, bool) {
		name := at
		if dir != "." {
			name = strings.TrimPrefix(at, dir+"/")
		}
		i, ok := slices.BinarySearchFunc(entries, name, func(e fs.DirEntry, name string) int {
			return strings.Compare(e.Name(), name)
		})
		if !ok {
			return stamp{}, false
		}
		info, err := entries[i].Info()
		if err != nil {
			return stamp{}, true
		}
		s, _ := stampOf(info)
		return s, true
	}
}
