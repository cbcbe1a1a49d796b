// Package proc runs child programs that do not outlive their owner.
//
// A [Spawner] is the owner: it starts every child from one operating-system thread of its own, so that the parent-death
// signal of Linux (prctl(2), PR_SET_PDEATHSIG), which fires when the spawning *thread* ends, means the death of the
// process and not the retirement of some worker thread. A [Process] is one program that may be started, stopped, killed,
// frozen and thawed any number of times with the same arguments, environment and log.
package proc

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Errors that callers branch on.
var (
	// ErrRunning says that a process which was to be started runs already.
	ErrRunning = errors.New("already running")
	// ErrNotRunning says that a process which was to be signalled does not run.
	ErrNotRunning = errors.New("not running")
	// ErrClosed says that the spawner has been closed.
	ErrClosed = errors.New("spawner closed")
)

// errSuccess says how a process ended that should not have ended, when its exit code is 0.
var errSuccess = errors.New("exit status 0")

// grace is how long a process has between SIGTERM and SIGKILL.
const grace = 5 * time.Second

// Spawner starts children from one locked thread. Make it with [NewSpawner]; it is safe for concurrent use.
type Spawner struct {
	calls   chan func()
	quit    chan struct{}
	crashed func(name string, err error)

	mu       sync.Mutex
	children []*Process
}

// NewSpawner makes a spawner. When a child ends that nobody stopped, crashed is called with its name and exit error, from
// a goroutine of the spawner.
func NewSpawner(crashed func(name string, err error)) *Spawner {
	s := &Spawner{calls: make(chan func()), quit: make(chan struct{}), crashed: crashed}
	go s.run()
	return s
}

// run owns the thread. It never unlocks it: were a child left when it returns, the end of the thread would kill it.
func (s *Spawner) run() {
	runtime.LockOSThread()
	for {
		select {
		case call := <-s.calls:
			call()
		case <-s.quit:
			return
		}
	}
}

// start runs cmd.Start on the spawner's thread.
func (s *Spawner) start(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	select {
	case s.calls <- func() { result <- cmd.Start() }:
		return <-result
	case <-s.quit:
		return ErrClosed
	}
}

// Spec describes a program.
type Spec struct {
	Name string   // for messages
	Path string   // the executable
	Args []string // without the executable's name
	Env  []string // the whole environment: nothing is inherited
	Dir  string   // working folder
	Log  string   // file that standard output and standard error are appended to
}

// Process is a program of a [Spawner]. It is safe for concurrent use.
type Process struct {
	spec    Spec
	spawner *Spawner

	mu  sync.Mutex
	run *run // nil before the first start
}

// run is one life of a process.
type run struct {
	cmd      *exec.Cmd
	done     chan struct{} // closed once it has been reaped
	err      error         // valid after done
	expected bool          // somebody asked for its end; guarded by Process.mu
}

// Process adds a program, not started yet.
func (s *Spawner) Process(spec Spec) *Process {
	p := &Process{spec: spec, spawner: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.children = append(s.children, p)
	return p
}

// Close stops every child, all at once, and waits for them. The spawner starts nothing afterwards. It is idempotent.
func (s *Spawner) Close() error {
	s.mu.Lock()
	children := s.children
	select {
	case <-s.quit:
	default:
		defer close(s.quit)
	}
	s.mu.Unlock()

	errs := make([]error, len(children))
	var stopping sync.WaitGroup
	for i, child := range children {
		stopping.Go(func() {
			if err := child.Stop(); !errors.Is(err, ErrNotRunning) {
				errs[i] = err
			}
		})
	}
	stopping.Wait()
	return errors.Join(errs...)
}

// Start starts the program, and returns once it has been executed; see [Process.Await] for its being ready.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alive() {
		return fmt.Errorf("start %s: %w", p.spec.Name, ErrRunning)
	}
	log, err := os.OpenFile(p.spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	defer log.Close() // the child has its own descriptor

	cmd := exec.Command(p.spec.Path, p.spec.Args...) //nolint:noctx // Stop and the spawner's Close end it, not a context
	cmd.Env = p.spec.Env
	cmd.Dir = p.spec.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		// A group of its own: Ctrl-C in the terminal reaches the owner only, which then stops its children in order.
		Setpgid: true,
	}
	if err := p.spawner.start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	p.run = &run{cmd: cmd, done: make(chan struct{})}
	go p.reap(p.run)
	return nil
}

// reap waits for the end of one life.
func (p *Process) reap(r *run) {
	r.err = r.cmd.Wait()
	close(r.done)
	p.mu.Lock()
	expected := r.expected
	p.mu.Unlock()
	if !expected && p.spawner.crashed != nil {
		p.spawner.crashed(p.spec.Name, r.err)
	}
}

// alive says whether the program runs. The caller holds p.mu.
func (p *Process) alive() bool {
	if p.run == nil {
		return false
	}
	select {
	case <-p.run.done:
		return false
	default:
		return true
	}
}

// Running says whether the program runs; a frozen one does.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.alive()
}

// PID is the program's process ID; 0 when it does not run.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.alive() {
		return 0
	}
	return p.run.cmd.Process.Pid
}

// Stop asks the program to end (SIGTERM), kills it if it has not ended after five seconds, and waits for its end.
// A frozen program is thawed, else it would not see the signal.
func (p *Process) Stop() error {
	r, err := p.end(syscall.SIGTERM, syscall.SIGCONT)
	if err != nil {
		return err
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-r.done:
		return nil
	case <-timer.C:
		return p.Kill()
	}
}

// Kill ends the program at once (SIGKILL) and waits for its end.
func (p *Process) Kill() error {
	r, err := p.end(syscall.SIGKILL)
	if err != nil {
		return err
	}
	<-r.done
	return nil
}

// end sends signals that make the program end.
func (p *Process) end(signals ...os.Signal) (*run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.alive() {
		return nil, fmt.Errorf("stop %s: %w", p.spec.Name, ErrNotRunning)
	}
	p.run.expected = true
	for _, sig := range signals {
		if err := p.run.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return nil, fmt.Errorf("stop %s: %w", p.spec.Name, err)
		}
	}
	return p.run, nil
}

// Freeze suspends the program (SIGSTOP): its connections stay open, and nobody answers.
func (p *Process) Freeze() error { return p.signal("freeze", syscall.SIGSTOP) }

// Thaw lets a frozen program go on (SIGCONT).
func (p *Process) Thaw() error { return p.signal("thaw", syscall.SIGCONT) }

func (p *Process) signal(verb string, sig os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.alive() {
		return fmt.Errorf("%s %s: %w", verb, p.spec.Name, ErrNotRunning)
	}
	if err := p.run.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("%s %s: %w", verb, p.spec.Name, err)
	}
	return nil
}

// Await waits until ready returns nil. It gives up when the program ends, or when ctx does; the error then holds the last
// lines of the program's log.
func (p *Process) Await(ctx context.Context, ready func(context.Context) error) error {
	p.mu.Lock()
	r := p.run
	p.mu.Unlock()
	if r == nil {
		return fmt.Errorf("await %s: %w", p.spec.Name, ErrNotRunning)
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-r.done:
			cancel(fmt.Errorf("ended: %w", cmp.Or(r.err, errSuccess)))
		case <-stop:
		}
	}()
	if err := Poll(ctx, ready); err != nil {
		return fmt.Errorf("await %s: %w; its log %s ends in:\n%s", p.spec.Name, err, p.spec.Log, tail(p.spec.Log))
	}
	return nil
}

// Poll calls condition every 25 ms until it returns nil. When ctx ends first, the error says why and what condition
// returned last.
func Poll(ctx context.Context, condition func(context.Context) error) error {
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last: %w)", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

// tail returns the last lines of a file, at most 2 KB.
func tail(path string) []byte {
	const most = 2048
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	text := make([]byte, min(most, info.Size()))
	if _, err := f.ReadAt(text, info.Size()-int64(len(text))); err != nil {
		return nil
	}
	return bytes.TrimSpace(text)
}
