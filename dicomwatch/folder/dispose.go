package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"

	"github.com/medanchor/medanchor/document"
)

// Acknowledge implements document.Door: it disposes of the sources, and makes that durable with one fsync a directory.
func (f *Folder) Acknowledge(_ context.Context, claims []document.Claim) (gone []document.Claim, err error) {
	if f.Disposal == Keep {
		f.keep(claims)
		return nil, nil
	}
	f.disposing.Lock()
	defer f.disposing.Unlock()
	d := f.newDisposal()
	var errs []error
	for _, c := range claims {
		at, err := f.rel(c)
		if err != nil {
			errs = append(errs, errors.New("dispose of a source: it is outside the folder"))
			continue
		}
		away, err := d.dispose(at, c)
		f.settled(at, c, err)
		if err != nil {
			errs = append(errs, err)
		}
		if away {
			gone = append(gone, c)
		}
	}
	if err := d.sync(); err != nil {
		return nil, errors.Join(append(errs, err)...)
	}
	for range gone {
		f.Trace(document.StepDisposed)
	}
	return gone, errors.Join(errs...)
}

// keep remembers that the files were taken, so that they are not offered again until they change.
func (f *Folder) keep(claims []document.Claim) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range claims {
		at, err := f.rel(c)
		if err != nil {
			continue
		}
		if known := f.offered(at, c); known != nil {
			known.state, known.more, known.tries = kept, nil, 0
			f.back(at, known)
		}
	}
}

// settled forgets a file that was disposed of, or has it offered again, for its acknowledgement to be tried again.
func (f *Folder) settled(at string, c document.Claim, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.offered(at, c)
	switch {
	case known == nil:
		return
	case err == nil:
		f.remove(at)
	default:
		known.owed, known.detail().held = true, fmt.Errorf("it is taken, and stays in the folder until it can be moved or deleted: %w", err)
		f.rest(at, known, f.clock()+known.handedBack(f.Rescan, longestPause))
		f.hints.wake()
	}
	f.back(at, known)
}

// Disposed says whether the source that was found at this path has been disposed of: it is deleted, or it is in done/. It says
// no where that cannot be told: a folder whose disk is not mounted is empty, and so may be one that deletes its files. One that
// keeps them disposes of none.
func (f *Folder) Disposed(found string) bool {
	at, err := filepath.Rel(f.Path, found)
	if err != nil || f.Disposal == Keep {
		return false
	}
	root := f.current()
	if _, err := root.Stat(at); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if f.Disposal == Delete {
		return !f.bare()
	}
	_, err = root.Stat(path.Join(doneDir, at))
	return err == nil
}

// isBare says whether the folder holds nothing at all, or nothing that can be told.
func (f *Folder) isBare() bool {
	entries, err := f.current().List(".")
	return err != nil || len(entries) == 0
}
