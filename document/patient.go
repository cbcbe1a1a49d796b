package document

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// NHS is the issuer of NHS numbers, as PatientRules spells it.
const NHS = "NHS"

// PatientID is (issuer, identifier): who the hospital says the patient is. Personal data.
type PatientID struct {
	Issuer     string `json:"issuer"`
	Identifier string `json:"identifier"`
}

// PatientRules say which identifiers are one patient, and which are nobody's: people who share a placeholder would
// otherwise share a history. The zero value knows what is built in.
type PatientRules struct {
	// Issuer is that of identifiers that name none.
	Issuer string
	// NHSIssuers are the hospital's own names for the issuer of NHS numbers, beside those that are built in.
	NHSIssuers []string
	// Placeholders are the hospital's own, beside those that are built in.
	Placeholders []string
}

// Check gives the form of id in which patients are compared, and the reason why it identifies nobody; "" if it does.
//
// Issuers are compared exactly, but all names of the NHS become NHS: among them what has its name or its OID in a part, where
// it is written as in HL7 v2 (name&universal identifier&type). NHS numbers are compared without spaces and
// hyphens, other identifiers without the space around them: what is inside may matter to their issuer.
func (r PatientRules) Check(id PatientID) (PatientID, Reason) {
	id = PatientID{Issuer: r.issuer(id.Issuer), Identifier: strings.TrimSpace(id.Identifier)}
	if id.Identifier == "" {
		return id, ReasonNoPatient
	}
	if id.Issuer == NHS {
		id.Identifier = compact(id.Identifier)
	}
	switch {
	case r.placeholder(id.Identifier):
		return id, ReasonPlaceholder
	case id.Issuer == NHS && !isNHSNumber(id.Identifier):
		return id, ReasonBadIdentifier
	case id.Issuer == NHS && consistsOf(id.Identifier, id.Identifier[:1]):
		return id, ReasonPlaceholder // 1111111111 and the like: each has a valid check digit
	}
	return id, ""
}

func (r PatientRules) issuer(name string) string {
	name = strings.TrimSpace(cmp.Or(strings.TrimSpace(name), r.Issuer))
	local, rest, _ := strings.Cut(name, "&")
	universal, _, _ := strings.Cut(rest, "&")
	if slices.ContainsFunc([]string{name, local, universal}, r.isNHS) {
		return NHS
	}
	return name
}

// isNHS says whether a name of an issuer is one of the NHS.
func (r PatientRules) isNHS(name string) bool {
	name = strings.TrimSpace(name)
	same := func(spelling string) bool { return name != "" && strings.EqualFold(strings.TrimSpace(spelling), name) }
	return slices.ContainsFunc(nhsIssuers(), same) || slices.ContainsFunc(r.NHSIssuers, same)
}

// nhsIssuers are the well-known names of the issuer of NHS numbers: in words, as OID, and as FHIR identifier system.
func nhsIssuers() []string {
	const oid = "2.16.840.1.113883.2.1.4.1"
	return []string{
		NHS, oid, "urn:oid:" + oid, "https://fhir.nhs.uk/Id/nhs-number", "http://fhir.nhs.net/Id/nhs-number",
	}
}

// placeholder says whether an identifier stands for nobody: one without any letter or digit, one of zeros or of the
// letter X alone, or one of the placeholders, compared without case, spaces and hyphens.
func (r PatientRules) placeholder(identifier string) bool {
	word := strings.ToUpper(compact(identifier))
	same := func(placeholder string) bool { return strings.EqualFold(compact(placeholder), word) }
	return strings.IndexFunc(word, letterOrDigit) < 0 || consistsOf(word, "0") || consistsOf(word, "X") ||
		slices.ContainsFunc(placeholders(), same) || slices.ContainsFunc(r.Placeholders, same)
}

// placeholders are what modalities, gateways and people at consoles write where no identifier is known. Only words are
// among them, and ID1, which some modalities bring as their default. Numbers such as 123456 or 99999 are not: each can
// be somebody's at some hospital, which configures those that are nobody's there.
func placeholders() []string {
	return []string{
		"anon", "anonymised", "anonymized", "anonymous", "dummy", "emergency", "id", "id1", "missing", "n/a", "n.a.",
		"na", "new patient", "nil", "no id", "no name", "none", "not available", "not known", "null", "patient",
		"patient id", "phantom", "pid", "tba", "tbc", "tbd", "temp", "temporary", "test", "test patient", "undefined",
		"unidentified", "unk", "unknown", "unknown patient", "unkown", "unnamed",
	}
}

// isNHSNumber says whether s is ten digits, the last of which is the check digit of the others by modulus 11 (NHS Data
// Dictionary, NHS NUMBER): a tenth digit of weight 1 makes the weighted sum a multiple of 11. Where that would take a
// check digit of 10, the number is not issued, and no digit fits.
func isNHSNumber(s string) bool {
	if len(s) != 10 {
		return false
	}
	sum := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		sum += int(s[i]-'0') * (10 - i)
	}
	return sum%11 == 0
}

// compact leaves out spaces and hyphens of all kinds.
func compact(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return r
	}, s)
}

func consistsOf(s, character string) bool { return s != "" && strings.Trim(s, character) == "" }

func letterOrDigit(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
