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
