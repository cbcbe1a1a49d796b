package contract

import (
	"slices"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

func proposeAppointment(tx *transaction, q record.AppointmentProposal) (any, error) {
	s, err := tx.sideOf(q.Doctor, q.Patient)
	if err != nil {
		return nil, err
	}
	if err := tx.mayMeet(q.Doctor, q.Patient); err != nil {
		return nil, err
	}
	if err := tx.checkProposal(q); err != nil {
		return nil, err
	}
	a := record.Appointment{
		V: record.SchemaVersion, ID: tx.id, Doctor: q.Doctor, Patient: q.Patient, Start: q.Start.UTC(), Slots: q.Slots,
		State: record.AppointmentProposed, ByDoctor: s.doctors, Proposed: tx.now,
	}
	if err := tx.requireFree(a); err != nil {
		return nil, err
	}
	return nil, tx.keepAppointment(a, s)
}

// mayMeet refuses a doctor and a patient who have nothing to do with each other, whichever side asks: else every
// stranger could fill a doctor's day, or a patient's diary. They have if the patient is registered at the doctor's
// institution, or while the doctor may read or write the history because the patient or their institution let them. An
// emergency, which the doctor declares alone, is not enough.
func (tx *transaction) mayMeet(doctor record.ParticipantID, patient record.Reference) error {
	if doctor.Institution() == patient.Institution() {
		return nil
	}
	relation, _, err := load[record.Relation](tx, record.RelationKey(patient, doctor))
	if err != nil {
		return err
	}
	let := func(g record.Grant) bool { return g.Live(tx.now) && g.Basis != record.BasisBreakGlass }
	if !slices.ContainsFunc(relation.Grants, let) {
		return record.Errorf(record.Forbidden, "the doctor does not treat the patient: register the patient at the doctor's "+
			"institution, or approve the doctor's request for access, first")
	}
	return nil
}

func (tx *transaction) checkProposal(q record.AppointmentProposal) error {
	end := q.Start.Add(time.Duration(q.Slots) * record.SlotLength)
	if !q.Start.After(tx.now) || end.After(tx.now.Add(record.MaxAhead)) {
		return record.Errorf(record.BadRequest, "the appointment is in the past, or more than %d days ahead: choose another "+
			"time", record.MaxAhead/(24*time.Hour))
	}
	p, err := tx.registered(q.Patient)
	if err != nil {
		return err
	}
	if !p.Deceased.IsZero() {
		return record.Errorf(record.WrongState, "the patient is deceased")
	}
	if err := tx.requireAvailable(q.Doctor); err != nil {
		return err
	}
	return tx.checkDetails(q.Doctor, p)
}

// requireAvailable refuses a participant who is no active doctor.
func (tx *transaction) requireAvailable(doctor record.ParticipantID) error {
	p, err := tx.professional(doctor)
	if err == nil && p.Status != record.Active {
		err = record.Errorf(record.WrongState, "the doctor is %s: choose another", p.Status)
	}
	return err
}

// checkDetails refuses sealed notes to anybody but the two sides.
func (tx *transaction) checkDetails(doctor record.ParticipantID, p record.Patient) error {
	notes, err := tx.notes()
	if err != nil {
		return err
	}
	for _, n := range notes {
		if n.Recipient == doctor {
			continue
		}
		basis, _, err := actsFor(tx, p, n.Recipient, tx.now)
		if err != nil {
			return err
		}
		if basis == record.NoBasis {
			return record.Errorf(record.BadRequest, "a sealed note is to neither side: send the details to doctor and patient")
		}
	}
	return nil
}

// requireFree refuses an appointment of whose slots one is taken. It does not say by whom.
func (tx *transaction) requireFree(a record.Appointment) error {
	for _, key := range a.SlotKeys() {
		there, found, err := load[record.Appointment](tx, key)
		if err != nil {
			return err
		}
		if found && !there.Free(tx.now) {
			return record.Errorf(record.Exists, "the doctor has another appointment then: choose another time")
		}
	}
	return nil
}

// keepAppointment writes an appointment to all of its slots and to the diary, and that the caller did so to the audit.
func (tx *transaction) keepAppointment(a record.Appointment, s side) error {
	tx.audit(record.AuditEntry{Patient: a.Patient, Basis: s.basis, Subject: a.Doctor, About: a.ID})
	for _, key := range append(a.SlotKeys(), a.DiaryKey()) {
		if err := tx.put(key, a); err != nil {
			return err
		}
	}
	return nil
}

func acceptAppointment(tx *transaction, q record.AppointmentName) (any, error) {
	return tx.change(q, record.AppointmentAccepted, func(s side, a record.Appointment) error {
		if err := tx.mayAnswer(s, a); err != nil {
			return err
		}
		if !a.Start.After(tx.now) {
			return record.Errorf(record.WrongState, "the appointment's time has passed: propose another")
		}
		return tx.requireAvailable(a.Doctor)
	})
}

func declineAppointment(tx *transaction, q record.AppointmentName) (any, error) {
	return tx.change(q, record.AppointmentDeclined, tx.mayAnswer)
}

func cancelAppointment(tx *transaction, q record.AppointmentName) (any, error) {
	return tx.change(q, record.AppointmentCancelled, func(_ side, a record.Appointment) error {
		if a.State == record.AppointmentAccepted {
			return nil
		}
		return tx.requireWaiting(a)
	})
}

func completeAppointment(tx *transaction, q record.AppointmentName) (any, error) {
	return tx.change(q, record.AppointmentCompleted, func(s side, a record.Appointment) error {
		switch {
		case !s.doctors:
			return record.Errorf(record.Forbidden, "only the doctor's side completes an appointment")
		case a.State != record.AppointmentAccepted:
			return record.Errorf(record.WrongState, "the appointment is %s: only an accepted one is completed", a.State)
		case a.Start.After(tx.now):
			return record.Errorf(record.WrongState, "the appointment has not begun: complete it afterwards")
		}
		return nil
	})
}

// change brings an appointment to a state, if the caller is on one of its sides and may.
func (tx *transaction) change(q record.AppointmentName, to record.AppointmentState,
	may func(side, record.Appointment) error,
) (any, error) {
	s, err := tx.sideOf(q.Doctor, q.Patient)
	if err != nil {
		return nil, err
	}
	a, err := tx.appointment(q)
	if err != nil {
		return nil, err
	}
	if err := may(s, a); err != nil {
		return nil, err
	}
	a.State, a.Decided = to, tx.now
	return nil, tx.keepAppointment(a, s)
}

// appointment gives the one that is named, if all of its slots are still its own.
func (tx *transaction) appointment(q record.AppointmentName) (a record.Appointment, err error) {
	slot, _ := record.SlotAt(q.Start)
	a, found, err := load[record.Appointment](tx, record.SlotKey(q.Doctor, slot))
	if err != nil {
		return a, err
	}
	if !found {
		return a, record.Errorf(record.NotFound, "no such appointment: check its doctor and start")
	}
	if a.ID != q.ID || a.Patient != q.Patient || !a.Start.Equal(q.Start) {
		return a, errSlotTaken()
	}
	for _, key := range a.SlotKeys()[1:] {
		there, _, err := load[record.Appointment](tx, key)
		if err != nil {
			return a, err
		}
		if there.ID != a.ID {
			return a, errSlotTaken()
		}
	}
	return a, nil
}

func errSlotTaken() error {
	return record.Errorf(record.WrongState, "the slot is not this appointment's any more: look at your appointments again")
}

// mayAnswer refuses the side that proposed, and an answer that comes too late.
func (tx *transaction) mayAnswer(s side, a record.Appointment) error {
	if s.doctors == a.ByDoctor {
		return record.Errorf(record.Forbidden, "the other side accepts or declines: cancel it if it is not to be")
	}
	return tx.requireWaiting(a)
}

func (tx *transaction) requireWaiting(a record.Appointment) error {
	switch {
	case a.Waits(tx.now):
		return nil
	case a.State == record.AppointmentProposed:
		return record.Errorf(record.WrongState, "nobody answered the proposal in time: propose it again")
	}
	return record.Errorf(record.WrongState, "the appointment is %s already", a.State)
}
