package scp

import (
	"context"
	"io"
	"time"

	"github.com/medanchor/medanchor/dicomwatch"
	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
	"github.com/medanchor/medanchor/document"
)

// store receives an object and answers. Its errors end the association.
func (a *association) store(ctx context.Context, in presentation, c wire.Command) error {
	refusal, err := a.receive(ctx, in, c)
	if err != nil {
		a.counters.count(func(s *Stats) { s.Cut++ })
		return err
	}
	if refusal == nil {
		a.counters.count(func(s *Stats) { s.Stored++ })
	}
	if err := a.answer(in, c, refusal); err != nil {
		return err
	}
	if refusal == nil && a.o.Trace != nil {
		a.o.Trace(document.StepAnswered)
	}
	return nil
}

// receive takes the message's dataset off the association to its end, whatever becomes of the object: what is left of a refused
// one is thrown away, so that the next can come.
func (a *association) receive(ctx context.Context, in presentation, c wire.Command) (*refusal, error) {
	if !c.Dataset {
		return notUnderstood("there is no dataset"), nil
	}
	data := a.dataset(in)
	refusal := check(in, c)
	if refusal == nil {
		var err error
		if refusal, err = a.keep(ctx, data, a.object(in, c)); err != nil {
			return nil, err
		}
	}
	return refusal, data.drain()
}

// check looks at what is asked, before the dataset.
func check(in presentation, c wire.Command) *refusal {
	switch {
	case !wire.ValidUID(c.Class):
		return notUnderstood("the affected SOP class UID is no UID")
	case !wire.ValidUID(c.Instance):
		return notUnderstood("the affected SOP instance UID is no UID")
	case c.Class != in.class || c.Class == verification:
		return notSupported()
	}
	return nil
}

func (a *association) object(in presentation, c wire.Command) dicomwatch.Object {
	return dicomwatch.Object{
		Calling: a.request.Calling, Called: a.request.Called, Address: a.from.String(),
		SOPClassUID: c.Class, InstanceUID: c.Instance, TransferSyntaxUID: in.transferSyntax,
		Department: a.sender.Department, Issuer: a.sender.Issuer,
	}
}

// keep makes an object durable, or says why not. Whatever is not committed is discarded.
func (a *association) keep(ctx context.Context, data *dataset, o dicomwatch.Object) (*refusal, error) {
	incoming, err := a.o.Spool.Create(o)
	if err != nil {
		return refused(err), nil
	}
	defer func() {
		if err := incoming.Discard(); err != nil {
			a.log.Warn("the spool keeps the rest of an object that is given up", "err", err)
		}
	}()
	if refusal, err := a.write(incoming, data, o); refusal != nil || err != nil {
		return refusal, err
	}
	working, cancel := withGrace(ctx, a.limits.Grace)
	defer cancel()
	if err := incoming.Commit(working); err != nil {
		return refused(err), nil
	}
	return nil, nil
}

// write writes the object as a file, fragment by fragment.
func (a *association) write(to io.Writer, data *dataset, o dicomwatch.Object) (*refusal, error) {
	header := wire.FileHeader{
		Class: o.SOPClassUID, Instance: o.InstanceUID, TransferSyntax: o.TransferSyntaxUID, Calling: o.Calling, Called: o.Called,
	}
	if _, err := to.Write(header.Encode()); err != nil {
		return refused(err), nil
	}
	a.head = a.head[:0]
	for peeked := false; ; {
		fragment, more, err := data.next()
		switch {
		case err != nil:
			return nil, err
		case !more && data.size == 0:
			return notUnderstood("the dataset is empty"), nil
		case !more:
			return nil, nil
		case data.size > a.limits.Object:
			return notUnderstood("the object is larger than what is taken"), nil
		}
		if _, err := to.Write(fragment); err != nil {
			return refused(err), nil
		}
		if peeked {
			continue
		}
		a.head = append(a.head, fragment[:min(len(fragment), wire.PeekSize-len(a.head))]...)
		if peeked = data.done || len(a.head) == wire.PeekSize; peeked {
			if refusal := compare(a.head, o); refusal != nil {
				return refusal, nil
			}
		}
	}
}

// compare holds the dataset's own UIDs, where they can be found, against the command's: an object under another's name is not
// what its sender means to store.
func compare(head []byte, o dicomwatch.Object) *refusal {
	class, instance := wire.Peek(head, o.TransferSyntaxUID)
	switch {
	case class != "" && class != o.SOPClassUID:
		return &refusal{status: StatusMismatch, comment: "the dataset is of another SOP class than the command"}
	case instance != "" && instance != o.InstanceUID:
		return &refusal{status: StatusMismatch, comment: "the dataset is another SOP instance than the command's"}
	}
	return nil
}

// dataset is the dataset of a message, in fragments.
type dataset struct {
	a    *association
	in   presentation
	size int64 // bytes so far
	done bool  // the last fragment came
}

func (a *association) dataset(in presentation) *dataset { return &dataset{a: a, in: in} }

// next gives the next fragment, which is good until the next call; more is false after the last.
func (d *dataset) next() (fragment []byte, more bool, err error) {
	if d.done {
		return nil, false, nil
	}
	v, err := d.a.fragment(true)
	if err != nil {
		return nil, false, err
	}
	if v.Command || v.Context != d.in.id {
		return nil, false, misplaced()
	}
	d.size += int64(len(v.Data))
	d.done = v.Last
	// What is refused is drained, but not for ever.
	if d.size/2 > d.a.limits.Object {
		return nil, false, &wire.ProtocolError{Reason: wire.AbortUnspecified, What: "a dataset does not end"}
	}
	return v.Data, true, nil
}

// drain throws away what is left.
func (d *dataset) drain() error {
	for {
		if _, more, err := d.next(); !more {
			return err
		}
	}
}

// withGrace is ctx, but ends that much later.
func withGrace(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	release := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return longer, func() { release(); cancel() }
}
