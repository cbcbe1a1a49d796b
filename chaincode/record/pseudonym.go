package record

import "crypto/sha256"

// InstitutionPrefix is how the pseudonyms of an institution begin: the first 6 bytes of its participant ID, which are 8
// characters of a pseudonym's text. By it the contract knows whose patient a reference is without reading a key, and
// everything of one institution is one range of keys.
type InstitutionPrefix [6]byte

// ParticipantID is a participant's 16-byte pseudonym. An institution's is InstitutionID; that of anybody else is their
// institution's prefix and 10 random bytes. Same text form as a Tag.
type ParticipantID [16]byte

// InstitutionID is the participant ID of the institution that is the channel's member mspID: the first 16 bytes of
//
//	SHA-256("medanchor institution" ‖ 0 ‖ MSP ID)
//
// A member can therefore be one institution only, and knows its ID before it reaches the ledger.
func InstitutionID(mspID string) ParticipantID {
	sum := sha256.Sum256([]byte("medanchor institution\x00" + mspID))
	return ParticipantID(sum[:16])
}

// NewParticipantID makes the ID of a participant of the member's. The caller brings the randomness.
func NewParticipantID(mspID string, random [10]byte) ParticipantID {
	return ParticipantID(pseudonym(mspID, random))
}

// NewReference makes the reference of a patient of the member's. The caller brings the randomness.
func NewReference(mspID string, random [10]byte) Reference {
	return Reference(pseudonym(mspID, random))
}

func pseudonym(mspID string, random [10]byte) (p [16]byte) {
	institution := InstitutionID(mspID)
	copy(p[:], institution[:6])
	copy(p[6:], random[:])
	return p
}

// Institution is the prefix of the participant's institution.
func (id ParticipantID) Institution() InstitutionPrefix { return InstitutionPrefix(id[:6]) }

// Institution is the prefix of the institution that registered the patient.
func (r Reference) Institution() InstitutionPrefix { return InstitutionPrefix(r[:6]) }

// String gives 8 characters of base64url.
func (p InstitutionPrefix) String() string { return base64url.EncodeToString(p[:]) }

// String gives 22 characters of base64url.
func (id ParticipantID) String() string { return base64url.EncodeToString(id[:]) }

// IsZero says whether the ID is unset.
func (id ParticipantID) IsZero() bool { return id == ParticipantID{} }

// MarshalText gives the form of String.
func (id ParticipantID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the form of String.
func (id *ParticipantID) UnmarshalText(text []byte) error {
	return parseBase64(id[:], string(text), "participant ID")
}

// ParseParticipantID reads the form that ParticipantID.String gives.
func ParseParticipantID(s string) (id ParticipantID, err error) {
	return id, id.UnmarshalText([]byte(s))
}
