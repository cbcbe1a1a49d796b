package reader

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Transfer syntaxes that change how the dataset is encoded (PS3.5 §10 and annex A); every other one is explicit VR,
// little endian.
const (
	implicitVRLittleEndian         = "1.2.840.10008.1.2"
	explicitVRBigEndian            = "1.2.840.10008.1.2.2"
	deflatedExplicitVRLittleEndian = "1.2.840.10008.1.2.1.99"
)

// The bounds of the scanner.
const (
	maxDepth    = 64        // of nested sequences
	maxElements = 1 << 20   // in one file, at all depths
	maxValue    = 4096      // of a value that is kept, in bytes
	maxInflate  = 64 << 20  // of a deflated dataset
	undefined   = 1<<32 - 1 // the length of what ends with a delimiter
)

// tag is a DICOM tag: group, then element.
type tag uint32

// The tags that matter.
const (
	tagTransferSyntax tag = 0x00020010
	tagCharacterSet   tag = 0x00080005
	tagSOPClass       tag = 0x00080016
	tagInstance       tag = 0x00080018
	tagStudyDate      tag = 0x00080020
	tagStudyTime      tag = 0x00080030
	tagModality       tag = 0x00080060
	tagTimezone       tag = 0x00080201
	tagDescription    tag = 0x00081030
	tagPatientName    tag = 0x00100010
	tagPatientID      tag = 0x00100020
	tagIssuer         tag = 0x00100021
	tagBirthDate      tag = 0x00100030
	tagStudy          tag = 0x0020000D
	tagSeries         tag = 0x0020000E

	lastGroup = 0x0020 // no tag above this group matters

	tagFloatPixels  tag = 0x7FE00008
	tagDoublePixels tag = 0x7FE00009
	tagPixels       tag = 0x7FE00010

	tagItem      tag = 0xFFFEE000
	tagItemEnd   tag = 0xFFFEE00D
	tagItemsEnd  tag = 0xFFFEE0DD
	groupTrailer     = 0xFFFA // digital signatures (FFFA), padding (FFFC)
)

func (t tag) group() uint16  { return uint16(t >> 16) } // #nosec G115 -- the upper half
func (t tag) String() string { return fmt.Sprintf("(%04X,%04X)", t.group(), uint32(t)&0xFFFF) }

// wanted tells whether the value of a tag is kept.
func (t tag) wanted() bool {
	switch t {
	case tagTransferSyntax, tagCharacterSet, tagSOPClass, tagInstance, tagStudyDate, tagStudyTime, tagModality,
		tagTimezone, tagDescription, tagPatientName, tagPatientID, tagIssuer, tagBirthDate, tagStudy, tagSeries:
		return true
	default:
		return false
	}
}

// header is what the scanner found.
type header struct {
	values  map[tag][]byte
	dataset int64 // where the dataset begins in the file, after group 0002; 0 if that is not known
	end     int64 // where the elements up to lastGroup end in the file; 0 for a deflated dataset
	// rest is why the elements after that could not be walked; nil if they could.
	rest error
}

// errMalformed means that the bytes are not what DICOM says stands there.
var errMalformed = errors.New("not a DICOM data element")

// scanner walks the elements of one dataset.
type scanner struct {
	v        *view
	order    binary.ByteOrder
	explicit bool
	elements int
}

// element is the head of a data element.
type element struct {
	tag    tag
	vr     string // empty where implicit
	value  int64  // where the value begins
	length uint32 // may be undefined
}

// scan reads a header. An error means that it found no complete header; what it knows by then (values, dataset) is
// returned with it.
func scan(src io.ReaderAt, size int64) (header, error) {
	h := header{values: map[tag][]byte{}}
	v := &view{src: src, size: size}
	start := int64(0)
	if b, err := v.bytes(128, 4); err == nil && string(b) == "DICM" {
		start = 132
	}
	meta := &scanner{v: v, order: binary.LittleEndian, explicit: true}
	end, err := meta.group2(&h, start)
	if err != nil {
		return h, fmt.Errorf("file meta information: %w", err)
	}
	h.dataset = end
	syntax := uidValue(h.values[tagTransferSyntax])
	if syntax == deflatedExplicitVRLittleEndian {
		return h, scanDeflated(&h, v)
	}
	s := &scanner{v: v, order: binary.LittleEndian, explicit: syntax != implicitVRLittleEndian}
	if syntax == explicitVRBigEndian {
		s.order = binary.BigEndian
	}
	s.correct(h.dataset)
	return h, s.dataset(&h, h.dataset)
}

// scanDeflated inflates the dataset, which goes to the end of the file, and scans that.
func scanDeflated(h *header, v *view) error {
	packed := io.NewSectionReader(v.src, h.dataset, v.size-h.dataset)
	data, err := io.ReadAll(io.LimitReader(flate.NewReader(packed), maxInflate))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("inflate dataset: %w", err)
	}
	whole := len(data) < maxInflate
	s := &scanner{
		v:     &view{src: bytes.NewReader(data), size: int64(len(data))},
		order: binary.LittleEndian, explicit: true,
	}
	inner := header{values: h.values}
	scanErr := s.dataset(&inner, 0)
	h.rest = inner.rest
	if err != nil && scanErr == nil {
		h.rest = fmt.Errorf("deflated dataset: %w", errTruncated)
	}
	if !whole && errors.Is(h.rest, errTruncated) {
		h.rest = errors.New("deflated dataset: too long to check")
	}
	return scanErr
}

// group2 walks the file meta information at off and gives the place behind it. Its group length is not believed: where
// the two disagree, the elements are right.
func (s *scanner) group2(h *header, off int64) (int64, error) {
	for {
		b, err := s.v.bytes(off, 2)
		if err != nil {
			return 0, err
		}
		if s.order.Uint16(b) != 0x0002 {
			return off, nil
		}
		e, err := s.element(off)
		if err != nil {
			return 0, err
		}
		if e.length == undefined {
			return 0, errMalformed
		}
		if err := s.keep(h, e); err != nil {
			return 0, err
		}
		if off, err = s.skip(e, 0); err != nil {
			return 0, err
		}
	}
}

// correct looks at the first element and corrects what the transfer syntax says of VRs and byte order: files whose
// header was rewritten without it are met, and DICOM without a preamble has none.
func (s *scanner) correct(off int64) {
	b, err := s.v.bytes(off, 8)
	if err != nil {
		return
	}
	if first := s.order.Uint16(b); first == 0x0800 || first == 0x0200 {
		if s.order == binary.LittleEndian {
			s.order = binary.BigEndian
		} else {
			s.order = binary.LittleEndian
		}
	}
	s.explicit = isVR(string(b[4:6]))
}

// dataset walks the elements at the top level. Only the part up to lastGroup can fail it; trouble in the rest goes to
// h.rest.
func (s *scanner) dataset(h *header, off int64) error {
	err := s.walk(h, off)
	if err == nil || h.end > 0 {
		h.rest = err
		return nil
	}
	return err
}

func (s *scanner) walk(h *header, off int64) error {
	last := tag(0)
	for off < s.v.size {
		e, err := s.element(off)
		if err == nil && e.tag <= last {
			err = fmt.Errorf("%w: %v after %v", errMalformed, e.tag, last)
		}
		if err != nil && last >= tagFloatPixels {
			return nil // what trails the pixels is no part of the dataset
		}
		if err != nil {
			return fmt.Errorf("element after %v: %w", last, err)
		}
		if e.tag.group() > lastGroup && h.end == 0 {
			h.end = off
		}
		last = e.tag
		if e.tag > tagPixels && e.tag.group() < groupTrailer {
			return nil
		}
		if err := s.keep(h, e); err != nil {
			return fmt.Errorf("element %v: %w", e.tag, err)
		}
		if off, err = s.skip(e, 0); err != nil {
			return fmt.Errorf("element %v: %w", e.tag, err)
		}
	}
	if h.end == 0 {
		h.end = off
	}
	return nil
}

// keep stores the value of a wanted element.
func (s *scanner) keep(h *header, e element) error {
	if !e.tag.wanted() {
		return nil
	}
	if e.length > maxValue {
		return fmt.Errorf("%w: a value of %d bytes", errMalformed, e.length)
	}
	b, err := s.v.bytes(e.value, int(e.length))
	if err != nil {
		return err
	}
	h.values[e.tag] = bytes.Clone(b)
	return nil
}

// element reads the head of the element at off (PS3.5 §7.1).
func (s *scanner) element(off int64) (element, error) {
	if s.elements++; s.elements > maxElements {
		return element{}, fmt.Errorf("%w: too many elements", errMalformed)
	}
	b, err := s.v.bytes(off, 8)
	if err != nil {
		return element{}, err
	}
	e := element{
		tag:    tag(s.order.Uint16(b))<<16 | tag(s.order.Uint16(b[2:])),
		value:  off + 8,
		length: s.order.Uint32(b[4:]),
	}
	if !s.explicit || e.tag.group() == tagItem.group() {
		return e, nil
	}
	e.vr = string(b[4:6])
	if !isVR(e.vr) {
		return e, errMalformed
	}
	if !longVR(e.vr) {
		e.length = uint32(s.order.Uint16(b[6:]))
		return e, nil
	}
	if b, err = s.v.bytes(off+8, 4); err != nil {
		return e, err
	}
	e.value, e.length = off+12, s.order.Uint32(b)
	return e, nil
}

// skip gives the place behind an element.
func (s *scanner) skip(e element, depth int) (int64, error) {
	if e.length != undefined {
		end := e.value + int64(e.length)
		if end > s.v.size {
			return 0, errTruncated
		}
		return end, nil
	}
	if e.tag == tagPixels && depth == 0 && s.endsWithPixels() {
		return s.v.size, nil
	}
	if e.vr == "UN" { // of undefined length: a sequence in implicit VR, little endian (PS3.5 §6.2.2, note 2)
		inner := &scanner{v: s.v, order: binary.LittleEndian, elements: s.elements}
		end, err := inner.items(e.value, depth+1)
		s.elements = inner.elements
		return end, err
	}
	return s.items(e.value, depth+1)
}

// endsWithPixels looks for the delimiter of encapsulated pixels at the end of the file: a shortcut past what may be many
// thousands of fragments.
func (s *scanner) endsWithPixels() bool {
	b, err := s.v.bytes(s.v.size-8, 8)
	return err == nil && tag(s.order.Uint16(b))<<16|tag(s.order.Uint16(b[2:])) == tagItemsEnd && s.order.Uint32(b[4:]) == 0
}

// items walks the items of a sequence, or the fragments of encapsulated pixels, up to their delimiter (PS3.5 §7.5, A.4).
func (s *scanner) items(off int64, depth int) (int64, error) {
	if depth > maxDepth {
		return 0, fmt.Errorf("%w: sequences nest more than %d deep", errMalformed, maxDepth)
	}
	for {
		e, err := s.element(off)
		if err != nil {
			return 0, err
		}
		switch {
		case e.tag == tagItemsEnd:
			return e.value, nil
		case e.tag != tagItem:
			return 0, fmt.Errorf("%w: %v in place of an item", errMalformed, e.tag)
		case e.length == undefined:
			off, err = s.item(e.value, depth)
		default:
			off, err = s.skip(e, depth)
		}
		if err != nil {
			return 0, err
		}
	}
}

// item walks the elements of an item of undefined length.
func (s *scanner) item(off int64, depth int) (int64, error) {
	for {
		e, err := s.element(off)
		if err != nil {
			return 0, err
		}
		if e.tag == tagItemEnd {
			return e.value, nil
		}
		if off, err = s.skip(e, depth); err != nil {
			return 0, err
		}
	}
}

// isVR tells whether s is a value representation (PS3.5 §6.2).
func isVR(s string) bool {
	switch s {
	case "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM",
		"UI", "UL", "US":
		return true
	default:
		return longVR(s)
	}
}

// longVR tells whether a value representation has a length of 4 bytes (PS3.5 §7.1.2).
func longVR(s string) bool {
	switch s {
	case "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV":
		return true
	default:
		return false
	}
}
