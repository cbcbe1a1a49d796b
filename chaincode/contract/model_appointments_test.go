package contract_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/medanchor/medanchor/chaincode/record"
)

// doctorsSide says whether the participant speaks for a doctor.
func (m *model) doctorsSide(id, doctor record.ParticipantID) bool {
	return m.active(id) && id == doctor || m.office(id, m.people[doctor].mspID)
}

// patientsSide says whether the participant speaks for a patient in all.
func (m *model) patientsSide(id record.ParticipantID, r record.Reference) bool {
	return m.active(id) && m.actsFor(r, id, record.Scope{All: true})
}

// waits says whether a proposal may still be answered; taken, whether an appointment keeps others out. In between, for as long
// as clocks may differ, neither does.
func (m *model) waits(a *record.Appointment) bool {
	return a.State == record.AppointmentProposed && m.now.Before(a.Proposed.Add(7*24*time.Hour-2*time.Minute))
}

func (m *model) taken(a *record.Appointment) bool {
	if a.State == record.AppointmentProposed {
		return m.now.Before(a.Proposed.Add(7 * 24 * time.Hour))
	}
	return a.State == record.AppointmentAccepted || a.State == record.AppointmentCompleted
}

func end(a *record.Appointment) time.Time {
	return a.Start.Add(time.Duration(a.Slots) * 15 * time.Minute)
}

// overlaps says whether two appointments of a doctor share a time.
func overlaps(a, b *record.Appointment) bool {
	return a.Doctor == b.Doctor && a.Start.Before(end(b)) && b.Start.Before(end(a))
}

// mayMeet says whether doctor and patient have to do with each other.
func (m *model) mayMeet(doctor record.ParticipantID, r record.Reference) bool {
	if m.people[doctor].mspID == m.home[r] {
		return true
	}
	return slices.ContainsFunc(m.grants[relation{r, doctor}], func(g *record.Grant) bool {
		return m.live(g) && g.Basis != record.BasisBreakGlass
	})
}

// sides are the people who may speak for either.
func (p *play) sides(doctor record.ParticipantID, r record.Reference) []*person {
	for _, d := range p.doctors {
		if d.id == doctor {
			return append(p.selves(r), d, p.hospitalOf(d.mspID).staff)
		}
	}
	return nil
}

func (p *play) proposeAppointment(rt *rapid.T) {
	start := p.model.now.Truncate(time.Hour).Add(pick(rt, "start", 24*time.Hour, 25*time.Hour, 24*time.Hour+15*time.Minute,
		-time.Hour, 15*24*time.Hour))
	q := record.AppointmentProposal{
		Doctor: pick(rt, "doctor", p.doctors[:3]...).id, Patient: p.registered(rt), Start: start,
		Slots: rapid.IntRange(1, 3).Draw(rt, "slots"),
	}
	who := p.caller(rt, p.sides(q.Doctor, q.Patient)...)
	there := p.model.patients[q.Patient]
	a := &record.Appointment{Doctor: q.Doctor, Patient: q.Patient, Start: q.Start, Slots: q.Slots, Proposed: p.model.now}
	a.State, a.ByDoctor = record.AppointmentProposed, !p.model.is(who.id, record.PatientRole, record.RepresentativeRole)
	want := (p.model.doctorsSide(who.id, q.Doctor) || p.model.patientsSide(who.id, q.Patient)) &&
		p.model.mayMeet(q.Doctor, q.Patient) && start.After(p.model.now) && there != nil && !there.deceased &&
		p.model.active(q.Doctor) && !slices.ContainsFunc(p.model.appointments, func(b *record.Appointment) bool {
		return p.model.taken(b) && overlaps(a, b)
	})
	id, ok := p.do(rt, who, record.ProposeAppointmentFunction, q, want)
	if !ok {
		return
	}
	a.ID = id
	p.model.appointments = append(p.model.appointments, a)
	p.checkSlots(rt)
}

// checkSlots checks that no two appointments have a doctor at the same time, and each its slots.
func (p *play) checkSlots(rt *rapid.T) {
	for i, a := range p.model.appointments {
		if !p.model.taken(a) {
			continue
		}
		for _, b := range p.model.appointments[:i] {
			if p.model.taken(b) && overlaps(a, b) {
				rt.Fatalf("booked twice: %+v and %+v", a, b)
			}
		}
		for n := range a.Slots {
			slot, _ := record.SlotAt(a.Start.Add(time.Duration(n) * 15 * time.Minute))
			if there := stateOf[record.Appointment](p.world, record.SlotKey(a.Doctor, slot)); there.ID != a.ID || there.State != a.State {
				rt.Fatalf("slot %d of %+v is %+v", n, a, there)
			}
		}
	}
}

// replaced says whether another appointment has since taken a slot of one that is not taken any more.
func (m *model) replaced(a *record.Appointment) bool {
	i := slices.Index(m.appointments, a)
	return slices.ContainsFunc(m.appointments[i+1:], func(later *record.Appointment) bool { return overlaps(a, later) })
}

func (p *play) acceptAppointment(rt *rapid.T) {
	p.answer(rt, record.AcceptAppointmentFunction, record.AppointmentAccepted, func(a *record.Appointment, doctors bool) bool {
		return doctors != a.ByDoctor && p.model.waits(a) && a.Start.After(p.model.now) && p.model.active(a.Doctor)
	})
}

func (p *play) declineAppointment(rt *rapid.T) {
	p.answer(rt, record.DeclineAppointmentFunction, record.AppointmentDeclined, func(a *record.Appointment, doctors bool) bool {
		return doctors != a.ByDoctor && p.model.waits(a)
	})
}

func (p *play) cancelAppointment(rt *rapid.T) {
	p.answer(rt, record.CancelAppointmentFunction, record.AppointmentCancelled, func(a *record.Appointment, _ bool) bool {
		return a.State == record.AppointmentAccepted || p.model.waits(a)
	})
}

func (p *play) completeAppointment(rt *rapid.T) {
	i := slices.IndexFunc(p.model.appointments, func(a *record.Appointment) bool {
		return a.State == record.AppointmentAccepted && a.Start.After(p.now())
	})
	if i >= 0 && often(rt, "once it has begun") {
		p.advance(p.model.appointments[i].Start.Sub(p.now()))
		p.tick()
	}
	p.answer(rt, record.CompleteAppointmentFunction, record.AppointmentCompleted,
		func(a *record.Appointment, doctors bool) bool {
			return doctors && a.State == record.AppointmentAccepted && !a.Start.After(p.model.now)
		})
}

// answer has somebody bring an appointment to a state.
func (p *play) answer(rt *rapid.T, function string, to record.AppointmentState,
	may func(a *record.Appointment, doctors bool) bool,
) {
	if len(p.model.appointments) == 0 {
		rt.Skip("no appointments")
	}
	fitting := slices.DeleteFunc(slices.Clone(p.model.appointments), func(a *record.Appointment) bool {
		return !may(a, true) && !may(a, false)
	})
	if len(fitting) == 0 || !often(rt, "fitting") {
		fitting = p.model.appointments
	}
	a := pick(rt, "appointment", fitting...)
	q := record.AppointmentName{Doctor: a.Doctor, Patient: a.Patient, Start: a.Start, ID: a.ID}
	if !often(rt, "its patient") {
		q.Patient = p.reference(rt)
	}
	who := p.caller(rt, p.sides(q.Doctor, q.Patient)...)
	doctors := p.model.doctorsSide(who.id, q.Doctor)
	want := (doctors || p.model.patientsSide(who.id, q.Patient)) && q.Patient == a.Patient && !p.model.replaced(a) &&
		may(a, doctors)
	if _, ok := p.do(rt, who, function, q, want); ok {
		a.State = to
		p.checkSlots(rt)
	}
}
