package wire

import "strings"

// What we are to our peers. The class UID is made from a UUID (PS3.5 §B.2), and is for good.
const (
	ImplementationClassUID    = "2.25.233309895799457463920097910906345948838"
	ImplementationVersionName = "MEDANCHOR_1"
)

// The transfer syntaxes that are encoded in another way than the rest (PS3.5 §10, Annex A).
const (
	ImplicitLittleEndian  = "1.2.840.10008.1.2"
	ExplicitLittleEndian  = "1.2.840.10008.1.2.1"
	DeflatedLittleEndian  = "1.2.840.10008.1.2.1.99"
	ExplicitBigEndian     = "1.2.840.10008.1.2.2"
	JPIPReferencedDeflate = "1.2.840.10008.1.2.4.95"
	JPIPHTJ2KDeflate      = "1.2.840.10008.1.2.4.205"
)

const maxUID = 64 // characters (PS3.5 §9.1)

// ValidUID says whether s is a UID: up to 64 digits and dots, no component empty (PS3.5 §9.1). Leading zeros are let pass:
// devices that make such UIDs are in use, and their images are wanted.
func ValidUID(s string) bool {
	if s == "" || len(s) > maxUID || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if s[i] != '.' && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}

// trimUID takes off the padding: a NUL by the standard, a space by some.
func trimUID(s string) string { return strings.TrimRight(s, "\x00 ") }

// ValidTitle says whether s, without its padding, is an AE title: 1 to 16 characters of ASCII, no control character or
// backslash (PS3.5 §6.2, AE).
func ValidTitle(s string) bool {
	if s == "" || len(s) > titleSize || strings.TrimSpace(s) != s {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '\\' {
			return false
		}
	}
	return true
}

// trimTitle takes off the padding: spaces by the standard, NULs by some.
func trimTitle(s string) string { return strings.TrimLeft(strings.TrimRight(s, " \x00"), " ") }
