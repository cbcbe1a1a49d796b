package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/dir"
	"github.com/medanchor/medanchor/document"
)

// opened is an object that is being read.
type opened struct {
	plain  io.ReaderAt
	sealed *source
	file   dir.File // nil if it stays open
}

// ReadAt implements io.ReaderAt.
func (o *opened) ReadAt(b []byte, off int64) (int, error) {
	n, err := o.plain.ReadAt(b, off)
	if err != nil && !errors.Is(err, io.EOF) && o.sealed.failed() == nil {
		err = damaged(err)
	}
	return n, err
}

// damaged is what is said of an object that the disk gives, and that does not decrypt.
func damaged(err error) error {
	return fmt.Errorf("%w: %w: move its file out of the spool folder, restart, and have the device send it again", errDamaged, err)
}

// Close implements io.Closer.
func (o *opened) Close() error {
	if o.file == nil {
		return nil
	}
	return o.file.Close()
}

// Unchanged implements document.File: what was changed does not decrypt.
func (*opened) Unchanged() error { return nil }

// Open implements document.Door.
func (s *Spool) Open(c document.Claim) (document.File, error) {
	s.mu.Lock()
	o := s.objects[c.Path]
	s.mu.Unlock()
	if o == nil {
		return nil, document.ErrChanged
	}
	file, own, err := s.file(o)
	if err != nil {
		return nil, fmt.Errorf("open an object in the spool: %w", err)
	}
	sealed := &source{file: file}
	plain, _, err := s.Cipher.OpenAt(o.key, o.payload(sealed), o.payloadSize())
	if failed := sealed.failed(); failed != nil {
		err = failed // age reads further than it needs to, and says nothing of what fails there
	} else if err != nil {
		err = damaged(err)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open an object in the spool: %w", err), (&opened{file: own}).Close())
	}
	return &opened{plain, sealed, own}, nil
}

// file is the object's open file; own is the same if it is the caller's to close.
func (s *Spool) file(o *object) (file io.ReaderAt, own dir.File, err error) {
	s.mu.Lock()
	kept, h := o.kept, o.home
	s.mu.Unlock()
	if kept != nil {
		return kept, nil, nil
	}
	own, err = h.Open(o.name, os.O_RDONLY, 0)
	return own, own, err
}

// Release implements document.Door.
func (s *Spool) Release(c document.Claim, reason error) {
	s.mu.Lock()
	o := s.objects[c.Path]
	s.mu.Unlock()
	if o != nil {
		s.handBack(o, reason)
	}
}

// Acknowledge implements document.Door: it removes the objects, and makes that durable with one fsync of the directory.
func (s *Spool) Acknowledge(_ context.Context, claims []document.Claim) (gone []document.Claim, err error) {
	s.files.RLock()
	defer s.files.RUnlock()
	touched := make(map[*home]bool)
	var errs []error
	for _, c := range claims {
		h, err := s.dispose(c)
		if err != nil {
			err = fmt.Errorf("remove an object from the spool: %w", err)
			s.Release(c, err) // the pipeline knows it as taken, and acknowledges it again
			errs = append(errs, err)
			continue
		}
		touched[h] = true
		gone = append(gone, c)
	}
	for h := range touched {
		if err := h.Sync("."); err != nil {
			return nil, errors.Join(append(errs, s.fail(fmt.Errorf("make the spool's directory durable: %w", err)))...)
		}
	}
	for _, c := range gone {
		s.forget(c.Path)
		s.Trace(document.StepDisposed)
	}
	return gone, errors.Join(errs...)
}

// dispose removes the file of a claim, and gives the directory that it was in.
func (s *Spool) dispose(c document.Claim) (*home, error) {
	if _, err := document.ParseItemID(c.Path); err != nil {
		return nil, errors.New("the claim is of another door")
	}
	s.mu.Lock()
	h := s.home
	if o := s.objects[c.Path]; o != nil {
		h = o.home
	}
	s.mu.Unlock()
	if err := h.Remove(c.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return h, nil
}

// forget lets go of an object that is removed.
func (s *Spool) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[name]
	if o == nil {
		return
	}
	delete(s.objects, name)
	s.letGo(o)
	s.bytes -= o.fileSize
	if s.bytes <= s.MaxBytes {
		s.full = time.Time{}
	}
	close(s.drained)
	s.drained = make(chan struct{})
}

// letGo closes the file of an object that is kept open. The caller holds s.mu.
func (s *Spool) letGo(o *object) {
	if o.kept == nil {
		return
	}
	_ = o.kept.Close() // it was only read since it is durable
	o.kept = nil
	s.kept--
}

// Disposed says whether the object that was found at this path, which is its name, has been removed. A directory that is not
// there tells nothing.
func (s *Spool) Disposed(path string) bool {
	h := s.current()
	if s.present(h) != nil {
		return false
	}
	_, err := h.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}
