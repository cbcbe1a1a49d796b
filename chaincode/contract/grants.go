package contract

import (
	"slices"

	"github.com/medanchor/medanchor/chaincode/record"
)

// relation gives what is between a patient and a participant: nothing yet, if the ledger has none.
func (tx *transaction) relation(patient record.Reference, participant record.ParticipantID) (record.Relation, error) {
	r, found, err := load[record.Relation](tx, record.RelationKey(patient, participant))
	if !found {
		r = record.Relation{V: record.SchemaVersion, Patient: patient, Participant: participant}
	}
	return r, err
}

func (tx *transaction) putRelation(r record.Relation) error {
	return tx.put(record.RelationKey(r.Patient, r.Participant), r)
}

// grant gives a request or grant, in its relation.
func (tx *transaction) grant(q record.Approval) (r record.Relation, g *record.Grant, err error) {
	r, err = tx.relation(q.Patient, q.Participant)
	if err != nil {
		return r, nil, err
	}
	i := slices.IndexFunc(r.Grants, func(g record.Grant) bool { return g.ID == q.Request })
	if i < 0 {
		return r, nil, record.Errorf(record.NotFound, "the participant has no such request or grant: check both IDs")
	}
	return r, &r.Grants[i], nil
}

// addGrant writes a new request or grant: of the transaction's ID, unless it has its own. If there are too many, the oldest gives
// way that is settled: the audit still tells of it. Those that were recorded late are counted for themselves.
func (tx *transaction) addGrant(r record.Relation, g record.Grant) error {
	most := record.MaxGrants
	if g.Late {
		most = record.MaxOpenLate
	}
	oldest, n := -1, 0 // of the settled ones, and how many there are
	for i, other := range r.Grants {
		if other.Late != g.Late {
			continue
		}
		if n++; oldest < 0 && other.Settled(tx.now) {
			oldest = i
		}
	}
	if n >= most {
		if oldest < 0 {
			return record.Errorf(record.WrongState, "the participant has %d requests and grants of this patient that are open: "+
				"give one back, or have it decided or reviewed, first", n)
		}
		r.Grants = slices.Delete(r.Grants, oldest, oldest+1)
	}
	if g.ID.IsZero() {
		g.ID, g.Asked = tx.id, tx.now
	}
	grantee, _, err := load[record.Participant](tx, record.ParticipantKey(r.Participant))
	if err != nil {
		return err
	}
	g.Rebound = grantee.Rebound
	r.Grants = append(r.Grants, g)
	return tx.putRelation(r)
}

// decide brings a request to Approved or Rejected, or a grant to Revoked. That by may decide is for who calls to check, and
// so are the audit entries. By is the patient or representative; or, assisted by a form, the two people who recorded it.
func (tx *transaction) decide(q record.Approval, to record.GrantState, by []record.ParticipantID, assisted bool,
	form record.Tag,
) error {
	if slices.Contains(by, q.Participant) {
		return record.Errorf(record.Forbidden, "nobody decides on their own request: ask the patient")
	}
	relation, g, err := tx.grant(q)
	if err != nil {
		return err
	}
	from := record.Requested
	if to == record.Revoked {
		from = record.Approved
	}
	if g.State != from {
		return record.Errorf(record.WrongState, "the request is %s: it cannot become %s", g.State, to)
	}
	if to == record.Approved {
		if err := tx.mayApprove(*g, q); err != nil {
			return err
		}
		*g = narrowed(*g, q)
	}
	g.State, g.Decided, g.DecidedBy, g.Assisted, g.Form = to, tx.now, by, assisted, form
	return tx.putRelation(relation)
}

// mayApprove refuses an approval of more than was asked for, too late, or for who is no active doctor.
func (tx *transaction) mayApprove(asked record.Grant, q record.Approval) error {
	given := narrowed(asked, q)
	switch {
	case record.Over(asked.Until, tx.now):
		return record.Errorf(record.WrongState, "the end that was asked for has passed: the doctor has to ask again")
	case record.Over(given.Until, tx.now):
		return record.Errorf(record.BadRequest, "the end is over: give a later one")
	case given.Until.After(asked.Until) || !given.Scope.Within(asked.Scope):
		return record.Errorf(record.BadRequest, "more would be approved than was asked for: approve that, or less")
	}
	if err := tx.requireAvailable(q.Participant); err != nil {
		return err
	}
	doctor, err := tx.professional(q.Participant)
	if err == nil && !isGrantee(doctor, q.Patient, asked) {
		err = record.Errorf(record.WrongState, "the doctor's institution replaced their key since they asked: they have to ask again")
	}
	return err
}

// refer passes records on; the patient need not be registered. A referral that is there already would have to be revoked
// twice: it is not made again.
func refer(tx *transaction, q record.Referral) (any, error) {
	basis, err := tx.mayRefer(q.Patient)
	if err != nil {
		return nil, err
	}
	if err := tx.checkReferral(q); err != nil {
		return nil, err
	}
	relation, err := tx.relation(q.Patient, q.Participant)
	if err != nil {
		return nil, err
	}
	doctor, err := tx.professional(q.Participant)
	if err != nil {
		return nil, err
	}
	same := func(g record.Grant) bool {
		return g.Basis == record.BasisReferral && g.Live(tx.now) && g.Scope.Equal(q.Scope) && g.Until.Equal(q.Until) &&
			isGrantee(doctor, q.Patient, g)
	}
	if slices.ContainsFunc(relation.Grants, same) {
		return nil, record.Errorf(record.Exists, "the doctor has the same referral already")
	}
	tx.audit(record.AuditEntry{Patient: q.Patient, Basis: basis, Subject: q.Participant, About: tx.id, Until: q.Until})
	return nil, tx.addGrant(relation, record.Grant{
		Basis: record.BasisReferral, Mode: record.Read, Scope: q.Scope, Purpose: q.Purpose, State: record.Approved,
		Decided: tx.now, DecidedBy: []record.ParticipantID{tx.caller.participant.ID}, Until: q.Until,
	})
}

// mayRefer says by which right the caller refers a patient: for the institution, or as who supervises the patient there.
func (tx *transaction) mayRefer(patient record.Reference) (record.Basis, error) {
	c := &tx.caller
	if c.require(record.DoctorRole) != nil {
		return record.BasisInstitution, c.requireOffice(patient.Institution())
	}
	_, supervises, err := supervision(tx, c.participant, patient, tx.now)
	if err == nil && !supervises {
		err = record.Errorf(record.Forbidden, "only the office of the patient's institution, or a doctor who supervises the "+
			"patient there, refers them")
	}
	return record.BasisSupervision, err
}

func (tx *transaction) checkReferral(q record.Referral) error {
	if q.Participant.Institution() == q.Patient.Institution() {
		return record.Errorf(record.BadRequest, "the doctor is of the patient's own institution: have them supervise the patient")
	}
	if err := tx.lasts(q.Until, record.MaxReferralTime); err != nil {
		return err
	}
	allowed, err := refers(tx, q.Patient.Institution())
	switch {
	case err != nil:
		return err
	case !allowed:
		return record.Errorf(record.WrongState, "the institution has switched referrals off: have the doctor ask the patient")
	}
	return tx.requireAvailable(q.Participant)
}
