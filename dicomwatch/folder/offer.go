package folder

import (
	"context"
	"time"

	"github.com/medanchor/medanchor/document"
)

// roomPause is how often it is asked whether there is room again.
const roomPause = time.Second

// offer hands over what is queued, one file after the other, until ctx ends.
func (f *Folder) offer(ctx context.Context) {
	for ctx.Err() == nil {
		if pause := f.obstacle(); pause > 0 {
			wait(ctx, pause, f.wakes)
			continue
		}
		at, s, ok := f.next()
		if !ok {
			wait(ctx, time.Hour, f.wakes)
			continue
		}
		d, ok := f.delivery(at, s)
		if !ok {
			continue
		}
		if err := f.intake.Submit(ctx, d); err != nil {
			f.Release(d.Claim, err)
		}
	}
}

// wake lets offer look again.
func (f *Folder) wake() {
	select {
	case f.wakes <- struct{}{}:
	default:
	}
}

// obstacle says for how long nothing may be offered; 0 if something may.
func (f *Folder) obstacle() time.Duration {
	f.mu.Lock()
	away, idle := f.away != nil, f.queue.empty() && f.full == nil
	f.mu.Unlock()
	switch {
	case away:
		return f.Rescan
	case idle:
		return 0
	}
	err := f.Room()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil && f.full == nil:
		f.Log.Error("nothing is taken: files wait in the folder", "door", f.Name, "err", err)
	case err == nil && f.full != nil:
		f.Log.Info("files are taken again", "door", f.Name)
	}
	f.full = err
	if err != nil {
		return roomPause
	}
	return 0
}

// next takes a file from the queue.
func (f *Folder) next() (at string, s stamp, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		at, ok := f.queue.pop()
		if !ok {
			return "", stamp{}, false
		}
		if known := f.files[at]; known != nil && known.state == queued {
			known.state, known.changed = offered, false
			return at, known.stamp, true
		}
	}
}

// delivery makes a file's delivery; ok is false if it waits for its sidecar.
func (f *Folder) delivery(at string, s stamp) (d document.Delivery, ok bool) {
	d = document.Delivery{
		Door: f, Claim: s.claim(f.Name, f.Path, at),
		Accepts: f.Accepts, Kind: f.Kind, Department: f.Department, Issuer: f.Issuer,
	}
	d.Patient = f.PatientAt(at)
	if f.Patient.sidecar {
		if d.Patient, ok = f.patientBeside(at, d.Claim); !ok {
			return d, false
		}
		d.Patient = f.issued(d.Patient)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.offered(at, d.Claim); known != nil {
		d.Growing = !f.Ready && f.clock()-known.since < f.Patience
		if known.more != nil {
			known.more.lacks = nil
		}
	}
	return d, true
}

// offered is what is known of a file that was offered by this claim, also where another folder has taken the place of its own;
// nil if it was not, or was handed back or disposed of since.
func (f *Folder) offered(at string, c document.Claim) *file {
	known := f.files[at]
	if known == nil || known.state != offered || !known.stamp.matches(c) {
		return nil
	}
	return known
}

// back has a file that is not offered any more looked at, if it changed while it was.
func (f *Folder) back(at string, known *file) {
	if known.changed {
		f.hints.add(at)
	}
}
