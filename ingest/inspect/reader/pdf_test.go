package reader

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
	"github.com/medanchor/medanchor/test/synth"
)

func letter() []byte {
	return synth.Letter{
		Title: "Discharge letter", Lines: []string{"NHS number 999 000 0018", "Born 19500101"}, Pages: 5, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}.Encode()
}

// encrypted encrypts the letter; without a user password any reader opens it.
func encrypted(t *testing.T, userPassword string) []byte {
	t.Helper()
	model.ConfigPath = "disable"
	var out bytes.Buffer
	conf := model.NewAESConfiguration(userPassword, "owner", 256)
	if err := api.Encrypt(bytes.NewReader(letter()), &out, conf); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPDF(t *testing.T) {
	whole := letter()
	for name, c := range map[string]struct {
		data []byte
		want document.Reason
	}{
		"whole":            {whole, ""},
		"padded with NULs": {append(bytes.Clone(whole), make([]byte, 5000)...), ""},
		"open to all":      {encrypted(t, ""), ""},
		"with a password":  {encrypted(t, "secret"), document.ReasonEncrypted},
		"cut":              {whole[:len(whole)-10], document.ReasonTruncated},
		"only a header":    {whole[:9], document.ReasonTruncated},
		"nothing inside":   {[]byte("%PDF-1.7\n%%EOF\n"), document.ReasonNotUnderstood},
	} {
		t.Run(name, func(t *testing.T) {
			m := read(t, c.data, wire.Full)
			if m.Format != document.FormatPDF || m.Problem != c.want {
				t.Fatalf("got %q, %q (%s), want %q", m.Format, m.Problem, m.Detail, c.want)
			}
			if m.Problem == "" && (m.Pages != 5 || m.Description != "Discharge letter" || m.Parser != "pdf") {
				t.Errorf("got %+v", m)
			}
		})
	}
	if m := read(t, whole, wire.Full); !m.Time.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("time %v", m.Time)
	}
	for in, want := range map[string]string{
		"D:20260102030405-05'00'": "2026-01-02T03:04:05-05:00",
		"D:20260102030405+05'45'": "2026-01-02T03:04:05+05:45",
		"D:20260102030405":        "2026-01-02T03:04:05Z",
		"D:20260102030405+99'00'": "", // no such zone: any time, but one that can be sent
		"D:2026":                  "2026-01-01T00:00:00Z",
	} {
		m := read(t, bytes.Replace(whole, []byte("D:20260102030405Z"), []byte(in), 1), wire.Full)
		if _, err := json.Marshal(m); err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if got := m.Time.Format(time.RFC3339); got != want && want != "" {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestPDFText(t *testing.T) {
	m := read(t, letter(), wire.Full)
	want := strings.TrimSpace(strings.Repeat("Discharge letter, page # NHS number 999 000 0018 Born 19500101 ", 3))
	for _, page := range []string{"1", "2", "3"} {
		want = strings.Replace(want, "#", page, 1)
	}
	if m.Text != want || !slices.Equal(m.Numbers, []string{"9990000018"}) {
		t.Errorf("got %q, %q", m.Text, m.Numbers)
	}
	if m := read(t, letter(), wire.Careful); m.Text != "" || m.Pages != 5 {
		t.Errorf("carefully: %+v", m)
	}
}

// onePage is a PDF whose one page has the given content; with the font's dictionary.
func onePage(content, font string) []byte { return onePageFiltered("", content, font) }

func onePageFiltered(filter, content, font string) []byte {
	var out bytes.Buffer
	var offsets []int
	out.WriteString("%PDF-1.4\n")
	for i, body := range []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d %s >>\nstream\n%s\nendstream", len(content), filter, content),
		font,
	} {
		offsets = append(offsets, out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, body)
	}
	xref := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, o := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&out, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, xref)
	return out.Bytes()
}

func TestPDFWords(t *testing.T) {
	const helvetica = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
	for name, c := range map[string]struct{ content, want string }{
		"show":              {"BT /F1 12 Tf (Seen ) Tj (today) Tj ET", "Seen today"},
		"moved":             {"BT /F1 12 Tf (9990000018) Tj 0 -14 Td (19500101) Tj 1 0 0 1 0 0 Tm (x) Tj ET", "9990000018 19500101 x"},
		"kerned":            {"BT /F1 12 Tf [(Se) 80 (en) -300 (to) -20 (day)] TJ ET", "Seen today"},
		"next line":         {"BT /F1 12 Tf (Seen) Tj (today) ' 1 2 (here) \" T* (x) Tj ET", "Seen today here x"},
		"beyond ASCII":      {"BT /F1 12 Tf (Ja\xefr) Tj ET", "Jaïr"},
		"placed one by one": {"BT /F1 12 Tf (9) Tj 6.7 0 Td (9) Tj 6.7 0 Td (9) Tj 60 0 Td (x) Tj 0 -14 Td (y) Tj ET", "999 x y"},
		"without font":      {"BT (Seen) Tj ET", "Seen"},
		"no operands":       {"BT Tf Tj TJ ' \" (x) Tj ET", "x"},
		"breaks off":        {"BT /F1 12 Tf (Seen) Tj << end ET", "Seen"},
		"nothing":           {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := read(t, onePage(c.content, helvetica), wire.Full)
			if m.Text != c.want || m.Problem != "" {
				t.Errorf("got %q, %q (%s), want %q", m.Text, m.Problem, m.Detail, c.want)
			}
		})
	}
	endless := "BT /F1 12 Tf " + strings.Repeat("(endless words ) Tj ", 100_000) + "ET"
	if m := read(t, onePage(endless, helvetica), wire.Full); len(m.Text) < wire.MaxWords-1 || m.Problem != "" {
		t.Errorf("%d bytes of text, %q", len(m.Text), m.Problem)
	}
}

// TestPDFTextTakesLong: a page of which a few kilobytes inflate to gigabytes costs a bounded time, and the PDF stands.
func TestPDFTextTakesLong(t *testing.T) {
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	write := func(s string) (from int) {
		_, _ = w.Write([]byte(s))
		_ = w.Flush()
		return packed.Len()
	}
	blanks := strings.Repeat(" ", 1<<20)
	write("BT /F1 12 Tf (Seen) Tj ")
	from := write(blanks)
	to := write(blanks) // refers back to blanks only, and can be repeated
	packed.Write(bytes.Repeat(bytes.Clone(packed.Bytes()[from:to]), 4096))
	data := onePageFiltered("/Filter /FlateDecode", packed.String(), "<< >>")
	began := time.Now()
	m := read(t, data, wire.Full)
	if took := time.Since(began); took > 2*textTime+textGrace || took < textTime {
		t.Errorf("it took %v", took)
	}
	if m.Problem != "" || m.Pages != 1 || m.Text != "Seen" {
		t.Errorf("got %+v", m)
	}
}

// zeros is a source without end.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

func TestPDFTooLarge(t *testing.T) {
	m, _ := Read(zeros{}, []byte("%PDF-1.7\n"), maxPDF+1, wire.Full)
	if m.Problem != document.ReasonTooLarge {
		t.Errorf("got %q (%s)", m.Problem, m.Detail)
	}
}

func TestOthers(t *testing.T) {
	if m := read(t, []byte("A note.\n"), wire.Full); m.Format != document.FormatText || m.Problem != "" {
		t.Errorf("text: %+v", m)
	}
	m := read(t, []byte("PK\x03\x04\x00"), wire.Full)
	if m.Format != document.FormatUnknown || m.Problem != document.ReasonNotUnderstood {
		t.Errorf("zip: %+v", m)
	}
}

func TestGuard(t *testing.T) {
	if _, err := guard(func() (int, error) { panic("oops") }); err == nil {
		t.Error("a panic went unnoticed")
	}
	if _, err := guard(func() (int, error) { return 0, io.EOF }); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

// A parser of texts that takes the last seconds of an attempt would have the whole file pass for hostile.
func TestTheTextIsLeftOutWhereTheTimeIsShort(t *testing.T) {
	if !textFits(4*time.Second) || textFits(6*time.Second) {
		t.Error("after 4 s there is time for the text of an attempt of 10 s, and after 6 s there is not")
	}
}
