package reader

import (
	"bytes"
	"errors"
	"io"
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
		Title: "Discharge letter", Lines: []string{"Hello."}, Pages: 3, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
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
			if m.Problem == "" && (m.Pages != 3 || m.Description != "Discharge letter" || m.Parser != "pdf") {
				t.Errorf("got %+v", m)
			}
		})
	}
	if m := read(t, whole, wire.Full); !m.Time.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
		t.Errorf("time %v", m.Time)
	}
}

// zeros is a source without end.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

func TestPDFTooLarge(t *testing.T) {
	m := Read(zeros{}, []byte("%PDF-1.7\n"), maxPDF+1, wire.Full)
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
