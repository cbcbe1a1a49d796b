package contract_test

import (
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// lostKey makes a proposal to give a participant a new key, and who they are with it.
func (w *world) lostKey(p *person) (record.Proposal, *person) {
	w.t.Helper()
	next := newPerson(w.t, p.mspID, p.role, p.id)
	key, signature := next.encryptionKey(w.t)
	return record.Proposal{Rebind: &record.LostKey{Participant: p.id, Rotation: record.Rotation{
		NewKey: next.spki, Proof: next.sign(w.t, record.RotationMessage(p.id, next.spki)),
		EncryptionKey: key, Signature: signature,
	}}}, next
}

func (w *world) decisionOf(id record.ID) record.Decision {
	w.t.Helper()
	return stateOf[record.Decision](w, record.DecisionKey(id))
}

func TestRebind(t *testing.T) {
	w := newWorld(t)
	q, next := w.lostKey(w.a.doctor)
	team := record.Team{ID: record.NewParticipantID(w.a.mspID, w.random())}

	proposed := w.must(w.a.staff, record.ProposeFunction, q)
	name := record.DecisionName{Decision: proposed.ID}
	here := record.InstitutionReference(w.a.institution.id.Institution())
	w.wantAudit(here, record.AuditEntry{
		Action: record.ActPropose, Basis: record.BasisInstitution, Actor: w.a.staff.id, Subject: w.a.doctor.id, About: proposed.ID,
	})
	if _, refused := ask[record.Participant](w, next, record.WhoAmIFunction); refused == nil {
		t.Error("the new key is bound before it is confirmed")
	}

	_, _, tx := w.transact(w.a.clerk, record.ConfirmFunction, name)
	event, err := record.DecodeActed(tx.eventData)
	if err != nil || event.Action != record.ActRebind {
		t.Errorf("event %+v, %v", event, err)
	}
	for _, by := range []*person{w.a.staff, w.a.clerk} {
		w.wantAudit(here, record.AuditEntry{
			Action: record.ActRebind, Basis: record.BasisTwoPeople, Actor: by.id, Subject: w.a.doctor.id, About: proposed.ID,
		})
	}
	d := w.decisionOf(proposed.ID)
	if d.State != record.Confirmed || d.ProposedBy != w.a.staff.id || d.DecidedBy != w.a.clerk.id || !d.Decided.Equal(w.now()) {
		t.Errorf("decision %+v", d)
	}
	if p, refused := ask[record.Participant](w, next, record.WhoAmIFunction); refused != nil || p.ID != w.a.doctor.id {
		t.Errorf("with the new key: %s, %v", p.ID, refused)
	}
	if _, refused := ask[record.Participant](w, w.a.doctor, record.WhoAmIFunction); refused == nil {
		t.Error("the old key still works")
	}
	w.refuse(record.WrongState, w.a.clerk, record.ConfirmFunction, name)
	w.refuse(record.Forbidden, next, record.SetTeamFunction, team)
}

func TestRebindIsRefused(t *testing.T) {
	base := newWorld(t)
	doctor, _ := base.lostKey(base.a.doctor)
	own, _ := base.lostKey(base.a.staff)
	notJoined := newPerson(t, base.a.mspID, record.DoctorRole, record.NewParticipantID(base.a.mspID, base.random()))
	base.must(base.a.institution, record.InviteFunction,
		record.Invite{Participant: notJoined.id, Role: record.DoctorRole})
	invited, _ := base.lostKey(notJoined)
	unknown, _ := base.lostKey(newPerson(t, base.a.mspID, record.DoctorRole,
		record.NewParticipantID(base.a.mspID, base.random())))
	suspended, _ := base.lostKey(base.a.locum)
	base.must(base.a.institution, record.SuspendFunction, record.Suspension{Participant: base.a.locum.id})

	for name, test := range map[string]struct {
		by     *person
		q      record.Proposal
		refuse record.Code
	}{
		"by another institution": {base.b.staff, doctor, record.Forbidden},
		"by a doctor":            {base.a.doctor, doctor, record.Forbidden},
		"of oneself":             {base.a.staff, own, record.Forbidden},
		"of somebody invited":    {base.a.staff, invited, record.WrongState},
		"of somebody suspended":  {base.a.staff, suspended, record.WrongState},
		"of somebody unknown":    {base.a.staff, unknown, record.NotFound},
	} {
		t.Run(name, func(t *testing.T) { base.copy(t).refuse(test.refuse, test.by, record.ProposeFunction, test.q) })
	}
	t.Run("confirmed by who lost the key", func(t *testing.T) {
		w := base.copy(t)
		id := w.must(w.a.clerk, record.ProposeFunction, own).ID
		w.refuse(record.Forbidden, w.a.staff, record.ConfirmFunction, record.DecisionName{Decision: id})
		w.must(w.a.institution, record.ConfirmFunction, record.DecisionName{Decision: id})
	})
	t.Run("suspended meanwhile", func(t *testing.T) {
		w := base.copy(t)
		id := w.must(w.a.clerk, record.ProposeFunction, doctor).ID
		w.must(w.a.institution, record.SuspendFunction, record.Suspension{Participant: w.a.doctor.id})
		w.refuse(record.WrongState, w.a.staff, record.ConfirmFunction, record.DecisionName{Decision: id})
	})
}

func TestRebindWithAnothersProof(t *testing.T) {
	w := newWorld(t)
	q, _ := w.lostKey(w.a.doctor)
	q.Rebind.Participant = w.a.locum.id
	w.refuse(record.BadRequest, w.a.staff, record.ProposeFunction, q)
}

// binding is a proposal that is simple to carry out: another participant for a patient.
func (w *world) binding() record.Proposal {
	w.t.Helper()
	return record.Proposal{BindPatient: &record.PatientRegistration{
		Patient: w.reference, Participant: w.enrol(w.b, record.PatientRole).id,
	}}
}

func TestTwoPeopleDecide(t *testing.T) {
	base := newWorld(t)
	id := base.must(base.a.staff, record.ProposeFunction, base.binding()).ID
	name := record.DecisionName{Decision: id}

	t.Run("not the same person", func(t *testing.T) {
		base.copy(t).refuse(record.Forbidden, base.a.staff, record.ConfirmFunction, name)
	})
	t.Run("not another institution", func(t *testing.T) {
		for _, by := range []*person{base.b.institution, base.b.staff, base.a.doctor, base.a.appliance, base.patient} {
			w := base.copy(t)
			w.refuse(record.Forbidden, by, record.ConfirmFunction, name)
			w.refuse(record.Forbidden, by, record.DeclineFunction, name)
		}
	})
	t.Run("nobody learns of what there is not", func(t *testing.T) {
		for _, by := range []*person{base.a.doctor, base.a.appliance, base.patient} {
			base.copy(t).refuse(record.Forbidden, by, record.DeclineFunction, record.DecisionName{Decision: record.ID{1}})
		}
	})
	t.Run("not once the first is suspended", func(t *testing.T) {
		w := base.copy(t)
		w.must(w.a.institution, record.SuspendFunction, record.Suspension{Participant: w.a.staff.id})
		w.refuse(record.WrongState, w.a.clerk, record.ConfirmFunction, name)
		w.must(w.a.clerk, record.DeclineFunction, name)
	})
	t.Run("not after a week", func(t *testing.T) {
		w := base.copy(t)
		w.advance(record.DecisionTime - record.ClockSkew)
		w.refuse(record.WrongState, w.a.clerk, record.ConfirmFunction, name)
	})
	t.Run("within a week", func(t *testing.T) {
		w := base.copy(t)
		w.advance(record.DecisionTime - record.ClockSkew - time.Second)
		w.must(w.a.institution, record.ConfirmFunction, name)
	})
	t.Run("not once it was declined", func(t *testing.T) {
		for _, by := range []*person{base.a.staff, base.a.clerk} {
			w := base.copy(t)
			w.must(by, record.DeclineFunction, name)
			w.wantAudit(w.reference, record.AuditEntry{
				Action: record.ActDecline, Basis: record.BasisInstitution, Actor: by.id, About: id,
				Subject: w.decisionOf(id).Proposal.BindPatient.Participant,
			})
			w.refuse(record.WrongState, w.a.institution, record.ConfirmFunction, name)
			w.refuse(record.WrongState, w.a.institution, record.DeclineFunction, name)
			if p := w.patientOf(w.reference); p.Participant != w.patient.id {
				t.Error("the patient has another participant")
			}
		}
	})
	t.Run("what there is", func(t *testing.T) {
		base.copy(t).refuse(record.NotFound, base.a.staff, record.ConfirmFunction, record.DecisionName{Decision: record.ID{1}})
		d, refused := ask[record.Decision](base, base.b.doctor, record.DecisionFunction, id.String())
		if refused != nil || d.State != record.Open || d.Proposal.BindPatient == nil {
			t.Errorf("decision %+v, %v", d, refused)
		}
		if _, refused := ask[record.Decision](base, base.a.staff, record.DecisionFunction, record.ID{1}.String()); refused == nil {
			t.Error("a decision that is not there was found")
		}
	})
}

func TestBindPatient(t *testing.T) {
	base := newWorld(t)
	other := base.enrol(base.b, record.PatientRole)
	withoutKey := base.register(base.a, nil)
	for name, test := range map[string]struct {
		by          *person
		patient     record.Reference
		participant record.ParticipantID
		refuse      record.Code
	}{
		"by another institution":  {base.b.staff, base.reference, other.id, record.Forbidden},
		"who has none":            {base.a.staff, withoutKey, other.id, record.WrongState},
		"who is not registered":   {base.a.staff, base.newReference(base.a), other.id, record.NotFound},
		"to the same participant": {base.a.staff, base.reference, base.patient.id, record.Exists},
		"to a doctor":             {base.a.staff, base.reference, base.a.doctor.id, record.BadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			base.copy(t).refuse(test.refuse, test.by, record.ProposeFunction, record.Proposal{
				BindPatient: &record.PatientRegistration{Patient: test.patient, Participant: test.participant},
			})
		})
	}
	for name, participant := range map[string]record.ParticipantID{"another": other.id, "none": {}} {
		t.Run(name, func(t *testing.T) {
			w := base.copy(t)
			id := w.decide(w.a, record.Proposal{
				BindPatient: &record.PatientRegistration{Patient: w.reference, Participant: participant},
			})
			if p := w.patientOf(w.reference); p.Participant != participant {
				t.Errorf("participant %s", p.Participant)
			}
			for _, by := range []*person{w.a.staff, w.a.clerk} {
				w.wantAudit(w.reference, record.AuditEntry{
					Action: record.ActBindPatient, Basis: record.BasisTwoPeople, Actor: by.id, Subject: participant, About: id,
				})
			}
			w.refuse(record.Forbidden, w.patient, record.RequestErasureFunction,
				record.RecordName{Patient: w.reference, Record: tag("study")})
		})
	}
	t.Run("an attempt of another institution is visible", func(t *testing.T) {
		w := base.copy(t)
		w.refuse(record.Forbidden, w.b.staff, record.ProposeFunction, record.Proposal{
			BindPatient: &record.PatientRegistration{Patient: w.reference, Participant: other.id},
		})
		w.wantAudit(w.reference, record.AuditEntry{Action: record.ActPropose, Denied: true, Actor: w.b.staff.id})
	})
}
