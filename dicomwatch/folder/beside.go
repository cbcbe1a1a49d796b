package folder

import (
	"errors"
	"fmt"

	"github.com/medanchor/medanchor/dicomwatch/dir"
	"github.com/medanchor/medanchor/document"
)

// patientBeside reads whose a file is from its sidecar; ok is false if it waits for one.
func (f *Folder) patientBeside(at string, c document.Claim) (id document.PatientID, ok bool) {
	root := f.current()
	stands, err := lookBeside(root, sidecarNames(at)...)
	found := sidecarOf(at, stands)
	switch {
	case err != nil:
		found, err = sidecar{}, fmt.Errorf("its sidecar file cannot be looked at: %w", err)
	case found == sidecar{}:
		err = errNoSidecar
	default:
		id, err = found.read(root)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.offered(at, c)
	if known == nil {
		return id, false // nobody offers it any more
	}
	known.detail().sidecar = found
	if err == nil || known.owed {
		return id, true
	}
	return document.PatientID{}, !f.waits(at, known, err)
}

// waits has a file wait for its sidecar, and says whether it does: once its patience is over it goes in without a patient, so
// that it comes to the unassigned tray. One whose sidecar is broken has all its patience from when that is found.
func (f *Folder) waits(at string, known *file, lacks error) bool {
	now := f.clock()
	end, due := known.since+f.Patience, known.since+f.Patience
	if !errors.Is(lacks, errNoSidecar) {
		if known.more.broken == 0 {
			known.more.broken = now
		}
		end = max(known.since, known.more.broken) + f.Patience
		due = min(end, now+f.Rescan) // its writer may be about to close it
	}
	if now >= end {
		return false
	}
	known.more.lacks = fmt.Errorf("%w: the file goes in without a patient at %s", lacks, f.wall(end))
	f.rest(at, known, due)
	f.hints.add(at) // what became of it meanwhile was not looked at
	return true
}

// sameSidecar gives a check that a file's sidecar is the one by which it was offered: one that was corrected since names another
// patient. It is nil where none is used.
func (f *Folder) sameSidecar(root dir.FS, at string, c document.Claim) func() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.offered(at, c)
	if !f.Patient.sidecar || known == nil || known.owed {
		return nil
	}
	before := known.detail().sidecar
	return func() error {
		stands, err := lookBeside(root, sidecarNames(at)...)
		if err != nil {
			return fmt.Errorf("look at its sidecar file: %w", err)
		}
		if sidecarOf(at, stands) != before {
			return fmt.Errorf("%w: its sidecar file did", document.ErrChanged)
		}
		return nil
	}
}
