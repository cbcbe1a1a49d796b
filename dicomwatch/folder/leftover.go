package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"strings"
)

const (
	// takenPrefix begins the name that a file has for the moment before it is deleted: hidden, and in its own directory, for that
	// may be another file system than the folder. The rest of the name says which file it is, for a run that ends in that moment.
	takenPrefix = ".medanchor-taken-"
	// recovered is the name of a file that such a run moved and did not take: what it was called before is not known any more.
	recovered = "recovered"
)

// takenName is the name under which a file is deleted.
func takenName(s stamp) string {
	return fmt.Sprintf("%s%x-%x-%x", takenPrefix, s.inode, s.size, s.modTime)
}

// leftover is what is left of a file that was taken: its marker, or the file itself, out of its senders' reach.
type leftover struct {
	taken  stamp  // what may go; what else has the name by now may not
	back   string // where that goes: it came in the last moment. Empty if it is left where it is
	marker stamp  // what the marker at back was
	err    error  // why it is still there; nil if nobody tried
	// elsewhere says that the folder was another one when it was left.
	elsewhere bool
}

// clear has go what is left of a file that was taken, and moves back what is not taken. What fails is told, and tried again.
func (d *disposal) clear(at string, l leftover) (taken bool) {
	taken, l.err = d.tryToClear(at, l)
	d.folder.owe(at, l)
	return taken
}

func (d *disposal) tryToClear(at string, l leftover) (taken bool, err error) {
	info, err := d.root.Stat(at)
	if errors.Is(err, fs.ErrNotExist) && !l.elsewhere {
		d.clearMarker(l)
		return true, nil
	}
	if err != nil {
		return true, fmt.Errorf("its file is disposed of, and it cannot be looked at: %w", err)
	}
	if s, ok := stampOf(info); !ok || !s.isNow(l.taken) {
		return false, d.putBack(at, l.back)
	}
	d.clearMarker(l)
	if l.back != "" && d.folder.Disposal == Done {
		return true, nil // done/ is where it stays
	}
	return true, d.remove(at)
}

// clearMarker has the marker go that went with a file.
func (d *disposal) clearMarker(l leftover) {
	if l.marker != (stamp{}) {
		d.clear(l.back+readySuffix, leftover{taken: l.marker})
	}
}

func (d *disposal) remove(at string) error {
	if err := d.root.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("its file is taken, and it cannot be removed: %w", err)
	}
	d.touched[path.Dir(at)] = true
	return nil
}

// putBack moves a file back that is not taken yet; where the next one has its name already, to another name, of which that is not
// the stem: NAME.2 would share the sidecar of NAME.
func (d *disposal) putBack(moved, at string) error {
	if at == "" {
		return nil
	}
	if _, err := d.rename(moved, at, "%s.%d."+recovered); err != nil {
		return fmt.Errorf("it came as another was disposed of, and cannot be moved back: %w", err)
	}
	return nil
}

// owe remembers what is left, to be tried again; or that nothing is.
func (f *Folder) owe(at string, l leftover) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l.err == nil {
		delete(f.litter, at)
		return
	}
	if f.litter[at].err == nil {
		f.Log.Warn("something is left of a file that was taken: it is tried again, see medanchor status for its path",
			"door", f.Name, "err", l.err)
	}
	f.litter[at] = l
}

// noteLeft takes down what is left of a deletion; of one that goes on, too.
func (f *Folder) noteLeft(at string, s stamp) {
	if _, known := f.litter[at]; known || f.Disposal == Keep {
		return
	}
	if name := takenName(s); path.Base(at) == name || strings.HasPrefix(path.Base(at), name+".") {
		f.litter[at] = leftover{taken: s}
		return
	}
	f.litter[at] = leftover{back: path.Join(path.Dir(at), recovered)}
}

// keepLitter forgets what was left in a folder that is another one now, but for files that may not be taken yet.
func (f *Folder) keepLitter() {
	maps.DeleteFunc(f.litter, func(_ string, l leftover) bool { return l.back == "" })
	for at, l := range f.litter {
		l.elsewhere = true
		f.litter[at] = l
	}
}

// removeLitter tries again to clear what is left of files that are gone.
func (f *Folder) removeLitter() {
	if len(f.leftovers()) == 0 {
		return
	}
	f.disposing.Lock()
	defer f.disposing.Unlock()
	d := f.newDisposal()
	for at, l := range f.leftovers() {
		d.clear(at, l)
	}
	_ = d.sync() // what comes back in a power cut is found again, or is a marker: it stands alone, and says nothing
}

func (f *Folder) leftovers() map[string]leftover {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.litter)
}
