package reader

import (
	"fmt"
	"io"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

// Read reads the metadata of the file src of the given size, of which head holds the first bytes. It never panics and
// always gives a format; what it could not understand it says in Problem and Detail.
func Read(src io.ReaderAt, head []byte, size int64, mode wire.Mode) document.Metadata {
	format := wire.Sniff(head, size)
	m, err := guard(func() (document.Metadata, error) {
		switch format {
		case document.FormatDICOM:
			return readDICOM(src, size, mode), nil
		case document.FormatPDF:
			return readPDF(src, size)
		case document.FormatText:
			return document.Metadata{Format: format, Parser: "text"}, nil
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
	return m
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
