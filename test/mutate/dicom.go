package mutate

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
)

// The transfer syntaxes of the files.
const (
	implicitLittle = "1.2.840.10008.1.2"
	explicitLittle = "1.2.840.10008.1.2.1"
	explicitBig    = "1.2.840.10008.1.2.2"
	deflatedLittle = "1.2.840.10008.1.2.1.99"
	jpeg2000       = "1.2.840.10008.1.2.4.90"
)

const undefined = 0xFFFFFFFF

// dataset is a valid DICOM file in its parts.
type dataset struct {
	meta     []byte // preamble and file meta information
	body     []byte // before it is deflated
	deflated bool
	lengths  []field // in body
	pixels   int     // where the value of the pixel data begins in body
	order    binary.ByteOrder
}

// field is where an element's length stands.
type field struct{ at, width int }

func (d dataset) file() []byte {
	body := d.body
	if d.deflated {
		body = deflate(body)
	}
	return append(bytes.Clone(d.meta), body...)
}

// header is how long the header is; of a deflated dataset all of it.
func (d dataset) header() int {
	if d.deflated {
		return len(d.file())
	}
	return len(d.meta) + d.pixels
}

// datasets are the valid files: one in each way of encoding, with sequences of defined and undefined length.
func datasets() []dataset {
	var all []dataset
	for _, syntax := range []string{implicitLittle, explicitLittle, explicitBig, deflatedLittle, jpeg2000} {
		all = append(all, newDataset(syntax, nil))
	}
	return all
}

// newDataset makes a file; more writes further elements of groups 0011 to 001F.
func newDataset(syntax string, more func(*writer)) dataset {
	w := &writer{order: binary.LittleEndian, implicit: syntax == implicitLittle}
	if syntax == explicitBig {
		w.order = binary.BigEndian
	}
	w.put(0x00080005, "CS", `ISO 2022 IR 6\ISO 2022 IR 87`)
	w.put(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.4\x00")
	w.put(0x00080018, "UI", "2.25.3\x00\x00")
	w.put(0x00080020, "DA", "20260302").put(0x00080030, "TM", "081500.5")
	w.put(0x00080060, "CS", "MR").put(0x00080201, "SH", "+0100 ")
	w.put(0x00081030, "LO", "Mutation")
	w.put(0x00100010, "PN", "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B ")
	w.put(0x00100020, "LO", "9990000018").put(0x00100021, "LO", "")
	w.sequence(0x00100024, w.implicit, func(w *writer) { w.put(0x00400032, "UT", "2.16.840.1.113883.2.1.4.1 ") })
	w.put(0x00100030, "DA", "19500101")
	w.sequence(0x00101002, true, func(w *writer) { w.put(0x00100020, "LO", "SOMEBODY ELSE ") })
	if more != nil {
		more(w)
	}
	w.put(0x0020000D, "UI", "2.25.1\x00\x00").put(0x0020000E, "UI", "2.25.2\x00\x00")
	w.put(0x00280010, "US", "\x08\x00").put(0x00280011, "US", "\x08\x00")
	noise := string(bytes.Repeat([]byte("pixels! "), 16))
	if syntax == jpeg2000 {
		w.head(0x7FE00010, "OB", undefined)
		d := dataset{pixels: w.Len()}
		w.head(0xFFFEE000, "", 0)
		w.put(0xFFFEE000, "", noise)
		w.head(0xFFFEE0DD, "", 0)
		return d.filled(syntax, w)
	}
	w.put(0x7FE00010, "OW", noise)
	return dataset{pixels: w.Len() - len(noise), deflated: syntax == deflatedLittle}.filled(syntax, w)
}

func (d dataset) filled(syntax string, w *writer) dataset {
	d.meta, d.body, d.lengths, d.order = meta(syntax), w.Bytes(), w.lengths, w.order
	return d
}

// meta gives preamble and file meta information (PS3.10 §7.1).
func meta(syntax string) []byte {
	w := &writer{order: binary.LittleEndian}
	if len(syntax)%2 == 1 {
		syntax += "\x00"
	}
	w.put(0x00020010, "UI", syntax)
	head := &writer{order: binary.LittleEndian}
	head.Write(append(make([]byte, 128), "DICM"...))
	head.put(0x00020000, "UL", string(binary.LittleEndian.AppendUint32(nil, uint32(w.Len()))))
	return append(head.Bytes(), w.Bytes()...)
}

// writer writes data elements (PS3.5 §7.1), of which it remembers where their lengths stand.
type writer struct {
	bytes.Buffer
	order    binary.ByteOrder
	implicit bool
	lengths  []field
}

func (w *writer) head(tag uint32, vr string, length uint32) *writer {
	var b [8]byte
	w.order.PutUint16(b[:], uint16(tag>>16))
	w.order.PutUint16(b[2:], uint16(tag))
	switch {
	case w.implicit || tag>>16 == 0xFFFE:
		w.lengths = append(w.lengths, field{w.Len() + 4, 4})
		w.order.PutUint32(b[4:], length)
		w.Write(b[:])
	case vr == "OB" || vr == "OW" || vr == "SQ" || vr == "UT" || vr == "UN":
		w.lengths = append(w.lengths, field{w.Len() + 8, 4})
		copy(b[4:], vr)
		w.Write(b[:])
		w.order.PutUint32(b[:], length)
		w.Write(b[:4])
	default:
		w.lengths = append(w.lengths, field{w.Len() + 6, 2})
		copy(b[4:], vr)
		w.order.PutUint16(b[6:], uint16(length))
		w.Write(b[:])
	}
	return w
}

func (w *writer) put(tag uint32, vr, value string) *writer {
	w.head(tag, vr, uint32(len(value)))
	w.WriteString(value)
	return w
}

// sequence writes a sequence with one item, both of undefined length or of defined.
func (w *writer) sequence(tag uint32, open bool, item func(*writer)) {
	if open {
		w.head(tag, "SQ", undefined).head(0xFFFEE000, "", undefined)
		item(w)
		w.head(0xFFFEE00D, "", 0).head(0xFFFEE0DD, "", 0)
		return
	}
	inner := &writer{order: w.order, implicit: w.implicit}
	item(inner)
	w.head(tag, "SQ", uint32(8+inner.Len())).head(0xFFFEE000, "", uint32(inner.Len()))
	for _, f := range inner.lengths {
		w.lengths = append(w.lengths, field{w.Len() + f.at, f.width})
	}
	w.Write(inner.Bytes())
}

// nested makes a file with a sequence in a sequence, and so on.
func (g *generator) nested() []byte {
	depth := []int{1, 2, 63, 64, 65, 66, 300, 5000, 50_000}[g.IntN(9)]
	open, whole := g.IntN(2) == 0, g.IntN(2) == 0
	syntax := []string{implicitLittle, explicitLittle, explicitBig, deflatedLittle}[g.IntN(4)]
	vr := []string{"SQ", "SQ", "UN"}[g.IntN(3)]
	return newDataset(syntax, func(w *writer) {
		switch {
		case !open:
			w.Write(w.closed(vr, depth))
		case whole:
			w.opened(vr, depth)
			for range depth {
				w.head(0xFFFEE00D, "", 0).head(0xFFFEE0DD, "", 0)
			}
		default:
			w.opened(vr, depth)
		}
	}).file()
}

// opened writes the beginnings of sequences of undefined length. What is in a UN is implicit (PS3.5 §6.2.2).
func (w *writer) opened(vr string, depth int) {
	for range depth {
		w.head(0x00111001, vr, undefined).head(0xFFFEE000, "", undefined)
	}
}

// closed gives sequences of defined length, from the outermost to an empty one.
func (w *writer) closed(vr string, depth int) []byte {
	head := &writer{order: w.order, implicit: w.implicit}
	size := head.head(0x00111001, vr, 0).Len()
	out := &writer{order: w.order, implicit: w.implicit}
	for inner := depth - 1; inner >= 0; inner-- {
		rest := inner * (size + 8)
		out.head(0x00111001, vr, uint32(rest+8)).head(0xFFFEE000, "", uint32(rest))
	}
	return out.Bytes()
}

// lengthBomb changes the length of one element.
func (g *generator) lengthBomb() []byte {
	d := g.dicom[g.IntN(len(g.dicom))]
	d.body = bytes.Clone(d.body)
	f := d.lengths[g.IntN(len(d.lengths))]
	long := []uint32{
		0xFFFFFFFE, undefined, 0x80000000, 0x7FFFFFFF, 1 << 30, 16 << 20, 1 << 16, 0xFFFF, 4097, uint32(len(d.body)), 1, 0,
	}[g.IntN(12)]
	if f.width == 2 {
		d.order.PutUint16(d.body[f.at:], uint16(long))
	} else {
		d.order.PutUint32(d.body[f.at:], long)
	}
	return d.file()
}

// deflateBomb makes a deflated file of some hundred kilobytes, of which the pixels, or a private element before the patient,
// would be up to 4 GiB.
func (g *generator) deflateBomb() []byte {
	mebibytes := 64 << g.IntN(7)
	w := &writer{order: binary.LittleEndian}
	d := newDataset(explicitLittle, nil)
	if g.IntN(2) == 0 {
		w.put(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.4\x00").head(0x00090010, "OB", uint32(mebibytes-1)<<20)
		return append(meta(deflatedLittle), bomb(w.Bytes(), mebibytes, 0)...)
	}
	w.Write(d.body[:d.pixels-12])
	w.head(0x7FE00010, "OW", uint32(mebibytes-1)<<20)
	return append(meta(deflatedLittle), bomb(w.Bytes(), mebibytes, 0)...)
}

func deflate(data []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestSpeed) // the level is a good one
	_, _ = w.Write(data)                           // a buffer takes all
	_ = w.Close()
	return out.Bytes()
}

// bomb deflates data and then as many mebibytes of one byte, in a time that does not grow with them.
func bomb(data []byte, mebibytes int, fill byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestCompression)
	write := func(b []byte) int {
		_, _ = w.Write(b)
		_ = w.Flush()
		return out.Len()
	}
	mebibyte := bytes.Repeat([]byte{fill}, 1<<20)
	write(data)
	from := write(mebibyte)
	to := write(mebibyte) // it refers back to the fill only, and so can be repeated
	out.Write(bytes.Repeat(bytes.Clone(out.Bytes()[from:to]), max(mebibytes-3, 0)))
	_ = w.Close()
	return out.Bytes()
}
