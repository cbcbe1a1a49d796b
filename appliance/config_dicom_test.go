package appliance_test

import (
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance"
	"github.com/medanchor/medanchor/dicomwatch/scp"
)

func TestTheReceiverIsClosedByDefault(t *testing.T) {
	const (
		tlsTogether = "dicom.tls: listen, certificate_file, key_file and client_ca_file go together: give all or none"
		nowhere     = "dicom: somebody may send, and nothing listens: give listen or tls.listen, or take senders and open out"
	)
	for name, test := range map[string]struct {
		dicom string
		want  string // of the error; empty: none
	}{
		"none":                 {dicom: "{}"},
		"nobody":               {dicom: "{listen: ':104'}", want: "nobody may send: name the senders"},
		"everybody":            {dicom: "{listen: ':104', open: true}"},
		"a device":             {dicom: "{listen: ':104', senders: [{ae_title: CT1, addresses: [10.1.2.3]}]}"},
		"a network, IPv6":      {dicom: "{listen: ':104', senders: [{ae_title: CT1, addresses: ['fd00::/8', '10.0.0.0/8']}]}"},
		"from nowhere":         {dicom: "{listen: ':104', senders: [{ae_title: CT1}]}", want: "dicom.senders[0].addresses: missing"},
		"from a name":          {dicom: "{listen: ':104', senders: [{ae_title: CT1, addresses: [ct1.example]}]}", want: "neither an IP address nor a network"},
		"without a title":      {dicom: "{listen: ':104', senders: [{addresses: [10.1.2.3]}]}", want: "senders[0].ae_title: \"\" is no AE title"},
		"a long title":         {dicom: "{listen: ':104', open: true, ae_title: A0123456789ABCDEF}", want: "dicom.ae_title"},
		"no port":              {dicom: "{listen: 'here', open: true}", want: "write it as 0.0.0.0:11112"},
		"a small PDU":          {dicom: "{listen: ':104', open: true, max_pdu: 100B}", want: "dicom.max_pdu: 100 B is not from 4.0 KiB to 4.0 MiB"},
		"many associations":    {dicom: "{listen: ':104', open: true, max_associations: 5000}", want: "dicom.max_associations"},
		"none for a sender":    {dicom: "{listen: ':104', open: true, max_associations_per_sender: -1}", want: "per_sender: -1 is not from 1 to dicom.max_associations"},
		"all for a sender":     {dicom: "{listen: ':104', open: true, max_associations: 8, max_associations_per_sender: 8}"},
		"more for a sender":    {dicom: "{listen: ':104', open: true, max_associations: 8, max_associations_per_sender: 9}", want: "per_sender: 9 is not"},
		"one association":      {dicom: "{listen: ':104', open: true, max_associations: 1}"},
		"a negative size":      {dicom: "{listen: ':104', open: true, max_object: -4GiB}", want: "is not a size: write it as 512MiB"},
		"not a size":           {dicom: "{listen: ':104', open: true, max_object: huge}", want: "is not a size: write it as 512MiB"},
		"TLS":                  {dicom: "{open: true, tls: {listen: ':2762', certificate_file: /c, key_file: /k, client_ca_file: /a}}"},
		"TLS for everybody":    {dicom: "{open: true, tls: {listen: ':2762', certificate_file: /c, key_file: /k}}", want: "dicom.tls.client_ca_file"},
		"TLS without its pair": {dicom: "{open: true, tls: {listen: ':2762', client_ca_file: /a}}", want: "dicom.tls.certificate_file"},
		"two limits": {
			dicom: "{listen: ':104', max_associations: -1, max_pdu: 100B}",
			want:  "dicom.max_associations: -1 is not from 1 to 1024\ndicom.max_pdu: 100 B is not",
		},
		"a certificate for nowhere": {dicom: "{listen: ':104', open: true, tls: {certificate_file: /c}}", want: tlsTogether},
		"a key for nowhere":         {dicom: "{listen: ':104', open: true, tls: {key_file: /k}}", want: tlsTogether},
		"authorities for nowhere":   {dicom: "{listen: ':104', open: true, tls: {client_ca_file: /a}}", want: tlsTogether},
		"off, with TLS files":       {dicom: "{tls: {certificate_file: /c, key_file: /k, client_ca_file: /a}}", want: tlsTogether},
		"off, with senders":         {dicom: "{senders: [{ae_title: CT1, addresses: [10.1.2.3]}]}", want: nowhere},
		"off, and open":             {dicom: "{open: true}", want: nowhere},
		"off, with limits":          {dicom: "{max_pdu: 64KiB, idle: 2m}"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := appliance.ParseConfig([]byte(minimal + "dicom: " + test.dicom))
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestDefaultsOfIntake(t *testing.T) {
	c, err := appliance.ParseConfig([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	d := c.DICOM
	if d.On() || d.AETitle != "MEDANCHOR" || d.MaxAssociations != 64 || d.MaxPerSender != 32 || d.MaxPDU != 128<<10 || d.MaxObject != 4<<30 ||
		d.Idle != time.Minute || d.ARTIM != 10*time.Second {
		t.Errorf("dicom: %+v", d)
	}
	if c.Reserve != (appliance.ReserveConfig{Bytes: 4 << 30, Percent: 5, InodesPercent: 5}) || c.Studies.Quiet != 5*time.Minute {
		t.Errorf("reserve: %+v, studies: %+v", c.Reserve, c.Studies)
	}
}

func TestTheLimitsReachTheReceiver(t *testing.T) {
	c, err := appliance.ParseConfig([]byte(minimal + `dicom:
  {listen: ':104', open: true, max_associations: 9, max_associations_per_sender: 7, max_pdu: 64KiB, max_object: 1GiB, idle: 2s, artim: 3s}`))
	if err != nil {
		t.Fatal(err)
	}
	o, err := appliance.ReceiverOptions(c.DICOM)
	want := scp.Limits{Associations: 9, PerSender: 7, PDU: 64 << 10, Object: 1 << 30, Idle: 2 * time.Second, ARTIM: 3 * time.Second}
	if err != nil || o.Limits != want {
		t.Errorf("%+v, %v", o.Limits, err)
	}
}

func TestSizesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]appliance.Bytes{"512": 512, "128KiB": 128 << 10, "4 GiB": 4 << 30, "1kB": 1000} {
		var b appliance.Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%s is %d, %v", text, b, err)
		}
		written, err := b.MarshalText()
		var back appliance.Bytes
		if err := back.UnmarshalText(written); err != nil || back != want {
			t.Errorf("%s is written as %s, and read as %d, %v", text, written, back, err)
		}
		if err != nil {
			t.Error(err)
		}
	}
}
