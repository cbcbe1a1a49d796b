package reader

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/types"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

const (
	// maxPDF is the largest PDF that is read, in bytes. pdfcpu needs it in memory twice, of which the sandbox leaves 175 MB.
	maxPDF = 48 << 20
	// tail is where the end-of-file marker is looked for (ISO 32000-2 annex I: within the last 1,024 bytes).
	tail = 1024
)

// readPDF reads a PDF with pdfcpu and, in Full mode, its text. Whose it is, no PDF says: that comes from the door's rule.
func readPDF(src io.ReaderAt, size int64, mode wire.Mode) (m document.Metadata, busy bool, err error) {
	m = document.Metadata{Format: document.FormatPDF}
	if size > maxPDF {
		m.Problem, m.Detail = document.ReasonTooLarge, fmt.Sprintf("PDF of more than %d MiB", maxPDF>>20)
		return m, false, nil
	}
	data := make([]byte, size)
	if _, err := src.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return m, false, fmt.Errorf("read PDF: %w", err)
	}
	began := time.Now() // the file is there: what comes now is the parsers' time
	ctx, err := guard(func() (*model.Context, error) {
		return api.ReadAndValidate(bytes.NewReader(data), configuration())
	})
	switch {
	case !ends(data):
		m.Problem, m.Detail = document.ReasonTruncated, "no end-of-file marker"
	case errors.Is(err, pdfcpu.ErrWrongPassword):
		m.Problem, m.Detail = document.ReasonEncrypted, "it opens only with a password"
	case err != nil:
		m.Problem, m.Detail = document.ReasonNotUnderstood, wire.Text(err.Error())
	default:
		m.Parser = "pdf"
		m.Pages = max(ctx.PageCount, 0)
		m.Description = wire.Text(ctx.Title)
		m.Time = pdfTime(ctx.XRefTable)
		if mode == wire.Full && textFits(time.Since(began)) {
			var text string
			text, busy = pdfText(data)
			quote(&m, text, false)
		}
	}
	return m, busy, nil
}

// textFits tells whether a PDF that took so long has time for its text, in the half of inspect.Options.Timeout that an attempt has:
// so what runs out of time does so by the parser that is in both modes.
func textFits(took time.Duration) bool { return took+textTime+textGrace < 8*time.Second }

// ends tells whether a PDF has its end-of-file marker. pdfcpu repairs what lacks it: fine for a viewer, not for a record.
func ends(data []byte) bool {
	data = bytes.TrimRight(data, "\x00\r\n\t ")
	return bytes.Contains(data[max(0, len(data)-tail):], []byte("%%EOF"))
}

// configuration bounds pdfcpu below the sandbox's limits, and keeps it off the disk and the network.
func configuration() *model.Configuration {
	model.ConfigPath = "disable"
	c := model.NewDefaultConfiguration()
	c.Cmd = model.LISTINFO
	c.ValidationMode = model.ValidationRelaxed
	c.Offline = true
	c.Optimize = false
	c.Limits.MaxStreamBytes = maxPDF
	c.Limits.MaxDecodeBytes = maxPDF
	c.Limits.MaxImageBytes = maxPDF
	c.Limits.MaxObjectCount = 1 << 20
	c.Limits.MaxXRefEntries = 1 << 20
	return c
}

// pdfTime is when the document was made, else when it was changed, in the zone that it names.
func pdfTime(x *model.XRefTable) time.Time {
	for _, s := range []string{x.CreationDate, x.ModDate} {
		if t, ok := types.DateTime(s, true); ok && inCalendar(t) {
			return inZone(t)
		}
	}
	return time.Time{}
}
