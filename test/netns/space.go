package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// space is a network namespace, held by its descriptor.
type space struct{ *os.File }

// newSpace makes a namespace that has nothing but a loopback, which is down.
func newSpace() (made space, err error) {
	err = comeBack(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		made, err = current()
		return err
	})
	return made, err
}

// current is the namespace of this thread.
func current() (space, error) {
	f, err := os.Open("/proc/thread-self/ns/net")
	return space{f}, err
}

// do runs f on this goroutine's thread while the thread is in the namespace.
func (s space) do(f func() error) error {
	return comeBack(func() error {
		if err := s.enter(); err != nil {
			return err
		}
		return f()
	})
}

// enter moves this thread.
func (s space) enter() error {
	if err := unix.Setns(int(s.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter a network namespace: %w", err)
	}
	return nil
}

// comeBack runs f, which may move its thread, and moves the thread back to where it was, also when f panics or ends its
// goroutine. No other goroutine runs on the thread meanwhile. Should it not come back, it ends with this goroutine.
func comeBack(f func() error) (err error) {
	runtime.LockOSThread()
	before, err := current()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() {
		back := before.enter()
		if back == nil {
			runtime.UnlockOSThread()
		}
		err = errors.Join(err, back, before.Close())
	}()
	return f()
}
