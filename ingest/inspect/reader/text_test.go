package reader

import (
	"reflect"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

func TestNHSNumbers(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"NHS number 9990000018.", []string{"9990000018"}},
		{"999 000 0018", []string{"9990000018"}},
		{"999-000-0018", []string{"9990000018"}},
		{"999\u00a0000\u20110018", []string{"9990000018"}},
		{"9990000018 and 999 000 0018 and 9990000026", []string{"9990000018", "9990000026"}},
		{"tel9990000018x", []string{"9990000018"}},
		{"9990000019", nil},              // its check digit
		{"1111111111 0000000000", nil},   // of one digit
		{"19990000018 99900000180", nil}, // longer
		{"99 90000018 9990 000018", nil}, // grouped as no NHS number is
		{"999  000  0018 999\n000\n0018", nil},
		{"", nil},
		{"123 999 000 0018", []string{"9990000018"}},
		{"9990000018 9990000026 9990000034 9990000042 9990000050 9990000069 9990000077 9990000085 9990000093", []string{
			"9990000018", "9990000026", "9990000034", "9990000042", "9990000050", "9990000069", "9990000077", "9990000085",
		}},
	} {
		if got := nhsNumbers(c.text); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestNumberAtTheBound: a number that goes on beyond what is searched is not the one that its beginning would be.
func TestNumberAtTheBound(t *testing.T) {
	const number = "999 000 0018"
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"goes on":               {number + "5 is longer", nil},
		"goes on after a space": {number + " is not longer", nil}, // nobody can tell
		"the end":               {number, []string{"9990000018"}},
	} {
		text := strings.Repeat("x", maxSearched-len(number)-1) + " " + c.text
		var m document.Metadata
		if quote(&m, text, false); !reflect.DeepEqual(m.Numbers, c.want) {
			t.Errorf("%s: %q, want %q", name, m.Numbers, c.want)
		}
		if m := read(t, []byte(text), wire.Full); !reflect.DeepEqual(m.Numbers, c.want) {
			t.Errorf("%s, in a file: %q, want %q", name, m.Numbers, c.want)
		}
	}
}

func TestText(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want document.Metadata
	}{
		"note": {"Seen on Monday.\r\n\r\nNHS 999 000 0018\n", document.Metadata{
			Text: "Seen on Monday. NHS 999 000 0018", Numbers: []string{"9990000018"},
		}},
		"with a byte order mark": {"\uFEFFSeen.", document.Metadata{Text: "Seen."}},
		"long": {strings.Repeat("word ", 1000) + "9990000018", document.Metadata{
			Text: strings.TrimSpace(strings.Repeat("word ", 410)[:wire.MaxWords]), Numbers: []string{"9990000018"},
		}},
		"longer than its head": {strings.Repeat("word ", wire.Head) + "9990000018", document.Metadata{
			Text: strings.TrimSpace(strings.Repeat("word ", 410)[:wire.MaxWords]),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Format, c.want.Parser = document.FormatText, "text"
			if got := read(t, []byte(c.in), wire.Full); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v\nwant %+v", got, c.want)
			}
		})
	}
}
