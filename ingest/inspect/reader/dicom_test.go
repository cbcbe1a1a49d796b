package reader

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
	"github.com/medanchor/medanchor/test/mutate"
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

// issuerSequence writes an Issuer of Patient ID Qualifiers Sequence with an item of defined length.
func issuerSequence(universal, kind string) func(*encoder) {
	return func(e *encoder) {
		inner := &encoder{order: e.order, implicit: e.implicit}
		inner.put(tagUniversalID, "UT", universal).put(tagUniversalType, "CS", kind)
		e.head(tagQualifiers, "SQ", undefinedLength).head(tagItem, "", uint32(inner.Len())).Write(inner.Bytes())
		e.head(tagItemsEnd, "", 0)
	}
}

func TestDICOM(t *testing.T) {
	want := document.Metadata{
		Format: document.FormatDICOM, Patient: document.PatientID{Issuer: "NHS", Identifier: "9990000018"},
		PatientName: "Doe^Jaïr", BirthDate: "19500101", StudyUID: "2.25.1", SeriesUID: "2.25.22", InstanceUID: "2.25.3",
		SOPClassUID: "1.2.840.10008.5.1.4.1.1.2", Modality: "CT", Description: "Head",
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 90*60)),
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
		"garbage behind the pixels": {bend: func(f *file) {
			f.syntax = implicitVRLittleEndian
			f.after = func(e *encoder) {
				e.put(tagPixels, "OW", "pixels").put(0x00280010, "US", "12").head(0xFFF0FFF0, "", 1000)
			}
		}},
		"pixels longer than they say": {bend: func(f *file) {
			f.syntax, f.trailing = implicitVRLittleEndian, strings.Repeat("\x30\xf8", 4)
			f.after = func(e *encoder) { e.put(tagPixels, "OW", "pixels") }
		}},
		"filled up with FF": {bend: func(f *file) {
			f.trailing = strings.Repeat("\xff", 6)
			f.after = func(e *encoder) { e.put(tagPixels, "OW", "pixels") }
		}},
		"elements behind fragments": {bend: func(f *file) {
			f.syntax = "1.2.840.10008.1.2.4.90"
			f.after = func(e *encoder) { fragments(e); e.put(0xFFFCFFFC, "OB", "padding ") }
		}},
		"JPIP":           {bend: func(f *file) { f.syntax = "1.2.840.10008.1.2.4.94" }},
		"JPIP, deflated": {func(f *file) { f.syntax = jpipReferencedDeflate }, true},
		"JPIP, HTJ2K":    {func(f *file) { f.syntax = jpipHTJ2KReferencedDeflate }, true},
		"private syntax": {bend: func(f *file) { f.syntax = "1.3.46.670589.33.1.4.1" }, scanner: true},
		"no syntax":      {func(f *file) { f.syntax = "" }, true},
		"groups before 0008": {bend: func(f *file) {
			f.before = func(e *encoder) {
				e.put(0x00010010, "LO", "ILLEGAL").put(0x00030010, "LO", "ILLEGAL").put(0x00050010, "LO", "ILLEGAL")
			}
		}},
		"groups before 0008, big endian, undeclared": {bend: func(f *file) {
			f.asDeclared, f.bigEndian = false, true
			f.before = func(e *encoder) { e.put(0x00030010, "LO", "ILLEGAL") }
		}, scanner: true},
		"command group": {bend: func(f *file) {
			f.syntax = implicitVRLittleEndian
			f.before = func(e *encoder) { e.put(0x00000002, "UI", "1.2.840.10008.1.1") }
		}},
		"length to end, recognition code": {bend: func(f *file) {
			f.before = func(e *encoder) { e.put(0x00080001, "UL", "\x00\x00\x01\x00") }
		}},
		"private elements": {bend: func(f *file) {
			f.between = func(e *encoder) {
				e.put(0x00110010, "LO", "SOMEBODY").put(0x00111001, "UN", "????").put(0x00111002, "OB", "??")
			}
		}},
		"no VR": {func(f *file) {
			f.between = func(e *encoder) {
				e.put(0x00111001, "  ", "????").put(0x00111002, "??", "").put(0x00111003, "--", "!!")
			}
		}, false},
		"future VR": {func(f *file) {
			f.between = func(e *encoder) { e.put(0x00111001, "ZZ", strings.Repeat("z", 70_000)) }
		}, true},
		"future VR at first": {func(f *file) {
			f.before = func(e *encoder) { e.put(0x00030010, "ZZ", "z") }
		}, true},
		"odd lengths, implicit": {bend: func(f *file) {
			f.syntax = implicitVRLittleEndian
			f.between = func(e *encoder) { e.head(0x00111001, "", 3).WriteString("odd") }
		}},
		"odd lengths, explicit": {bend: func(f *file) {
			f.between = func(e *encoder) { e.head(0x00111001, "LO", 3).WriteString("odd") }
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
				m.Parser, m.Detail, m.DatasetOffset, m.TransferSyntaxUID, m.PixelOffset, m.Incomplete = "", "", 0, "", 0, false
				if !reflect.DeepEqual(*m, want) {
					t.Errorf("got  %+v\nwant %+v", *m, want)
				}
			}
		})
	}
}

func TestDICOMProblems(t *testing.T) {
	// A header that was not read to its end says nothing of whose the object is, or which: what is missing may name another
	// issuer. Where it was, a person is shown what it says.
	const oid = "1.2.36.146.595.217.0.1"
	cut := func(t tag, vr string) func([]byte) []byte { // before the element
		return func(b []byte) []byte {
			return b[:bytes.Index(b, (&encoder{order: binary.LittleEndian}).head(t, vr, 0).Bytes()[:6])]
		}
	}
	for name, c := range map[string]struct {
		bend func(*file)
		edit func([]byte) []byte
		want document.Reason
		kept bool // it says all the same whose it is
	}{
		"no patient": {bend: func(f *file) { f.patient = " " }, want: document.ReasonNoPatient},
		"no study":   {bend: func(f *file) { f.study = "" }, want: document.ReasonNoInstance, kept: true},
		"a directory by its class": {
			bend: func(f *file) { f.patient, f.study, f.class, f.media = "", "", "", mediaDirectory },
			want: document.ReasonMediaDirectory,
		},
		"a directory by its records": {
			bend: func(f *file) {
				f.patient, f.study = "", ""
				f.before = func(e *encoder) { e.head(tagDirectory, "SQ", 0) }
			},
			want: document.ReasonMediaDirectory,
		},
		"deflated, corrupt": {
			bend: func(f *file) {
				f.syntax = deflatedExplicitVRLittleEndian
			},
			edit: func(b []byte) []byte { b[len(b)-1] ^= 0xFF; return b }, want: document.ReasonNotUnderstood,
		},
		"issuer without end": {
			bend: func(f *file) {
				f.early = func(e *encoder) { e.head(tagQualifiers, "SQ", 12).head(tagItem, "", 20) }
			},
			want: document.ReasonNotUnderstood,
		},
		"VR of no edition": {
			bend: func(f *file) { f.between = func(e *encoder) { e.put(0x00111001, "zz", "z") } },
			want: document.ReasonNotUnderstood,
		},
		"pixels cut": {
			edit: func(b []byte) []byte { return b[:len(b)-1] }, want: document.ReasonTruncated, kept: true,
		},
		"cut behind the Patient ID": {edit: cut(tagIssuer, "LO"), want: document.ReasonNoInstance},
		"cut in the issuer": {
			edit: func(b []byte) []byte { return append(cut(tagIssuer, "LO")(b), 0x10, 0, 0x21, 0, 'L', 'O', 4, 0, 'N') },
			want: document.ReasonTruncated,
		},
		"cut behind the issuer's name": {
			bend: func(f *file) { f.early = issuerSequence(oid, "ISO") }, edit: cut(tagQualifiers, "SQ"),
			want: document.ReasonNoInstance,
		},
		"cut in the issuer's sequence": {
			bend: func(f *file) { f.early = issuerSequence(oid, "ISO") },
			edit: func(b []byte) []byte { return b[:bytes.Index(b, []byte(oid))+2] }, want: document.ReasonTruncated,
		},
		"issuer too long": {
			bend: func(f *file) { f.issuer = strings.Repeat("9", 300) }, want: document.ReasonNotUnderstood,
		},
		"issuer longer than a value": {
			bend: func(f *file) { f.issuer = strings.Repeat("9", 5000) }, want: document.ReasonNotUnderstood,
		},
		"issuer not clean": {
			bend: func(f *file) { f.charset, f.issuer = `\ISO 2022 IR 87`, "\x1b$B;" }, want: document.ReasonNotUnderstood,
		},
		"readers differ": { // the library takes it for a number
			bend: func(f *file) { f.issuer, f.early = "", func(e *encoder) { e.put(tagIssuer, "US", "NHS ") } }, want: document.ReasonNotUnderstood,
		},
		"stray delimiter in the header": {
			bend: func(f *file) { f.before = func(e *encoder) { e.head(tagItemsEnd, "", 0) } }, want: document.ReasonNotUnderstood,
		},
		"stray delimiter behind the first elements": {
			bend: func(f *file) {
				f.before = func(e *encoder) { e.put(0x00080001, "UL", "1234").head(tagItemsEnd, "", 0) }
			},
			want: document.ReasonNotUnderstood,
		},
		"padding in the header": {
			bend: func(f *file) {
				f.before = func(e *encoder) { e.put(0x00080001, "UL", "1234").put(0xFFFCFFFC, "OB", "pad ") }
			},
			want: document.ReasonNotUnderstood,
		},
		"stray delimiter, then pixels cut": {
			bend: func(f *file) {
				f.after = func(e *encoder) {
					e.put(0x00280010, "US", "12").head(tagItemsEnd, "", 0).put(tagPixels, "OW", "pixels")
				}
			},
			edit: func(b []byte) []byte { return b[:len(b)-1] }, want: document.ReasonTruncated, kept: true,
		},
		"padding, then pixels cut": {
			bend: func(f *file) {
				f.after = func(e *encoder) { e.put(0xFFFCFFFC, "OB", "pad ").put(tagPixels, "OW", "pixels") }
			},
			edit: func(b []byte) []byte { return b[:len(b)-1] }, want: document.ReasonTruncated, kept: true,
		},
		"out of order, then pixels cut": {
			bend: func(f *file) {
				f.after = func(e *encoder) {
					e.put(0x00280010, "US", "12").put(0x00280002, "US", "12").put(tagPixels, "OW", "pixels")
				}
			},
			edit: func(b []byte) []byte { return b[:len(b)-1] }, want: document.ReasonTruncated, kept: true,
		},
		"private group behind the pixels, cut": {
			bend: func(f *file) {
				f.after = func(e *encoder) { e.put(tagPixels, "OW", "pixels").put(0x7FE10010, "LO", "SOMEBODY") }
			},
			edit: func(b []byte) []byte { return b[:len(b)-1] }, want: document.ReasonTruncated, kept: true,
		},
		"private group behind the pixels, cut in a head": {
			bend: func(f *file) {
				f.after = func(e *encoder) { e.put(tagPixels, "OW", "pixels").put(0x7FE10010, "LO", "SOMEBODY") }
			},
			edit: func(b []byte) []byte { return b[:len(b)-8-3] }, want: document.ReasonTruncated, kept: true,
		},
		"private group in place of pixels, cut": {
			bend: func(f *file) {
				f.after = func(e *encoder) { e.put(0x7FE10010, "LO", "SOMEBODY").put(0x7FE11001, "OB", "data") }
			},
			edit: func(b []byte) []byte { return b[:len(b)-1] }, want: document.ReasonTruncated, kept: true,
		},
		"private group in place of pixels, cut in a head": {
			bend: func(f *file) {
				f.after = func(e *encoder) { e.put(0x7FE10010, "LO", "SOMEBODY").put(0x7FE11001, "OB", "data") }
			},
			edit: func(b []byte) []byte { return b[:len(b)-4-7] }, want: document.ReasonTruncated, kept: true,
		},
		"cut in the header": {
			edit: func(b []byte) []byte { return b[:300] }, want: document.ReasonTruncated,
		},
		"cut in the meta group": {
			edit: func(b []byte) []byte { return b[:150] }, want: document.ReasonTruncated,
		},
		"fragments cut": {
			bend: func(f *file) { f.syntax, f.after = "1.2.840.10008.1.2.4.90", fragments },
			edit: func(b []byte) []byte { return b[:len(b)-10] }, want: document.ReasonTruncated, kept: true,
		},
		"delimiter cut": {
			bend: func(f *file) { f.syntax, f.after = "1.2.840.10008.1.2.4.90", fragments },
			edit: func(b []byte) []byte { return b[:len(b)-8] }, want: document.ReasonTruncated, kept: true,
		},
		"deflated cut": {
			bend: func(f *file) { f.syntax = deflatedExplicitVRLittleEndian },
			edit: func(b []byte) []byte { return b[:len(b)-4] }, want: document.ReasonTruncated, kept: true,
		},
		"two patients": {
			bend: func(f *file) { f.between = func(e *encoder) { e.put(tagPatientID, "LO", "ANOTHER") } },
			want: document.ReasonNotUnderstood,
		},
		"two patients, behind the header": {
			bend: func(f *file) {
				f.after = func(e *encoder) {
					e.put(0x00280010, "US", "12").put(tagPatientID, "LO", "ANOTHER").put(tagPixels, "OW", "pixels")
				}
			},
			want: document.ReasonNotUnderstood,
		},
		"two issuers, behind the header": {
			bend: func(f *file) {
				f.after = func(e *encoder) {
					e.put(0x00280010, "US", "12").put(0x00280002, "US", "12").put(tagIssuer, "LO", "OTHER")
				}
			},
			want: document.ReasonNotUnderstood,
		},
		"two patients, behind the pixels": {
			bend: func(f *file) {
				f.after = func(e *encoder) { e.put(tagPixels, "OW", "pixels").put(tagPatientID, "LO", "ANOTHER") }
			},
			want: document.ReasonNotUnderstood,
		},
		"two issuers, behind the trailer": {
			bend: func(f *file) {
				f.after = func(e *encoder) {
					e.put(tagPixels, "OW", "pixels").put(0xFFFCFFFC, "OB", "pad ").put(0x00080005, "CS", "")
					issuerSequence("1.2.3", "ISO")(e)
				}
			},
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
			for _, mode := range []wire.Mode{wire.Full, wire.Careful} {
				got := read(t, data, mode)
				if got.Problem != c.want && !(name == "readers differ" && mode == wire.Careful) || got.Format != document.FormatDICOM {
					t.Errorf("got %q (%s), want %q", got.Problem, got.Detail, c.want)
				}
				whose := got.Patient.Identifier != ""
				which := got.StudyUID+got.SeriesUID+got.InstanceUID != ""
				switch {
				case c.kept && !whose:
					t.Errorf("it does not say whose it is: %+v", got)
				case !c.kept && got.Problem != "" && whose:
					t.Errorf("it says whose it is: %+v", got)
				case !c.kept && !got.Problem.Understood() && which:
					t.Errorf("it says which it is: %+v", got)
				}
			}
		})
	}
}

// TestCutAnywhere: whatever a file is cut to, it says that something is wrong, or whose it is as before: never anything else.
func TestCutAnywhere(t *testing.T) {
	for f := range mutate.Valid() {
		if !strings.HasSuffix(f.Name, ".dcm") {
			continue
		}
		whole := read(t, f.Data, wire.Full)
		if whole.Problem != "" || whole.Patient.Issuer != "2.16.840.1.113883.2.1.4.1" {
			t.Fatalf("%s: %+v", f.Name, whole)
		}
		for at := range f.Data {
			m := read(t, f.Data[:at], wire.Full)
			if m.Problem == "" && m.Format == document.FormatDICOM &&
				(m.Patient != whole.Patient || m.InstanceUID != whole.InstanceUID || m.StudyUID != whole.StudyUID) {
				t.Errorf("%s, cut to %d: %+v", f.Name, at, m)
			}
			if m.Patient != (document.PatientID{}) && m.Patient != whole.Patient {
				t.Errorf("%s, cut to %d: another patient: %+v", f.Name, at, m)
			}
			if m.Problem != "" && !m.Problem.Understood() && m.DatasetOffset+m.PixelOffset != 0 {
				t.Errorf("%s, cut to %d: offsets of what was not understood: %+v", f.Name, at, m)
			}
		}
	}
}

// TestIncomplete: what ends between two elements may be whole, and may be the beginning of more.
func TestIncomplete(t *testing.T) {
	rows := func(e *encoder) {
		e.put(0x00280002, "US", "12").put(0x00280010, "US", "12").put(0x00280011, "US", "12")
	}
	for name, c := range map[string]struct {
		after func(*encoder)
		want  bool
	}{
		"image":                           {func(e *encoder) { rows(e); e.put(tagPixels, "OW", "pixels") }, false},
		"image of floats":                 {func(e *encoder) { rows(e); e.put(tagFloatPixels, "OF", "pixels") }, false},
		"image, encapsulated":             {func(e *encoder) { rows(e); fragments(e) }, false},
		"before the pixels":               {rows, true},
		"behind Samples per Pixel":        {func(e *encoder) { e.put(0x00280002, "US", "12") }, true},
		"before private pixels":           {func(e *encoder) { rows(e); e.put(0x00291010, "OB", "data") }, true},
		"behind the header":               {func(*encoder) {}, true},
		"out of order, before the pixels": {func(e *encoder) { e.put(0x00400254, "LO", "step"); rows(e) }, true},
		"out of order, with pixels": {func(e *encoder) {
			e.put(0x00400254, "LO", "step")
			rows(e)
			e.put(tagPixels, "OW", "pixels")
		}, false},
		"spectroscopy": {func(e *encoder) { rows(e); e.put(tagSpectroscopy, "OF", "data") }, false},
		"report":       {func(e *encoder) { e.put(0x0040A491, "CS", "COMPLETE") }, false},
		"an icon's":    {func(e *encoder) { icon(e); e.put(0x0040A491, "CS", "COMPLETE") }, false},
	} {
		for _, syntax := range []string{"1.2.840.10008.1.2.1", deflatedExplicitVRLittleEndian} {
			t.Run(name+" "+syntax, func(t *testing.T) {
				f := good()
				f.syntax, f.after = syntax, c.after
				if got := read(t, f.encode(t), wire.Full); got.Incomplete != c.want || got.Problem != "" {
					t.Errorf("got %+v, want %v", got, c.want)
				}
			})
		}
	}
	f := good()
	f.after = func(e *encoder) { rows(e); e.put(tagPixels, "OW", "pixels") }
	data := f.encode(t)
	for at := bytes.Index(data, []byte("2.25.3")); at < len(data); at++ {
		if m := read(t, data[:at], wire.Careful); m.Problem != document.ReasonTruncated && !m.Incomplete {
			t.Errorf("cut to %d of %d it passes for whole: %+v", at, len(data), m)
		}
	}
}

// TestPaddingAtTheEnd: up to seven NULs are no element, and nothing is missing.
func TestPaddingAtTheEnd(t *testing.T) {
	for _, syntax := range []string{"1.2.840.10008.1.2.1", implicitVRLittleEndian, deflatedExplicitVRLittleEndian} {
		for n := range 8 {
			f := good()
			f.syntax, f.trailing = syntax, strings.Repeat("\x00", n)
			f.after = func(e *encoder) { e.put(0x0040A491, "CS", "COMPLETE") }
			if m := read(t, f.encode(t), wire.Full); m.Problem != "" || m.Detail != "" {
				t.Errorf("%s, %d NULs: %q (%s)", syntax, n, m.Problem, m.Detail)
			}
		}
	}
	f := good()
	f.after, f.trailing = func(e *encoder) { e.put(0x0040A491, "CS", "COMPLETE") }, "\x00\x00\x01"
	if m := read(t, f.encode(t), wire.Full); m.Problem != document.ReasonTruncated {
		t.Errorf("other bytes: %q", m.Problem)
	}
}

// TestPreambleWithoutMeta: a dataset may stand directly behind the preamble.
func TestPreambleWithoutMeta(t *testing.T) {
	for name, bend := range map[string]func(*file){
		"explicit":   func(*file) {},
		"implicit":   func(f *file) { f.asDeclared, f.implicit = false, true },
		"big endian": func(f *file) { f.asDeclared, f.bigEndian = false, true },
	} {
		f := good()
		f.bare = true
		bend(&f)
		data := slices.Concat(make([]byte, 128), []byte("DICM"), f.encode(t))
		if m := read(t, data, wire.Full); m.Problem != "" || m.Patient.Identifier != f.patient || m.DatasetOffset != 132 {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// TestDeflatedByNameOnly: a dataset that is said to be deflated and is not.
func TestDeflatedByNameOnly(t *testing.T) {
	f := good()
	f.syntax = "1.2.840.10008.1.2.1.77"
	data := bytes.Replace(f.encode(t), []byte(f.syntax), []byte(deflatedExplicitVRLittleEndian), 1)
	if m := read(t, data, wire.Full); m.Problem != "" || m.Patient.Identifier != f.patient || m.PixelOffset == 0 {
		t.Errorf("got %+v", m)
	}
}

// TestIssuer: an issuer is named by (0010,0021), by a universal identifier in (0010,0024), or by both.
func TestIssuer(t *testing.T) {
	qualifier := func(e *encoder, put func(*encoder)) { // an item of defined length
		inner := &encoder{order: e.order, implicit: e.implicit}
		put(inner)
		e.head(tagItem, "", uint32(inner.Len())).Write(inner.Bytes())
	}
	const oid = "2.16.840.1.113883.2.1.4.1"
	names := func(e *encoder) { e.put(tagUniversalID, "UT", oid).put(0x00400033, "CS", "ISO") }
	undefinedItem := func(e *encoder) {
		e.head(tagItem, "", undefinedLength)
		names(e)
		e.head(tagItemEnd, "", 0)
	}
	sequence := func(vr string, items ...func(*encoder)) func(*encoder) { // of defined length
		return func(e *encoder) {
			inner := &encoder{order: e.order, implicit: e.implicit}
			if vr == "UN" {
				inner.order, inner.implicit = binary.LittleEndian, true
			}
			for _, item := range items {
				item(inner)
			}
			e.head(tagQualifiers, vr, uint32(inner.Len())).Write(inner.Bytes())
		}
	}
	undefinedSequence := func(e *encoder) {
		e.head(tagQualifiers, "SQ", undefinedLength)
		undefinedItem(e)
		e.head(tagItemsEnd, "", 0)
	}
	item := func(e *encoder) { qualifier(e, names) }
	nested := func(e *encoder) {
		qualifier(e, func(e *encoder) {
			e.head(0x00400039, "SQ", undefinedLength).head(tagItem, "", undefinedLength)
			e.put(tagUniversalID, "UT", "of another thing").head(tagItemEnd, "", 0).head(tagItemsEnd, "", 0)
		})
	}
	for name, c := range map[string]struct {
		issuer string
		early  func(*encoder)
		want   string
	}{
		"name":                     {"NHS", nil, "NHS"},
		"none":                     {"", nil, ""},
		"universal identifier":     {"", sequence("SQ", item), oid},
		"item of undefined length": {"", sequence("SQ", undefinedItem), oid},
		"all of undefined length":  {"", undefinedSequence, oid},
		"UN":                       {"", sequence("UN", item), oid},
		"name and identifier":      {"Trust 7", sequence("SQ", item), "Trust 7&" + oid + "&ISO"},
		"the same for both":        {oid, sequence("SQ", item), oid},
		"identifier without type": {"HIS", sequence("SQ", func(e *encoder) {
			qualifier(e, func(e *encoder) { e.put(tagUniversalID, "UT", "1.2.3") })
		}), "HIS&1.2.3"},
		"type without identifier": {"HIS", sequence("SQ", func(e *encoder) {
			qualifier(e, func(e *encoder) { e.put(tagUniversalType, "CS", "ISO") })
		}), "HIS"},
		"delimiters of HL7": {`A&B`, sequence("SQ", func(e *encoder) {
			qualifier(e, func(e *encoder) { e.put(tagUniversalID, "UT", `C&D\E`).put(tagUniversalType, "CS", "L") })
		}), `A\T\B&C\T\D\E\E&L`},
		"blank name, and identifier": {"  ", sequence("SQ", item), oid},
		"empty sequence":             {"", sequence("SQ"), ""},
		"empty item":                 {"", sequence("SQ", func(e *encoder) { qualifier(e, func(*encoder) {}) }), ""},
		"nested":                     {"", sequence("SQ", nested), ""},
		"the first item's": {"", sequence("SQ", item, func(e *encoder) {
			qualifier(e, func(e *encoder) { e.put(tagUniversalID, "UT", "another") })
		}), oid},
		"at the top level": {"", func(e *encoder) { e.put(0x00100026, "LO", "x") }, ""},
		"other identifiers": {"NHS", func(e *encoder) {
			e.head(0x00101002, "SQ", undefinedLength).head(tagItem, "", undefinedLength)
			e.put(tagPatientID, "LO", "x").put(tagIssuer, "LO", "y").head(tagItemEnd, "", 0).head(tagItemsEnd, "", 0)
		}, "NHS"},
	} {
		for _, syntax := range []string{
			"1.2.840.10008.1.2.1", implicitVRLittleEndian, explicitVRBigEndian, deflatedExplicitVRLittleEndian,
		} {
			t.Run(name+" "+syntax, func(t *testing.T) {
				f := good()
				if f.syntax, f.issuer = syntax, c.issuer; c.early != nil {
					f.early = c.early
				}
				if name == "other identifiers" {
					f.early, f.between = nil, c.early
				}
				got := read(t, f.encode(t), wire.Full)
				if got.Patient != (document.PatientID{Issuer: c.want, Identifier: f.patient}) || got.Problem != "" {
					t.Errorf("got %+v, %q (%s), want issuer %q", got.Patient, got.Problem, got.Detail, c.want)
				}
			})
		}
	}
}

// TestTheSameNameOfTwoIssuers: two hospitals call their issuer the same, and their patients are not one.
func TestTheSameNameOfTwoIssuers(t *testing.T) {
	patient := func(oid string) document.PatientID {
		f := good()
		f.issuer, f.early = "HIS", issuerSequence(oid, "ISO")
		m := read(t, f.encode(t), wire.Full)
		if m.Problem != "" {
			t.Fatalf("got %+v", m)
		}
		id, nobody := document.PatientRules{Issuer: "HIS"}.Check(m.Patient)
		if nobody != "" {
			t.Fatalf("%+v is nobody: %s", id, nobody)
		}
		return id
	}
	if a, b := patient("1.2.3"), patient("1.2.4"); a == b {
		t.Errorf("both are %+v", a)
	}
	long := "1." + strings.Repeat("2", wire.MaxIdentifier-5)
	f := good()
	f.issuer, f.early = "HIS", issuerSequence(long, "ISO")
	if m := read(t, f.encode(t), wire.Full); m.Problem != document.ReasonNotUnderstood || m.Patient != (document.PatientID{}) {
		t.Errorf("too long together: %+v", m)
	}
}

// TestDescribed: what a file is called, how many instances its study has, and of which class it is.
func TestDescribed(t *testing.T) {
	title := func(e *encoder) { e.put(tagTitle, "ST", "Discharge letter").put(0x00420011, "OB", "%PDF") }
	for name, c := range map[string]struct {
		bend func(*file)
		want document.Metadata
	}{
		"study": {func(*file) {}, document.Metadata{Description: "Head", SOPClassUID: "1.2.840.10008.5.1.4.1.1.2"}},
		"class of the meta information": {
			func(f *file) { f.class, f.media = "", "1.2.840.10008.5.1.4.1.1.4" },
			document.Metadata{Description: "Head", SOPClassUID: "1.2.840.10008.5.1.4.1.1.4"},
		},
		"encapsulated PDF": {
			func(f *file) { f.class, f.after = encapsulatedPDF, title },
			document.Metadata{Description: "Discharge letter", SOPClassUID: encapsulatedPDF},
		},
		"encapsulated PDF without title": {
			func(f *file) { f.class, f.after = encapsulatedPDF, func(e *encoder) { e.put(tagTitle, "ST", "") } },
			document.Metadata{Description: "Head", SOPClassUID: encapsulatedPDF},
		},
		"title of another class": {
			func(f *file) { f.after = title },
			document.Metadata{Description: "Head", SOPClassUID: "1.2.840.10008.5.1.4.1.1.2"},
		},
		"title too long": {
			func(f *file) {
				f.class = encapsulatedPDF
				f.after = func(e *encoder) { e.put(tagTitle, "ST", strings.Repeat("x", 5000)) }
			},
			document.Metadata{Description: "Head", SOPClassUID: encapsulatedPDF},
		},
		"series": {
			func(f *file) {
				f.description = " "
				f.seriesText = "Axial"
			},
			document.Metadata{Description: "Axial", SOPClassUID: "1.2.840.10008.5.1.4.1.1.2"},
		},
		"instances": {
			func(f *file) { f.after = func(e *encoder) { e.put(tagInstances, "IS", "512 ") } },
			document.Metadata{Description: "Head", SOPClassUID: "1.2.840.10008.5.1.4.1.1.2", Expected: 512},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			c.bend(&f)
			m := read(t, f.encode(t), wire.Full)
			got := document.Metadata{Description: m.Description, SOPClassUID: m.SOPClassUID, Expected: m.Expected}
			if !reflect.DeepEqual(got, c.want) || m.Problem != "" {
				t.Errorf("got %+v, %q (%s), want %+v", got, m.Problem, m.Detail, c.want)
			}
		})
	}
}

func TestCount(t *testing.T) {
	for in, want := range map[string]int{
		"1": 1, " 512 ": 512, "+3": 3, "1000000": 1_000_000, "1000001": 0, "0": 0, "-1": 0, "": 0, "many": 0, `1\2`: 0,
		"99999999999999999999": 0,
	} {
		if got := count(in); got != want {
			t.Errorf("count(%q) = %d, want %d", in, got, want)
		}
	}
}

// TestPixelOffset finds the marker that stands first in the pixel data.
func TestPixelOffset(t *testing.T) {
	const marker = "pixels of the image "
	encapsulated := func(e *encoder) {
		e.head(tagPixels, "OB", undefinedLength).head(tagItem, "", uint32(len(marker))).WriteString(marker)
		e.head(tagItemsEnd, "", 0)
	}
	native := func(t tag, vr string) func(e *encoder) { return func(e *encoder) { e.put(t, vr, marker) } }
	for name, c := range map[string]struct {
		syntax string
		after  func(*encoder)
		before int // the marker
		none   bool
		edit   func([]byte) []byte
	}{
		"explicit":         {syntax: "1.2.840.10008.1.2.1", after: native(tagPixels, "OW")},
		"implicit":         {syntax: implicitVRLittleEndian, after: native(tagPixels, "OW")},
		"big endian":       {syntax: explicitVRBigEndian, after: native(tagPixels, "OW")},
		"float":            {syntax: "1.2.840.10008.1.2.1", after: native(tagFloatPixels, "OF")},
		"double":           {syntax: "1.2.840.10008.1.2.1", after: native(tagDoublePixels, "OD")},
		"encapsulated":     {syntax: "1.2.840.10008.1.2.4.90", after: encapsulated, before: 8},
		"with a trailer":   {syntax: "1.2.840.10008.1.2.1", after: func(e *encoder) { native(tagPixels, "OW")(e); e.put(0xFFFCFFFC, "OB", "") }},
		"deflated":         {syntax: deflatedExplicitVRLittleEndian, after: native(tagPixels, "OW"), none: true},
		"none":             {syntax: "1.2.840.10008.1.2.1", after: func(*encoder) {}, none: true},
		"truncated":        {syntax: "1.2.840.10008.1.2.1", after: native(tagPixels, "OW"), none: true, edit: func(b []byte) []byte { return b[:len(b)-1] }},
		"an icon's alone":  {syntax: "1.2.840.10008.1.2.1", after: icon, none: true},
		"not in the trail": {syntax: "1.2.840.10008.1.2.1", after: func(e *encoder) { e.put(0x7FE00012, "OW", marker) }, none: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			f.syntax, f.after = c.syntax, c.after
			data := f.encode(t)
			if c.edit != nil {
				data = c.edit(data)
			}
			want := int64(0)
			if !c.none {
				want = int64(bytes.Index(data, []byte(marker)) - c.before)
			}
			for _, mode := range []wire.Mode{wire.Full, wire.Careful} {
				if got := read(t, data, mode); got.PixelOffset != want {
					t.Errorf("pixels at %d, want %d (%s)", got.PixelOffset, want, got.Detail)
				}
			}
		})
	}
}

// icon writes an Icon Image Sequence, which has pixels of its own.
func icon(e *encoder) {
	e.head(0x00880200, "SQ", undefinedLength).head(tagItem, "", undefinedLength)
	e.put(tagPixels, "OW", "icon").head(tagItemEnd, "", 0).head(tagItemsEnd, "", 0)
}

// counting counts what is read of it.
type counting struct {
	io.ReaderAt
	calls int
	bytes int64
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.calls++
	c.bytes += int64(len(p))
	return c.ReaderAt.ReadAt(p, off)
}

// sparse is a file whose end stands far behind its beginning, and NULs between.
type sparse struct {
	head, tail []byte
	size       int64
}

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	n := int(min(int64(len(p)), max(s.size-off, 0)))
	if off < int64(len(s.head)) {
		copy(p[:n], s.head[off:])
	}
	if at := s.size - int64(len(s.tail)) - off; at >= 0 && at < int64(n) {
		copy(p[at:n], s.tail)
	} else if at < 0 && -at < int64(len(s.tail)) {
		copy(p[:n], s.tail[-at:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// TestPixelsAreNotRead: of gigabytes of pixels, and of large private elements before them, only the heads are read.
func TestPixelsAreNotRead(t *testing.T) {
	const large = 3 << 30
	f := good()
	f.after = func(e *encoder) { e.head(tagPixels, "OW", large) }
	head := f.encode(t)
	f = good()
	f.syntax, f.after = "1.2.840.10008.1.2.4.90", func(e *encoder) { e.head(tagPixels, "OB", undefinedLength) }
	encapsulated := f.encode(t)
	var end encoder
	end.order = binary.LittleEndian
	end.head(tagItemsEnd, "", 0)
	private := encoder{order: binary.LittleEndian}
	private.put(0x00080018, "UI", "2.25.3").head(0x00090010, "OB", large)
	rest := encoder{order: binary.LittleEndian}
	rest.put(tagPatientID, "LO", "9990000018").put(tagStudy, "UI", "2.25.1")
	for name, src := range map[string]sparse{
		"native":          {head, nil, int64(len(head)) + large},
		"encapsulated":    {encapsulated, end.Bytes(), large},
		"private element": {private.Bytes(), rest.Bytes(), int64(private.Len()) + large + int64(rest.Len())},
	} {
		t.Run(name, func(t *testing.T) {
			c := &counting{ReaderAt: src}
			m := readDICOM(c, src.size, wire.Full)
			if m.Problem != "" || m.Patient.Identifier != "9990000018" {
				t.Errorf("got %+v", m)
			}
			if c.bytes > 200<<10 || c.calls > 20 {
				t.Errorf("read %d bytes in %d calls", c.bytes, c.calls)
			}
		})
	}
}

// TestManyFragments: where there is no shortcut past the fragments, they are walked as far as the bounds allow.
func TestManyFragments(t *testing.T) {
	for name, c := range map[string]struct {
		fragments int
		cut       bool
		behind    int // bytes of padding behind the pixels
		want      document.Reason
		detail    string
	}{
		"all":                    {20_000, false, 0, "", ""},
		"cut":                    {20_000, true, 0, document.ReasonTruncated, "ends early"},
		"too many":               {50_000, false, 0, "", ""},
		"too many, with padding": {50_000, false, 8 << 10, "", ""},
		// Nothing tells that it is whole.
		"too many, cut": {50_000, true, 0, document.ReasonTruncated, "ends early"},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			f.syntax = "1.2.840.10008.1.2.4.90"
			f.after = func(e *encoder) {
				e.head(tagPixels, "OB", undefinedLength).head(tagItem, "", 0)
				for range c.fragments {
					e.head(tagItem, "", 1000).Write(make([]byte, 1000))
				}
				if c.cut {
					e.Truncate(e.Len() - 1)
					return
				}
				e.head(tagItemsEnd, "", 0)
				if c.behind > 0 {
					e.put(0xFFFCFFFC, "OB", strings.Repeat("\x00", c.behind))
				} else {
					e.WriteString("trailing")
				}
			}
			data := f.encode(t)
			count := &counting{ReaderAt: bytes.NewReader(data)}
			m := readDICOM(count, int64(len(data)), wire.Full)
			if m.Problem != c.want || !strings.Contains(m.Detail, c.detail) || (m.Detail == "") != (c.detail == "") ||
				(m.PixelOffset > 0) != (c.want == "") {
				t.Errorf("got %+v", m)
			}
			if count.calls > wire.MaxAsks || count.bytes > wire.MaxRead {
				t.Errorf("read %d bytes in %d calls: the parent would end the child", count.bytes, count.calls)
			}
		})
	}
}

// TestHeaderTooLong: what is read of a header is bounded.
func TestHeaderTooLong(t *testing.T) {
	for name, c := range map[string]struct {
		elements int // of 64 bytes
		after    bool
		want     document.Reason
	}{
		"15 MiB":           {15 << 14, false, ""},
		"17 MiB":           {17 << 14, false, document.ReasonTooLarge},
		"behind the study": {17 << 14, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			fill := func(group tag) func(*encoder) {
				return func(e *encoder) {
					for n := range c.elements {
						e.put((group+2*tag(n/0x8000))<<16|tag(0x1000+n%0x8000), "LO", strings.Repeat("x", 56))
					}
				}
			}
			f := good()
			if f.between = fill(0x0011); c.after {
				f.between, f.after = nil, fill(0x0051)
			}
			data := f.encode(t)
			count := &counting{ReaderAt: bytes.NewReader(data)}
			m := readDICOM(count, int64(len(data)), wire.Careful)
			if m.Problem != c.want {
				t.Errorf("got %q (%s), want %q", m.Problem, m.Detail, c.want)
			}
			if count.bytes > maxHeader+maxChunk {
				t.Errorf("read %d bytes", count.bytes)
			}
		})
	}
}

// TestDeflateBomb: a small dataset that would become gigabytes is inflated to the bound only, and in little memory.
func TestDeflateBomb(t *testing.T) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	f := good()
	f.after = func(e *encoder) { e.head(tagPixels, "OW", 1<<30) }
	whole := f.encode(t)
	h, err := scan(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	f.syntax = deflatedExplicitVRLittleEndian
	meta := f.encode(t)
	deflatedAt, _ := scan(bytes.NewReader(meta), int64(len(meta)))
	write := func(b []byte) (end int) {
		_, _ = w.Write(b)
		_ = w.Flush()
		return packed.Len()
	}
	zeros := make([]byte, 1<<20)
	write(whole[h.dataset:])
	from := write(zeros)
	to := write(zeros) // refers back to zeros only, and can be repeated
	packed.Write(bytes.Repeat(bytes.Clone(packed.Bytes()[from:to]), 1024))
	data := slices.Concat(meta[:deflatedAt.dataset], packed.Bytes())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m := readDICOM(bytes.NewReader(data), int64(len(data)), wire.Full)
	runtime.ReadMemStats(&after)
	if m.Problem != "" || m.Patient.Identifier != f.patient || !strings.Contains(m.Detail, "too long") {
		t.Errorf("got %+v", m)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("%d bytes inflate to 1 GiB, with %d bytes of memory", len(data), got)
	}
}

func TestSameObject(t *testing.T) {
	ours := map[tag][]byte{
		tagPatientID: []byte("1 "), tagIssuer: nil, tagStudy: []byte("2\x00"), tagSeries: []byte("3"), tagInstance: []byte("4"),
	}
	theirs := func() map[tag]string {
		return map[tag]string{tagPatientID: "1", tagStudy: "2", tagSeries: "3", tagInstance: "4", tagModality: "CT"}
	}
	if !sameObject(ours, theirs()) {
		t.Error("the same object passes for another")
	}
	for _, tag := range identities() {
		other := theirs()
		other[tag] = "x"
		if sameObject(ours, other) {
			t.Errorf("a different %v passes for the same object", tag)
		}
	}
	ours[tagPatientID] = []byte("\x1b$B;3ED\x1b(B")
	other := theirs()
	if other[tagPatientID] = "山田"; !sameObject(ours, other) {
		t.Error("an identifier beyond ASCII is compared as text")
	}
	if other[tagPatientID] = ""; sameObject(ours, other) {
		t.Error("an identifier that the other does not see passes")
	}
}

// seeds are files of every kind that the scanner treats apart, by name.
func seeds(t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for name, syntax := range map[string]string{
		"explicit": "1.2.840.10008.1.2.1", "implicit": implicitVRLittleEndian, "big-endian": explicitVRBigEndian,
		"deflated": deflatedExplicitVRLittleEndian,
	} {
		f := good()
		f.syntax = syntax
		all[name] = f.encode(t)
		f.between, f.after = sequence("SQ"), fragments
		f.early = func(e *encoder) {
			e.head(tagQualifiers, "SQ", undefinedLength).head(tagItem, "", undefinedLength).put(tagUniversalID, "UT", "1.2.3")
			e.head(tagItemEnd, "", 0).head(tagItemsEnd, "", 0)
		}
		f.issuer = ""
		all[name+"-sequences"] = f.encode(t)
		f.between, f.bare = sequence("UN"), true
		all[name+"-bare"] = f.encode(t)
	}
	for name, c := range map[string]struct{ set, name string }{
		"japanese": {`ISO 2022 IR 13\ISO 2022 IR 87`, "\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"},
		"korean":   {`\ISO 2022 IR 149`, "Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"},
		"chinese":  {"GB18030", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab="},
		"cyrillic": {`ISO_IR 100\ISO 2022 IR 144`, "Ren\xe9 \x1b-L\xbb\xee\xda^\xe9"},
	} {
		f := good()
		f.charset, f.name, f.patient = c.set, c.name, c.name
		all[name] = f.encode(t)
	}
	f := good()
	f.media, f.class = mediaDirectory, ""
	f.before = func(e *encoder) { e.head(tagDirectory, "SQ", 0) }
	f.between = func(e *encoder) { e.put(0x00111001, "  ", "????").put(0x00111002, "ZZ", "z") }
	f.after = func(e *encoder) {
		e.put(tagInstances, "IS", "12").put(tagTitle, "ST", "Title").put(tagFloatPixels, "OF", "1234")
	}
	all["odd"] = f.encode(t)
	return all
}

// FuzzScan: the scanner never panics, stays within its bounds, and what it says the parent accepts. Its corpus is in
// testdata/fuzz.
func FuzzScan(f *testing.F) {
	for _, data := range seeds(&testing.T{}) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		size := int64(len(data))
		h, _ := scan(bytes.NewReader(data), size)
		for _, at := range []int64{h.dataset, h.end, h.pixels} {
			if at < 0 || at > size {
				t.Errorf("dataset at %d, its header to %d, pixels at %d, of %d", h.dataset, h.end, h.pixels, size)
			}
		}
		m := readDICOM(bytes.NewReader(data), size, wire.Careful)
		if err := wire.Check(m, size); err != nil {
			t.Errorf("the parent would refuse the answer: %v", err)
		}
	})
}
