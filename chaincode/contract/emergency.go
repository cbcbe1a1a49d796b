package contract

import (
	"slices"

	"github.com/medanchor/medanchor/chaincode/record"
)

// breakGlass gives the caller access in an emergency. The patient need not be registered: records are anchored under
// references that are not.
func breakGlass(tx *transaction, q record.Emergency) (any, error) {
	if err := tx.caller.require(record.DoctorRole); err != nil {
		return nil, err
	}
	if err := tx.requireReason(q.Patient); err != nil {
		return nil, err
	}
	doctor := tx.caller.participant.ID
	relation, err := tx.relation(q.Patient, doctor)
	if err != nil {
		return nil, err
	}
	same := func(g record.Grant) bool {
		return g.Basis == record.BasisBreakGlass && g.Live(tx.now) && g.Scope.Equal(q.Scope)
	}
	if slices.ContainsFunc(relation.Grants, same) {
		return nil, record.Errorf(record.Exists, "the glass is broken for this already: read, and ask again once it is over")
	}
	if err := tx.openGlass(doctor); err != nil {
		return nil, err
	}
	until := tx.now.Add(record.BreakGlassTime)
	tx.audit(record.AuditEntry{
		Patient: q.Patient, Basis: record.BasisBreakGlass, Subject: doctor, About: tx.id, Until: until,
	})
	return nil, tx.addGrant(relation, record.Grant{
		Basis: record.BasisBreakGlass, Mode: record.Read, Scope: q.Scope, Purpose: record.Treatment, State: record.Approved,
		Decided: tx.now, DecidedBy: []record.ParticipantID{doctor}, Until: until,
	})
}

// requireReason refuses an emergency without a reason for the institution that registered the patient.
func (tx *transaction) requireReason(patient record.Reference) error {
	institution, found, err := institutionOf(tx, patient.Institution())
	if err != nil {
		return err
	}
	if !found {
		return record.Errorf(record.NotFound, "no institution has such patients: check the reference")
	}
	given, err := tx.noteFor(institution.ID)
	if err == nil && !given {
		err = record.Errorf(record.BadRequest, "no reason is given: send it as a sealed note to the institution %s",
			institution.ID)
	}
	return err
}

// openGlass counts one more emergency of the doctor that waits for review.
func (tx *transaction) openGlass(doctor record.ParticipantID) error {
	glass, _, err := load[record.OpenGlass](tx, record.GlassKey(doctor))
	if err != nil {
		return err
	}
	if len(glass.Open) >= record.MaxOpenGlass {
		return record.Errorf(record.WrongState, "%d of the doctor's emergencies wait for review: ask the patients' institutions "+
			"to review them", len(glass.Open))
	}
	glass.V, glass.Open = record.SchemaVersion, append(glass.Open, tx.id)
	return tx.put(record.GlassKey(doctor), glass)
}

// review is never by the doctor: no doctor is of an institution's office.
func review(tx *transaction, q record.Review) (any, error) {
	if err := tx.caller.requireOffice(q.Patient.Institution()); err != nil {
		return nil, err
	}
	relation, g, err := tx.grant(record.Approval{Patient: q.Patient, Participant: q.Participant, Request: q.Request})
	switch {
	case err != nil:
		return nil, err
	case g.Basis != record.BasisBreakGlass:
		return nil, record.Errorf(record.WrongState, "the access was not by break-glass: there is nothing to review")
	case !g.Reviewed.IsZero():
		return nil, record.Errorf(record.WrongState, "the emergency was reviewed already")
	}
	g.Reviewed, g.ReviewedBy, g.Justified = tx.now, tx.caller.participant.ID, q.Justified
	if err := tx.closeGlass(q.Participant, q.Request); err != nil {
		return nil, err
	}
	tx.audit(record.AuditEntry{
		Patient: q.Patient, Basis: record.BasisInstitution, Subject: q.Participant, About: q.Request,
	})
	return nil, tx.putRelation(relation)
}

// closeGlass ends that an emergency of the doctor waits for review.
func (tx *transaction) closeGlass(doctor record.ParticipantID, id record.ID) error {
	glass, _, err := load[record.OpenGlass](tx, record.GlassKey(doctor))
	if err != nil {
		return err
	}
	glass.V = record.SchemaVersion
	glass.Open = slices.DeleteFunc(glass.Open, func(open record.ID) bool { return open == id })
	return tx.put(record.GlassKey(doctor), glass)
}
