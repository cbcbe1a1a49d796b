package main

import (
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
)

func TestStatusShowsTheDoors(t *testing.T) {
	for name, c := range map[string]struct {
		status control.Status
		want   []string
		not    string
	}{
		"no receiver": {control.Status{}, []string{"0.0 GB free"}, "dicom"},
		"a receiver": {
			control.Status{DICOM: control.DICOM{Address: "0.0.0.0:104", TLSAddress: "0.0.0.0:2762", AETitle: "MEDANCHOR", Stored: 12, Rejected: 3}},
			[]string{"MEDANCHOR at 0.0.0.0:104, TLS at 0.0.0.0:2762", "12 objects stored", "3 associations rejected"},
			"spool",
		},
		"TLS only":  {control.Status{DICOM: control.DICOM{TLSAddress: "0.0.0.0:2762", AETitle: "X"}}, []string{"X at TLS at 0.0.0.0:2762"}, ""},
		"a backlog": {control.Status{DICOM: control.DICOM{Spooled: 4, SpooledBytes: 2e6}}, []string{"4 objects, 2.0 MB", "they are safe"}, "dicom"},
		"no spool":  {control.Status{DICOM: control.DICOM{Trouble: "check its disk"}}, []string{"check its disk"}, "safe"},
		"a full disk": {
			control.Status{Storage: control.Storage{Full: "free 3 GiB there"}}, []string{"nothing is taken in: free 3 GiB there"}, "",
		},
		"a certificate": {
			control.Status{DICOM: control.DICOM{Certificate: control.Certificate{Expires: time.Now().Add(time.Hour)}}},
			[]string{"certificate  of the DICOM receiver: expires 2"},
			"reading service",
		},
		"one that begins later": {
			control.Status{Reading: control.Reading{Certificate: control.Certificate{Expires: time.Now().Add(time.Hour), Trouble: "it begins tomorrow"}}},
			[]string{"certificate  it begins tomorrow\n"},
			"expires",
		},
		"folders in trouble": {
			control.Status{Folders: map[string]string{"letters": "mount it, or create it", "scans": "permission denied"}},
			[]string{
				"folder      letters: mount it, or create it\n",
				"folder      scans: permission denied\n",
			},
			"held",
		},
		"folders that are well": {control.Status{Folders: map[string]string{}}, nil, "folder"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := showStatus(&out, c.status); err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, &out)
				}
			}
			if c.not != "" && strings.Contains(out.String(), c.not) {
				t.Errorf("it says %q:\n%s", c.not, &out)
			}
		})
	}
}
