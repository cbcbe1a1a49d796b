package record

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// The functions of the contract of releases: file keys that custodians give to readers.
const (
	// ReleaseFunction (Release) is called by the appliance of an institution that holds the documents, with a packed
	// SealedRelease as transient data under ReleaseField.
	ReleaseFunction    = "releases:Release"
	EndReleaseFunction = "releases:End" // (ReleaseEnd), by the appliance of the institution that made it

	ReleasesFunction      = "releases:List"   // (patient, recipient or "" for all, page size, bookmark) ReleasePage
	SealedReleaseFunction = "releases:Sealed" // (patient, recipient, ID) base64 of a packed SealedRelease

	// ReleaseField is the transient field with a packed SealedRelease.
	ReleaseField = "release"
)

// Limits of a release.
const (
	MaxReleaseDocuments = 500       // over all versions of a release
	MaxReleaseRecords   = 200       // each has an audit entry
	MaxReleaseMetadata  = 384 << 10 // sealed, in bytes
	MaxEndedReleases    = 100       // in one transaction

	// SealedKeySize is a file key of 16 bytes and the tag of the AEAD.
	SealedKeySize = 16 + 16
	// EncapsulatedKeySize is HPKE's, for ML-KEM-768 + X25519.
	EncapsulatedKeySize = 1120

	maxReleaseBytes = EncapsulatedKeySize + MaxReleaseDocuments*(16+33+SealedKeySize+2*16+8) + MaxReleaseMetadata + 64
)

// KeyID names an encryption key of a participant: the first 8 bytes of the SHA-256 of the public key.
type KeyID [8]byte

// KeyIDOf names an encryption key.
func KeyIDOf(encryptionKey []byte) KeyID {
	sum := sha256.Sum256(encryptionKey)
	return KeyID(sum[:8])
}

// String gives 11 characters of base64url.
func (k KeyID) String() string { return base64url.EncodeToString(k[:]) }

// MarshalText gives the form of String.
func (k KeyID) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the form of String.
func (k *KeyID) UnmarshalText(text []byte) error { return parseBase64(k[:], string(text), "key ID") }

// Release asks ReleaseFunction: keys of documents in one patient's history are given to a reader, who has a right to them
// by CheckAccess. What is released stands in a SealedRelease beside it.
type Release struct {
	Patient   Reference     `json:"patient"`
	Recipient ParticipantID `json:"recipient"`
	// Grant is the one that the release follows; zero where the right is another.
	Grant ID    `json:"grant,omitzero"`
	Key   KeyID `json:"key"` // of the recipient, to which it is sealed
	// Until is the end of the right, to which it is sealed as well: the contract refuses another. Zero: until something changes.
	Until time.Time `json:"until,omitzero"`
}

// About implements Concerning.
func (q Release) About() Reference { return q.Patient }

// Validate implements Request.
func (q Release) Validate() error {
	return refuseIf(noPatient(q.Patient), unless(!q.Recipient.IsZero(), "no recipient is named"),
		unless(q.Key != KeyID{}, "no key of the recipient is named"), validInstant(q.Until))
}

// ReleaseName names a release.
type ReleaseName struct {
	Recipient ParticipantID `json:"recipient"`
	ID        ID            `json:"id"`
}

// ReleaseEnd asks EndReleaseFunction: the releases are taken from the ledger, and what was sealed is purged from the
// members' collection. One that is not there any more is passed over, so that it may be asked again.
type ReleaseEnd struct {
	Patient  Reference     `json:"patient"`
	Releases []ReleaseName `json:"releases"`
}

// About implements Concerning.
func (q ReleaseEnd) About() Reference { return q.Patient }

// Validate implements Request.
func (q ReleaseEnd) Validate() error {
	if err := refuseIf(noPatient(q.Patient)); err != nil {
		return err
	}
	if len(q.Releases) == 0 || len(q.Releases) > MaxEndedReleases {
		return Errorf(BadRequest, "%d releases: send 1 to %d", len(q.Releases), MaxEndedReleases)
	}
	for i, r := range q.Releases {
		if r.Recipient.IsZero() || r.ID.IsZero() {
			return Errorf(BadRequest, "release %d lacks a recipient or an ID", i)
		}
		if slices.Contains(q.Releases[:i], r) {
			return Errorf(BadRequest, "a release is named twice: send it once")
		}
	}
	return nil
}

// StoredRelease is the value under ReleaseKey: what of a release everybody sees.
type StoredRelease struct {
	Institution InstitutionPrefix // that released, and holds the documents
	Grant       ID                // zero where the right is no grant
	Key         KeyID
	Until       time.Time // of the right, as CheckAccess gave it then; zero: until something changes
	Documents   []Tag
}

// Encode packs the value: schema version (1), institution's prefix (6), grant (8), key ID (8), until (5), and the tags (16
// each).
func (r StoredRelease) Encode() []byte {
	b := append([]byte{schemaVersion}, r.Institution[:]...)
	b = append(b, r.Grant[:]...)
	b = append(b, r.Key[:]...)
	b = appendTime(b, r.Until)
	for _, t := range r.Documents {
		b = append(b, t[:]...)
	}
	return b
}

// DecodeRelease reads what StoredRelease.Encode gives.
func DecodeRelease(value []byte) (StoredRelease, error) {
	d := newDecoder(value)
	r := StoredRelease{
		Institution: InstitutionPrefix(d.take(6)), Grant: ID(d.take(8)), Key: KeyID(d.take(8)), Until: d.time(),
	}
	for d.err == nil && len(d.rest) > 0 {
		r.Documents = append(r.Documents, Tag(d.take(16)))
	}
	if err := d.endOf("release"); err != nil {
		return StoredRelease{}, err
	}
	return r, nil
}

// SealedRelease is what a reader opens. It is kept in the MembersCollection, under the release's key. Everything but the
// sealed keys and metadata is on the public ledger as well.
type SealedRelease struct {
	Encapsulated []byte // HPKE's encapsulated key
	Versions     []ReleasedVersion
	Metadata     []byte // sealed, after the keys
}

// ReleasedVersion are documents of one version of a record.
type ReleasedVersion struct {
	Record    Tag
	Version   Tag // the version's name
	Documents []ReleasedDocument
}

// ReleasedDocument is a document's file key, sealed.
type ReleasedDocument struct {
	Tag       Tag
	CID       CID // of the releasing institution's payload
	SealedKey [SealedKeySize]byte
}

// Documents counts the documents.
func (r SealedRelease) Documents() (n int) {
	for _, v := range r.Versions {
		n += len(v.Documents)
	}
	return n
}

// Records are the records of the versions, each once, in their order.
func (r SealedRelease) Records() (records []Tag) {
	for _, v := range r.Versions {
		if !slices.Contains(records, v.Record) {
			records = append(records, v.Record)
		}
	}
	return records
}

// Validate says what of the release the contract would refuse, without asking the ledger. An *Error of code BadRequest.
func (r SealedRelease) Validate() error {
	if n := r.Documents(); n == 0 || n > MaxReleaseDocuments {
		return Errorf(BadRequest, "%d documents: release 1 to %d", n, MaxReleaseDocuments)
	}
	if n := len(r.Records()); n > MaxReleaseRecords {
		return Errorf(BadRequest, "documents of %d records: release those of at most %d", n, MaxReleaseRecords)
	}
	names, tags := make(map[Tag]bool), make(map[Tag]bool)
	for _, v := range r.Versions {
		if v.Record.IsZero() || len(v.Documents) == 0 || names[v.Version] {
			return Errorf(BadRequest, "a version is of no record, has no document, or is in the release twice")
		}
		names[v.Version] = true
		for _, d := range v.Documents {
			if d.Tag.IsZero() || !d.CID.Valid() || tags[d.Tag] {
				return Errorf(BadRequest, "a document has no tag or no CID, or is in the release twice")
			}
			tags[d.Tag] = true
		}
	}
	return refuseIf(
		unless(len(r.Encapsulated) == EncapsulatedKeySize, "the encapsulated key is not of ML-KEM-768 + X25519"),
		unless(len(r.Metadata) <= MaxReleaseMetadata, fmt.Sprintf("the metadata is longer than %d bytes", MaxReleaseMetadata)),
	)
}

// Encode packs a release: schema version (1), encapsulated key (1120), count of versions (LEB128), and for each: record (16),
// name (16), count of documents (LEB128), and for each: tag (16), CID (33), sealed key (32); then the sealed metadata.
func (r SealedRelease) Encode() []byte {
	b := append([]byte{schemaVersion}, r.Encapsulated...)
	b = binary.AppendUvarint(b, uint64(len(r.Versions)))
	for _, v := range r.Versions {
		b = append(append(b, v.Record[:]...), v.Version[:]...)
		b = binary.AppendUvarint(b, uint64(len(v.Documents)))
		for _, d := range v.Documents {
			b = append(append(append(b, d.Tag[:]...), d.CID[:]...), d.SealedKey[:]...)
		}
	}
	return append(b, r.Metadata...)
}

// DecodeSealedRelease reads what SealedRelease.Encode gives, and nothing else: each release has one encoding. Its errors are
// of code BadRequest.
func DecodeSealedRelease(wire []byte) (SealedRelease, error) {
	if len(wire) > maxReleaseBytes {
		return SealedRelease{}, Errorf(BadRequest, "release of %d bytes: send at most %d documents and %d bytes of metadata",
			len(wire), MaxReleaseDocuments, MaxReleaseMetadata)
	}
	d := newDecoder(wire)
	r := SealedRelease{Encapsulated: slices.Clone(d.take(EncapsulatedKeySize))}
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		r.Versions = append(r.Versions, d.releasedVersion())
	}
	r.Metadata = slices.Clone(d.take(len(d.rest)))
	if err := d.end(); err != nil {
		return SealedRelease{}, Errorf(BadRequest, "release %v", err)
	}
	if err := r.Validate(); err != nil {
		return SealedRelease{}, err
	}
	return r, nil
}

func (d *decoder) releasedVersion() ReleasedVersion {
	v := ReleasedVersion{Record: Tag(d.take(16)), Version: Tag(d.take(16))}
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		v.Documents = append(v.Documents, ReleasedDocument{
			Tag: Tag(d.take(16)), CID: CID(d.take(33)), SealedKey: [SealedKeySize]byte(d.take(SealedKeySize)),
		})
	}
	return v
}

// ListedRelease is a release in a list.
type ListedRelease struct {
	Patient     Reference     `json:"patient"`
	Recipient   ParticipantID `json:"recipient"`
	ID          ID            `json:"id"`
	Institution ParticipantID `json:"institution,omitzero"` // that released; zero if its prefix is nobody's
	Grant       ID            `json:"grant,omitzero"`
	Key         KeyID         `json:"key"`
	Until       time.Time     `json:"until,omitzero"`
	Documents   []Tag         `json:"documents"`
}

// ReleasePage is a page of releases, in no order of time.
type ReleasePage struct {
	Releases []ListedRelease `json:"releases"`
	Bookmark string          `json:"bookmark,omitempty"`
}
