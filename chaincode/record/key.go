package record

import (
	"fmt"
	"strconv"
)

// Keys have a one-letter prefix and fixed width, and are ASCII: Fabric wants valid UTF-8. The texts of tags and
// references do not sort as their bytes do, which nothing needs; version numbers do, as 4 hexadecimal digits.
const (
	prefixDocument  = 'D'
	prefixVersion   = 'R'
	prefixAnchoring = 'A'

	tagWidth         = 22
	anchoringIDWidth = 11
	numberWidth      = 4

	documentKeyWidth  = 1 + tagWidth
	versionKeyWidth   = 1 + tagWidth + tagWidth + numberWidth
	anchoringKeyWidth = 1 + anchoringIDWidth

	// afterText sorts after every character of base64url and hexadecimal: it ends a range of keys.
	afterText = "~"
)

// DocumentKey is the key of a document.
func DocumentKey(t Tag) string { return string(prefixDocument) + t.String() }

// VersionKey is the key of one version of a record.
func VersionKey(patient Reference, record Tag, number uint16) string {
	return recordPrefix(patient, record) + fmt.Sprintf("%04x", number)
}

// AnchoringKey is the key of an anchoring.
func AnchoringKey(id AnchoringID) string { return string(prefixAnchoring) + id.String() }

// PatientRange bounds the keys of all versions of a patient's records: [start, end).
func PatientRange(patient Reference) (start, end string) {
	start = string(prefixVersion) + patient.String()
	return start, start + afterText
}

// RecordRange bounds the keys of all versions of one record, in the order of their numbers: [start, end).
func RecordRange(patient Reference, record Tag) (start, end string) {
	start = recordPrefix(patient, record)
	return start, start + afterText
}

func recordPrefix(patient Reference, record Tag) string {
	return string(prefixVersion) + patient.String() + record.String()
}

// IsDocumentKey says whether key has the prefix of a document.
func IsDocumentKey(key string) bool { return hasPrefix(key, prefixDocument) }

// IsVersionKey says whether key has the prefix of a version.
func IsVersionKey(key string) bool { return hasPrefix(key, prefixVersion) }

// IsAnchoringKey says whether key has the prefix of an anchoring.
func IsAnchoringKey(key string) bool { return hasPrefix(key, prefixAnchoring) }

func hasPrefix(key string, prefix byte) bool { return key != "" && key[0] == prefix }

// ParseDocumentKey reads what DocumentKey gives.
func ParseDocumentKey(key string) (Tag, error) {
	if len(key) != documentKeyWidth || !IsDocumentKey(key) {
		return Tag{}, fmt.Errorf("parse document key %q: want D and a tag", key)
	}
	return ParseTag(key[1:])
}

// ParseVersionKey reads what VersionKey gives.
func ParseVersionKey(key string) (patient Reference, record Tag, number uint16, err error) {
	if len(key) != versionKeyWidth || !IsVersionKey(key) {
		return patient, record, 0, fmt.Errorf("parse version key %q: want R, a reference, a tag and a number", key)
	}
	if patient, err = ParseReference(key[1 : 1+tagWidth]); err != nil {
		return patient, record, 0, err
	}
	if record, err = ParseTag(key[1+tagWidth : 1+2*tagWidth]); err != nil {
		return patient, record, 0, err
	}
	n, err := strconv.ParseUint(key[1+2*tagWidth:], 16, 16)
	if err != nil || VersionKey(patient, record, uint16(n)) != key {
		return patient, record, 0, fmt.Errorf("parse version key %q: want a number of 4 lower-case digits", key)
	}
	return patient, record, uint16(n), nil
}

// ParseAnchoringKey reads what AnchoringKey gives.
func ParseAnchoringKey(key string) (AnchoringID, error) {
	if len(key) != anchoringKeyWidth || !IsAnchoringKey(key) {
		return AnchoringID{}, fmt.Errorf("parse anchoring key %q: want A and an anchoring ID", key)
	}
	return ParseAnchoringID(key[1:])
}
