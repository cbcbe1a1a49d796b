package record

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The functions of the contract of participants.
const (
	RegisterInstitutionFunction = "participants:RegisterInstitution" // (InstitutionRegistration), by an institution's first identity
	UpdateInstitutionFunction   = "participants:UpdateInstitution"   // (InstitutionUpdate)
	InviteFunction              = "participants:Invite"              // (Invite)
	JoinFunction                = "participants:Join"                // (Join), by the invited
	RotateFunction              = "participants:Rotate"              // (Rotation), by the old key
	SuspendFunction             = "participants:Suspend"             // (Suspension)
	ReinstateFunction           = "participants:Reinstate"           // (Suspension)
	SetTeamFunction             = "participants:SetTeam"             // (Team)

	ParticipantFunction  = "participants:Participant" // (participant ID, or an institution's prefix) Participant
	ParticipantsFunction = "participants:List"        // (institution's participant ID, page size, bookmark) ParticipantPage
	TeamFunction         = "participants:Team"        // (team's ID) Team
	WhoAmIFunction       = "participants:WhoAmI"      // () Participant: the caller
)

// Role is what a participant is.
type Role string

// The roles. A certificate claims one in its attribute RoleAttribute; the ledger holds the one that counts.
const (
	InstitutionRole    Role = "institution"    // the hospital's administrator and controller
	ApplianceRole      Role = "appliance"      // anchors and releases keys on its institution's behalf
	DoctorRole         Role = "doctor"         // a doctor or other professional who treats
	StaffRole          Role = "staff"          // registers patients, assigns supervision, decides in pairs
	PatientRole        Role = "patient"        // sees their history and decides on it
	RepresentativeRole Role = "representative" // acts for patients
)

// Valid says whether the role is one of the known.
func (r Role) Valid() bool {
	return slices.Contains([]Role{
		InstitutionRole, ApplianceRole, DoctorRole, StaffRole, PatientRole, RepresentativeRole,
	}, r)
}

// ParticipantAttribute is the attribute of a certificate that names the participant whose it claims to be.
const ParticipantAttribute = "medanchor.participant"

// Status is where a participant stands.
type Status string

// The statuses of a participant.
const (
	Invited   Status = "invited" // no key is bound yet
	Active    Status = "active"
	Suspended Status = "suspended"
)

// Fingerprint names a public key of a member: what a participant is bound to.
type Fingerprint [16]byte

// FingerprintOf gives the first 16 bytes of
//
//	SHA-256("medanchor key" ‖ 0 ‖ MSP ID ‖ 0 ‖ SubjectPublicKeyInfo, DER)
//
// The same key under another member has another fingerprint.
func FingerprintOf(mspID string, publicKey []byte) Fingerprint {
	sum := sha256.Sum256(slices.Concat([]byte("medanchor key\x00"), []byte(mspID), []byte{0}, publicKey))
	return Fingerprint(sum[:16])
}

// String gives 22 characters of base64url.
func (f Fingerprint) String() string { return base64url.EncodeToString(f[:]) }

// IsZero says whether the fingerprint is unset.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// MarshalText gives the form of String.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads the form of String.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	return parseBase64(f[:], string(text), "fingerprint")
}

// Participant is a participant as the ledger knows them.
type Participant struct {
	V      int           `json:"v"`
	ID     ParticipantID `json:"id"`
	Role   Role          `json:"role"`
	MSPID  string        `json:"msp_id"`
	Status Status        `json:"status"`
	Since  time.Time     `json:"since"` // of the status
	// Key is the key that they sign with, of their member; zero until they joined.
	Key Fingerprint `json:"key,omitzero"`
	// Rebound counts how often two people of their institution replaced a lost key. What they are at other institutions ends
	// with that, until it is given to them again: else their own institution could become them everywhere.
	Rebound int `json:"rebound,omitempty"`
	// EncryptionKey is their HPKE public key (ML-KEM-768 + X25519), with the signature of their signing key over
	// EncryptionKeyMessage (ECDSA over SHA-256, ASN.1).
	EncryptionKey []byte `json:"encryption_key,omitempty"`
	Signature     []byte `json:"signature,omitempty"`
	// SigningKey verifies Signature: SubjectPublicKeyInfo, DER.
	SigningKey []byte `json:"signing_key,omitempty"`
	// Institution is what only an institution has.
	Institution *Institution `json:"institution,omitempty"`
}

// Institution is what an institution says of itself.
type Institution struct {
	Name      string   `json:"name"`                // its public name
	Addresses []string `json:"addresses,omitempty"` // multiaddrs of its IPFS node in the private swarm
	// Retention says for how many years records of a kind must be kept, from their date.
	Retention []Retention `json:"retention,omitempty"`
	// NoReferrals switches referrals of its records off.
	NoReferrals bool `json:"no_referrals,omitempty"`
}

// Retention is a retention period.
type Retention struct {
	Kind  Kind `json:"kind"`
	Years int  `json:"years"`
}

// Limits of what participants say of themselves.
const (
	EncryptionKeySize = 1216 // ML-KEM-768 + X25519
	MaxNameBytes      = 200
	MaxAddresses      = 16
	MaxAddressBytes   = 300
	MaxRetentionYears = 200
	MaxTeamMembers    = 64
	MaxShifts         = 32 // of one member of a team
	maxSignatureBytes = 80 // of ECDSA P-256 in ASN.1
	maxKeyBytes       = 200
)

// EncryptionKeyMessage is what a participant's signing key signs to vouch for their encryption key:
//
//	"medanchor encryption key" ‖ 0 ‖ participant ID (16) ‖ length of the key (4) ‖ key
func EncryptionKeyMessage(id ParticipantID, key []byte) []byte {
	m := append([]byte("medanchor encryption key\x00"), id[:]...)
	m = binary.BigEndian.AppendUint32(m, uint32(len(key))) //nolint:gosec // a key is short
	return append(m, key...)
}

// RotationMessage is what the new signing key signs to take over from the old one:
//
//	"medanchor key rotation" ‖ 0 ‖ participant ID (16) ‖ length of the new key (4) ‖ new key (SubjectPublicKeyInfo, DER)
func RotationMessage(id ParticipantID, newKey []byte) []byte {
	m := append([]byte("medanchor key rotation\x00"), id[:]...)
	m = binary.BigEndian.AppendUint32(m, uint32(len(newKey))) //nolint:gosec // a key is short
	return append(m, newKey...)
}

// InstitutionRegistration asks RegisterInstitutionFunction: the caller becomes the institution of their member.
type InstitutionRegistration struct {
	Institution
	EncryptionKey []byte `json:"encryption_key"`
	Signature     []byte `json:"signature"` // over EncryptionKeyMessage
}

// Validate implements Request.
func (q InstitutionRegistration) Validate() error {
	return refuseIf(q.problem(), encryptionKeyProblem(q.EncryptionKey, q.Signature))
}

// InstitutionUpdate asks UpdateInstitutionFunction: all of it replaces what was there.
type InstitutionUpdate struct {
	Institution
}

// Validate implements Request.
func (q InstitutionUpdate) Validate() error { return refuseIf(q.problem()) }

func (i Institution) problem() string {
	switch {
	case strings.TrimSpace(i.Name) == "" || len(i.Name) > MaxNameBytes || !utf8.ValidString(i.Name):
		return fmt.Sprintf("the institution's name is empty, no UTF-8, or longer than %d bytes", MaxNameBytes)
	case len(i.Addresses) > MaxAddresses:
		return fmt.Sprintf("%d addresses: give at most %d", len(i.Addresses), MaxAddresses)
	}
	for _, a := range i.Addresses {
		if !strings.HasPrefix(a, "/") || len(a) > MaxAddressBytes {
			return "an address is no multiaddr such as /ip4/203.0.113.7/tcp/4001/p2p/12D3…"
		}
	}
	for n, r := range i.Retention {
		if !r.Kind.Valid() || r.Years < 0 || r.Years > MaxRetentionYears {
			return fmt.Sprintf("a retention period is of an unknown kind or not from 0 to %d years", MaxRetentionYears)
		}
		for _, earlier := range i.Retention[:n] {
			if earlier.Kind == r.Kind {
				return "two retention periods of one kind: give one"
			}
		}
	}
	return ""
}

func encryptionKeyProblem(key, signature []byte) string {
	switch {
	case len(key) != EncryptionKeySize:
		return fmt.Sprintf("the encryption key has %d bytes: ML-KEM-768 + X25519 has %d", len(key), EncryptionKeySize)
	case len(signature) == 0 || len(signature) > maxSignatureBytes:
		return "the encryption key is not signed"
	}
	return ""
}

// Invite asks InviteFunction, by the institution; staff may invite patients and representatives.
type Invite struct {
	Participant ParticipantID `json:"participant"`
	Role        Role          `json:"role"`
}

// Validate implements Request.
func (q Invite) Validate() error {
	return refuseIf(
		unless(!q.Participant.IsZero(), "no participant is named"),
		unless(q.Role.Valid() && q.Role != InstitutionRole, "the role cannot be given: an institution registers itself"),
	)
}

// Join asks JoinFunction, by the invited, whose certificate names the participant: it binds the key.
type Join struct {
	EncryptionKey []byte `json:"encryption_key"`
	Signature     []byte `json:"signature"` // over EncryptionKeyMessage
}

// Validate implements Request.
func (q Join) Validate() error { return refuseIf(encryptionKeyProblem(q.EncryptionKey, q.Signature)) }

// Rotation asks RotateFunction, by the participant with their old key: it binds the new ones. The old key is never bound again.
type Rotation struct {
	NewKey        []byte `json:"new_key"`        // SubjectPublicKeyInfo, DER
	Proof         []byte `json:"proof"`          // of the new key, over RotationMessage
	EncryptionKey []byte `json:"encryption_key"` // the old one may stay
	Signature     []byte `json:"signature"`      // of the new key, over EncryptionKeyMessage
}

// Validate implements Request.
func (q Rotation) Validate() error {
	return refuseIf(newKeyProblem(q.NewKey, q.Proof), encryptionKeyProblem(q.EncryptionKey, q.Signature))
}

func newKeyProblem(key, proof []byte) string {
	return unless(len(key) > 0 && len(key) <= maxKeyBytes && len(proof) > 0 && len(proof) <= maxSignatureBytes,
		"the new key or its proof is missing or too long")
}

// Suspension asks SuspendFunction and ReinstateFunction, by the participant's institution.
type Suspension struct {
	Participant ParticipantID `json:"participant"`
}

// Validate implements Request.
func (q Suspension) Validate() error {
	return refuseIf(unless(!q.Participant.IsZero(), "no participant is named"))
}

// Team is a group of professionals of one institution. SetTeamFunction replaces all of it.
type Team struct {
	V       int           `json:"v,omitempty"`
	ID      ParticipantID `json:"id"` // with the institution's prefix
	Members []TeamMember  `json:"members,omitempty"`
}

// TeamMember is a member of a team during their shifts; always, without any.
type TeamMember struct {
	Participant ParticipantID `json:"participant"`
	Shifts      []Shift       `json:"shifts,omitempty"`
}

// Shift is a time on duty: [From, Until).
type Shift struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// Validate implements Request.
func (q Team) Validate() error {
	if q.ID.IsZero() || len(q.Members) > MaxTeamMembers {
		return Errorf(BadRequest, "the team has no ID, or %d members: at most %d", len(q.Members), MaxTeamMembers)
	}
	for _, m := range q.Members {
		if m.Participant.IsZero() || len(m.Shifts) > MaxShifts {
			return Errorf(BadRequest, "a member of the team has no ID, or %d shifts: at most %d", len(m.Shifts), MaxShifts)
		}
		for _, s := range m.Shifts {
			if err := refuseIf(validUntil(s.Until), validInstant(s.From),
				unless(s.From.Before(s.Until), "a shift ends before it begins")); err != nil {
				return err
			}
		}
	}
	return nil
}

// OnDuty says whether the participant is in the team at a time, and until when; zero is for as long as they are a member.
func (q Team) OnDuty(id ParticipantID, now time.Time) (until time.Time, on bool) {
	for _, m := range q.Members {
		if m.Participant != id {
			continue
		}
		if len(m.Shifts) == 0 {
			return time.Time{}, true
		}
		for _, s := range m.Shifts {
			if !now.Before(s.From) && !Over(s.Until, now) {
				return s.Until, true
			}
		}
	}
	return time.Time{}, false
}

// ParticipantPage is a page of an institution's participants, by ID.
type ParticipantPage struct {
	Participants []Participant `json:"participants"`
	Bookmark     string        `json:"bookmark,omitempty"`
}

// Binding is what a public key is bound to. A retired key is never bound again.
type Binding struct {
	V           int           `json:"v"`
	Participant ParticipantID `json:"participant"`
	Retired     bool          `json:"retired,omitempty"`
}

// PrefixHolder is whose an institution's prefix is.
type PrefixHolder struct {
	V           int           `json:"v"`
	Institution ParticipantID `json:"institution"`
}
