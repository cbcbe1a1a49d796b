package ledger

import (
	"context"
	"strconv"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// What is asked for by ID is ErrNotFound if it is not there. Lists come in pages of up to pageSize (1 to
// record.MaxPageSize); bookmark is that of the page before, empty for the first.

// WhoAmI gives the caller as the ledger knows them.
func (c *Client) WhoAmI(ctx context.Context) (record.Participant, error) {
	return query[record.Participant](ctx, c, record.WhoAmIFunction)
}

// Participant gives a participant.
func (c *Client) Participant(ctx context.Context, id record.ParticipantID) (record.Participant, error) {
	return query[record.Participant](ctx, c, record.ParticipantFunction, id.String())
}

// Institution gives the institution whose prefix it is.
func (c *Client) Institution(ctx context.Context, prefix record.InstitutionPrefix) (record.Participant, error) {
	return query[record.Participant](ctx, c, record.ParticipantFunction, prefix.String())
}

// Participants lists an institution's participants.
func (c *Client) Participants(ctx context.Context, institution record.ParticipantID, pageSize int, bookmark string,
) (record.ParticipantPage, error) {
	return query[record.ParticipantPage](ctx, c, record.ParticipantsFunction, institution.String(), strconv.Itoa(pageSize),
		bookmark)
}

// Team gives a team.
func (c *Client) Team(ctx context.Context, id record.ParticipantID) (record.Team, error) {
	return query[record.Team](ctx, c, record.TeamFunction, id.String())
}

// Patient gives a registered patient.
func (c *Client) Patient(ctx context.Context, patient record.Reference) (record.Patient, error) {
	return query[record.Patient](ctx, c, record.PatientFunction, patient.String())
}

// Patients lists an institution's registered patients.
func (c *Client) Patients(ctx context.Context, institution record.ParticipantID, pageSize int, bookmark string,
) (record.PatientPage, error) {
	return query[record.PatientPage](ctx, c, record.PatientsFunction, institution.String(), strconv.Itoa(pageSize), bookmark)
}

// Supervisors tells who supervises a patient.
func (c *Client) Supervisors(ctx context.Context, patient record.Reference) (record.Supervision, error) {
	return query[record.Supervision](ctx, c, record.SupervisorsFunction, patient.String())
}

// Relations lists the requests and grants of a patient.
func (c *Client) Relations(ctx context.Context, patient record.Reference, pageSize int, bookmark string,
) (record.RelationPage, error) {
	return query[record.RelationPage](ctx, c, record.RelationsFunction, patient.String(), strconv.Itoa(pageSize), bookmark)
}

// CheckAccess decides whether a participant may read or write a record. Version names any version of it, whose kind then
// decides where a right is one to kinds; zero for a record that is not there yet, or whose kind is not to count.
func (c *Client) CheckAccess(ctx context.Context, participant record.ParticipantID, name record.RecordName,
	version record.Tag, mode record.Mode,
) (record.Access, error) {
	kindOf := ""
	if !version.IsZero() {
		kindOf = version.String()
	}
	return query[record.Access](ctx, c, record.CheckAccessFunction, participant.String(), name.Patient.String(),
		name.Record.String(), kindOf, string(mode))
}

// Status tells what became of a record. It has no fields but its name if nothing did.
func (c *Client) Status(ctx context.Context, name record.RecordName) (record.RecordStatus, error) {
	return query[record.RecordStatus](ctx, c, record.StatusFunction, name.Patient.String(), name.Record.String())
}

// Decision gives a decision of two people.
func (c *Client) Decision(ctx context.Context, id record.ID) (record.Decision, error) {
	return query[record.Decision](ctx, c, record.DecisionFunction, id.String())
}

// Appointment gives what stands in a doctor's slot that begins at a time.
func (c *Client) Appointment(ctx context.Context, doctor record.ParticipantID, start time.Time,
) (record.Appointment, error) {
	return query[record.Appointment](ctx, c, record.AppointmentFunction, doctor.String(), start.Format(time.RFC3339))
}

// DoctorAppointments lists a doctor's appointments, by start.
func (c *Client) DoctorAppointments(ctx context.Context, doctor record.ParticipantID, pageSize int, bookmark string,
) (record.AppointmentPage, error) {
	return query[record.AppointmentPage](ctx, c, record.DoctorAppointmentsFunction, doctor.String(),
		strconv.Itoa(pageSize), bookmark)
}

// PatientAppointments lists a patient's appointments, by start.
func (c *Client) PatientAppointments(ctx context.Context, patient record.Reference, pageSize int, bookmark string,
) (record.AppointmentPage, error) {
	return query[record.AppointmentPage](ctx, c, record.PatientAppointmentsFunction, patient.String(),
		strconv.Itoa(pageSize), bookmark)
}
