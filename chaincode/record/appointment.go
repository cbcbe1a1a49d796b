package record

import (
	"fmt"
	"time"
)

// The functions of the contract of appointments. The doctor's side is the doctor, or the office of their institution;
// the patient's is the patient, or who represents them in all.
const (
	ProposeAppointmentFunction  = "appointments:Propose"  // (AppointmentProposal), by either side
	AcceptAppointmentFunction   = "appointments:Accept"   // (AppointmentName), by the other side
	DeclineAppointmentFunction  = "appointments:Decline"  // (AppointmentName), by the other side
	CancelAppointmentFunction   = "appointments:Cancel"   // (AppointmentName), by either side
	CompleteAppointmentFunction = "appointments:Complete" // (AppointmentName), by the doctor's side

	AppointmentFunction         = "appointments:Appointment" // (doctor, when the slot begins in RFC 3339) Appointment
	DoctorAppointmentsFunction  = "appointments:ListDoctor"  // (doctor, page size, bookmark) AppointmentPage
	PatientAppointmentsFunction = "appointments:ListPatient" // (patient, page size, bookmark) AppointmentPage
)

// A slot is a quarter of an hour.
const (
	SlotLength  = 15 * time.Minute
	MaxSlots    = 32 // of one appointment
	MaxAhead    = 3 * 366 * 24 * time.Hour
	ProposalTTL = 7 * 24 * time.Hour // a proposal that is not accepted by then frees its slots
)

// Slot is a quarter of an hour, counted from 1 January 1970 UTC.
type Slot uint32

// SlotAt is the slot that begins at a time; false if none begins then.
func SlotAt(t time.Time) (Slot, bool) {
	n := t.Unix() / int64(SlotLength/time.Second)
	ok := t.Unix() >= 0 && t.Equal(time.Unix(n*int64(SlotLength/time.Second), 0)) && n < 1<<32
	return Slot(n), ok //nolint:gosec // ok says whether it fits
}

// Time is when the slot begins.
func (s Slot) Time() time.Time { return time.Unix(int64(s)*int64(SlotLength/time.Second), 0).UTC() }

// SlotKey is the key of a doctor's slot. One key for each prevents double booking.
func SlotKey(doctor ParticipantID, s Slot) string {
	return string(prefixSlot) + doctor.String() + fmt.Sprintf("%08x", uint32(s))
}

// DoctorSlots bounds the keys of a doctor's slots: [start, end).
func DoctorSlots(doctor ParticipantID) (start, end string) {
	return rangeOf(prefixSlot, doctor.String())
}

// DiaryKey is the key under which an appointment stands a second time, so that it is found by its patient.
func DiaryKey(patient Reference, s Slot, doctor ParticipantID) string {
	return string(prefixDiary) + patient.String() + fmt.Sprintf("%08x", uint32(s)) + doctor.String()
}

// Diary bounds the keys of a patient's appointments: [start, end).
func Diary(patient Reference) (start, end string) { return rangeOf(prefixDiary, patient.String()) }

// Appointment is what stands in each of its slots of the doctor, and in the patient's diary. Its details are a sealed
// note to each side, with the transaction that proposed it.
type Appointment struct {
	V       int              `json:"v"`
	ID      ID               `json:"id"`
	Doctor  ParticipantID    `json:"doctor"`
	Patient Reference        `json:"patient"`
	Start   time.Time        `json:"start"`
	Slots   int              `json:"slots"`
	State   AppointmentState `json:"state"`
	// ByDoctor says which side proposed it.
	ByDoctor bool      `json:"by_doctor,omitempty"`
	Proposed time.Time `json:"proposed"`
	Decided  time.Time `json:"decided,omitzero"` // of the state
}

// AppointmentState is where an appointment stands.
type AppointmentState string

// The states of an appointment.
const (
	AppointmentProposed  AppointmentState = "proposed"
	AppointmentAccepted  AppointmentState = "accepted"
	AppointmentDeclined  AppointmentState = "declined"
	AppointmentCancelled AppointmentState = "cancelled"
	AppointmentCompleted AppointmentState = "completed"
)

// SlotKeys are the keys of the doctor's slots that the appointment takes, the first first.
func (a Appointment) SlotKeys() []string {
	first, _ := SlotAt(a.Start)
	keys := make([]string, 0, a.Slots)
	for i := range a.Slots {
		keys = append(keys, SlotKey(a.Doctor, first+Slot(i)))
	}
	return keys
}

// DiaryKey is the key of the appointment in the patient's diary.
func (a Appointment) DiaryKey() string {
	first, _ := SlotAt(a.Start)
	return DiaryKey(a.Patient, first, a.Doctor)
}

// Waits says whether the appointment may still be accepted or declined at a transaction's timestamp.
func (a Appointment) Waits(now time.Time) bool {
	return a.State == AppointmentProposed && !Over(a.Proposed.Add(ProposalTTL), now)
}

// Free says whether another appointment may take the slot.
func (a Appointment) Free(now time.Time) bool {
	switch a.State {
	case AppointmentDeclined, AppointmentCancelled:
		return true
	case AppointmentProposed:
		return !now.Before(a.Proposed.Add(ProposalTTL))
	case AppointmentAccepted, AppointmentCompleted:
		return false
	}
	return false
}

// AppointmentProposal asks ProposeAppointmentFunction.
type AppointmentProposal struct {
	Doctor  ParticipantID `json:"doctor"`
	Patient Reference     `json:"patient"`
	Start   time.Time     `json:"start"` // at a quarter of an hour
	Slots   int           `json:"slots"`
}

// About implements Concerning.
func (q AppointmentProposal) About() Reference { return q.Patient }

// Validate implements Request.
func (q AppointmentProposal) Validate() error {
	_, aligned := SlotAt(q.Start)
	return refuseIf(noPatient(q.Patient), unless(!q.Doctor.IsZero(), "no doctor is named"),
		unless(aligned, "the appointment does not begin at a quarter of an hour"),
		unless(q.Slots > 0 && q.Slots <= MaxSlots, fmt.Sprintf("%d slots: take 1 to %d", q.Slots, MaxSlots)))
}

// AppointmentName asks the other functions: the appointment, by its doctor and start, and its ID, because the slot may
// have been taken by another since.
type AppointmentName struct {
	Doctor  ParticipantID `json:"doctor"`
	Patient Reference     `json:"patient"`
	Start   time.Time     `json:"start"`
	ID      ID            `json:"id"`
}

// About implements Concerning.
func (q AppointmentName) About() Reference { return q.Patient }

// Validate implements Request.
func (q AppointmentName) Validate() error {
	_, aligned := SlotAt(q.Start)
	return refuseIf(noPatient(q.Patient), unless(!q.Doctor.IsZero() && !q.ID.IsZero(), "no doctor or no ID is named"),
		unless(aligned, "no appointment begins then"))
}

// AppointmentPage is a page of appointments, by start.
type AppointmentPage struct {
	Appointments []Appointment `json:"appointments"`
	Bookmark     string        `json:"bookmark,omitempty"`
}
