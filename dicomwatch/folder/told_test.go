package folder_test

import (
	"regexp"
	"testing"

	"github.com/medanchor/medanchor/dicomwatch/folder"
	"github.com/medanchor/medanchor/document"
)

// What a rule says of a path it says with the rule's own issuer, when a file comes in and when it is looked at again.
func TestWhoseAPathIs(t *testing.T) {
	pattern := regexp.MustCompile(`-(?P<id>[0-9]+)\.pdf$`)
	for name, c := range map[string]struct {
		rule folder.PatientRule
		path string
		want document.PatientID
	}{
		"by folder":                    {folder.ByFolder().IssuedBy("NHS"), "9990000018/a.pdf", document.PatientID{Issuer: "NHS", Identifier: "9990000018"}},
		"by folder, in none":           {folder.ByFolder().IssuedBy("NHS"), "a.pdf", document.PatientID{}},
		"by pattern, folder's issuer":  {folder.ByPattern(pattern), "x/letter-7.pdf", document.PatientID{Issuer: "here", Identifier: "7"}},
		"by pattern that does not fit": {folder.ByPattern(pattern), "letter.pdf", document.PatientID{}},
		"by sidecar, not by its path":  {folder.BySidecar().IssuedBy("NHS"), "9990000018/a.pdf", document.PatientID{}},
		"by none":                      {folder.PatientRule{}, "9990000018/a.pdf", document.PatientID{}},
	} {
		t.Run(name, func(t *testing.T) {
			o := folder.Options{Patient: c.rule, Issuer: "here"}
			if got := o.PatientAt(c.path); got != c.want {
				t.Errorf("it is of %+v, want %+v", got, c.want)
			}
		})
	}
}
