package record

// The prefixes of the nouns whose values are JSON, and of the audit. Those of documents, versions, holdings and anchorings
// are in key.go.
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
)

// BindingKey is the key of what a public key is bound to.
func BindingKey(f Fingerprint) string { return string(prefixBinding) + f.String() }

// PrefixKey is the key of whose an institution's prefix is.
func PrefixKey(p InstitutionPrefix) string { return string(prefixInstitution) + p.String() }

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

// GlassKey is the key of a participant's uses of break-glass that wait for review.
func GlassKey(id ParticipantID) string { return string(prefixGlass) + id.String() }

// StatusKey is the key of what became of a record.
func StatusKey(r Reference, t Tag) string { return string(prefixStatus) + r.String() + t.String() }

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

func rangeOf(prefix byte, begin string) (start, end string) {
	start = string(prefix) + begin
	return start, start + afterText
}
