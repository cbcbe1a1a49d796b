package contract

import (
	"slices"
	"time"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Consent is the contract of who may read and write a patient's history: requests and the patient's decisions on them,
// referrals, emergencies and supervision. checkAccess decides by what they leave on the ledger.
type Consent struct {
	contractapi.Contract
}

func newConsent() *Consent {
	c := &Consent{}
	c.Name = "consent"
	c.Info.Title = "Requests, grants, referrals, emergencies and supervision"
	return c
}

// GetEvaluateTransactions tells contractapi which functions only read.
func (c *Consent) GetEvaluateTransactions() []string {
	return []string{"CheckAccess", "Relations", "Supervisors"}
}

// Request asks a patient for access, by a doctor (record.AccessRequest). A sealed note to the patient may go with it.
func (c *Consent) Request(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActRequest, request, requestAccess)
}

// Approve grants what was asked for, or less, by the patient or their representative (record.Approval).
func (c *Consent) Approve(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActApprove, request, approve)
}

// Reject refuses a request, by the same (record.Choice).
func (c *Consent) Reject(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActReject, request, reject)
}

// Revoke ends a grant, by the same; referrals and emergencies too (record.Choice).
func (c *Consent) Revoke(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActRevoke, request, revoke)
}

// Relinquish gives a grant back, or takes a request back, by the doctor whose it is (record.Choice).
func (c *Consent) Relinquish(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActRelinquish, request, relinquish)
}

// Refer lets a doctor of another institution read for direct care, by the office of the institution that registered the
// patient, or a doctor who supervises them there (record.Referral).
func (c *Consent) Refer(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActRefer, request, refer)
}

// BreakGlass lets a doctor read in an emergency, for record.BreakGlassTime (record.Emergency). The reason goes with it, as
// a sealed note to the institution that registered the patient.
func (c *Consent) BreakGlass(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActBreakGlass, request, breakGlass)
}

// LateEmergency records an emergency at the caller's institution that was while the ledger was away, by its appliance
// (record.LateEmergency). The reason goes with it, as a sealed note to the institution.
func (c *Consent) LateEmergency(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActLateEmergency, request, lateEmergency)
}

// Review says whether an emergency was one, by the office of that institution (record.Review).
func (c *Consent) Review(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActReview, request, review)
}

// Supervise puts a doctor or team of the patient's institution in charge of a patient, or changes until when
// (record.SupervisionChange).
func (c *Consent) Supervise(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActSupervise, request, supervise)
}

// EndSupervision ends that (record.SupervisionChange).
func (c *Consent) EndSupervision(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActEndSupervision, request, endSupervision)
}

// CheckAccess decides whether a participant may read or write a record, as a record.Access. Version names any of the
// record's versions: its kind then counts where a right is to kinds. It may be empty.
func (c *Consent) CheckAccess(ctx contractapi.TransactionContextInterface, participant, patient, rec, version, mode string,
) (string, error) {
	return answer(accessByText(ctx.GetStub(), participant, patient, rec, version, mode))
}

// Relations gives a page of a patient's requests and grants, as a record.RelationPage: to the patient, and to their
// institution's office and appliance; to a representative those within their scope; to a doctor their own.
//
// Every member's peer holds what the lists give, so that refusing others keeps no secret: it keeps honest clients honest.
func (c *Consent) Relations(ctx contractapi.TransactionContextInterface, patient string, pageSize int32, bookmark string,
) (string, error) {
	return answer(relations(ctx.GetStub(), patient, pageSize, bookmark))
}

// Supervisors gives who supervises a patient, as a record.Supervision: to the same people, and to a doctor who does.
func (c *Consent) Supervisors(ctx contractapi.TransactionContextInterface, patient string) (string, error) {
	return answer(supervisors(ctx.GetStub(), patient))
}

func requestAccess(tx *transaction, q record.AccessRequest) (any, error) {
	if err := tx.caller.require(record.DoctorRole); err != nil {
		return nil, err
	}
	if err := tx.lasts(q.Until, record.MaxGrantTime); err != nil {
		return nil, err
	}
	if _, err := tx.registered(q.Patient); err != nil {
		return nil, err
	}
	relation, err := tx.relation(q.Patient, tx.caller.participant.ID)
	if err != nil {
		return nil, err
	}
	pending := func(g record.Grant) bool {
		return g.State == record.Requested && !record.Over(g.Until, tx.now) && g.Mode == q.Mode && g.Scope.Equal(q.Scope) &&
			isGrantee(tx.caller.participant, q.Patient, g)
	}
	if slices.ContainsFunc(relation.Grants, pending) {
		return nil, record.Errorf(record.Exists, "the same request waits for the patient's decision already")
	}
	tx.audit(record.AuditEntry{
		Patient: q.Patient, Basis: record.BasisParticipant, Subject: relation.Participant, About: tx.id, Until: q.Until,
	})
	return nil, tx.addGrant(relation, record.Grant{
		Basis: record.BasisGrant, Mode: q.Mode, Scope: q.Scope, Purpose: q.Purpose, State: record.Requested, Until: q.Until,
	})
}

// lasts refuses an end that has passed, or is further ahead than most.
func (tx *transaction) lasts(until time.Time, most time.Duration) error {
	if record.Over(until, tx.now) || until.After(tx.now.Add(most)) {
		return record.Errorf(record.BadRequest, "the end is over, or more than %d days ahead: give another",
			most/(24*time.Hour))
	}
	return nil
}

func approve(tx *transaction, q record.Approval) (any, error) { return tx.choose(q, record.Approved) }

func reject(tx *transaction, q record.Choice) (any, error) {
	return tx.choose(approvalOf(q), record.Rejected)
}

func revoke(tx *transaction, q record.Choice) (any, error) {
	return tx.choose(approvalOf(q), record.Revoked)
}

func approvalOf(q record.Choice) record.Approval {
	return record.Approval{Patient: q.Patient, Participant: q.Participant, Request: q.Request}
}

// choose carries out the caller's decision on a request or grant, as the patient or their representative.
func (tx *transaction) choose(q record.Approval, to record.GrantState) (any, error) {
	if tx.caller.refused != nil {
		return nil, tx.caller.refused
	}
	p, _, err := tx.patient(q.Patient)
	if err != nil {
		return nil, err
	}
	basis, representative, err := actsFor(tx, p, tx.caller.participant.ID, tx.now)
	switch {
	case err != nil:
		return nil, err
	case basis == record.NoBasis:
		return nil, record.Errorf(record.Forbidden, "only the patient, or who represents them, decides on this")
	}
	_, g, err := tx.grant(q)
	if err != nil {
		return nil, err
	}
	decided := narrowed(*g, q)
	if representative != nil && !decided.Scope.Within(representative.Scope) {
		return nil, record.Errorf(record.Forbidden, "the representative's authority does not cover this: approve less, or ask "+
			"the patient")
	}
	entry := record.AuditEntry{Patient: q.Patient, Basis: basis, Subject: q.Participant, About: q.Request}
	if to == record.Approved {
		entry.Until = decided.Until
	}
	tx.audit(entry)
	return nil, tx.decide(q, to, []record.ParticipantID{tx.caller.participant.ID}, false, record.Tag{})
}

// narrowed is a grant with the scope and end of its approval, where it names them.
func narrowed(g record.Grant, q record.Approval) record.Grant {
	if q.Scope != nil {
		g.Scope = *q.Scope
	}
	if !q.Until.IsZero() {
		g.Until = q.Until
	}
	return g
}

func relinquish(tx *transaction, q record.Choice) (any, error) {
	if err := tx.caller.require(record.DoctorRole); err != nil {
		return nil, err
	}
	if tx.caller.participant.ID != q.Participant {
		return nil, record.Errorf(record.Forbidden, "the request or grant is another's: only they give it back")
	}
	relation, g, err := tx.grant(approvalOf(q))
	switch {
	case err != nil:
		return nil, err
	case g.State != record.Approved && g.State != record.Requested:
		return nil, record.Errorf(record.WrongState, "the request is %s: there is nothing to give back", g.State)
	}
	g.State, g.Decided, g.DecidedBy = record.Relinquished, tx.now, []record.ParticipantID{q.Participant}
	tx.audit(record.AuditEntry{
		Patient: q.Patient, Basis: record.BasisParticipant, Subject: q.Participant, About: q.Request,
	})
	return nil, tx.putRelation(relation)
}
