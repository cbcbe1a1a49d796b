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
	marker, err := d.marker(at, c)
	if err != nil {
		return false, err
	}
	if d.folder.Patient.sidecar {
		if err := d.putSidecarsAway(at); err != nil {
			return false, err
		}
	}
	moved, err := d.moveAway(at, claimed(c))
	if err != nil {
		return false, err
	}
	if !d.clear(moved, leftover{taken: claimed(c), back: at, marker: marker}) {
		return d.ours(at, c), nil
	}
	return true, nil
}

// marker describes a file's marker, and remembers that: the one that is to go with it. There may be none.
func (d *disposal) marker(at string, c document.Claim) (s stamp, err error) {
	if !d.folder.Ready {
		return stamp{}, nil
	}
	info, err := d.root.Stat(at + readySuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{}, nil
	}
	if err != nil {
		return stamp{}, fmt.Errorf("look at its marker: %w", err)
	}
	s, _ = stampOf(info)
	d.folder.mu.Lock()
	defer d.folder.mu.Unlock()
	if known := d.folder.offered(at, c); known != nil {
		known.detail().marker = s
	}
	return s, nil
}

// moveAway takes the source out of its senders' reach, and gives the name that it has now: whether it is the one that was taken
// is seen there only, for it may be replaced until then.
func (d *disposal) moveAway(at string, s stamp) (moved string, err error) {
	if d.folder.Disposal != Delete {
		return d.move(at)
	}
	moved, err = d.rename(at, path.Join(path.Dir(at), takenName(s)), "%s.%d")
	if err != nil {
		return "", fmt.Errorf("move the source, to delete it: %w", err)
	}
	return moved, nil
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
		if err := d.putAway(name); err != nil {
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

// putAway moves or deletes a sidecar.
func (d *disposal) putAway(at string) error {
	if d.folder.Disposal == Delete {
		if err := d.root.Remove(at); err != nil {
			return fmt.Errorf("delete it: %w", err)
		}
		d.touched[path.Dir(at)] = true
		return nil
	}
	_, err := d.move(at)
	return err
}

func (d *disposal) move(at string) (moved string, err error) {
	target := path.Join(doneDir, at)
	if err := d.makeDir(path.Dir(target)); err != nil {
		return "", fmt.Errorf("make %s/: %w", doneDir, err)
	}
	if moved, err = d.rename(at, target, "%s.~%d~"); err != nil {
		return "", fmt.Errorf("move to %s/: %w", doneDir, err)
	}
	return moved, nil
}

// makeDir makes a directory and those above it, and marks the parents of what it may have made.
func (d *disposal) makeDir(at string) error {
	if at == "." || d.touched[at] {
		return nil
	}
	if err := d.makeDir(path.Dir(at)); err != nil {
		return err
	}
	if err := d.root.MakeDir(at, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d.touched[path.Dir(at)] = true
	return nil
}

// rename gives a file the name target, or target with a number where another file has that name, and says which.
func (d *disposal) rename(at, target, numbered string) (name string, err error) {
	name = target
	for n := 2; ; n++ {
		err = d.root.Rename(at, name)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		name = fmt.Sprintf(numbered, target, n)
	}
	if err != nil {
		return "", err
	}
	d.touched[path.Dir(at)], d.touched[path.Dir(target)] = true, true
	return name, nil
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
