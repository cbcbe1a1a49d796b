package reader

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Transfer syntaxes that change how the dataset is encoded (PS3.5 §10 and annex A); every other one, known or not, is
// explicit VR, little endian.
const (
	implicitVRLittleEndian         = "1.2.840.10008.1.2"
	explicitVRBigEndian            = "1.2.840.10008.1.2.2"
	deflatedExplicitVRLittleEndian = "1.2.840.10008.1.2.1.99"
	jpipReferencedDeflate          = "1.2.840.10008.1.2.4.95"
	jpipHTJ2KReferencedDeflate     = "1.2.840.10008.1.2.4.205"
)

// The bounds of the scanner.
const (
	maxHeader   = 16 << 20  // bytes read of one file; what is skipped is not read
	maxDepth    = 64        // of nested sequences
	maxElements = 1 << 20   // in one file, at all depths
	maxValue    = 4096      // of a value that is kept, in bytes
	maxInflate  = 64 << 20  // of a deflated dataset
	undefined   = 1<<32 - 1 // the length of what ends with a delimiter
)

// header is what the scanner found.
type header struct {
	values    map[tag][]byte
	directory bool  // it holds directory records
	future    bool  // it has VRs that only the scanner knows how to read
	dataset   int64 // where the dataset begins in the file, after group 0002; 0 if that is not known
	end       int64 // where the elements up to lastGroup end in the file; 0 for a deflated dataset
	pixels    int64 // where the value of the pixel data begins in the file; 0 if that is not known
	last      tag   // the last element at the top level that stands in order; maxTag where the order has ended
	described bool  // it describes an image (PS3.3 C.7.6.3)
	imaged    bool  // it has pixel data: what does not fit behind them is no part of the dataset
	// rest is why the elements after that could not be walked; nil if they could.
	rest error
}

var (
	// errMalformed means that the bytes are not what DICOM says stands there.
	errMalformed = errors.New("not a DICOM data element")
	// errTwoObjects means that behind the header something says again whose the object is, or which.
	errTwoObjects = errors.New("the patient or the object's UIDs stand in it twice")
	// errTrailing means that what is behind the pixels is no part of the dataset.
	errTrailing = errors.New("not of the dataset")
)

// scanner walks the elements of one dataset.
type scanner struct {
	v        source
	order    binary.ByteOrder
	explicit bool
	elements int
	future   bool // it has met a futureVR
}

// element is the head of a data element.
type element struct {
	tag    tag
	vr     string // empty where implicit
	value  int64  // where the value begins
	length uint32 // may be undefined
}

// end gives the place behind the value of an element of defined length.
func (e element) end() int64 { return e.value + int64(e.length) }

// scan reads a header. An error means that it found no complete header; what it knows by then (values, dataset) is
// returned with it.
func scan(src io.ReaderAt, size int64) (header, error) {
	h := header{values: map[tag][]byte{}}
	v := newView(src, size)
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
	if deflates(syntax) && !looksPlain(v, end) {
		err := scanDeflated(&h, io.NewSectionReader(src, end, size-end))
		return h, err
	}
	s := &scanner{v: v, order: binary.LittleEndian, explicit: syntax != implicitVRLittleEndian}
	if syntax == explicitVRBigEndian {
		s.order = binary.BigEndian
	}
	s.correct(h.dataset)
	err = s.dataset(&h, h.dataset)
	return h, err
}

func deflates(syntax string) bool {
	return syntax == deflatedExplicitVRLittleEndian || syntax == jpipReferencedDeflate || syntax == jpipHTJ2KReferencedDeflate
}

// looksPlain tells whether a dataset that should be deflated is not: no deflated data begins as an element of group 0008 does.
func looksPlain(v *view, off int64) bool {
	b, err := v.bytes(off, 8)
	return err == nil && binary.LittleEndian.Uint16(b) == 0x0008 && isVR(string(b[4:6]))
}

// scanDeflated scans a dataset that goes, deflated, to the end of the file.
func scanDeflated(h *header, packed io.Reader) error {
	data := inflate(packed)
	s := &scanner{v: data, order: binary.LittleEndian, explicit: true}
	inner := header{values: h.values}
	if err := s.dataset(&inner, 0); err != nil {
		return err
	}
	h.directory, h.rest, h.last, h.described, h.imaged = inner.directory, inner.rest, inner.last, inner.described, inner.imaged
	if err := data.finish(); h.rest == nil || errors.Is(err, errCorrupt) {
		h.rest = err
	}
	if errors.Is(h.rest, errCorrupt) {
		return h.rest
	}
	return nil
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
	if first := s.order.Uint16(b); first&0xFF == 0 && first>>8 >= 1 && first>>8 <= 8 { // a group from 0001 to 0008, turned round
		if s.order == binary.LittleEndian {
			s.order = binary.BigEndian
		} else {
			s.order = binary.LittleEndian
		}
	}
	vr := string(b[4:6])
	s.explicit = isVR(vr) || s.explicit && (oddVR(vr) || futureVR(b[4:]))
}

// dataset walks the elements at the top level. Only the part up to lastGroup can fail it, and what contradicts that part;
// other trouble in the rest goes to h.rest.
func (s *scanner) dataset(h *header, off int64) error {
	err := s.walk(h, off)
	h.future = s.future
	if h.end > 0 && !errors.Is(err, errTwoObjects) {
		h.rest = err
		return nil
	}
	return err
}

// walk goes through the elements to the end of the data. Behind the header it goes on past what stands out of order, and
// says so in the end: what follows may end early, or be another patient's.
func (s *scanner) walk(h *header, off int64) error {
	var disorder error // the first
	for {
		if more, err := s.v.more(off); err != nil || !more {
			h.ended(off, err)
			return cmp.Or(err, disorder)
		}
		e, err := s.element(off)
		switch {
		case err != nil && h.imaged && !s.continues(h, off, err):
			return disorder
		case err != nil:
			return fmt.Errorf("element after %v: %w", h.last, err)
		case h.precedes(e.tag):
			off, err = s.take(h, e, off)
		default:
			if !h.imaged {
				disorder = cmp.Or(disorder, fmt.Errorf("%w: %v after %v", errMalformed, e.tag, h.last))
			}
			off, err = s.pass(h, e, disorder)
		}
		if errors.Is(err, errTrailing) {
			return disorder
		}
		if err != nil {
			return fmt.Errorf("element %v: %w", e.tag, err)
		}
	}
}

// precedes tells whether an element with a tag may stand behind those that were taken.
func (h *header) precedes(t tag) bool {
	return t > h.last && t.group() != tagItem.group() && (!h.imaged || t.trails())
}

// continues tells whether what stands behind the pixels is the beginning of an element that belongs there: err is why it is no
// element.
func (s *scanner) continues(h *header, off int64, err error) bool {
	if !errors.Is(err, errTruncated) {
		return false
	}
	b, err := s.v.bytes(off, 4)
	return err == nil && h.precedes(s.tag(b))
}

// pass goes past an element that is out of order, and gives the place behind it.
func (s *scanner) pass(h *header, e element, disorder error) (int64, error) {
	switch {
	case h.end == 0:
		return 0, disorder
	case slices.Contains(identities(), e.tag) || e.tag == tagQualifiers:
		return 0, errTwoObjects
	case h.imaged && e.tag == 0: // padding
		return 0, errTrailing
	}
	off, err := s.skip(e, 0)
	if h.imaged {
		h.last = maxTag // nothing is in order any more
		if err != nil {
			return 0, errTrailing
		}
	}
	h.imaged, h.described = h.imaged || e.tag.pixels(), h.described || e.tag.describesImage()
	return off, err
}

// ended notes where the header ends, the first time.
func (h *header) ended(off int64, err error) {
	if h.end == 0 && err == nil {
		h.end = off
	}
}

// take keeps what matters of the element that begins at off, at the top level, and gives the place behind it.
func (s *scanner) take(h *header, e element, off int64) (int64, error) {
	if h.last = e.tag; e.tag.group() > lastGroup {
		h.ended(off, nil)
	}
	switch {
	case e.tag == tagDirectory:
		h.directory = true
	case e.tag.describesImage():
		h.described = true
	case e.tag == tagSpectroscopy:
		h.described = false // it was of this that Rows and Columns spoke (PS3.3 C.8.14)
	case e.tag.pixels():
		h.pixels, h.imaged = e.value, true
	case e.tag == tagQualifiers:
		return s.sequence(e, 1, func(inner *scanner, e element) error {
			if _, twice := h.values[e.tag]; twice || e.tag != tagUniversalID && e.tag != tagUniversalType {
				return nil
			}
			return inner.store(h, e)
		})
	}
	if err := s.keep(h, e); err != nil {
		return 0, err
	}
	return s.skip(e, 0)
}

// keep stores the value of a wanted element. Behind the header one that is too long is passed over.
func (s *scanner) keep(h *header, e element) error {
	if !e.tag.wanted() || e.length > maxValue && e.tag.group() > lastGroup {
		return nil
	}
	return s.store(h, e)
}

func (s *scanner) store(h *header, e element) error {
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
		return element{}, fmt.Errorf("%w: too many elements", errTooLong)
	}
	b, err := s.v.bytes(off, 8)
	if err != nil {
		return element{}, err
	}
	e := element{
		tag:    s.tag(b),
		value:  off + 8,
		length: s.order.Uint32(b[4:]),
	}
	if !s.explicit || e.tag.group() == tagItem.group() {
		return e, nil
	}
	e.vr = string(b[4:6])
	switch {
	case shortVR(e.vr) || oddVR(e.vr):
		e.length = uint32(s.order.Uint16(b[6:]))
		return e, nil
	case futureVR(b[4:]) && !longVR(e.vr):
		s.future = true
	case !longVR(e.vr):
		return e, errMalformed
	}
	if b, err = s.v.bytes(off+8, 4); err != nil {
		return e, err
	}
	e.value, e.length = off+12, s.order.Uint32(b)
	return e, nil
}

func (s *scanner) tag(b []byte) tag { return tag(s.order.Uint16(b))<<16 | tag(s.order.Uint16(b[2:])) }

// skip gives the place behind an element.
func (s *scanner) skip(e element, depth int) (int64, error) {
	if e.length != undefined {
		return e.end(), s.v.reach(e.end())
	}
	if e.tag == tagPixels && depth == 0 {
		return s.fragments(e)
	}
	return s.sequence(e, depth+1, nil)
}

// fragments gives the place behind encapsulated pixels (PS3.5 §A.4). There may be many thousands of them: where the file ends
// with their delimiter they need not be walked. Of more than can be walked it must stand near the end.
func (s *scanner) fragments(pixels element) (int64, error) {
	if end, ok := s.delimiter(pixels, 8); ok {
		return end, nil
	}
	end, err := s.sequence(pixels, 1, nil)
	if !errors.Is(err, errTooLong) {
		return end, err
	}
	if end, ok := s.delimiter(pixels, maxChunk); ok {
		return end, nil
	}
	return 0, fmt.Errorf("pixels without their delimiter: %w", errTruncated)
}

// delimiter looks for that of encapsulated pixels in the last n bytes of the file, and gives the place behind it.
func (s *scanner) delimiter(pixels element, n int) (int64, bool) {
	var want [8]byte
	s.order.PutUint16(want[:], tagItemsEnd.group())
	s.order.PutUint16(want[2:], uint16(tagItemsEnd&0xFFFF))
	b, end := s.v.ending(n)
	at := bytes.LastIndex(b, want[:])
	end += int64(at - len(b) + len(want))
	return end, at >= 0 && end > pixels.value
}

// visit is called for the elements of a sequence's items, with the scanner that walks them.
type visit func(*scanner, element) error

// sequence walks the items of a sequence, or the fragments of encapsulated pixels, to its end (PS3.5 §7.5, A.4). Without
// see, items of defined length are skipped.
func (s *scanner) sequence(e element, depth int, see visit) (int64, error) {
	if e.vr == "UN" { // then it is encoded in implicit VR, little endian (PS3.5 §6.2.2, note 2)
		inner := &scanner{v: s.v, order: binary.LittleEndian, elements: s.elements}
		end, err := inner.items(e, depth, see)
		s.elements = inner.elements
		return end, err
	}
	return s.items(e, depth, see)
}

func (s *scanner) items(sequence element, depth int, see visit) (int64, error) {
	if depth > maxDepth {
		return 0, fmt.Errorf("%w: sequences nest more than %d deep", errMalformed, maxDepth)
	}
	off := sequence.value
	for sequence.length == undefined || off < sequence.end() {
		e, err := s.element(off)
		if err != nil {
			return 0, err
		}
		switch {
		case e.tag == tagItemsEnd && sequence.length == undefined:
			return e.value, nil
		case e.tag != tagItem:
			return 0, fmt.Errorf("%w: %v in place of an item", errMalformed, e.tag)
		case e.length == undefined || see != nil:
			off, err = s.item(e, depth, see)
		default:
			off, err = s.skip(e, depth)
		}
		if err != nil {
			return 0, err
		}
	}
	if off != sequence.end() {
		return 0, fmt.Errorf("%w: an item ends beyond its sequence", errMalformed)
	}
	return off, nil
}

// item walks the elements of an item.
func (s *scanner) item(item element, depth int, see visit) (int64, error) {
	off := item.value
	for item.length == undefined || off < item.end() {
		e, err := s.element(off)
		if err != nil {
			return 0, err
		}
		if e.tag == tagItemEnd && item.length == undefined {
			return e.value, nil
		}
		if see != nil {
			if err := see(s, e); err != nil {
				return 0, err
			}
		}
		if off, err = s.skip(e, depth); err != nil {
			return 0, err
		}
	}
	if off != item.end() {
		return 0, fmt.Errorf("%w: an element ends beyond its item", errMalformed)
	}
	return off, nil
}
