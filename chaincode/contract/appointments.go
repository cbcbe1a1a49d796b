package contract

import (
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Appointments is the contract of when a doctor and a patient meet. One side proposes, the other accepts or declines.
// An appointment has two sides: the doctor's, which is the doctor or the office of their institution; and the
// patient's, which is the patient or who represents them in all.
type Appointments struct {
	contractapi.Contract
}

func newAppointments() *Appointments {
	a := &Appointments{}
	a.Name = "appointments"
	a.Info.Title = "Appointments of doctors and patients"
	return a
}

// GetEvaluateTransactions tells contractapi which functions only read.
func (a *Appointments) GetEvaluateTransactions() []string {
	return []string{"Appointment", "ListDoctor", "ListPatient"}
}

// Propose takes a doctor's slots for a patient, by either side (record.AppointmentProposal). Sealed notes with the
// details may go with it, to the two sides only.
func (a *Appointments) Propose(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActProposeAppointment, request, proposeAppointment)
}

// Accept accepts what the other side proposed (record.AppointmentName).
func (a *Appointments) Accept(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActAcceptAppointment, request, acceptAppointment)
}

// Decline declines what the other side proposed, which frees the slots (record.AppointmentName).
func (a *Appointments) Decline(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActDeclineAppointment, request, declineAppointment)
}

// Cancel takes a proposed or accepted appointment back, by either side, which frees the slots (record.AppointmentName).
func (a *Appointments) Cancel(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActCancelAppointment, request, cancelAppointment)
}

// Complete says that an accepted appointment took place, by the doctor's side once it has begun
// (record.AppointmentName).
func (a *Appointments) Complete(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActCompleteAppointment, request, completeAppointment)
}

// Appointment gives the record.Appointment that stands in a doctor's slot, or stood there last.
func (a *Appointments) Appointment(ctx contractapi.TransactionContextInterface, doctor, start string) (string, error) {
	return answer(appointmentByText(ctx.GetStub(), doctor, start))
}

// ListDoctor gives a page of a doctor's appointments, as a record.AppointmentPage, to the doctor's side. A page counts
// slots: it may have fewer appointments than its size, or none, and yet a next page.
//
// Every member's peer holds what the lists give, so that refusing others keeps no secret: it keeps honest clients
// honest.
func (a *Appointments) ListDoctor(ctx contractapi.TransactionContextInterface, doctor string, pageSize int32,
	bookmark string,
) (string, error) {
	return answer(listOfDoctor(ctx.GetStub(), doctor, pageSize, bookmark))
}

// ListPatient gives a page of a patient's appointments, as a record.AppointmentPage, to the patient's side and the
// office of the patient's institution.
func (a *Appointments) ListPatient(ctx contractapi.TransactionContextInterface, patient string, pageSize int32,
	bookmark string,
) (string, error) {
	return answer(listOfPatient(ctx.GetStub(), patient, pageSize, bookmark))
}

// side is one of the two sides of an appointment, and by which right the caller is on it.
type side struct {
	doctors bool
	basis   record.Basis
}

// sideOf gives the caller's side of an appointment.
func (tx *transaction) sideOf(doctor record.ParticipantID, patient record.Reference) (side, error) {
	c := &tx.caller
	if c.require(record.PatientRole, record.RepresentativeRole) == nil {
		basis, err := patientsSide(tx, patient, c.participant.ID, tx.now)
		return side{basis: basis}, err
	}
	basis, err := c.doctorsSide(doctor)
	return side{doctors: true, basis: basis}, err
}

// doctorsSide says by which right the caller acts for a doctor.
func (c *caller) doctorsSide(doctor record.ParticipantID) (record.Basis, error) {
	if c.require(record.DoctorRole) == nil && c.participant.ID == doctor {
		return record.BasisParticipant, nil
	}
	return record.BasisInstitution, c.requireOffice(doctor.Institution())
}

// patientsSide says by which right a participant acts for a patient. A representative for some kinds or records does
// not: whom a patient meets says more than those.
func patientsSide(s state, patient record.Reference, id record.ParticipantID, now time.Time) (record.Basis, error) {
	p, _, err := find[record.Patient](s, record.PatientKey(patient))
	if err != nil {
		return record.NoBasis, err
	}
	basis, representative, err := actsFor(s, p, id, now)
	if err == nil && (basis == record.NoBasis || representative != nil && !representative.Scope.All) {
		err = record.Errorf(record.Forbidden, "only the patient, or who represents them in all, acts for them here")
	}
	return basis, err
}

func appointmentByText(stub shim.ChaincodeStubInterface, doctor, start string) (a record.Appointment, err error) {
	id, err := record.ParseParticipantID(doctor)
	if err != nil {
		return a, badArgument(err)
	}
	begin, err := time.Parse(time.RFC3339, start)
	if err != nil {
		return a, badArgument(err)
	}
	slot, ok := record.SlotAt(begin)
	if !ok {
		return a, record.Errorf(record.BadRequest, "no slot begins then: ask for a quarter of an hour")
	}
	a, found, err := loadState[record.Appointment](stub, record.SlotKey(id, slot))
	if err == nil && !found {
		err = record.Errorf(record.NotFound, "the doctor has no appointment then")
	}
	return a, err
}

func listOfDoctor(stub shim.ChaincodeStubInterface, doctor string, pageSize int32, bookmark string,
) (page record.AppointmentPage, err error) {
	id, err := record.ParseParticipantID(doctor)
	if err != nil {
		return page, badArgument(err)
	}
	who, err := identify(stub)
	if err != nil {
		return page, err
	}
	if _, err := who.doctorsSide(id); err != nil {
		return page, err
	}
	start, end := record.DoctorSlots(id)
	return listAppointments(stub, start, end, pageSize, bookmark)
}

func listOfPatient(stub shim.ChaincodeStubInterface, patient string, pageSize int32, bookmark string,
) (page record.AppointmentPage, err error) {
	reference, err := record.ParseReference(patient)
	if err != nil {
		return page, badArgument(err)
	}
	if err := mayListPatient(stub, reference); err != nil {
		return page, err
	}
	start, end := record.Diary(reference)
	return listAppointments(stub, start, end, pageSize, bookmark)
}

// mayListPatient refuses who is neither on the patient's side nor of the office of the patient's institution.
func mayListPatient(stub shim.ChaincodeStubInterface, patient record.Reference) error {
	who, err := identify(stub)
	if err != nil {
		return err
	}
	if who.require(record.PatientRole, record.RepresentativeRole) != nil {
		return who.requireOffice(patient.Institution())
	}
	now, err := timeOf(stub)
	if err != nil {
		return err
	}
	_, err = patientsSide(ledgerState{stub}, patient, who.participant.ID, now)
	return err
}

// listAppointments gives a page of a doctor's slots, or of a patient's diary: of the slots the first of each
// appointment.
func listAppointments(stub shim.ChaincodeStubInterface, start, end string, pageSize int32, bookmark string,
) (record.AppointmentPage, error) {
	page := record.AppointmentPage{Appointments: []record.Appointment{}}
	var err error
	page.Bookmark, err = eachOfPage(stub, start, end, pageSize, bookmark, func(key string, value []byte) error {
		a, _, err := decodeState[record.Appointment](value)
		if err == nil && (key == a.DiaryKey() || key == a.SlotKeys()[0]) {
			page.Appointments = append(page.Appointments, a)
		}
		return err
	})
	return page, err
}
