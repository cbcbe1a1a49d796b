package folder

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/dir"
	"github.com/medanchor/medanchor/document"
)

// Intake takes deliveries; ingest.Pipeline implements it.
type Intake interface {
	// Submit returns once the delivery is taken in hand: the back-pressure on the door.
	Submit(ctx context.Context, d document.Delivery) error
}

// Folder is one drop folder. Make it with New, then Run it once.
type Folder struct {
	Options
	intake Intake
	began  time.Time
	hints  *hints
	wakes  chan struct{} // something is queued, or what kept files from being offered may be over
	bare   func() bool   // isBare, when it was first asked: there may be very many files, and as many questions at the start

	disposing sync.Mutex // held while sources are moved: a free name is free for one of them

	mu   sync.Mutex // held for no call of the disk
	root dir.FS
	table
	first   bool   // the scan that is to come, or goes on, is the first of this root
	round   uint32 // of scans
	refused map[string]refusal
	unread  int // how many were refused in the last scan
	litter  map[string]leftover

	away    error // why the folder's path leads to no folder
	scanErr error // of the last scan
	full    error // why nothing is offered: document.ErrNoRoom
	closed  bool
}

// refusal is why a subfolder or a file could not be looked at.
type refusal struct {
	err   error
	round uint32
}

// New makes the door of the folder, which need not be there yet: see Err. An error is one of the options.
func New(o Options, intake Intake) (*Folder, error) {
	o = o.withDefaults()
	if o.Quiet >= o.Patience {
		return nil, fmt.Errorf("folder %s: its patience, %s, must be longer than its quiet period, %s", o.Name, o.Patience, o.Quiet)
	}
	root, away := o.open()
	f := &Folder{
		Options: o, intake: intake, began: time.Now(), wakes: make(chan struct{}, 1),
		root: root, away: away, first: true, table: newTable(o.Patient.sidecar),
		refused: make(map[string]refusal), litter: make(map[string]leftover),
	}
	f.bare = sync.OnceValue(f.isBare)
	f.hints = newHints(o.Path, func(err error) {
		f.Log.Warn("not all changes are notified: files are found by scanning", "door", f.Name, "err", dir.Cause(err))
	})
	return f, nil
}

// open opens the folder for the first time; if it cannot be used, it stands nowhere.
func (o Options) open() (root dir.FS, away error) {
	if err := o.usable(); err != nil {
		return nowhere{}, err
	}
	root, err := o.OpenDir(o.Path)
	if err != nil {
		return nowhere{}, fmt.Errorf("open the folder: %w", dir.Cause(err))
	}
	return root, nil
}

// Close lets go of the folder.
func (f *Folder) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	return f.root.Close()
}

// Err is why files wait, if something keeps all of them waiting: the folder is away or cannot be read, or the disk is at its
// reserve. It is nil if nothing does.
func (f *Folder) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, err := range []error{f.away, f.scanErr, f.full} {
		if err != nil {
			return err
		}
	}
	return nil
}

// Held is why files wait, or cannot be looked at, by path inside the folder. Paths may be personal data.
func (f *Folder) Held() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := make(map[string]string)
	for at, known := range f.files {
		if reason := f.reason(known); reason != "" {
			held[at] = reason
		}
	}
	for at, refusal := range f.refused {
		held[at] = "it cannot be read: " + refusal.err.Error()
	}
	for at, left := range f.litter {
		if left.err != nil {
			held[at] = left.err.Error()
		}
	}
	return held
}

// reason is why a file waits; empty if it does not, or waits for its turn only.
func (f *Folder) reason(known *file) string {
	switch {
	case known.more != nil && known.more.lacks != nil:
		return known.more.lacks.Error()
	case known.more != nil && errors.Is(known.more.held, document.ErrGrowing):
		return "ends early: waits for the rest until " + f.wall(known.since+f.Patience)
	case known.more != nil && known.more.held != nil:
		return known.more.held.Error()
	case known.state == queued && f.full != nil:
		return f.full.Error()
	default:
		return ""
	}
}

// Waiting is how many files were seen and are not taken yet.
func (f *Folder) Waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, known := range f.files {
		if known.state != kept {
			n++
		}
	}
	return n
}

// clock is the time since the door was made, by a clock that nobody sets.
func (f *Folder) clock() time.Duration { return time.Since(f.began) }

// wall tells a time of clock to a person.
func (f *Folder) wall(at time.Duration) string {
	return f.Now().Add(at - f.clock()).Format(time.TimeOnly)
}

// rel is the path inside the folder of a claim of this door.
func (f *Folder) rel(c document.Claim) (string, error) { return filepath.Rel(f.Path, c.Path) }

func (f *Folder) current() dir.FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.root
}
