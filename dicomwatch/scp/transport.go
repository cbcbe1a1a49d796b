package scp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
)

// maxRequest is the longest body of a PDU that is no P-DATA-TF, bytes. An A-ASSOCIATE-RQ with all of its 128 presentation
// contexts, in each of them every transfer syntax of PS3.6, takes some 220 kB.
const maxRequest = 256 << 10

// transport is a connection that carries PDUs, each within its time.
type transport struct {
	net.Conn
	reader *bufio.Reader // holds a whole PDU, which is read in place
	held   int           // bytes of it that the PDU at hand takes
	limits Limits
	unsent error // why a PDU was not sent whole: nothing more is

	mu      sync.Mutex
	until   time.Time // when reading ends, but for the server's end
	mid     bool      // within a message
	stopped time.Time // when the server ended; zero before that
}

func newTransport(c net.Conn, l Limits) *transport {
	return &transport{
		Conn: c, limits: l, reader: bufio.NewReaderSize(c, wire.HeaderSize+max(l.PDU, maxRequest)),
	}
}

// request reads the first PDU, for which there is the ARTIM timer. errAborted if it is an A-ABORT.
func (t *transport) request() (wire.AssociateRequest, error) {
	t.await(t.limits.ARTIM, false)
	kind, body, err := t.next(nil)
	if err != nil {
		return wire.AssociateRequest{}, err
	}
	switch {
	case kind == wire.TypeAbort: // it is not answered (PS3.8 table 9-10, AA-2)
		return wire.AssociateRequest{}, errAborted
	case kind != wire.TypeAssociateRQ:
		return wire.AssociateRequest{}, &wire.ProtocolError{Reason: wire.AbortUnexpected, What: "its first PDU is no A-ASSOCIATE-RQ"}
	}
	return wire.ParseAssociateRequest(body)
}

// data reads the body of a P-DATA-TF; mid says that it belongs to a message that has begun. It is good until the next call.
// errReleased and errAborted if that is what came instead.
func (t *transport) data(mid bool) ([]byte, error) {
	patience := func() { t.await(t.limits.Idle, mid) }
	patience()
	kind, body, err := t.next(patience)
	if err != nil {
		return nil, err
	}
	switch {
	case kind == wire.TypeData:
		return body, nil
	case kind == wire.TypeReleaseRQ && mid: // no good end: an object is cut short
		return nil, &wire.ProtocolError{Reason: wire.AbortUnexpected, What: "it releases the association within a message"}
	case kind == wire.TypeReleaseRQ:
		return nil, errReleased
	case kind == wire.TypeAbort:
		return nil, errAborted
	default:
		return nil, &wire.ProtocolError{Reason: wire.AbortUnexpected, What: "a PDU has no place in an association"}
	}
}

// next reads a PDU. Begun, unless it is nil, is called when the header is there and the rest is not: the rest has its own time,
// once, so that a peer cannot hold us by sending it byte after byte.
func (t *transport) next(begun func()) (wire.Type, []byte, error) {
	if _, err := t.reader.Discard(t.held); err != nil {
		return 0, nil, err
	}
	t.held = 0
	header, err := t.reader.Peek(wire.HeaderSize)
	if err != nil {
		return 0, nil, err
	}
	kind, length := wire.ParseHeader(header)
	if !kind.Known() {
		return 0, nil, &wire.ProtocolError{Reason: wire.AbortUnrecognised, What: "a PDU is of no known type"}
	}
	which, limit := "a PDU that is no P-DATA-TF", maxRequest
	if kind == wire.TypeData {
		which, limit = "a P-DATA-TF", t.limits.PDU
	}
	if int64(length) > int64(limit) {
		what := fmt.Sprintf("%s is longer than %d bytes", which, limit)
		return 0, nil, &wire.ProtocolError{Reason: wire.AbortInvalidValue, What: what}
	}
	size := wire.HeaderSize + int(length)
	if begun != nil && t.reader.Buffered() < size {
		begun()
	}
	pdu, err := t.reader.Peek(size)
	if err != nil {
		return 0, nil, err
	}
	t.held = size
	return kind, pdu[wire.HeaderSize:], nil
}

// send writes a PDU, in one piece.
func (t *transport) send(pdu []byte) error {
	if t.unsent != nil {
		return t.unsent
	}
	t.mu.Lock()
	until := time.Now().Add(t.limits.Write)
	if end := t.stopped.Add(t.limits.Grace); !t.stopped.IsZero() && end.Before(until) {
		until = end
	}
	err := t.SetWriteDeadline(until)
	t.mu.Unlock()
	if err != nil {
		return err
	}
	_, t.unsent = t.Write(pdu)
	return t.unsent
}

// await gives what is read from now on its time.
func (t *transport) await(d time.Duration, mid bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until, t.mid = time.Now().Add(d), mid
	t.setReadDeadline()
}

// stop is called when the server ends: waiting for a message ends at once, a message that has begun has the grace.
func (t *transport) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = time.Now()
	t.setReadDeadline()
	_ = t.SetWriteDeadline(t.stopped.Add(t.limits.Grace)) // an error is that of the write to come
}

func (t *transport) setReadDeadline() {
	until := t.until
	if !t.stopped.IsZero() {
		end := t.stopped
		if t.mid {
			end = end.Add(t.limits.Grace)
		}
		if end.Before(until) {
			until = end
		}
	}
	_ = t.SetReadDeadline(until) // an error is that of the read to come
}

// linger waits until the peer closes the connection, as is its part after a reject, an abort and a release (Sta13): closing first
// could destroy what it has not read yet. ARTIM bounds it.
func (t *transport) linger() {
	t.await(t.limits.ARTIM, false)
	_, _ = io.Copy(io.Discard, t.Conn) // however it ends, it ends
}

// quickly makes the kernel send what we write at once, and acknowledge at once what we read: many senders write the header of a
// PDU and its body apart, and wait for the acknowledgement in between. The latter holds until the kernel thinks otherwise
// (tcp(7), TCP_QUICKACK), so it is said again at every read.
func quickly(c net.Conn) (net.Conn, error) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c, nil
	}
	if err := tcp.SetNoDelay(true); err != nil {
		return nil, err
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &quickConn{Conn: tcp, raw: raw, rearm: func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) // it is only slower without
	}}, nil
}

type quickConn struct {
	net.Conn
	raw   syscall.RawConn
	rearm func(fd uintptr)
}

func (c *quickConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	_ = c.raw.Control(c.rearm) // a closed connection is what the next read says
	return n, err
}
