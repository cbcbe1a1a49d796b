package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/medanchor/medanchor/dicomwatch/dir"
	"github.com/medanchor/medanchor/document"
)

// home is a directory in which objects are: the one at Options.Path, or one that stood there before. What is open stays
// reachable through it when it is moved or unmounted.
type home struct {
	dir.FS
	identity fs.FileInfo
	sync     *shared // of its entries
}

// What is told of a directory at the spool's path that is not the spool's.
var (
	errAway = errors.New("it is not where it was")
	errDisk = errors.New("there is a directory on another disk now, which is taken into use at the next start")
)

// makeHome makes the spool's directory if there is none, durably, and opens it.
func (s *Spool) makeHome() (*home, error) {
	parent, err := s.OpenDir(filepath.Dir(s.Path))
	if err != nil {
		return nil, dir.Cause(err)
	}
	err = parent.MakeDir(filepath.Base(s.Path), 0o700)
	if err == nil || errors.Is(err, fs.ErrExist) {
		err = parent.Sync(".")
	}
	if err := errors.Join(err, parent.Close()); err != nil {
		return nil, err
	}
	return s.openHome()
}

func (s *Spool) openHome() (*home, error) {
	root, err := s.OpenDir(s.Path)
	if err != nil {
		return nil, dir.Cause(err)
	}
	identity, err := root.Stat(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	h := &home{FS: root, identity: identity}
	h.sync = newShared(func() error { return s.syncHome(h) })
	return h, nil
}

// syncHome makes the entries of h durable, and sees that it still stands at the spool's path: in a directory that was moved
// away nobody looks after a restart. A failed fsync is fatal.
func (s *Spool) syncHome(h *home) error {
	if err := h.Sync("."); err != nil {
		return s.fail(fmt.Errorf("make the spool's directory durable: %w", err))
	}
	return s.present(h)
}

// present says whether h stands at the spool's path.
func (s *Spool) present(h *home) error {
	at, err := s.OpenDir(s.Path)
	if err != nil {
		return s.away(h, dir.Cause(err))
	}
	identity, err := at.Stat(".")
	if err = errors.Join(err, at.Close()); err != nil {
		return s.away(h, err)
	}
	if isHome, _ := same(identity, h.identity); !isHome {
		return s.away(h, errAway)
	}
	return nil
}

// away says what to do about a directory that is not at the spool's path, and remembers it, unless another is in use there.
func (s *Spool) away(h *home, cause error) error {
	err := fmt.Errorf("the spool folder %s: %w: mount its disk, or bring it back; until then nothing is taken in over the network",
		s.Path, cause)
	s.mu.Lock()
	defer s.mu.Unlock()
	if h != s.home {
		return err
	}
	if s.gone == nil {
		s.Log.Error("nothing is taken in over the network: the spool folder is gone", "door", s.Name, "err", err)
	}
	s.gone = err
	return err
}

// revisit looks for the directory at the spool's path. One that is new there is taken into use, with what is in it; but not one
// on another disk: a mount point whose disk is away is such, and what is put there is hidden once the disk is back.
func (s *Spool) revisit() error {
	s.files.Lock()
	defer s.files.Unlock()
	h, err := s.openHome()
	if err != nil {
		return s.away(s.current(), err)
	}
	now := s.current()
	isNow, sameDisk := same(h.identity, now.identity)
	if isNow {
		_ = h.Close() // it was not used
		h = now
	}
	err = errDisk
	if sameDisk {
		err = s.load(h)
	}
	if err != nil {
		if h != now {
			_ = h.Close() // likewise
		}
		return s.away(now, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h != s.home {
		s.homes = append(s.homes, h)
		s.home = h
	}
	if s.gone != nil {
		s.Log.Info("the spool folder is there again", "door", s.Name)
	}
	s.gone = nil
	return nil
}

func (s *Spool) current() *home {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.home
}

// load takes in what is in h and not known yet: whole objects wait for the pipeline, torn ones are removed, and what cannot be
// opened is put aside. The caller holds s.files.
func (s *Spool) load(h *home) error {
	entries, err := h.List(".")
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	aside := make(map[string]error)
	var found []*object
	torn := 0
	for _, entry := range entries {
		name := entry.Name()
		if _, err := document.ParseItemID(name); err != nil || s.busy(h, name) {
			continue // not the spool's, as lost+found, or known
		}
		o, err := s.peek(h, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, errTorn):
			torn++
			s.remove(h, name)
		case err != nil:
			aside[name] = err
		default:
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b *object) int { return a.received.Compare(b.received) })
	s.loaded(found, aside, torn)
	return nil
}

// busy says whether a name is that of an object known already, or of one on its way in or out. A known one is in h from now on.
func (s *Spool) busy(h *home, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.objects[name]; o != nil {
		o.home = h
		return true
	}
	return s.arriving[name] || s.litter[name] != nil
}

// peek examines the file of that name.
func (s *Spool) peek(h *home, name string) (*object, error) {
	f, err := h.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	o, err := s.examine(name, f)
	if err != nil {
		return nil, err
	}
	o.home = h
	return o, nil
}

// loaded takes in what load found.
func (s *Spool) loaded(found []*object, aside map[string]error, torn int) {
	for _, o := range found {
		s.enqueue(o)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(found) > 0 {
		s.Log.Info("objects that came over the network wait for the pipeline", "door", s.Name, "objects", len(found))
	}
	if torn > 0 {
		s.Log.Info("objects that a stop cut short are removed: their senders have no success, and send them again",
			"door", s.Name, "objects", torn)
	}
	s.setAside(aside)
}

// maxNamed is how many of the files that cannot be opened are named at once.
const maxNamed = 16

// setAside remembers what cannot be opened, and names it whenever it is other files than before. The caller holds s.mu.
func (s *Spool) setAside(aside map[string]error) {
	before := s.aside
	s.aside = aside
	names := slices.Sorted(maps.Keys(aside))
	if len(names) == 0 || slices.Equal(names, slices.Sorted(maps.Keys(before))) {
		return
	}
	s.Log.Error("objects in the spool cannot be opened, and are kept: put back what belongs together, or move their files out of "+
		"the folder, and have the device send them again", "door", s.Name, "objects", len(names),
		"names", names[:min(len(names), maxNamed)], "err", aside[names[0]])
}

// first is the error of the first name, of which there must be one.
func first(aside map[string]error) error { return aside[slices.Min(slices.Collect(maps.Keys(aside)))] }

// remove removes a file that no object is in, now or later.
func (s *Spool) remove(h *home, name string) {
	err := h.Remove(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		delete(s.litter, name)
		return
	}
	s.litter[name] = h
}

// same says whether two descriptions are of the same file, and whether they are of files on the same disk.
func same(a, b fs.FileInfo) (file, disk bool) {
	x, ok1 := a.Sys().(*syscall.Stat_t)
	y, ok2 := b.Sys().(*syscall.Stat_t)
	disk = ok1 && ok2 && x.Dev == y.Dev
	return disk && x.Ino == y.Ino, disk
}
