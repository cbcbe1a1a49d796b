package contract_test

import (
	"slices"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// relation gives what is between a patient and a participant, from the ledger's state.
func (w *world) relation(r record.Reference, p *person) record.Relation {
	w.t.Helper()
	return stateOf[record.Relation](w, record.RelationKey(r, p.id))
}

func (w *world) request(until time.Time) record.AccessRequest {
	return record.AccessRequest{
		Patient: w.reference, Mode: record.Read, Scope: everything(), Purpose: record.SecondOpinion, Until: until,
	}
}

func TestRequest(t *testing.T) {
	w := newWorld(t)
	q := w.request(w.now().AddDate(1, 0, 0))
	id := w.must(w.b.doctor, record.RequestFunction, q, note(w.patient.id)).ID
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActRequest, Basis: record.BasisParticipant, Actor: w.b.doctor.id, Subject: w.b.doctor.id, About: id,
		Until: q.Until,
	})
	g := w.relation(w.reference, w.b.doctor).Grants[0]
	if g.ID != id || g.State != record.Requested || g.Purpose != q.Purpose || !g.Asked.Equal(w.now()) || !g.Until.Equal(q.Until) {
		t.Errorf("request %+v", g)
	}
	w.refuse(record.Exists, w.b.doctor, record.RequestFunction, q)
	q.Mode = record.Write
	w.must(w.b.doctor, record.RequestFunction, q)
	q.Scope = letters()
	w.must(w.b.doctor, record.RequestFunction, q)
	w.must(w.patient, record.RejectFunction, record.Choice{Patient: w.reference, Participant: w.b.doctor.id, Request: id})
	w.must(w.b.doctor, record.RequestFunction, w.request(q.Until)) // it was decided: they may ask again
}

// TestRequestAgain: a request that nobody decided until it was over is not in the way of another.
func TestRequestAgain(t *testing.T) {
	w := newWorld(t)
	q := w.request(w.now().Add(time.Hour))
	w.must(w.b.doctor, record.RequestFunction, q)
	w.advance(time.Hour - record.ClockSkew)
	q.Until = q.Until.Add(time.Hour)
	w.must(w.b.doctor, record.RequestFunction, q)
}

func TestRequestIsRefused(t *testing.T) {
	w := newWorld(t)
	last := w.now().Add(record.ClockSkew)
	w.refuse(record.BadRequest, w.b.doctor, record.RequestFunction, w.request(last))
	w.must(w.b.doctor, record.RequestFunction, w.request(last.Add(time.Second)))
	last = w.now().Add(record.MaxGrantTime)
	w.refuse(record.BadRequest, w.c.doctor, record.RequestFunction, w.request(last.Add(time.Second)))
	w.must(w.c.doctor, record.RequestFunction, w.request(last))
	q := w.request(last)
	q.Patient = w.newReference(w.a)
	w.refuse(record.NotFound, w.b.doctor, record.RequestFunction, q)
	w.refuse(record.Forbidden, w.b.staff, record.RequestFunction, q)
}

// TestGrantsArePruned: of a relation that is full, what is settled gives way, the oldest first.
func TestGrantsArePruned(t *testing.T) {
	w := newWorld(t)
	var asked []record.Approval
	one := func(n byte) record.Scope { return record.Scope{Records: []record.Tag{{n + 1}}} }
	for n := range byte(record.MaxGrants) {
		asked = append(asked, w.asks(w.b.doctor, w.reference, record.Read, one(n)))
	}
	next := w.request(w.now().AddDate(0, 0, 1))
	w.refuse(record.WrongState, w.b.doctor, record.RequestFunction, next)
	for _, n := range []int{7, 3} {
		q := asked[n]
		w.must(w.patient, record.RejectFunction,
			record.Choice{Patient: q.Patient, Participant: q.Participant, Request: q.Request})
	}
	id := w.must(w.b.doctor, record.RequestFunction, next).ID
	grants := w.relation(w.reference, w.b.doctor).Grants
	has := func(id record.ID) bool {
		return slices.ContainsFunc(grants, func(g record.Grant) bool { return g.ID == id })
	}
	if len(grants) != record.MaxGrants || !has(id) || has(asked[3].Request) || !has(asked[7].Request) {
		t.Errorf("%d grants: %+v", len(grants), grants)
	}
}

func TestApprove(t *testing.T) {
	base := newWorld(t)
	scope := record.Scope{Kinds: []record.Kind{record.KindLetter, record.KindImaging}}
	asked := base.asks(base.b.doctor, base.reference, record.Read, scope)
	until := base.now().AddDate(0, 1, 0)
	for name, test := range map[string]struct {
		scope  record.Scope // zero: as asked for
		until  time.Time
		refuse record.Code
	}{
		"as asked for":          {},
		"fewer kinds":           {scope: letters()},
		"earlier":               {until: until.Add(-time.Second)},
		"more kinds":            {scope: record.Scope{Kinds: []record.Kind{record.KindLabResult}}, refuse: record.BadRequest},
		"all":                   {scope: everything(), refuse: record.BadRequest},
		"a record of no kind":   {scope: record.Scope{Records: []record.Tag{tag("letter")}}, refuse: record.BadRequest},
		"later":                 {until: until.Add(time.Second), refuse: record.BadRequest},
		"over before it begins": {until: base.now().Add(record.ClockSkew), refuse: record.BadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			w, q := base.copy(t), asked
			want := record.Grant{Scope: scope, Until: until}
			if !test.scope.Equal(record.Scope{}) {
				q.Scope, want.Scope = &test.scope, test.scope
			}
			if !test.until.IsZero() {
				q.Until, want.Until = test.until, test.until
			}
			if test.refuse != "" {
				w.refuse(test.refuse, w.patient, record.ApproveFunction, q)
				return
			}
			w.must(w.patient, record.ApproveFunction, q)
			g := w.relation(w.reference, w.b.doctor).Grants[0]
			if g.State != record.Approved || !g.Scope.Equal(want.Scope) || !g.Until.Equal(want.Until) || g.Assisted ||
				!slices.Equal(g.DecidedBy, []record.ParticipantID{w.patient.id}) || !g.Decided.Equal(w.now()) {
				t.Errorf("grant %+v", g)
			}
			w.wantAudit(w.reference, record.AuditEntry{
				Action: record.ActApprove, Basis: record.BasisPatient, Actor: w.patient.id, Subject: w.b.doctor.id,
				About: asked.Request, Until: want.Until,
			})
			w.refuse(record.WrongState, w.patient, record.ApproveFunction, q)
		})
	}
}

func TestApproveIsRefused(t *testing.T) {
	base := newWorld(t)
	asked := base.asks(base.b.doctor, base.reference, record.Read, everything())
	t.Run("what is not there", func(t *testing.T) {
		w, q := base.copy(t), asked
		q.Request[0]++
		w.refuse(record.NotFound, w.patient, record.ApproveFunction, q)
		w.refuse(record.Forbidden, w.b.doctor, record.ApproveFunction, q) // who has no right learns nothing
	})
	t.Run("of a patient who is not there", func(t *testing.T) {
		w, q := base.copy(t), asked
		q.Patient = w.newReference(w.a)
		w.refuse(record.Forbidden, w.patient, record.ApproveFunction, q)
	})
	t.Run("after the end that was asked for", func(t *testing.T) {
		w := base.copy(t)
		w.advance(w.now().AddDate(0, 1, 0).Sub(w.now()) - record.ClockSkew)
		w.refuse(record.WrongState, w.patient, record.ApproveFunction, asked)
	})
	t.Run("of who is suspended", func(t *testing.T) {
		w := base.copy(t)
		w.must(w.b.institution, record.SuspendFunction, record.Suspension{Participant: w.b.doctor.id})
		w.refuse(record.WrongState, w.patient, record.ApproveFunction, asked)
		w.must(w.patient, record.RejectFunction, record.Choice{
			Patient: asked.Patient, Participant: asked.Participant, Request: asked.Request,
		})
	})
	t.Run("by another patient", func(t *testing.T) {
		w := base.copy(t)
		another := w.enrol(w.b, record.PatientRole)
		w.register(w.b, another)
		w.refuse(record.Forbidden, another, record.ApproveFunction, asked)
		w.wantAudit(w.reference, record.AuditEntry{Action: record.ActApprove, Denied: true, Actor: another.id})
	})
	t.Run("by the patient's reference at another institution", func(t *testing.T) {
		w := base.copy(t)
		another := w.enrol(w.b, record.PatientRole)
		theirs := w.register(w.b, another)
		w.must(w.b.staff, record.LinkFunction, record.Link{Patient: w.reference, To: theirs}) // proposed only
		w.refuse(record.Forbidden, another, record.ApproveFunction, asked)
	})
}

// TestNobodyApprovesTheirOwn: should a doctor ever sign for a patient, their own requests are still not theirs to decide.
func TestNobodyApprovesTheirOwn(t *testing.T) {
	w := newWorld(t)
	asked := w.asks(w.b.doctor, w.reference, record.Read, everything())
	p := w.patientOf(w.reference)
	p.Participant = w.b.doctor.id
	w.store(record.PatientKey(w.reference), p)
	w.refuse(record.Forbidden, w.b.doctor, record.ApproveFunction, asked)
	w.must(w.b.doctor, record.ApproveFunction, w.asks(w.c.doctor, w.reference, record.Read, everything()))
}

func TestRepresentativeDecides(t *testing.T) {
	base := newWorld(t)
	base.represent(base.representative, record.ParentAuthority, letters())
	all := base.asks(base.b.doctor, base.reference, record.Read, everything())
	some := base.asks(base.c.doctor, base.reference, record.Read, letters())
	scope := letters()
	narrower := all
	narrower.Scope = &scope
	choice := func(q record.Approval) record.Choice {
		return record.Choice{Patient: q.Patient, Participant: q.Participant, Request: q.Request}
	}

	w := base.copy(t)
	w.refuse(record.Forbidden, w.representative, record.ApproveFunction, all)
	w.refuse(record.Forbidden, w.representative, record.RejectFunction, choice(all))
	w.must(w.representative, record.ApproveFunction, narrower)
	w.must(w.representative, record.RejectFunction, choice(some))
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActReject, Basis: record.BasisRepresentative, Actor: w.representative.id, Subject: w.c.doctor.id,
		About: some.Request,
	})

	w = base.copy(t)
	w.must(w.patient, record.ApproveFunction, all)
	w.refuse(record.Forbidden, w.representative, record.RevokeFunction, choice(all))
	w.must(w.patient, record.ApproveFunction, some)
	w.must(w.representative, record.RevokeFunction, choice(some))
}

// TestRevoke: the patient ends every kind of grant, at once.
func TestRevoke(t *testing.T) {
	base := newWorld(t)
	letter := base.letter(base.a, base.reference, "letter")
	for name, grant := range map[string]func(w *world) record.Choice{
		"a grant": func(w *world) record.Choice {
			return w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
		},
		"a referral":   func(w *world) record.Choice { return w.refers(w.a, w.b.doctor, w.reference) },
		"an emergency": func(w *world) record.Choice { return w.emergency(w.a, w.b.doctor, w.reference) },
	} {
		t.Run(name, func(t *testing.T) {
			w := base.copy(t)
			c := grant(w)
			w.refuse(record.WrongState, w.patient, record.RejectFunction, c)
			w.must(w.patient, record.RevokeFunction, c)
			w.reads(w.b.doctor, letter, record.NoBasis)
			w.wantAudit(w.reference, record.AuditEntry{
				Action: record.ActRevoke, Basis: record.BasisPatient, Actor: w.patient.id, Subject: w.b.doctor.id,
				About: c.Request,
			})
			w.refuse(record.WrongState, w.patient, record.RevokeFunction, c)
			w.refuse(record.WrongState, w.b.doctor, record.RelinquishFunction, c)
		})
	}
	t.Run("not what was not approved", func(t *testing.T) {
		w := base.copy(t)
		q := w.asks(w.b.doctor, w.reference, record.Read, everything())
		w.refuse(record.WrongState, w.patient, record.RevokeFunction,
			record.Choice{Patient: q.Patient, Participant: q.Participant, Request: q.Request})
	})
}

func TestRelinquish(t *testing.T) {
	base := newWorld(t)
	letter := base.letter(base.a, base.reference, "letter")
	c := base.grants(base.patient, base.b.doctor, base.reference, record.Read, everything())
	w := base.copy(t)
	w.refuse(record.Forbidden, w.c.doctor, record.RelinquishFunction, c)
	w.must(w.b.doctor, record.RelinquishFunction, c)
	w.reads(w.b.doctor, letter, record.NoBasis)
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActRelinquish, Basis: record.BasisParticipant, Actor: w.b.doctor.id, Subject: w.b.doctor.id,
		About: c.Request,
	})
	w.refuse(record.WrongState, w.b.doctor, record.RelinquishFunction, c)

	q := w.asks(w.c.doctor, w.reference, record.Read, everything())
	w.must(w.c.doctor, record.RelinquishFunction,
		record.Choice{Patient: q.Patient, Participant: q.Participant, Request: q.Request})
	w.refuse(record.WrongState, w.patient, record.ApproveFunction, q)
	c.Request[0]++
	w.refuse(record.NotFound, w.b.doctor, record.RelinquishFunction, c)
}

func TestRefer(t *testing.T) {
	base := newWorld(t)
	good := record.Referral{
		Patient: base.reference, Participant: base.b.doctor.id, Scope: letters(), Purpose: record.Continuity,
		Until: base.now().Add(record.MaxReferralTime),
	}
	base.supervises(base.a, base.a.doctor, base.reference, time.Time{})
	for name, test := range map[string]struct {
		by     *person
		set    func(w *world)
		change func(q *record.Referral)
		basis  record.Basis
		refuse record.Code
	}{
		"by the office":      {by: base.a.staff, basis: record.BasisInstitution},
		"by the institution": {by: base.a.institution, basis: record.BasisInstitution},
		"by who supervises":  {by: base.a.doctor, basis: record.BasisSupervision},
		"by who does not":    {by: base.a.locum, refuse: record.Forbidden},
		"by another office":  {by: base.b.staff, refuse: record.Forbidden},
		"to oneself":         {by: base.b.doctor, refuse: record.Forbidden},
		"by the patient":     {by: base.patient, refuse: record.Forbidden},
		"to a doctor here":   {by: base.a.staff, change: func(q *record.Referral) { q.Participant = base.a.locum.id }, refuse: record.BadRequest},
		"to staff":           {by: base.a.staff, change: func(q *record.Referral) { q.Participant = base.b.staff.id }, refuse: record.BadRequest},
		"to nobody":          {by: base.a.staff, change: func(q *record.Referral) { q.Participant = base.newID(base.b) }, refuse: record.NotFound},
		"for too long":       {by: base.a.staff, change: func(q *record.Referral) { q.Until = q.Until.Add(time.Second) }, refuse: record.BadRequest},
		"for no time":        {by: base.a.staff, change: func(q *record.Referral) { q.Until = base.now().Add(record.ClockSkew) }, refuse: record.BadRequest},
		"to who is suspended": {by: base.a.staff, set: func(w *world) {
			w.must(w.b.institution, record.SuspendFunction, record.Suspension{Participant: w.b.doctor.id})
		}, refuse: record.WrongState},
		"where it is not done": {by: base.a.staff, set: func(w *world) {
			w.must(w.a.institution, record.UpdateInstitutionFunction,
				record.InstitutionUpdate{Institution: record.Institution{Name: "St Mary", NoReferrals: true}})
		}, refuse: record.WrongState},
	} {
		t.Run(name, func(t *testing.T) {
			w, q := base.copy(t), good
			if test.set != nil {
				test.set(w)
			}
			if test.change != nil {
				test.change(&q)
			}
			if test.refuse != "" {
				w.refuse(test.refuse, test.by, record.ReferFunction, q)
				return
			}
			id := w.must(test.by, record.ReferFunction, q).ID
			w.wantAudit(w.reference, record.AuditEntry{
				Action: record.ActRefer, Basis: test.basis, Actor: test.by.id, Subject: w.b.doctor.id, About: id, Until: q.Until,
			})
			w.refuse(record.Exists, test.by, record.ReferFunction, q)
			w.must(w.patient, record.RevokeFunction,
				record.Choice{Patient: q.Patient, Participant: q.Participant, Request: id})
			w.must(test.by, record.ReferFunction, q)
			q.Until = q.Until.Add(-time.Second)
			w.must(test.by, record.ReferFunction, q)
		})
	}
}
