package record

import (
	"errors"
	"fmt"
	"time"
)

// Action is what an audit entry tells of. The numbers stand on the ledger: never renumber.
type Action uint8

// The actions.
const (
	ActRegisterInstitution Action = iota + 1
	ActUpdateInstitution
	ActInvite
	ActJoin
	ActRotate
	ActSuspend
	ActReinstate
	ActRebind
	ActSetTeam
	ActRegisterPatient
	ActBindPatient
	ActDeceased
	ActLink
	ActUnlink
	ActMerge
	ActRepresent
	ActEndRepresentation
	ActSupervise
	ActEndSupervision
	ActRequest
	ActApprove
	ActReject
	ActRevoke
	ActRelinquish
	ActRefer
	ActBreakGlass
	ActReview
	ActAccess  // a record was opened to be read
	ActRelease // its keys were given to a reader
	ActWrite   // a document was anchored by a grant to write
	ActWithdraw
	ActRefile
	ActStable
	ActHoldCopy // another institution holds the same document
	ActLegalHold
	ActEndLegalHold
	ActRequestErasure
	ActRefuseErasure
	ActErase
	ActPropose // a decision, which waits for the second person
	ActConfirm
	ActDecline
	ActProposeAppointment
	ActAcceptAppointment
	ActDeclineAppointment
	ActCancelAppointment
	ActCompleteAppointment
	ActEndRelease    // the keys that were given are taken from the ledger
	ActHandOver      // the patient's secret was given to an institution with a link
	ActLateEmergency // an emergency that was recorded while the ledger was away
	lastAction       = ActLateEmergency
)

// actionNames are the text forms of the actions; the place in the list is the number.
var actionNames = [...]string{
	"", "register-institution", "update-institution", "invite", "join", "rotate", "suspend", "reinstate", "rebind",
	"set-team", "register-patient", "bind-patient", "deceased", "link", "unlink", "merge", "represent",
	"end-representation", "supervise", "end-supervision", "request", "approve", "reject", "revoke", "relinquish",
	"refer", "break-glass", "review", "access", "release", "write", "withdraw", "refile", "stable", "hold-copy",
	"legal-hold", "end-legal-hold", "request-erasure", "refuse-erasure", "erase", "propose", "confirm", "decline",
	"propose-appointment", "accept-appointment", "decline-appointment", "cancel-appointment", "complete-appointment",
	"end-release", "hand-over", "late-emergency",
}

// Valid says whether the action is one of the known.
func (a Action) Valid() bool { return a >= ActRegisterInstitution && a <= lastAction }

// String gives a name such as "break-glass".
func (a Action) String() string {
	if !a.Valid() {
		return fmt.Sprintf("action(%d)", uint8(a))
	}
	return actionNames[a]
}

// MarshalText gives the form of String.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the form of String.
func (a *Action) UnmarshalText(text []byte) error {
	for n := ActRegisterInstitution; n <= lastAction; n++ {
		if actionNames[n] == string(text) {
			*a = n
			return nil
		}
	}
	return fmt.Errorf("parse action %.80q: not a known one", text)
}

// Basis is by which right somebody acted or has access. The numbers stand on the ledger: never renumber.
type Basis uint8

// The bases (docs/ledger-model.md).
const (
	NoBasis             Basis = iota // denied
	BasisPatient                     // the patient
	BasisRepresentative              // their representative
	BasisSupervision                 // the doctor, or their team, whom the holding institution put in charge
	BasisGrant                       // the patient's approval
	BasisReferral                    // the holding institution passed it on
	BasisBreakGlass                  // an emergency
	BasisInstitution                 // the institution's own duty
	BasisAppliance                   // on the institution's behalf
	BasisTwoPeople                   // a decision of two people at the institution
	BasisParticipant                 // oneself: one's own key, request or appointment
	lastBasis           = BasisParticipant
)

var basisNames = [...]string{
	"none", "patient", "representative", "supervision", "grant", "referral", "break-glass", "institution", "appliance",
	"two-people", "participant",
}

// String gives a name such as "break-glass".
func (b Basis) String() string {
	if b > lastBasis {
		return fmt.Sprintf("basis(%d)", uint8(b))
	}
	return basisNames[b]
}

// MarshalText gives the form of String.
func (b Basis) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads the form of String.
func (b *Basis) UnmarshalText(text []byte) error {
	for n := NoBasis; n <= lastBasis; n++ {
		if basisNames[n] == string(text) {
			*b = n
			return nil
		}
	}
	return fmt.Errorf("parse basis %.80q: not a known one", text)
}

// AuditEntry is one thing that somebody did, or was refused, about a patient; or about an institution, under
// InstitutionReference.
type AuditEntry struct {
	Patient Reference         `json:"patient"`
	ID      ID                `json:"id"`     // of the transaction
	Number  byte              `json:"number"` // of the entry in it
	Action  Action            `json:"action"`
	Denied  bool              `json:"denied,omitempty"`
	Basis   Basis             `json:"basis"`
	Member  InstitutionPrefix `json:"member"`         // whose identity signed the transaction
	Actor   ParticipantID     `json:"actor,omitzero"` // zero if the ledger did not know who signed
	Time    time.Time         `json:"time"`
	// What it was about, where there is such a thing.
	Subject ParticipantID `json:"subject,omitzero"` // such as the grantee
	Record  Tag           `json:"record,omitzero"`
	About   ID            `json:"about,omitzero"` // such as the request that was approved, or the session of an access
	Until   time.Time     `json:"until,omitzero"`
}

// InstitutionReference is the reference under which the audit has what is about the institution itself.
func InstitutionReference(p InstitutionPrefix) (r Reference) {
	copy(r[:], p[:])
	return r
}

// The flags of a packed audit entry.
const (
	auditDenied = 1 << iota
	auditActor
	auditSubject
	auditRecord
	auditAbout
	auditUntil
	auditFlags = 1<<6 - 1
)

// Encode packs the value under AuditKey: schema version (1), action (1), basis (1), flags (1), the member's prefix (6), time (5),
// and what the flags name, in their order: actor (16), subject (16), record (16), about (8), until (5).
func (e AuditEntry) Encode() []byte {
	var flags byte
	set := func(bit byte, is bool) {
		if is {
			flags |= bit
		}
	}
	set(auditDenied, e.Denied)
	set(auditActor, !e.Actor.IsZero())
	set(auditSubject, !e.Subject.IsZero())
	set(auditRecord, !e.Record.IsZero())
	set(auditAbout, !e.About.IsZero())
	set(auditUntil, !e.Until.IsZero())
	b := append([]byte{schemaVersion, byte(e.Action), byte(e.Basis), flags}, e.Member[:]...)
	b = appendTime(b, e.Time)
	if flags&auditActor != 0 {
		b = append(b, e.Actor[:]...)
	}
	if flags&auditSubject != 0 {
		b = append(b, e.Subject[:]...)
	}
	if flags&auditRecord != 0 {
		b = append(b, e.Record[:]...)
	}
	if flags&auditAbout != 0 {
		b = append(b, e.About[:]...)
	}
	if flags&auditUntil != 0 {
		b = appendTime(b, e.Until)
	}
	return b
}

var errAuditEntry = errors.New("holds an unknown action, basis or flag, or a field that is flagged and empty")

// DecodeAuditEntry reads a key and the value that Encode gave.
func DecodeAuditEntry(key string, value []byte) (AuditEntry, error) {
	e, err := parseAuditKey(key)
	if err != nil {
		return AuditEntry{}, err
	}
	d := newDecoder(value)
	e.Action, e.Basis = Action(d.byte()), Basis(d.byte())
	flags := d.byte()
	e.Member, e.Time = InstitutionPrefix(d.take(6)), d.time()
	e.Denied = flags&auditDenied != 0
	if flags&auditActor != 0 {
		e.Actor = ParticipantID(d.take(16))
	}
	if flags&auditSubject != 0 {
		e.Subject = ParticipantID(d.take(16))
	}
	if flags&auditRecord != 0 {
		e.Record = Tag(d.take(16))
	}
	if flags&auditAbout != 0 {
		e.About = ID(d.take(8))
	}
	if flags&auditUntil != 0 {
		e.Until = d.time()
	}
	if err := d.end(); err != nil {
		return AuditEntry{}, fmt.Errorf("decode audit entry: value %w", err)
	}
	if !e.Action.Valid() || e.Basis > lastBasis || flags&^byte(auditFlags) != 0 || string(e.Encode()) != string(value) {
		return AuditEntry{}, fmt.Errorf("decode audit entry: value %w", errAuditEntry)
	}
	return e, nil
}

const auditKeyWidth = 1 + tagWidth + anchoringIDWidth + 2

func parseAuditKey(key string) (e AuditEntry, err error) {
	if len(key) != auditKeyWidth || key[0] != prefixAudit {
		return e, fmt.Errorf("parse audit key %q: want U, a reference, an ID and a number", key)
	}
	if e.Patient, err = ParseReference(key[1 : 1+tagWidth]); err != nil {
		return e, err
	}
	if e.ID, err = ParseID(key[1+tagWidth : 1+tagWidth+anchoringIDWidth]); err != nil {
		return e, err
	}
	for _, c := range []byte(key[auditKeyWidth-2:]) {
		switch {
		case c >= '0' && c <= '9':
			e.Number = e.Number<<4 | (c - '0')
		case c >= 'a' && c <= 'f':
			e.Number = e.Number<<4 | (c - 'a' + 10)
		default:
			return e, fmt.Errorf("parse audit key %q: its number is not 2 hexadecimal digits", key)
		}
	}
	return e, nil
}

// AuditLine is an entry with what the ledger knows of its people now. The names of people are not on the ledger.
type AuditLine struct {
	AuditEntry
	ActorRole          Role   `json:"actor_role,omitempty"`
	ActorInstitution   string `json:"actor_institution,omitempty"` // its name; of the member, where nobody is known
	SubjectRole        Role   `json:"subject_role,omitempty"`
	SubjectInstitution string `json:"subject_institution,omitempty"`
}

// AuditPage is a page of an audit. Its order is no order of time.
type AuditPage struct {
	Entries  []AuditLine `json:"entries"`
	Bookmark string      `json:"bookmark,omitempty"`
}

// ActedEvent is the name of the event of every transaction but anchoring. Its payload is a packed Acted.
const ActedEvent = "acted"

// Acted is the payload of the event ActedEvent. The block's writes say the rest.
type Acted struct {
	ID     ID
	Action Action
	Denied bool
}

// Encode packs the event: schema version (1), ID (8), action (1), 1 if it was denied.
func (a Acted) Encode() []byte {
	b := append([]byte{schemaVersion}, a.ID[:]...)
	if a.Denied {
		return append(b, byte(a.Action), 1)
	}
	return append(b, byte(a.Action), 0)
}

// DecodeActed reads what Acted.Encode gives.
func DecodeActed(wire []byte) (Acted, error) {
	d := newDecoder(wire)
	a := Acted{ID: ID(d.take(8)), Action: Action(d.byte())}
	denied := d.byte()
	a.Denied = denied == 1
	if err := d.end(); err != nil {
		return Acted{}, fmt.Errorf("decode event: it %w", err)
	}
	if !a.Action.Valid() || denied > 1 {
		return Acted{}, errors.New("decode event: holds an unknown action")
	}
	return a, nil
}
