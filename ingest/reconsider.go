package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// The reasons for which an item stays in its tray.
var (
	// ErrNobody says that the item can only be anchored once a person has said whose it is.
	ErrNobody = errors.New("nothing says whose it is: assign it to a patient")
	// ErrNamed says that a person's word on whose it is contradicts what file or door say.
	ErrNamed = errors.New("the file or its door says that it is somebody else's")
	// ErrOther says that the item would be released for another patient than a person saw.
	ErrOther = errors.New("by today's rules it is another patient's than it was: retry it, and look at it again")
	// ErrKind says that a person's word on the record kind is not for what it was said of.
	ErrKind = errors.New("DICOM is part of an imaging study, whatever it holds: its kind is not for a person to say")
	// ErrInFlight says that the same content is just being taken in.
	ErrInFlight = errors.New("the same content is being taken in at this moment: try again")
)

// Reconsideration is a second look at an item in a tray.
type Reconsideration struct {
	Item document.Item
	// Content is its plaintext, of Item.Size bytes.
	Content io.ReaderAt
	// Rule is what its door says of it now, as in a Delivery.
	Rule document.Delivery
	// Patient is whose it is by the word of a person; the zero value leaves that to file and door.
	Patient document.PatientID
	// Kind is the record kind by the word of a person, of what is not DICOM; the zero value leaves that to file and door.
	Kind record.Kind
	// Release anchors it though it cannot be understood.
	Release bool
}

// Reconsider inspects an item again, decides anew what becomes of it, and makes that durable: what it returns is queued, a
// duplicate, or quarantined still. Besides the errors above, document.ErrNotQuarantined.
func (p *Pipeline) Reconsider(ctx context.Context, r Reconsideration) (document.Item, error) {
	if r.Item.State != document.Quarantined {
		return r.Item, document.ErrNotQuarantined
	}
	item := r.Item
	if err := p.lookAgain(ctx, &r, &item); err != nil {
		return r.Item, err
	}
	d := newDigester(ctx, r.Content, &item)
	if _, err := io.Copy(io.Discard, d); err != nil {
		return r.Item, fmt.Errorf("read stored content: %w", err)
	}
	if d.read != item.Size {
		return r.Item, fmt.Errorf("read stored content: it has %d bytes, and %d were received", d.read, item.Size)
	}
	d.sum(&item)
	item.Patient, item.Tag, item.Record, item.Copy = record.Reference{}, record.Tag{}, record.Tag{}, nil
	if err := p.name(&item); err != nil {
		return r.Item, err
	}
	p.deciding.Lock()
	defer p.deciding.Unlock()
	if err := p.decideAnew(ctx, &item); err != nil {
		return r.Item, err
	}
	if err := p.Journal.Reconsider(item); err != nil {
		return r.Item, err
	}
	p.Trace(item.State.Taken())
	if item.State == document.Queued {
		p.Queued()
	}
	return item, nil
}

// GiveUp calls f to give an item up, unless a delivery was just taken for its duplicate: it would be given up unseen. ErrInFlight
// then. None is while f runs.
func (p *Pipeline) GiveUp(id document.ItemID, f func() error) error {
	p.deciding.Lock()
	defer p.deciding.Unlock()
	if p.inFlight.isRepeated(id) {
		return ErrInFlight
	}
	return f()
}

// lookAgain inspects the content and applies what person, file and door say of it.
func (p *Pipeline) lookAgain(ctx context.Context, r *Reconsideration, item *document.Item) error {
	metadata, err := p.Inspector.Inspect(ctx, r.Content, item.Size)
	if err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	apply(&metadata, &r.Rule)
	if r.Patient != (document.PatientID{}) {
		if err := p.assign(&metadata, r); err != nil {
			return err
		}
	}
	p.identify(&metadata, r.Rule.Issuer)
	item.Metadata, item.Reason = metadata, metadata.Problem
	item.Kind = kindOf(metadata, r.Rule.Kind)
	if r.Kind != 0 && r.Kind != item.Kind {
		if metadata.Format == document.FormatDICOM {
			return ErrKind
		}
		item.Kind = r.Kind
	}
	switch {
	case !r.Release:
		return nil
	case r.Patient == (document.PatientID{}) && metadata.Patient != r.Item.Metadata.Patient:
		return ErrOther
	}
	return p.release(item)
}

// assign applies a person's word on whose it is. It counts where nothing else tells: who is named wrongly is refiled, so that
// everybody sees that.
func (p *Pipeline) assign(m *document.Metadata, r *Reconsideration) error {
	said := *m
	said.Problem = ""
	p.identify(&said, r.Rule.Issuer)
	word := document.Metadata{Patient: r.Patient}
	p.identify(&word, r.Rule.Issuer)
	if said.Problem == "" && said.Patient != word.Patient {
		return ErrNamed
	}
	m.Patient = r.Patient
	if m.Problem.Tray() == document.TrayUnassigned {
		m.Problem = ""
	}
	return nil
}

// release drops the reason for which an item is kept back. Whose it is must be known all the same.
func (p *Pipeline) release(item *document.Item) error {
	if _, nobody := p.Rules.Check(item.Metadata.Patient); nobody != "" {
		return fmt.Errorf("%w (%s)", ErrNobody, nobody)
	}
	item.Reason = ""
	return nil
}

// decideAnew tells whether an item is the first of its kind, a variant or a duplicate. deciding is held.
func (p *Pipeline) decideAnew(ctx context.Context, item *document.Item) error {
	item.State, item.First, item.VariantOf, item.Variant, item.Review = document.Quarantined, document.ItemID{}, record.Tag{}, "", ""
	if item.Reason != "" {
		return nil
	}
	if _, found := p.inFlight.first(item); found {
		return ErrInFlight
	}
	first, found, err := p.Known.Carrier(item.Tag)
	switch {
	case err != nil:
		return err
	case found && first.ID == item.ID: // the ledger refused it before: it asks again
	case found:
		if err := p.whole(ctx, &first); err != nil {
			return err // this one's bytes would be given up for those
		}
		item.State, item.First, item.CID = document.Duplicate, first.ID, record.CID{}
		return nil
	}
	item.State = document.Queued
	if item.Copy != nil {
		return nil
	}
	return p.relate(item)
}
