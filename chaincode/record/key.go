package record

import "fmt"

// Keys have a one-letter prefix and fixed width, and are ASCII: Fabric wants valid UTF-8. The texts of tags and
// references do not sort as their bytes do, which nothing needs.
const (
	prefixDocument  = 'D'
	prefixVersion   = 'R'
	prefixAnchoring = 'A'
	prefixHolding   = 'O'

	tagWidth               = 22
	anchoringIDWidth       = 11
	institutionPrefixWidth = 8

	documentKeyWidth  = 1 + tagWidth
	versionKeyWidth   = 1 + 3*tagWidth
	anchoringKeyWidth = 1 + anchoringIDWidth
	holdingKeyWidth   = 1 + institutionPrefixWidth + tagWidth

	// afterText sorts after every character of base64url: it ends a range of keys.
	afterText = "~"
)

// DocumentKey is the key of a document.
func DocumentKey(t Tag) string { return string(prefixDocument) + t.String() }

// VersionKey is the key of the version of a record that has the name.
func VersionKey(patient Reference, record, name Tag) string {
	return string(prefixVersion) + patient.String() + record.String() + name.String()
}

// AnchoringKey is the key of an anchoring.
func AnchoringKey(id AnchoringID) string { return string(prefixAnchoring) + id.String() }

// HoldingKey is the key of an institution's own copy of a document that another had anchored before.
func HoldingKey(institution InstitutionPrefix, t Tag) string {
	return string(prefixHolding) + institution.String() + t.String()
}

// VersionRange bounds the keys of all versions: [start, end).
func VersionRange() (start, end string) { return rangeOf(prefixVersion, "") }

// InstitutionRange bounds the keys of all versions of the records of an institution's patients: [start, end).
func InstitutionRange(institution InstitutionPrefix) (start, end string) {
	return rangeOf(prefixVersion, institution.String())
}

// PatientRange bounds the keys of all versions of a patient's records: [start, end).
func PatientRange(patient Reference) (start, end string) {
	return rangeOf(prefixVersion, patient.String())
}

// RecordRange bounds the keys of all versions of one record: [start, end). Their order says nothing.
func RecordRange(patient Reference, record Tag) (start, end string) {
	return rangeOf(prefixVersion, patient.String()+record.String())
}

// HoldingRange bounds the keys of an institution's copies of documents that others had anchored before: [start, end).
func HoldingRange(institution InstitutionPrefix) (start, end string) {
	return rangeOf(prefixHolding, institution.String())
}

// IsDocumentKey says whether key has the prefix of a document.
func IsDocumentKey(key string) bool { return hasPrefix(key, prefixDocument) }

// IsVersionKey says whether key has the prefix of a version.
func IsVersionKey(key string) bool { return hasPrefix(key, prefixVersion) }

// IsAnchoringKey says whether key has the prefix of an anchoring.
func IsAnchoringKey(key string) bool { return hasPrefix(key, prefixAnchoring) }

// IsHoldingKey says whether key has the prefix of a holding.
func IsHoldingKey(key string) bool { return hasPrefix(key, prefixHolding) }

func hasPrefix(key string, prefix byte) bool { return key != "" && key[0] == prefix }

// ParseDocumentKey reads what DocumentKey gives.
func ParseDocumentKey(key string) (Tag, error) {
	if len(key) != documentKeyWidth || !IsDocumentKey(key) {
		return Tag{}, fmt.Errorf("parse document key %q: want D and a tag", key)
	}
	return ParseTag(key[1:])
}

// ParseVersionKey reads what VersionKey gives.
func ParseVersionKey(key string) (patient Reference, record, name Tag, err error) {
	if len(key) != versionKeyWidth || !IsVersionKey(key) {
		return patient, record, name, fmt.Errorf("parse version key %q: want R, a reference and two tags", key)
	}
	if patient, err = ParseReference(key[1 : 1+tagWidth]); err != nil {
		return patient, record, name, err
	}
	if record, err = ParseTag(key[1+tagWidth : 1+2*tagWidth]); err != nil {
		return patient, record, name, err
	}
	name, err = ParseTag(key[1+2*tagWidth:])
	return patient, record, name, err
}

// ParseAnchoringKey reads what AnchoringKey gives.
func ParseAnchoringKey(key string) (AnchoringID, error) {
	if len(key) != anchoringKeyWidth || !IsAnchoringKey(key) {
		return AnchoringID{}, fmt.Errorf("parse anchoring key %q: want A and an anchoring ID", key)
	}
	return ParseAnchoringID(key[1:])
}

// ParseHoldingKey reads what HoldingKey gives.
func ParseHoldingKey(key string) (institution InstitutionPrefix, t Tag, err error) {
	if len(key) != holdingKeyWidth || !IsHoldingKey(key) {
		return institution, t, fmt.Errorf("parse holding key %q: want O, an institution's prefix and a tag", key)
	}
	if institution, err = ParseInstitutionPrefix(key[1 : 1+institutionPrefixWidth]); err != nil {
		return institution, t, err
	}
	t, err = ParseTag(key[1+institutionPrefixWidth:])
	return institution, t, err
}
