package contract

import (
	"slices"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

func supervise(tx *transaction, q record.SupervisionChange) (any, error) {
	if err := tx.maySupervise(q); err != nil {
		return nil, err
	}
	if record.Over(q.Until, tx.now) {
		return nil, record.Errorf(record.BadRequest, "the supervision would be over: give a later end, or none")
	}
	if _, err := tx.registered(q.Patient); err != nil {
		return nil, err
	}
	if err := tx.requireSupervisor(q); err != nil {
		return nil, err
	}
	there, err := tx.supervisionOf(q.Patient)
	if err != nil {
		return nil, err
	}
	there.Supervisors = append(slices.DeleteFunc(there.Supervisors, q.Names), record.Supervisor{
		Participant: q.Participant, Team: q.Team, Since: tx.now, Until: q.Until,
	})
	if tooMany(there) {
		over := func(s record.Supervisor) bool { return record.Over(s.Until, tx.now) }
		there.Supervisors = slices.DeleteFunc(there.Supervisors, over)
	}
	if tooMany(there) {
		return nil, record.Errorf(record.WrongState, "the patient has %d supervisors, or %d teams among them: end one first",
			record.MaxSupervisors, record.MaxTeamsOfPatient)
	}
	return nil, tx.keepSupervision(there, q)
}

// maySupervise refuses who is not of the office of the patient's institution; and supervisors who are not of that
// institution, to whom it cannot give records this way.
func (tx *transaction) maySupervise(q record.SupervisionChange) error {
	if err := tx.caller.requireOffice(q.Patient.Institution()); err != nil {
		return err
	}
	if q.Supervisor().Institution() != q.Patient.Institution() {
		return record.Errorf(record.Forbidden, "the doctor or team is of another institution: refer the patient, or have the "+
			"doctor ask them")
	}
	return nil
}

// requireSupervisor refuses who is neither a doctor nor a team.
func (tx *transaction) requireSupervisor(q record.SupervisionChange) error {
	if q.Team.IsZero() {
		_, err := tx.professional(q.Participant)
		return err
	}
	_, found, err := load[record.Team](tx, record.TeamKey(q.Team))
	if err == nil && !found {
		err = record.Errorf(record.NotFound, "no such team: check the ID")
	}
	return err
}

func tooMany(s record.Supervision) bool {
	teams := 0
	for _, v := range s.Supervisors {
		if !v.Team.IsZero() {
			teams++
		}
	}
	return len(s.Supervisors) > record.MaxSupervisors || teams > record.MaxTeamsOfPatient
}

func endSupervision(tx *transaction, q record.SupervisionChange) (any, error) {
	if err := tx.maySupervise(q); err != nil {
		return nil, err
	}
	there, err := tx.supervisionOf(q.Patient)
	if err != nil {
		return nil, err
	}
	n := len(there.Supervisors)
	there.Supervisors = slices.DeleteFunc(there.Supervisors, q.Names)
	if len(there.Supervisors) == n {
		return nil, record.Errorf(record.NotFound, "the doctor or team does not supervise the patient")
	}
	q.Until = time.Time{}
	return nil, tx.keepSupervision(there, q)
}

// supervisionOf gives who supervises a patient: nobody yet, if the ledger has nothing.
func (tx *transaction) supervisionOf(patient record.Reference) (record.Supervision, error) {
	s, found, err := load[record.Supervision](tx, record.SupervisionKey(patient))
	if !found {
		s = record.Supervision{V: record.SchemaVersion, Patient: patient}
	}
	return s, err
}

// keepSupervision writes who supervises the patient, and the change of it to the audit.
func (tx *transaction) keepSupervision(s record.Supervision, q record.SupervisionChange) error {
	tx.audit(record.AuditEntry{
		Patient: q.Patient, Basis: record.BasisInstitution, Subject: q.Supervisor(), Until: q.Until,
	})
	return tx.put(record.SupervisionKey(q.Patient), s)
}
