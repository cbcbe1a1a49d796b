package synth

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// Letter is a PDF with a few pages of text.
type Letter struct {
	Title string
	Lines []string // on each page; ASCII
	Pages int
	Time  time.Time
	noise []byte // an unused stream, for size
}

// Encode gives the file (ISO 32000-1, PDF 1.4).
func (l Letter) Encode() []byte {
	var out bytes.Buffer
	var offsets []int
	object := func(format string, args ...any) {
		offsets = append(offsets, out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n", len(offsets))
		fmt.Fprintf(&out, format, args...)
		out.WriteString("\nendobj\n")
	}
	const fixed = 5 // the objects before the pages: catalog, pages, font, info, noise
	kids := make([]string, l.Pages)
	for i := range kids {
		kids[i] = fmt.Sprintf("%d 0 R", fixed+1+2*i)
	}
	out.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	object("<< /Type /Catalog /Pages 2 0 R >>")
	object("<< /Type /Pages /Count %d /Kids [%s] >>", l.Pages, strings.Join(kids, " "))
	object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
	object("<< /Title (%s) /Producer (synth) /CreationDate (D:%sZ) >>", l.Title, l.Time.UTC().Format("20060102150405"))
	object("<< /Length %d >>\nstream\n%s\nendstream", len(l.noise), l.noise)
	for i := range l.Pages {
		content := l.content(i + 1)
		object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>",
			fixed+2+2*i)
		object("<< /Length %d >>\nstream\n%s\nendstream", len(content), content)
	}
	xref := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, o := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&out, "trailer\n<< /Size %d /Root 1 0 R /Info 4 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, xref)
	return out.Bytes()
}

func (l Letter) content(page int) string {
	var b strings.Builder
	b.WriteString("BT /F1 12 Tf 14 TL 72 770 Td\n")
	for _, line := range append([]string{fmt.Sprintf("%s, page %d", l.Title, page)}, l.Lines...) {
		fmt.Fprintf(&b, "(%s) Tj T*\n", line)
	}
	b.WriteString("ET")
	return b.String()
}
