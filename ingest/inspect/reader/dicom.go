package reader

import (
	"errors"
	"io"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

// The SOP classes that are treated apart (PS3.4 §B.5, PS3.10 §8.6).
const (
	encapsulatedPDF = "1.2.840.10008.5.1.4.1.1.104.1"
	mediaDirectory  = "1.2.840.10008.1.3.10"
)

// readDICOM reads a DICOM file by the scanner and, in Full mode, has its identities confirmed by the library.
func readDICOM(src io.ReaderAt, size int64, mode wire.Mode) document.Metadata {
	h, err := scan(src, size)
	m, valuesErr := h.metadata()
	if err = errors.Join(err, valuesErr); err == nil && mode == wire.Full && h.libraryCanRead() {
		m, err = confirm(m, h, src)
	}
	switch {
	case err != nil: // what is missing may name another issuer
		m.Patient, m.StudyUID, m.SeriesUID, m.InstanceUID = document.PatientID{}, "", "", ""
	case h.last.group() < lastGroup: // it may have been cut before the issuer
		m.Patient = document.PatientID{}
	}
	judge(&m, h, err)
	if !m.Problem.Understood() || m.DatasetOffset >= size {
		m.DatasetOffset, m.PixelOffset = 0, 0 // nothing may be left out of the digest of what was not read to its end
	}
	return m
}

// metadata gives the values as text.
func (h header) metadata() (document.Metadata, error) {
	m := document.Metadata{
		Format: document.FormatDICOM, Parser: "header", DatasetOffset: h.dataset, PixelOffset: h.pixels,
		Incomplete: h.incomplete(),
	}
	syntax := uidValue(h.values[tagTransferSyntax])
	if !wire.Clean(syntax, wire.MaxUID) {
		return m, errors.New("transfer syntax: not a UID")
	}
	m.TransferSyntaxUID = syntax
	sets := repertoires(h.values[tagCharacterSet])
	return m, fill(&m, func(t tag) string { return sets.text(h.values[t], t.delimiters()) })
}

// incomplete tells whether the elements end where more would be likely: in the header, or before the pixels of an image.
func (h header) incomplete() bool {
	return !h.imaged && !h.directory && (h.described || h.last.group() <= lastGroup)
}

// judge sets the problem. The order matters: a file that ends early says so, whatever else it lacks.
func judge(m *document.Metadata, h header, err error) {
	switch {
	case errors.Is(err, errTruncated):
		m.Problem, m.Detail = document.ReasonTruncated, wire.Text(err.Error())
	case errors.Is(h.rest, errTruncated):
		m.Problem, m.Detail = document.ReasonTruncated, wire.Text(h.rest.Error())
	case errors.Is(err, errTooLong):
		m.Problem, m.Detail = document.ReasonTooLarge, wire.Text("the header "+err.Error())
	case err != nil:
		m.Problem, m.Detail = document.ReasonNotUnderstood, wire.Text(err.Error())
	case h.directory || m.SOPClassUID == mediaDirectory:
		m.Problem, m.Detail = document.ReasonMediaDirectory, "a DICOMDIR"
	case m.StudyUID == "" || m.InstanceUID == "":
		m.Problem, m.Detail = document.ReasonNoInstance, "no Study Instance UID or no SOP Instance UID"
	case m.Patient.Identifier == "":
		m.Problem, m.Detail = document.ReasonNoPatient, "no Patient ID"
	case h.rest != nil && m.Detail == "":
		m.Detail = wire.Text("unchecked: " + h.rest.Error())
	}
}
