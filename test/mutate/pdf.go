package mutate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/adler32"
	"strings"
	"time"

	"github.com/medanchor/medanchor/test/synth"
)

// documents are the valid PDFs: with a table of its objects, and with objects and table in streams.
func documents() [][]byte {
	letter := synth.Letter{
		Title: "Mutation", Lines: []string{"NHS number 999 000 0018"}, Pages: 2, Time: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC),
	}
	return [][]byte{letter.Encode(), packed(nil, 3)}
}

// pdf writes objects (ISO 32000-2 §7.3, §7.5).
type pdf struct {
	bytes.Buffer
	offsets []int
}

func (p *pdf) object(format string, args ...any) *pdf {
	if p.Len() == 0 {
		p.WriteString("%PDF-1.5\n")
	}
	p.offsets = append(p.offsets, p.Len())
	fmt.Fprintf(p, "%d 0 obj\n"+format+"\nendobj\n", append([]any{len(p.offsets)}, args...)...)
	return p
}

func (p *pdf) stream(dict string, data []byte) *pdf {
	return p.object("<< %s /Length %d >>\nstream\n%s\nendstream", dict, len(data), data)
}

// end writes the table and the trailer, with more in its dictionary.
func (p *pdf) end(more string) []byte {
	table := p.Len()
	fmt.Fprintf(p, "xref\n0 %d\n0000000000 65535 f \n", len(p.offsets)+1)
	for _, o := range p.offsets {
		fmt.Fprintf(p, "%010d 00000 n \n", o)
	}
	more = strings.ReplaceAll(more, "SELF", fmt.Sprint(table))
	fmt.Fprintf(p, "trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n", len(p.offsets)+1, more, table)
	return p.Bytes()
}

// page writes catalog, pages and a page whose content is object 4.
func (p *pdf) page() *pdf {
	return p.object("<< /Type /Catalog /Pages 2 0 R >>").
		object("<< /Type /Pages /Count 1 /Kids [3 0 R] >>").
		object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << >> >>")
}

// packed is a PDF of which catalog, pages and page stand in an object stream (§7.5.7), and the table in another (§7.5.8).
// Objects in place of those three, and another number of them, may be given.
func packed(content []byte, n int) []byte {
	bodies := []string{
		"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << >> >>",
	}
	var index, objects strings.Builder
	for i, b := range bodies {
		fmt.Fprintf(&index, "%d %d ", i+1, objects.Len())
		objects.WriteString(b + " ")
	}
	first := index.Len()
	if content == nil {
		content = zlibbed(deflate([]byte(index.String()+objects.String())), []byte(index.String()+objects.String()))
	}
	var p bytes.Buffer
	p.WriteString("%PDF-1.5\n")
	at := p.Len()
	fmt.Fprintf(&p, "4 0 obj\n<< /Type /ObjStm /N %d /First %d /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream\nendobj\n",
		n, first, len(content), content)
	table := p.Len()
	var rows bytes.Buffer
	row := func(kind byte, a uint32, b byte) {
		rows.WriteByte(kind)
		rows.Write(binary.BigEndian.AppendUint32(nil, a))
		rows.WriteByte(b)
	}
	row(0, 0, 255)
	row(2, 4, 0)
	row(2, 4, 1)
	row(2, 4, 2)
	row(1, uint32(at), 0)
	row(1, uint32(table), 0)
	fmt.Fprintf(&p, "5 0 obj\n<< /Type /XRef /Size 6 /W [1 4 1] /Root 1 0 R /Length %d >>\nstream\n%s\nendstream\nendobj\n"+
		"startxref\n%d\n%%%%EOF\n", rows.Len(), rows.Bytes(), table)
	return p.Bytes()
}

// zlibbed puts deflated data into a zlib stream (RFC 1950). Bombs have no sum: nobody gets so far.
func zlibbed(deflated, data []byte) []byte {
	out := append([]byte{0x78, 0x9C}, deflated...)
	return binary.BigEndian.AppendUint32(out, adler32.Checksum(data))
}

// pdfBomb makes a PDF that costs its reader more than it should.
func (g *generator) pdfBomb(round int) []byte {
	mebibytes := 64 << g.IntN(6)
	blanks := zlibbed(bomb([]byte("BT (Seen) Tj "), mebibytes, ' '), nil)
	deep := 1000 << g.IntN(7)
	bombs := []func() []byte{
		func() []byte { return new(pdf).page().stream("/Filter /FlateDecode", blanks).end("") },
		func() []byte { return packed(zlibbed(bomb([]byte("1 0 2 40 3 90 "), mebibytes, ' '), nil), 3) },
		func() []byte { return packed(nil, 1<<30) },
		func() []byte { // twice deflated
			return new(pdf).page().stream("/Filter [/FlateDecode /FlateDecode]", zlibbed(deflate(blanks), blanks)).end("")
		},
		func() []byte { return new(pdf).page().stream("", nil).end("/Prev SELF") },
		func() []byte { return new(pdf).page().stream("", nil).end("/XRefStm SELF") },
		func() []byte { // pages that are their own parents
			return new(pdf).object("<< /Type /Catalog /Pages 2 0 R >>").
				object("<< /Type /Pages /Count 2147483647 /Kids [2 0 R 3 0 R] >>").
				object("<< /Type /Pages /Parent 2 0 R /Count 9 /Kids [2 0 R 3 0 R] >>").end("")
		},
		func() []byte {
			return new(pdf).object("<< /Type /Catalog /Pages 2 0 R /Names %s%s >>", strings.Repeat("[", deep), strings.Repeat("]", deep)).
				object("<< /Type /Pages /Count 0 /Kids [] >>").end("")
		},
		func() []byte {
			return new(pdf).object("<< /Type /Catalog /Pages 2 0 R /Names %s", strings.Repeat("<< /A ", deep)).
				object("<< /Type /Pages /Count 0 /Kids [] >>").end("")
		},
		func() []byte { // a stream whose length is the stream
			return new(pdf).page().object("<< /Length 4 0 R >>\nstream\nBT ET\nendstream").end("")
		},
		func() []byte { return new(pdf).object("1 0 R").end("") },
		func() []byte { // more objects than there are bytes
			data := new(pdf).page().stream("", nil).end("")
			return bytes.Replace(data, []byte("xref\n0 5"), []byte("xref\n0 2147483647"), 1)
		},
		func() []byte {
			data := packed(nil, 3)
			return bytes.Replace(data, []byte("/Size 6"), []byte("/Size 2147483647 /Index [0 2147483647]"), 1)
		},
		func() []byte {
			data := packed(nil, 3)
			return bytes.Replace(data, []byte("/W [1 4 1]"), []byte("/W [1 2147483647 1]"), 1)
		},
		func() []byte {
			return new(pdf).page().stream("/Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 2147483647 >>", blanks).end("")
		},
		func() []byte { // a page of a hundred streams of 64 mebibytes each
			one := zlibbed(bomb(nil, 64, ' '), nil)
			p := new(pdf).object("<< /Type /Catalog /Pages 2 0 R >>").object("<< /Type /Pages /Count 1 /Kids [3 0 R] >>")
			contents := strings.Builder{}
			for i := range 100 {
				fmt.Fprintf(&contents, "%d 0 R ", 4+i)
			}
			p.object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents [%s] /Resources << >> >>", contents.String())
			for range 100 {
				p.stream("/Filter /FlateDecode", one)
			}
			return p.end("")
		},
	}
	return bombs[round%len(bombs)]()
}
