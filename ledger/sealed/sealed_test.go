package sealed_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/sealed"
)

const (
	mspID   = "StMaryMSP"
	channel = "medanchor"
)

// person is a participant with both private keys.
type person struct {
	record.Participant
	signing    *ecdsa.PrivateKey
	encryption hpke.PrivateKey
}

func newPerson(t *testing.T, number byte) *person {
	t.Helper()
	signing, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encryption, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(signing.Public())
	if err != nil {
		t.Fatal(err)
	}
	p := &person{signing: signing, encryption: encryption, Participant: record.Participant{
		ID: record.NewParticipantID(mspID, [10]byte{number}), MSPID: mspID, Role: record.PatientRole, Status: record.Active,
		Key: record.FingerprintOf(mspID, der), SigningKey: der, EncryptionKey: encryption.PublicKey().Bytes(),
	}}
	p.vouch(t)
	return p
}

// vouch signs the encryption key anew.
func (p *person) vouch(t *testing.T) {
	t.Helper()
	digest := sha256.Sum256(record.EncryptionKeyMessage(p.ID, p.EncryptionKey))
	signature, err := ecdsa.SignASN1(rand.Reader, p.signing, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	p.Signature = signature
}

func contextTo(to *person) sealed.Context {
	return sealed.Context{
		Purpose: sealed.AccessRequest, Channel: channel, Patient: record.NewReference(mspID, [10]byte{1}),
		Sender: record.NewParticipantID("NorthgateMSP", [10]byte{2}), Recipient: to.ID,
	}
}

func TestARecipientReadsWhatWasSealed(t *testing.T) {
	to := newPerson(t, 1)
	for _, text := range []string{"", "second opinion on the CT", "ä ‖ \x00 \U0001f3e5", strings.Repeat("x", 15_000)} {
		want := sealed.Note{Text: text, Name: "Dr Ada Moss"}
		note, err := sealed.Seal(contextTo(to), to.Participant, want)
		if err != nil {
			t.Fatal(err)
		}
		if note.Recipient != to.ID || len(note.Ciphertext) > record.MaxNoteBytes {
			t.Errorf("sealed to %s, %d bytes", note.Recipient, len(note.Ciphertext))
		}
		got, err := sealed.Open(contextTo(to), to.encryption, note.Ciphertext)
		if err != nil || got != want {
			t.Errorf("opened %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestTheLengthTellsLittle(t *testing.T) {
	to := newPerson(t, 1)
	lengths := map[int]bool{}
	for _, text := range []string{"", "no", strings.Repeat("long ", 40)} {
		note, err := sealed.Seal(contextTo(to), to.Participant, sealed.Note{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		lengths[len(note.Ciphertext)] = true
	}
	if len(lengths) != 1 {
		t.Errorf("short notes have %d different lengths", len(lengths))
	}
}

func TestANoteThatDoesNotFitIsRefused(t *testing.T) {
	to := newPerson(t, 1)
	_, err := sealed.Seal(contextTo(to), to.Participant, sealed.Note{Text: strings.Repeat("x", record.MaxNoteBytes)})
	if err == nil || !strings.Contains(err.Error(), "write at most") {
		t.Errorf("got %v", err)
	}
}

// Each part of the context is bound: a note that was moved does not open.
func TestANoteOpensNowhereElse(t *testing.T) {
	to, other := newPerson(t, 1), newPerson(t, 2)
	note, err := sealed.Seal(contextTo(to), to.Participant, sealed.Note{Text: "why"})
	if err != nil {
		t.Fatal(err)
	}
	for name, move := range map[string]func(*sealed.Context){
		"purpose":   func(c *sealed.Context) { c.Purpose = sealed.BreakGlass },
		"channel":   func(c *sealed.Context) { c.Channel = "another" },
		"patient":   func(c *sealed.Context) { c.Patient[15]++ },
		"sender":    func(c *sealed.Context) { c.Sender[15]++ },
		"recipient": func(c *sealed.Context) { c.Recipient = other.ID },
		// Lengths keep neighbours apart.
		"boundary": func(c *sealed.Context) { c.Purpose, c.Channel = sealed.AccessRequest+"m", channel[1:] },
	} {
		moved := contextTo(to)
		move(&moved)
		if _, err := sealed.Open(moved, to.encryption, note.Ciphertext); !errors.Is(err, sealed.ErrNotForReader) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if _, err := sealed.Open(contextTo(to), other.encryption, note.Ciphertext); !errors.Is(err, sealed.ErrNotForReader) {
		t.Errorf("another's key: %v", err)
	}
	for _, i := range []int{0, 1120, len(note.Ciphertext) - 1} {
		damaged := bytes.Clone(note.Ciphertext)
		damaged[i] ^= 1
		if _, err := sealed.Open(contextTo(to), to.encryption, damaged); !errors.Is(err, sealed.ErrNotForReader) {
			t.Errorf("byte %d altered: %v", i, err)
		}
	}
	if _, err := sealed.Open(contextTo(to), to.encryption, nil); !errors.Is(err, sealed.ErrNotForReader) {
		t.Errorf("nothing: %v", err)
	}
}

// Nothing is sealed to a key that the participant's signing key does not vouch for.
func TestAKeyThatIsNotVouchedForIsRefused(t *testing.T) {
	attacker := newPerson(t, 2)
	for name, alter := range map[string]func(*person){
		"another encryption key":               func(p *person) { p.EncryptionKey = attacker.EncryptionKey },
		"signed by another":                    func(p *person) { p.signing = attacker.signing; p.vouch(t) },
		"another signing key too":              func(p *person) { key := p.Key; *p = *attacker; p.Key = key },
		"signed for another participant":       func(p *person) { p.ID = record.NewParticipantID(mspID, [10]byte{9}) },
		"bound under another member":           func(p *person) { p.MSPID = "NorthgateMSP" },
		"of another member than the ID's":      func(p *person) { p.ID = record.NewParticipantID("NorthgateMSP", [10]byte{1}); p.vouch(t) },
		"no signing key":                       func(p *person) { p.SigningKey = nil },
		"no signing key, and bound to nothing": func(p *person) { p.SigningKey, p.Key = nil, record.FingerprintOf(mspID, nil) },
		"no encryption key":                    func(p *person) { p.EncryptionKey = nil; p.vouch(t) },
	} {
		p := newPerson(t, 1)
		alter(p)
		if _, err := sealed.Seal(contextTo(p), p.Participant, sealed.Note{}); !errors.Is(err, sealed.ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	to := newPerson(t, 1)
	if _, err := sealed.Seal(contextTo(attacker), to.Participant, sealed.Note{}); err == nil {
		t.Error("sealed to another participant than the context's")
	}
}
