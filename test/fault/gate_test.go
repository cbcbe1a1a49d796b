package fault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A gate stands between a daemon and its disk. Each system call by which the daemon touches a file waits at it, and is let
// through, or answered with an error that the kernel did not give (seccomp_unotify(2)). So the whole daemon has its I/O errors,
// the libraries that it stands on included, and each of them at a call that the test chose.
type gate struct {
	t    *testing.T
	name string // of its socket
	at   []place

	mu    sync.Mutex
	fault *fault
	seen  map[spot]int // calls since the gate was set
	order []spot       // as they first came
	hits  int          // calls that failed since then
}

// place is a folder that a gate watches, its name in reports, and what kinds of files it has.
type place struct {
	dir, name string
	kind      func(rel string) string
}

// spot is a kind of call on a kind of file.
type spot struct{ call, place, file string }

func (s spot) String() string { return s.call + " " + s.place + "/" + s.file }

// reads says that the call changes nothing.
func (s spot) reads() bool { return s.call == "open" || s.call == "list" || s.call == "read" }

// fault is what goes wrong: the Nth call at the spot gives Err, and so does each later one at any spot if it is Lasting. The
// error 0 stands for a kill.
type fault struct {
	spot    spot
	nth     int
	err     syscall.Errno
	lasting bool
}

func (f fault) String() string {
	what := f.err.Error()
	if f.err == 0 {
		what = "killed"
	}
	if f.lasting {
		what += " from there on"
	}
	return fmt.Sprintf("%s, number %d: %s", f.spot, f.nth, what)
}

// call is a system call that waits at the gate.
type call struct {
	name string
	// operand is the argument that names the file: a descriptor, or, where atPath says so, a folder's descriptor that is
	// followed by a path.
	operand int
	atPath  bool
}

// calls are those that touch what is on disk.
func calls() map[int32]call {
	return map[int32]call{
		unix.SYS_OPENAT:     {"open", 0, true},
		unix.SYS_OPENAT2:    {"open", 0, true},
		unix.SYS_MKDIRAT:    {"mkdir", 0, true},
		unix.SYS_UNLINKAT:   {"unlink", 0, true},
		unix.SYS_RENAMEAT:   {"rename", 2, true},
		unix.SYS_RENAMEAT2:  {"rename", 2, true},
		unix.SYS_LINKAT:     {"link", 2, true},
		unix.SYS_WRITE:      {"write", 0, false},
		unix.SYS_PWRITE64:   {"write", 0, false},
		unix.SYS_PREAD64:    {"read", 0, false},
		unix.SYS_FSYNC:      {"fsync", 0, false},
		unix.SYS_FDATASYNC:  {"fsync", 0, false},
		unix.SYS_FTRUNCATE:  {"truncate", 0, false},
		unix.SYS_FALLOCATE:  {"truncate", 0, false},
		unix.SYS_GETDENTS64: {"list", 0, false},
	}
}

// newGate makes a gate for the daemons of a hospital that are started through it.
func newGate(t *testing.T, c *campaign) *gate {
	t.Helper()
	g := &gate{t: t, name: fmt.Sprintf("@medanchor-fault-%d-%s", os.Getpid(), filepath.Base(t.Name())), at: []place{
		{c.Config.Data, "data", inData}, {c.DICOM, "drop", inDrop}, {c.Documents, "drop", inDrop},
	}}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: g.name, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	var daemons sync.WaitGroup
	daemons.Go(func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return // closed
			}
			daemons.Go(func() { g.keep(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		daemons.Wait()
	})
	g.set(nil)
	return g
}

// set sets what is to go wrong from here on, nil for nothing, and counts anew.
func (g *gate) set(f *fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault, g.seen, g.order, g.hits = f, make(map[spot]int), nil, 0
}

// lift ends the fault, and goes on counting.
func (g *gate) lift() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault = nil
}

// failed is how many calls failed since the gate was set.
func (g *gate) failed() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.hits
}

// counted is what came since the gate was set: the spots, in order, and how many calls.
func (g *gate) counted() ([]spot, map[spot]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]spot(nil), g.order...), maps.Clone(g.seen)
}

// judge says what becomes of a call: the error, and whether it is to be killed.
func (g *gate) judge(s spot) (err syscall.Errno, kill bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seen[s]++; g.seen[s] == 1 {
		g.order = append(g.order, s)
	}
	f := g.fault
	if f == nil || !(f.lasting && g.hits > 0) && (s != f.spot || g.seen[s] != f.nth) {
		return 0, false
	}
	g.hits++
	return f.err, f.err == 0
}

// The messages of seccomp_unotify(2).
type (
	notification struct {
		id   uint64
		pid  uint32
		_    uint32
		nr   int32
		_    uint32
		_    uint64
		args [6]uint64
	}
	answer struct {
		id    uint64
		_     int64
		errno int32
		flags uint32
	}
)

// keep keeps the gate for one daemon, and the processes that it starts, until all of them have ended.
func (g *gate) keep(conn *net.UnixConn) {
	fd, err := receiveDescriptor(conn)
	if err != nil {
		g.t.Errorf("receive the daemon's calls: %v", err)
		return
	}
	defer unix.Close(fd)
	for waitForCall(fd) {
		var n notification
		if err := ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_RECV, &n); err != nil {
			continue // its caller has ended meanwhile
		}
		a := answer{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if s, ok := g.spot(&n); ok {
			errno, kill := g.judge(s)
			if kill {
				killGroupOf(g.t, int(n.pid))
				continue
			}
			if errno != 0 {
				a = answer{id: n.id, errno: -int32(errno)}
			}
		}
		_ = ioctl(fd, unix.SECCOMP_IOCTL_NOTIF_SEND, &a) // fails where the caller has ended meanwhile
	}
}

// killGroupOf kills a daemon with all that it started, while its call waits.
func killGroupOf(t *testing.T, pid int) {
	group, err := unix.Getpgid(pid)
	if err == nil {
		err = unix.Kill(-group, unix.SIGKILL)
	}
	if err != nil {
		t.Errorf("kill the daemon at a call: %v", err)
	}
}

// waitForCall is false once there is nobody left to make one.
func waitForCall(fd int) bool {
	for {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		_, err := unix.Poll(poll, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err == nil && poll[0].Revents&unix.POLLIN != 0
	}
}

// spot says where a call falls; not ok if it touches none of the watched files.
func (g *gate) spot(n *notification) (s spot, ok bool) {
	c, known := calls()[n.nr]
	if !known {
		return s, false
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", n.pid, int32(n.args[c.operand])))
	if c.atPath {
		if rel := readString(int(n.pid), uintptr(n.args[c.operand+1])); filepath.IsAbs(rel) {
			path, err = rel, nil
		} else {
			path = filepath.Join(path, rel)
		}
	}
	if err != nil {
		return s, false
	}
	for _, at := range g.at {
		rel, err := filepath.Rel(at.dir, path)
		if err == nil && filepath.IsLocal(rel) {
			return spot{c.name + creates(n), at.name, at.kind(rel)}, true
		}
	}
	return s, false
}

// creates tells an open that makes a file from one that does not.
func creates(n *notification) string {
	flags := uint64(0)
	switch n.nr {
	case unix.SYS_OPENAT:
		flags = n.args[2]
	case unix.SYS_OPENAT2: // struct open_how begins with them
		var how [8]byte
		if readMemory(int(n.pid), uintptr(n.args[2]), how[:]) == len(how) {
			flags = binary.NativeEndian.Uint64(how[:])
		}
	}
	if flags&unix.O_CREAT != 0 {
		return " to make"
	}
	return ""
}

// inDrop is what a file is, by its path inside a drop folder.
func inDrop(rel string) string {
	switch top, _, below := strings.Cut(rel, "/"); {
	case rel == "." || rel == "done":
		return rel
	case below && top == "done":
		return "done/*"
	}
	return "*"
}

// inData is what a file is, by its path inside the data folder: its name, if there always is one of that name, else its folder's.
func inData(rel string) string {
	const blocks, datastore = ipfsFolder + "/blocks/", ipfsFolder + "/datastore/"
	switch name := filepath.Base(rel); {
	case strings.HasPrefix(rel, blocks+".temp/temp-"), name == "diskUsage.cache":
		return sizeNote
	case strings.HasPrefix(rel, blocks+".temp"):
		return blocks + ".temp"
	case strings.HasPrefix(rel, blocks):
		return blocks + "*"
	case strings.HasPrefix(rel, datastore) && filepath.Ext(name) != "":
		return datastore + "*" + filepath.Ext(name)
	case strings.HasPrefix(rel, datastore+"MANIFEST"):
		return datastore + "MANIFEST"
	case strings.HasPrefix(rel, "spool/"):
		return "spool/*"
	}
	return rel
}

// What nothing hangs on: Kubo's note of how large its repository is, and the log of its database.
const (
	sizeNote    = ipfsFolder + "/blocks/diskUsage.cache"
	databaseLog = ipfsFolder + "/datastore/LOG"
)

// readString reads a path from another process.
func readString(pid int, at uintptr) string {
	var path [unix.PathMax]byte
	n := readMemory(pid, at, path[:])
	text, _, _ := bytes.Cut(path[:n], []byte{0})
	return string(text)
}

// readMemory reads from another process up to the first page that is not there, and returns how much.
func readMemory(pid int, at uintptr, into []byte) (n int) {
	page := os.Getpagesize()
	for n < len(into) {
		size := min(len(into)-n, page-int(at+uintptr(n))%page)
		local := []unix.Iovec{{Base: &into[n]}}
		local[0].SetLen(size)
		read, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: at + uintptr(n), Len: size}}, 0)
		if err != nil || read == 0 {
			break
		}
		n += read
	}
	return n
}

func ioctl[T any](fd int, request uintptr, message *T) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request,
		uintptr(unsafe.Pointer(message))) //nolint:gosec // how the kernel takes it
	if errno != 0 {
		return errno
	}
	return nil
}

func receiveDescriptor(conn *net.UnixConn) (int, error) {
	defer conn.Close()
	var one [1]byte
	rights := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(one[:], rights)
	if err != nil {
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return 0, errors.Join(err, fmt.Errorf("%d control messages, want 1", len(messages)))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return 0, err
	}
	return fds[0], nil
}

// passThrough has this process's calls, and those of the processes that it starts, wait at the gate with this name.
func passThrough(name string) error {
	runtime.LockOSThread() // no_new_privs is a thread's
	defer runtime.UnlockOSThread()
	conn, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(conn)
	if err := unix.Connect(conn, &unix.SockaddrUnix{Name: name}); err != nil {
		return fmt.Errorf("find gate: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	filter := waiting()
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|
		unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
		uintptr(unsafe.Pointer(&program))) //nolint:gosec // how the kernel takes it
	if errno != 0 {
		return fmt.Errorf("have calls wait at the gate: %w", errno)
	}
	defer unix.Close(int(fd))
	return unix.Sendmsg(conn, []byte{0}, unix.UnixRights(int(fd)), nil, 0)
}

// waiting is the filter that has the calls wait, and lets any other through: load the number, compare.
func waiting() []unix.SockFilter {
	numbers := calls()
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}}
	left := len(numbers)
	for nr := range numbers {
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(nr), Jt: uint8(left)})
		left--
	}
	return append(program,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
}
