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

// errDiffer means that the two readers do not agree on what a file is.
var errDiffer = errors.New("two readers differ on the patient or the object's UIDs")

// identities are the tags on which the library is asked.
func identities() []tag { return []tag{tagPatientID, tagIssuer, tagStudy, tagSeries, tagInstance} }

// libraryCanRead excludes what the library cannot read (deflated datasets, VRs that the standard may yet define) or would
// keep too much of: it keeps all that it reads. Nor is it given files that the scanner did not understand: it allocates what a length says before it looks.
func (h header) libraryCanRead() bool { return h.end > 0 && h.end <= maxHeader && !h.future }

// confirm reads the header again by the library suyashkumar/dicom, for a second opinion on whose the object is and which:
// if it finds other values, the file is not understood. The values that stand are the scanner's. Where the library fails,
// that is noted.
func confirm(m document.Metadata, h header, src io.ReaderAt) (document.Metadata, error) {
	theirs, err := guard(func() (map[tag]string, error) { return readLibrary(src, h.end) })
	if err != nil {
		m.Detail = wire.Text("library: " + err.Error())
		return m, nil
	}
	if !sameObject(h.values, theirs) {
		return m, errDiffer
	}
	m.Parser = "dicom"
	return m, nil
}

// sameObject compares what the scanner found with what the library did. Of a value that is not ASCII it compares only
// whether there is one: the library knows no code extensions (PS3.5 §6.1.2.5), and gives other text where both are right
// about the bytes.
func sameObject(ours map[tag][]byte, theirs map[tag]string) bool {
	for _, t := range identities() {
		our, their := strings.Trim(string(ours[t]), padding), strings.Trim(theirs[t], padding)
		if isASCII(our) && our != their || !isASCII(our) && their == "" {
			return false
		}
	}
	return true
}

// isASCII tells whether s is ASCII without control characters, so that every character set of DICOM reads it alike. (But
// for yen and overline in ISO_IR 13, which decode the same to whoever compares bytes.)
func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f }) < 0
}

// readLibrary reads the first end bytes of a file, up to the last group that matters.
func readLibrary(src io.ReaderAt, end int64) (map[tag]string, error) {
	p, err := dicom.NewParser(io.NewSectionReader(src, 0, end), end, nil,
		dicom.SkipPixelData(), dicom.AllowMissingMetaElementGroupLength(), dicom.AllowUnknownSpecificCharacterSet())
	if err != nil {
		return nil, err
	}
	values := map[tag]string{}
	for {
		e, err := p.Next()
		if errors.Is(err, dicom.ErrorEndOfDICOM) || err == nil && e.Tag.Group > lastGroup {
			return values, nil
		}
		if err != nil {
			return nil, err
		}
		values[fromLibrary(e.Tag)] = libraryText(e)
	}
}

func fromLibrary(t dicomtag.Tag) tag { return tag(t.Group)<<16 | tag(t.Element) }

// libraryText gives an element's value as one string.
func libraryText(e *dicom.Element) string {
	switch v := e.Value.GetValue().(type) {
	case []string:
		return strings.Join(v, `\`)
	case []byte:
		return string(v)
	default:
		return ""
	}
}
