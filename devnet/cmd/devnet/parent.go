package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// errParentEnded is the cause of the end of a context from untilParentEnds.
var errParentEnded = errors.New("the process that started devnet has ended")

// parentCheck is how often the parent is looked at even if the kernel reports nothing.
const parentCheck = 1000 // milliseconds

// untilParentEnds makes a context that ends when this process's parent does. The caller ends the watch with forget.
//
// A pidfd becomes readable at its process's end. The parent-death signal would not do: it fires when a mere thread of the
// parent ends. It is polled rather than left to the runtime's poller, which is told of an edge once: a parent whose end
// went unnoticed would leave a whole network behind.
func untilParentEnds(ctx context.Context) (_ context.Context, forget func(), err error) {
	parent, err := unix.PidfdOpen(os.Getppid(), 0)
	if err != nil {
		return nil, nil, fmt.Errorf("watch the process that started devnet: %w", err)
	}
	var forgotten [2]int // a pipe, whose reading end hangs up once its writing end is closed
	if err := unix.Pipe2(forgotten[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("watch the process that started devnet: %w", err), unix.Close(parent))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		fds := []unix.PollFd{
			{Fd: int32(parent), Events: unix.POLLIN}, //nolint:gosec // descriptors are small
			{Fd: int32(forgotten[0])},                //nolint:gosec // descriptors are small
		}
		for fds[1].Revents == 0 {
			if _, err := unix.Poll(fds, parentCheck); err != nil && !errors.Is(err, unix.EINTR) {
				cancel(fmt.Errorf("watch the process that started devnet: %w", err))
				return
			}
			if fds[0].Revents != 0 {
				cancel(errParentEnded)
				return
			}
		}
	}()
	return ctx, func() {
		_ = unix.Close(forgotten[1])
		<-watched
		_ = unix.Close(forgotten[0])
		_ = unix.Close(parent)
		cancel(nil)
	}, nil
}
