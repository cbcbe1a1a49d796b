//go:build !race

// The race detector needs more memory, and more system calls, than the sandbox leaves.

package sandbox_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/ingest/inspect/sandbox"
)

// parent is asked for while it can be: in the sandbox getppid is forbidden.
var parent = os.Getppid()

// probes are what the test binary does in the sandbox when it is started under their names. They print what they got.
var probes = map[string]func() any{
	"open":   func() any { _, err := os.Open("/etc/passwd"); return err },
	"create": func() any { return os.WriteFile("/tmp/medanchor-probe", nil, 0o600) },
	"socket": func() any { _, err := net.DialTimeout("tcp", "127.0.0.1:9", time.Second); return err },
	"exec":   func() any { return exec.Command("/bin/true").Run() },
	"fork": func() any {
		_, _, errno := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0)
		return errno
	},
	// A fork whose flags are the number of an allowed system call must not slip through as that call.
	"fork-as-mmap": func() any {
		_, _, errno := syscall.RawSyscall(syscall.SYS_CLONE, syscall.SYS_MMAP, 0, 0)
		return errno
	},
	"ptrace": func() any { return unix.PtraceAttach(parent) },
	"kill":   func() any { return syscall.Kill(parent, 0) },
	"tgkill": func() any { return unix.Tgkill(parent, parent, 0) },
	// The kernel looks at the lower half of an argument only.
	"tgkill-high": func() any {
		_, _, errno := syscall.RawSyscall(syscall.SYS_TGKILL, 1<<32|uintptr(parent), uintptr(parent), 0)
		return errno
	},
	"fcntl-owner": func() any { // whom the kernel sends a signal when there is something to read
		_, err := unix.FcntlInt(0, unix.F_SETOWN, parent)
		return err
	},
	"raise": func() any {
		return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
	},
	"preempt": func() any { // the runtime stops a loop that calls nothing by a signal to its own thread
		runtime.GOMAXPROCS(2)
		spinning := make(chan struct{}, 1)
		go func() {
			spinning <- struct{}{}
			for i := 0; ; i++ {
				if i < 0 {
					return
				}
			}
		}()
		<-spinning
		runtime.GC() // waits until each goroutine has stopped
		return "collected"
	},
	"threads": func() any { // what must go on working
		done := make(chan int)
		for i := range 8 {
			go func() { done <- i }()
		}
		for range 8 {
			<-done
		}
		time.Sleep(time.Millisecond)
		return len(make([]byte, 64<<20))
	},
	"allocate": func() any {
		b := make([]byte, 300<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		return len(b)
	},
	"spin": func() any {
		for i := 0; ; i++ {
			if i < 0 {
				return i
			}
		}
	},
}

func TestMain(m *testing.M) {
	probe, ok := probes[filepath.Base(os.Args[0])]
	if !ok {
		os.Exit(m.Run())
	}
	if err := sandbox.Enter(); err != nil {
		fmt.Println("cannot enter:", err)
		os.Exit(1)
	}
	fmt.Println(probe())
	os.Exit(0)
}

// run runs a probe in the sandbox.
func run(t *testing.T, probe string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), probe)
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), link)
	cmd.Env = []string{}
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func TestForbidden(t *testing.T) {
	for _, probe := range []string{
		"open", "create", "socket", "exec", "fork", "fork-as-mmap", "ptrace", "kill", "tgkill", "tgkill-high", "fcntl-owner", "raise",
	} {
		t.Run(probe, func(t *testing.T) {
			got, err := run(t, probe)
			if err != nil || !strings.Contains(got, "operation not permitted") {
				t.Errorf("in the sandbox: %q, %v; want operation not permitted", got, err)
			}
		})
	}
}

func TestAllowed(t *testing.T) {
	if got, err := run(t, "threads"); err != nil || got != fmt.Sprint(64<<20) {
		t.Errorf("threads, timers and 64 MiB: %q, %v", got, err)
	}
}

// TestPreemption: the runtime sends signals to its own threads, and to nobody else.
func TestPreemption(t *testing.T) {
	if got, err := run(t, "preempt"); err != nil || got != "collected" {
		t.Errorf("a collection while a goroutine spins: %q, %v", got, err)
	}
}

// TestMemoryEndsTheProcess: how the runtime dies of refused memory varies, but it dies.
func TestMemoryEndsTheProcess(t *testing.T) {
	got, err := run(t, "allocate")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || got != "" {
		t.Errorf("300 MiB in the sandbox: %q, %v; want the end of the process", got, err)
	}
}

// TestCPUEndsTheProcess takes as long as the limit.
func TestCPUEndsTheProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute of one processor")
	}
	t.Parallel()
	got, err := run(t, "spin")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("an endless loop: %q, %v; want SIGKILL", got, err)
	}
}
