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

// untilParentEnds makes a context that ends when this process's parent does. The caller ends the watch with forget.
//
// A pidfd becomes readable at its process's end. The parent-death signal would not do: it fires when a mere thread of the
// parent ends.
func untilParentEnds(ctx context.Context) (_ context.Context, forget func(), err error) {
	fd, err := unix.PidfdOpen(os.Getppid(), unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, nil, fmt.Errorf("watch the process that started devnet: %w", err)
	}
	parent := os.NewFile(uintptr(fd), "parent")
	conn, err := parent.SyscallConn()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("watch the process that started devnet: %w", err), parent.Close())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		err := conn.Read(func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0) //nolint:gosec // descriptors are small
			return n > 0 || (err != nil && !errors.Is(err, unix.EINTR))
		})
		if err == nil { // else forget has closed the file
			cancel(errParentEnded)
		}
	}()
	return ctx, func() {
		parent.Close()
		<-watched
		cancel(nil)
	}, nil
}
