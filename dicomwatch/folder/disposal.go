package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/medanchor/medanchor/dicomwatch/dir"
	"github.com/medanchor/medanchor/document"
)

// disposal moves or deletes the sources of one acknowledgement.
type disposal struct {
	folder  *Folder
	root    dir.FS
	touched map[string]bool // directories to be synced
}

func (f *Folder) newDisposal() *disposal { return &disposal{f, f.current(), make(map[string]bool)} }

// dispose moves or deletes one source, unless another file has taken its place since. away says that it cannot be delivered
// again. The order matters where it breaks off: a file without its sidecar is nobody's, while a sidecar without its file might
// be taken for another's; and a file without its marker would not be offered to be acknowledged again.
func (d *disposal) dispose(at string, c document.Claim) (away bool, err error) {
	info, err := d.root.Stat(at)
	if errors.Is(err, fs.ErrNotExist) {
		return d.ours(at, c), nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the source: %w", err)
	}
	if s, ok := stampOf(info); !ok || !s.matches(c) {
		return d.ours(at, c), nil // a new file under the old name: the next look offers it
	}
	if d.folder.Patient.sidecar {
		if err := d.putSidecarsAway(at); err != nil {
			return false, err
		}
	}
	moved, err := d.putAway(at)
	if err != nil {
		return false, err
	}
	if moved != "" && d.isAnother(moved, c) {
		return d.ours(at, c), d.putBack(moved, at)
	}
	if d.folder.Ready {
		d.removeMarker(at + readySuffix)
	}
	return true, nil
}

// isAnother says whether another file was moved: one that took the source's place after that was looked at.
func (d *disposal) isAnother(moved string, c document.Claim) bool {
	info, err := d.root.Stat(moved)
	if err != nil {
		return false
	}
	s, ok := stampOf(info)
	s.changeTime = c.ChangeTime.UnixNano() // moving it is a change
	return !ok || !s.matches(c)
}

// putBack moves a file back that is not taken yet; where the next one has its name already, to another name.
func (d *disposal) putBack(moved, at string) error {
	free, err := d.freeName(at, "%s.%d")
	if err == nil {
		err = d.root.Rename(moved, free)
	}
	if err != nil {
		return fmt.Errorf("move back from %s/ a file that came meanwhile: %w", doneDir, err)
	}
	return nil
}

// ours says that the file was offered from the directory that the folder is now. What another one holds may come back when that
// is mounted again.
func (d *disposal) ours(at string, c document.Claim) bool {
	d.folder.mu.Lock()
	defer d.folder.mu.Unlock()
	known := d.folder.offered(at, c)
	return known != nil && !known.elsewhere && d.folder.root == d.root
}

// putSidecarsAway puts away all that could speak of the file, used or not: the next file of its name is another's. One that other
// files share goes with the last of them, and one that is another's own with that.
func (d *disposal) putSidecarsAway(at string) error {
	stands, err := lookBeside(d.root, sidecarNames(at)...)
	if err != nil {
		return fmt.Errorf("its sidecar file: %w", err)
	}
	for _, name := range sidecarsOf(at) {
		if _, ok := stands(name); !ok || anothersOwn(at, name, stands) || name != at+sidecarSuffix && d.shared(at) {
			continue
		}
		if _, err := d.putAway(name); err != nil {
			return fmt.Errorf("its sidecar file: %w", err)
		}
	}
	return nil
}

func (d *disposal) shared(at string) bool {
	d.folder.mu.Lock()
	defer d.folder.mu.Unlock()
	return len(d.folder.stems[stem(at)]) > 1
}

// putAway moves or deletes a file, and gives the name that it has now; none if it is deleted.
func (d *disposal) putAway(at string) (moved string, err error) {
	d.touched[path.Dir(at)] = true
	if d.folder.Disposal == Delete {
		if err := d.root.Remove(at); err != nil {
			return "", fmt.Errorf("delete the source: %w", err)
		}
		return "", nil
	}
	return d.move(at)
}

func (d *disposal) move(at string) (moved string, err error) {
	target := path.Join(doneDir, at)
	if err := d.makeDir(path.Dir(target)); err != nil {
		return "", fmt.Errorf("make %s/: %w", doneDir, err)
	}
	free, err := d.freeName(target, "%s.~%d~")
	if err != nil {
		return "", fmt.Errorf("look at %s/: %w", doneDir, err)
	}
	d.touched[path.Dir(target)] = true
	if err := d.root.Rename(at, free); err != nil {
		return "", fmt.Errorf("move to %s/: %w", doneDir, err)
	}
	return free, nil
}

// makeDir makes a directory and those above it, and marks the parents of what it may have made.
func (d *disposal) makeDir(at string) error {
	if at == "." || d.touched[at] {
		return nil
	}
	if err := d.makeDir(path.Dir(at)); err != nil {
		return err
	}
	d.touched[path.Dir(at)] = true
	if err := d.root.MakeDir(at, 0o750); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// freeName returns target, or target with a number where another file has that name.
func (d *disposal) freeName(target, numbered string) (string, error) {
	name := target
	for n := 2; ; n++ {
		_, err := d.root.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		name = fmt.Sprintf(numbered, target, n)
	}
}

// removeMarker removes a marker. One that cannot be removed is told of, and tried again.
func (d *disposal) removeMarker(at string) {
	err := d.root.Remove(at)
	d.touched[path.Dir(at)] = true
	d.folder.mu.Lock()
	defer d.folder.mu.Unlock()
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		delete(d.folder.litter, at)
		return
	}
	d.folder.litter[at] = err
}

// sync makes durable what was done in all directories.
func (d *disposal) sync() error {
	for at := range d.touched {
		if err := d.root.Sync(at); err != nil && !errors.Is(err, fs.ErrNotExist) { // removed since by its owner
			return fmt.Errorf("make the disposal of sources durable: %w", err)
		}
	}
	return nil
}
