package reader

import (
	"errors"
	"io"
	"strings"

	"github.com/suyashkumar/dicom"
	dicomtag "github.com/suyashkumar/dicom/pkg/tag"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

// maxHeader is the longest header, in bytes, that the library is given: it keeps all that it reads.
const maxHeader = 16 << 20

// errDiffer means that the two readers do not agree on what a file is.
var errDiffer = errors.New("two readers differ on the patient or the object's UIDs")

// readDICOM reads a DICOM file by the scanner and, in Full mode, a second time by the library.
func readDICOM(src io.ReaderAt, size int64, mode wire.Mode) document.Metadata {
	h, err := scan(src, size)
	m, valuesErr := h.metadata()
	if err = errors.Join(err, valuesErr); err == nil && mode == wire.Full && h.libraryCanRead() {
		m, err = confirm(m, src, h.end)
	}
	judge(&m, h, err)
	if !m.Problem.Understood() || m.DatasetOffset >= size {
		m.DatasetOffset = 0 // nothing may be left out of the digest of what was not read to its end
	}
	return m
}

// confirm reads the first end bytes again by the library. Its values win (it knows more about text), but only if it
// agrees on identities; where it fails, m stands.
func confirm(m document.Metadata, src io.ReaderAt, end int64) (document.Metadata, error) {
	lib, err := guard(func() (document.Metadata, error) { return readLibrary(src, end) })
	if err != nil {
		m.Detail = wire.Text("library: " + err.Error())
		return m, nil
	}
	if !sameObject(m, lib) {
		return m, errDiffer
	}
	lib.DatasetOffset, lib.TransferSyntaxUID = m.DatasetOffset, m.TransferSyntaxUID
	return lib, nil
}

// metadata gives the scanner's values.
func (h header) metadata() (document.Metadata, error) {
	m := document.Metadata{Format: document.FormatDICOM, Parser: "header", DatasetOffset: h.dataset}
	syntax := uidValue(h.values[tagTransferSyntax])
	if !wire.Clean(syntax, wire.MaxUID) {
		return m, errors.New("transfer syntax: not a UID")
	}
	m.TransferSyntaxUID = syntax
	enc := charset(h.values[tagCharacterSet])
	return m, fill(&m, func(t tag) string { return decode(h.values[t], enc) })
}

// libraryCanRead excludes what the library cannot read (deflated datasets) or would keep too much of. Nor is it given
// files that the scanner did not understand: it allocates what a length says before it looks.
func (h header) libraryCanRead() bool { return h.end > 0 && h.end <= maxHeader }

func sameObject(a, b document.Metadata) bool {
	return a.Patient == b.Patient && a.StudyUID == b.StudyUID && a.SeriesUID == b.SeriesUID && a.InstanceUID == b.InstanceUID
}

// readLibrary reads the first end bytes of a file with suyashkumar/dicom, up to the first element that does not matter.
func readLibrary(src io.ReaderAt, end int64) (document.Metadata, error) {
	p, err := dicom.NewParser(io.NewSectionReader(src, 0, end), end, nil,
		dicom.SkipPixelData(), dicom.AllowMissingMetaElementGroupLength(), dicom.AllowUnknownSpecificCharacterSet())
	if err != nil {
		return document.Metadata{}, err
	}
	values := map[tag]string{}
	for {
		e, err := p.Next()
		if errors.Is(err, dicom.ErrorEndOfDICOM) || err == nil && e.Tag.Group > lastGroup {
			break
		}
		if err != nil {
			return document.Metadata{}, err
		}
		if t := fromLibrary(e.Tag); t.wanted() {
			values[t] = libraryText(e)
		}
	}
	m := document.Metadata{Format: document.FormatDICOM, Parser: "dicom"}
	return m, fill(&m, func(t tag) string { return values[t] })
}

func fromLibrary(t dicomtag.Tag) tag { return tag(t.Group)<<16 | tag(t.Element) }

// libraryText gives an element's value as one string. The library leaves text undecoded where no character set is named.
func libraryText(e *dicom.Element) string {
	switch v := e.Value.GetValue().(type) {
	case []string:
		return decode([]byte(strings.Join(v, `\`)), nil)
	case []byte:
		return decode(v, nil)
	default:
		return ""
	}
}

// judge sets the problem. The order matters: a file that ends early says so, whatever else it lacks.
func judge(m *document.Metadata, h header, err error) {
	switch {
	case errors.Is(err, errTruncated):
		m.Problem, m.Detail = document.ReasonTruncated, wire.Text(err.Error())
	case errors.Is(h.rest, errTruncated):
		m.Problem, m.Detail = document.ReasonTruncated, wire.Text(h.rest.Error())
	case err != nil:
		m.Problem, m.Detail = document.ReasonNotUnderstood, wire.Text(err.Error())
	case m.StudyUID == "" || m.InstanceUID == "":
		m.Problem, m.Detail = document.ReasonNoInstance, "no Study Instance UID or no SOP Instance UID"
	case m.Patient.Identifier == "":
		m.Problem, m.Detail = document.ReasonNoPatient, "no Patient ID"
	case h.rest != nil && m.Detail == "":
		m.Detail = wire.Text("unchecked: " + h.rest.Error())
	}
}
