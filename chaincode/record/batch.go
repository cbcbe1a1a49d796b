package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Limits of a batch. Gains end at about 1,000 versions a transaction.
const (
	MaxVersions   = 1_000
	MaxDocuments  = 5_000     // over all versions of the batch
	MaxBatchBytes = 512 << 10 // encoded; a batch within the counts always fits
)

// Validate says what of the batch the contract would refuse, without asking the ledger. An *Error of code BadRequest.
func (b Batch) Validate() error {
	if len(b.Versions) == 0 || len(b.Versions) > MaxVersions {
		return Errorf(BadRequest, "batch holds %d versions: send 1 to %d", len(b.Versions), MaxVersions)
	}
	tags := make(map[Tag]struct{}, 2*len(b.Versions))
	for i, v := range b.Versions {
		if problem := v.problem(); problem != "" {
			return &Error{BadRequest, i, problem}
		}
		for _, d := range v.Documents {
			if problem := d.problem(); problem != "" {
				return &Error{BadRequest, i, problem}
			}
			if _, twice := tags[d.Tag]; twice {
				return &Error{BadRequest, i, "a document is in the batch twice: send it once"}
			}
			tags[d.Tag] = struct{}{}
		}
	}
	if len(tags) > MaxDocuments {
		return Errorf(BadRequest, "batch holds %d documents: send at most %d", len(tags), MaxDocuments)
	}
	return nil
}

// problem says what is wrong with the version itself; empty if nothing is.
func (v Version) problem() string {
	switch {
	case v.Patient.IsZero():
		return "the version names no patient"
	case v.Record.IsZero():
		return "the version names no record"
	case !v.Kind.Valid():
		return "the version is of an unknown kind"
	case !validDay(v.Date):
		return "the version's date is not midnight, UTC, of a day of the years 1 to 9999: send the day only"
	case len(v.Documents) == 0:
		return "the version brings no document"
	case !v.Amends.IsZero() && slices.ContainsFunc(v.Documents, func(d Document) bool { return d.Tag == v.Amends }):
		return "the version is named as the one that it amends"
	}
	return ""
}

// problem says what is wrong with the document itself; empty if nothing is.
func (d Document) problem() string {
	switch {
	case d.Tag.IsZero():
		return "a document has no tag"
	case !d.CID.Valid():
		return "a document has a CID of an unknown codec: raw and dag-pb are known"
	case d.VariantOf == d.Tag:
		return "a document is named as a variant of itself"
	}
	return ""
}

// Documents counts the documents of all versions.
func (b Batch) Documents() int {
	n := 0
	for _, v := range b.Versions {
		n += len(v.Documents)
	}
	return n
}

// Encode packs a valid batch for the transient field. Numbers are big-endian, counts unsigned LEB128:
//
//	schema version (1), count of versions, and for each:
//	  patient (16), record (16), kind and flags (1), day (3),
//	  author (16) and the name of the version that it amends (16), if the flags say so,
//	  count of documents, and for each:
//	    tag (16), CID (33), 0, or 1 and the tag of VariantOf (16)
func (b Batch) Encode() ([]byte, error) {
	if err := b.Validate(); err != nil {
		return nil, err
	}
	out := binary.AppendUvarint([]byte{schemaVersion}, uint64(len(b.Versions)))
	for _, v := range b.Versions {
		out = append(out, v.Patient[:]...)
		out = append(out, v.Record[:]...)
		out = appendOptional(appendKind(out, v), v)
		out = binary.AppendUvarint(out, uint64(len(v.Documents)))
		for _, d := range v.Documents {
			out = append(out, d.Tag[:]...)
			out = append(out, d.CID[:]...)
			if d.VariantOf.IsZero() {
				out = append(out, 0)
				continue
			}
			out = append(out, 1)
			out = append(out, d.VariantOf[:]...)
		}
	}
	return out, nil
}

// DecodeBatch reads what Batch.Encode gives, and nothing else: each batch has one encoding. Its errors are of code
// BadRequest.
func DecodeBatch(wire []byte) (Batch, error) {
	if len(wire) > MaxBatchBytes {
		return Batch{}, Errorf(BadRequest, "batch of %d bytes: send at most %d", len(wire), MaxBatchBytes)
	}
	d := newDecoder(wire)
	var b Batch
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		b.Versions = append(b.Versions, d.version())
	}
	if err := d.end(); err != nil {
		return Batch{}, Errorf(BadRequest, "batch %v", err)
	}
	if err := b.Validate(); err != nil {
		return Batch{}, err
	}
	return b, nil
}

func (d *decoder) version() Version {
	v := Version{Patient: Reference(d.take(16)), Record: Tag(d.take(16))}
	d.optional(&v, d.kind(&v))
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		v.Documents = append(v.Documents, d.document())
	}
	return v
}

var errVariant = errors.New("holds a malformed variant")

func (d *decoder) document() Document {
	doc := Document{Tag: Tag(d.take(16)), CID: CID(d.take(33))}
	switch d.byte() {
	case 0:
	case 1:
		doc.VariantOf = Tag(d.take(16))
		if d.err == nil && doc.VariantOf.IsZero() {
			d.err = errVariant
		}
	default:
		d.err = errVariant
	}
	return doc
}

// Result is the contract's response to a batch. It stands in the block, so it is packed.
type Result struct {
	Outcomes []Outcome // one for each document, in the batch's order
}

// Encode packs the result: schema version (1), count, and two bits for each outcome, the first in the lowest bits.
func (r Result) Encode() []byte {
	b := binary.AppendUvarint([]byte{schemaVersion}, uint64(len(r.Outcomes)))
	packed := make([]byte, (len(r.Outcomes)+3)/4)
	for i, o := range r.Outcomes {
		packed[i/4] |= byte(o) << (i % 4 * 2)
	}
	return append(b, packed...)
}

// DecodeResult reads what Result.Encode gives.
func DecodeResult(wire []byte) (Result, error) {
	d := newDecoder(wire)
	n := d.uvarint()
	if n > MaxDocuments {
		return Result{}, fmt.Errorf("decode result: holds %d outcomes, the most is %d", n, MaxDocuments)
	}
	count := int(n)
	packed := d.take((count + 3) / 4)
	if err := d.end(); err != nil {
		return Result{}, fmt.Errorf("decode result: it %w", err)
	}
	r := Result{Outcomes: make([]Outcome, count)}
	for i := range r.Outcomes {
		r.Outcomes[i] = Outcome(packed[i/4] >> (i % 4 * 2) & 3)
	}
	if used := count % 4 * 2; used > 0 && packed[len(packed)-1]>>used != 0 {
		return Result{}, errors.New("decode result: holds more than its count")
	}
	return r, nil
}

// Anchored is the payload of the event of an anchoring transaction: counts only, for the block's writes say the rest.
type Anchored struct {
	ID       AnchoringID
	Versions int // written
	Created  int // documents, by outcome
	Existing int
	Conflict int
	Erased   int
}

// Encode packs the event: schema version (1), anchoring ID (8), and the five counts.
func (a Anchored) Encode() []byte {
	b := append([]byte{schemaVersion}, a.ID[:]...)
	for _, n := range []int{a.Versions, a.Created, a.Existing, a.Conflict, a.Erased} {
		b = binary.AppendUvarint(b, uint64(n)) //nolint:gosec // a count
	}
	return b
}

// DecodeAnchored reads what Anchored.Encode gives.
func DecodeAnchored(wire []byte) (Anchored, error) {
	d := newDecoder(wire)
	a := Anchored{ID: AnchoringID(d.take(8))}
	for _, n := range []*int{&a.Versions, &a.Created, &a.Existing, &a.Conflict, &a.Erased} {
		v := d.uvarint()
		if v > MaxDocuments {
			return Anchored{}, errors.New("decode event: holds an impossible count")
		}
		*n = int(v)
	}
	if err := d.end(); err != nil {
		return Anchored{}, fmt.Errorf("decode event: it %w", err)
	}
	return a, nil
}
