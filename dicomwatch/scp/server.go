package scp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
	"github.com/medanchor/medanchor/pause"
)

// Server receives objects. Make it with New; Serve it on as many listeners as there are.
type Server struct {
	o        Options
	slots    slots
	counters *counters
}

// New checks the options. Its errors are for who configures.
func New(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("receive DICOM: %w", err)
	}
	o.Limits, o.Senders = o.Limits.OrDefault(), unmapped(o.Senders)
	return &Server{o: o, slots: newSlots(), counters: newCounters()}, nil
}

// Stats are the counts of all listeners.
func (s *Server) Stats() Stats { return s.counters.snapshot() }

// Serve accepts associations until ctx ends, and then returns nil, once all have ended: those between two messages are aborted at
// once, those within one have Limits.Grace. It closes the listener. An error is the listener's.
func (s *Server) Serve(ctx context.Context, l net.Listener) error { return s.serve(ctx, l, nil) }

// ServeTLS is Serve with Options.TLS.
func (s *Server) ServeTLS(ctx context.Context, l net.Listener) error {
	if s.o.TLS == nil {
		return errors.Join(errors.New("receive DICOM: no certificate for TLS"), l.Close())
	}
	return s.serve(ctx, l, s.o.TLS)
}

// The pauses when a connection cannot be accepted, for want of file descriptors or memory.
const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

func (s *Server) serve(ctx context.Context, l net.Listener, config *tls.Config) error {
	var conversations sync.WaitGroup
	defer conversations.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	forget := context.AfterFunc(ctx, func() { l.Close() }) // makes Accept return
	defer forget()
	defer l.Close()
	retries := pause.Growing{First: minPause, Last: maxPause}
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			retries.Reset()
			conversations.Go(func() { s.converse(ctx, conn, config) })
			continue
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("receive DICOM: %w", err)
		}
		s.o.Log.Warn("no connection can be accepted now: it is tried again", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retries.Next()):
		}
	}
}

// converse is the life of one connection.
func (s *Server) converse(ctx context.Context, conn net.Conn, config *tls.Config) {
	defer conn.Close()
	from := addressOf(conn)
	log := s.o.Log.With("address", from)
	known := s.o.knows(from)
	if !s.slots.connect(from, known, s.o.Limits) {
		s.counters.count(func(c *Stats) { c.Turned++ })
		log.Warn("connection closed: too many are open", "known", known)
		return
	}
	defer s.slots.disconnect(from, known)
	t, err := s.open(ctx, conn, config)
	if err != nil {
		s.failed(log, err)
		return
	}
	forget := context.AfterFunc(ctx, t.stop)
	defer forget()
	defer t.Close()
	if s.associate(ctx, t, from, log) {
		t.linger()
	}
}

// open makes the connection ready for PDUs. Its errors are the peer's.
func (s *Server) open(ctx context.Context, conn net.Conn, config *tls.Config) (*transport, error) {
	conn, err := quickly(conn)
	if err != nil || config == nil {
		return newTransport(conn, s.o.Limits), err
	}
	secured := tls.Server(conn, config)
	bounded, cancel := context.WithTimeout(ctx, s.o.Limits.ARTIM)
	defer cancel()
	return newTransport(secured, s.o.Limits), secured.HandshakeContext(bounded)
}

// associate leads an association to its end, from the request on. It returns whether it is the peer's part to close.
func (s *Server) associate(ctx context.Context, t *transport, from netip.Addr, log *slog.Logger) (linger bool) {
	request, err := t.request()
	if err != nil {
		s.failed(log, err)
		return violated(err) && abort(t, err)
	}
	log = log.With("sender", request.Calling)
	sender, rejection := s.o.admit(request, from)
	who := s.o.peer(request.Calling, from)
	if rejection == "" && !s.slots.associate(who, s.o.Limits) {
		rejection = RejectedLimit
	}
	if rejection != "" {
		s.counters.count(func(c *Stats) { c.Rejected[rejection]++ })
		log.Warn("association rejected", "reason", rejection, "called", request.Called)
		return t.send(wire.Reject(rejection.Code())) == nil
	}
	s.counters.count(func(c *Stats) { c.Accepted++; c.Associations++ })
	a := &association{Server: s, transport: t, log: log, request: request, sender: sender, from: from}
	err = a.serve(ctx)
	s.slots.dissociate(who) // before the peer hears of its end, and comes again
	end := endOf(ctx, err)
	s.counters.count(func(c *Stats) { c.Associations--; c.Ended[end]++ })
	if end == EndReleased {
		return t.send(wire.ReleaseReply()) == nil
	}
	log.Info("association ended early", "end", end, "err", err)
	return abort(t, err)
}

// failed tells of a connection on which no association was requested. A connection that is only opened and closed again is what
// load balancers and monitoring do.
func (s *Server) failed(log *slog.Logger, err error) {
	s.counters.count(func(c *Stats) { c.Failed++ })
	log.Info("connection without an association", "err", err)
}

// abort sends an A-ABORT where err leaves somebody to hear it.
func abort(t *transport, err error) (sent bool) {
	if v, ok := errors.AsType[*wire.ProtocolError](err); ok {
		return t.send(wire.Abort(v.Reason)) == nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errStopped) {
		return t.send(wire.Abort(wire.AbortUnspecified)) == nil
	}
	return false
}

// violated says whether it was the peer's breach of the protocol.
func violated(err error) bool {
	_, ok := errors.AsType[*wire.ProtocolError](err)
	return ok
}

// endOf is what err, by which an association ended, comes to.
func endOf(ctx context.Context, err error) End {
	switch {
	case errors.Is(err, errReleased):
		return EndReleased
	case errors.Is(err, errAborted):
		return EndAborted
	case violated(err):
		return EndViolated
	case ctx.Err() != nil:
		return EndStopped
	case errors.Is(err, os.ErrDeadlineExceeded):
		return EndIdle
	}
	return EndLost
}

// peer is whom the limits count an association for. An AE title that anybody may take tells nobody apart.
func (o Options) peer(title string, from netip.Addr) peer {
	if o.Open {
		title = ""
	}
	return peer{title, from}
}

// addressOf is the peer's IP address; the zero value, which is in no network, if it has none.
func addressOf(c net.Conn) netip.Addr {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}
