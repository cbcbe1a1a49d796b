package record

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"
)

// The functions of the contract of consent.
const (
	RequestFunction    = "consent:Request"    // (AccessRequest), by a doctor
	ApproveFunction    = "consent:Approve"    // (Approval), by the patient or their representative
	RejectFunction     = "consent:Reject"     // (Choice), by the same
	RevokeFunction     = "consent:Revoke"     // (Choice), by the same
	RelinquishFunction = "consent:Relinquish" // (Choice), by the grantee
	ReferFunction      = "consent:Refer"      // (Referral), by the holding institution's office, or a supervising doctor
	BreakGlassFunction = "consent:BreakGlass" // (Emergency), by a doctor
	// LateEmergencyFunction records an emergency that was while the ledger was away.
	LateEmergencyFunction  = "consent:LateEmergency"  // (LateEmergency), by the appliance of the institution of doctor and patient
	ReviewFunction         = "consent:Review"         // (Review), by the holding institution's office
	SuperviseFunction      = "consent:Supervise"      // (SupervisionChange), by the holding institution's office
	EndSupervisionFunction = "consent:EndSupervision" // (SupervisionChange), by the same

	CheckAccessFunction = "consent:CheckAccess" // (participant, patient, record, version's name or "", mode) Access
	RelationsFunction   = "consent:Relations"   // (patient, page size, bookmark) RelationPage
	SupervisorsFunction = "consent:Supervisors" // (patient) Supervision
)

// Limits of consent.
const (
	MaxGrants         = 16 // between one patient and one participant, those that are over included until they are pruned
	MaxSupervisors    = 32 // of one patient, those that are over included until they are pruned
	MaxOpenGlass      = 8  // uses of break-glass by one doctor that wait for review
	MaxTeamsOfPatient = 8  // among them
	BreakGlassTime    = 4 * time.Hour
	// MaxLateEmergency is how long after it was an emergency can be recorded.
	MaxLateEmergency = 30 * 24 * time.Hour
	// MaxOpenLate is how many that are recorded late there may be beyond MaxOpenGlass, and beyond MaxGrants: they happened,
	// and are to be told, however many wait. One more has to wait until others are reviewed.
	MaxOpenLate     = 128
	MaxGrantTime    = 10 * 366 * 24 * time.Hour
	MaxReferralTime = 90 * 24 * time.Hour
)

// Mode is what a right allows.
type Mode string

// The modes.
const (
	Read  Mode = "read"
	Write Mode = "write"
)

func (m Mode) problem() string {
	return unless(m == Read || m == Write, "the mode is neither read nor write")
}

// ParseMode reads a mode.
func ParseMode(text string) (Mode, error) {
	m := Mode(text)
	return m, refuseIf(m.problem())
}

// Purpose is why somebody asks. It is a code, for a free text would stand on the ledger.
type Purpose string

// The purposes.
const (
	Treatment      Purpose = "treatment"
	SecondOpinion  Purpose = "second-opinion"
	Continuity     Purpose = "continuity-of-care" // the patient changed doctor or hospital
	Administration Purpose = "administration"
	Research       Purpose = "research"
)

func (p Purpose) problem() string {
	known := slices.Contains([]Purpose{Treatment, SecondOpinion, Continuity, Administration, Research}, p)
	return unless(known, "the purpose is unknown")
}

// GrantState is where a request or grant stands.
type GrantState string

// The states of a grant.
const (
	Requested    GrantState = "requested"
	Approved     GrantState = "approved"
	Rejected     GrantState = "rejected"
	Revoked      GrantState = "revoked"      // by the patient
	Relinquished GrantState = "relinquished" // by the grantee
)

// Relation is what is between a patient and a participant: requests, and what became of them.
type Relation struct {
	V           int           `json:"v"`
	Patient     Reference     `json:"patient"`
	Participant ParticipantID `json:"participant"`
	Grants      []Grant       `json:"grants,omitempty"`
}

// Grant is a request, or the right that came of it; a referral and a use of break-glass are grants of their own basis.
type Grant struct {
	ID      ID         `json:"id"` // of the request
	Basis   Basis      `json:"basis"`
	Mode    Mode       `json:"mode"`
	Scope   Scope      `json:"scope"`
	Purpose Purpose    `json:"purpose"`
	State   GrantState `json:"state"`
	Asked   time.Time  `json:"asked"`
	Decided time.Time  `json:"decided,omitzero"`
	// DecidedBy is the patient or representative; the institution's two people where it was assisted.
	DecidedBy []ParticipantID `json:"decided_by,omitempty"`
	Assisted  bool            `json:"assisted,omitempty"`
	Form      Tag             `json:"form,omitzero"` // the scanned form of an assisted decision
	Until     time.Time       `json:"until"`         // asked for; then granted
	// Late says that an emergency was recorded after it was: see LateEmergency.
	Late bool `json:"late,omitempty"`
	// Rebound is the grantee's count when they asked, or were given the grant.
	Rebound int `json:"rebound,omitempty"`
	// Review of a use of break-glass.
	Reviewed   time.Time     `json:"reviewed,omitzero"`
	ReviewedBy ParticipantID `json:"reviewed_by,omitzero"`
	Justified  bool          `json:"justified,omitempty"`
}

// Live says whether the grant gives a right at a transaction's timestamp.
func (g Grant) Live(now time.Time) bool { return g.State == Approved && !Over(g.Until, now) }

// Settled says whether the grant can neither give a right any more nor be decided, nor waits for review. One that was recorded
// late stays as long as it could be asked for again, so that it is recorded once.
func (g Grant) Settled(now time.Time) bool {
	waits := g.Basis == BasisBreakGlass && g.Reviewed.IsZero()
	again := g.Late && now.Before(g.Asked.Add(MaxLateEmergency+2*ClockSkew))
	return !waits && !again && (g.State != Requested && g.State != Approved || Over(g.Until, now))
}

// AccessRequest asks RequestFunction. A sealed note to the patient may go with it: who asks, and why.
type AccessRequest struct {
	Patient Reference `json:"patient"`
	Mode    Mode      `json:"mode"`
	Scope   Scope     `json:"scope"`
	Purpose Purpose   `json:"purpose"`
	Until   time.Time `json:"until"`
}

// About implements Concerning.
func (q AccessRequest) About() Reference { return q.Patient }

// Validate implements Request.
func (q AccessRequest) Validate() error {
	return refuseIf(noPatient(q.Patient), q.Mode.problem(), q.Scope.problem(), q.Purpose.problem(), validUntil(q.Until))
}

// Approval asks ApproveFunction. Scope and end may be narrower than what was asked for; unset, they are what was asked for.
type Approval struct {
	Patient     Reference     `json:"patient"`
	Participant ParticipantID `json:"participant"`
	Request     ID            `json:"request"`
	Scope       *Scope        `json:"scope,omitempty"`
	Until       time.Time     `json:"until,omitzero"`
}

// About implements Concerning.
func (q Approval) About() Reference { return q.Patient }

// Validate implements Request.
func (q Approval) Validate() error {
	scope := ""
	if q.Scope != nil {
		scope = q.Scope.problem()
	}
	return refuseIf(choiceProblem(q.Patient, q.Participant, q.Request), scope, validInstant(q.Until))
}

// Choice asks RejectFunction, RevokeFunction and RelinquishFunction.
type Choice struct {
	Patient     Reference     `json:"patient"`
	Participant ParticipantID `json:"participant"`
	Request     ID            `json:"request"`
}

// About implements Concerning.
func (q Choice) About() Reference { return q.Patient }

// Validate implements Request.
func (q Choice) Validate() error {
	return refuseIf(choiceProblem(q.Patient, q.Participant, q.Request))
}

func choiceProblem(patient Reference, participant ParticipantID, request ID) string {
	if problem := noPatient(patient); problem != "" {
		return problem
	}
	return unless(!participant.IsZero() && !request.IsZero(), "no participant or no request is named")
}

// Referral asks ReferFunction: reading by a professional elsewhere, for direct care.
type Referral struct {
	Patient     Reference     `json:"patient"`
	Participant ParticipantID `json:"participant"`
	Scope       Scope         `json:"scope"`
	Purpose     Purpose       `json:"purpose"`
	Until       time.Time     `json:"until"`
}

// About implements Concerning.
func (q Referral) About() Reference { return q.Patient }

// Validate implements Request.
func (q Referral) Validate() error {
	return refuseIf(noPatient(q.Patient), unless(!q.Participant.IsZero(), "no professional is named"), q.Scope.problem(),
		q.Purpose.problem(), validUntil(q.Until))
}

// Emergency asks BreakGlassFunction. The reason goes with it as a sealed note to the holding institution.
type Emergency struct {
	Patient Reference `json:"patient"`
	Scope   Scope     `json:"scope"`
}

// About implements Concerning.
func (q Emergency) About() Reference { return q.Patient }

// Validate implements Request.
func (q Emergency) Validate() error { return refuseIf(noPatient(q.Patient), q.Scope.problem()) }

// LateEmergency asks LateEmergencyFunction: a doctor read a record of their own institution's patient in an emergency, while the
// ledger was away. The doctor signed for it then. It gives no right any more once it is over, and waits for review as any use
// of break-glass. The reason goes with it as a sealed note to the institution. It is recorded once, whoever asks again.
type LateEmergency struct {
	EmergencyStatement
	// Signature is the doctor's, over EmergencyStatement.Message: ECDSA over SHA-256, ASN.1.
	Signature []byte `json:"signature"`
	// SigningKey is the doctor's key that verifies it, as SubjectPublicKeyInfo in DER, if they have another one now. Unset, it is
	// the one that they have on the ledger.
	SigningKey []byte `json:"signing_key,omitempty"`
}

// EmergencyStatement is what a doctor signs who reads in an emergency while the ledger is away.
type EmergencyStatement struct {
	Patient     Reference     `json:"patient"`
	Participant ParticipantID `json:"participant"` // the doctor
	Record      Tag           `json:"record"`
	ID          ID            `json:"id"`   // random: of the grant that it becomes
	Time        time.Time     `json:"time"` // by the appliance's clock, in whole seconds
	// Reason is the SHA-256 of the text of the reason.
	Reason []byte `json:"reason"`
}

// Message is what is signed:
//
//	"medanchor emergency" ‖ 0 ‖ patient (16) ‖ participant (16) ‖ record (16) ‖ ID (8) ‖ time (5) ‖ reason (32)
func (s EmergencyStatement) Message() []byte {
	m := append([]byte("medanchor emergency\x00"), s.Patient[:]...)
	m = append(append(append(m, s.Participant[:]...), s.Record[:]...), s.ID[:]...)
	return append(appendTime(m, s.Time), s.Reason...)
}

// About implements Concerning.
func (s EmergencyStatement) About() Reference { return s.Patient }

// Validate implements Request.
func (q LateEmergency) Validate() error {
	return refuseIf(noPatient(q.Patient),
		unless(!q.Participant.IsZero() && !q.Record.IsZero() && !q.ID.IsZero(), "no participant, record or ID is named"),
		unless(!q.Time.IsZero(), "no time is given"), validInstant(q.Time),
		unless(len(q.Reason) == sha256.Size, "the digest of the reason does not have 32 bytes"),
		unless(len(q.Signature) > 0 && len(q.Signature) <= maxSignatureBytes, "the statement is not signed"),
		unless(len(q.SigningKey) <= maxKeyBytes, "the signing key is too long"))
}

// Review asks ReviewFunction of a use of break-glass.
type Review struct {
	Patient     Reference     `json:"patient"`
	Participant ParticipantID `json:"participant"`
	Request     ID            `json:"request"`
	Justified   bool          `json:"justified"`
}

// About implements Concerning.
func (q Review) About() Reference { return q.Patient }

// Validate implements Request.
func (q Review) Validate() error {
	return refuseIf(choiceProblem(q.Patient, q.Participant, q.Request))
}

// OpenGlass are the uses of break-glass by one participant that wait for review.
type OpenGlass struct {
	V    int  `json:"v"`
	Open []ID `json:"open,omitempty"`
}

// Supervision is who supervises a patient.
type Supervision struct {
	V           int          `json:"v"`
	Patient     Reference    `json:"patient"`
	Supervisors []Supervisor `json:"supervisors,omitempty"`
}

// Supervisor is a doctor, or a team, of the institution that registered the patient.
type Supervisor struct {
	Participant ParticipantID `json:"participant,omitzero"`
	Team        ParticipantID `json:"team,omitzero"`
	Since       time.Time     `json:"since"`
	Until       time.Time     `json:"until,omitzero"` // zero: until it is ended
}

// SupervisionChange asks SuperviseFunction and EndSupervisionFunction: of one doctor or one team.
type SupervisionChange struct {
	Patient     Reference     `json:"patient"`
	Participant ParticipantID `json:"participant,omitzero"`
	Team        ParticipantID `json:"team,omitzero"`
	Until       time.Time     `json:"until,omitzero"`
}

// About implements Concerning.
func (q SupervisionChange) About() Reference { return q.Patient }

// Validate implements Request.
func (q SupervisionChange) Validate() error {
	return refuseIf(noPatient(q.Patient), validInstant(q.Until),
		unless(q.Participant.IsZero() != q.Team.IsZero(), "name one doctor or one team"))
}

// Supervisor is the doctor or the team.
func (q SupervisionChange) Supervisor() ParticipantID {
	if q.Team.IsZero() {
		return q.Participant
	}
	return q.Team
}

// Names says whether the change is about the supervisor.
func (q SupervisionChange) Names(s Supervisor) bool {
	return s.Participant == q.Participant && s.Team == q.Team
}

// Access is what CheckAccess decides.
type Access struct {
	Allowed bool      `json:"allowed"`
	Basis   Basis     `json:"basis"`
	Until   time.Time `json:"until,omitzero"` // zero: until something changes
	Grant   ID        `json:"grant,omitzero"` // the grant, where the basis is one
	Reason  Denial    `json:"reason,omitempty"`
}

// Denial is why access is denied.
type Denial string

// The denials.
const (
	DeniedNoBasis   Denial = "no-basis"
	DeniedWithdrawn Denial = "withdrawn" // filed in error
	DeniedErased    Denial = "erased"
	DeniedSuspended Denial = "suspended" // or unknown to the ledger
)

// Explain is a sentence for the reader.
func (d Denial) Explain() string {
	switch d {
	case DeniedNoBasis:
		return "you have no right to this record: ask the patient for access"
	case DeniedWithdrawn:
		return "withdrawn: filed in error"
	case DeniedErased:
		return "the record was erased"
	case DeniedSuspended:
		return "your participation is suspended or unknown: ask your institution"
	}
	return fmt.Sprintf("denied (%s)", string(d))
}

// RelationPage is a page of a patient's relations, by participant.
type RelationPage struct {
	Relations []Relation `json:"relations"`
	Bookmark  string     `json:"bookmark,omitempty"`
}
