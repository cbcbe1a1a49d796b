package main

import (
	"context"
	"crypto/hpke"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/sealed"
)

// seal seals a note to a participant, to go with a transaction of the caller's about a patient.
func (me *person) seal(ctx context.Context, purpose sealed.Purpose, patient record.Reference, to record.ParticipantID,
	n sealed.Note,
) (record.SealedNote, error) {
	recipient, err := me.Participant(ctx, to)
	if err != nil {
		return record.SealedNote{}, err
	}
	return sealed.Seal(sealed.Context{
		Purpose: purpose, Channel: me.wallet.Channel, Patient: patient, Sender: me.wallet.Participant, Recipient: to,
	}, recipient, n)
}

// sealToAll seals a note to each of several participants.
func (me *person) sealToAll(ctx context.Context, purpose sealed.Purpose, patient record.Reference,
	to []record.ParticipantID, n sealed.Note,
) (notes []record.SealedNote, err error) {
	if n == (sealed.Note{}) {
		return nil, nil
	}
	for _, id := range to {
		note, err := me.seal(ctx, purpose, patient, id, n)
		if err != nil {
			return nil, err
		}
		notes = append(notes, note)
	}
	return notes, nil
}

// patientSide gives who decides for a patient: the patient, and who represents them now. It is nobody where the patient is
// not on the ledger, or has no key.
func (me *person) patientSide(ctx context.Context, patient record.Reference) (side []record.ParticipantID, err error) {
	p, err := me.Patient(ctx, patient)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !p.Participant.IsZero() && p.Deceased.IsZero() {
		side = append(side, p.Participant)
	}
	for _, r := range p.Representatives {
		if !record.Over(r.Until, time.Now()) && len(side) < record.MaxNotes-1 {
			side = append(side, r.Participant)
		}
	}
	return side, nil
}

// note opens the note to the caller that went with a transaction of the sender's. It is empty where there is none, or none
// that opens.
func (me *person) note(ctx context.Context, purpose sealed.Purpose, patient record.Reference, sender record.ParticipantID,
	id record.ID,
) (sealed.Note, error) {
	found, err := me.SealedNote(ctx, id, me.wallet.Participant)
	if errors.Is(err, ledger.ErrNotFound) {
		return sealed.Note{}, nil
	}
	if err != nil {
		return sealed.Note{}, err
	}
	belongs := sealed.Context{
		Purpose: purpose, Channel: me.wallet.Channel, Patient: patient, Sender: sender, Recipient: me.wallet.Participant,
	}
	keys := append([]hpke.PrivateKey{me.wallet.EncryptionKey()}, me.wallet.EarlierEncryptionKeys()...)
	for _, key := range keys {
		n, err := sealed.Open(belongs, key, found.Ciphertext)
		if !errors.Is(err, sealed.ErrNotForReader) {
			return n, err
		}
	}
	return sealed.Note{}, nil // sealed to a key that the caller lost, or not honestly
}

// directory finds out who participants are. It asks once for each.
type directory struct {
	me           *person
	participants map[record.ParticipantID]record.Participant
	institutions map[record.InstitutionPrefix]string
	// names are what participants disclosed to the caller.
	names map[record.ParticipantID]string
}

func newDirectory(me *person) *directory {
	return &directory{
		me: me, participants: map[record.ParticipantID]record.Participant{},
		institutions: map[record.InstitutionPrefix]string{}, names: map[record.ParticipantID]string{},
	}
}

// identified is who a participant is, as far as the reader may know.
type identified struct {
	ID          record.ParticipantID `json:"id,omitzero"`
	Role        record.Role          `json:"role,omitempty"`
	Institution string               `json:"institution,omitempty"`
	Name        string               `json:"name,omitempty"` // as they disclosed it to the reader
}

// String gives such as "doctor, St Mary's (Dr Ada Moss)".
func (i identified) String() string {
	switch {
	case i.ID.IsZero() && i.Institution == "":
		return "-"
	case i.Name != "":
		return fmt.Sprintf("%s, %s (%s)", i.Role, printable(i.Institution), printable(i.Name))
	case i.Role == "":
		return "unknown, " + printable(i.Institution)
	}
	return fmt.Sprintf("%s, %s", i.Role, printable(i.Institution))
}

// identify says who a participant is. Whom the ledger does not know has no role.
func (d *directory) identify(ctx context.Context, id record.ParticipantID) (identified, error) {
	if id.IsZero() {
		return identified{}, nil
	}
	p, known := d.participants[id]
	if !known {
		var err error
		if p, err = d.me.Participant(ctx, id); err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return identified{}, err
		}
		d.participants[id] = p
	}
	institution, err := d.institution(ctx, id.Institution())
	return identified{id, p.Role, institution, d.names[id]}, err
}

// institution gives an institution's public name; its prefix, if the ledger does not know it.
func (d *directory) institution(ctx context.Context, prefix record.InstitutionPrefix) (string, error) {
	if name, known := d.institutions[prefix]; known {
		return name, nil
	}
	p, err := d.me.Institution(ctx, prefix)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return "", err
	}
	name := prefix.String()
	if p.Institution != nil {
		name = p.Institution.Name
	}
	d.institutions[prefix] = name
	return name, nil
}

// printable makes others' text safe for a terminal and for one cell of a table.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '\ufffd'
		}
		return r
	}, s)
}
