package devnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/medanchor/medanchor/devnet/internal/flock"
)

// ownerLock is the file in a network's folder that the owner holds a lock on for as long as it lives.
const ownerLock = "owner.lock"

// folder is the place of a network on disk.
type folder struct {
	path      string
	temporary bool
	lock      *os.File
}

// makeFolder makes the network's folder.
func (o Options) makeFolder(ctx context.Context) (folder, error) {
	if o.Dir == "" {
		return o.makeTemporary(ctx)
	}
	path, err := filepath.Abs(o.Dir)
	if err != nil {
		return folder{}, err
	}
	if strings.Contains(path, ",") {
		return folder{}, fmt.Errorf("make a network in %s: Fabric splits its settings at commas: choose a path without", path)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return folder{}, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return folder{}, err
	}
	if len(entries) > 0 {
		return folder{}, fmt.Errorf("make a network in %s: the folder is not empty: remove it or choose another", path)
	}
	lock, err := flock.Try(filepath.Join(path, ownerLock), flock.Exclusive)
	return folder{path: path, lock: lock}, err
}

// makeTemporary makes a folder in the cache, and removes those there whose owner is gone.
func (o Options) makeTemporary(ctx context.Context) (folder, error) {
	// One at a time: a folder that another process has made, and not locked yet, would seem to have no owner.
	turn, err := flock.Acquire(ctx, filepath.Join(o.Cache, "folders.lock"), flock.Exclusive)
	if err != nil {
		return folder{}, err
	}
	defer turn.Close()

	const prefix = "net-"
	old, err := filepath.Glob(filepath.Join(o.Cache, prefix+"*"))
	if err != nil {
		return folder{}, err
	}
	for _, path := range old {
		lock, err := flock.Try(filepath.Join(path, ownerLock), flock.Exclusive)
		if err != nil {
			continue // in use
		}
		if err := errors.Join(os.RemoveAll(path), lock.Close()); err != nil {
			return folder{}, err
		}
	}
	path, err := os.MkdirTemp(o.Cache, prefix)
	if err != nil {
		return folder{}, err
	}
	lock, err := flock.Try(filepath.Join(path, ownerLock), flock.Exclusive)
	return folder{path: path, temporary: true, lock: lock}, err
}

// close gives the folder up, and removes it if it is a temporary one.
func (f folder) close() error {
	var err error
	if f.temporary {
		err = os.RemoveAll(f.path)
	}
	return errors.Join(err, f.lock.Close())
}
