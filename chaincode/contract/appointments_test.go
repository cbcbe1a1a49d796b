package contract_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// slot is two quarters of an hour with St Mary's doctor, three days ahead.
func (w *world) slot() record.AppointmentProposal {
	return record.AppointmentProposal{
		Doctor: w.a.doctor.id, Patient: w.reference, Slots: 2,
		Start: w.now().AddDate(0, 0, 3).Truncate(record.SlotLength),
	}
}

// propose makes an appointment, and names it.
func (w *world) propose(by *person, q record.AppointmentProposal) record.AppointmentName {
	w.t.Helper()
	id := w.must(by, record.ProposeAppointmentFunction, q).ID
	return record.AppointmentName{Doctor: q.Doctor, Patient: q.Patient, Start: q.Start, ID: id}
}

// appointmentAt gives what stands in a doctor's slot.
func (w *world) appointmentAt(doctor record.ParticipantID, start time.Time) record.Appointment {
	w.t.Helper()
	slot, ok := record.SlotAt(start)
	if !ok {
		w.t.Fatalf("no slot begins at %s", start)
	}
	return stateOf[record.Appointment](w, record.SlotKey(doctor, slot))
}

// store puts a value on the ledger that no function of this test's would write.
func (w *world) store(key string, v any) {
	w.t.Helper()
	value, err := json.Marshal(v)
	if err != nil {
		w.t.Fatal(err)
	}
	w.ledger.height++
	w.ledger.state[key] = stateValue{value, w.ledger.height}
}

// relate gives a doctor a grant of the patient.
func (w *world) relate(doctor *person, g record.Grant) {
	w.store(record.RelationKey(w.reference, doctor.id), record.Relation{
		V: record.SchemaVersion, Patient: w.reference, Participant: doctor.id, Grants: []record.Grant{g},
	})
}

func TestProposeAppointment(t *testing.T) {
	w := newWorld(t)
	w.represent(w.representative, record.AttorneyAuthority, record.Scope{All: true})
	partly := w.enrol(w.a, record.RepresentativeRole)
	w.represent(partly, record.NominatedBy, record.Scope{Kinds: []record.Kind{record.KindLetter}})
	stranger := w.enrol(w.a, record.PatientRole)
	suspended := w.enrol(w.a, record.DoctorRole)
	w.must(w.a.institution, record.SuspendFunction, record.Suspension{Participant: suspended.id})
	dead := w.register(w.a, nil)
	w.must(w.a.staff, record.DeceasedFunction, record.Deceased{Patient: dead})

	tests := map[string]struct {
		by     *person
		change func(*record.AppointmentProposal)
		basis  record.Basis
		refuse record.Code
	}{
		"by the patient":                       {by: w.patient, basis: record.BasisPatient},
		"by a representative":                  {by: w.representative, basis: record.BasisRepresentative},
		"by the doctor":                        {by: w.a.doctor, basis: record.BasisParticipant},
		"by staff":                             {by: w.a.staff, basis: record.BasisInstitution},
		"by the institution":                   {by: w.a.institution, basis: record.BasisInstitution},
		"by a representative for letters only": {by: partly, refuse: record.Forbidden},
		"by another patient":                   {by: stranger, refuse: record.Forbidden},
		"by another doctor":                    {by: w.a.locum, refuse: record.Forbidden},
		"by another institution's staff":       {by: w.b.staff, refuse: record.Forbidden},
		"by an appliance":                      {by: w.a.appliance, refuse: record.Forbidden},
		"with oneself": {by: w.patient, refuse: record.BadRequest, change: func(q *record.AppointmentProposal) {
			q.Doctor = w.patient.id
		}},
		"with an unknown doctor": {by: w.patient, refuse: record.NotFound, change: func(q *record.AppointmentProposal) {
			q.Doctor = record.NewParticipantID(w.a.mspID, w.random())
		}},
		"with a suspended doctor": {by: w.patient, refuse: record.WrongState, change: func(q *record.AppointmentProposal) {
			q.Doctor = suspended.id
		}},
		"with staff": {by: w.patient, refuse: record.BadRequest, change: func(q *record.AppointmentProposal) {
			q.Doctor = w.a.staff.id
		}},
		"for an unregistered patient": {by: w.a.doctor, refuse: record.NotFound, change: func(q *record.AppointmentProposal) {
			q.Patient = w.newReference(w.a)
		}},
		"for another's unregistered patient": {
			by: w.a.doctor, refuse: record.Forbidden,
			change: func(q *record.AppointmentProposal) { q.Patient = w.newReference(w.b) },
		},
		"for a deceased patient": {by: w.a.doctor, refuse: record.WrongState, change: func(q *record.AppointmentProposal) {
			q.Patient = dead
		}},
		"now": {by: w.patient, refuse: record.BadRequest, change: func(q *record.AppointmentProposal) {
			q.Start = w.now().Truncate(record.SlotLength)
		}},
		"the next quarter": {by: w.patient, basis: record.BasisPatient, change: func(q *record.AppointmentProposal) {
			q.Start = w.now().Truncate(record.SlotLength).Add(record.SlotLength)
		}},
		"the last quarter": {by: w.patient, basis: record.BasisPatient, change: func(q *record.AppointmentProposal) {
			q.Start, q.Slots = w.now().Add(record.MaxAhead).Truncate(record.SlotLength).Add(-2*record.SlotLength), 2
		}},
		"ends too far ahead": {by: w.patient, refuse: record.BadRequest, change: func(q *record.AppointmentProposal) {
			q.Start, q.Slots = w.now().Add(record.MaxAhead).Truncate(record.SlotLength).Add(-2*record.SlotLength), 3
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := w.copy(t)
			q := w.slot()
			if test.change != nil {
				test.change(&q)
			}
			if test.refuse != "" {
				w.refuse(test.refuse, test.by, record.ProposeAppointmentFunction, q)
				return
			}
			id := w.propose(test.by, q).ID
			for i := range q.Slots {
				got := w.appointmentAt(q.Doctor, q.Start.Add(time.Duration(i)*record.SlotLength))
				byDoctor := test.basis == record.BasisParticipant || test.basis == record.BasisInstitution
				if got.ID != id || got.State != record.AppointmentProposed || got.ByDoctor != byDoctor ||
					!got.Start.Equal(q.Start) {
					t.Errorf("slot %d has %+v", i, got)
				}
			}
			w.wantAudit(w.reference, record.AuditEntry{
				Action: record.ActProposeAppointment, Basis: test.basis, Actor: test.by.id, Subject: q.Doctor, About: id,
			})
		})
	}
}

// TestStrangersDoNotMeet: doctor and patient of different hospitals meet only while the doctor was let in.
func TestStrangersDoNotMeet(t *testing.T) {
	w := newWorld(t)
	live := record.Grant{State: record.Approved, Basis: record.BasisGrant, Until: w.now().AddDate(0, 1, 0)}
	tests := map[string]struct {
		change func(*record.Grant)
		refuse record.Code
	}{
		"a grant":              {func(*record.Grant) {}, ""},
		"a referral":           {func(g *record.Grant) { g.Basis = record.BasisReferral }, ""},
		"a request":            {func(g *record.Grant) { g.State = record.Requested }, record.Forbidden},
		"a revoked grant":      {func(g *record.Grant) { g.State = record.Revoked }, record.Forbidden},
		"a grant that is over": {func(g *record.Grant) { g.Until = w.now().Add(record.ClockSkew) }, record.Forbidden},
		"an emergency":         {func(g *record.Grant) { g.Basis = record.BasisBreakGlass }, record.Forbidden},
	}
	q := w.slot()
	q.Doctor = w.b.doctor.id
	w.refuse(record.Forbidden, w.b.doctor, record.ProposeAppointmentFunction, q)
	w.refuse(record.Forbidden, w.patient, record.ProposeAppointmentFunction, q)
	for name, test := range tests {
		for _, by := range []*person{w.patient, w.b.doctor, w.b.staff} {
			t.Run(name+" by "+string(by.role), func(t *testing.T) {
				w := w.copy(t)
				grant := live
				test.change(&grant)
				w.relate(w.b.doctor, grant)
				if test.refuse != "" {
					w.refuse(test.refuse, by, record.ProposeAppointmentFunction, q)
					return
				}
				w.propose(by, q)
			})
		}
	}
}

func TestNoDoubleBooking(t *testing.T) {
	w := newWorld(t)
	other := w.register(w.a, nil)
	first := w.slot()
	w.propose(w.patient, first)
	at := func(slots, length int) record.AppointmentProposal {
		q := first
		q.Patient, q.Start, q.Slots = other, q.Start.Add(time.Duration(slots)*record.SlotLength), length
		return q
	}
	for _, q := range []record.AppointmentProposal{at(0, 1), at(0, 2), at(1, 1), at(-1, 2), at(-3, 8)} {
		w.refuse(record.Exists, w.a.doctor, record.ProposeAppointmentFunction, q)
	}
	w.propose(w.a.doctor, at(-2, 2))
	w.propose(w.a.doctor, at(2, 2))
	elsewhere := at(0, 2)
	elsewhere.Doctor = w.a.locum.id
	w.propose(w.a.locum, elsewhere)

	text, _ := json.Marshal(at(4, 1))
	one := w.ledger.endorse(w.a.doctor.creator, nil, record.ProposeAppointmentFunction, string(text))
	two := w.ledger.endorse(w.a.staff.creator, nil, record.ProposeAppointmentFunction, string(text))
	if !w.ledger.commit(one) || w.ledger.commit(two) {
		t.Error("of two concurrent proposals of one slot not exactly the first became valid")
	}
}

// appointmentStep is what somebody does with an appointment, refused or not.
type appointmentStep struct {
	by       *person
	function string
	refuse   record.Code
	state    record.AppointmentState // afterwards
}

func TestAppointmentStates(t *testing.T) {
	w := newWorld(t)
	doctor, staff, patient := w.a.doctor, w.a.staff, w.patient
	const (
		accept, decline  = record.AcceptAppointmentFunction, record.DeclineAppointmentFunction
		cancel, complete = record.CancelAppointmentFunction, record.CompleteAppointmentFunction
		proposed         = record.AppointmentProposed
		accepted         = record.AppointmentAccepted
		declined         = record.AppointmentDeclined
		cancelled        = record.AppointmentCancelled
	)
	tests := map[string]struct {
		proposer *person
		steps    []appointmentStep
	}{
		"the patient proposes": {patient, []appointmentStep{
			{patient, accept, record.Forbidden, proposed},
			{patient, decline, record.Forbidden, proposed},
			{w.a.locum, accept, record.Forbidden, proposed},
			{w.b.staff, cancel, record.Forbidden, proposed},
			{doctor, complete, record.WrongState, proposed},
			{doctor, accept, "", accepted},
			{doctor, accept, record.WrongState, accepted},
			{doctor, decline, record.WrongState, accepted},
			{patient, complete, record.Forbidden, accepted},
			{doctor, complete, record.WrongState, accepted}, // too early
			{patient, cancel, "", cancelled},
			{patient, cancel, record.WrongState, cancelled},
			{doctor, accept, record.WrongState, cancelled},
		}},
		"staff propose": {staff, []appointmentStep{
			{staff, accept, record.Forbidden, proposed},
			{doctor, accept, record.Forbidden, proposed},
			{doctor, decline, record.Forbidden, proposed},
			{patient, accept, "", accepted},
			{staff, cancel, "", cancelled},
		}},
		"declined": {patient, []appointmentStep{
			{staff, decline, "", declined},
			{staff, decline, record.WrongState, declined},
			{staff, accept, record.WrongState, declined},
			{patient, cancel, record.WrongState, declined},
		}},
		"taken back": {patient, []appointmentStep{
			{patient, cancel, "", cancelled},
			{doctor, accept, record.WrongState, cancelled},
		}},
	}
	actions := map[string]record.Action{
		accept: record.ActAcceptAppointment, decline: record.ActDeclineAppointment, cancel: record.ActCancelAppointment,
		complete: record.ActCompleteAppointment,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := w.copy(t)
			q := w.propose(test.proposer, w.slot())
			for i, s := range test.steps {
				_, refused := w.do(s.by, s.function, q)
				if (refused == nil) != (s.refuse == "") || refused != nil && refused.Code != s.refuse {
					t.Fatalf("step %d, %s by %s: got %v, want %q", i, s.function, s.by.role, refused, s.refuse)
				}
				for n := range 2 {
					got := w.appointmentAt(q.Doctor, q.Start.Add(time.Duration(n)*record.SlotLength))
					if got.State != s.state || got.ID != q.ID {
						t.Fatalf("step %d, slot %d: %+v, want %s", i, n, got, s.state)
					}
				}
				if s.refuse == "" {
					basis := map[*person]record.Basis{
						doctor: record.BasisParticipant, staff: record.BasisInstitution, patient: record.BasisPatient,
					}[s.by]
					w.wantAudit(w.reference, record.AuditEntry{
						Action: actions[s.function], Basis: basis, Actor: s.by.id, Subject: q.Doctor, About: q.ID,
					})
				}
			}
		})
	}
}

func TestCompleteAppointment(t *testing.T) {
	w := newWorld(t)
	q := w.propose(w.patient, w.slot())
	w.must(w.a.doctor, record.AcceptAppointmentFunction, q)
	w.advance(q.Start.Sub(w.now()) - time.Second)
	w.refuse(record.WrongState, w.a.staff, record.CompleteAppointmentFunction, q)
	w.advance(time.Second)
	w.must(w.a.staff, record.CompleteAppointmentFunction, q)
	if got := w.appointmentAt(q.Doctor, q.Start); got.State != record.AppointmentCompleted || !got.Decided.Equal(w.now()) {
		t.Errorf("completed: %+v", got)
	}
	w.refuse(record.WrongState, w.a.staff, record.CompleteAppointmentFunction, q)
	w.refuse(record.WrongState, w.patient, record.CancelAppointmentFunction, q)
}

func TestAcceptTooLate(t *testing.T) {
	w := newWorld(t)
	near := w.slot() // begins before the proposal is over
	far := near
	far.Start = w.now().AddDate(0, 0, 30).Truncate(record.SlotLength)
	nearName, farName := w.propose(w.patient, near), w.propose(w.patient, far)
	inTime := w.copy(t)
	inTime.advance(record.ProposalTTL - record.ClockSkew - time.Second)
	inTime.must(w.a.doctor, record.AcceptAppointmentFunction, farName)
	inTime.refuse(record.WrongState, w.a.doctor, record.AcceptAppointmentFunction, nearName)

	w.advance(record.ProposalTTL - record.ClockSkew)
	for _, function := range []string{record.AcceptAppointmentFunction, record.DeclineAppointmentFunction} {
		w.refuse(record.WrongState, w.a.doctor, function, farName)
	}
	w.refuse(record.WrongState, w.patient, record.CancelAppointmentFunction, farName)
	w.refuse(record.Exists, w.a.doctor, record.ProposeAppointmentFunction, far)
	w.advance(record.ClockSkew)
	w.propose(w.a.doctor, far)
}

func TestAcceptForSuspendedDoctor(t *testing.T) {
	w := newWorld(t)
	q := w.propose(w.patient, w.slot())
	w.must(w.a.institution, record.SuspendFunction, record.Suspension{Participant: w.a.doctor.id})
	w.refuse(record.WrongState, w.a.staff, record.AcceptAppointmentFunction, q)
	w.must(w.a.staff, record.DeclineAppointmentFunction, q)
}

// TestSlotTakenSince: whoever names an appointment whose slots, or one of them, another took since changes nothing.
func TestSlotTakenSince(t *testing.T) {
	w := newWorld(t)
	q := w.slot()
	q.Start = q.Start.AddDate(0, 0, 30) // still ahead when the proposal is over
	old := w.propose(w.patient, q)
	other := w.register(w.a, nil)
	w.refuse(record.NotFound, w.patient, record.CancelAppointmentFunction, record.AppointmentName{
		Doctor: old.Doctor, Patient: old.Patient, Start: old.Start.Add(time.Hour), ID: old.ID,
	})
	for name, wrong := range map[string]record.AppointmentName{
		"another ID":    {Doctor: old.Doctor, Patient: old.Patient, Start: old.Start, ID: record.ID{1}},
		"a later slot":  {Doctor: old.Doctor, Patient: old.Patient, Start: old.Start.Add(record.SlotLength), ID: old.ID},
		"other patient": {Doctor: old.Doctor, Patient: other, Start: old.Start, ID: old.ID},
	} {
		if _, refused := w.do(w.a.doctor, record.AcceptAppointmentFunction, wrong); refused == nil ||
			refused.Code != record.WrongState {
			t.Errorf("%s: %v", name, refused)
		}
	}

	// The proposal is over, and another takes its second slot. A transaction that is dated back must not take it again.
	dated := w.ledger.now
	w.advance(record.ProposalTTL)
	late := w.slot()
	late.Patient, late.Slots, late.Start = other, 1, old.Start.Add(record.SlotLength)
	w.propose(w.a.doctor, late)
	w.ledger.now = dated
	w.refuse(record.WrongState, w.a.doctor, record.AcceptAppointmentFunction, old)
	if got := w.appointmentAt(late.Doctor, late.Start); got.Patient != other {
		t.Errorf("the slot went back to %+v", got)
	}
}

func TestSlotIsFreeAgain(t *testing.T) {
	w := newWorld(t)
	other := w.register(w.a, nil)
	q := w.slot()
	w.must(w.a.doctor, record.DeclineAppointmentFunction, w.propose(w.patient, q))
	w.must(w.patient, record.CancelAppointmentFunction, w.propose(w.patient, q))
	name := w.propose(w.patient, q)
	w.must(w.a.doctor, record.AcceptAppointmentFunction, name)
	q.Patient = other
	w.refuse(record.Exists, w.a.doctor, record.ProposeAppointmentFunction, q)
	w.must(w.a.staff, record.CancelAppointmentFunction, name)
	w.propose(w.a.doctor, q)
}

// TestAppointmentDetails: the sealed details go to the two sides, and to nobody else.
func TestAppointmentDetails(t *testing.T) {
	w := newWorld(t)
	w.represent(w.representative, record.AttorneyAuthority, record.Scope{All: true})
	for _, test := range []struct {
		to     *person
		refuse record.Code
	}{
		{w.patient, ""},
		{w.representative, ""},
		{w.a.doctor, ""},
		{w.a.locum, record.BadRequest},
		{w.b.institution, record.BadRequest},
	} {
		w := w.copy(t)
		answer, refused := w.do(w.a.staff, record.ProposeAppointmentFunction, w.slot(), note(test.to.id))
		if (refused == nil) != (test.refuse == "") || refused != nil && refused.Code != test.refuse {
			t.Errorf("details to a %s: got %v, want %q", test.to.role, refused, test.refuse)
		}
		kept := w.ledger.private[record.MembersCollection+"/"+record.SealedKey(answer.ID, test.to.id)]
		if (len(kept) > 0) != (test.refuse == "") {
			t.Errorf("details to a %s: %d bytes are kept", test.to.role, len(kept))
		}
	}
}

func TestAppointmentQueries(t *testing.T) {
	w := newWorld(t)
	other := w.register(w.a, nil)
	q := w.slot()
	first := w.propose(w.patient, q)
	q.Start = q.Start.AddDate(0, 0, 1)
	second := w.propose(w.a.doctor, q)
	q.Patient, q.Start = other, q.Start.AddDate(0, 0, 1)
	third := w.propose(w.a.doctor, q)

	a, refused := ask[record.Appointment](w, w.c.doctor, record.AppointmentFunction, first.Doctor.String(),
		first.Start.Add(record.SlotLength).In(time.FixedZone("", 3600)).Format(time.RFC3339))
	if refused != nil || a.ID != first.ID {
		t.Errorf("the second slot of an appointment: %+v, %v", a, refused)
	}
	for start, want := range map[string]record.Code{
		first.Start.Add(time.Minute).Format(time.RFC3339): record.BadRequest,
		"tomorrow": record.BadRequest,
		first.Start.Add(time.Hour).Format(time.RFC3339): record.NotFound,
	} {
		if _, refused := ask[record.Appointment](w, w.c.doctor, record.AppointmentFunction, first.Doctor.String(),
			start); refused == nil || refused.Code != want {
			t.Errorf("what is at %s: %v, want %s", start, refused, want)
		}
	}

	const ofDoctor, ofPatient = record.DoctorAppointmentsFunction, record.PatientAppointmentsFunction
	for name, test := range map[string]struct {
		by       *person
		function string
		of       string
		want     []record.ID
	}{
		"the doctor's":  {w.a.doctor, ofDoctor, first.Doctor.String(), []record.ID{first.ID, second.ID, third.ID}},
		"the patient's": {w.patient, ofPatient, w.reference.String(), []record.ID{first.ID, second.ID}},
		"the other's":   {w.a.staff, ofPatient, other.String(), []record.ID{third.ID}},
	} {
		var got []record.ID
		for bookmark, more := "", true; more; more = bookmark != "" {
			page, refused := ask[record.AppointmentPage](w, test.by, test.function, test.of, "1", bookmark)
			if refused != nil {
				t.Fatal(refused)
			}
			for _, a := range page.Appointments {
				got = append(got, a.ID)
			}
			bookmark = page.Bookmark
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestAppointmentListsAreOfTheTwo(t *testing.T) {
	w := newWorld(t)
	for function, test := range map[string]struct {
		of      string
		allowed []*person
		refused []*person
	}{
		record.DoctorAppointmentsFunction: {
			w.a.doctor.id.String(),
			[]*person{w.a.doctor, w.a.staff, w.a.institution},
			[]*person{w.a.locum, w.patient, w.a.appliance, w.b.staff, w.b.doctor},
		},
		record.PatientAppointmentsFunction: {
			w.reference.String(),
			[]*person{w.patient, w.a.staff, w.a.institution},
			[]*person{w.representative, w.a.doctor, w.a.appliance, w.b.staff, w.enrol(w.a, record.PatientRole)},
		},
	} {
		for _, p := range test.allowed {
			if _, refused := ask[record.AppointmentPage](w, p, function, test.of, "5", ""); refused != nil {
				t.Errorf("%s by %s: %v", function, p.role, refused)
			}
		}
		for _, p := range test.refused {
			if _, refused := ask[record.AppointmentPage](w, p, function, test.of, "5", ""); refused == nil ||
				refused.Code != record.Forbidden {
				t.Errorf("%s by %s: got %v, want %s", function, p.role, refused, record.Forbidden)
			}
		}
	}
}

// TestPatientsHistoryOutlivesTheSlot: what the patient declined stays in their diary, though another took the slot.
func TestPatientsHistoryOutlivesTheSlot(t *testing.T) {
	w := newWorld(t)
	q := w.slot()
	name := w.propose(w.a.doctor, q)
	w.must(w.patient, record.DeclineAppointmentFunction, name)
	q.Patient = w.register(w.a, nil)
	w.propose(w.a.doctor, q)
	page, refused := ask[record.AppointmentPage](w, w.patient, record.PatientAppointmentsFunction, w.reference.String(),
		"5", "")
	if refused != nil {
		t.Fatal(refused)
	}
	if len(page.Appointments) != 1 || page.Appointments[0].ID != name.ID ||
		page.Appointments[0].State != record.AppointmentDeclined {
		t.Errorf("the diary has %+v", page.Appointments)
	}
}
