package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
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
		Door: d.Claim.Door, Path: d.Claim.Path, Size: d.Claim.Size,
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
	if err := p.name(it); err != nil {
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
	it.item.Kind = it.delivery.Kind
	if metadata.Format == document.FormatDICOM {
		it.item.Kind = record.KindImaging
	} else {
		metadata.Patient = it.delivery.Patient
	}
	patient, nobody := p.Rules.Check(metadata.Patient)
	metadata.Patient = patient
	if metadata.Problem == "" {
		metadata.Problem = nobody
	}
	it.item.Metadata, it.item.Reason = metadata, metadata.Problem
	return nil
}

// seal reads the file once: digest, encryption and chunking in the same pass.
func (p *Pipeline) seal(ctx context.Context, it *prepared, file document.File) error {
	src := &digester{
		src:  io.NewSectionReader(file, 0, it.item.Size),
		hash: sha256.New(),
		skip: it.item.Metadata.DatasetOffset,
		ctx:  ctx,
	}
	header, payload, err := p.Sealer.Seal(src)
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
	src.hash.Sum(it.item.Digest[:0])
	it.item.CID = it.payload.Root()
	return nil
}

// name gives the item its patient, its document's tag and its record's. A quarantined item has none of them.
func (p *Pipeline) name(it *prepared) error {
	if it.item.Reason != "" {
		return nil
	}
	patient, err := p.Patients.Patient(it.item.Metadata.Patient)
	if err != nil {
		return fmt.Errorf("register patient: %w", err)
	}
	it.item.Patient = patient.Reference
	it.item.Tag = record.DocumentTag(patient.Secret, 0, it.item.Digest)
	it.item.Record = record.RecordTag(patient.Secret, RecordName(it.item))
	return p.recognise(&it.item)
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
	if item.Metadata.Format == document.FormatDICOM {
		return "study " + item.Metadata.StudyUID
	}
	return fmt.Sprintf("document %x", item.Digest)
}

// digester hashes what is read through it after the first skip bytes, and remembers the source's error, so that a file
// that cannot be read is told from storage that failed.
type digester struct {
	src  io.Reader
	hash hash.Hash
	skip int64
	read int64
	ctx  context.Context
	err  error
}

func (d *digester) Read(b []byte) (int, error) {
	if err := d.ctx.Err(); err != nil {
		d.err = err
		return 0, err
	}
	n, err := d.src.Read(b)
	from := min(max(d.skip-d.read, 0), int64(n))
	d.hash.Write(b[from:n])
	d.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		d.err = err
	}
	return n, err
}
