package scp

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"

	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
)

// How an association ends, other than by an error of reading or writing, or a wire.ProtocolError.
var (
	errReleased = errors.New("the peer releases the association")
	errAborted  = errors.New("the peer aborts the association")
	errStopped  = errors.New("the server ends")
)

// association is an accepted association. One goroutine leads it.
type association struct {
	*Server
	*transport
	log     *slog.Logger
	request wire.AssociateRequest
	sender  Sender
	from    netip.Addr

	contexts map[byte]presentation
	rest     []byte // of the P-DATA-TF at hand
	head     []byte // the beginning of a dataset, kept to be allocated once
}

// serve accepts the association and handles one message after the other. It returns why it ends: never nil.
func (a *association) serve(ctx context.Context) error {
	answers, contexts := negotiate(a.request.Contexts)
	a.contexts = contexts
	if err := a.send(a.request.Accept(answers, uint32(a.limits.PDU))); err != nil { //nolint:gosec // G115: at most maxPDU
		return err
	}
	for {
		if ctx.Err() != nil {
			return errStopped
		}
		in, c, err := a.command()
		if err != nil {
			return err
		}
		if err := a.handle(ctx, in, c); err != nil {
			return err
		}
	}
}

// handle does what a command asks for, and answers.
func (a *association) handle(ctx context.Context, in presentation, c wire.Command) error {
	switch {
	case c.Field == wire.CStoreRQ:
		return a.store(ctx, in, c)
	case c.Field.IsResponse():
		return &wire.ProtocolError{Reason: wire.AbortUnspecified, What: "a response to what was never asked"}
	}
	if c.Dataset {
		if err := a.dataset(in).drain(); err != nil {
			return err
		}
	}
	switch {
	case c.Field == wire.CCancelRQ: // there is nothing to cancel, and it has no response
		return nil
	case c.Field != wire.CEchoRQ:
		return a.answer(in, c, &refusal{status: StatusUnrecognised, comment: "only C-STORE and C-ECHO are provided"})
	case in.class != verification:
		return a.answer(in, c, notSupported())
	}
	a.counters.count(func(s *Stats) { s.Echoed++ })
	return a.answer(in, c, nil)
}

// answer responds to a request: with success unless there is a refusal, which it counts and tells of.
func (a *association) answer(in presentation, c wire.Command, r *refusal) error {
	response := wire.Command{Field: c.Field.Response(), RespondedTo: c.MessageID, Class: c.Class, Instance: c.Instance}
	if r != nil {
		a.counters.count(func(s *Stats) { s.Refused[r.status]++ })
		log := a.log
		if r.cause != nil {
			log = log.With("err", r.cause)
		}
		log.Warn("request refused", "status", r.status.String(), "reason", r.comment)
		response.Status, response.Comment = uint16(r.status), r.comment
	}
	pdus, err := wire.CommandPDUs(in.id, response.Encode(), a.request.MaxLength)
	if err != nil {
		return err
	}
	for _, pdu := range pdus {
		if err := a.send(pdu); err != nil {
			return err
		}
	}
	return nil
}

// command reads a whole command set.
func (a *association) command() (presentation, wire.Command, error) {
	v, err := a.fragment(false)
	if err != nil {
		return presentation{}, wire.Command{}, err
	}
	in, set := a.contexts[v.Context], slices.Clone(v.Data) // a clone: what follows is read to the same place
	for {
		if !v.Command || v.Context != in.id {
			return presentation{}, wire.Command{}, misplaced()
		}
		if v.Last || len(set) > wire.MaxCommand {
			break
		}
		if v, err = a.fragment(true); err != nil {
			return presentation{}, wire.Command{}, err
		}
		set = append(set, v.Data...)
	}
	c, err := wire.ParseCommand(set)
	return in, c, err
}

// fragment reads the next presentation data value. It is good until the next call; mid says that a message has begun.
func (a *association) fragment(mid bool) (wire.PDV, error) {
	for len(a.rest) == 0 {
		body, err := a.data(mid)
		if err != nil {
			return wire.PDV{}, err
		}
		if len(body) == 0 {
			return wire.PDV{}, &wire.ProtocolError{Reason: wire.AbortInvalidValue, What: "a P-DATA-TF is empty"}
		}
		a.rest = body
	}
	v, rest, err := wire.NextPDV(a.rest)
	if err != nil {
		return wire.PDV{}, err
	}
	a.rest = rest
	if _, ok := a.contexts[v.Context]; !ok {
		return wire.PDV{}, &wire.ProtocolError{Reason: wire.AbortInvalidValue, What: "a presentation context was not accepted"}
	}
	return v, nil
}

func misplaced() error {
	return &wire.ProtocolError{Reason: wire.AbortInvalidValue, What: "a fragment does not belong to the message that has begun"}
}
