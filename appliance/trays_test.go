package appliance_test

import (
	"reflect"
	"regexp"
	"testing"

	"github.com/medanchor/medanchor/appliance"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/dicomwatch/folder"
	"github.com/medanchor/medanchor/document"
)

// A folder says of what it brought what it said when it offered it, by its rule of today.
func TestAFolderSaysOfAnItemWhatItSaidOfTheFile(t *testing.T) {
	o := folder.Options{
		Path: "/drop/letters", Kind: record.KindLetter, Issuer: "here", Accepts: []document.Format{document.FormatPDF},
	}
	told := document.PatientID{Issuer: "there", Identifier: "77"}
	for name, test := range map[string]struct {
		by     appliance.PatientRule
		rule   folder.PatientRule
		path   string
		format document.Format
		want   document.PatientID
	}{
		"by the first folder": {
			appliance.ByFolder, folder.ByFolder(), "/drop/letters/12/a/b.pdf", document.FormatPDF,
			document.PatientID{Issuer: "here", Identifier: "12"},
		},
		"by the first folder, of another issuer": {
			appliance.ByFolder, folder.ByFolder().IssuedBy("nhs"), "/drop/letters/12/a/b.pdf", document.FormatPDF,
			document.PatientID{Issuer: "nhs", Identifier: "12"},
		},
		"by no folder": {
			appliance.ByFolder, folder.ByFolder(), "/drop/letters/b.pdf", document.FormatPDF, document.PatientID{},
		},
		"by a pattern": {
			appliance.ByPattern, folder.ByPattern(regexp.MustCompile(`^in/(?P<id>[0-9]+)-`)),
			"/drop/letters/in/12-b.pdf",
			document.FormatPDF,
			document.PatientID{Issuer: "here", Identifier: "12"},
		},
		"by a pattern that does not match": {
			appliance.ByPattern, folder.ByPattern(regexp.MustCompile(`^(?P<id>[0-9]+)-`)),
			"/drop/letters/in/12-b.pdf",
			document.FormatPDF,
			document.PatientID{},
		},
		"by a sidecar file, which is gone": {
			appliance.BySidecar, folder.BySidecar(), "/drop/letters/b.pdf", document.FormatPDF, told,
		},
		"by no rule": {"", folder.PatientRule{}, "/drop/letters/12/b.pdf", document.FormatPDF, document.PatientID{}},
	} {
		item := document.Item{Path: test.path, Metadata: document.Metadata{Format: test.format, Patient: told}}
		o.Patient = test.rule
		got := appliance.FolderRule(o, test.by, &item)
		want := document.Delivery{Accepts: o.Accepts, Kind: o.Kind, Issuer: o.Issuer, Patient: test.want}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// Which of today's senders it was that sent an item cannot be told for certain: what counts is what was said of it then.
func TestWhatASenderSaidCountsOnASecondLook(t *testing.T) {
	for door, known := range map[string]bool{"c-store": true, "a folder that is gone": false} {
		item := document.Item{Door: door, From: "CT1", Issuer: "ris"}
		rule, isKnown := appliance.RuleWithoutFolders(&item)
		if isKnown != known || !reflect.DeepEqual(rule, document.Delivery{Issuer: "ris"}) {
			t.Errorf("%s: %+v, known %t", door, rule, isKnown)
		}
	}
}
