package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/dir"
	"github.com/medanchor/medanchor/document"
)

// Sealer seals small values, each bound to its place; seal.Keys implements it.
type Sealer interface {
	SealValue(bucket string, key, plaintext []byte) []byte
	OpenValue(bucket string, key, sealed []byte) ([]byte, error)
}

// Cipher encrypts objects as payloads of age v1 files. Package vault/seal has both functions.
type Cipher interface {
	// NewFile encrypts what is written to file, under a key of its own. Close ends the payload; it does not close dst.
	NewFile(dst io.Writer) (key [16]byte, file io.WriteCloser, err error)
	// OpenAt decrypts a payload of size bytes at any place. One that was cut short is refused here.
	OpenAt(key [16]byte, payload io.ReaderAt, size int64) (plain io.ReaderAt, plainSize int64, err error)
}

// Intake takes deliveries; ingest.Pipeline implements it.
type Intake interface {
	// Submit returns once the delivery is taken in hand: the back-pressure on the door.
	Submit(ctx context.Context, d document.Delivery) error
}

// Options describe a spool. Name, Path, Sealer, Cipher and Log are required.
type Options struct {
	Name   string // of the door
	Path   string // of its directory, which is made if there is none; all above it must be there
	Sealer Sealer
	Cipher Cipher
	Log    *slog.Logger

	// Room is asked before an object is taken, while a large one comes in, and before it counts. pending is what is in the
	// spool, in bytes: each is to be written once more, into the vault. nil: there is room.
	Room func(pending int64) error
	// MaxBytes is how much may wait here for the pipeline; 0 for 8 GiB. While there is more, Commit waits. After Patience
	// (0 for 30 s) it gives up with document.ErrNoRoom, and so does Create at once.
	MaxBytes int64
	Patience time.Duration
	// Lull is for how long nothing must have come before what waits is offered, so that the machine is the senders' while they
	// send; 0 for 200 ms, negative for not at all. What waits for LullAge (0 for 10 s) is offered all the same, and so is all
	// once it is LullBytes (0 for 1 GiB).
	Lull, LullAge time.Duration
	LullBytes     int64
	// Recheck is how often the directory is looked at: whether it is there, and whether what was put aside or could not be
	// removed is better now; 0 for 5 s.
	Recheck time.Duration
	// Trace, if set, is called at each step of each object. It must not block.
	Trace func(document.Step)
	// OpenDir opens a directory; nil for dir.Open.
	OpenDir func(path string) (dir.FS, error)
}

func (o Options) withDefaults() Options {
	if o.Room == nil {
		o.Room = func(int64) error { return nil }
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 8 << 30
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	if o.Lull == 0 {
		o.Lull = 200 * time.Millisecond
	}
	if o.LullAge == 0 {
		o.LullAge = 10 * time.Second
	}
	if o.LullBytes == 0 {
		o.LullBytes = 1 << 30
	}
	if o.Recheck == 0 {
		o.Recheck = 5 * time.Second
	}
	if o.Trace == nil {
		o.Trace = func(document.Step) {}
	}
	if o.OpenDir == nil {
		o.OpenDir = func(path string) (dir.FS, error) {
			root, err := dir.Open(path)
			if err != nil {
				return nil, err
			}
			return root, nil
		}
	}
	return o
}

// Spool is the spool in one directory, of which it is the only user. Make it with New, then Run it once. It is safe for
// concurrent use.
type Spool struct {
	Options
	intake Intake

	// files is held while objects leave (for reading), and while the directory is listed: what leaves meanwhile would be
	// taken for new.
	files sync.RWMutex

	failed chan struct{} // closed with fatal
	wake   chan struct{} // there may be something to offer

	mu       sync.Mutex
	fatal    error
	home     *home
	homes    []*home            // all that objects may be in
	objects  map[string]*object // durable, by name
	ready    []*object          // to be offered, in the order of arrival
	later    []*object          // to be offered again, by due
	arriving map[string]bool    // on their way in
	litter   map[string]*home   // to be removed
	aside    map[string]error   // cannot be opened, with the reason
	kept     int                // files kept open
	came     time.Time          // when the last object began, or became durable
	bytes    int64              // in the files of objects
	incoming int64              // in those of what is on its way in
	drained  chan struct{}      // closed when an object leaves
	full     time.Time          // since when there is more than MaxBytes
	gone     error              // the directory is not there
	trouble  error              // what the last object could not be written with
}

// New opens the spool, and finds what waits in it. Nothing of it is offered before Run.
func New(o Options, intake Intake) (*Spool, error) {
	s := &Spool{
		Options: o.withDefaults(), intake: intake,
		failed: make(chan struct{}), wake: make(chan struct{}, 1), drained: make(chan struct{}),
		objects: make(map[string]*object), arriving: make(map[string]bool), litter: make(map[string]*home),
	}
	h, err := s.makeHome()
	if err != nil {
		return nil, fmt.Errorf("open the spool folder %s: %w: it must be a directory that the user medanchor runs as may write",
			s.Path, err)
	}
	s.home, s.homes = h, []*home{h}
	if err := s.load(h); err != nil {
		return nil, errors.Join(fmt.Errorf("open the spool folder %s: %w: check its disk", s.Path, err), h.Close())
	}
	return s, nil
}

// Close lets go of the directory. What waits stays in it.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, o := range s.objects {
		s.letGo(o)
	}
	for _, h := range s.homes {
		errs = append(errs, h.Close())
	}
	s.homes = nil
	return errors.Join(errs...)
}

// Waiting is how many objects wait here to be durable in the vault, and how many bytes of the disk all that is here takes, what
// is on its way in counted.
func (s *Spool) Waiting() (objects int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.objects), s.bytes + s.incoming
}

// Err is what is wrong with the spool; nil if nothing is.
func (s *Spool) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := []error{s.fatal, s.gone, s.trouble}
	if !s.full.IsZero() && time.Since(s.full) >= s.Patience {
		errs = append(errs, &backlogError{s.bytes})
	}
	if n := len(s.aside); n > 0 {
		errs = append(errs, fmt.Errorf("%d objects in the spool folder %s cannot be opened, and are kept there: %w; if the vault's "+
			"key or the disk was replaced, put back what belongs together, or move the files that the log names out of the folder, "+
			"and have the device send them again", n, s.Path, first(s.aside)))
	}
	if n, last := s.heldBack(); n > 0 {
		errs = append(errs, fmt.Errorf("%d objects in the spool were not taken, and are tried again: %w", n, last))
	}
	return errors.Join(errs...)
}

// heldBack counts what the pipeline handed back, and gives a reason. The caller holds s.mu.
func (s *Spool) heldBack() (n int, reason error) {
	for _, o := range s.objects {
		if o.held != nil {
			n, reason = n+1, o.held
		}
	}
	return n, reason
}

// fail remembers a failed fsync: nothing more is acknowledged.
func (s *Spool) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fatal == nil {
		s.fatal = err
		close(s.failed)
	}
	return err
}

func (s *Spool) fatalErr() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fatal
}
