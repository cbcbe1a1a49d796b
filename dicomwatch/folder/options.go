package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/dicomwatch/dir"
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

// DefaultPatience is Options.Patience where none is given.
const DefaultPatience = 15 * time.Minute

// Options describe one drop folder. Name, Path, Disposal, Quiet, Rescan and Log are required.
type Options struct {
	Name     string // as in the configuration; stands in logs and metrics
	Path     string // may be a link: what it leads to is the folder
	Disposal Disposal
	// Quiet is how long a file must stay the same before it is offered.
	Quiet time.Duration
	// Patience is how long a file may be the same and still grow, and how long one waits for its sidecar file. It is longer
	// than Quiet; zero for DefaultPatience.
	Patience time.Duration
	// Rescan is the longest time between two scans.
	Rescan time.Duration
	// Ready says that a file is whole once a marker, <name>.ready, that is not older stands beside it. The marker is removed
	// after the file.
	Ready bool

	// Accepts are the formats that the folder takes; nil for all.
	Accepts []document.Format
	// Kind is the record kind of what is not DICOM.
	Kind record.Kind
	// Department stands in the items; may be empty.
	Department string
	// Patient tells whose a file is that does not say so itself; the zero value tells of none.
	Patient PatientRule
	// Issuer is that of the identifiers which name none, in a DICOM header too; empty for the hospital's. PatientRule.IssuedBy
	// names another for what the rule finds.
	Issuer string

	// Room says whether the disk has room; document.ErrNoRoom if it is at its reserve: nothing is offered then. It is called for
	// each file. Nil if there always is.
	Room func() error
	// Trace, if set, is called with document.StepDisposed once a source is moved or deleted durably. It must not block.
	Trace func(document.Step)
	// OpenDir opens the folder, and Now is the wall clock: for tests. Nil for dir.Open and time.Now.
	OpenDir func(path string) (dir.FS, error)
	Now     func() time.Time
	Log     *slog.Logger
}

// withDefaults fills in what may be left out.
func (o Options) withDefaults() Options {
	o.Path = filepath.Clean(o.Path)
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	if o.Room == nil {
		o.Room = func() error { return nil }
	}
	if o.Trace == nil {
		o.Trace = func(document.Step) {}
	}
	if o.OpenDir == nil {
		o.OpenDir = func(path string) (dir.FS, error) { return dir.Open(path) }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Check says what is wrong with the folder as it stands there now, and what to do about it. New does not mind: it may be mounted
// later.
func (o Options) Check() error {
	if err := o.usable(); err != nil {
		return fmt.Errorf("folder %s, %s: %w", o.Name, o.Path, err)
	}
	return nil
}

func (o Options) usable() error {
	info, err := os.Stat(o.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return errAway
	case err != nil:
		return fmt.Errorf("look at the folder: %w", dir.Cause(err))
	case !info.IsDir():
		return errors.New("it is not a directory")
	}
	if unix.Access(o.Path, o.need()) != nil {
		return fmt.Errorf("no permission to %s it: give that to the user that medanchor runs as", o.verb())
	}
	return nil
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
