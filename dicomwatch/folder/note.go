package folder

import (
	"errors"
	"time"
)

var (
	errNotReady  = errors.New("waits for its marker, <name>" + readySuffix)
	errOldMarker = errors.New("its marker, <name>" + readySuffix + ", is older than the file: it is to be touched once that is whole")
)

// note takes down what stands at a path, and queues it once it is stable. early says that the file may have been there for as
// long as its times say: nobody looked before.
func (f *Folder) note(at string, s stamp, stands beside, early bool) {
	now := f.clock()
	known := f.files[at]
	if known == nil {
		known = &file{since: f.since(s, now, early)}
		f.add(at, known)
	}
	known.round = f.round
	if known.state == offered { // it is compared with its claim when it is read, and when it is disposed of
		known.changed = known.changed || known.stamp != s
		return
	}
	if known.stamp != s {
		f.settle(at, known, s, now)
	}
	if known.state != resting || known.due > now && !f.supplied(at, known, stands) {
		return
	}
	if f.Ready && !known.owed {
		if err := ready(at, s, stands); err != nil {
			known.detail().lacks = err
			return
		}
	}
	f.enqueue(at, known)
	f.wake()
}

// ready says what a file's marker lacks: one that is older was made for an earlier file of its name. The older of the file's own
// times counts: a sender may keep the times of its files, and its clock may be ahead.
func ready(at string, s stamp, stands beside) error {
	marker, there := stands(at + readySuffix)
	switch {
	case !there:
		return errNotReady
	case max(marker.modTime, marker.changeTime) < min(s.modTime, s.changeTime):
		return errOldMarker
	default:
		return nil
	}
}

// settle has a new stamp stay the same over the quiet period, or over a longer one where the file was handed back before.
func (f *Folder) settle(at string, known *file, s stamp, now time.Duration) {
	if known.stamp != (stamp{}) {
		known.since, known.owed, known.elsewhere = now, false, false
	}
	if known.more != nil {
		known.more.lacks = nil
	}
	known.stamp = s
	known.state, known.due = resting, known.since+min(f.Quiet<<known.tries, f.longestQuiet())
	if known.due > now {
		f.rest(at, known, known.due)
	}
}

// longestQuiet bounds the quiet periods of a file that was handed back.
func (f *Folder) longestQuiet() time.Duration { return max(f.Quiet, min(f.Patience, time.Minute)) }

// since is from when on a file that is seen for the first time counts as the same. The wall clock and the file's times are
// trusted only where nobody looked before, and where they agree on the past.
func (f *Folder) since(s stamp, now time.Duration, early bool) time.Duration {
	if age := f.Now().Sub(s.changed()); early && age > 0 {
		return now - age
	}
	return now
}

// supplied says whether a file that waits for its sidecar has another one now.
func (f *Folder) supplied(at string, known *file, stands beside) bool {
	return f.Patient.sidecar && known.more != nil && known.more.lacks != nil && sidecarOf(at, stands) != known.more.sidecar
}
