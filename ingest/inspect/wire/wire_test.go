package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

func TestFileRoundTrip(t *testing.T) {
	var pipe bytes.Buffer
	var opening wire.Opening
	var store []byte
	for _, want := range []wire.File{
		{Size: 1 << 40, Mode: wire.Careful, Head: bytes.Repeat([]byte("x"), wire.Head)},
		{Size: 4, Mode: wire.Full, Head: []byte("head")},
		{Size: 0, Mode: wire.Full, Head: []byte{}},
	} {
		copy(opening.Head(want.Size), want.Head)
		if err := opening.Send(&pipe, want.Mode); err != nil {
			t.Fatal(err)
		}
		if got, err := wire.ReadFile(&pipe, &store); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %d, %d, %d bytes, %v", got.Size, got.Mode, len(got.Head), err)
		}
	}
	if _, err := wire.ReadFile(&pipe, &store); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v, want EOF", err)
	}
}

func TestReplyRoundTrip(t *testing.T) {
	var pipe bytes.Buffer
	want := wire.Answer{Worn: true, Metadata: document.Metadata{
		Format: document.FormatDICOM, DatasetOffset: 5, PatientName: "Ünïque^Name",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Problem: document.ReasonNoPatient,
		PixelOffset: 10, Expected: 3, Text: "Seen today.", Numbers: []string{"9990000018"},
	}}
	if err := errors.Join(
		wire.WriteRange(&pipe, wire.Range{Offset: 7, Length: 9}),
		wire.WriteJSON(&pipe, wire.TypeAnswer, want),
	); err != nil {
		t.Fatal(err)
	}
	if ask, _, err := wire.ReadReply(&pipe, 10); err != nil || *ask != (wire.Range{Offset: 7, Length: 9}) {
		t.Errorf("got %v, %v", ask, err)
	}
	if ask, got, err := wire.ReadReply(&pipe, 10); err != nil || ask != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %+v, %v", ask, got, err)
	}
}

// frame makes a frame with a length of its own.
func frame(kind byte, length uint32, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, length)) + body
}

func whole(kind byte, body string) string { return frame(kind, uint32(len(body)), body) }

func TestHostileReplies(t *testing.T) {
	const size = 1000
	long := strings.Repeat("x", 2000)
	for name, reply := range map[string]string{
		"too long":              frame('A', 1<<31, ""),
		"unknown frame":         whole('Z', ""),
		"frame of the parent":   whole('B', "bytes"),
		"hello again":           whole('H', `{"version":1}`),
		"not JSON":              whole('A', "{"),
		"range too short":       whole('R', "12345678"),
		"range after the end":   whole('R', "\x00\x00\x00\x00\x00\x00\x03\xe9\x00\x00\x00\x01"),
		"range below the start": whole('R', "\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x01"),
		"range too long":        whole('R', "\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"),
		"no format":             whole('A', `{"metadata":{}}`),
		"unknown format":        whole('A', `{"metadata":{"format":"exe"}}`),
		"unknown problem":       whole('A', `{"metadata":{"format":"pdf","problem":"all is well"}}`),
		"dataset outside":       whole('A', `{"metadata":{"format":"dicom","dataset_offset":1001}}`),
		"dataset of nothing":    whole('A', `{"metadata":{"format":"dicom","dataset_offset":1000}}`),
		"dataset cut short":     whole('A', `{"metadata":{"format":"dicom","dataset_offset":9,"problem":"truncated"}}`),
		"dataset before":        whole('A', `{"metadata":{"format":"dicom","dataset_offset":-1}}`),
		"dataset of a PDF":      whole('A', `{"metadata":{"format":"pdf","dataset_offset":1}}`),
		"dataset of a failure":  whole('A', `{"metadata":{"format":"dicom","dataset_offset":9,"problem":"not-understood"}}`),
		"pixels outside":        whole('A', `{"metadata":{"format":"dicom","dataset_offset":9,"pixel_offset":1001}}`),
		"pixels before":         whole('A', `{"metadata":{"format":"dicom","pixel_offset":-1}}`),
		"pixels in the meta":    whole('A', `{"metadata":{"format":"dicom","dataset_offset":9,"pixel_offset":9}}`),
		"pixels cut short":      whole('A', `{"metadata":{"format":"dicom","pixel_offset":9,"problem":"truncated"}}`),
		"pixels of a PDF":       whole('A', `{"metadata":{"format":"pdf","pixel_offset":9}}`),
		"negative instances":    whole('A', `{"metadata":{"format":"dicom","expected":-1}}`),
		"too many instances":    whole('A', `{"metadata":{"format":"dicom","expected":1000001}}`),
		"year 10000 in UTC":     whole('A', `{"metadata":{"format":"pdf","time":"9999-12-31T23:00:00-02:00"}}`),
		"year 0 in UTC":         whole('A', `{"metadata":{"format":"pdf","time":"0001-01-01T01:00:00+02:00"}}`),
		"long text":             whole('A', `{"metadata":{"format":"pdf","text":"`+strings.Repeat("x", 2049)+`"}}`),
		"lines of text":         whole('A', `{"metadata":{"format":"pdf","text":"a\nb"}}`),
		"too many numbers": whole('A', `{"metadata":{"format":"pdf","numbers":[`+
			strings.Repeat(`"9990000018",`, 8)+`"9990000018"]}}`),
		"number of letters":     whole('A', `{"metadata":{"format":"pdf","numbers":["999000001x"]}}`),
		"short number":          whole('A', `{"metadata":{"format":"pdf","numbers":["999"]}}`),
		"problem of a person's": whole('A', `{"metadata":{"format":"dicom","problem":"pixels-changed"}}`),
		"negative pages":        whole('A', `{"metadata":{"format":"pdf","pages":-1}}`),
		"year 0":                whole('A', `{"metadata":{"format":"pdf","time":"0000-01-01T00:00:00Z"}}`),
		"long identifier":       whole('A', `{"metadata":{"format":"dicom","patient":{"identifier":"`+long+`"}}}`),
		"long UID":              whole('A', `{"metadata":{"format":"dicom","study_uid":"`+long[:65]+`"}}`),
		"long name":             whole('A', `{"metadata":{"format":"dicom","patient_name":"`+long+`"}}`),
		"control characters":    whole('A', `{"metadata":{"format":"dicom","patient_name":"a\u0007b"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			if ask, answer, err := wire.ReadReply(strings.NewReader(reply), size); !errors.Is(err, wire.ErrProtocol) {
				t.Errorf("got %v, %+v, %v; want ErrProtocol", ask, answer, err)
			}
		})
	}
}

// FuzzReply: whatever a child writes, what the parent takes from it is within bounds.
func FuzzReply(f *testing.F) {
	f.Add([]byte(whole('A', `{"metadata":{"format":"dicom","dataset_offset":4,"patient":{"identifier":"9"}}}`)))
	f.Add([]byte(whole('R', "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01")))
	f.Add([]byte(frame('A', 1<<31, "")))
	const size = 1 << 20
	f.Fuzz(func(t *testing.T, b []byte) {
		ask, answer, err := wire.ReadReply(bytes.NewReader(b), size)
		switch {
		case err != nil:
		case ask != nil:
			if ask.Offset < 0 || ask.Offset > size || ask.Length < 0 || ask.Length > wire.MaxRange {
				t.Errorf("range %+v", *ask)
			}
		default:
			if err := wire.Check(answer.Metadata, size); err != nil {
				t.Errorf("an unchecked answer: %v", err)
			}
		}
	})
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"  plain ":           "plain",
		"two\nlines":         "two lines",
		"not \xff UTF-8":     "not \uFFFD UTF-8",
		"\x00":               "",
		"naïve 王^さくら":        "naïve 王^さくら",
		"\u0085 next line ":  "next line",
		"bad \xc3 and \x1b[": "bad \uFFFD and  [",
	} {
		if got := wire.Text(in); got != want || !wire.Clean(got, wire.MaxText) {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
	long := wire.Text(strings.Repeat("王", 1000))
	if len(long) > wire.MaxText || len(long) < wire.MaxText-3 || !wire.Clean(long, wire.MaxText) {
		t.Errorf("long text: %d bytes", len(long))
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[string]string{
		"  two\r\n\r\n\tlines ":  "two lines",
		"not \xff UTF-8":         "not \uFFFD UTF-8",
		"\x00\x1b":               "",
		"\u00a0narrow\u2003gaps": "narrow gaps",
	} {
		if got := wire.Words(in); got != want || !wire.Clean(got, wire.MaxWords) {
			t.Errorf("Words(%q) = %q, want %q", in, got, want)
		}
	}
	for _, long := range []string{strings.Repeat("王", 1<<20), strings.Repeat("\xff a ", 1<<20)} {
		if got := wire.Words(long); len(got) > wire.MaxWords || len(got) < wire.MaxWords-3 || !wire.Clean(got, wire.MaxWords) {
			t.Errorf("long text: %d bytes", len(got))
		}
	}
}

func TestSniff(t *testing.T) {
	pad := strings.Repeat("\x00", 128)
	for _, c := range []struct {
		name, head string
		more       int64 // of the file, behind the head
		want       document.Format
	}{
		{"empty", "", 0, document.FormatUnknown},
		{"part 10", pad + "DICM\x02\x00", 0, document.FormatDICOM},
		{"meta without preamble", "\x02\x00\x00\x00UL\x04\x00" + pad, 0, document.FormatDICOM},
		{"bare dataset, explicit", "\x08\x00\x05\x00CS\x0a\x00" + pad, 0, document.FormatDICOM},
		{"bare dataset, implicit", "\x08\x00\x00\x00\x04\x00\x00\x00" + pad, 0, document.FormatDICOM},
		{"bare dataset, big endian", "\x00\x08\x00\x05CS\x00\x0a" + pad, 0, document.FormatDICOM},
		{"nearly a dataset", "\x08\x00\x05\x00\xff\xff\xff\x7f" + pad, 0, document.FormatUnknown},
		{"PDF", "%PDF-1.7\n", 0, document.FormatPDF},
		{"PDF behind junk", strings.Repeat("\x00", 900) + "%PDF-1.7\n", 0, document.FormatPDF},
		{"text", "Seen on Monday.\r\n\tØrsted\n", 0, document.FormatText},
		{"text cut within a rune", "Ørsted Ã\xe7\x8e", 10, document.FormatText},
		{"text that ends within a rune", "Ørsted Ã\xe7\x8e", 0, document.FormatUnknown},
		{"Latin-1", "\xd8rsted was here", 10, document.FormatUnknown},
		{"zip", "PK\x03\x04\x14\x00", 0, document.FormatUnknown},
	} {
		if got := wire.Sniff([]byte(c.head), int64(len(c.head))+c.more); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
