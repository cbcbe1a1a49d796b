package record

import (
	"slices"
	"time"
)

// The functions of the contract of patients.
const (
	RegisterPatientFunction   = "patients:Register"          // (PatientRegistration), by the institution's office
	DeceasedFunction          = "patients:SetDeceased"       // (Deceased), by the institution's office
	LinkFunction              = "patients:Link"              // (Link), by the patient of both; or by both institutions' offices, one after the other
	UnlinkFunction            = "patients:Unlink"            // (Link), by the patient, or one of the institutions' offices
	MergeFunction             = "patients:Merge"             // (Link), by the office of the institution of both
	RepresentFunction         = "patients:Represent"         // (Representation), by the institution's office
	EndRepresentationFunction = "patients:EndRepresentation" // (RepresentationEnd), by the office, the patient or the representative

	HandOverFunction = "patients:HandOver" // (HandOver), by the appliance of the patient's institution

	PatientFunction  = "patients:Patient" // (reference) Patient
	PatientsFunction = "patients:List"    // (institution's participant ID, page size, bookmark) PatientPage
)

// Limits of what a patient has.
const (
	MaxLinks               = 16
	MaxRepresentatives     = 8 // those whose authority is over give way
	MaxRepresentationYears = 30
	MaxScopeRecords        = 64
)

// Patient is a patient of one institution as the ledger knows them: by a reference only.
type Patient struct {
	V         int       `json:"v"`
	Reference Reference `json:"reference"`
	// Participant is who signs for the patient, at whichever institution they enrolled; zero for a patient without a key.
	Participant ParticipantID `json:"participant,omitzero"`
	// Rebound is the participant's count when they were named.
	Rebound  int       `json:"rebound,omitempty"`
	Since    time.Time `json:"since"`
	Deceased time.Time `json:"deceased,omitzero"` // when it was recorded
	// Links are other references of the same person. They are not transitive: each pair was agreed on for itself.
	Links           []PatientLink    `json:"links,omitempty"`
	Representatives []Representative `json:"representatives,omitempty"`
}

// PatientLink is one link to another reference. Both patients have it.
type PatientLink struct {
	To    Reference `json:"to"`
	Kind  LinkKind  `json:"kind"`
	Since time.Time `json:"since"`
	// Participant is who signed for the other reference when institutions made the link. They are the patient under this one
	// too, while they sign for the other. The institution of the other reference can therefore not put somebody else in.
	Participant ParticipantID `json:"participant,omitzero"`
	// Rebound is that participant's count then.
	Rebound int `json:"rebound,omitempty"`
}

// LinkKind says who vouches for a link.
type LinkKind string

// The kinds of link.
const (
	SignedLink LinkKind = "signed" // the patient of both references
	AgreedLink LinkKind = "agreed" // both institutions
	MergeLink  LinkKind = "merge"  // the one institution of both
)

// LinkedTo says whether the patient is linked to another reference.
func (p Patient) LinkedTo(r Reference) bool {
	return slices.ContainsFunc(p.Links, func(l PatientLink) bool { return l.To == r })
}

// LinkProposal is what one institution said of two references, while the other has not.
type LinkProposal struct {
	V  int           `json:"v"`
	By ParticipantID `json:"by,omitzero"` // the institution that proposed; zero once it is agreed or taken back
	// Participant is who signed for the proposer's patient then, and Other who signed for the other's. It is what both agree to.
	Participant ParticipantID `json:"participant,omitzero"`
	Other       ParticipantID `json:"other,omitzero"`
	Time        time.Time     `json:"time"`
}

// LinkState is what LinkFunction answers as its result.
type LinkState string

// The states of a link that was asked for.
const (
	LinkProposed LinkState = "proposed" // it waits for the other institution
	LinkMade     LinkState = "linked"
)

// Authority is why somebody may act for a patient.
type Authority string

// The kinds of authority.
const (
	ParentAuthority   Authority = "parent"            // parental responsibility
	GuardianAuthority Authority = "guardian"          // appointed by a court
	AttorneyAuthority Authority = "power-of-attorney" // lasting power of attorney
	NominatedBy       Authority = "nominated"         // by the patient
	ExecutorAuthority Authority = "executor"          // of a deceased patient: the only one there is then
)

// Representative acts for a patient.
type Representative struct {
	Participant ParticipantID `json:"participant"`
	Rebound     int           `json:"rebound,omitempty"` // the participant's count when they were appointed
	Authority   Authority     `json:"authority"`
	Evidence    Tag           `json:"evidence"` // the document that shows it
	Since       time.Time     `json:"since"`
	Until       time.Time     `json:"until"`
	Scope       Scope         `json:"scope"`
}

// Scope is what of a history a right covers: all of it, or some kinds, or some records. What joins later is covered too.
type Scope struct {
	All     bool   `json:"all,omitempty"`
	Kinds   []Kind `json:"kinds,omitempty"`
	Records []Tag  `json:"records,omitempty"`
}

// Covers says whether the scope has a record of a kind.
func (s Scope) Covers(record Tag, kind Kind) bool {
	return s.All || slices.Contains(s.Kinds, kind) || slices.Contains(s.Records, record)
}

// Within says whether another scope covers all that this one does, as far as their texts tell.
func (s Scope) Within(other Scope) bool {
	if other.All {
		return true
	}
	if s.All {
		return false
	}
	for _, k := range s.Kinds {
		if !slices.Contains(other.Kinds, k) {
			return false
		}
	}
	for _, r := range s.Records {
		if !slices.Contains(other.Records, r) {
			return false
		}
	}
	return true
}

// Equal says whether both scopes name the same, in the same order.
func (s Scope) Equal(other Scope) bool {
	return s.All == other.All && slices.Equal(s.Kinds, other.Kinds) && slices.Equal(s.Records, other.Records)
}

func (s Scope) problem() string {
	switch {
	case s.All && (len(s.Kinds) > 0 || len(s.Records) > 0):
		return "the scope is all and something else: give one"
	case !s.All && len(s.Kinds) == 0 && len(s.Records) == 0:
		return "the scope is empty: give all, kinds or records"
	case len(s.Kinds) > int(KindOther) || len(s.Records) > MaxScopeRecords:
		return "the scope names too many kinds or records"
	case slices.ContainsFunc(s.Kinds, func(k Kind) bool { return !k.Valid() }):
		return "the scope names an unknown kind"
	case slices.ContainsFunc(s.Records, Tag.IsZero):
		return "the scope names an empty record"
	}
	return ""
}

// PatientRegistration asks RegisterPatientFunction: it makes the patient, or gives one who has none a participant.
type PatientRegistration struct {
	Patient     Reference     `json:"patient"`
	Participant ParticipantID `json:"participant,omitzero"`
}

// About implements Concerning.
func (q PatientRegistration) About() Reference { return q.Patient }

// Validate implements Request.
func (q PatientRegistration) Validate() error { return refuseIf(noPatient(q.Patient)) }

func noPatient(r Reference) string {
	switch r {
	case Reference{}:
		return "no patient is named"
	case InstitutionReference(r.Institution()):
		return "the reference is an institution's, not a patient's"
	}
	return ""
}

// Deceased asks DeceasedFunction; Alive takes a wrong flag back.
type Deceased struct {
	Patient Reference `json:"patient"`
	Alive   bool      `json:"alive,omitempty"`
}

// About implements Concerning.
func (q Deceased) About() Reference { return q.Patient }

// Validate implements Request.
func (q Deceased) Validate() error { return refuseIf(noPatient(q.Patient)) }

// Link asks LinkFunction, UnlinkFunction and MergeFunction: two references of one person.
type Link struct {
	Patient Reference `json:"patient"`
	To      Reference `json:"to"`
}

// About implements Concerning.
func (q Link) About() Reference { return q.Patient }

// Validate implements Request.
func (q Link) Validate() error {
	return refuseIf(noPatient(q.Patient), noPatient(q.To), unless(q.Patient != q.To, "a patient is linked to themselves"))
}

// HandOver asks HandOverFunction: the patient's secret is given to an appliance of an institution with a link, so that it
// recognises what is in the history already. The secret goes with it as a sealed note to the recipient.
type HandOver struct {
	Patient   Reference     `json:"patient"`
	To        Reference     `json:"to"`        // the linked reference
	Recipient ParticipantID `json:"recipient"` // an appliance of its institution
}

// About implements Concerning.
func (q HandOver) About() Reference { return q.Patient }

// Validate implements Request.
func (q HandOver) Validate() error {
	return refuseIf(noPatient(q.Patient), noPatient(q.To), unless(q.Patient != q.To, "a patient is linked to themselves"),
		unless(!q.Recipient.IsZero(), "no recipient is named"))
}

// Representation asks RepresentFunction.
type Representation struct {
	Patient     Reference     `json:"patient"`
	Participant ParticipantID `json:"participant"`
	Authority   Authority     `json:"authority"`
	Evidence    Tag           `json:"evidence"`
	Until       time.Time     `json:"until"`
	Scope       Scope         `json:"scope"`
}

// About implements Concerning.
func (q Representation) About() Reference { return q.Patient }

// Validate implements Request.
func (q Representation) Validate() error {
	known := slices.Contains([]Authority{ParentAuthority, GuardianAuthority, AttorneyAuthority, NominatedBy, ExecutorAuthority}, q.Authority)
	return refuseIf(noPatient(q.Patient), unless(!q.Participant.IsZero(), "no representative is named"),
		unless(known, "the kind of authority is unknown"), unless(!q.Evidence.IsZero(), "no document shows the authority"),
		validUntil(q.Until), q.Scope.problem())
}

// RepresentationEnd asks EndRepresentationFunction.
type RepresentationEnd struct {
	Patient     Reference     `json:"patient"`
	Participant ParticipantID `json:"participant"`
}

// About implements Concerning.
func (q RepresentationEnd) About() Reference { return q.Patient }

// Validate implements Request.
func (q RepresentationEnd) Validate() error {
	return refuseIf(noPatient(q.Patient), unless(!q.Participant.IsZero(), "no representative is named"))
}

// PatientsRange bounds the keys of an institution's patients: [start, end).
func PatientsRange(p InstitutionPrefix) (start, end string) {
	return rangeOf(prefixPatient, p.String())
}

// PatientPage is a page of an institution's patients, by reference.
type PatientPage struct {
	Patients []Patient `json:"patients"`
	Bookmark string    `json:"bookmark,omitempty"`
}
