package record

import "fmt"

// The prefixes of the nouns whose values are JSON, of the audit and of releases. Those of documents, versions, holdings and
// anchorings are in key.go.
const (
	prefixBinding     = 'B' // fingerprint → Binding
	prefixInstitution = 'I' // institution's prefix → PrefixHolder
	prefixParticipant = 'P' // participant ID → Participant
	prefixTeam        = 'E' // team's ID → Team
	prefixPatient     = 'T' // reference → Patient
	prefixLink        = 'L' // two references, the lower first → LinkProposal
	prefixSupervision = 'S' // reference → Supervision
	prefixRelation    = 'G' // reference, participant → Relation
	prefixGlass       = 'Y' // participant → OpenGlass
	prefixStatus      = 'W' // reference, record → RecordStatus
	prefixDecision    = 'Q' // ID → Decision
	prefixSlot        = 'N' // doctor, slot (8 hexadecimal digits) → Appointment
	prefixDiary       = 'J' // reference, slot, doctor → Appointment, a second time: a patient's
	prefixAudit       = 'U' // reference, ID, number (2 hexadecimal digits) → AuditEntry, packed
	prefixRelease     = 'K' // reference, recipient, ID → StoredRelease, packed; in the MembersCollection SealedRelease, packed

	releaseKeyWidth = 1 + 2*tagWidth + anchoringIDWidth
)

// BindingKey is the key of what a public key is bound to.
func BindingKey(f Fingerprint) string { return string(prefixBinding) + f.String() }

// PrefixKey is the key of whose an institution's prefix is.
func PrefixKey(p InstitutionPrefix) string { return string(prefixInstitution) + p.String() }

// PrefixRange bounds the keys of all institutions' prefixes: [start, end).
func PrefixRange() (start, end string) { return rangeOf(prefixInstitution, "") }

// ParticipantKey is the key of a participant.
func ParticipantKey(id ParticipantID) string { return string(prefixParticipant) + id.String() }

// TeamKey is the key of a team.
func TeamKey(id ParticipantID) string { return string(prefixTeam) + id.String() }

// PatientKey is the key of a patient.
func PatientKey(r Reference) string { return string(prefixPatient) + r.String() }

// LinkKey is the key of the proposal to link two references, in either order.
func LinkKey(a, b Reference) string {
	first, second := a.String(), b.String()
	if second < first {
		first, second = second, first
	}
	return string(prefixLink) + first + second
}

// SupervisionKey is the key of who supervises a patient.
func SupervisionKey(r Reference) string { return string(prefixSupervision) + r.String() }

// RelationKey is the key of what is between a patient and a participant: requests and grants.
func RelationKey(r Reference, id ParticipantID) string {
	return string(prefixRelation) + r.String() + id.String()
}

// RelationRange bounds the keys of a patient's relations: [start, end).
func RelationRange(r Reference) (start, end string) { return rangeOf(prefixRelation, r.String()) }

// RelationsRange bounds the keys of all relations: [start, end).
func RelationsRange() (start, end string) { return rangeOf(prefixRelation, "") }

// ParseRelationKey reads what RelationKey gives.
func ParseRelationKey(key string) (r Reference, id ParticipantID, err error) {
	if len(key) != 1+2*tagWidth || !hasPrefix(key, prefixRelation) {
		return r, id, fmt.Errorf("parse relation key %q: want G, a reference and a participant", key)
	}
	if r, err = ParseReference(key[1 : 1+tagWidth]); err != nil {
		return r, id, err
	}
	id, err = ParseParticipantID(key[1+tagWidth:])
	return r, id, err
}

// IsRelationKey says whether key has the prefix of a relation.
func IsRelationKey(key string) bool { return hasPrefix(key, prefixRelation) }

// IsPatientKey says whether key has the prefix of a patient.
func IsPatientKey(key string) bool { return hasPrefix(key, prefixPatient) }

// IsParticipantKey says whether key has the prefix of a participant.
func IsParticipantKey(key string) bool { return hasPrefix(key, prefixParticipant) }

// IsStatusKey says whether key has the prefix of what became of a record.
func IsStatusKey(key string) bool { return hasPrefix(key, prefixStatus) }

// IsAuditKey says whether key has the prefix of an audit entry.
func IsAuditKey(key string) bool { return hasPrefix(key, prefixAudit) }

// GlassKey is the key of a participant's uses of break-glass that wait for review.
func GlassKey(id ParticipantID) string { return string(prefixGlass) + id.String() }

// StatusKey is the key of what became of a record.
func StatusKey(r Reference, t Tag) string { return string(prefixStatus) + r.String() + t.String() }

// ParseStatusKey reads what StatusKey gives.
func ParseStatusKey(key string) (r Reference, t Tag, err error) {
	if len(key) != 1+2*tagWidth || !IsStatusKey(key) {
		return r, t, fmt.Errorf("parse status key %q: want W, a reference and a tag", key)
	}
	if r, err = ParseReference(key[1 : 1+tagWidth]); err != nil {
		return r, t, err
	}
	t, err = ParseTag(key[1+tagWidth:])
	return r, t, err
}

// StatusRange bounds the keys of the statuses of a patient's records: [start, end).
func StatusRange(r Reference) (start, end string) { return rangeOf(prefixStatus, r.String()) }

// DecisionKey is the key of a decision of two people.
func DecisionKey(id ID) string { return string(prefixDecision) + id.String() }

// AuditKey is the key of an entry of a patient's audit; n counts the entries of one transaction.
func AuditKey(r Reference, id ID, n byte) string {
	const digits = "0123456789abcdef"
	return string(prefixAudit) + r.String() + id.String() + string([]byte{digits[n>>4], digits[n&15]})
}

// AuditRange bounds the keys of a patient's audit: [start, end). The order within it is no order of time.
func AuditRange(r Reference) (start, end string) { return rangeOf(prefixAudit, r.String()) }

// InstitutionAuditRange bounds the keys of the audit of all of an institution's patients, and of itself: [start, end).
func InstitutionAuditRange(p InstitutionPrefix) (start, end string) {
	return rangeOf(prefixAudit, p.String())
}

// ParticipantRange bounds the keys of an institution's participants: [start, end).
func ParticipantRange(p InstitutionPrefix) (start, end string) {
	return rangeOf(prefixParticipant, p.String())
}

// ReleaseKey is the key of a release, both of its public value and in the MembersCollection.
func ReleaseKey(r Reference, recipient ParticipantID, id ID) string {
	return string(prefixRelease) + r.String() + recipient.String() + id.String()
}

// ReleaseRange bounds the keys of the releases of a patient's records to a recipient: [start, end).
func ReleaseRange(r Reference, recipient ParticipantID) (start, end string) {
	return rangeOf(prefixRelease, r.String()+recipient.String())
}

// PatientReleaseRange bounds the keys of all releases of a patient's records: [start, end).
func PatientReleaseRange(r Reference) (start, end string) { return rangeOf(prefixRelease, r.String()) }

// ReleasesRange bounds the keys of all releases: [start, end).
func ReleasesRange() (start, end string) { return rangeOf(prefixRelease, "") }

// IsReleaseKey says whether key has the prefix of a release.
func IsReleaseKey(key string) bool { return hasPrefix(key, prefixRelease) }

// ParseReleaseKey reads what ReleaseKey gives.
func ParseReleaseKey(key string) (r Reference, recipient ParticipantID, id ID, err error) {
	if len(key) != releaseKeyWidth || !IsReleaseKey(key) {
		return r, recipient, id, fmt.Errorf("parse release key %q: want K, a reference, a participant and an ID", key)
	}
	if r, err = ParseReference(key[1 : 1+tagWidth]); err != nil {
		return r, recipient, id, err
	}
	if recipient, err = ParseParticipantID(key[1+tagWidth : 1+2*tagWidth]); err != nil {
		return r, recipient, id, err
	}
	id, err = ParseID(key[1+2*tagWidth:])
	return r, recipient, id, err
}

func rangeOf(prefix byte, begin string) (start, end string) {
	start = string(prefix) + begin
	return start, start + afterText
}
