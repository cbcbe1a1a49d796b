package reader

import (
	"regexp"
	"slices"
	"strings"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

// maxSearched is how much of a document's text is searched for numbers, in bytes.
const maxSearched = 64 << 10

// readText takes what the head holds of a plain text. Whose it is, no text says: that comes from the door's rule.
func readText(head []byte, size int64) document.Metadata {
	m := document.Metadata{Format: document.FormatText, Parser: "text"}
	quote(&m, strings.TrimPrefix(string(head), "\uFEFF"), int64(len(head)) < size)
	return m
}

// quote keeps the beginning of a text, and the NHS numbers in it. Cut says that the text goes on: a number at its end may, too.
func quote(m *document.Metadata, text string, cut bool) {
	m.Text = wire.Words(text)
	if len(text) > maxSearched {
		text, cut = text[:maxSearched], true
	}
	if cut {
		text = strings.TrimRight(text, "0123456789")
	}
	m.Numbers = nhsNumbers(text)
}

// grouped is ten digits, also as NHS numbers are printed: three, three and four.
var grouped = regexp.MustCompile(`[0-9]{3}[ \x{00A0}\x{2010}-\x{2013}-]?[0-9]{3}[ \x{00A0}\x{2010}-\x{2013}-]?[0-9]{4}`)

// nhsNumbers finds what can be an NHS number, in order, each once. A number in a text is a suggestion to a person, and
// never more: it may be anybody's.
func nhsNumbers(text string) []string {
	var found []string
	for from := 0; len(found) < wire.MaxNumbers; {
		at := grouped.FindStringIndex(text[from:])
		if at == nil {
			break
		}
		start, end := from+at[0], from+at[1]
		from = start + 1
		if start > 0 && isDigit(text[start-1]) || end < len(text) && isDigit(text[end]) {
			continue // part of a longer number
		}
		from = end
		id, nobody := document.PatientRules{}.Check(document.PatientID{Issuer: document.NHS, Identifier: text[start:end]})
		if nobody == "" && !slices.Contains(found, id.Identifier) {
			found = append(found, id.Identifier)
		}
	}
	return found
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
