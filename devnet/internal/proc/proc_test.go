package proc_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/medanchor/medanchor/devnet/internal/proc"
	"github.com/medanchor/medanchor/devnet/internal/proctest"
)

// parentEnv makes this test binary play the owner that is killed, and names the folder it may write to.
const parentEnv = "PROC_TEST_PARENT_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentEnv); dir != "" {
		playParent(dir)
	}
	os.Exit(m.Run())
}

func TestStop(t *testing.T) {
	tests := []struct {
		name, script string
		freeze       bool
	}{
		{name: "a willing child", script: "echo ready; exec sleep 600"},
		{name: "a frozen child", script: "echo ready; exec sleep 600", freeze: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, log := child(t, newSpawner(t), tt.script)
			startUntilReady(t, p, log)
			if tt.freeze {
				must(t, p.Freeze())
			}
			start := time.Now()
			must(t, p.Stop())
			if p.Running() {
				t.Error("runs after Stop")
			}
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("took %v: ended by SIGKILL, not by SIGTERM", took)
			}
			if err := p.Stop(); !errors.Is(err, proc.ErrNotRunning) {
				t.Errorf("second Stop: %v, want ErrNotRunning", err)
			}
		})
	}
}

func TestStopKillsAChildThatWillNotEnd(t *testing.T) {
	p, log := child(t, newSpawner(t), `trap "" TERM; echo ready; while :; do sleep 0.1; done`)
	startUntilReady(t, p, log)
	must(t, p.Stop())
	if p.Running() {
		t.Error("runs after Stop")
	}
}

func TestKill(t *testing.T) {
	p, log := child(t, newSpawner(t), `trap "echo asked" TERM; echo ready; while :; do sleep 0.1; done`)
	startUntilReady(t, p, log)
	must(t, p.Kill())
	if got := read(t, log); got != "ready\n" {
		t.Errorf("log %q: the child was asked", got)
	}
}

func TestFreezeAndThaw(t *testing.T) {
	p, log := child(t, newSpawner(t), `echo ready; exec sleep 600`)
	startUntilReady(t, p, log)
	must(t, p.Freeze())
	awaitState(t, p, "T")
	must(t, p.Thaw())
	awaitState(t, p, "S")
}

func TestStartAgain(t *testing.T) {
	p, log := child(t, newSpawner(t), `echo ready; exec sleep 600`)
	startUntilReady(t, p, log)
	if err := p.Start(); !errors.Is(err, proc.ErrRunning) {
		t.Errorf("Start of a running child: %v, want ErrRunning", err)
	}
	must(t, p.Kill())
	must(t, p.Start())
	must(t, p.Await(t.Context(), logHolds(log, "ready\nready\n")))
}

func TestEnvironmentIsNotInherited(t *testing.T) {
	t.Setenv("PROC_TEST_LEAK", "leaked")
	p, log := child(t, newSpawner(t), `echo "[$PROC_TEST_LEAK]"; echo ready; exec sleep 600`)
	startUntilReady(t, p, log)
	if got := read(t, log); !strings.Contains(got, "[]") {
		t.Errorf("log %q: the environment leaked", got)
	}
}

func TestAwaitGivesUp(t *testing.T) {
	never := func(context.Context) error { return errors.New("not yet") }

	t.Run("when the child ends, with the end of its log", func(t *testing.T) {
		p, _ := child(t, newSpawner(t), `echo no disk; exit 3`)
		must(t, p.Start())
		err := p.Await(t.Context(), never)
		if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no disk") {
			t.Errorf("error %v: want the exit status and the log", err)
		}
	})
	t.Run("when the context ends", func(t *testing.T) {
		p, log := child(t, newSpawner(t), `echo ready; exec sleep 600`)
		startUntilReady(t, p, log)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := p.Await(ctx, never); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want DeadlineExceeded", err)
		}
	})
}

func TestCrashIsReported(t *testing.T) {
	crashes := make(chan string, 2)
	s := proc.NewSpawner(func(name string, err error) { crashes <- fmt.Sprint(name, ": ", err) })
	t.Cleanup(func() { must(t, s.Close()) })

	stopped, log := child(t, s, `echo ready; exec sleep 600`)
	startUntilReady(t, stopped, log)
	must(t, stopped.Stop())
	crashing, _ := child(t, s, `exit 4`)
	must(t, crashing.Start())
	if got, want := <-crashes, "child: exit status 4"; got != want {
		t.Errorf("reported %q, want %q and nothing about the child that was stopped", got, want)
	}
}

func TestCloseEndsAllAndStartsNoMore(t *testing.T) {
	s := newSpawner(t)
	var all []*proc.Process
	for range 3 {
		p, log := child(t, s, `echo ready; exec sleep 600`)
		startUntilReady(t, p, log)
		all = append(all, p)
	}
	must(t, all[0].Freeze())
	must(t, s.Close())
	for i, p := range all {
		if p.Running() {
			t.Errorf("child %d runs after Close", i)
		}
	}
	if err := all[0].Start(); !errors.Is(err, proc.ErrClosed) {
		t.Errorf("Start after Close: %v, want ErrClosed", err)
	}
}

// The parent-death signal fires when the thread that started the child ends. Were it the caller's, a child would die here.
func TestChildrenOutliveTheThreadsThatAskedForThem(t *testing.T) {
	s := newSpawner(t)
	// Two threads at once: the process's first thread, which never ends, can be one of them only.
	var children [2]*proc.Process
	var logs [2]string
	var both, ended sync.WaitGroup
	both.Add(len(children))
	for i := range children {
		p, log := child(t, s, `echo ready; exec sleep 600`)
		children[i], logs[i] = p, log
		ended.Go(func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			both.Done()
			both.Wait()
			if err := p.Start(); err != nil {
				t.Error(err)
			}
		})
	}
	ended.Wait()
	for i, p := range children {
		must(t, p.Await(t.Context(), logHolds(logs[i], "ready\n")))
	}
	// A thread ends soon after its goroutine: give it as long as the start and stop of another child takes.
	other, log := child(t, s, `echo ready; exec sleep 600`)
	startUntilReady(t, other, log)
	must(t, other.Stop())
	for _, p := range children {
		if !p.Running() {
			t.Error("a child died with the thread that asked for it")
		}
	}
}

func TestChildrenDieWithTheirOwner(t *testing.T) {
	owner := exec.CommandContext(t.Context(), os.Args[0])
	dir := t.TempDir()
	owner.Env = append(os.Environ(), parentEnv+"="+dir)
	output, err := owner.StdoutPipe()
	must(t, err)
	must(t, owner.Start())
	t.Cleanup(func() { _ = owner.Process.Kill() })
	_, err = bufio.NewReader(output).ReadString('\n')
	must(t, err)
	if got := len(proctest.Below(dir)); got != 2 {
		t.Fatalf("%d children run, want 2", got)
	}
	t.Cleanup(func() {
		for _, pid := range proctest.Below(dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})

	must(t, owner.Process.Kill())
	_ = owner.Wait() // killed, as asked
	proctest.AwaitNone(t, dir)
}

// playParent starts two children in dir, one of them frozen, says so and waits to be killed.
func playParent(dir string) {
	s := proc.NewSpawner(nil)
	var last *proc.Process
	for i := range 2 {
		last = s.Process(proc.Spec{
			Name: "child",
			Path: "/bin/sleep",
			Args: []string{"600"},
			Dir:  dir,
			Log:  filepath.Join(dir, strconv.Itoa(i)),
		})
		if err := last.Start(); err != nil {
			panic(err)
		}
	}
	if err := last.Freeze(); err != nil {
		panic(err)
	}
	fmt.Println("ready")
	select {}
}

func newSpawner(t *testing.T) *proc.Spawner {
	t.Helper()
	s := proc.NewSpawner(nil)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// child makes a process that runs a shell script; its log is the script's output.
func child(t *testing.T, s *proc.Spawner, script string) (p *proc.Process, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	return s.Process(proc.Spec{
		Name: "child",
		Path: "/bin/sh",
		Args: []string{"-c", script},
		Env:  []string{"PATH=" + os.Getenv("PATH")},
		Log:  log,
	}), log
}

func startUntilReady(t *testing.T, p *proc.Process, log string) {
	t.Helper()
	must(t, p.Start())
	must(t, p.Await(t.Context(), logHolds(log, "ready\n")))
}

func logHolds(log, want string) func(context.Context) error {
	return func(context.Context) error {
		got, err := os.ReadFile(log)
		if err == nil && !strings.Contains(string(got), want) {
			err = fmt.Errorf("log holds %q", got)
		}
		return err
	}
}

// awaitState waits until the kernel gives the process a state, as in proc_pid_stat(5).
func awaitState(t *testing.T, p *proc.Process, want string) {
	t.Helper()
	must(t, p.Await(t.Context(), func(context.Context) error {
		if got := state(p.PID()); got != want {
			return fmt.Errorf("state %q, want %q", got, want)
		}
		return nil
	}))
}

// state reads the state of a process; "" when there is none.
func state(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return rest[:1]
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
