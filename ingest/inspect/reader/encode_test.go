package reader

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

// encoder writes data elements of a test file.
type encoder struct {
	bytes.Buffer
	order    binary.ByteOrder
	implicit bool
}

func (e *encoder) head(t tag, vr string, length uint32) *encoder {
	var b [8]byte
	e.order.PutUint16(b[:], t.group())
	e.order.PutUint16(b[2:], uint16(t))
	switch {
	case e.implicit || t.group() == 0xFFFE:
		e.order.PutUint32(b[4:], length)
		e.Write(b[:])
	case !shortVR(vr) && !oddVR(vr):
		copy(b[4:], vr)
		e.Write(b[:])
		e.order.PutUint32(b[:], length)
		e.Write(b[:4])
	default:
		copy(b[4:], vr)
		e.order.PutUint16(b[6:], uint16(length))
		e.Write(b[:])
	}
	return e
}

func (e *encoder) put(t tag, vr, value string) *encoder {
	if len(value)%2 == 1 {
		value += " "
	}
	e.head(t, vr, uint32(len(value))).WriteString(value)
	return e
}

// file is a small DICOM file that the tests bend.
type file struct {
	syntax  string
	bare    bool   // no preamble and no file meta information
	charset string // as it stands in the file
	name    string
	patient string
	study   string
	class   string
	media   string // SOP class in the file meta information
	issuer  string

	description, seriesText string

	before     func(*encoder) // elements before group 0008
	early      func(*encoder) // elements between (0010,0021) and (0010,0030)
	between    func(*encoder) // elements before group 0020
	after      func(*encoder) // elements behind it, in place of pixels
	bigEndian  bool           // whatever syntax says
	implicit   bool           // whatever syntax says
	asDeclared bool           // take both from syntax
	trailing   string
	metaError  int // how wrong the length of the meta group is
}

func good() file {
	return file{
		syntax: "1.2.840.10008.1.2.1", charset: "ISO_IR 192", name: "Doe^Ja\u00efr", patient: "9990000018", study: "2.25.1",
		class: "1.2.840.10008.5.1.4.1.1.2", issuer: "NHS", description: "Head", asDeclared: true,
	}
}

func (f file) encode(t *testing.T) []byte {
	t.Helper()
	body := encoder{order: binary.LittleEndian, implicit: f.implicit}
	if f.asDeclared {
		body.implicit = f.syntax == implicitVRLittleEndian
		f.bigEndian = f.syntax == explicitVRBigEndian
	}
	if f.bigEndian {
		body.order = binary.BigEndian
	}
	if f.before != nil {
		f.before(&body)
	}
	if f.charset != "" {
		body.put(tagCharacterSet, "CS", f.charset)
	}
	if f.class != "" {
		body.put(tagSOPClass, "UI", f.class+"\x00")
	}
	body.put(tagInstance, "UI", "2.25.3")
	body.put(tagStudyDate, "DA", "20260102").put(tagStudyTime, "TM", "030405.5").put(tagModality, "CS", "CT")
	body.put(tagTimezone, "SH", "+0130").put(tagDescription, "LO", f.description)
	if f.seriesText != "" {
		body.put(tagSeriesText, "LO", f.seriesText)
	}
	body.put(tagPatientName, "PN", f.name).put(tagPatientID, "LO", f.patient)
	if f.issuer != "" {
		body.put(tagIssuer, "LO", f.issuer)
	}
	if f.early != nil {
		f.early(&body)
	}
	body.put(tagBirthDate, "DA", "19500101")
	if f.between != nil {
		f.between(&body)
	}
	body.put(tagStudy, "UI", f.study).put(tagSeries, "UI", "2.25.22")
	if f.after != nil {
		f.after(&body)
	} else {
		body.put(tagPixels, "OW", "pixels")
	}
	body.WriteString(f.trailing)
	data := body.Bytes()
	switch f.syntax {
	case deflatedExplicitVRLittleEndian, jpipReferencedDeflate, jpipHTJ2KReferencedDeflate:
		data = deflate(t, data)
	}
	if f.bare {
		return data
	}
	meta := encoder{order: binary.LittleEndian}
	if f.media != "" {
		meta.put(tagMediaClass, "UI", f.media)
	}
	meta.put(tagTransferSyntax, "UI", f.syntax+"\x00")
	group := encoder{order: binary.LittleEndian}
	group.Write(append(make([]byte, 128), "DICM"...))
	group.put(0x00020000, "UL", string(binary.LittleEndian.AppendUint32(nil, uint32(meta.Len()+f.metaError))))
	return slices.Concat(group.Bytes(), meta.Bytes(), data)
}

func deflate(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// read reads as the child does and checks what the parent would.
func read(t *testing.T, data []byte, mode wire.Mode) document.Metadata {
	t.Helper()
	m, _ := Read(bytes.NewReader(data), data[:min(len(data), wire.Head)], int64(len(data)), mode)
	if err := wire.Check(m, int64(len(data))); err != nil {
		t.Errorf("the parent would refuse the answer: %v: %+v", err, m)
	}
	return m
}
