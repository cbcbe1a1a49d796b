// Package sealed makes and reads sealed notes: what people write to each other with a transaction (a reason, a name, the
// details of an appointment), which stands in the members' private collection as ciphertext.
//
// A note is sealed with HPKE (RFC 9180, base mode) to its recipient's encryption key on the ledger: KEM
// ML-KEM-768 + X25519, KDF HKDF-SHA256, AEAD ChaCha20-Poly1305. The last is what age seals files with: one AEAD less to
// trust, and it is fast and takes constant time on machines without AES instructions too.
//
// HPKE does not say who sealed. The transaction's signature does, and the sender is bound into the note: another
// participant who copies it into a transaction of their own sends a note that does not open.
package sealed

import (
	"crypto/ecdsa"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/medanchor/medanchor/chaincode/record"
)

// ErrNotForReader says that a note does not open: it is sealed to another key, or belongs elsewhere, or is damaged.
var ErrNotForReader = errors.New("the note does not open: it is sealed to another key, or was altered or moved")

// ErrKey says that a participant's encryption key is not to be used.
var ErrKey = errors.New("the encryption key on the ledger is not vouched for by the participant's signing key")

const (
	// block is what the length of a plaintext is a multiple of, so that it tells little.
	block = 256
	// overhead is what HPKE adds: the encapsulated key and the AEAD's tag.
	overhead = 1120 + 16
	// maxPlaintext is what fits into a note on the ledger.
	maxPlaintext = (record.MaxNoteBytes - overhead) / block * block
)

// Purpose is what a note is for. Part of the seal.
type Purpose string

// The purposes.
const (
	AccessRequest Purpose = "access-request" // who asks, and why: to the patient
	BreakGlass    Purpose = "break-glass"    // who reads, and why: to the holding institution and the patient
	Appointment   Purpose = "appointment"    // the details: to the other side
	PatientSecret Purpose = "patient-secret" // the secret that keys tags: to an appliance at an institution with a link
)

// Note is what one participant tells another.
type Note struct {
	Text string `json:"text,omitempty"`
	Name string `json:"name,omitempty"` // the sender's, as they disclose it
}

// Context is where a note belongs. A note opens in the context in which it was sealed, and in no other.
type Context struct {
	Purpose   Purpose
	Channel   string
	Patient   record.Reference     // whom the transaction concerns
	Sender    record.ParticipantID // who signs the transaction
	Recipient record.ParticipantID
}

// info is
//
//	"medanchor sealed note" ‖ 0 ‖ each field of the context, behind its length (4 bytes, big-endian)
func (c Context) info() []byte {
	return appendFields([]byte("medanchor sealed note\x00"), []byte(c.Purpose), []byte(c.Channel), c.Patient[:],
		c.Sender[:], c.Recipient[:])
}

// Seal seals a note to the participant, as the ledger has them, who must be the context's recipient. ErrKey if their
// signing key does not vouch for their encryption key.
func Seal(c Context, to record.Participant, n Note) (record.SealedNote, error) {
	if to.ID != c.Recipient {
		return record.SealedNote{}, fmt.Errorf("seal note to %s: the participant is %s", c.Recipient, to.ID)
	}
	key, err := PublicKey(to)
	if err != nil {
		return record.SealedNote{}, fmt.Errorf("seal note to %s: %w", to.ID, err)
	}
	plaintext, err := pad(n)
	if err != nil {
		return record.SealedNote{}, err
	}
	ciphertext, err := hpke.Seal(key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), c.info(), plaintext)
	if err != nil {
		return record.SealedNote{}, fmt.Errorf("seal note to %s: %w", to.ID, err)
	}
	return record.SealedNote{Recipient: to.ID, Ciphertext: ciphertext}, nil
}

// Open opens the ciphertext of a note with the recipient's private key. ErrNotForReader if it is not theirs to open here.
func Open(c Context, key hpke.PrivateKey, ciphertext []byte) (n Note, err error) {
	plaintext, err := hpke.Open(key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), c.info(), ciphertext)
	if err != nil {
		return n, ErrNotForReader
	}
	if err := json.Unmarshal(plaintext, &n); err != nil {
		return n, fmt.Errorf("read note: %w", err)
	}
	return n, nil
}

// pad writes a note as JSON, and spaces behind it.
func pad(n Note) ([]byte, error) {
	text, err := json.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("write note: %w", err)
	}
	if len(text) > maxPlaintext {
		return nil, fmt.Errorf("the note takes %d bytes: write at most %d", len(text), maxPlaintext)
	}
	return padded(text), nil
}

// PublicKey gives a participant's encryption key, if all of this holds: their ID is of their member's institution (an
// institution's is its own), their signing key is the one that the ledger bound to them, and it signed the encryption key.
func PublicKey(p record.Participant) (hpke.PublicKey, error) {
	if p.ID.Institution() != record.InstitutionID(p.MSPID).Institution() ||
		record.FingerprintOf(p.MSPID, p.SigningKey) != p.Key {
		return nil, ErrKey
	}
	parsed, err := x509.ParsePKIXPublicKey(p.SigningKey)
	if err != nil {
		return nil, ErrKey
	}
	signer, ok := parsed.(*ecdsa.PublicKey)
	digest := sha256.Sum256(record.EncryptionKeyMessage(p.ID, p.EncryptionKey))
	if !ok || !ecdsa.VerifyASN1(signer, digest[:], p.Signature) {
		return nil, ErrKey
	}
	key, err := hpke.MLKEM768X25519().NewPublicKey(p.EncryptionKey)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return key, nil
}
