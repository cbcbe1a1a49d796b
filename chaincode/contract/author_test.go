package contract_test

import (
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
)

// written makes a version of the world's patient by an author.
func (w *world) written(author *person, document string) record.Version {
	v := version("", "letter-of-"+document, document)
	v.Patient, v.Kind, v.Author = w.reference, record.KindLetter, author.id
	return v
}

// bring has an appliance anchor a version, and gives the refusal.
func (w *world) bring(h *hospital, v record.Version) *record.Error {
	w.t.Helper()
	tx := w.ledger.endorse(h.appliance.creator, transient(w.t, v), record.AnchorFunction)
	refused := refusalOf(w.t, tx)
	if refused == nil {
		w.ledger.commit(tx)
	}
	return refused
}

// askFor has the other hospital's doctor ask for a mode.
func (w *world) askFor(mode record.Mode, scope record.Scope) record.Choice {
	w.t.Helper()
	answer := w.must(w.b.doctor, record.RequestFunction, record.AccessRequest{
		Patient: w.reference, Mode: mode, Scope: scope, Purpose: record.Treatment, Until: w.now().AddDate(0, 1, 0),
	})
	return record.Choice{Patient: w.reference, Participant: w.b.doctor.id, Request: answer.ID}
}

func TestWritingByGrant(t *testing.T) {
	w := newWorld(t)
	forbidden := func(what string, h *hospital, v record.Version) {
		t.Helper()
		if refused := w.bring(h, v); refused == nil || refused.Code != record.Forbidden || refused.Index != 0 {
			t.Errorf("%s: got %v", what, refused)
		}
	}
	forbidden("without a grant", w.b, w.written(w.b.doctor, "a"))
	read := w.askFor(record.Read, record.Scope{All: true})
	w.must(w.patient, record.ApproveFunction, record.Approval{Patient: read.Patient, Participant: read.Participant, Request: read.Request})
	forbidden("with a grant to read", w.b, w.written(w.b.doctor, "a"))

	letters := w.askFor(record.Write, record.Scope{Kinds: []record.Kind{record.KindLetter}})
	forbidden("before it is approved", w.b, w.written(w.b.doctor, "a"))
	w.must(w.patient, record.ApproveFunction,
		record.Approval{Patient: letters.Patient, Participant: letters.Participant, Request: letters.Request})
	before := len(w.audit(w.reference))
	if refused := w.bring(w.b, w.written(w.b.doctor, "a")); refused != nil {
		t.Fatal(refused)
	}
	entries := w.audit(w.reference)
	var wrote []record.AuditEntry
	for _, e := range entries {
		if e.Action == record.ActWrite {
			wrote = append(wrote, e)
		}
	}
	if len(entries) != before+1 || len(wrote) != 1 || wrote[0].Actor != w.b.appliance.id || wrote[0].Subject != w.b.doctor.id ||
		wrote[0].Basis != record.BasisGrant || wrote[0].Record != tag("letter-of-a") {
		t.Errorf("the audit has %+v", wrote)
	}

	forbidden("by another author", w.b, w.written(w.b.locum, "b"))
	forbidden("by the author's, who is of another institution", w.c, w.written(w.b.doctor, "b"))
	study := w.written(w.b.doctor, "b")
	study.Kind = record.KindImaging
	forbidden("outside the scope", w.b, study)
	anonymous := w.written(w.b.doctor, "b")
	anonymous.Author = record.ParticipantID{}
	forbidden("without an author", w.b, anonymous)
	w.must(w.patient, record.RevokeFunction, letters)
	forbidden("after it was revoked", w.b, w.written(w.b.doctor, "b"))
}

func TestAuthorsAreDoctorsHere(t *testing.T) {
	w := newWorld(t)
	if refused := w.bring(w.a, w.written(w.a.doctor, "a")); refused != nil {
		t.Error(refused)
	}
	for name, who := range map[string]*person{
		"staff": w.a.staff, "a doctor elsewhere": w.b.doctor, "nobody": {id: record.NewParticipantID(w.a.mspID, [10]byte{0xee})},
	} {
		if refused := w.bring(w.a, w.written(who, "b")); refused == nil || refused.Code != record.BadRequest {
			t.Errorf("%s: got %v", name, refused)
		}
	}
}
