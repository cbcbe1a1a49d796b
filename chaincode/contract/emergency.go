package contract

import (
	"crypto/ecdsa"
	"slices"
	"time"

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
		return g.Basis == record.BasisBreakGlass && g.Live(tx.now) && g.Scope.Equal(q.Scope) &&
			isGrantee(tx.caller.participant, q.Patient, g)
	}
	if slices.ContainsFunc(relation.Grants, same) {
		return nil, record.Errorf(record.Exists, "the glass is broken for this already: read, and ask again once it is over")
	}
	if err := tx.openGlass(doctor, tx.id, record.MaxOpenGlass); err != nil {
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

// openGlass counts one more emergency of the doctor that waits for review, of which there are not to be more than most.
func (tx *transaction) openGlass(doctor record.ParticipantID, id record.ID, most int) error {
	glass, _, err := load[record.OpenGlass](tx, record.GlassKey(doctor))
	switch {
	case err != nil:
		return err
	case slices.Contains(glass.Open, id) && id == tx.id:
		return errTwin()
	case slices.Contains(glass.Open, id):
		return errRecorded()
	case len(glass.Open) >= most:
		return record.Errorf(record.WrongState, "%d of the doctor's emergencies wait for review: ask the patients' institutions "+
			"to review them", len(glass.Open))
	}
	glass.V, glass.Open = record.SchemaVersion, append(glass.Open, id)
	return tx.put(record.GlassKey(doctor), glass)
}

// lateEmergency records an emergency that was while the ledger was away. What happened must not be lost: it does not matter that
// the doctor was suspended since, or has another key, or that many of their emergencies wait for review.
func lateEmergency(tx *transaction, q record.LateEmergency) (any, error) {
	if err := tx.caller.requireOf(q.Patient.Institution(), record.ApplianceRole); err != nil {
		return nil, err
	}
	relation, err := tx.relation(q.Patient, q.Participant)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(relation.Grants, func(g record.Grant) bool { return g.ID == q.ID }) {
		return nil, errRecorded()
	}
	if err := tx.checkStatement(q); err != nil {
		return nil, err
	}
	if err := tx.requireReason(q.Patient); err != nil {
		return nil, err
	}
	if err := tx.openGlass(q.Participant, q.ID, record.MaxOpenGlass+record.MaxOpenLate); err != nil {
		return nil, err
	}
	at := q.Time.UTC()
	until := at.Add(record.BreakGlassTime)
	tx.audit(record.AuditEntry{
		Patient: q.Patient, Basis: record.BasisBreakGlass, Subject: q.Participant, Record: q.Record, About: q.ID, Until: until,
	})
	return nil, tx.addGrant(relation, record.Grant{
		ID: q.ID, Basis: record.BasisBreakGlass, Mode: record.Read, Scope: record.Scope{Records: []record.Tag{q.Record}},
		Purpose: record.Treatment, State: record.Approved, Asked: at, Decided: at,
		DecidedBy: []record.ParticipantID{q.Participant}, Until: until, Late: true,
	})
}

func errRecorded() error {
	return record.Errorf(record.Exists, "the emergency is recorded already")
}

// checkStatement refuses what no doctor of the institution signed, or of a time that cannot be.
func (tx *transaction) checkStatement(q record.LateEmergency) error {
	if q.Participant.Institution() != q.Patient.Institution() {
		return record.Errorf(record.Forbidden, "the doctor is of another institution than the patient")
	}
	doctor, err := tx.professional(q.Participant)
	if err != nil {
		return err
	}
	if q.Time.After(tx.now.Add(record.ClockSkew)) || tx.now.After(q.Time.Add(record.MaxLateEmergency)) {
		return record.Errorf(record.BadRequest, "the emergency is to come, or was more than %d days ago: check the clock",
			record.MaxLateEmergency/(24*time.Hour))
	}
	key, err := tx.statedBy(doctor, q)
	if err == nil && !verify(key, q.Message(), q.Signature) {
		err = record.Errorf(record.WrongState, "the statement is not signed with the doctor's key: if they have another one now, "+
			"send the one that signed as signing_key")
	}
	return err
}

// statedBy gives the key that should verify a statement: the doctor's, or one that was theirs, if the statement is not later than
// they got the present one. It is nil if it is none.
func (tx *transaction) statedBy(doctor record.Participant, q record.LateEmergency) (*ecdsa.PublicKey, error) {
	der := doctor.SigningKey
	if len(q.SigningKey) > 0 {
		der = q.SigningKey
		bound, _, err := load[record.Binding](tx, record.BindingKey(record.FingerprintOf(doctor.MSPID, der)))
		if err != nil || bound.Participant != doctor.ID || bound.Retired && q.Time.After(doctor.Since) {
			return nil, err
		}
	}
	key, _ := parseKey(der)
	return key, nil
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
