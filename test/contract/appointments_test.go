package contract

import (
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/ledger/sealed"
)

// TestAppointments books, declines, cancels and completes.
func TestAppointments(t *testing.T) {
	t.Parallel()
	n := devnettest.Network(t)
	a, b := hospitals(t, n)
	ctx := t.Context()
	now := time.Now().UTC().Truncate(record.SlotLength)
	quarter := func(i int) time.Time { return now.Add(time.Duration(i) * record.SlotLength) }
	proposal := func(i, slots int) record.AppointmentProposal {
		return record.AppointmentProposal{Doctor: a.doctor.ID, Patient: a.ref, Start: quarter(i), Slots: slots}
	}
	name := func(i int, id record.ID) record.AppointmentName {
		return record.AppointmentName{Doctor: a.doctor.ID, Patient: a.ref, Start: quarter(i), ID: id}
	}

	// A doctor elsewhere does not treat the patient, and gets nothing into their diary.
	refused(t, b.doctor, record.Forbidden, record.ProposeAppointmentFunction, record.AppointmentProposal{
		Doctor: b.doctor.ID, Patient: a.ref, Start: quarter(8), Slots: 1,
	})

	// The patient proposes, the doctor accepts, the details are for the two only.
	details := sealed.Note{Text: "Room 4, bring your glasses."}
	first := do(t, a.patient, record.ProposeAppointmentFunction, proposal(8, 2),
		seal(t, sealed.Appointment, a.ref, a.patient, a.doctor.ID, details))
	if got := opened(t, sealed.Appointment, a.ref, a.patient.ID, a.doctor, first); got != details {
		t.Errorf("the doctor reads %+v", got)
	}
	refused(t, a.patient, record.Exists, record.ProposeAppointmentFunction, proposal(9, 1))
	refused(t, a.patient, record.Forbidden, record.AcceptAppointmentFunction, name(8, first))
	do(t, a.doctor, record.AcceptAppointmentFunction, name(8, first))
	refused(t, b.patient, record.Forbidden, record.CancelAppointmentFunction, name(8, first))
	refused(t, a.doctor, record.WrongState, record.CompleteAppointmentFunction, name(8, first)) // not yet
	do(t, a.patient, record.CancelAppointmentFunction, name(8, first))

	// The doctor proposes, the patient declines; the slot is free again.
	second := do(t, a.doctor, record.ProposeAppointmentFunction, proposal(9, 1))
	do(t, a.patient, record.DeclineAppointmentFunction, name(9, second))
	third := do(t, a.clerk, record.ProposeAppointmentFunction, proposal(9, 1))
	do(t, a.patient, record.AcceptAppointmentFunction, name(9, third))
	refused(t, a.patient, record.WrongState, record.CancelAppointmentFunction, name(9, second))

	page, err := a.doctor.DoctorAppointments(ctx, a.doctor.ID, 100, "")
	if err != nil || len(page.Appointments) != 2 { // what was cancelled in slot 8, and what stands in slot 9
		t.Errorf("the doctor's: got %+v, %v", page.Appointments, err)
	}
	page, err = a.patient.PatientAppointments(ctx, a.ref, 100, "")
	if err != nil || len(page.Appointments) != 2 || page.Appointments[1].State != record.AppointmentAccepted {
		t.Errorf("the patient's: got %+v, %v", page.Appointments, err)
	}
	_, err = b.doctor.DoctorAppointments(ctx, a.doctor.ID, 100, "")
	checkRefused(t, "another doctor's appointments", err, record.Forbidden)
}
