package wire

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/medanchor/medanchor/document"
)

// The longest strings that metadata may hold, in bytes. Identifiers are compared, so a longer one is refused, never cut:
// two patients must not become one. Text for people is cut.
const (
	MaxUID        = 64  // PS3.5 §9.1
	MaxIdentifier = 256 // LO: 64 characters of up to 4 bytes
	MaxText       = 1024
)

// Check tells whether metadata of a file of the given size is within bounds: known words, valid UTF-8 without control
// characters, offsets inside the file.
func Check(m document.Metadata, size int64) error {
	switch {
	case !knownFormat(m.Format):
		return fmt.Errorf("%w: unknown format", ErrProtocol)
	case !knownProblem(m.Problem):
		return fmt.Errorf("%w: unknown problem", ErrProtocol)
	case m.DatasetOffset < 0 || m.DatasetOffset > 0 && (m.DatasetOffset >= size || m.Format != document.FormatDICOM || !m.Problem.Understood()):
		return fmt.Errorf("%w: a dataset outside the file", ErrProtocol)
	case m.Pages < 0:
		return fmt.Errorf("%w: a negative number of pages", ErrProtocol)
	case !m.Time.IsZero() && (m.Time.Year() < 1 || m.Time.Year() > 9999):
		return fmt.Errorf("%w: a time outside the calendar", ErrProtocol)
	}
	for _, s := range []struct {
		value string
		limit int
	}{
		{m.Patient.Issuer, MaxIdentifier},
		{m.Patient.Identifier, MaxIdentifier},
		{m.StudyUID, MaxUID},
		{m.SeriesUID, MaxUID},
		{m.InstanceUID, MaxUID},
		{m.SOPClassUID, MaxUID},
		{m.TransferSyntaxUID, MaxUID},
		{m.PatientName, MaxText},
		{m.BirthDate, MaxText},
		{m.Modality, MaxText},
		{m.Description, MaxText},
		{m.Parser, MaxText},
		{m.Detail, MaxText},
	} {
		if !Clean(s.value, s.limit) {
			return fmt.Errorf("%w: text that is too long or not clean", ErrProtocol)
		}
	}
	return nil
}

// Clean tells whether s is valid UTF-8 of at most limit bytes without control characters.
func Clean(s string, limit int) bool {
	return len(s) <= limit && utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// Text makes text for people clean: what is not UTF-8 is replaced, control characters become spaces, and the rest is cut
// at MaxText bytes.
func Text(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.TrimSpace(s)
	if len(s) <= MaxText {
		return s
	}
	end := MaxText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

func knownFormat(f document.Format) bool {
	switch f {
	case document.FormatDICOM, document.FormatPDF, document.FormatText, document.FormatUnknown:
		return true
	default:
		return false
	}
}

func knownProblem(p document.Reason) bool {
	switch p {
	case "", document.ReasonNotUnderstood, document.ReasonTruncated, document.ReasonNoPatient,
		document.ReasonNoInstance, document.ReasonTooLarge, document.ReasonEncrypted, document.ReasonInspectFailed:
		return true
	default:
		return false
	}
}
