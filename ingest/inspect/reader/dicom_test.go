package reader

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

const undefinedLength = uint32(undefined)

// sequence writes a sequence of undefined length with an item of undefined length that names another patient.
func sequence(vr string) func(*encoder) {
	return func(e *encoder) {
		e.head(0x00101002, vr, undefinedLength)
		inner := e
		if vr == "UN" { // always implicit, little endian
			inner = &encoder{order: binary.LittleEndian, implicit: true}
		}
		inner.head(tagItem, "", undefinedLength).put(tagPatientID, "LO", "SOMEBODY ELSE")
		inner.head(tagItemEnd, "", 0)
		inner.head(tagItem, "", 0)
		inner.head(tagItemsEnd, "", 0)
		if inner != e {
			e.Write(inner.Bytes())
		}
	}
}

// fragments writes encapsulated pixels.
func fragments(e *encoder) {
	e.head(tagPixels, "OB", undefinedLength).head(tagItem, "", 0)
	e.head(tagItem, "", 4).WriteString("data")
	e.head(tagItemsEnd, "", 0)
}

func TestDICOM(t *testing.T) {
	want := document.Metadata{
		Format: document.FormatDICOM, Patient: document.PatientID{Issuer: "NHS", Identifier: "9990000018"},
		PatientName: "Doe^Jaïr", BirthDate: "19500101", StudyUID: "2.25.1", SeriesUID: "2.25.22", InstanceUID: "2.25.3",
		SOPClassUID: "1.2.840.10008.5.1.4.1.1.2", Modality: "CT", Description: "Head",
		Time: time.Date(2026, 1, 2, 1, 34, 5, 0, time.UTC),
	}
	for name, c := range map[string]struct {
		bend    func(*file)
		scanner bool // the library cannot read it
	}{
		"explicit":             {bend: func(*file) {}},
		"implicit":             {bend: func(f *file) { f.syntax = implicitVRLittleEndian }},
		"big endian":           {bend: func(f *file) { f.syntax = explicitVRBigEndian }},
		"deflated":             {func(f *file) { f.syntax = deflatedExplicitVRLittleEndian }, true},
		"HTJ2K":                {func(f *file) { f.syntax, f.after = "1.2.840.10008.1.2.4.201", fragments }, true},
		"encapsulated":         {bend: func(f *file) { f.syntax, f.after = "1.2.840.10008.1.2.4.90", fragments }},
		"bare explicit":        {bend: func(f *file) { f.bare = true }},
		"bare implicit":        {bend: func(f *file) { f.bare, f.asDeclared, f.implicit = true, false, true }},
		"bare big endian":      {bend: func(f *file) { f.bare, f.asDeclared, f.bigEndian = true, false, true }},
		"implicit, undeclared": {func(f *file) { f.asDeclared, f.implicit = false, true }, true},
		"explicit, undeclared": {func(f *file) { f.asDeclared, f.syntax = false, implicitVRLittleEndian }, true},
		"Latin-1":              {bend: func(f *file) { f.charset, f.name = "ISO_IR 100", "Doe^Ja\xefr" }},
		"no character set":     {bend: func(f *file) { f.charset, f.name = "", "Doe^Ja\xefr" }},
		"sequence":             {bend: func(f *file) { f.between = sequence("SQ") }},
		"sequence, UN":         {func(f *file) { f.between = sequence("UN") }, true},
		"padding at the end":   {bend: func(f *file) { f.trailing = strings.Repeat("\x00", 100) }},
		"trailing element": {bend: func(f *file) {
			f.after = func(e *encoder) { e.put(tagPixels, "OW", "pixels").put(0xFFFCFFFC, "OB", "padding ") }
		}},
		"elements behind fragments": {bend: func(f *file) {
			f.syntax = "1.2.840.10008.1.2.4.90"
			f.after = func(e *encoder) { fragments(e); e.put(0xFFFCFFFC, "OB", "padding ") }
		}},
		"meta group too long": {func(f *file) { f.metaError = 1000 }, true},
		"no pixels":           {bend: func(f *file) { f.after = func(*encoder) {} }},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			c.bend(&f)
			data := f.encode(t)
			got := read(t, data, wire.Full)
			if parser := got.Parser; parser != "dicom" && !c.scanner || parser != "header" && c.scanner {
				t.Errorf("read by %q: %s", parser, got.Detail)
			}
			offset := int64(132 + 12 + 8 + len(f.syntax) + 1)
			if offset += offset % 2; f.bare {
				offset = 0
			}
			if got.DatasetOffset != offset {
				t.Errorf("dataset at %d, want %d", got.DatasetOffset, offset)
			}
			careful := read(t, data, wire.Careful)
			for _, m := range []*document.Metadata{&got, &careful} {
				m.Parser, m.Detail, m.DatasetOffset, m.TransferSyntaxUID = "", "", 0, ""
				if !reflect.DeepEqual(*m, want) {
					t.Errorf("got  %+v\nwant %+v", *m, want)
				}
			}
		})
	}
}

func TestDICOMProblems(t *testing.T) {
	for name, c := range map[string]struct {
		bend func(*file)
		edit func([]byte) []byte
		want document.Reason
	}{
		"no patient":  {bend: func(f *file) { f.patient = " " }, want: document.ReasonNoPatient},
		"no study":    {bend: func(f *file) { f.study = "" }, want: document.ReasonNoInstance},
		"a directory": {bend: func(f *file) { f.patient, f.study = "", "" }, want: document.ReasonNoInstance},
		"pixels cut": {
			edit: func(b []byte) []byte { return b[:len(b)-1] }, want: document.ReasonTruncated,
		},
		"cut in the header": {
			edit: func(b []byte) []byte { return b[:300] }, want: document.ReasonTruncated,
		},
		"cut in the meta group": {
			edit: func(b []byte) []byte { return b[:150] }, want: document.ReasonTruncated,
		},
		"fragments cut": {
			bend: func(f *file) { f.syntax, f.after = "1.2.840.10008.1.2.4.90", fragments },
			edit: func(b []byte) []byte { return b[:len(b)-10] }, want: document.ReasonTruncated,
		},
		"delimiter cut": {
			bend: func(f *file) { f.syntax, f.after = "1.2.840.10008.1.2.4.90", fragments },
			edit: func(b []byte) []byte { return b[:len(b)-8] }, want: document.ReasonTruncated,
		},
		"deflated cut": {
			bend: func(f *file) { f.syntax = deflatedExplicitVRLittleEndian },
			edit: func(b []byte) []byte { return b[:len(b)-4] }, want: document.ReasonTruncated,
		},
		"two patients": {
			bend: func(f *file) { f.between = func(e *encoder) { e.put(tagPatientID, "LO", "ANOTHER") } },
			want: document.ReasonNotUnderstood,
		},
		"identifier too long": {
			bend: func(f *file) { f.patient = strings.Repeat("9", 300) }, want: document.ReasonNotUnderstood,
		},
		"identifier with control characters": {
			bend: func(f *file) { f.patient = "999\x1b000" }, want: document.ReasonNotUnderstood,
		},
		"UID with blanks": {
			bend: func(f *file) { f.study = "2.25 1" }, want: document.ReasonNotUnderstood,
		},
		"unknown VR": {
			edit: func(b []byte) []byte { return bytes.Replace(b, []byte("LO"), []byte("XX"), 1) },
			want: document.ReasonNotUnderstood,
		},
		"only the magic word": {
			edit: func(b []byte) []byte { return b[:132] }, want: document.ReasonTruncated,
		},
		"nested too deep": {
			bend: func(f *file) {
				f.between = func(e *encoder) {
					for range maxDepth + 1 {
						e.head(0x00101002, "SQ", undefinedLength).head(tagItem, "", undefinedLength)
					}
				}
			},
			want: document.ReasonNotUnderstood,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			if c.bend != nil {
				c.bend(&f)
			}
			data := f.encode(t)
			if c.edit != nil {
				data = c.edit(data)
			}
			if got := read(t, data, wire.Full); got.Problem != c.want || got.Format != document.FormatDICOM {
				t.Errorf("got %q (%s), want %q", got.Problem, got.Detail, c.want)
			}
		})
	}
}

func TestSameObject(t *testing.T) {
	m := document.Metadata{Patient: document.PatientID{Identifier: "1"}, StudyUID: "2", SeriesUID: "3", InstanceUID: "4"}
	for name, change := range map[string]func(*document.Metadata){
		"identifier": func(m *document.Metadata) { m.Patient.Identifier = "x" },
		"issuer":     func(m *document.Metadata) { m.Patient.Issuer = "x" },
		"study":      func(m *document.Metadata) { m.StudyUID = "x" },
		"series":     func(m *document.Metadata) { m.SeriesUID = "x" },
		"instance":   func(m *document.Metadata) { m.InstanceUID = "x" },
	} {
		other := m
		change(&other)
		if sameObject(m, other) {
			t.Errorf("a different %s passes for the same object", name)
		}
	}
}

func TestStudyTime(t *testing.T) {
	for _, c := range []struct{ date, clock, offset, want string }{
		{"20260102", "030405.123456", "", "2026-01-02T03:04:05Z"},
		{"20260102", "0304", "-0500", "2026-01-02T08:04:00Z"},
		{"20260102", "03", "", "2026-01-02T03:00:00Z"},
		{"2026.01.02", "03:04:05", "", "2026-01-02T03:04:05Z"},
		{"20260102", "", "", "2026-01-02T00:00:00Z"},
		{"20260102", "noon", "", "2026-01-02T00:00:00Z"},
		{"20260102 ", "030405 ", "+0100\x00", "2026-01-02T02:04:05Z"},
		{"20261302", "030405", "", "0001-01-01T00:00:00Z"},
		{"", "030405", "", "0001-01-01T00:00:00Z"},
		{"00010101", "000000", "+1400", "0001-01-01T00:00:00Z"},
	} {
		if got := studyTime(c.date, c.clock, c.offset).Format(time.RFC3339); got != c.want {
			t.Errorf("studyTime(%q, %q, %q) = %s, want %s", c.date, c.clock, c.offset, got, c.want)
		}
	}
}

func TestCharacterSets(t *testing.T) {
	for _, c := range []struct{ set, raw, want string }{
		{"", "Doe", "Doe"},
		{"ISO_IR 100", "\xc4neas", "Äneas"},
		{"ISO_IR 101", "Wa\xb3\xeasa", "Wałęsa"},
		{"ISO_IR 144", "\xbb\xee\xda", "Люк"},
		{"ISO_IR 126", "\xc4\xe9", "Δι"},
		{"ISO_IR 192", "王^小東", "王^小東"},
		{"GB18030", "\xcd\xf5^\xd0\xa1\xb6\xab", "王^小东"},
		{"ISO_IR 13", "\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"},
		{`\ISO 2022 IR 87`, "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎"},
		{`\ISO 2022 IR 149`, "Hong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", "Hong=洪^吉洞"},
		{"ISO_IR 6", "\xc4neas", "Äneas"},
		{"UNHEARD OF", "\xc4neas", "Äneas"},
	} {
		if got := decode([]byte(c.raw), charset([]byte(c.set))); got != c.want {
			t.Errorf("%q: %q, want %q", c.set, got, c.want)
		}
	}
}

// FuzzScan: the scanner never panics, stays within its bounds, and what it says the parent accepts.
func FuzzScan(f *testing.F) {
	t := &testing.T{}
	for _, syntax := range []string{
		"1.2.840.10008.1.2.1", implicitVRLittleEndian, explicitVRBigEndian, deflatedExplicitVRLittleEndian,
	} {
		seed := good()
		seed.syntax = syntax
		f.Add(seed.encode(t))
		seed.between, seed.after = sequence("SQ"), fragments
		f.Add(seed.encode(t))
		seed.between, seed.bare = sequence("UN"), true
		f.Add(seed.encode(t))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		size := int64(len(data))
		h, _ := scan(bytes.NewReader(data), size)
		if h.dataset < 0 || h.dataset > size || h.end < 0 || h.end > size {
			t.Errorf("dataset at %d, its header to %d, of %d", h.dataset, h.end, size)
		}
		m := readDICOM(bytes.NewReader(data), size, wire.Careful)
		if err := wire.Check(m, size); err != nil {
			t.Errorf("the parent would refuse the answer: %v", err)
		}
	})
}
