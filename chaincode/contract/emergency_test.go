package contract_test

import (
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

func TestBreakGlass(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	q := record.Emergency{Patient: w.reference, Scope: letters()}
	w.refuse(record.BadRequest, w.b.doctor, record.BreakGlassFunction, q)
	w.refuse(record.BadRequest, w.b.doctor, record.BreakGlassFunction, q, note(w.b.institution.id), note(w.patient.id))
	w.refuse(record.Forbidden, w.b.staff, record.BreakGlassFunction, q, note(w.a.institution.id))

	id := w.must(w.b.doctor, record.BreakGlassFunction, q, note(w.a.institution.id)).ID
	w.reads(w.b.doctor, letter, record.BasisBreakGlass)
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActBreakGlass, Basis: record.BasisBreakGlass, Actor: w.b.doctor.id, Subject: w.b.doctor.id, About: id,
		Until: w.now().Add(record.BreakGlassTime),
	})
	if len(w.ledger.private) != 1 {
		t.Errorf("%d sealed notes, want the reason", len(w.ledger.private))
	}
	w.refuse(record.Exists, w.b.doctor, record.BreakGlassFunction, q, note(w.a.institution.id))
	w.advance(record.BreakGlassTime - record.ClockSkew)
	w.reads(w.b.doctor, letter, record.NoBasis)
	w.must(w.b.doctor, record.BreakGlassFunction, q, note(w.a.institution.id))

	// Records are anchored under references that nobody registered.
	q.Patient = w.newReference(w.a)
	w.must(w.b.doctor, record.BreakGlassFunction, q, note(w.a.institution.id))
	q.Patient = record.NewReference("NobodyMSP", [10]byte{1})
	w.refuse(record.NotFound, w.b.doctor, record.BreakGlassFunction, q, note(w.a.institution.id))
}

// TestBreakGlassIsLimited: who does not answer for emergencies gets no more of them.
func TestBreakGlassIsLimited(t *testing.T) {
	w := newWorld(t)
	var all []record.Choice
	for range record.MaxOpenGlass {
		all = append(all, w.emergency(w.a, w.b.doctor, w.register(w.a, nil)))
	}
	w.advance(24 * time.Hour) // they wait for review also when they are over
	q := record.Emergency{Patient: w.reference, Scope: everything()}
	w.refuse(record.WrongState, w.b.doctor, record.BreakGlassFunction, q, note(w.a.institution.id))
	w.must(w.b.locum, record.BreakGlassFunction, q, note(w.a.institution.id))
	w.must(w.a.staff, record.ReviewFunction,
		record.Review{Patient: all[3].Patient, Participant: all[3].Participant, Request: all[3].Request})
	w.must(w.b.doctor, record.BreakGlassFunction, q, note(w.a.institution.id))
	w.refuse(record.WrongState, w.b.doctor, record.BreakGlassFunction,
		record.Emergency{Patient: w.reference, Scope: letters()}, note(w.a.institution.id))
}

func TestReview(t *testing.T) {
	base := newWorld(t)
	c := base.emergency(base.a, base.b.doctor, base.reference)
	q := record.Review{Patient: c.Patient, Participant: c.Participant, Request: c.Request, Justified: true}

	w := base.copy(t)
	for _, by := range []*person{w.b.doctor, w.b.institution, w.b.staff, w.a.doctor, w.patient} {
		w.refuse(record.Forbidden, by, record.ReviewFunction, q)
	}
	w.must(w.a.staff, record.ReviewFunction, q)
	g := w.relation(w.reference, w.b.doctor).Grants[0]
	if !g.Reviewed.Equal(w.now()) || g.ReviewedBy != w.a.staff.id || !g.Justified {
		t.Errorf("grant %+v", g)
	}
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActReview, Basis: record.BasisInstitution, Actor: w.a.staff.id, Subject: w.b.doctor.id, About: c.Request,
	})
	if open := stateOf[record.OpenGlass](w, record.GlassKey(w.b.doctor.id)); len(open.Open) != 0 {
		t.Errorf("waiting for review: %+v", open)
	}
	w.refuse(record.WrongState, w.a.clerk, record.ReviewFunction, q)
	r := w.refers(w.a, w.c.doctor, w.reference)
	w.refuse(record.WrongState, w.a.staff, record.ReviewFunction,
		record.Review{Patient: r.Patient, Participant: r.Participant, Request: r.Request})
	q.Request[0]++
	w.refuse(record.NotFound, w.a.staff, record.ReviewFunction, q)
}
