package record

import (
	"fmt"
	"slices"
	"time"
)

// The functions of the contract of decisions: what needs two people of an institution's office. One proposes, another one
// confirms; the confirmation carries it out.
const (
	ProposeFunction = "decisions:Propose" // (Proposal)
	ConfirmFunction = "decisions:Confirm" // (DecisionName)
	DeclineFunction = "decisions:Decline" // (DecisionName)

	DecisionFunction = "decisions:Decision" // (ID) Decision
)

// DecisionTime is how long a proposal waits for the second person.
const DecisionTime = 7 * 24 * time.Hour

// Limits of one decision to erase. A larger record takes several.
const (
	MaxErasure          = 100   // versions and copies that it names
	MaxErasureDocuments = 5_000 // documents of those versions
)

// Proposal asks ProposeFunction: exactly one of its fields is set.
type Proposal struct {
	// Rebind replaces the lost key of a participant of the institution.
	Rebind *LostKey `json:"rebind,omitempty"`
	// Assist records what a patient without a key decided, by a scanned form.
	Assist *AssistedChoice `json:"assist,omitempty"`
	// BindPatient gives a patient who has a participant another one; or none, for it was not theirs.
	BindPatient *PatientRegistration `json:"bind_patient,omitempty"`
	// Erase erases the institution's own holding of a record.
	Erase *Erasure `json:"erase,omitempty"`
	// RefuseErasure answers a request for erasure.
	RefuseErasure *ErasureRefusal `json:"refuse_erasure,omitempty"`
}

// LostKey replaces a lost key. The participant proves the new one.
type LostKey struct {
	Participant ParticipantID `json:"participant"`
	Rotation
}

// Validate says what is wrong with it.
func (q LostKey) Validate() error {
	if err := refuseIf(unless(!q.Participant.IsZero(), "no participant is named")); err != nil {
		return err
	}
	return q.Rotation.Validate()
}

// AssistedChoice is a patient's decision, made with the help of two people: Approve, Reject or Revoke.
type AssistedChoice struct {
	Approval
	Decision GrantState   `json:"decision"` // Approved, Rejected or Revoked
	Form     Tag          `json:"form"`     // the scanned form, a document on the ledger
	Reason   AssistReason `json:"reason"`
}

// AssistReason is why a patient does not sign for themselves.
type AssistReason string

// The reasons for assistance.
const (
	NoKey    AssistReason = "no-key"    // nobody signs for the patient's reference
	NoDevice AssistReason = "no-device" // lost, or not at hand
	Unable   AssistReason = "unable"
)

// Validate says what is wrong with it.
func (q AssistedChoice) Validate() error {
	if err := q.Approval.Validate(); err != nil {
		return err
	}
	return refuseIf(unless(slices.Contains([]GrantState{Approved, Rejected, Revoked}, q.Decision), "the decision is unknown"),
		unless(q.Decision == Approved || q.Scope == nil && q.Until.IsZero(), "only an approval has a scope or an end date"),
		unless(!q.Form.IsZero(), "no form is named: anchor the scan first"),
		unless(slices.Contains([]AssistReason{NoKey, NoDevice, Unable}, q.Reason), "the reason is unknown"))
}

// Erasure erases an institution's own holding of a record: versions that it anchored for its own patient, and its copies of
// documents that another anchored. The record is erased for readers with the first decision.
type Erasure struct {
	RecordName
	Versions   []Tag  `json:"versions,omitempty"`   // by their names
	Copies     []Tag  `json:"copies,omitempty"`     // by the documents' tags
	Generation uint32 `json:"generation,omitempty"` // of the tags that are erased
}

// Validate says what is wrong with it.
func (q Erasure) Validate() error {
	if err := q.RecordName.Validate(); err != nil {
		return err
	}
	n := len(q.Versions) + len(q.Copies)
	return refuseIf(unless(n > 0 && n <= MaxErasure, fmt.Sprintf("%d versions and copies: name 1 to %d", n, MaxErasure)),
		unless(!repeats(q.Versions) && !repeats(q.Copies), "a version or copy is named twice"))
}

func repeats(tags []Tag) bool {
	for i, t := range tags {
		if slices.Contains(tags[:i], t) {
			return true
		}
	}
	return false
}

// ErasureRefusal refuses a patient's request for erasure.
type ErasureRefusal struct {
	RecordName
	Reason RefusalReason `json:"reason"`
}

// RefusalReason is why an erasure is refused.
type RefusalReason string

// The reasons to refuse an erasure.
const (
	RefusedByHold      RefusalReason = "legal-hold"
	RefusedByRetention RefusalReason = "retention"
	RefusedByInterest  RefusalReason = "vital-or-public-interest"
)

// Validate says what is wrong with it.
func (q ErasureRefusal) Validate() error {
	if err := q.RecordName.Validate(); err != nil {
		return err
	}
	known := slices.Contains([]RefusalReason{RefusedByHold, RefusedByRetention, RefusedByInterest}, q.Reason)
	return refuseIf(unless(known, "the reason is unknown"))
}

// Validate implements Request.
func (q Proposal) Validate() error {
	var set []interface{ Validate() error }
	if q.Rebind != nil {
		set = append(set, q.Rebind)
	}
	if q.Assist != nil {
		set = append(set, q.Assist)
	}
	if q.BindPatient != nil {
		set = append(set, q.BindPatient)
	}
	if q.Erase != nil {
		set = append(set, q.Erase)
	}
	if q.RefuseErasure != nil {
		set = append(set, q.RefuseErasure)
	}
	if len(set) != 1 {
		return Errorf(BadRequest, "the proposal is about %d things: name one", len(set))
	}
	return set[0].Validate()
}

// About implements Concerning; zero for a lost key.
func (q Proposal) About() Reference {
	switch {
	case q.Assist != nil:
		return q.Assist.Patient
	case q.BindPatient != nil:
		return q.BindPatient.Patient
	case q.Erase != nil:
		return q.Erase.Patient
	case q.RefuseErasure != nil:
		return q.RefuseErasure.Patient
	}
	return Reference{}
}

// DecisionName asks ConfirmFunction and DeclineFunction.
type DecisionName struct {
	Decision ID `json:"decision"`
}

// Validate implements Request.
func (q DecisionName) Validate() error {
	return refuseIf(unless(!q.Decision.IsZero(), "no decision is named"))
}

// Decision is a proposal and what became of it.
type Decision struct {
	V           int           `json:"v"`
	ID          ID            `json:"id"`
	Institution ParticipantID `json:"institution"`
	Proposal    Proposal      `json:"proposal"`
	ProposedBy  ParticipantID `json:"proposed_by"`
	Proposed    time.Time     `json:"proposed"`
	State       DecisionState `json:"state"`
	DecidedBy   ParticipantID `json:"decided_by,omitzero"`
	Decided     time.Time     `json:"decided,omitzero"`
}

// DecisionState is where a decision stands.
type DecisionState string

// The states of a decision.
const (
	Open      DecisionState = "open"
	Confirmed DecisionState = "confirmed"
	Declined  DecisionState = "declined"
)
