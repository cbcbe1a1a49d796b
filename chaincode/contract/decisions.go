package contract

import (
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Decisions is the contract of what needs two people of an institution's office.
type Decisions struct {
	contractapi.Contract
}

func newDecisions() *Decisions {
	d := &Decisions{}
	d.Name = "decisions"
	d.Info.Title = "Decisions of two people"
	return d
}

// GetEvaluateTransactions tells contractapi which functions only read.
func (d *Decisions) GetEvaluateTransactions() []string { return []string{"Decision"} }

// Propose has the first person propose something (record.Proposal). It is refused for what would refuse it if it were carried
// out now.
func (d *Decisions) Propose(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActPropose, request, propose)
}

// Confirm has the second person agree, which carries it out (record.DecisionName).
func (d *Decisions) Confirm(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActConfirm, request, confirm)
}

// Decline ends a proposal: by another person, or by who proposed it (record.DecisionName).
func (d *Decisions) Decline(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActDecline, request, decline)
}

// Decision gives a record.Decision by ID.
func (d *Decisions) Decision(ctx contractapi.TransactionContextInterface, id string) (string, error) {
	return answer(decisionByText(ctx.GetStub(), id))
}

func propose(tx *transaction, q record.Proposal) (any, error) {
	d := record.Decision{
		V: record.SchemaVersion, ID: tx.id, Institution: tx.caller.institution, Proposal: q,
		ProposedBy: tx.caller.participant.ID, Proposed: tx.now, State: record.Open,
	}
	if err := tx.mayDecide(d); err != nil {
		return nil, err
	}
	if err := tx.rehearse(d); err != nil {
		return nil, err
	}
	if err := requireNone(tx.stub, []string{record.DecisionKey(d.ID)}); err != nil {
		return nil, err
	}
	entry := auditOf(d)
	entry.Action, entry.Basis = record.ActPropose, record.BasisInstitution
	tx.audit(entry)
	return nil, tx.put(record.DecisionKey(d.ID), d)
}

// mayDecide refuses who is not of the office of the institution whose decision it is, or is the one whom it concerns.
func (tx *transaction) mayDecide(d record.Decision) error {
	if err := tx.caller.requireOffice(auditOf(d).Patient.Institution()); err != nil {
		return err
	}
	if q := d.Proposal.Rebind; q != nil && q.Participant == tx.caller.participant.ID {
		return record.Errorf(record.Forbidden, "the caller cannot decide on their own key: ask two others")
	}
	return nil
}

// rehearse finds out whether a decision could be carried out now. It writes nothing.
func (tx *transaction) rehearse(d record.Decision) error {
	err := tx.carryOut(d)
	tx.writes, tx.entries, tx.acted = nil, nil, 0
	return err
}

func confirm(tx *transaction, q record.DecisionName) (any, error) {
	d, err := tx.openDecision(q.Decision)
	if err != nil {
		return nil, err
	}
	if err := tx.maySecond(d); err != nil {
		return nil, err
	}
	d.State, d.DecidedBy, d.Decided = record.Confirmed, tx.caller.participant.ID, tx.now
	if err := tx.carryOut(d); err != nil {
		return nil, err
	}
	entry := auditOf(d)
	entry.Basis = record.BasisTwoPeople
	tx.acted = entry.Action
	for _, who := range []record.ParticipantID{d.ProposedBy, d.DecidedBy} {
		entry.Actor = who
		tx.audit(entry)
	}
	return nil, tx.put(record.DecisionKey(d.ID), d)
}

// maySecond refuses who is not a second person; and a decision whose first person may not decide any more.
func (tx *transaction) maySecond(d record.Decision) error {
	if err := tx.mayDecide(d); err != nil {
		return err
	}
	if d.ProposedBy == tx.caller.participant.ID {
		return record.Errorf(record.Forbidden, "the caller proposed this: another person confirms it")
	}
	first, _, err := load[record.Participant](tx, record.ParticipantKey(d.ProposedBy))
	if err == nil && first.Status != record.Active {
		err = record.Errorf(record.WrongState, "who proposed this is %s: decline it, and propose it anew", first.Status)
	}
	return err
}

func decline(tx *transaction, q record.DecisionName) (any, error) {
	d, err := tx.openDecision(q.Decision)
	if err != nil {
		return nil, err
	}
	d.State, d.DecidedBy, d.Decided = record.Declined, tx.caller.participant.ID, tx.now
	entry := auditOf(d)
	entry.Action, entry.Basis = record.ActDecline, record.BasisInstitution
	tx.audit(entry)
	return nil, tx.put(record.DecisionKey(d.ID), d)
}

// openDecision gives a decision of the caller's institution that waits for the second person.
func (tx *transaction) openDecision(id record.ID) (record.Decision, error) {
	if err := tx.caller.require(record.InstitutionRole, record.StaffRole); err != nil {
		return record.Decision{}, err
	}
	d, found, err := load[record.Decision](tx, record.DecisionKey(id))
	if err != nil {
		return d, err
	}
	if !found {
		return d, record.Errorf(record.NotFound, "no such decision: check its ID")
	}
	if err := tx.caller.requireOffice(d.Institution.Institution()); err != nil {
		return d, err
	}
	switch {
	case d.State != record.Open:
		return d, record.Errorf(record.WrongState, "the decision is %s already", d.State)
	case record.Over(d.Proposed.Add(record.DecisionTime), tx.now):
		return d, record.Errorf(record.WrongState, "the decision waited for more than %d days: propose it anew",
			record.DecisionTime/(24*time.Hour))
	}
	return d, nil
}

// auditOf is the audit entry of what a decision carries out.
func auditOf(d record.Decision) record.AuditEntry {
	e := record.AuditEntry{Patient: d.Proposal.About(), About: d.ID}
	switch q := d.Proposal; {
	case q.Rebind != nil:
		e.Action, e.Subject = record.ActRebind, q.Rebind.Participant
		e.Patient = record.InstitutionReference(q.Rebind.Participant.Institution())
	case q.Assist != nil:
		e.Action, e.Subject = actionOf(q.Assist.Decision), q.Assist.Participant
	case q.BindPatient != nil:
		e.Action, e.Subject = record.ActBindPatient, q.BindPatient.Participant
	case q.Erase != nil:
		e.Action, e.Record = record.ActErase, q.Erase.Record
	case q.RefuseErasure != nil:
		e.Action, e.Record = record.ActRefuseErasure, q.RefuseErasure.Record
	}
	return e
}

// actionOf is the action that brings a request or grant to a state.
func actionOf(to record.GrantState) record.Action {
	switch to {
	case record.Approved:
		return record.ActApprove
	case record.Rejected:
		return record.ActReject
	default:
		return record.ActRevoke
	}
}

// carryOut does what was decided.
func (tx *transaction) carryOut(d record.Decision) error {
	switch q := d.Proposal; {
	case q.Rebind != nil:
		return tx.rebindLost(*q.Rebind)
	case q.Assist != nil:
		return tx.assist(*q.Assist, []record.ParticipantID{d.ProposedBy, d.DecidedBy})
	case q.BindPatient != nil:
		return tx.bindPatient(*q.BindPatient)
	case q.Erase != nil:
		return tx.erase(*q.Erase)
	default:
		return tx.refuseErasure(*q.RefuseErasure)
	}
}

// rebindLost replaces the lost key of a participant.
func (tx *transaction) rebindLost(q record.LostKey) error {
	p, found, err := load[record.Participant](tx, record.ParticipantKey(q.Participant))
	switch {
	case err != nil:
		return err
	case !found:
		return record.Errorf(record.NotFound, "no such participant: check the ID")
	case p.Key.IsZero():
		return record.Errorf(record.WrongState, "the participant has not joined yet: give them a new enrolment code")
	case p.Status == record.Suspended:
		return record.Errorf(record.WrongState, "the participant is suspended: reinstate them first")
	}
	p.Rebound++
	return tx.rebind(p, q.Rotation)
}

// assist makes a patient's decision for them, as their form says.
func (tx *transaction) assist(q record.AssistedChoice, by []record.ParticipantID) error {
	p, err := tx.registered(q.Patient)
	if err != nil {
		return err
	}
	signer, _, err := load[record.Participant](tx, record.ParticipantKey(p.Participant))
	switch {
	case err != nil:
		return err
	case q.Reason == record.NoKey && !signer.Key.IsZero():
		return record.Errorf(record.WrongState, "the patient has a key: they decide themselves, or give another reason")
	case q.Decision == record.Approved && !p.Deceased.IsZero():
		return record.Errorf(record.WrongState, "the patient is deceased: only their executor approves")
	}
	if err := tx.requireDocument(q.Form); err != nil {
		return err
	}
	return tx.decide(q.Approval, q.Decision, by, true, q.Form)
}

// bindPatient replaces who signs for a patient.
func (tx *transaction) bindPatient(q record.PatientRegistration) error {
	p, err := tx.registered(q.Patient)
	switch {
	case err != nil:
		return err
	case p.Participant.IsZero():
		return record.Errorf(record.WrongState, "the patient has no participant: register them with one, which needs no "+
			"second person")
	}
	before := p
	if err := tx.name(&p, q.Participant); err != nil {
		return err
	}
	if p.Participant == before.Participant && p.Rebound == before.Rebound {
		return record.Errorf(record.Exists, "the participant signs for the patient already")
	}
	return tx.putPatient(p)
}

func decisionByText(stub shim.ChaincodeStubInterface, text string) (record.Decision, error) {
	id, err := record.ParseID(text)
	if err != nil {
		return record.Decision{}, badArgument(err)
	}
	d, found, err := loadState[record.Decision](stub, record.DecisionKey(id))
	if err == nil && !found {
		err = record.Errorf(record.NotFound, "no such decision: check its ID")
	}
	return d, err
}
