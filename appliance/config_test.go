package appliance_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/dicomwatch/folder"
)

func TestTheExampleIsValid(t *testing.T) {
	c, err := appliance.ParseConfig(appliance.Example)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Folders) != 2 || c.Folders[1].Kind != record.KindLetter || c.Folders[1].Patient.Issuer != "NHS" {
		t.Fatalf("folders: %+v", c.Folders)
	}
}

// The example is the reference of the configuration: each key stands in it, if only in a comment.
func TestTheExampleShowsEveryKey(t *testing.T) {
	for _, key := range keys(reflect.TypeFor[appliance.Config]()) {
		if !strings.Contains(string(appliance.Example), key+":") {
			t.Errorf("%s is not in the example", key)
		}
	}
}

func keys(t reflect.Type) (names []string) {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.PkgPath() != reflect.TypeFor[appliance.Config]().PkgPath() {
		return nil
	}
	for field := range t.Fields() {
		names = append(names, field.Tag.Get("yaml"))
		names = append(names, keys(field.Type)...)
	}
	return names
}

const minimal = `
data: /data
vault: {key_file: /keys/vault.key, recovery_recipient: age1pq1x}
ipfs: {swarm_key_file: /keys/swarm.key}
ledger: {peer: "peer:7051", tls_ca_file: /ca.pem, msp_id: X, certificate_file: /cert.pem, key_file: /key.pem}
patients: {issuer: here}
`

func TestDefaults(t *testing.T) {
	c, err := appliance.ParseConfig([]byte(minimal + "folders: [{name: a, path: /a}]"))
	if err != nil {
		t.Fatal(err)
	}
	f := c.Folders[0]
	if f.Afterwards != folder.Done || f.Quiet != 2*time.Second || f.Rescan != 10*time.Second || f.Kind != record.KindOther ||
		f.Patient.Issuer != "here" {
		t.Errorf("folder: %+v", f)
	}
	if c.Listen != "127.0.0.1:9464" || c.Ledger.Channel != "medanchor" || c.Inspect.Workers != 2 || c.Log.Format != "text" {
		t.Errorf("config: %+v", c)
	}
}

// Readers reach the service of this machine only, until the hospital gives it a certificate. The key that opens what is sealed
// to the appliance is where medanchor enroll puts it.
func TestDefaultsOfReading(t *testing.T) {
	c, err := appliance.ParseConfig([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	if c.Reading.Listen != "127.0.0.1:9465" || c.Reading.TLS() {
		t.Errorf("reading: %+v", c.Reading)
	}
	if c.Ledger.EncryptionKeyFile != "/encryption.key" {
		t.Errorf("encryption_key_file: %s", c.Ledger.EncryptionKeyFile)
	}
	given := strings.Replace(minimal, "key_file: /key.pem", "key_file: /id/key.pem, encryption_key_file: /safe/e.key", 1)
	if c, err = appliance.ParseConfig([]byte(given)); err != nil || c.Ledger.EncryptionKeyFile != "/safe/e.key" {
		t.Errorf("encryption_key_file: %s, %v", c.Ledger.EncryptionKeyFile, err)
	}
	given = strings.Replace(minimal, "key_file: /key.pem", "key_file: /id/key.pem", 1)
	if c, err = appliance.ParseConfig([]byte(given)); err != nil || c.Ledger.EncryptionKeyFile != "/id/encryption.key" {
		t.Errorf("encryption_key_file: %s, %v", c.Ledger.EncryptionKeyFile, err)
	}
}

func TestReadingIsServedToOthersWithACertificateOnly(t *testing.T) {
	const pair = "certificate_file: /cert.pem, key_file: /key.pem"
	for name, test := range map[string]struct {
		reading string
		tls     bool
		want    string // of the error; empty: none
	}{
		"this machine":                 {reading: "listen: 'localhost:1'"},
		"this machine, IPv6":           {reading: "listen: '[::1]:1'"},
		"this machine, with TLS":       {reading: "listen: '127.0.0.1:1', " + pair, tls: true},
		"with TLS, at the default":     {reading: pair, tls: true},
		"everybody, with TLS":          {reading: "listen: '0.0.0.0:9465', " + pair, tls: true},
		"everybody, by a name":         {reading: "listen: 'medanchor.hospital.example:443', " + pair, tls: true},
		"everybody":                    {reading: "listen: '0.0.0.0:9465'", want: "or give reading.certificate_file and reading.key_file"},
		"everybody, without a host":    {reading: "listen: ':9465'", want: "reading.listen: "},
		"a name":                       {reading: "listen: 'medanchor.hospital.example:443'", want: "not a loopback address"},
		"no port":                      {reading: "listen: '127.0.0.1'", want: "reading.listen: "},
		"no port, with TLS":            {reading: "listen: '10.0.0.1', " + pair, want: "reading.listen: "},
		"a certificate without a key":  {reading: "certificate_file: /cert.pem", want: "give both or none"},
		"a key without a certificate":  {reading: "key_file: /key.pem", want: "give both or none"},
		"a relative certificate":       {reading: "certificate_file: c.pem, key_file: /k.pem", want: "reading.certificate_file: want an absolute path"},
		"a relative key":               {reading: "certificate_file: /c.pem, key_file: k.pem", want: "reading.key_file: want an absolute path"},
		"a key of nothing that exists": {reading: "tls: on", want: "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := appliance.ParseConfig([]byte(minimal + "reading: {" + test.reading + "}"))
			switch {
			case test.want == "" && (err != nil || c.Reading.TLS() != test.tls):
				t.Errorf("TLS %t, %v", c.Reading.TLS(), err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error: %v", err)
			}
		})
	}
}

// The daemon's working directory is not the administrator's.
func TestTheEncryptionKeyFileIsAbsolute(t *testing.T) {
	raw := strings.Replace(minimal, "key_file: /key.pem", "key_file: /key.pem, encryption_key_file: e.key", 1)
	if _, err := appliance.ParseConfig([]byte(raw)); err == nil || !strings.Contains(err.Error(), "ledger.encryption_key_file: want an absolute") {
		t.Errorf("error: %v", err)
	}
}

func TestPatientRules(t *testing.T) {
	c, err := appliance.ParseConfig([]byte(strings.Replace(minimal, "{issuer: here}",
		`{issuer: here, nhs_issuers: [SPINE], placeholders: ["0123", "walk in"]}`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	want := appliance.PatientsConfig{Issuer: "here", NHSIssuers: []string{"SPINE"}, Placeholders: []string{"0123", "walk in"}}
	if !reflect.DeepEqual(c.Patients, want) {
		t.Errorf("%+v", c.Patients)
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for name, test := range map[string]struct{ extra, want string }{
		"unknown key":         {"pear: x", "unknown field"},
		"key given twice":     {"data: /other", "data"},
		"not YAML":            {"{", ""},
		"open listener":       {"listen: '[::]:9464'", "loopback"},
		"folder without name": {"folders: [{path: /a}]", "folders[0].name"},
		"relative folder":     {"folders: [{name: a, path: a}]", "absolute"},
		"unknown kind":        {"folders: [{name: a, path: /a, kind: poem}]", "poem"},
		"path twice":          {"folders: [{name: a, path: /a}, {name: b, path: /a/}]", "inside each other"},
		"folder in another":   {"folders: [{name: a, path: /a}, {name: b, path: /a/b/c}]", "inside each other"},
		"folder in the data":  {"folders: [{name: a, path: /data/a}]", "inside each other"},
		"data in a folder":    {"folders: [{name: a, path: /}]", "inside each other"},
		"bad pattern":         {"folders: [{name: a, path: /a, patient: {pattern: '('}}]", "pattern"},
		"sidecars that stay":  {"folders: [{name: a, path: /a, afterwards: keep, patient: {by: sidecar}}]", "choose done or delete"},
		"bad duration":        {"folders: [{name: a, path: /a, quiet: soon}]", "soon"},
		"bad level":           {"log: {level: loud}", "loud"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := appliance.ParseConfig([]byte(minimal + test.extra))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error: %v", err)
			}
		})
	}
}

// A blank placeholder is a slip: the hospital meant to write something.
func TestParseConfigRefusesBlanks(t *testing.T) {
	for _, key := range []string{"nhs_issuers", "placeholders"} {
		raw := strings.Replace(minimal, "{issuer: here}", `{issuer: here, `+key+`: [x, " "]}`, 1)
		if _, err := appliance.ParseConfig([]byte(raw)); err == nil || !strings.Contains(err.Error(), "patients."+key+"[1]") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(appliance.Example)
	f.Add([]byte(minimal))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		_, _ = appliance.ParseConfig(raw) // must not panic
	})
}
