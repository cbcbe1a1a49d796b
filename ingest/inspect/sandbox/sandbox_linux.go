package sandbox

import (
	"fmt"
	"os"
	"os/signal"

	"github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// The limits of a confined process.
const (
	// Memory bounds private writable memory, in bytes (RLIMIT_DATA).
	Memory = 256 << 20
	// Growth bounds the addresses that a process takes beyond those that the Go runtime reserves when it starts, of which it
	// uses little (RLIMIT_AS): two of the runtime's arenas of 64 MiB, beside the first, and what it needs to manage them.
	// RLIMIT_DATA alone lets one mapping of any size pass where it takes the place of a reservation, as Go's heap does
	// (mm/vma.c, may_expand_vm).
	Growth = 2*64<<20 + 24<<20
	// CPUSeconds bounds the process's whole life: it is to ask for a successor in good time.
	CPUSeconds = 30
)

// allowed is what the Go runtime and reads and writes of open files need. Anything else is answered with EPERM: a library
// that tries to open a file gets an error, not a death that would cost the metadata.
var allowed = []string{
	"read", "write", "close",
	"mmap", "munmap", "mprotect", "madvise",
	"futex", "sched_yield", "nanosleep", "clock_nanosleep", "clock_gettime", "gettimeofday",
	"rt_sigprocmask", "rt_sigreturn", "rt_sigaction", "sigaltstack", "tgkill", "getpid", "gettid",
	"epoll_create1", "eventfd2", "epoll_ctl", "epoll_pwait", "restart_syscall", "getrandom", "getrusage",
	"set_robust_list", "rseq",
	"exit", "exit_group",
}

// Enter confines the process, all its threads, for good. Signals meant for the daemon (a terminal's Ctrl-C, a service
// stop) are ignored from here on: the process ends when its stdin does, or when its parent dies.
func Enter() error {
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("change to /: %w", err)
	}
	size, err := addressSpace()
	if err != nil {
		return err
	}
	for _, l := range []struct {
		name     string
		resource int
		value    uint64
	}{
		{"memory", unix.RLIMIT_DATA, Memory},
		{"address space", unix.RLIMIT_AS, size + Growth},
		{"CPU time", unix.RLIMIT_CPU, CPUSeconds},
		{"file size", unix.RLIMIT_FSIZE, 0},
		{"core dumps", unix.RLIMIT_CORE, 0},
		{"open files", unix.RLIMIT_NOFILE, 8},
	} {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.value, Max: l.value}); err != nil {
			return fmt.Errorf("limit %s: %w", l.name, err)
		}
	}
	return filter()
}

// addressSpace gives how many bytes of addresses the process has by now.
func addressSpace() (uint64, error) {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, fmt.Errorf("read the size of the process: %w; is /proc mounted?", err)
	}
	var pages uint64
	if _, err := fmt.Sscan(string(statm), &pages); err != nil {
		return 0, fmt.Errorf("read the size of the process: %w", err)
	}
	return pages * uint64(os.Getpagesize()), nil // #nosec G115 -- a page's size is positive
}

// filter loads two filters, of which a system call has to pass both: a policy's only rule with a condition has to be its last,
// for the filter library does not load the number of the system call again after it has looked at an argument, so that a rule
// behind it could match a wrong call.
func filter() error {
	for _, p := range []seccomp.Policy{ownThreads(), allowList()} { // after the second nothing more can be loaded
		if err := seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: p}); err != nil {
			return fmt.Errorf("filter system calls: %w", err)
		}
	}
	return nil
}

// ownThreads lets signals go to the process itself only: the runtime preempts its threads by them, and the daemon has the same
// user.
func ownThreads() seccomp.Policy {
	return seccomp.Policy{
		DefaultAction: seccomp.ActionAllow,
		Syscalls: []seccomp.SyscallGroup{{
			Action: seccomp.ActionErrno, // EPERM
			NamesWithCondtions: []seccomp.NameWithConditions{{
				Name: "tgkill",
				Conditions: seccomp.ArgumentConditions{
					{Argument: 0, Operation: seccomp.NotEqual, Value: uint64(os.Getpid())}, // #nosec G115 -- it is positive
				},
			}},
		}},
	}
}

func allowList() seccomp.Policy {
	return seccomp.Policy{
		DefaultAction: seccomp.ActionErrno, // EPERM
		Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionAllow, Names: allowed},
			// A C library, where one is linked, then starts its threads by clone, whose flags can be seen.
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: []string{"clone3"}},
			{Action: seccomp.ActionAllow, NamesWithCondtions: []seccomp.NameWithConditions{{
				Name: "clone", // threads, never processes
				Conditions: seccomp.ArgumentConditions{
					{Argument: 0, Operation: seccomp.BitsSet, Value: unix.CLONE_THREAD},
				},
			}}},
		},
	}
}

// CPU gives the CPU time that the process has used, in seconds.
func CPU() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return CPUSeconds // let it be replaced
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
