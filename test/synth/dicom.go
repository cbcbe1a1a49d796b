package synth

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"time"
)

// Transfer syntaxes.
const (
	ExplicitLittleEndian = "1.2.840.10008.1.2.1"
	ImplicitLittleEndian = "1.2.840.10008.1.2"
)

// modality is what a kind of image looks like.
type modality struct {
	name, class    string // Modality, SOP Class UID
	rows, columns  int
	samples, bytes int // per pixel, per sample
}

var (
	ct = modality{"CT", "1.2.840.10008.5.1.4.1.1.2", 512, 512, 1, 2}
	mr = modality{"MR", "1.2.840.10008.5.1.4.1.1.4", 256, 256, 1, 2}
	cr = modality{"CR", "1.2.840.10008.5.1.4.1.1.1", 2500, 2048, 1, 2}
	us = modality{"US", "1.2.840.10008.5.1.4.1.1.3.1", 480, 640, 3, 1}
	xa = modality{"XA", "1.2.840.10008.5.1.4.1.1.12.1", 512, 512, 1, 1}
)

// scaled gives the modality with its edges divided.
func (m modality) scaled(by int) modality {
	m.rows, m.columns = m.rows/by, m.columns/by
	return m
}

// frame gives the size of one frame in bytes.
func (m modality) frame() int { return m.rows * m.columns * m.samples * m.bytes }

// Image is one DICOM instance.
type Image struct {
	Patient                 Person // without a number, the file names nobody
	Issuer                  string // of the number
	Study, Series, Instance string
	Description             string
	Time                    time.Time
	Number, Frames          int
	Syntax                  string
	Sender                  string // Implementation Version Name, in the file meta group only

	modality modality
	noise    []byte // the pixels: rows x columns x samples x bytes x frames
}

// dataset writes data elements in ascending order of tags (PS3.5 §7.1).
type dataset struct {
	bytes.Buffer
	implicit bool
	script   string
}

// put writes an element, padded to an even length.
func (d *dataset) put(tag uint32, vr string, value []byte) {
	if len(value)%2 == 1 {
		pad := byte(' ')
		if vr == "UI" || vr == "OB" {
			pad = 0
		}
		value = append(bytes.Clone(value), pad)
	}
	head := binary.LittleEndian.AppendUint16(nil, uint16(tag>>16))
	head = binary.LittleEndian.AppendUint16(head, uint16(tag))
	size := uint32(len(value))
	switch {
	case d.implicit:
		head = binary.LittleEndian.AppendUint32(head, size)
	case vr == "OB" || vr == "OW":
		head = append(append(head, vr...), 0, 0)
		head = binary.LittleEndian.AppendUint32(head, size)
	default:
		head = append(head, vr...)
		head = binary.LittleEndian.AppendUint16(head, uint16(size))
	}
	d.Write(head)
	d.Write(value)
}

func (d *dataset) text(tag uint32, vr, value string) { d.put(tag, vr, encode(value, d.script)) }

func (d *dataset) number(tag uint32, value int) {
	d.put(tag, "US", binary.LittleEndian.AppendUint16(nil, uint16(value)))
}

// Encode gives the file (PS3.10) and where its dataset begins.
func (i Image) Encode() (file []byte, offset int) {
	meta := dataset{}
	meta.put(0x00020001, "OB", []byte{0, 1})
	meta.text(0x00020002, "UI", i.modality.class)
	meta.text(0x00020003, "UI", i.Instance)
	meta.text(0x00020010, "UI", i.Syntax)
	meta.text(0x00020012, "UI", "2.25.90210")
	meta.text(0x00020013, "SH", i.Sender)
	head := dataset{}
	head.Write(append(make([]byte, 128), "DICM"...))
	head.put(0x00020000, "UL", binary.LittleEndian.AppendUint32(nil, uint32(meta.Len())))
	head.Write(meta.Bytes())
	body := i.dataset()
	return append(head.Bytes(), body...), head.Len()
}

func (i Image) dataset() []byte {
	d := dataset{implicit: i.Syntax == ImplicitLittleEndian, script: i.Patient.Script}
	m := i.modality
	d.Grow(len(i.noise) + 4096)
	d.text(0x00080005, "CS", i.Patient.Script)
	d.text(0x00080016, "UI", m.class)
	d.text(0x00080018, "UI", i.Instance)
	d.text(0x00080020, "DA", i.Time.Format("20060102"))
	d.text(0x00080030, "TM", i.Time.Format("150405"))
	d.text(0x00080050, "SH", "")
	d.text(0x00080060, "CS", m.name)
	d.text(0x00080070, "LO", "Synthetic")
	d.text(0x00080201, "SH", "+0000")
	d.text(0x00081030, "LO", i.Description)
	d.text(0x00100010, "PN", i.Patient.Name())
	d.text(0x00100020, "LO", i.Patient.NHS)
	if i.Patient.NHS != "" {
		d.text(0x00100021, "LO", i.Issuer)
	}
	d.text(0x00100030, "DA", i.Patient.Birth)
	d.text(0x00100040, "CS", i.Patient.Sex)
	d.text(0x0020000D, "UI", i.Study)
	d.text(0x0020000E, "UI", i.Series)
	d.text(0x00200011, "IS", "1")
	d.text(0x00200013, "IS", strconv.Itoa(i.Number))
	d.number(0x00280002, m.samples)
	if m.samples == 3 {
		d.text(0x00280004, "CS", "RGB")
		d.number(0x00280006, 0)
	} else {
		d.text(0x00280004, "CS", "MONOCHROME2")
	}
	if i.Frames > 1 {
		d.text(0x00280008, "IS", strconv.Itoa(i.Frames))
	}
	d.number(0x00280010, m.rows)
	d.number(0x00280011, m.columns)
	d.number(0x00280100, m.bytes*8)
	d.number(0x00280101, m.bytes*8)
	d.number(0x00280102, m.bytes*8-1)
	d.number(0x00280103, 0)
	vr := "OW"
	if m.bytes == 1 {
		vr = "OB"
	}
	d.put(0x7FE00010, vr, i.noise)
	return d.Bytes()
}
