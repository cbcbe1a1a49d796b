package contract_test

import (
	"slices"
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
)

// asksFor has a doctor ask for access to all of a patient's records, and gives what an assisted decision on it says.
func (w *world) asksFor(doctor *person, patient record.Reference, form record.Tag) *record.AssistedChoice {
	w.t.Helper()
	id := w.must(doctor, record.RequestFunction, record.AccessRequest{
		Patient: patient, Mode: record.Read, Scope: record.Scope{All: true}, Purpose: record.Treatment,
		Until: w.now().AddDate(0, 1, 0),
	}).ID
	return &record.AssistedChoice{
		Approval: record.Approval{Patient: patient, Participant: doctor.id, Request: id},
		Decision: record.Approved, Form: form, Reason: record.NoKey,
	}
}

func TestAssist(t *testing.T) {
	base := newWorld(t)
	patient := base.register(base.a, nil)
	form := base.letter(base.a, patient, "form").Name()
	choice := base.asksFor(base.b.doctor, patient, form)
	for name, test := range map[string]struct {
		decision record.GrantState
		action   record.Action
	}{
		"approve": {record.Approved, record.ActApprove},
		"reject":  {record.Rejected, record.ActReject},
	} {
		t.Run(name, func(t *testing.T) {
			w, q := base.copy(t), *choice
			q.Decision = test.decision
			id := w.must(w.a.staff, record.ProposeFunction, record.Proposal{Assist: &q}).ID
			_, _, tx := w.transact(w.a.clerk, record.ConfirmFunction, record.DecisionName{Decision: id})
			if event, err := record.DecodeActed(tx.eventData); err != nil || event.Action != test.action {
				t.Errorf("event %+v, %v", event, err)
			}
			both := []record.ParticipantID{w.a.staff.id, w.a.clerk.id}
			g := stateOf[record.Relation](w, record.RelationKey(patient, w.b.doctor.id)).Grants[0]
			if g.State != test.decision || !g.Assisted || g.Form != form || !slices.Equal(g.DecidedBy, both) {
				t.Errorf("grant %+v", g)
			}
			for _, by := range both {
				n := 0
				for _, e := range w.audit(patient) {
					if e.Action == test.action && e.Actor == by && e.Basis == record.BasisTwoPeople && e.Subject == w.b.doctor.id {
						n++
					}
				}
				if n != 1 {
					t.Errorf("%d audit entries of the action by %s, want 1", n, by)
				}
			}
		})
	}
	t.Run("revoke", func(t *testing.T) {
		w, q := base.copy(t), *choice
		w.decide(w.a, record.Proposal{Assist: &q})
		q.Decision = record.Revoked
		w.decide(w.a, record.Proposal{Assist: &q})
		if g := stateOf[record.Relation](w, record.RelationKey(patient, w.b.doctor.id)).Grants[0]; g.State != record.Revoked {
			t.Errorf("grant %+v", g)
		}
	})
}

func TestAssistIsRefused(t *testing.T) {
	base := newWorld(t)
	patient := base.register(base.a, nil)
	form := base.letter(base.a, patient, "form")
	erased := base.letter(base.a, patient, "erased")
	base.erase(base.a, erased)
	choice := base.asksFor(base.b.doctor, patient, form.Name())
	withKey := base.asksFor(base.b.doctor, base.reference, form.Name())
	dead := func(w *world) { w.must(w.a.staff, record.DeceasedFunction, record.Deceased{Patient: patient}) }

	for name, test := range map[string]struct {
		by     *person // default: staff
		q      *record.AssistedChoice
		change func(*record.AssistedChoice)
		before func(*world)
		refuse record.Code
	}{
		"by another institution": {by: base.b.staff, q: choice, refuse: record.Forbidden},
		"by the doctor":          {by: base.b.doctor, q: choice, refuse: record.Forbidden},
		"without a form": {
			q:      choice,
			change: func(q *record.AssistedChoice) { q.Form[0]++ },
			refuse: record.NotFound,
		},
		"with an erased form": {
			q:      choice,
			change: func(q *record.AssistedChoice) { q.Form = erased.Name() },
			refuse: record.WrongState,
		},
		"of a request there is not": {
			q:      choice,
			change: func(q *record.AssistedChoice) { q.Request[0]++ },
			refuse: record.NotFound,
		},
		"no key, of who has one": {q: withKey, refuse: record.WrongState},
		"no device, of who has one": {
			q:      withKey,
			change: func(q *record.AssistedChoice) { q.Reason = record.NoDevice },
		},
		"approve for the deceased": {q: choice, before: dead, refuse: record.WrongState},
		"reject for the deceased": {
			q:      choice,
			before: dead,
			change: func(q *record.AssistedChoice) { q.Decision = record.Rejected },
		},
		"of somebody not registered": {
			q:      choice,
			change: func(q *record.AssistedChoice) { q.Patient = base.newReference(base.a) },
			refuse: record.NotFound,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, q, by := base.copy(t), *test.q, base.a.staff
			if test.change != nil {
				test.change(&q)
			}
			if test.before != nil {
				test.before(w)
			}
			if test.by != nil {
				by = test.by
			}
			if test.refuse == "" {
				w.must(by, record.ProposeFunction, record.Proposal{Assist: &q})
				return
			}
			w.refuse(test.refuse, by, record.ProposeFunction, record.Proposal{Assist: &q})
		})
	}
}
