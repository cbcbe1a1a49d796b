package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// StoredDocument is the value under a document's key. The tag stands in the key.
type StoredDocument struct {
	CID       CID
	Anchoring AnchoringID
	VariantOf Tag // zero if none
}

// Encode packs the value: schema version, CID (33), anchoring ID (8), and the tag of VariantOf (16) if there is one.
func (d StoredDocument) Encode() []byte {
	b := make([]byte, 0, 1+len(d.CID)+len(d.Anchoring)+len(d.VariantOf))
	b = append(b, schemaVersion)
	b = append(b, d.CID[:]...)
	b = append(b, d.Anchoring[:]...)
	if !d.VariantOf.IsZero() {
		b = append(b, d.VariantOf[:]...)
	}
	return b
}

// DecodeDocument reads what StoredDocument.Encode gives.
func DecodeDocument(value []byte) (StoredDocument, error) {
	d := newDecoder(value)
	s := StoredDocument{CID: CID(d.take(33)), Anchoring: AnchoringID(d.take(8))}
	if d.err == nil && len(d.rest) > 0 {
		s.VariantOf = Tag(d.take(16))
		if s.VariantOf.IsZero() && d.err == nil {
			d.err = errors.New("names no variant")
		}
	}
	if err := d.end(); err != nil {
		return StoredDocument{}, fmt.Errorf("decode document: value %w", err)
	}
	if !s.CID.Valid() {
		return StoredDocument{}, errors.New("decode document: value holds a CID of an unknown codec")
	}
	return s, nil
}

// StoredVersion is the value under a version's key. Patient, record and number stand in the key.
type StoredVersion struct {
	Kind      Kind
	Time      time.Time
	Anchoring AnchoringID
	Documents []Tag // at least one: those that this version brought
}

// Encode packs the value: schema version, kind (1), time (5), anchoring ID (8), and 16 bytes for each document.
func (v StoredVersion) Encode() []byte {
	b := make([]byte, 0, 1+1+timeSize+len(v.Anchoring)+16*len(v.Documents))
	b = append(b, schemaVersion, byte(v.Kind))
	b = appendTime(b, v.Time)
	b = append(b, v.Anchoring[:]...)
	for _, t := range v.Documents {
		b = append(b, t[:]...)
	}
	return b
}

// DecodeVersion reads what StoredVersion.Encode gives.
func DecodeVersion(value []byte) (StoredVersion, error) {
	d := newDecoder(value)
	v := StoredVersion{Kind: Kind(d.byte()), Time: d.time(), Anchoring: AnchoringID(d.take(8))}
	for d.err == nil && (len(d.rest) > 0 || len(v.Documents) == 0) {
		v.Documents = append(v.Documents, Tag(d.take(16)))
	}
	if err := d.end(); err != nil {
		return StoredVersion{}, fmt.Errorf("decode version: value %w", err)
	}
	if !v.Kind.Valid() {
		return StoredVersion{}, errors.New("decode version: value holds an unknown kind")
	}
	return v, nil
}

// MaxMSPID is the longest MSP ID, in bytes, that an anchoring stores.
const MaxMSPID = 255

// Encode packs the value under an anchoring's key: schema version, transaction ID (32), seconds (5) and nanoseconds
// (4) of the timestamp, and the MSP ID to the end. The anchoring ID is the beginning of the transaction ID.
func (a Anchoring) Encode() ([]byte, error) {
	if a.MSPID == "" || len(a.MSPID) > MaxMSPID || !utf8.ValidString(a.MSPID) {
		return nil, fmt.Errorf("encode anchoring: want an MSP ID of 1 to %d bytes of UTF-8", MaxMSPID)
	}
	if a.Time.IsZero() || !validTime(a.Time) || a.ID != a.TxID.AnchoringID() {
		return nil, errors.New("encode anchoring: want a timestamp and an ID that is the transaction's")
	}
	b := make([]byte, 0, 1+len(a.TxID)+timeSize+4+len(a.MSPID))
	b = append(b, schemaVersion)
	b = append(b, a.TxID[:]...)
	b = appendTime(b, a.Time)
	b = binary.BigEndian.AppendUint32(b, uint32(a.Time.Nanosecond())) //nolint:gosec // below 10⁹
	return append(b, a.MSPID...), nil
}

// DecodeAnchoring reads what Anchoring.Encode gives.
func DecodeAnchoring(value []byte) (Anchoring, error) {
	d := newDecoder(value)
	a := Anchoring{TxID: TxID(d.take(32)), Time: d.time()}
	nanos := binary.BigEndian.Uint32(d.take(4))
	a.ID = a.TxID.AnchoringID()
	a.MSPID = string(d.take(len(d.rest)))
	if d.err != nil {
		return Anchoring{}, fmt.Errorf("decode anchoring: value %w", d.err)
	}
	if nanos >= uint32(time.Second) || a.Time.IsZero() {
		return Anchoring{}, errors.New("decode anchoring: value holds an impossible time")
	}
	a.Time = a.Time.Add(time.Duration(nanos))
	if _, err := a.Encode(); err != nil {
		return Anchoring{}, fmt.Errorf("decode anchoring: value is invalid: %w", err)
	}
	return a, nil
}
