package wire

import (
	"fmt"
	"slices"
	"strings"
	"time"
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
	MaxWords      = 2048 // of the beginning of a document's text
)

// The other bounds of metadata.
const (
	MaxNumbers  = 8         // NHS numbers found in a text
	MaxExpected = 1_000_000 // instances of a study
)

// Check tells whether metadata of a file of the given size is within bounds: known words, valid UTF-8 without control
// characters, offsets inside the file.
func Check(m document.Metadata, size int64) error {
	switch {
	case !knownFormat(m.Format):
		return fmt.Errorf("%w: unknown format", ErrProtocol)
	case !knownProblem(m.Problem):
		return fmt.Errorf("%w: unknown problem", ErrProtocol)
	case !offsetsInside(m, size):
		return fmt.Errorf("%w: a dataset or pixels outside the file", ErrProtocol)
	case m.Pages < 0 || m.Expected < 0 || m.Expected > MaxExpected:
		return fmt.Errorf("%w: a number of pages or instances that cannot be", ErrProtocol)
	case !inCalendar(m.Time) || !inCalendar(m.Time.UTC()):
		return fmt.Errorf("%w: a time outside the calendar", ErrProtocol)
	case len(m.Numbers) > MaxNumbers || slices.ContainsFunc(m.Numbers, notTenDigits):
		return fmt.Errorf("%w: numbers that are no NHS numbers, or too many", ErrProtocol)
	}
	return checkTexts(m)
}

// offsetsInside tells whether the offsets may stand: only what was understood as DICOM to its end has any.
func offsetsInside(m document.Metadata, size int64) bool {
	if m.DatasetOffset == 0 && m.PixelOffset == 0 {
		return true
	}
	return m.Format == document.FormatDICOM && m.Problem.Understood() &&
		m.DatasetOffset >= 0 && m.DatasetOffset < size &&
		(m.PixelOffset == 0 || m.PixelOffset > m.DatasetOffset && m.PixelOffset <= size)
}

func inCalendar(t time.Time) bool { return t.IsZero() || t.Year() >= 1 && t.Year() <= 9999 }

func notTenDigits(s string) bool { return len(s) != 10 || strings.Trim(s, "0123456789") != "" }

func checkTexts(m document.Metadata) error {
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
		{m.Text, MaxWords},
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
	return cut(strings.TrimSpace(s), MaxText)
}

// Words makes the beginning of a document's text clean, as Text does: all space between words becomes one blank, and the
// rest is cut at MaxWords bytes.
func Words(s string) string {
	// Three times as much is enough to look at, for text without long runs of space.
	words := strings.FieldsFunc(strings.ToValidUTF8(cut(s, 3*MaxWords), "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	})
	return strings.TrimSpace(cut(strings.Join(words, " "), MaxWords))
}

// cut gives at most the first limit bytes of s, and no part of a rune.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
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
		document.ReasonNoInstance, document.ReasonTooLarge, document.ReasonEncrypted, document.ReasonInspectFailed,
		document.ReasonMediaDirectory:
		return true
	default:
		return false
	}
}
