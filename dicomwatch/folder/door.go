package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch/dir"
	"github.com/medanchor/medanchor/document"
)

// longestPause bounds the pause before a file that was handed back is offered again.
const longestPause = 10 * time.Minute

// openFile is a source that is being read.
type openFile struct {
	dir.File
	claim document.Claim
	// sidecar says whether the file's sidecar is still the one by which it was offered; nil where there is none.
	sidecar func() error
}

// Unchanged implements document.File.
func (o *openFile) Unchanged() error {
	info, err := o.Stat()
	if err != nil {
		return err
	}
	if s, ok := stampOf(info); !ok || !s.matches(o.claim) {
		return document.ErrChanged
	}
	if o.sidecar != nil {
		return o.sidecar()
	}
	return nil
}

// Open implements document.Door. Symbolic links are not followed, and nothing blocks (a FIFO put in the file's place).
func (f *Folder) Open(c document.Claim) (document.File, error) {
	at, err := f.rel(c)
	if err != nil {
		return nil, document.ErrChanged
	}
	root := f.current()
	opened, err := root.Open(at, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case isGone(err), errors.Is(err, fs.ErrInvalid), errors.Is(err, unix.ENXIO): // ENXIO: a socket
		return nil, document.ErrChanged
	case errors.Is(err, unix.EAGAIN): // a lease, which this open asks its holder to give up
		return nil, fmt.Errorf("%w: a program has it to itself", document.ErrChanged)
	case err != nil:
		return nil, fmt.Errorf("open source: %w", err)
	}
	source := &openFile{File: opened, claim: c, sidecar: f.sameSidecar(root, at, c)}
	if err := source.Unchanged(); err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	if beingWritten(opened) {
		return nil, errors.Join(fmt.Errorf("%w: a program still has it open for writing", document.ErrChanged), opened.Close())
	}
	return source, nil
}

// Release implements document.Door.
func (f *Folder) Release(c document.Claim, reason error) {
	at, err := f.rel(c)
	if err != nil {
		return
	}
	f.release(at, c, reason)
	for _, usual := range []error{document.ErrChanged, document.ErrGrowing, document.ErrNoRoom, context.Canceled} {
		if errors.Is(reason, usual) {
			return
		}
	}
	f.Log.Warn("file left at the door: see medanchor status for its path", "door", f.Name, "reason", reason)
}

// release says when a file that was handed back is offered again.
func (f *Folder) release(at string, c document.Claim, reason error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.offered(at, c)
	if known == nil {
		return
	}
	known.detail().held = reason
	now := f.clock()
	switch {
	case errors.Is(reason, document.ErrChanged):
		known.since = now // it is known to change
		f.rest(at, known, now+known.handedBack(f.Quiet, f.longestQuiet()))
	case errors.Is(reason, document.ErrGrowing) && known.since+f.Patience > now:
		known.handedBack(f.Quiet, f.longestQuiet())
		f.rest(at, known, known.since+f.Patience)
	default:
		f.rest(at, known, now+known.handedBack(f.Rescan, longestPause))
	}
	f.back(at, known)
	f.hints.wake()
}
