package ingest

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// prepared is an item that is read, sealed and chunked, but not durable.
type prepared struct {
	delivery document.Delivery
	// claimed says that the item is durable since an earlier run: only its acknowledgement is owed.
	claimed bool
	item    document.Item
	header  []byte
	payload Payload
}

// prepare takes a delivery from received to sealed. A heldError concerns this delivery only; any other is fatal.
func (p *Pipeline) prepare(ctx context.Context, d document.Delivery) (*prepared, error) {
	if _, found, err := p.Known.Claimed(d.Claim); err != nil {
		return nil, fmt.Errorf("look up claim: %w", err)
	} else if found {
		return &prepared{delivery: d, claimed: true}, nil
	}
	file, err := d.Door.Open(d.Claim)
	if err != nil {
		return nil, &heldError{err}
	}
	defer file.Close()

	now := time.Now()
	it := &prepared{delivery: d, item: document.Item{
		ID: document.NewItemID(now), State: document.Received, Received: now.UTC(),
		Door: d.Claim.Door, Path: d.Claim.Path, Size: d.Claim.Size, Department: d.Department, From: d.From, Issuer: d.Issuer,
	}}
	p.Trace(document.StepReceived)
	if err := p.inspect(ctx, it, file); err != nil {
		return nil, err
	}
	p.Trace(document.StepInspected)
	if err := p.seal(ctx, it, file); err != nil {
		return nil, err
	}
	if err := file.Unchanged(); err != nil {
		return nil, errors.Join(&heldError{err}, it.payload.Discard(context.WithoutCancel(ctx)))
	}
	if err := p.name(&it.item); err != nil {
		return nil, err
	}
	p.Trace(document.StepSealed)
	return it, nil
}

// inspect reads the metadata and decides whose the file is, and whether it can be anchored at all.
func (p *Pipeline) inspect(ctx context.Context, it *prepared, file document.File) error {
	metadata, err := p.Inspector.Inspect(ctx, file, it.item.Size)
	if err != nil {
		return &heldError{fmt.Errorf("inspect: %w", err)}
	}
	if it.delivery.Growing && mayGrow(metadata, it.item.Size) {
		return &heldError{document.ErrGrowing}
	}
	apply(&metadata, &it.delivery)
	it.item.Kind = kindOf(metadata, it.delivery.Kind)
	p.identify(&metadata, it.delivery.Issuer)
	it.item.Metadata, it.item.Reason = metadata, metadata.Problem
	return nil
}

// apply puts what a door's rule says beside what the file says.
func apply(m *document.Metadata, rule *document.Delivery) {
	if m.Format != document.FormatDICOM {
		m.Patient = rule.Patient
	}
	if m.Problem == "" && len(rule.Accepts) > 0 && !slices.Contains(rule.Accepts, m.Format) {
		m.Problem = document.ReasonNotAccepted
	}
}

// kindOf is the record kind: DICOM is part of an imaging study, whatever it holds; for anything else the door's rule tells.
func kindOf(m document.Metadata, rule record.Kind) record.Kind {
	if m.Format == document.FormatDICOM {
		return record.KindImaging
	}
	return cmp.Or(rule, record.KindOther)
}

// mayGrow says whether a file looks as if the rest of it were still to come.
func mayGrow(m document.Metadata, size int64) bool {
	const recognisable = 132 // bytes: a preamble and its prefix (PS3.10 §7.1), the longest that is wanted to recognise a format
	return m.Problem == document.ReasonTruncated || m.Incomplete || m.Format == document.FormatUnknown && size < recognisable
}

// identify gives the patient's identifier the form in which patients are compared, or says why it is nobody's. The issuer is
// that of identifiers which name none; empty for the hospital's.
func (p *Pipeline) identify(m *document.Metadata, issuer string) {
	rules := p.Rules
	rules.Issuer = cmp.Or(issuer, rules.Issuer)
	patient, nobody := rules.Check(m.Patient)
	m.Patient = patient
	if m.Problem == "" {
		m.Problem = nobody
	}
}

// pieceSize is how many bytes of a file are read and hashed at a time. age asks for as little as 512; in pieces of 4 KiB BLAKE3 takes
// nine times as long.
const pieceSize = 256 << 10

var pieces = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, pieceSize) }}

// seal reads the file once: digest, encryption and chunking in the same pass.
func (p *Pipeline) seal(ctx context.Context, it *prepared, file document.File) error {
	src := newDigester(ctx, file, &it.item)
	inPieces := pieces.Get().(*bufio.Reader)
	inPieces.Reset(src)
	defer func() {
		inPieces.Reset(nil)
		pieces.Put(inPieces)
	}()
	header, payload, err := p.Sealer.Seal(inPieces)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	it.payload, err = p.Blocks.Import(ctx, payload)
	if src.err != nil {
		err = &heldError{fmt.Errorf("read source: %w", src.err)}
		if it.payload != nil {
			err = errors.Join(err, it.payload.Discard(context.WithoutCancel(ctx)))
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if src.read != it.item.Size {
		return errors.Join(&heldError{document.ErrChanged}, it.payload.Discard(context.WithoutCancel(ctx)))
	}
	it.header = header
	src.sum(&it.item)
	it.item.CID = it.payload.Root()
	return nil
}

// name gives the item its patient, its document's tag and its record's. A quarantined item has none of them.
func (p *Pipeline) name(item *document.Item) error {
	if item.Reason != "" {
		return nil
	}
	patient, err := p.Patients.Patient(item.Metadata.Patient)
	if err != nil {
		return fmt.Errorf("register patient: %w", err)
	}
	item.Patient = patient.Reference
	item.Tag = record.DocumentTag(patient.Secret, 0, item.Digest)
	item.Record = record.RecordTag(patient.Secret, RecordName(*item))
	return p.recognise(item)
}

// recognise makes an item a copy, if another institution anchored the same content under a linked reference before, and this
// one does not have it already.
func (p *Pipeline) recognise(item *document.Item) error {
	linked, err := p.Patients.Linked(item.Patient)
	if err != nil || len(linked) == 0 {
		return err
	}
	if _, own, err := p.Known.Carrier(item.Tag); err != nil || own {
		return err
	}
	for _, l := range linked {
		tag := record.DocumentTag(l.Secret, 0, item.Digest)
		v, found, err := p.Elsewhere.Find(item.Patient, l.Reference, tag)
		if err != nil {
			return fmt.Errorf("look for the document under a linked reference: %w", err)
		}
		if found {
			item.Copy = &document.Copy{Own: item.Patient, Version: v.Name()}
			item.Patient, item.Tag, item.Record, item.Kind = l.Reference, tag, v.Record, v.Kind
			return nil
		}
	}
	return nil
}

// RecordName is what groups documents into one record of the patient: the study for DICOM; anything else is a record of its
// own.
func RecordName(item document.Item) string {
	if item.Metadata.Format == document.FormatDICOM && item.Metadata.StudyUID != "" {
		return "study " + item.Metadata.StudyUID
	}
	return fmt.Sprintf("document %x", item.Digest)
}
