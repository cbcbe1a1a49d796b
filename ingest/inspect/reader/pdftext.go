package reader

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ledongthuc/pdf"
)

const (
	maxPages = 3 // of a PDF whose text is read
	// textTime bounds reading the text, well below the time that a file has.
	textTime = 2 * time.Second
	// textGrace is how long after that a parser may still be busy with what it has read.
	textGrace = time.Second
	// wordGap is how far apart, in thousandths of the font's size, two pieces of text are two words.
	wordGap = 200
)

var (
	// errEnough ends the reading of a text of which there is enough.
	errEnough = errors.New("enough text")
	// errLate ends the reading of a text that takes long.
	errLate = errors.New("out of time")
)

// pdfText gives the words of a PDF's first pages, as far as the library ledongthuc/pdf finds them in time, and if it does not
// fail or panic. Busy says that it is still at work: the process is to be replaced.
func pdfText(data []byte) (text string, busy bool) {
	done := make(chan string, 1)
	src := &timed{Reader: bytes.NewReader(data), until: time.Now().Add(textTime)}
	go func() {
		t, _ := guard(func() (string, error) { return firstPages(src, int64(len(data))) }) // no text is no failure
		done <- t
	}()
	late := time.NewTimer(textTime + textGrace)
	defer late.Stop()
	select {
	case t := <-done:
		return t, false
	case <-late.C:
		return "", true
	}
}

// timed is a source that fails once its time is over.
type timed struct {
	*bytes.Reader
	until time.Time
}

// ReadAt implements io.ReaderAt.
func (t *timed) ReadAt(p []byte, off int64) (int, error) {
	if time.Now().After(t.until) {
		return 0, errLate
	}
	return t.Reader.ReadAt(p, off)
}

func firstPages(src io.ReaderAt, size int64) (string, error) {
	r, err := pdf.NewReader(src, size)
	if err != nil {
		return "", err
	}
	var w words
	pages := min(r.NumPage(), maxPages)
	for n := 1; n <= pages && w.Len() < maxSearched; n++ {
		// What was found before a page breaks off is kept.
		_, _ = guard(func() (struct{}, error) { w.page(r.Page(n)); return struct{}{}, nil })
		w.WriteByte('\n')
	}
	return w.String(), nil
}

// words are collected from the operators of a page's content (ISO 32000-2 §9.4).
type words struct {
	strings.Builder
	font  pdf.TextEncoding
	size  float64 // of the font
	shown int     // characters since the last move
}

func (w *words) page(p pdf.Page) {
	fonts := map[string]*pdf.Font{}
	for _, name := range p.Fonts() {
		f := p.Font(name)
		fonts[name] = &f
	}
	pdf.Interpret(p.V.Key("Contents"), func(stack *pdf.Stack, op string) {
		args := make([]pdf.Value, stack.Len())
		for i := len(args) - 1; i >= 0; i-- {
			args[i] = stack.Pop()
		}
		if op == "Tf" && len(args) == 2 {
			w.font, w.size = nil, args[1].Float64()
			if f := fonts[args[0].Name()]; f != nil {
				w.font = f.Encoder()
			}
			return
		}
		w.operator(op, args)
		if w.Len() > maxSearched {
			panic(errEnough)
		}
	})
}

func (w *words) operator(op string, args []pdf.Value) {
	switch op {
	case "Td", "TD":
		if !w.nextCharacter(args) {
			w.WriteByte('\n')
		}
		w.shown = 0
	case "BT", "Tm", "T*": // what moves to another place begins another word
		w.WriteByte('\n')
		w.shown = 0
	case "'", `"`:
		w.WriteByte('\n')
		fallthrough
	case "Tj":
		if len(args) > 0 {
			w.show(args[len(args)-1])
		}
	case "TJ":
		if len(args) > 0 {
			w.showSpaced(args[0])
		}
	}
}

// nextCharacter tells whether a move leads from one character to the next: some programs place each by itself, and none is
// wider than the font's size.
func (w *words) nextCharacter(args []pdf.Value) bool {
	if len(args) != 2 || w.shown != 1 {
		return false
	}
	right, up := args[0].Float64(), args[1].Float64()
	return up == 0 && right >= 0 && right <= w.size
}

// showSpaced shows strings with adjustments between them: a large one, to the left, is a gap between words.
func (w *words) showSpaced(v pdf.Value) {
	for i := range v.Len() {
		if piece := v.Index(i); piece.Kind() == pdf.String {
			w.show(piece)
		} else if piece.Float64() < -wordGap {
			w.WriteByte(' ')
		}
	}
}

func (w *words) show(v pdf.Value) {
	text := v.RawString()
	if w.font != nil {
		text = w.font.Decode(text)
	}
	w.shown += utf8.RuneCountInString(text)
	w.WriteString(text)
}
