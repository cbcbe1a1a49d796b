package reader

import (
	"fmt"
	"io"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

// Read reads the metadata of the file src of the given size, of which head holds the first bytes. It never panics and
// always gives a format; what it could not understand it says in Problem and Detail. Busy says that a parser is still at work:
// the process is to be replaced.
func Read(src io.ReaderAt, head []byte, size int64, mode wire.Mode) (m document.Metadata, busy bool) {
	format := wire.Sniff(head, size)
	m, err := guard(func() (m document.Metadata, err error) {
		switch format {
		case document.FormatDICOM:
			return readDICOM(src, size, mode), nil
		case document.FormatPDF:
			m, busy, err = readPDF(src, size, mode)
			return m, err
		case document.FormatText:
			return readText(head, size), nil
		default:
			return document.Metadata{
				Format:  format,
				Problem: document.ReasonNotUnderstood,
				Detail:  "neither DICOM nor PDF nor plain text (UTF-8)",
			}, nil
		}
	})
	if err != nil {
		m = document.Metadata{Format: format, Problem: document.ReasonNotUnderstood, Detail: wire.Text(err.Error())}
	}
	return m, busy
}

// guard runs f and turns a panic into an error.
func guard[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if r := recover(); r != nil {
			var zero T
			v, err = zero, fmt.Errorf("parser panicked: %v", r)
		}
	}()
	return f()
}
