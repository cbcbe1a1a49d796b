package appliance_test

import (
	"strings"
	"testing"

	"github.com/medanchor/medanchor/appliance"
)

// The receiver takes the first sender that fits. Were there a second with another issuer, its patients would be filed as the
// first's: which of the two counts is not left to their order.
func TestSendersThatContradictEachOtherAreRefused(t *testing.T) {
	const remedy = "which counts cannot be told; give each its own address or called title"
	for name, test := range map[string]struct {
		senders string
		want    []string // in the error; none: there is no error
	}{
		"a device within a network of another issuer": {
			senders: "{ae_title: CT1, addresses: [10.0.0.0/8], issuer: a}, {ae_title: CT1, addresses: [10.1.2.3], issuer: b}",
			want:    []string{"dicom.senders[1]: CT1 at 10.1.2.3 is dicom.senders[0] too, with another issuer or department: " + remedy},
		},
		"a network around a device of another department": {
			senders: "{ae_title: CT1, addresses: [10.1.2.3], department: a}, {ae_title: CT1, addresses: [10.1.0.0/16], department: b}",
			want:    []string{"dicom.senders[1]: CT1 at 10.1.2.3 is dicom.senders[0] too"},
		},
		"an issuer and none": {
			senders: "{ae_title: CT1, addresses: [10.1.2.3]}, {ae_title: CT1, addresses: [10.1.2.3], issuer: b}",
			want:    []string{"dicom.senders[1]: CT1 at 10.1.2.3 is dicom.senders[0] too"},
		},
		"the second addresses of both": {
			senders: "{ae_title: CT1, addresses: [10.9.9.9, 10.1.2.0/24], issuer: a}, " +
				"{ae_title: CT1, addresses: [10.8.8.8, 10.1.0.0/16], issuer: b}",
			want: []string{"dicom.senders[1]: CT1 at 10.1.2.0/24 is dicom.senders[0] too"},
		},
		"IPv6": {
			senders: "{ae_title: CT1, addresses: ['fd00::/8'], issuer: a}, {ae_title: CT1, addresses: ['fd00::7'], issuer: b}",
			want:    []string{"dicom.senders[1]: CT1 at fd00::7 is dicom.senders[0] too"},
		},
		"IPv4 as such and mapped into IPv6": {
			senders: "{ae_title: CT1, addresses: ['::ffff:10.0.0.0/104'], issuer: a}, {ae_title: CT1, addresses: [10.1.2.3], issuer: b}",
			want:    []string{"dicom.senders[1]: CT1 at 10.1.2.3 is dicom.senders[0] too"},
		},
		"not the first of them": {
			senders: "{ae_title: US1, addresses: [10.1.2.3], issuer: a}, {ae_title: CT1, addresses: [10.1.2.3], issuer: a}, " +
				"{ae_title: CT1, addresses: [10.1.2.3], issuer: b}",
			want: []string{"dicom.senders[2]: CT1 at 10.1.2.3 is dicom.senders[1] too"},
		},
		"each of them": {
			senders: "{ae_title: CT1, addresses: [10.1.2.3], issuer: a}, {ae_title: CT1, addresses: [10.1.2.4], issuer: a}, " +
				"{ae_title: CT1, addresses: [10.0.0.0/8], issuer: b}",
			want: []string{"CT1 at 10.1.2.3 is dicom.senders[0] too", "CT1 at 10.1.2.4 is dicom.senders[1] too"},
		},
		"a called title in common": {
			senders: "{ae_title: CT1, addresses: [10.1.2.3], called: [A, B], issuer: a}, " +
				"{ae_title: CT1, addresses: [10.1.2.3], called: [B, C], issuer: b}",
			want: []string{"dicom.senders[1]: CT1 at 10.1.2.3 is dicom.senders[0] too"},
		},
		"our own called title, by name and by default": {
			senders: "{ae_title: CT1, addresses: [10.1.2.3], called: [ARCHIVE, OURS], issuer: a}, " +
				"{ae_title: CT1, addresses: [10.1.2.3], issuer: b}",
			want: []string{"dicom.senders[1]: CT1 at 10.1.2.3 is dicom.senders[0] too"},
		},
		"beside an address that is none": {
			senders: "{ae_title: CT1, addresses: [ct1.example], issuer: a}, {ae_title: CT1, addresses: [10.1.2.3], issuer: b}",
			want:    []string{"dicom.senders[0].addresses"},
		},

		"the same twice":              {senders: "{ae_title: CT1, addresses: [10.0.0.0/8], issuer: a}, {ae_title: CT1, addresses: [10.1.2.3], issuer: a}"},
		"another AE title":            {senders: "{ae_title: CT1, addresses: [10.1.2.3], issuer: a}, {ae_title: CT2, addresses: [10.1.2.3], issuer: b}"},
		"an AE title in another case": {senders: "{ae_title: CT1, addresses: [10.1.2.3], issuer: a}, {ae_title: ct1, addresses: [10.1.2.3], issuer: b}"},
		"addresses apart":             {senders: "{ae_title: CT1, addresses: [10.1.2.0/24], issuer: a}, {ae_title: CT1, addresses: [10.1.3.0/24], issuer: b}"},
		"all of IPv4 and all of IPv6": {senders: "{ae_title: CT1, addresses: [0.0.0.0/0], issuer: a}, {ae_title: CT1, addresses: ['::/0'], issuer: b}"},
		"called titles apart": {
			senders: "{ae_title: CT1, addresses: [10.1.2.3], called: [ARCHIVE], issuer: a}, {ae_title: CT1, addresses: [10.1.2.3], issuer: b}",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := appliance.ParseConfig([]byte(minimal + "dicom: {listen: ':104', ae_title: OURS, senders: [" + test.senders + "]}"))
			if (err != nil) != (test.want != nil) {
				t.Fatalf("error: %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in %v", want, err)
				}
			}
		})
	}
}

// Who may send is not told by where it is written: the same contradiction is one in a receiver that admits everybody.
func TestSendersOfAnOpenReceiverDoNotContradictEachOtherEither(t *testing.T) {
	_, err := appliance.ParseConfig([]byte(minimal + "dicom: {listen: ':104', open: true, senders: [" +
		"{ae_title: CT1, addresses: [10.0.0.0/8], issuer: a}, {ae_title: CT1, addresses: [10.1.2.3], issuer: b}]}"))
	if err == nil || !strings.Contains(err.Error(), "is dicom.senders[0] too") {
		t.Errorf("error: %v", err)
	}
}
