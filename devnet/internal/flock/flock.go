// Package flock locks files between processes, with flock(2). A lock ends with its holder's process, however that ends.
package flock

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/devnet/internal/proc"
)

// How says how a lock is held.
type How int

// Ways to hold a lock: among others who share it, or alone.
const (
	Shared    How = unix.LOCK_SH
	Exclusive How = unix.LOCK_EX
)

// Acquire waits for the lock on a file, which it makes if need be. Closing the file releases the lock.
func Acquire(ctx context.Context, path string, how How) (lock *os.File, err error) {
	err = proc.Poll(ctx, func(context.Context) error {
		lock, err = Try(path, how)
		return err
	})
	return lock, err
}

// Try is [Acquire] without the wait: it fails when the lock is held.
func Try(path string, how How) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), int(how)|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}
