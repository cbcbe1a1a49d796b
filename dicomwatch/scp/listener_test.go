package scp_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
)

// pipe is a listener of one connection, which holds no byte that is not read.
type pipe struct {
	once   chan net.Conn
	closed chan struct{}
	close  func()
}

func (l pipe) Accept() (net.Conn, error) {
	select {
	case c := <-l.once:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l pipe) Close() error {
	l.close()
	return nil
}

func (pipe) Addr() net.Addr { return &net.TCPAddr{} }

// overPipe serves one peer over a connection of which each read gives no more than was written at once.
func overPipe(t *testing.T, o scp.Options) (*receiver, *peer) {
	t.Helper()
	o.Open = true // there is no address
	r := start(t, o)
	ours, theirs := net.Pipe()
	closed := make(chan struct{})
	l := pipe{make(chan net.Conn, 1), closed, sync.OnceFunc(func() { close(closed) })}
	l.once <- ours
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, l) }()
	t.Cleanup(func() {
		theirs.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r, &peer{theirs, t, bufio.NewReader(theirs)}
}

// counted is a listener whose connections tell what is written at once.
type counted struct {
	net.Listener
	writes chan []byte
}

type countedConn struct {
	net.Conn
	writes chan []byte
}

func (l counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countedConn{c, l.writes}, err
}

func (c countedConn) Write(b []byte) (int, error) {
	c.writes <- bytes.Clone(b)
	return c.Conn.Write(b)
}

func TestEachPDUIsWrittenAtOnce(t *testing.T) {
	r := start(t, scp.Options{})
	l := counted{listen(t), make(chan []byte, 10)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, l) }()
	r.address = l.Addr().String()
	p := r.dial(t)
	p.open(ct(), echo())
	p.send(message(3, echoRQ(1), nil))
	p.response(echoRQ(1), scp.StatusSuccess)
	p.send(message(1, storeRQ(2, "1.2.3"), ctDataset(ctStorage, "1.2.3", 400)))
	p.response(storeRQ(2, "1.2.3"), scp.StatusSuccess)
	p.release()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	close(l.writes)
	var kinds []wire.Type
	for b := range l.writes {
		kind, length := wire.ParseHeader(b)
		if int(length) != len(b)-wire.HeaderSize {
			t.Errorf("a write of %d bytes for a PDU of %d", len(b), length)
		}
		kinds = append(kinds, kind)
	}
	if want := []wire.Type{wire.TypeAssociateAC, wire.TypeData, wire.TypeData, wire.TypeReleaseRP}; !slices.Equal(kinds, want) {
		t.Errorf("%v, want %v", kinds, want)
	}
}

// kept is a listener that keeps the connections that it accepts.
type kept struct {
	net.Listener
	conns chan *net.TCPConn
}

func (l kept) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		l.conns <- tcp
	}
	return c, err
}

// option gives an option of TCP.
func option(t *testing.T, c *net.TCPConn, which int) int {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var value int
	var asked error
	if err := raw.Control(func(fd uintptr) { value, asked = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, which) }); err != nil || asked != nil {
		t.Fatal(err, asked)
	}
	return value
}

// What is sent goes at once; and what is read is acknowledged at once, still, after an exchange of messages in which the
// kernel learnt to wait for an answer to send the acknowledgement with.
func TestNothingWaitsInTheKernel(t *testing.T) {
	r := start(t, scp.Options{})
	l := kept{listen(t), make(chan *net.TCPConn, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, l) }()
	r.address = l.Addr().String()
	p := r.dial(t)
	p.open(ct(), echo())
	for n := range uint16(20) {
		p.send(message(3, echoRQ(n), nil))
		p.response(echoRQ(n), scp.StatusSuccess)
	}
	p.send(pdata(pdv(1, isCommand|isLast, storeRQ(1, "1.2.3").encode())), pdata(pdv(1, isDataset, make([]byte, 100))))
	r.eventually(t, "the object begins", func(scp.Stats) bool { r.spool.mu.Lock(); defer r.spool.mu.Unlock(); return r.spool.open == 1 })
	conn := <-l.conns
	if option(t, conn, unix.TCP_NODELAY) == 0 || option(t, conn, unix.TCP_QUICKACK) == 0 {
		t.Errorf("TCP_NODELAY %d, TCP_QUICKACK %d", option(t, conn, unix.TCP_NODELAY), option(t, conn, unix.TCP_QUICKACK))
	}
	p.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// One server has its limits over all listeners, with TLS or without.
func TestOneServerOnTwoListeners(t *testing.T) {
	config, modality := both(t)
	r := start(t, scp.Options{TLS: config, Limits: scp.Limits{Associations: 1}})
	l := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, l) }()
	dialer := tls.Dialer{Config: modality}
	secured, err := dialer.DialContext(t.Context(), "tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	first := &peer{secured, t, bufio.NewReader(secured)}
	first.open(ct())
	r.address = l.Addr().String()
	second := r.dial(t)
	second.send(proper(ct()).encode())
	rejected(t, second, scp.RejectedLimit)
	second.Close()
	first.send(message(1, storeRQ(2, "1.2.3"), ctDataset(ctStorage, "1.2.3", 4000)))
	first.response(storeRQ(2, "1.2.3"), scp.StatusSuccess)
	first.release()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
