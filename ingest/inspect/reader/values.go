package reader

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

// padding is what surrounds a value without meaning anything (PS3.5 §6.2).
const padding = " \x00"

// fill puts the values of a dataset, as text, into metadata.
func fill(m *document.Metadata, value func(tag) string) error {
	if err := fillIdentities(m, value); err != nil {
		return err
	}
	text := func(t tag) string { return wire.Text(strings.Trim(value(t), padding)) }
	m.PatientName = text(tagPatientName)
	m.BirthDate = text(tagBirthDate)
	m.Modality = text(tagModality)
	m.Description = cmp.Or(text(tagDescription), text(tagSeriesText))
	if m.SOPClassUID == encapsulatedPDF {
		m.Description = cmp.Or(text(tagTitle), m.Description)
	}
	m.Time = objectTime(value)
	m.Expected = count(value(tagInstances))
	return nil
}

// fillIdentities fills in what is compared. Such a value is refused rather than cut or cleaned.
func fillIdentities(m *document.Metadata, value func(tag) string) error {
	var namespace, universal, kind, mediaClass string
	for _, f := range []struct {
		field *string
		tag   tag
		limit int
	}{
		{&m.Patient.Identifier, tagPatientID, wire.MaxIdentifier},
		{&namespace, tagIssuer, wire.MaxIdentifier},
		{&universal, tagUniversalID, wire.MaxIdentifier},
		{&kind, tagUniversalType, wire.MaxIdentifier},
		{&m.StudyUID, tagStudy, wire.MaxUID},
		{&m.SeriesUID, tagSeries, wire.MaxUID},
		{&m.InstanceUID, tagInstance, wire.MaxUID},
		{&m.SOPClassUID, tagSOPClass, wire.MaxUID},
		{&mediaClass, tagMediaClass, wire.MaxUID},
	} {
		s := strings.Trim(value(f.tag), padding)
		if !wire.Clean(s, f.limit) || strings.ContainsRune(s, utf8.RuneError) {
			return fmt.Errorf("element %v: the identifier is too long or not clean", f.tag)
		}
		if f.limit == wire.MaxUID && !plain(s) {
			return fmt.Errorf("element %v: not a UID", f.tag)
		}
		*f.field = s
	}
	if m.Patient.Issuer = issuer(namespace, universal, kind); len(m.Patient.Issuer) > wire.MaxIdentifier {
		return fmt.Errorf("element %v: the issuer's names are too long together", tagQualifiers)
	}
	m.SOPClassUID = cmp.Or(m.SOPClassUID, mediaClass)
	return nil
}

// issuer names an issuer (PS3.3 C.12.1.1.1) by its local name, by its universal identifier or, where it has both, as HL7 v2 does
// (§2.A.33, HD): by all parts, since another hospital may use the same local name. The type, such as ISO, is left out where the
// identifier stands alone: nobody takes an OID for a domain name.
func issuer(namespace, universal, kind string) string {
	if namespace == "" || universal == "" || namespace == universal {
		return cmp.Or(namespace, universal)
	}
	escape := strings.NewReplacer(`\`, `\E\`, "&", `\T\`)
	parts := []string{escape.Replace(namespace), escape.Replace(universal)}
	if kind != "" {
		parts = append(parts, escape.Replace(kind))
	}
	return strings.Join(parts, "&")
}

// plain tells whether s could be a UID. Digits and dots are the rule (PS3.5 §9.1), but anonymisers write hashes.
func plain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) < 0
}

// uidValue trims a UID (PS3.5 §9.1: padded with NUL).
func uidValue(b []byte) string { return strings.Trim(string(b), padding) }

// count reads a number of instances (IS); 0 if it is none that can be.
func count(s string) int {
	n, err := strconv.Atoi(strings.Trim(s, padding))
	if err != nil || n < 0 || n > wire.MaxExpected {
		return 0
	}
	return n
}
