package contract_test

import (
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// asks has a doctor ask for access, for a month, and gives the approval of it.
func (w *world) asks(doctor *person, patient record.Reference, mode record.Mode, scope record.Scope) record.Approval {
	w.t.Helper()
	id := w.must(doctor, record.RequestFunction, record.AccessRequest{
		Patient: patient, Mode: mode, Scope: scope, Purpose: record.Treatment, Until: w.now().AddDate(0, 1, 0),
	}).ID
	return record.Approval{Patient: patient, Participant: doctor.id, Request: id}
}

// grants has a doctor ask, and somebody approve.
func (w *world) grants(by, doctor *person, patient record.Reference, mode record.Mode, scope record.Scope) record.Choice {
	w.t.Helper()
	q := w.asks(doctor, patient, mode, scope)
	w.must(by, record.ApproveFunction, q)
	return record.Choice{Patient: q.Patient, Participant: q.Participant, Request: q.Request}
}

// supervises puts a doctor of the patient's institution in charge; until the time, if it is not zero.
func (w *world) supervises(h *hospital, doctor *person, patient record.Reference, until time.Time) {
	w.t.Helper()
	w.must(h.staff, record.SuperviseFunction,
		record.SupervisionChange{Patient: patient, Participant: doctor.id, Until: until})
}

// team puts a new team of one doctor in charge.
func (w *world) team(h *hospital, doctor *person, patient record.Reference, until time.Time, shifts ...record.Shift) {
	w.t.Helper()
	team := record.Team{
		ID:      record.NewParticipantID(h.mspID, w.random()),
		Members: []record.TeamMember{{Participant: doctor.id, Shifts: shifts}},
	}
	w.must(h.staff, record.SetTeamFunction, team)
	w.must(h.staff, record.SuperviseFunction, record.SupervisionChange{Patient: patient, Team: team.ID, Until: until})
}

// refers has the office refer the patient to a doctor elsewhere, for a week.
func (w *world) refers(h *hospital, doctor *person, patient record.Reference) record.Choice {
	w.t.Helper()
	id := w.must(h.staff, record.ReferFunction, record.Referral{
		Patient: patient, Participant: doctor.id, Scope: everything(), Purpose: record.SecondOpinion,
		Until: w.now().AddDate(0, 0, 7),
	}).ID
	return record.Choice{Patient: patient, Participant: doctor.id, Request: id}
}

// emergency has a doctor break the glass of a patient of the hospital.
func (w *world) emergency(h *hospital, doctor *person, patient record.Reference) record.Choice {
	w.t.Helper()
	id := w.must(doctor, record.BreakGlassFunction, record.Emergency{Patient: patient, Scope: everything()},
		note(h.institution.id)).ID
	return record.Choice{Patient: patient, Participant: doctor.id, Request: id}
}

// copiedTo has another hospital hold copies of a version of the world's patient, who is known there too, and gives the
// reference there.
func (w *world) copiedTo(h *hospital, v record.Version) record.Reference {
	w.t.Helper()
	there := w.register(h, w.patient)
	w.must(w.patient, record.LinkFunction, record.Link{Patient: w.reference, To: there})
	w.must(h.appliance, record.HoldCopyFunction, allCopies(v, there))
	return there
}

func everything() record.Scope { return record.Scope{All: true} }

func letters() record.Scope { return record.Scope{Kinds: []record.Kind{record.KindLetter}} }

// access asks whether somebody may read or write a version's record.
func (w *world) access(reader *person, v record.Version, mode record.Mode) record.Access {
	w.t.Helper()
	a, refused := ask[record.Access](w, w.b.staff, record.CheckAccessFunction, reader.id.String(), v.Patient.String(),
		v.Record.String(), v.Name().String(), string(mode))
	if refused != nil {
		w.t.Fatal(refused)
	}
	return a
}

// reads fails the test unless somebody reads the record by the basis; NoBasis is that they do not.
func (w *world) reads(reader *person, v record.Version, basis record.Basis) {
	w.t.Helper()
	if a := w.access(reader, v, record.Read); a.Basis != basis || a.Allowed != (basis != record.NoBasis) {
		w.t.Errorf("%s reads by %s (%s), want %s", reader.role, a.Basis, a.Reason, basis)
	}
}

// TestCheckAccess has one case for each rule: who reads the letter of St Mary's patient, and until when.
func TestCheckAccess(t *testing.T) {
	base := newWorld(t)
	letter := base.letter(base.a, base.reference, "letter")
	hours := func(n int) time.Time { return base.now().Add(time.Duration(n) * time.Hour) }
	shift := record.Shift{From: hours(-1), Until: hours(1)}
	over := base.now().Add(record.ClockSkew + time.Second) // lasts now, and not a second later

	for name, test := range map[string]struct {
		set    func(w *world)
		reader *person
		basis  record.Basis
		until  time.Time
	}{
		"the patient":   {nil, base.patient, record.BasisPatient, time.Time{}},
		"a stranger":    {nil, base.b.doctor, record.NoBasis, time.Time{}},
		"a doctor here": {nil, base.a.doctor, record.NoBasis, time.Time{}},
		"institution":   {nil, base.a.institution, record.NoBasis, time.Time{}},
		"staff":         {nil, base.a.staff, record.NoBasis, time.Time{}},
		"appliance":     {nil, base.a.appliance, record.NoBasis, time.Time{}},

		"the patient's death": {func(w *world) {
			w.must(w.a.staff, record.DeceasedFunction, record.Deceased{Patient: w.reference})
		}, base.patient, record.NoBasis, time.Time{}},
		"a representative": {func(w *world) {
			w.represent(w.representative, record.ParentAuthority, everything())
		}, base.representative, record.BasisRepresentative, base.now().AddDate(1, 0, 0)},
		"a representative for the kind": {func(w *world) {
			w.represent(w.representative, record.ParentAuthority, letters())
		}, base.representative, record.BasisRepresentative, base.now().AddDate(1, 0, 0)},
		"a representative for another kind": {func(w *world) {
			w.represent(w.representative, record.ParentAuthority, record.Scope{Kinds: []record.Kind{record.KindImaging}})
		}, base.representative, record.NoBasis, time.Time{}},

		"supervision": {func(w *world) {
			w.supervises(w.a, w.a.doctor, w.reference, time.Time{})
		}, base.a.doctor, record.BasisSupervision, time.Time{}},
		"supervision of another": {func(w *world) {
			w.supervises(w.a, w.a.doctor, w.reference, time.Time{})
		}, base.a.locum, record.NoBasis, time.Time{}},
		"supervision for a time": {func(w *world) {
			w.supervises(w.a, w.a.doctor, w.reference, hours(1))
		}, base.a.doctor, record.BasisSupervision, hours(1)},
		"supervision, at its last second": {func(w *world) {
			w.supervises(w.a, w.a.doctor, w.reference, over)
		}, base.a.doctor, record.BasisSupervision, over},
		"supervision that is over": {func(w *world) {
			w.supervises(w.a, w.a.doctor, w.reference, over)
			w.advance(time.Second)
		}, base.a.doctor, record.NoBasis, time.Time{}},
		"supervision of a linked reference": {func(w *world) {
			b := w.register(w.b, w.patient)
			w.must(w.patient, record.LinkFunction, record.Link{Patient: w.reference, To: b})
			w.supervises(w.b, w.b.doctor, b, time.Time{})
		}, base.b.doctor, record.NoBasis, time.Time{}},
		"supervision where a copy is": {func(w *world) {
			w.supervises(w.b, w.b.doctor, w.copiedTo(w.b, letter), hours(1))
		}, base.b.doctor, record.BasisSupervision, hours(1)},
		"a team where a copy is": {func(w *world) {
			w.team(w.b, w.b.doctor, w.copiedTo(w.b, letter), hours(2), shift)
		}, base.b.doctor, record.BasisSupervision, hours(1)},
		"supervision where a copy is, that is over": {func(w *world) {
			w.supervises(w.b, w.b.doctor, w.copiedTo(w.b, letter), over)
			w.advance(time.Second)
		}, base.b.doctor, record.NoBasis, time.Time{}},
		"supervision where a copy is, of another": {func(w *world) {
			w.supervises(w.b, w.b.doctor, w.copiedTo(w.b, letter), time.Time{})
		}, base.b.locum, record.NoBasis, time.Time{}},
		"supervision of another patient where a copy is": {func(w *world) {
			w.copiedTo(w.b, letter)
			w.supervises(w.b, w.b.doctor, w.register(w.b, nil), time.Time{})
		}, base.b.doctor, record.NoBasis, time.Time{}},
		"supervision where a copy is elsewhere": {func(w *world) {
			w.copiedTo(w.b, letter)
			c := w.register(w.c, w.patient)
			w.must(w.patient, record.LinkFunction, record.Link{Patient: w.reference, To: c})
			w.supervises(w.c, w.c.doctor, c, time.Time{})
		}, base.c.doctor, record.NoBasis, time.Time{}},
		"supervision where a copy is, and the link is undone": {func(w *world) {
			b := w.copiedTo(w.b, letter)
			w.supervises(w.b, w.b.doctor, b, time.Time{})
			w.must(w.patient, record.UnlinkFunction, record.Link{Patient: w.reference, To: b})
		}, base.b.doctor, record.NoBasis, time.Time{}},
		"supervision where a copy is, of what was withdrawn": {func(w *world) {
			w.supervises(w.b, w.b.doctor, w.copiedTo(w.b, letter), time.Time{})
			w.must(w.a.staff, record.WithdrawFunction,
				record.Correction{RecordName: record.RecordName{Patient: w.reference, Record: letter.Record}})
		}, base.b.doctor, record.NoBasis, time.Time{}},
		"supervision of a merged reference": {func(w *world) {
			merged := w.register(w.a, nil)
			w.must(w.a.staff, record.MergeFunction, record.Link{Patient: w.reference, To: merged})
			w.supervises(w.a, w.a.doctor, merged, time.Time{})
		}, base.a.doctor, record.NoBasis, time.Time{}},
		"a team": {func(w *world) {
			w.team(w.a, w.a.doctor, w.reference, time.Time{})
		}, base.a.doctor, record.BasisSupervision, time.Time{}},
		"a team, on duty": {func(w *world) {
			w.team(w.a, w.a.doctor, w.reference, hours(2), shift)
		}, base.a.doctor, record.BasisSupervision, hours(1)},
		"a team, on duty longer than it supervises": {func(w *world) {
			w.team(w.a, w.a.doctor, w.reference, over, shift)
		}, base.a.doctor, record.BasisSupervision, over},
		"a team, off duty": {func(w *world) {
			w.team(w.a, w.a.doctor, w.reference, time.Time{}, record.Shift{From: hours(1), Until: hours(2)})
		}, base.a.doctor, record.NoBasis, time.Time{}},
		"a team of others": {func(w *world) {
			w.team(w.a, w.a.doctor, w.reference, time.Time{})
		}, base.a.locum, record.NoBasis, time.Time{}},

		"a request": {func(w *world) {
			w.asks(w.b.doctor, w.reference, record.Read, everything())
		}, base.b.doctor, record.NoBasis, time.Time{}},
		"a grant of all": {func(w *world) {
			w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
		}, base.b.doctor, record.BasisGrant, base.now().AddDate(0, 1, 0)},
		"a grant of the kind": {func(w *world) {
			w.grants(w.patient, w.b.doctor, w.reference, record.Read, letters())
		}, base.b.doctor, record.BasisGrant, base.now().AddDate(0, 1, 0)},
		"a grant of another record": {func(w *world) {
			w.grants(w.patient, w.b.doctor, w.reference, record.Read, record.Scope{Records: []record.Tag{tag("another")}})
		}, base.b.doctor, record.NoBasis, time.Time{}},
		"a grant to write": {func(w *world) {
			w.grants(w.patient, w.b.doctor, w.reference, record.Write, everything())
		}, base.b.doctor, record.NoBasis, time.Time{}},
		"a grant that is over": {func(w *world) {
			w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
			w.advance(w.now().AddDate(0, 1, 0).Sub(w.now()) - record.ClockSkew)
		}, base.b.doctor, record.NoBasis, time.Time{}},
		"a grant to who is suspended since": {func(w *world) {
			w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
			w.must(w.b.institution, record.SuspendFunction, record.Suspension{Participant: w.b.doctor.id})
		}, base.b.doctor, record.NoBasis, time.Time{}},
		"a grant by a representative": {func(w *world) {
			w.represent(w.representative, record.ParentAuthority, everything())
			w.grants(w.representative, w.b.doctor, w.reference, record.Read, everything())
		}, base.b.doctor, record.BasisGrant, base.now().AddDate(0, 1, 0)},
		"a grant by who represents no more": {func(w *world) {
			w.represent(w.representative, record.ParentAuthority, everything())
			w.grants(w.representative, w.b.doctor, w.reference, record.Read, everything())
			w.must(w.a.staff, record.EndRepresentationFunction,
				record.RepresentationEnd{Patient: w.reference, Participant: w.representative.id})
		}, base.b.doctor, record.NoBasis, time.Time{}},
		"a grant that two people recorded": {func(w *world) {
			q := w.asksFor(w.b.doctor, w.reference, letter.Name())
			q.Reason = record.NoDevice
			w.decide(w.a, record.Proposal{Assist: q})
		}, base.b.doctor, record.BasisGrant, base.now().AddDate(0, 1, 0)},
		"a grant by the deceased": {func(w *world) {
			w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
			w.must(w.a.staff, record.DeceasedFunction, record.Deceased{Patient: w.reference})
		}, base.b.doctor, record.BasisGrant, base.now().AddDate(0, 1, 0)},
		"a grant by who was not the patient": {func(w *world) {
			w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
			w.decide(w.a, record.Proposal{BindPatient: &record.PatientRegistration{
				Patient: w.reference, Participant: w.enrol(w.a, record.PatientRole).id,
			}})
		}, base.b.doctor, record.NoBasis, time.Time{}},

		"a referral": {func(w *world) {
			w.refers(w.a, w.b.doctor, w.reference)
		}, base.b.doctor, record.BasisReferral, base.now().AddDate(0, 0, 7)},
		"a referral, where they are off since": {func(w *world) {
			w.refers(w.a, w.b.doctor, w.reference)
			w.must(w.a.institution, record.UpdateInstitutionFunction,
				record.InstitutionUpdate{Institution: record.Institution{Name: "St Mary", NoReferrals: true}})
		}, base.b.doctor, record.NoBasis, time.Time{}},
		"an emergency": {func(w *world) {
			w.emergency(w.a, w.b.doctor, w.reference)
		}, base.b.doctor, record.BasisBreakGlass, hours(4)},
		"an emergency, reviewed": {func(w *world) {
			c := w.emergency(w.a, w.b.doctor, w.reference)
			w.must(w.a.staff, record.ReviewFunction,
				record.Review{Patient: c.Patient, Participant: c.Participant, Request: c.Request})
		}, base.b.doctor, record.BasisBreakGlass, hours(4)},
		"an emergency that is over": {func(w *world) {
			w.emergency(w.a, w.b.doctor, w.reference)
			w.advance(record.BreakGlassTime - record.ClockSkew)
		}, base.b.doctor, record.NoBasis, time.Time{}},

		"first the grant, then the emergency": {func(w *world) {
			w.emergency(w.a, w.b.doctor, w.reference)
			w.refers(w.a, w.b.doctor, w.reference)
			w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
		}, base.b.doctor, record.BasisGrant, base.now().AddDate(0, 1, 0)},
		"first supervision, then the grant": {func(w *world) {
			w.grants(w.patient, w.a.doctor, w.reference, record.Read, everything())
			w.supervises(w.a, w.a.doctor, w.reference, hours(1))
		}, base.a.doctor, record.BasisSupervision, hours(1)},
	} {
		t.Run(name, func(t *testing.T) {
			w := base.copy(t)
			if test.set != nil {
				test.set(w)
			}
			w.reads(test.reader, letter, test.basis)
			if a := w.access(test.reader, letter, record.Read); !a.Until.Equal(test.until) {
				t.Errorf("until %s, want %s", a.Until, test.until)
			}
		})
	}
}

func TestAccessIsDeniedToAll(t *testing.T) {
	base := newWorld(t)
	letter := base.letter(base.a, base.reference, "letter")
	base.grants(base.patient, base.b.doctor, base.reference, record.Read, everything())
	base.grants(base.patient, base.b.doctor, base.reference, record.Write, everything())
	name := record.RecordName{Patient: letter.Patient, Record: letter.Record}
	for reason, set := range map[record.Denial]func(w *world){
		record.DeniedWithdrawn: func(w *world) {
			w.must(w.a.staff, record.WithdrawFunction, record.Correction{RecordName: name})
		},
		record.DeniedErased: func(w *world) { w.erase(w.a, letter) },
		record.DeniedSuspended: func(w *world) {
			w.must(w.a.institution, record.SuspendFunction, record.Suspension{Participant: w.patient.id})
			w.must(w.b.institution, record.SuspendFunction, record.Suspension{Participant: w.b.doctor.id})
		},
	} {
		w := base.copy(t)
		w.reads(w.patient, letter, record.BasisPatient)
		set(w)
		for _, reader := range []*person{w.patient, w.b.doctor} {
			for _, mode := range []record.Mode{record.Read, record.Write} {
				if a := w.access(reader, letter, mode); a.Allowed || a.Reason != reason {
					t.Errorf("%s to %s: %+v, want %s", mode, reader.role, a, reason)
				}
			}
		}
	}
}

// TestAccessIsOfDoctors: whatever stands on the ledger, supervision is of doctors of the patient's institution, and grants
// are of doctors.
func TestAccessIsOfDoctors(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	w.store(record.SupervisionKey(w.reference), record.Supervision{
		V: record.SchemaVersion, Patient: w.reference,
		Supervisors: []record.Supervisor{{Participant: w.b.doctor.id}, {Participant: w.a.staff.id}},
	})
	w.reads(w.b.doctor, letter, record.NoBasis)
	w.reads(w.a.staff, letter, record.NoBasis)

	w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
	w.reads(w.b.doctor, letter, record.BasisGrant)
	p := stateOf[record.Participant](w, record.ParticipantKey(w.b.doctor.id))
	p.Role = record.StaffRole
	w.store(record.ParticipantKey(p.ID), p)
	w.reads(w.b.doctor, letter, record.NoBasis)
}

func TestAccessToWrite(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	w.supervises(w.a, w.a.doctor, w.reference, time.Time{})
	w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
	w.emergency(w.a, w.b.doctor, w.reference)
	for _, somebody := range []*person{w.patient, w.a.doctor, w.b.doctor} {
		if a := w.access(somebody, letter, record.Write); a.Allowed || a.Reason != record.DeniedNoBasis {
			t.Errorf("%s writes: %+v", somebody.role, a)
		}
	}
	w.grants(w.patient, w.b.doctor, w.reference, record.Write, everything())
	if a := w.access(w.b.doctor, letter, record.Write); !a.Allowed || a.Basis != record.BasisGrant {
		t.Errorf("with a grant: %+v", a)
	}
}

// TestAccessOverLinks: what the patient granted under one reference counts for records under a linked one; what an
// institution did under its own does not.
func TestAccessOverLinks(t *testing.T) {
	base := newWorld(t)
	letter := base.letter(base.a, base.reference, "letter")
	theirs := base.register(base.b, base.patient)
	link := record.Link{Patient: base.reference, To: theirs}
	base.must(base.patient, record.LinkFunction, link)
	another := func(w *world) *person { // whom the other institution puts in the patient's place
		p := w.enrol(w.b, record.PatientRole)
		w.decide(w.b, record.Proposal{
			BindPatient: &record.PatientRegistration{Patient: theirs, Participant: p.id},
		})
		return p
	}

	for name, test := range map[string]struct {
		set   func(w *world)
		basis record.Basis
	}{
		"the patient's grant": {func(w *world) {
			w.grants(w.patient, w.b.doctor, theirs, record.Read, everything())
		}, record.BasisGrant},
		"after the link": {func(w *world) {
			w.grants(w.patient, w.b.doctor, theirs, record.Read, everything())
			w.must(w.patient, record.UnlinkFunction, link)
		}, record.NoBasis},
		"a referral":   {func(w *world) { w.refers(w.b, w.c.doctor, theirs) }, record.NoBasis},
		"an emergency": {func(w *world) { w.emergency(w.b, w.b.doctor, theirs) }, record.NoBasis},
		"supervision":  {func(w *world) { w.supervises(w.b, w.b.doctor, theirs, time.Time{}) }, record.NoBasis},
		"by another":   {func(w *world) { w.grants(another(w), w.b.doctor, theirs, record.Read, everything()) }, record.NoBasis},
		"by two people": {func(w *world) {
			q := w.asksFor(w.b.doctor, theirs, w.letter(w.b, theirs, "form").Name())
			q.Reason = record.NoDevice
			w.decide(w.b, record.Proposal{Assist: q})
		}, record.NoBasis},
		"by their representative": {func(w *world) {
			r := w.enrol(w.b, record.RepresentativeRole)
			w.must(w.b.staff, record.RepresentFunction, record.Representation{
				Patient: theirs, Participant: r.id, Authority: record.ParentAuthority,
				Evidence: w.letter(w.b, theirs, "evidence").Name(), Until: w.now().AddDate(1, 0, 0), Scope: everything(),
			})
			w.grants(r, w.b.doctor, theirs, record.Read, everything())
		}, record.NoBasis},
	} {
		t.Run(name, func(t *testing.T) {
			w := base.copy(t)
			test.set(w)
			for _, doctor := range []*person{w.b.doctor, w.c.doctor} {
				if a := w.access(doctor, letter, record.Read); a.Allowed && test.basis == record.NoBasis {
					t.Errorf("doctor of %s reads: %+v", doctor.mspID, a)
				}
			}
			if test.basis != record.NoBasis {
				w.reads(w.b.doctor, letter, test.basis)
			}
		})
	}
}

// TestGrantOverLink: who decided here by a link decides no more without it, and neither does what they decided stand.
func TestGrantOverLink(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	noKey := w.register(w.b, nil)
	other := w.letter(w.b, noKey, "other")
	link := record.Link{Patient: w.reference, To: noKey}
	w.must(w.a.staff, record.LinkFunction, link)
	w.must(w.b.staff, record.LinkFunction, link)

	w.grants(w.patient, w.c.doctor, noKey, record.Read, everything())
	w.reads(w.c.doctor, other, record.BasisGrant)
	w.reads(w.c.doctor, letter, record.BasisGrant)
	w.must(w.a.staff, record.UnlinkFunction, link)
	w.reads(w.c.doctor, other, record.NoBasis)
	w.reads(w.c.doctor, letter, record.NoBasis)
}

func TestGrantEndsWithTheAuthority(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	w.represent(w.representative, record.ParentAuthority, everything())
	end := w.now().AddDate(1, 0, 0)
	w.advance(end.Sub(w.now()) - 24*time.Hour)
	w.grants(w.representative, w.b.doctor, w.reference, record.Read, everything())
	if a := w.access(w.b.doctor, letter, record.Read); !a.Until.Equal(end) {
		t.Errorf("until %s, want the end of the authority, %s", a.Until, end)
	}
	w.advance(24*time.Hour - record.ClockSkew)
	w.reads(w.b.doctor, letter, record.NoBasis)
}

func TestCheckAccessArguments(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	w.grants(w.patient, w.b.doctor, w.reference, record.Read, letters())
	good := []string{
		record.CheckAccessFunction, w.b.doctor.id.String(), letter.Patient.String(), letter.Record.String(),
		letter.Name().String(), "read",
	}
	for name, test := range map[string]struct {
		place int
		text  string
		code  record.Code
		allow bool
	}{
		"as it should be":   {5, "read", "", true},
		"no version":        {4, "", "", false}, // the kind is unknown, and the grant is to a kind
		"no such version":   {4, tag("another").String(), record.NotFound, false},
		"of another record": {3, tag("another").String(), record.NotFound, false},
		"bad participant":   {1, "x", record.BadRequest, false},
		"bad patient":       {2, "x", record.BadRequest, false},
		"bad record":        {3, "x", record.BadRequest, false},
		"bad version":       {4, "x", record.BadRequest, false},
		"bad mode":          {5, "erase", record.BadRequest, false},
	} {
		arguments := append([]string{}, good...)
		arguments[test.place] = test.text
		a, refused := ask[record.Access](w, w.c.doctor, arguments...)
		if refused != nil && refused.Code != test.code || refused == nil && test.code != "" || a.Allowed != test.allow {
			t.Errorf("%s: %+v, %v", name, a, refused)
		}
	}
}
