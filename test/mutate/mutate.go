package mutate

import (
	"bytes"
	"fmt"
	"iter"
	"math/rand/v2"
)

// Kind is how a file is broken.
type Kind string

// The kinds.
const (
	Changed     Kind = "changed"      // one to eight bytes are others
	Truncated   Kind = "truncated"    // it ends in its header
	Nested      Kind = "nested"       // sequences in sequences, whole and endless
	LengthBomb  Kind = "length-bomb"  // an element says that it is longer than it is
	PDFBomb     Kind = "pdf-bomb"     // it refers to itself, or unpacks to gigabytes
	DeflateBomb Kind = "deflate-bomb" // a deflated dataset that unpacks to gigabytes
)

// File is one broken file, or one that happens to have survived.
type File struct {
	Name string // its number and kind, with .dcm or .pdf
	Kind Kind   // empty for a valid one
	Data []byte // the caller's to keep
}

// share is how many of a hundred files in a row are of a kind.
const (
	shareTruncated = 42
	shareChanged   = 36
	shareNested    = 8
	shareLength    = 12
	// And one each of the two bombs, each of which takes its reader a second or more.
)

// Files makes n files. The first 10,000 end at every offset of a header at least once.
func Files(seed uint64, n int) iter.Seq[File] {
	return func(yield func(File) bool) {
		g := newGenerator()
		for i := range n {
			g.Rand = rand.New(rand.NewPCG(seed, uint64(i)))
			kind, ext, data := g.make(i)
			if !yield(File{Name: fmt.Sprintf("%06d-%s.%s", i, kind, ext), Kind: kind, Data: data}) {
				return
			}
		}
	}
}

// Valid are the files that the others are made of: a DICOM file in each way of encoding, and PDFs.
func Valid() iter.Seq[File] {
	return func(yield func(File) bool) {
		g := newGenerator()
		for i, d := range g.dicom {
			if !yield(File{Name: fmt.Sprintf("%06d-valid.dcm", i), Data: d.file()}) {
				return
			}
		}
		for i, data := range g.pdf {
			if !yield(File{Name: fmt.Sprintf("%06d-valid.pdf", i), Data: bytes.Clone(data)}) {
				return
			}
		}
	}
}

// generator makes files one by one; its random numbers are those of the file at hand.
type generator struct {
	*rand.Rand
	dicom []dataset
	pdf   [][]byte
	cuts  []cut
}

// cut is a place at which a file may end.
type cut struct {
	ext  string
	data []byte
	at   int
}

func newGenerator() *generator {
	g := &generator{dicom: datasets(), pdf: documents()}
	for _, d := range g.dicom {
		data := d.file()
		for at := range d.header() {
			g.cuts = append(g.cuts, cut{"dcm", data, at})
		}
	}
	for _, data := range g.pdf {
		for at := 0; at < len(data); at += 1 + len(data)/200 {
			g.cuts = append(g.cuts, cut{"pdf", data, at})
		}
	}
	return g
}

// make makes the file with a number. The kinds are spread evenly, so that any part of the files has its share of them.
func (g *generator) make(i int) (kind Kind, ext string, data []byte) {
	slot := i * 37 % 100 // 37 and 100 have no common factor: each slot comes once in a hundred
	round := i / 100
	switch {
	case slot < shareTruncated:
		c := g.cuts[(round*shareTruncated+slot)%len(g.cuts)]
		return Truncated, c.ext, bytes.Clone(c.data[:c.at])
	case slot < shareTruncated+shareChanged:
		ext, data = g.changed()
		return Changed, ext, data
	case slot < shareTruncated+shareChanged+shareNested:
		return Nested, "dcm", g.nested()
	case slot < shareTruncated+shareChanged+shareNested+shareLength:
		return LengthBomb, "dcm", g.lengthBomb()
	case slot < 99:
		return PDFBomb, "pdf", g.pdfBomb(round)
	default:
		return DeflateBomb, "dcm", g.deflateBomb()
	}
}

// changed changes one to eight bytes of a file. Those of a deflated dataset are changed before or after it is deflated.
func (g *generator) changed() (ext string, data []byte) {
	if g.IntN(4) == 0 {
		data = bytes.Clone(g.pdf[g.IntN(len(g.pdf))])
		g.change(data)
		return "pdf", data
	}
	d := g.dicom[g.IntN(len(g.dicom))]
	if d.deflated && g.IntN(2) == 0 {
		d.body = bytes.Clone(d.body)
		g.change(d.body)
		return "dcm", d.file()
	}
	data = d.file()
	g.change(data)
	return "dcm", data
}

func (g *generator) change(data []byte) {
	for range 1 + g.IntN(8) {
		at := g.IntN(len(data))
		switch g.IntN(3) {
		case 0:
			data[at] ^= 1 << g.IntN(8)
		case 1:
			data[at] = []byte{0, 1, 0x7F, 0x80, 0xFE, 0xFF, '\\', 0x1B}[g.IntN(8)]
		default:
			data[at] = byte(g.Uint32())
		}
	}
}
