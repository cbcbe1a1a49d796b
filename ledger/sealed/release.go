package sealed

import (
	"bytes"
	"crypto/hpke"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// ErrNotForRelease says that a release does not open: it is sealed to another key or for another grant, record or channel, or
// was altered.
var ErrNotForRelease = errors.New("the release does not open: it is sealed to another key, or was altered or moved")

// FileKeySize is that of age's file keys, in bytes.
const FileKeySize = 16

// ReleaseContext is where a release belongs. It opens in the context in which it was sealed, and in no other.
type ReleaseContext struct {
	Channel   string
	Patient   record.Reference
	Grant     record.ID                // zero where the right is no grant
	Custodian record.InstitutionPrefix // who releases: the transaction's signature says so too
	Recipient record.ParticipantID
	Key       record.KeyID // of the recipient
	Until     time.Time    // of the right; zero if it has no end
}

// ContextOf is that of a release on the ledger of a channel.
func ContextOf(channel string, r record.ListedRelease) ReleaseContext {
	return ReleaseContext{
		Channel: channel, Patient: r.Patient, Grant: r.Grant, Custodian: r.Institution.Institution(), Recipient: r.Recipient,
		Key: r.Key, Until: r.Until,
	}
}

// info is
//
//	"medanchor release" ‖ 0 ‖ each field of the context, behind its length (4 bytes, big-endian)
//
// with the end as seconds of Unix time (8 bytes, big-endian), 0 for none.
func (c ReleaseContext) info() []byte {
	var until []byte
	if c.Until.IsZero() {
		until = binary.BigEndian.AppendUint64(until, 0)
	} else {
		until = binary.BigEndian.AppendUint64(until, uint64(c.Until.Unix())) //nolint:gosec // read back by nobody
	}
	return appendFields([]byte("medanchor release\x00"), []byte(c.Channel), c.Patient[:], c.Grant[:], c.Custodian[:],
		c.Recipient[:], c.Key[:], until)
}

// DocumentKey is what a reader is given of a document.
type DocumentKey struct {
	Record, Version, Tag record.Tag
	CID                  record.CID // of the custodian's payload
	FileKey              [FileKeySize]byte
	// Metadata is what the custodian knows of the document, as JSON.
	Metadata json.RawMessage
}

// about is the associated data of a document's key: record, version, tag and CID, each behind its length.
func (k DocumentKey) about() []byte {
	return appendFields(nil, k.Record[:], k.Version[:], k.Tag[:], k.CID[:])
}

// metadataAbout is the associated data of the metadata.
const metadataAbout = "metadata"

// SealRelease seals the keys of documents to the participant, as the ledger has them, who must be the context's recipient.
// The documents of one version must stand together. ErrKey if their signing key does not vouch for their encryption key.
//
// It makes one sender context of HPKE for all: 1,120 bytes once, and 32 for each key.
func SealRelease(c ReleaseContext, to record.Participant, keys []DocumentKey) (r record.SealedRelease, err error) {
	if to.ID != c.Recipient || record.KeyIDOf(to.EncryptionKey) != c.Key {
		return r, fmt.Errorf("seal release to %s: the participant is another, or has another key", c.Recipient)
	}
	public, err := PublicKey(to)
	if err != nil {
		return r, fmt.Errorf("seal release to %s: %w", to.ID, err)
	}
	encapsulated, sender, err := hpke.NewSender(public, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), c.info())
	if err != nil {
		return r, fmt.Errorf("seal release to %s: %w", to.ID, err)
	}
	r.Encapsulated = encapsulated
	metadata := make([]json.RawMessage, 0, len(keys))
	for _, k := range keys {
		ciphertext, err := sender.Seal(k.about(), k.FileKey[:])
		if err != nil {
			return r, fmt.Errorf("seal release to %s: %w", to.ID, err)
		}
		last := len(r.Versions) - 1
		if last < 0 || r.Versions[last].Record != k.Record || r.Versions[last].Version != k.Version {
			r.Versions = append(r.Versions, record.ReleasedVersion{Record: k.Record, Version: k.Version})
			last++
		}
		r.Versions[last].Documents = append(r.Versions[last].Documents, record.ReleasedDocument{
			Tag: k.Tag, CID: k.CID, SealedKey: [record.SealedKeySize]byte(ciphertext),
		})
		metadata = append(metadata, k.Metadata)
	}
	text, err := json.Marshal(metadata)
	if err != nil {
		return r, fmt.Errorf("write metadata: %w", err)
	}
	r.Metadata, err = sender.Seal([]byte(metadataAbout), padded(text))
	return r, err
}

// OpenRelease opens a release with the recipient's private key. ErrNotForRelease if it is not theirs to open here.
func OpenRelease(c ReleaseContext, key hpke.PrivateKey, r record.SealedRelease) ([]DocumentKey, error) {
	recipient, err := hpke.NewRecipient(r.Encapsulated, key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), c.info())
	if err != nil {
		return nil, ErrNotForRelease
	}
	var keys []DocumentKey
	for _, v := range r.Versions {
		for _, d := range v.Documents {
			k := DocumentKey{Record: v.Record, Version: v.Version, Tag: d.Tag, CID: d.CID}
			plaintext, err := recipient.Open(k.about(), d.SealedKey[:])
			if err != nil || len(plaintext) != FileKeySize {
				return nil, ErrNotForRelease
			}
			k.FileKey = [FileKeySize]byte(plaintext)
			keys = append(keys, k)
		}
	}
	text, err := recipient.Open([]byte(metadataAbout), r.Metadata)
	if err != nil {
		return nil, ErrNotForRelease
	}
	var metadata []json.RawMessage
	if err := json.Unmarshal(text, &metadata); err != nil || len(metadata) != len(keys) {
		return nil, fmt.Errorf("read metadata of release: %w", errors.Join(ErrNotForRelease, err))
	}
	for i := range keys {
		keys[i].Metadata = metadata[i]
	}
	return keys, nil
}

// appendFields appends each field behind its length (4 bytes, big-endian).
func appendFields(b []byte, fields ...[]byte) []byte {
	for _, field := range fields {
		b = binary.BigEndian.AppendUint32(b, uint32(len(field))) //nolint:gosec // all are short
		b = append(b, field...)
	}
	return b
}

// padded adds spaces to JSON, up to a multiple of the block.
func padded(text []byte) []byte {
	if over := len(text) % block; over > 0 {
		text = append(text, bytes.Repeat([]byte(" "), block-over)...)
	}
	return text
}
