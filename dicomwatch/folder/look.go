package folder

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/medanchor/medanchor/dicomwatch/dir"
)

// attend looks at what is hinted at, and at what is due.
func (f *Folder) attend(ctx context.Context) {
	root := f.current()
	paths := f.hints.take()
	f.mu.Lock()
	for _, at := range f.takeDue(f.clock()) {
		paths[at] = struct{}{}
	}
	f.mu.Unlock()
	for hinted := range paths {
		for _, at := range f.meant(hinted) {
			if ctx.Err() != nil {
				return
			}
			f.lookAt(ctx, root, at)
		}
	}
}

// meant gives what a hint is about: a marker and a sidecar speak of others.
func (f *Folder) meant(at string) []string {
	if !reaches(at) {
		return nil
	}
	if f.takeable(path.Base(at)) {
		return []string{at}
	}
	if of, ok := strings.CutSuffix(at, readySuffix); ok && f.Ready {
		return []string{of}
	}
	if of, ok := strings.CutSuffix(at, sidecarSuffix); ok && f.Patient.sidecar {
		f.mu.Lock()
		defer f.mu.Unlock()
		return append(slices.Clone(f.stems[of]), of)
	}
	return nil
}

// lookAt looks at one path.
func (f *Folder) lookAt(ctx context.Context, root dir.FS, at string) {
	info, err := root.Stat(at)
	f.refuse(at, err)
	switch {
	case err != nil && isGone(err):
		f.gone(at)
		return
	case err != nil:
		f.later(at)
		return
	case info.IsDir() && enters(at):
		_ = f.walk(ctx, at, func() {}) // its errors are remembered
		return
	}
	s, ok := stampOf(info)
	if !ok || !f.takeable(path.Base(at)) {
		f.gone(at)
		return
	}
	var names []string
	if f.Ready {
		names = append(names, at+readySuffix)
	}
	if f.Patient.sidecar {
		names = append(names, sidecarNames(at)...)
	}
	stands, _ := lookBeside(root, names...) // what cannot be told now is told by a scan
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(at, s, stands, false)
}

// later has a file that could not be looked at looked at again.
func (f *Folder) later(at string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.files[at]; known != nil && known.state == resting {
		f.rest(at, known, f.clock()+f.Rescan)
	}
}

// gone forgets a file that is not there any more.
func (f *Folder) gone(at string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.files[at]
	switch {
	case known == nil:
	case known.state == offered:
		known.changed = true
	default:
		f.forget(at, known)
	}
}

// forget forgets a file that is not there any more. One whose disposal was said to have failed leaves its marker behind.
func (f *Folder) forget(at string, known *file) {
	if known.owed && known.detail().marker != (stamp{}) {
		f.litter[at+readySuffix] = leftover{taken: known.more.marker}
	}
	f.remove(at)
}
