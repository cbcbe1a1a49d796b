package netns_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/medanchor/medanchor/test/netns"
)

// patience bounds what should happen at once.
const patience = 10 * time.Second

func TestHostsReachEachOther(t *testing.T) {
	network := netns.New(t)
	one, two := network.Host(t, 1), network.Host(t, 2)
	serveEcho(t, listen(t, two, at(two, 4001)))
	if got := echo(t, one, at(two, 4001)); got != "203.0.113.1" {
		t.Errorf("host 2 sees a connection of %s, want 203.0.113.1", got)
	}
}

func TestHostsHaveLoopbacksOfTheirOwn(t *testing.T) {
	network := netns.New(t)
	one, two := network.Host(t, 1), network.Host(t, 2)
	serveEcho(t, listen(t, one, "127.0.0.1:4001"))
	echo(t, one, "127.0.0.1:4001")
	fails(t, two, "127.0.0.1:4001", syscall.ECONNREFUSED)
}

// Of the machine that the test runs on, and of networks that it is on, nothing is reached.
func TestNoWayOut(t *testing.T) {
	network := netns.New(t)
	host := network.Host(t, 1)
	outside, err := new(net.ListenConfig).Listen(t.Context(), "tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	_, port, err := net.SplitHostPort(outside.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			t.Fatal(err)
		}
		switch address := prefix.Addr(); {
		case address.IsLoopback():
			fails(t, host, net.JoinHostPort(address.String(), port), syscall.ECONNREFUSED)
		case !address.IsLinkLocalUnicast(): // such a one means nothing on another link
			fails(t, host, net.JoinHostPort(address.String(), port), syscall.ENETUNREACH)
		}
	}
	fails(t, host, "198.51.100.1:80", syscall.ENETUNREACH) // TEST-NET-2, as of any other network
}

func TestPartition(t *testing.T) {
	network := netns.New(t)
	one, two, three := network.Host(t, 1), network.Host(t, 2), network.Host(t, 3)
	serveEcho(t, listen(t, two, at(two, 4001)))
	echo(t, one, at(two, 4001))
	if err := two.Partition(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if c, err := one.Dial(short, "tcp", at(two, 4001)); err == nil {
		c.Close()
		t.Error("a host whose cable is pulled is reached")
	}
	serveEcho(t, listen(t, three, at(three, 4001)))
	echo(t, one, at(three, 4001))
	echo(t, two, at(two, 4001)) // itself
	if err := two.Join(); err != nil {
		t.Fatal(err)
	}
	echo(t, one, at(two, 4001))
}

func TestForward(t *testing.T) {
	network := netns.New(t)
	host, other := network.Host(t, 1), network.Host(t, 2)
	service, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveEcho(t, service)
	address := service.Addr().String()
	f := host.Forward(t, address)
	echo(t, host, address)
	fails(t, other, address, syscall.ECONNREFUSED)

	open, err := host.Dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	say(t, open, "before\n")
	f.Cut()
	f.Cut() // for the second time, which changes nothing
	if _, err := open.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection that was cut: %v, want its end", err)
	}
	fails(t, host, address, syscall.ECONNREFUSED)
	for range 2 {
		if err := f.Restore(); err != nil {
			t.Fatal(err)
		}
		echo(t, host, address)
	}
	service.Close()
	gone, err := host.Dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Close()
	deadline(t, gone)
	if n, err := gone.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("where nobody listens: %d bytes, %v, want the connection's end", n, err)
	}
}

// The thread comes back, however the function on the host ends.
func TestDoComesBack(t *testing.T) {
	host := netns.New(t).Host(t, 1)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := namespace(t)
	broken := errors.New("broken")
	if err := host.Do(func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v, want the function's own error", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = host.Do(func() error { panic(broken) })
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = host.Do(func() error { runtime.Goexit(); return nil })
	}()
	<-ended
	if after := namespace(t); after != before {
		t.Errorf("in %s, was in %s", after, before)
	}
}

// Nothing is left of the namespaces after a test, and nothing of them is ever seen in the machine's own.
func TestNothingIsLeft(t *testing.T) {
	before := devices(t)
	var made []string
	t.Run("of a test", func(t *testing.T) {
		network := netns.New(t)
		for number := range uint8(2) {
			host := network.Host(t, number+1)
			serveEcho(t, listen(t, host, at(host, 4001)))
			made = append(made, inside(t, host))
		}
		if len(held(t, made...)) == 0 {
			t.Error("no namespace is seen while they are there: this test proves nothing")
		}
		if during := devices(t); !slices.Equal(during, before) {
			t.Errorf("the machine has the devices %q, had %q", during, before)
		}
	})
	if left := held(t, made...); len(left) > 0 {
		t.Errorf("namespaces %q are still held: %q", made, left)
	}
}

// childEnv makes a run of TestKilled the process that is killed.
const childEnv = "MEDANCHOR_NETNS_KILLED"

// A test process that is killed takes its namespaces with it, and the programs that run in them.
func TestKilled(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		beKilled(t)
	}
	netns.New(t) // or skip
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
	child.Env = append(os.Environ(), childEnv+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	made, err := bufio.NewReader(out).ReadString('\n')
	made = strings.TrimSpace(made)
	if err != nil || len(held(t, made)) < 2 {
		t.Errorf("the process says %q (%v), and %q is seen: want its descriptor and its child", made, err, held(t, made))
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Error("the process ended by itself")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for tick := time.NewTicker(10 * time.Millisecond); len(held(t, made)) > 0; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("namespace %s is still held: %q", made, held(t, made))
		}
	}
}

// beKilled makes a network and starts a program in it, says which namespace that is, and waits.
func beKilled(t *testing.T) {
	t.Helper()
	host := netns.New(t).Host(t, 1)
	program := exec.CommandContext(t.Context(), "sleep", "infinity")
	program.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := host.Do(program.Start); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stdout.WriteString(inside(t, host) + "\n"); err != nil {
		t.Fatal(err)
	}
	t.Fatal(program.Wait())
}

// held gives what holds any of the namespaces: threads, descriptors and mounts of all processes.
func held(t *testing.T, namespaces ...string) (by []string) {
	t.Helper()
	for _, pattern := range []string{"/proc/[0-9]*/task/*/ns/net", "/proc/[0-9]*/fd/*"} {
		links, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links {
			if name, err := os.Readlink(link); err == nil && slices.Contains(namespaces, name) {
				by = append(by, link)
			}
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range namespaces {
		if strings.Contains(string(mounts), name) {
			by = append(by, "a mount of "+name)
		}
	}
	return by
}

// namespace is the one of this goroutine's thread, as net:[number].
func namespace(t *testing.T) string {
	t.Helper()
	name, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func inside(t *testing.T, h *netns.Host) (name string) {
	t.Helper()
	if err := h.Do(func() error { name = namespace(t); return nil }); err != nil {
		t.Fatal(err)
	}
	return name
}

// devices lists the network devices of the machine.
func devices(t *testing.T) (names []string) {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		names = append(names, i.Name)
	}
	return names
}

func at(h *netns.Host, port uint16) string { return netip.AddrPortFrom(h.Address, port).String() }

func listen(t *testing.T, h *netns.Host, address string) net.Listener {
	t.Helper()
	l, err := h.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serveEcho says of each connection where it comes from, then says everything again, until the test ends.
func serveEcho(t *testing.T, l net.Listener) {
	t.Helper()
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				from, _, _ := net.SplitHostPort(c.RemoteAddr().String())
				if _, err := io.WriteString(c, from+"\n"); err == nil {
					_, _ = io.Copy(c, c)
				}
			}()
		}
	}()
}

// echo has the echo at an address say something again, and gives what it says of the connection.
func echo(t *testing.T, h *netns.Host, address string) (from string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := h.Dial(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return say(t, c, strings.Repeat("well, ", 1<<16)+"hello\n")
}

// say writes to the echo at the other end of a new connection, and reads what comes.
func say(t *testing.T, c net.Conn, text string) (from string) {
	t.Helper()
	deadline(t, c)
	go func() { _, _ = io.WriteString(c, text) }()
	r := bufio.NewReader(c)
	from, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.ReadString('\n')
	if err != nil || got != text {
		t.Fatalf("the echo of %d bytes is %d bytes, %v", len(text), len(got), err)
	}
	return strings.TrimSpace(from)
}

func deadline(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
}

// fails dials an address that nothing may be reached at.
func fails(t *testing.T, h *netns.Host, address string, want error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := h.Dial(ctx, "tcp", address)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, want) {
		t.Errorf("dial %s: %v, want %v", address, err, want)
	}
}
