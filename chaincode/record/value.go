package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// StoredDocument is the value under a document's key, or what is left there once it was erased. The tag stands in the key.
type StoredDocument struct {
	CID       CID
	Anchoring AnchoringID
	VariantOf Tag // zero if none

	Tombstone Tombstone // of an erased document, which has nothing else
}

// Tombstone is what is left of an erased document.
type Tombstone struct {
	// Generation is that of the erased tag: should the content come back, it does under the tag of the next one.
	Generation uint32      `json:"generation"`
	Erasure    AnchoringID `json:"erasure"` // the beginning of the ID of the transaction that erased it
}

// encode packs what stands in place of an erased value: schema version, 0 (where the codec of the CID stands), generation (4),
// ID of the erasure (8).
func (t Tombstone) encode() []byte {
	b := binary.BigEndian.AppendUint32([]byte{schemaVersion, 0}, t.Generation)
	return append(b, t.Erasure[:]...)
}

// tombstone reads what Tombstone.encode gives, and says whether it is one.
func (d *decoder) tombstone() (t Tombstone, erased bool) {
	if len(d.rest) == 0 || d.rest[0] != 0 {
		return t, false
	}
	d.byte()
	return Tombstone{binary.BigEndian.Uint32(d.take(4)), AnchoringID(d.take(8))}, true
}

// Erased says whether the value is a tombstone.
func (d StoredDocument) Erased() bool { return d.CID.IsZero() }

// Encode packs the value: schema version, CID (33), anchoring ID (8), and the tag of VariantOf (16) if there is one; or the
// tombstone.
func (d StoredDocument) Encode() []byte {
	if d.Erased() {
		return d.Tombstone.encode()
	}
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
	if t, erased := d.tombstone(); erased {
		return StoredDocument{Tombstone: t}, d.endOf("document")
	}
	s := StoredDocument{CID: CID(d.take(33)), Anchoring: AnchoringID(d.take(8))}
	if d.err == nil && len(d.rest) > 0 {
		s.VariantOf = Tag(d.take(16))
		if s.VariantOf.IsZero() && d.err == nil {
			d.err = errors.New("names no variant")
		}
	}
	if err := d.endOf("document"); err != nil {
		return StoredDocument{}, err
	}
	if !s.CID.Valid() {
		return StoredDocument{}, errors.New("decode document: value holds a CID of an unknown codec")
	}
	return s, nil
}

// StoredHolding is the value under the key of a holding: an institution's own copy, sealed by itself, of a document that
// another had anchored before; or what is left there once it was erased. Institution and tag stand in the key.
type StoredHolding struct {
	CID       CID
	Anchoring AnchoringID

	Tombstone Tombstone // of an erased copy, which has nothing else
}

// Erased says whether the value is a tombstone.
func (h StoredHolding) Erased() bool { return h.CID.IsZero() }

// Encode packs the value: schema version, CID (33), anchoring ID (8); or the tombstone.
func (h StoredHolding) Encode() []byte {
	if h.Erased() {
		return h.Tombstone.encode()
	}
	return slices.Concat([]byte{schemaVersion}, h.CID[:], h.Anchoring[:])
}

// DecodeHolding reads what StoredHolding.Encode gives.
func DecodeHolding(value []byte) (StoredHolding, error) {
	d := newDecoder(value)
	if t, erased := d.tombstone(); erased {
		return StoredHolding{Tombstone: t}, d.endOf("holding")
	}
	h := StoredHolding{CID: CID(d.take(33)), Anchoring: AnchoringID(d.take(8))}
	if err := d.endOf("holding"); err != nil {
		return StoredHolding{}, err
	}
	if !h.CID.Valid() {
		return StoredHolding{}, errors.New("decode holding: value holds a CID of an unknown codec")
	}
	return h, nil
}

// Key is the key that the version has on the ledger.
func (v AnchoredVersion) Key() string { return VersionKey(v.Patient, v.Record, v.Name()) }

// Encode packs the value under Key, which says the rest: schema version, kind and flags (1), day (3), anchoring ID (8), the
// author (16) and the name of the version that it amends (16) if the flags say so, and the tag (16) of each document but
// the first. The documents' own keys say more of them.
func (v AnchoredVersion) Encode() []byte {
	b := appendKind([]byte{schemaVersion}, v.Version)
	b = append(b, v.Anchoring[:]...)
	b = appendOptional(b, v.Version)
	for _, d := range v.Documents[1:] {
		b = append(b, d.Tag[:]...)
	}
	return b
}

// DecodeVersion reads a key and the value that Encode gave. The documents have nothing but their tags.
func DecodeVersion(key string, value []byte) (v AnchoredVersion, err error) {
	var name Tag
	if v.Patient, v.Record, name, err = ParseVersionKey(key); err != nil {
		return AnchoredVersion{}, err
	}
	d := newDecoder(value)
	flags := d.kind(&v.Version)
	v.Anchoring = AnchoringID(d.take(8))
	d.optional(&v.Version, flags)
	v.Documents = []Document{{Tag: name}}
	for d.err == nil && len(d.rest) > 0 {
		v.Documents = append(v.Documents, Document{Tag: Tag(d.take(16))})
	}
	if err := d.end(); err != nil {
		return AnchoredVersion{}, fmt.Errorf("decode version: value %w", err)
	}
	if !v.Kind.Valid() {
		return AnchoredVersion{}, errors.New("decode version: value holds an unknown kind")
	}
	return v, nil
}

// The kind of a version is packed in 4 bits, and shares its byte with these flags.
const (
	kindBits    = 0x0f
	flagLate    = 1 << 4
	flagAuthor  = 1 << 5
	flagAmends  = 1 << 6
	flagUnknown = 1 << 7
)

// appendKind packs kind and flags (1), and day (3).
func appendKind(b []byte, v Version) []byte {
	first := byte(v.Kind)
	if v.Late {
		first |= flagLate
	}
	if !v.Author.IsZero() {
		first |= flagAuthor
	}
	if !v.Amends.IsZero() {
		first |= flagAmends
	}
	return appendDay(append(b, first), v.Date)
}

// appendOptional packs what flags announce: author (16), and the name of the version that it amends (16).
func appendOptional(b []byte, v Version) []byte {
	if !v.Author.IsZero() {
		b = append(b, v.Author[:]...)
	}
	if !v.Amends.IsZero() {
		b = append(b, v.Amends[:]...)
	}
	return b
}

var errFlags = errors.New("holds an unknown flag, or a field that is flagged and empty")

// kind reads what appendKind gives.
func (d *decoder) kind(v *Version) (flags byte) {
	first := d.byte()
	if d.err == nil && first&flagUnknown != 0 {
		d.err = errFlags
	}
	v.Kind, v.Late, v.Date = Kind(first&kindBits), first&flagLate != 0, d.day()
	return first
}

// optional reads what appendOptional gives.
func (d *decoder) optional(v *Version, flags byte) {
	if flags&flagAuthor != 0 {
		v.Author = ParticipantID(d.take(16))
	}
	if flags&flagAmends != 0 {
		v.Amends = Tag(d.take(16))
	}
	empty := flags&flagAuthor != 0 && v.Author.IsZero() || flags&flagAmends != 0 && v.Amends.IsZero()
	if d.err == nil && empty {
		d.err = errFlags
	}
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
