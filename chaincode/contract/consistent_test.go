package contract_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

// A refusal is a sentence: what it echoes of a request must not make it longer than this.
const maxRefusal = 1 << 10

// checkConsistent holds an endorsed transaction against what is true of every one: a refusal has a code, and writes
// nothing; a denial writes one denied entry of the audit, and nothing else; a query writes nothing; and all that anything
// else writes can be read back by who reads the ledger, stands under its own key, and is audited.
func checkConsistent(t testing.TB, tx *transaction, reads bool) {
	t.Helper()
	problem := consistent(tx, reads)
	if problem != nil {
		t.Errorf("%s: %v, of %.200q", tx.arguments[0], problem, tx.arguments[1:])
	}
}

func consistent(tx *transaction, reads bool) error {
	switch {
	case tx.response.GetStatus() != shim.OK:
		return consistentRefusal(tx)
	case reads:
		return wroteNothing(tx)
	case tx.arguments[0] == record.AnchorFunction:
		return consistentAnchoring(tx)
	}
	return consistentAct(tx)
}

func consistentRefusal(tx *transaction) error {
	message := tx.response.GetMessage()
	if _, coded := record.ParseError(message); !coded {
		return fmt.Errorf("a refusal without a code: %.200q", message)
	}
	if !utf8.ValidString(message) || len(message) > maxRefusal {
		return fmt.Errorf("a refusal of %d bytes, or that is no UTF-8: %.200q", len(message), message)
	}
	return wroteNothing(tx)
}

func wroteNothing(tx *transaction) error {
	if len(tx.writes) > 0 || len(tx.private) > 0 || tx.event != "" {
		return fmt.Errorf("writes %d keys and %d notes, event %q", len(tx.writes), len(tx.private), tx.event)
	}
	return nil
}

func consistentAnchoring(tx *transaction) error {
	event, err := record.DecodeAnchored(tx.eventData)
	switch {
	case err != nil:
		return err
	case tx.event != record.AnchoredEvent:
		return fmt.Errorf("event %q", tx.event)
	case event.Created == 0 && len(tx.writes) > 0:
		return errors.New("writes although all was there")
	}
	return consistentWrites(tx)
}

// consistentAct checks a transaction of every function but anchoring.
func consistentAct(tx *transaction) error {
	var answer record.Answer
	if err := json.Unmarshal(tx.response.GetPayload(), &answer); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	event, err := record.DecodeActed(tx.eventData)
	if err != nil {
		return err
	}
	denied := answer.Refused != ""
	if tx.event != record.ActedEvent || event.Denied != denied {
		return fmt.Errorf("event %q %+v, and the answer %+v", tx.event, event, answer)
	}
	if denied {
		if refused, coded := record.ParseError(answer.Refused); !coded || refused.Code != record.Forbidden {
			return fmt.Errorf("denied with %q", answer.Refused)
		}
		if len(tx.writes) != 1 || len(tx.private) > 0 {
			return fmt.Errorf("a denial writes %d keys and %d notes", len(tx.writes), len(tx.private))
		}
	}
	entries := 0
	for key, value := range tx.writes {
		entry, err := record.DecodeAuditEntry(key, value)
		if err != nil {
			continue
		}
		if entries++; denied && !entry.Denied {
			return fmt.Errorf("the denial is written as %+v", entry)
		}
	}
	if entries == 0 && len(tx.writes)+len(tx.private) > 0 {
		return fmt.Errorf("writes %d keys and no audit", len(tx.writes))
	}
	if err := consistentReleases(tx); err != nil {
		return err
	}
	return consistentWrites(tx)
}

// consistentReleases says what is wrong with the releases that are made or ended: each stands on the ledger and, sealed, in the
// collection, of the same documents, or is deleted from both. All else in the collection are notes, which are only made.
func consistentReleases(tx *transaction) error {
	releases := 0
	for at, value := range tx.private {
		key, ours := strings.CutPrefix(at, record.MembersCollection+"/")
		if !ours {
			return fmt.Errorf("writes %q, of another collection", at)
		}
		if !record.IsReleaseKey(key) || len(key) == len(record.SealedKey(record.ID{}, record.ParticipantID{})) {
			if value == nil {
				return fmt.Errorf("purges the note %q", key)
			}
			continue
		}
		releases++
		public, there := tx.writes[key]
		if !there || (public == nil) != (value == nil) {
			return fmt.Errorf("of %q, ledger and collection differ", key)
		}
		if value == nil {
			continue
		}
		stored, err := record.DecodeRelease(public)
		if err != nil {
			return err
		}
		sealed, err := record.DecodeSealedRelease(value)
		if err != nil {
			return err
		}
		if !slices.Equal(stored.Documents, tagsOf(sealed)) {
			return fmt.Errorf("%q is of %v, and sealed are %v", key, stored.Documents, tagsOf(sealed))
		}
	}
	for key := range tx.writes {
		if record.IsReleaseKey(key) {
			releases--
		}
	}
	if releases != 0 {
		return fmt.Errorf("%d more releases in the collection than on the ledger", releases)
	}
	return nil
}

// tagsOf are the documents of a release.
func tagsOf(r record.SealedRelease) (tags []record.Tag) {
	for _, v := range r.Versions {
		for _, d := range v.Documents {
			tags = append(tags, d.Tag)
		}
	}
	return tags
}

func consistentWrites(tx *transaction) error {
	for key, value := range tx.writes {
		if err := consistentValue(key, value); err != nil {
			return fmt.Errorf("writes %q under %q: %w", value, key, err)
		}
	}
	return nil
}

// consistentValue says what is wrong with a value under a key: it cannot be read, says otherwise than its key, or is in
// another form than the one that there is.
func consistentValue(key string, value []byte) error {
	if key == "" || !utf8.ValidString(key) {
		return errors.New("no key of Fabric's")
	}
	if value == nil && key[0] != 'K' {
		return errors.New("deletes it")
	}
	switch key[0] {
	case 'K':
		return consistentRelease(key, value)
	case 'D':
		d, err := record.DecodeDocument(value)
		return same(value, d.Encode(), err)
	case 'O':
		h, err := record.DecodeHolding(value)
		return same(value, h.Encode(), err)
	case 'R':
		v, err := record.DecodeVersion(key, value)
		if err != nil {
			return err
		}
		return same(value, v.Encode(), nil)
	case 'A':
		_, err := record.DecodeAnchoring(value)
		return err
	case 'U':
		_, err := record.DecodeAuditEntry(key, value)
		return err
	case 'J':
		return nil // only the key says something
	}
	read, known := nouns[key[0]]
	if !known {
		return errors.New("no key of the schema")
	}
	named, err := read(value)
	if err == nil && !strings.HasPrefix(key, named) {
		err = fmt.Errorf("the value is of %q", named)
	}
	return err
}

func consistentRelease(key string, value []byte) error {
	if _, _, _, err := record.ParseReleaseKey(key); err != nil || value == nil {
		return err
	}
	r, err := record.DecodeRelease(value)
	return same(value, r.Encode(), err)
}

// nouns give for the prefix of a key what reads its value, and the key, or the beginning of it, that the value names.
var nouns = map[byte]func(value []byte) (key string, err error){
	'B': stored(func(record.Binding) string { return "B" }),
	'E': stored(func(team record.Team) string { return record.TeamKey(team.ID) }),
	'G': stored(func(r record.Relation) string { return record.RelationKey(r.Patient, r.Participant) }),
	'I': stored(func(h record.PrefixHolder) string { return record.PrefixKey(h.Institution.Institution()) }),
	'L': stored(func(record.LinkProposal) string { return "L" }),
	'N': stored(func(a record.Appointment) string { return "N" + a.Doctor.String() }),
	'P': stored(func(p record.Participant) string { return record.ParticipantKey(p.ID) }),
	'Q': stored(func(d record.Decision) string { return record.DecisionKey(d.ID) }),
	'S': stored(func(s record.Supervision) string { return record.SupervisionKey(s.Patient) }),
	'T': stored(func(p record.Patient) string { return record.PatientKey(p.Reference) }),
	'W': stored(func(s record.RecordStatus) string { return record.StatusKey(s.Patient, s.Record) }),
	'Y': stored(func(record.OpenGlass) string { return "Y" }),
}

// stored reads a value that is JSON, strictly, and that it is written back as it was.
func stored[T any](name func(T) string) func(value []byte) (string, error) {
	return func(value []byte) (string, error) {
		var v T
		d := json.NewDecoder(bytes.NewReader(value))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil {
			return "", err
		}
		again, err := json.Marshal(v)
		return name(v), same(value, again, err)
	}
}

func same(value, again []byte, err error) error {
	if err == nil && !bytes.Equal(value, again) {
		err = fmt.Errorf("is written back as %q", again)
	}
	return err
}
