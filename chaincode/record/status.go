package record

import (
	"fmt"
	"slices"
	"time"
)

// The functions of the contract of records that are about what became of a record, and of copies; those of erasure; and
// those of the audit.
const (
	WithdrawFunction = "records:Withdraw"  // (Correction), by the institution's office: it was filed in error
	RefileFunction   = "records:Refile"    // (Correction), by the same: the withdrawal was the error
	StableFunction   = "records:SetStable" // (StableRecords), by the institution's appliance
	HoldCopyFunction = "records:HoldCopy"  // (Copies), by the appliance of another institution with a link
	StatusFunction   = "records:Status"    // (patient, record) RecordStatus

	RequestErasureFunction = "erasure:Request" // (RecordName), by the patient or their representative
	LegalHoldFunction      = "erasure:Hold"    // (LegalHoldChange), by the institution's office
	EndLegalHoldFunction   = "erasure:EndHold" // (LegalHoldChange), by the institution itself

	AccessFunction           = "audit:Access"          // (Accesses), by the reader, or by the reader's or holder's appliance
	AuditFunction            = "audit:List"            // (patient, page size, bookmark) AuditPage
	InstitutionAuditFunction = "audit:ListInstitution" // (institution's participant ID, page size, bookmark) AuditPage
	EntryFunction            = "audit:Entry"           // (patient, ID, number) AuditEntry
	SealedNoteFunction       = "audit:Sealed"          // (ID, recipient) SealedNote
)

// Limits.
const (
	MaxStable   = 200
	MaxCopies   = 200
	MaxHolders  = 16 // other institutions with copies of documents of one record
	MaxAccesses = 200
)

// RecordStatus is what became of a record; a record to which nothing happened has none.
type RecordStatus struct {
	V         int          `json:"v"`
	Patient   Reference    `json:"patient"`
	Record    Tag          `json:"record"`
	Stable    time.Time    `json:"stable,omitzero"`    // no more instances were expected after this
	Withdrawn time.Time    `json:"withdrawn,omitzero"` // filed in error
	Erasure   ErasureState `json:"erasure,omitempty"`
	ErasureAt time.Time    `json:"erasure_at,omitzero"` // of the state
	// Refusal is why the erasure was refused.
	Refusal RefusalReason `json:"refusal,omitempty"`
	Holds   []LegalHold   `json:"holds,omitempty"` // one of a reason
	// Holders are other institutions that hold, or held, copies of documents of the record.
	Holders []InstitutionPrefix `json:"holders,omitempty"`
}

// ErasureState is where a request for erasure stands.
type ErasureState string

// The states of an erasure.
const (
	ErasureRequested ErasureState = "requested"
	ErasureRefused   ErasureState = "refused"
	ErasureDone      ErasureState = "erased"
)

// LegalHold forbids to erase a record.
type LegalHold struct {
	Reason HoldReason    `json:"reason"`
	By     ParticipantID `json:"by"`
	Since  time.Time     `json:"since"`
}

// HoldReason is why a record must be kept.
type HoldReason string

// The reasons of a legal hold.
const (
	Litigation    HoldReason = "litigation"
	Investigation HoldReason = "investigation"
	PublicHealth  HoldReason = "public-health"
)

// RecordName names a record of a patient.
type RecordName struct {
	Patient Reference `json:"patient"`
	Record  Tag       `json:"record"`
}

// About implements Concerning.
func (q RecordName) About() Reference { return q.Patient }

// Validate implements Request.
func (q RecordName) Validate() error {
	return refuseIf(noPatient(q.Patient), unless(!q.Record.IsZero(), "no record is named"))
}

// Correction asks WithdrawFunction and RefileFunction.
type Correction struct{ RecordName }

// StableRecords asks StableFunction: no more instances of these are expected. Later ones still join.
type StableRecords struct {
	Records []RecordName `json:"records"`
}

// Validate implements Request.
func (q StableRecords) Validate() error {
	if len(q.Records) == 0 || len(q.Records) > MaxStable {
		return Errorf(BadRequest, "%d records: send 1 to %d", len(q.Records), MaxStable)
	}
	for i, r := range q.Records {
		if err := r.Validate(); err != nil {
			return err
		}
		if slices.Contains(q.Records[:i], r) {
			return Errorf(BadRequest, "a record is named twice: send it once")
		}
	}
	return nil
}

// Copies asks HoldCopyFunction: the caller's institution holds copies of documents of a patient who is linked to its own.
type Copies struct {
	Patient Reference `json:"patient"` // the institution's own
	Of      Reference `json:"of"`      // the patient under whom the documents stand
	Copies  []Copy    `json:"copies"`
}

// Copy is a copy of a document that another institution anchored.
type Copy struct {
	Record  Tag `json:"record"`
	Version Tag `json:"version"` // the name of the version that brought the document
	Tag     Tag `json:"tag"`
	CID     CID `json:"cid"` // of the copy: sealed anew, so another than the document's
}

// About implements Concerning.
func (q Copies) About() Reference { return q.Of }

// Validate implements Request.
func (q Copies) Validate() error {
	if err := refuseIf(noPatient(q.Patient), noPatient(q.Of)); err != nil {
		return err
	}
	if len(q.Copies) == 0 || len(q.Copies) > MaxCopies {
		return Errorf(BadRequest, "%d copies: send 1 to %d", len(q.Copies), MaxCopies)
	}
	for i, c := range q.Copies {
		if c.Record.IsZero() || c.Version.IsZero() || c.Tag.IsZero() || !c.CID.Valid() {
			return Errorf(BadRequest, "copy %d lacks a record, version, tag or CID", i)
		}
		for _, earlier := range q.Copies[:i] {
			if earlier.Tag == c.Tag {
				return Errorf(BadRequest, "a document is named twice: send it once")
			}
		}
	}
	return nil
}

// LegalHoldChange asks LegalHoldFunction and EndLegalHoldFunction.
type LegalHoldChange struct {
	RecordName
	Reason HoldReason `json:"reason"`
}

// Validate implements Request.
func (q LegalHoldChange) Validate() error {
	if err := q.RecordName.Validate(); err != nil {
		return err
	}
	known := slices.Contains([]HoldReason{Litigation, Investigation, PublicHealth}, q.Reason)
	return refuseIf(unless(known, "the reason of the hold is unknown"))
}

// Accesses asks AccessFunction: each is decided by CheckAccess and written to its patient's audit, allowed or not. The
// unit is a record and a session: a viewer's many requests are one access.
type Accesses struct {
	Accesses []AccessAttempt `json:"accesses"`
}

// AccessAttempt is somebody's wish to open a record.
type AccessAttempt struct {
	Participant ParticipantID `json:"participant"` // the reader
	Patient     Reference     `json:"patient"`
	Record      Tag           `json:"record"`
	Version     Tag           `json:"version"` // any of the record's versions: its kind decides by a scope
	Session     ID            `json:"session"` // random, the client's
}

// Validate implements Request.
func (q Accesses) Validate() error {
	if len(q.Accesses) == 0 || len(q.Accesses) > MaxAccesses {
		return Errorf(BadRequest, "%d accesses: send 1 to %d", len(q.Accesses), MaxAccesses)
	}
	for i, a := range q.Accesses {
		if err := refuseIf(noPatient(a.Patient), unless(!a.Participant.IsZero() && !a.Record.IsZero() && !a.Version.IsZero() &&
			!a.Session.IsZero(), fmt.Sprintf("access %d lacks a participant, record, version or session", i))); err != nil {
			return err
		}
	}
	return nil
}
