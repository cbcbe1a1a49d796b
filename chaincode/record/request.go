package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// Limits of a request: the JSON argument of a function that writes.
const (
	MaxRequestBytes = 64 << 10
	MaxNotes        = 8        // sealed notes of one transaction
	MaxNoteBytes    = 16 << 10 // of one sealed note
	// minNoteBytes is what HPKE (ML-KEM-768 + X25519) adds to a plaintext: the encapsulated key and the AEAD's tag.
	minNoteBytes = 1120 + 16
)

// SealedField is the transient field with the sealed notes of a transaction: a JSON list of SealedNote.
const SealedField = "sealed"

// MembersCollection is the private data collection of all members. It holds only ciphertext, each sealed to its reader.
const MembersCollection = "members"

// SealedNote is a text that goes with a transaction, sealed with HPKE to one participant's encryption key: a reason, a name, the
// details of an appointment. It is kept in the MembersCollection, under SealedKey.
type SealedNote struct {
	Recipient  ParticipantID `json:"recipient"`
	Ciphertext []byte        `json:"ciphertext"` // encapsulated key, then the ciphertext
}

// SealedKey is the key of a sealed note in the MembersCollection.
func SealedKey(id ID, recipient ParticipantID) string { return id.String() + recipient.String() }

// DecodeNotes reads the transient field SealedField.
func DecodeNotes(wire []byte) ([]SealedNote, error) {
	if len(wire) > MaxNotes*2*MaxNoteBytes {
		return nil, Errorf(BadRequest, "sealed notes of %d bytes: send at most %d of %d bytes", len(wire), MaxNotes, MaxNoteBytes)
	}
	var notes []SealedNote
	if err := decodeStrictly(wire, &notes); err != nil {
		return nil, Errorf(BadRequest, "sealed notes: %v", err)
	}
	if len(notes) > MaxNotes {
		return nil, Errorf(BadRequest, "%d sealed notes: send at most %d", len(notes), MaxNotes)
	}
	for i, n := range notes {
		if n.Recipient.IsZero() {
			return nil, Errorf(BadRequest, "sealed note %d names no recipient", i)
		}
		if len(n.Ciphertext) < minNoteBytes || len(n.Ciphertext) > MaxNoteBytes {
			return nil, Errorf(BadRequest, "sealed note %d has %d bytes: HPKE gives at least %d, the most is %d",
				i, len(n.Ciphertext), minNoteBytes, MaxNoteBytes)
		}
		for _, earlier := range notes[:i] {
			if earlier.Recipient == n.Recipient {
				return nil, Errorf(BadRequest, "two sealed notes to one recipient: send one")
			}
		}
	}
	return notes, nil
}

// Request is the JSON argument of a function that writes.
type Request interface {
	// Validate says what the contract would refuse without asking the ledger. An *Error of code BadRequest.
	Validate() error
}

// Concerning is a Request about one patient. A refusal of it for lack of a right is itself written to the patient's
// audit.
type Concerning interface {
	About() Reference
}

// DecodeRequest reads a request strictly: unknown fields, trailing text and what Validate refuses are of code BadRequest.
func DecodeRequest[Q Request](text string) (q Q, err error) {
	if len(text) > MaxRequestBytes {
		return q, Errorf(BadRequest, "request of %d bytes: send at most %d", len(text), MaxRequestBytes)
	}
	if err := decodeStrictly([]byte(text), &q); err != nil {
		return q, Errorf(BadRequest, "request: %v", err)
	}
	return q, q.Validate()
}

var errTrailingText = errors.New("something follows the JSON")

func decodeStrictly(wire []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(wire))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errTrailingText
	}
	return nil
}

// Answer is the response of a function that writes. A transaction that was refused for lack of a right, and concerns a
// patient, is committed all the same: it writes the refusal to the patient's audit, and nothing else.
type Answer struct {
	ID      ID     `json:"id,omitzero"`       // of what it made
	Refused string `json:"refused,omitempty"` // text of an *Error, which ParseError reads
	Result  any    `json:"result,omitempty"`
}

// validUntil says what is wrong with an end date; empty if nothing is.
func validUntil(until time.Time) string {
	if until.IsZero() {
		return "no end date: give one"
	}
	return validInstant(until)
}

// validInstant says what is wrong with a time that may be unset; empty if nothing is.
func validInstant(t time.Time) string {
	switch {
	case !validTime(t):
		return "the time is outside the years 1 to 9999"
	case !t.Equal(t.Truncate(time.Second)):
		return "the time has fractions of a second: give whole seconds"
	}
	return ""
}

// refuseIf makes a refusal of the first problem that is not empty.
func refuseIf(problems ...string) error {
	for _, p := range problems {
		if p != "" {
			return Errorf(BadRequest, "%s", p)
		}
	}
	return nil
}

// unless gives the problem if ok is false.
func unless(ok bool, problem string) string {
	if ok {
		return ""
	}
	return problem
}
