package synth_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/reader"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
	"github.com/medanchor/medanchor/test/synth"
)

func small(t *testing.T, seed uint64) (string, synth.Manifest) {
	t.Helper()
	dir := t.TempDir()
	m, err := synth.Generate(synth.Small(dir, seed))
	if err != nil {
		t.Fatal(err)
	}
	return dir, m
}

func read(t *testing.T, dir string, f synth.File) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSameSeedSameBytes(t *testing.T) {
	dirA, a := small(t, 7)
	dirB, b := small(t, 7)
	_, c := small(t, 8)
	asJSON := func(m synth.Manifest) string {
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	if asJSON(a) != asJSON(b) {
		t.Error("two manifests of one seed differ")
	}
	for i, f := range a.Files {
		if !bytes.Equal(read(t, dirA, f), read(t, dirB, b.Files[i])) {
			t.Errorf("%s differs between two runs of one seed", f.Path)
		}
		if f.Format != document.FormatUnknown && f.Path == c.Files[i].Path && f.SHA256 == c.Files[i].SHA256 &&
			path.Base(f.Path) != "leaflet.pdf" {
			t.Errorf("%s is the same with another seed", f.Path)
		}
	}
}

// TestManifestIsTrue reads every file by the product's own parsers and compares with what the manifest says.
func TestManifestIsTrue(t *testing.T) {
	dir, m := small(t, 1)
	rules := document.PatientRules{Placeholders: []string{synth.Placeholder}}
	byPath := map[string]synth.File{}
	instances := map[string]string{}
	onDisk := 0
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if !d.IsDir() {
			onDisk++
		}
		return err
	})
	if err != nil || onDisk != len(m.Files) {
		t.Errorf("%d files on disk, %d in the manifest (%v)", onDisk, len(m.Files), err)
	}
	for _, f := range m.Files {
		byPath[f.Path] = f
		data := read(t, dir, f)
		sum := sha256.Sum256(data)
		if int64(len(data)) != f.Size || hex.EncodeToString(sum[:]) != f.SHA256 {
			t.Errorf("%s: size or digest differ from the manifest", f.Path)
		}
		problem := f.Reason // of what the reader sees: it knows no rules of who is a patient
		if problem == document.ReasonPlaceholder || problem == document.ReasonBadIdentifier {
			problem = ""
		}
		got, _ := reader.Read(bytes.NewReader(data), data[:min(len(data), wire.Head)], f.Size, wire.Full)
		if got.Format != f.Format || got.Problem != problem || got.DatasetOffset != f.Offset {
			t.Errorf("%s: read as %q, problem %q, offset %d; want %q, %q, %d (%s)",
				f.Path, got.Format, got.Problem, got.DatasetOffset, f.Format, problem, f.Offset, got.Detail)
		}
		named := document.PatientID{Issuer: synth.Issuer, Identifier: f.NHS}
		if _, nobody := rules.Check(named); problem == "" && nobody != f.Reason {
			t.Errorf("%s: %s is refused as %q, want %q", f.Path, f.NHS, nobody, f.Reason)
		}
		if f.Format != document.FormatDICOM {
			if owner := path.Base(path.Dir(f.Path)); owner != f.NHS {
				t.Errorf("%s: in the folder of %s, want %s", f.Path, owner, f.NHS)
			}
			continue
		}
		if got.Parser != "dicom" {
			t.Errorf("%s: read by %q only: %s", f.Path, got.Parser, got.Detail)
		}
		if got.Patient.Identifier != f.NHS {
			t.Errorf("%s: patient %q, want %q", f.Path, got.Patient.Identifier, f.NHS)
		}
		instances[f.Path] = got.InstanceUID
		checkRepeats(t, f, byPath, instances, dir, data)
	}
}

// checkRepeats compares a duplicate or variant with the file that it repeats.
func checkRepeats(t *testing.T, f synth.File, byPath map[string]synth.File, instances map[string]string, dir string, data []byte) {
	t.Helper()
	if f.Original != "" {
		first := byPath[f.Original]
		if !bytes.Equal(data[f.Offset:], read(t, dir, first)[first.Offset:]) {
			t.Errorf("%s is no duplicate of %s", f.Path, f.Original)
		}
	}
	if f.VariantOf != "" {
		first := byPath[f.VariantOf]
		if instances[f.Path] != instances[f.VariantOf] || bytes.Equal(data[f.Offset:], read(t, dir, first)[first.Offset:]) {
			t.Errorf("%s is no variant of %s", f.Path, f.VariantOf)
		}
	}
}

func TestPersonalValuesAreInTheFiles(t *testing.T) {
	dir, m := small(t, 1)
	var all []byte
	for _, f := range m.Files {
		all = append(all, read(t, dir, f)...)
	}
	scripts := map[string]bool{}
	found := map[synth.ValueKind]int{}
	for _, v := range m.Personal {
		switch {
		case len(v.Raw) < 8:
			t.Errorf("value %q is so short that it could occur by chance", v.Text)
		case bytes.Contains(all, v.Raw):
			found[v.Kind]++
			scripts[v.In] = true
		case v.Kind == synth.UID:
			t.Errorf("%s %q is in no file", v.Kind, v.Text)
		}
	}
	for _, kind := range []synth.ValueKind{synth.Name, synth.Identifier, synth.BirthDate, synth.UID} {
		if found[kind] == 0 {
			t.Errorf("no %s is in any file", kind)
		}
	}
	if !scripts[synth.Latin1] || !scripts[synth.UTF8] {
		t.Errorf("names are in %v, want Latin-1 and UTF-8", scripts)
	}
}

func TestPeople(t *testing.T) {
	_, m := small(t, 3)
	seen := map[string]bool{}
	for _, p := range m.People {
		if len(p.NHS) != 10 || !strings.HasPrefix(p.NHS, "999") || seen[p.NHS] {
			t.Errorf("NHS number %q is not unique in the 999 range", p.NHS)
		}
		seen[p.NHS] = true
		sum := 0
		for i, c := range p.NHS { // modulus 11 over all ten digits
			sum += int(c-'0') * (10 - i)
		}
		if sum%11 != 0 {
			t.Errorf("NHS number %s has a wrong check digit", p.NHS)
		}
	}
}

func TestCounts(t *testing.T) {
	_, m := small(t, 1)
	for _, hospital := range m.Hospitals {
		c := m.Counts(hospital)
		sum := c.Anchored + c.Duplicates
		for _, n := range c.Quarantined {
			sum += n
		}
		if sum != c.Files || c.Duplicates != 3 || c.Variants != 1 || len(c.Quarantined) != 5 {
			t.Errorf("%s: %+v", hospital, c)
		}
	}
}

func TestMany(t *testing.T) {
	dir := t.TempDir()
	m, err := synth.Many(dir, 1, "bench", 3, 524<<10)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range m.Files {
		if f.Size < 520<<10 || f.Size > 530<<10 || seen[f.SHA256] {
			t.Errorf("%s: %d bytes, or a repeat", f.Path, f.Size)
		}
		seen[f.SHA256] = true
	}
	if len(m.Files) != 3 {
		t.Errorf("%d files, want 3", len(m.Files))
	}
}

func TestRefusesNonsense(t *testing.T) {
	if _, err := synth.Generate(synth.Options{Dir: t.TempDir()}); err == nil {
		t.Error("options without a hospital were accepted")
	}
}
