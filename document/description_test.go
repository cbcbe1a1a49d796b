package document_test

import (
	"testing"

	"github.com/medanchor/medanchor/document"
)

// What helps a hospital's own people to tell whose a file is does not go with the file.
func TestADescriptionIsForReaders(t *testing.T) {
	d := document.Describe(document.Item{Size: 7, Metadata: document.Metadata{
		Format: document.FormatPDF, Description: "Discharge letter", Pages: 2, Parser: "pdf", Problem: document.ReasonTruncated,
		Detail: "no end-of-file marker", Text: "Dear Dr Moss", Numbers: []string{"9990000018"},
	}})
	m := d.Metadata
	if m.Parser != "" || m.Problem != "" || m.Detail != "" || m.Text != "" || m.Numbers != nil {
		t.Errorf("a reader is told %+v", m)
	}
	if d.Size != 7 || m.Description != "Discharge letter" || m.Pages != 2 {
		t.Errorf("a reader is not told what the document is: %+v", d)
	}
}
