package netns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// Forwarder passes connections on from a host to the machine that the test runs on.
type Forwarder struct {
	host      *Host
	addresses []string

	mu   sync.Mutex
	line *line // nil while it is cut
}

// Forward listens on the host at addresses of its loopback (127.0.0.1:port), and passes each connection on to the same
// address of the machine: what listens there is found by programs on the host at its usual address. It ends with the test.
func (h *Host) Forward(tb testing.TB, addresses ...string) *Forwarder {
	tb.Helper()
	f := &Forwarder{host: h, addresses: addresses}
	if err := f.Restore(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(f.Cut)
	return f
}

// Cut ends the connections, and has new ones refused. When it returns nothing passes any more.
func (f *Forwarder) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.line != nil {
		f.line.cut()
		f.line = nil
	}
}

// Restore has new connections passed on again.
func (f *Forwarder) Restore() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.line != nil {
		return nil
	}
	l := newLine()
	for _, address := range f.addresses {
		listener, err := f.host.Listen(l.ctx, "tcp", address)
		if err != nil {
			l.cut()
			return fmt.Errorf("forward %s: %w", address, err)
		}
		l.serve(listener, address)
	}
	f.line = l
	return nil
}

// line is what passes connections on until it is cut, which ends ctx.
type line struct {
	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup
}

func newLine() *line {
	l := new(line)
	l.ctx, l.end = context.WithCancel(context.Background())
	return l
}

func (l *line) cut() {
	l.end()
	l.running.Wait()
}

// serve passes on what comes to the listener.
func (l *line) serve(listener net.Listener, address string) {
	l.running.Go(func() {
		end := l.closes(listener)
		defer end()
		for {
			inside, err := listener.Accept()
			if err != nil {
				return
			}
			l.running.Go(func() { l.pass(inside, address) })
		}
	})
}

// pass connects what came in with the address, and ends both when both are through, or one of them fails.
func (l *line) pass(inside net.Conn, address string) {
	end := l.closes(inside)
	defer end()
	outside, err := new(net.Dialer).DialContext(l.ctx, "tcp", address)
	if err != nil {
		return // nobody listens there: the other side sees its connection end
	}
	endOutside := l.closes(outside)
	defer endOutside()
	var back sync.WaitGroup
	back.Go(func() { half(inside, outside) })
	half(outside, inside)
	back.Wait()
}

// half copies one direction, and passes its end on.
func half(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if tcp, ok := to.(*net.TCPConn); ok && err == nil {
		err = tcp.CloseWrite()
	}
	if err != nil {
		_ = errors.Join(to.Close(), from.Close()) // has failed already
	}
}

// closes closes c when the line is cut, or when the function that it returns is called.
func (l *line) closes(c io.Closer) func() {
	stop := context.AfterFunc(l.ctx, func() { _ = c.Close() })
	return func() {
		stop()
		_ = c.Close() // closed twice where the line is cut, which does no harm
	}
}
