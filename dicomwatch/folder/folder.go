package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// Disposal says what becomes of a file once it is durable.
type Disposal string

// The disposals.
const (
	Done   Disposal = "done"   // moved to done/ inside the folder
	Keep   Disposal = "keep"   // left where it is
	Delete Disposal = "delete" // deleted
)

// doneDir is where Done moves files, inside the folder.
const doneDir = "done"

// hintPause is the shortest time between two scans.
const hintPause = 20 * time.Millisecond

// Options describe one drop folder. All are required but Patient.
type Options struct {
	Name     string // as in the configuration; stands in logs and metrics
	Path     string
	Disposal Disposal
	// Quiet is how long a file must stay the same before it is offered.
	Quiet time.Duration
	// Rescan is the longest time between two scans.
	Rescan time.Duration
	// Kind is the record kind of what is not DICOM.
	Kind record.Kind
	// Patient tells whose a file is that does not say so itself: matched against the path inside the folder (with
	// slashes), its group "id" is the identifier. Nil if the folder has no such rule.
	Patient *regexp.Regexp
	// Issuer is the issuer of the identifiers that Patient finds.
	Issuer string
	Log    *slog.Logger
}

// Intake takes deliveries; ingest.Pipeline implements it.
type Intake interface {
	// Submit returns once the delivery is taken in hand: the back-pressure on the door.
	Submit(ctx context.Context, d document.Delivery) error
}

// Folder is one drop folder. Make it with New, then Run it once.
type Folder struct {
	Options
	root   *os.Root
	intake Intake

	mu      sync.Mutex
	files   map[string]*file // by path inside the folder
	scanErr error            // of the last scan
}

// file is what is known of one file in the folder.
type file struct {
	stamp  stamp
	stable time.Time // when it will be stable, if its stamp stays
	held   error     // why it was handed back the last time

	inPipeline bool // offered, and neither acknowledged nor handed back
	kept       bool // acknowledged, and left where it is
}

// stamp changes whenever a file's content may have.
type stamp struct {
	device, inode uint64
	size          int64
	modTime       time.Time
	changeTime    time.Time
}

// New opens the folder. The error says what to do about a folder that is missing or may not be used.
func New(o Options, intake Intake) (*Folder, error) {
	info, err := os.Stat(o.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("folder %s: %s does not exist: create it, or mount it, and start again", o.Name, o.Path)
	case err != nil:
		return nil, fmt.Errorf("folder %s: %w", o.Name, err)
	case !info.IsDir():
		return nil, fmt.Errorf("folder %s: %s is not a directory", o.Name, o.Path)
	}
	if err := unix.Access(o.Path, o.need()); err != nil {
		return nil, fmt.Errorf("folder %s: no permission to %s %s: give it to the user that medanchor runs as",
			o.Name, o.verb(), o.Path)
	}
	root, err := os.OpenRoot(o.Path)
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", o.Name, err)
	}
	return &Folder{Options: o, root: root, intake: intake, files: make(map[string]*file)}, nil
}

func (o Options) need() uint32 {
	if o.Disposal == Keep {
		return unix.R_OK | unix.X_OK
	}
	return unix.R_OK | unix.W_OK | unix.X_OK
}

func (o Options) verb() string {
	if o.Disposal == Keep {
		return "read"
	}
	return "read and write"
}

// Close lets go of the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Run scans and offers files until ctx ends.
func (f *Folder) Run(ctx context.Context) error {
	hints, err := newHints(f.root.Name())
	if err != nil {
		f.Log.Warn("no change notification: files are found by scanning only", "door", f.Name, "err", pathless(err))
	}
	defer hints.close()
	for {
		began := time.Now()
		next, err := f.scan(ctx, hints)
		took := time.Since(began)
		if ctx.Err() != nil {
			return nil
		}
		f.scanned(err)
		if !wait(ctx, time.Until(next), hints.c) {
			return nil
		}
		// However many hints come, scanning takes at most half of the time.
		if !wait(ctx, max(hintPause, took), nil) {
			return nil
		}
	}
}

// wait returns after d or at a hint; false if ctx ended.
func wait(ctx context.Context, d time.Duration, hint <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-hint:
	}
	return true
}

// scanned remembers how a scan ended, and tells of a change.
func (f *Folder) scanned(err error) {
	err = pathless(err)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil && f.scanErr == nil:
		f.Log.Error("the folder cannot be read: files wait in it, and are tried again", "door", f.Name, "err", err)
	case err == nil && f.scanErr != nil:
		f.Log.Info("the folder can be read again", "door", f.Name)
	}
	f.scanErr = err
}

// Err is why the last scan could not read the folder; nil if it could.
func (f *Folder) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.scanErr
}

// Held are the files that were handed back, by path, with the reason. Paths may be personal data.
func (f *Folder) Held() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := make(map[string]string)
	for path, known := range f.files {
		if known.held != nil {
			held[path] = known.held.Error()
		}
	}
	return held
}

// scan walks the folder, offers what is stable, and returns when to look again.
func (f *Folder) scan(ctx context.Context, hints *hints) (next time.Time, err error) {
	now := time.Now()
	next = now.Add(f.Rescan)
	seen := make(map[string]stamp)
	err = fs.WalkDir(f.root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return skipUnreadable(entry, err)
		}
		if entry.IsDir() {
			return f.enter(path, hints)
		}
		if takeable(entry) {
			if s, ok := stampOf(entry); ok {
				seen[path] = s
			}
		}
		return nil
	})
	stable, soonest := f.note(seen, now, err == nil)
	if !soonest.IsZero() && soonest.Before(next) {
		next = soonest
	}
	for _, path := range stable {
		if submitErr := f.intake.Submit(ctx, f.delivery(path, seen[path])); submitErr != nil {
			f.release(path, submitErr)
			return next, submitErr
		}
	}
	return next, err
}

// skipUnreadable leaves out a subfolder that cannot be read or is gone; the root must be readable.
func skipUnreadable(entry fs.DirEntry, err error) error {
	if entry == nil || entry.Name() == "." {
		return err
	}
	if entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// enter decides whether a directory is walked, and has it watched.
func (f *Folder) enter(path string, hints *hints) error {
	if path == doneDir || (path != "." && hidden(filepath.Base(path))) {
		return fs.SkipDir
	}
	hints.watch(filepath.Join(f.root.Name(), path))
	return nil
}

// note compares what a scan saw with what is known, and marks as taken the files that it returns: those that are stable.
// soonest is when the next file will be stable.
func (f *Folder) note(seen map[string]stamp, now time.Time, whole bool) (stable []string, soonest time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if whole {
		maps.DeleteFunc(f.files, func(path string, known *file) bool {
			_, ok := seen[path]
			return !ok && !known.inPipeline
		})
	}
	for path, s := range seen {
		known := f.files[path]
		if known == nil || (known.stamp != s && !known.inPipeline) {
			known = f.meet(known, s, now)
			f.files[path] = known
		}
		switch {
		case known.inPipeline, known.kept:
		case known.stable.After(now):
			if soonest.IsZero() || known.stable.Before(soonest) {
				soonest = known.stable
			}
		default:
			known.inPipeline = true
			stable = append(stable, path)
		}
	}
	slices.Sort(stable)
	return stable, soonest
}

// meet is what is known of a file with a new stamp. One that was handed back waits for a rescan.
func (f *Folder) meet(before *file, s stamp, now time.Time) *file {
	met := &file{stamp: s, stable: f.stableAt(s, now)}
	if before != nil && before.held != nil {
		met.held, met.stable = before.held, now.Add(f.Rescan)
	}
	return met
}

// stableAt is when a file with this stamp has been quiet for long enough. A file whose last change is longer ago than
// that is stable at once; a clock that runs behind the file server's costs a quiet period.
func (f *Folder) stableAt(s stamp, now time.Time) time.Time {
	changed := s.changeTime
	if s.modTime.After(changed) {
		changed = s.modTime
	}
	if changed.After(now) {
		changed = now
	}
	return changed.Add(f.Quiet)
}

func (f *Folder) delivery(path string, s stamp) document.Delivery {
	d := document.Delivery{
		Door: f,
		Kind: f.Kind,
		Claim: document.Claim{
			Door: f.Name, Path: filepath.Join(f.Path, path),
			Device: s.device, Inode: s.inode, Size: s.size, ModTime: s.modTime, ChangeTime: s.changeTime,
		},
	}
	if f.Patient != nil {
		if match := f.Patient.FindStringSubmatch(filepath.ToSlash(path)); match != nil {
			d.Patient = document.PatientID{Issuer: f.Issuer, Identifier: match[f.Patient.SubexpIndex("id")]}
		}
	}
	return d
}

// rel is the path inside the folder of a claim of this door.
func (f *Folder) rel(c document.Claim) (string, error) { return filepath.Rel(f.Path, c.Path) }

// pathless is err without the path that the os package puts into it: paths may be personal data.
func pathless(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	if linkError, ok := errors.AsType[*os.LinkError](err); ok {
		return linkError.Err
	}
	return err
}
