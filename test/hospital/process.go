package hospital

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
)

// The bounds on a daemon's start and end.
const (
	startTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second
)

// Process is a running daemon, in a process group of its own that ends with this process, whatever happens.
type Process struct {
	cmd    *exec.Cmd
	log    string
	exited chan struct{}
	err    error // of Wait, once exited is closed
}

// Machine is where programs run.
type Machine interface {
	// Do runs f on this goroutine's thread, in a place that the processes inherit which f starts: see package netns.
	Do(f func() error) error
}

// Do runs f on the hospital's machine, for a command to run there.
func (h *Hospital) Do(f func() error) error {
	if h.Machine == nil {
		return f()
	}
	return h.Machine.Do(f)
}

// Log is where the hospital's daemons write.
func (h *Hospital) Log() string { return filepath.Join(h.Dir, "medanchor.log") }

// Start starts program with args as the hospital's daemon: for medanchor they are run --config and ConfigPath. It
// returns once the process runs, which is before it answers: see WaitReady.
func (h *Hospital) Start(program string, args, env []string) (*Process, error) {
	log, err := os.OpenFile(h.Log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: exec.Command(program, args...), log: h.Log(), exited: make(chan struct{})} //nolint:noctx // ends by Stop, Kill or Pdeathsig
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// Pdeathsig comes when the thread that forked ends: this goroutine keeps it for as long as the child lives.
		runtime.LockOSThread()
		defer close(p.exited)
		defer log.Close()
		err := h.Do(p.cmd.Start)
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
	}()
	return p, <-started
}

// Run starts the real daemon and waits until it answers.
func (h *Hospital) Run(ctx context.Context, medanchor string) (*Process, error) {
	p, err := h.Start(medanchor, []string{"run", "--config", h.ConfigPath}, nil)
	if err != nil {
		return nil, err
	}
	if err := h.WaitReady(ctx, p); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return p, nil
}

// WaitReady waits until the daemon answers.
func (h *Hospital) WaitReady(ctx context.Context, p *Process) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		_, err := h.Client().Status(ctx)
		if err == nil {
			return nil
		}
		if !errors.Is(err, control.ErrNotRunning) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the daemon (see %s): %w", p.log, ctx.Err())
		case <-p.exited:
			return fmt.Errorf("the daemon ended (see %s): %w", p.log, p.err)
		case <-poll.C:
		}
	}
}

// PID is the process's, which is its group's too.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited is closed when the process has ended; Err is then how.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err is how the process ended: nil for exit code 0. Only after Exited.
func (p *Process) Err() error { return p.err }

// Stop asks the daemon to end, and returns how it did.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return p.err
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("the daemon did not end in %s (see %s)", stopTimeout, p.log), p.Kill())
	}
}

// Kill kills the whole group with SIGKILL, and waits for its end.
func (p *Process) Kill() error {
	if err := syscall.Kill(-p.PID(), syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	<-p.exited
	return nil
}
