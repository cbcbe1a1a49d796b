package reader

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
	"github.com/medanchor/medanchor/test/mutate"
	"github.com/medanchor/medanchor/test/synth"
)

// keys are the attributes that are compared with what dcmdump prints.
func keys() map[string]tag {
	return map[string]tag{
		"PatientID": tagPatientID, "PatientName": tagPatientName, "StudyInstanceUID": tagStudy, "SeriesInstanceUID": tagSeries,
		"SOPInstanceUID": tagInstance, "SOPClassUID": tagSOPClass, "Modality": tagModality, "StudyDate": tagStudyDate,
	}
}

// printed is a line of dcmdump: the tag at the top level, the VR, and the value in brackets or, of UN, in hexadecimal.
var printed = regexp.MustCompile(`(?m)^(\([0-9a-f]{4},[0-9a-f]{4}\)) (?:\S\S \[(.*)\]|UN ([0-9a-f\\]+)) +#`)

// dcmdump gives the keys as dcmdump prints them, in UTF-8, where it knows the character set; false if it does not read the
// file.
func dcmdump(t *testing.T, program, path string) (values map[string]string, utf8 bool) {
	t.Helper()
	args := []string{"-q", "-Un", "+p", "+L"}
	for _, k := range keys() {
		args = append(args, "+P", strings.ToLower(strings.Trim(k.String(), "()")))
	}
	args = append(args, path)
	out, err := exec.CommandContext(t.Context(), program, append([]string{"+U8"}, args...)...).Output()
	if utf8 = err == nil; err != nil {
		if out, err = exec.CommandContext(t.Context(), program, args...).Output(); err != nil {
			return nil, false
		}
	}
	values = map[string]string{}
	for _, line := range printed.FindAllSubmatch(out, -1) {
		for name, k := range keys() {
			if !strings.EqualFold(string(line[1]), k.String()) {
				continue
			}
			raw, err := hex.DecodeString(strings.ReplaceAll(string(line[3]), `\`, ""))
			if err != nil {
				t.Fatal(err)
			}
			values[name] = strings.Trim(string(line[2])+string(raw), padding)
		}
	}
	return values, utf8
}

// agree compares what the reader and dcmdump find in a file. It tells whether dcmdump reads it, and what the reader says.
func agree(t *testing.T, program, path string) (m document.Metadata, both bool) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m = read(t, data, wire.Full)
	theirs, utf8 := dcmdump(t, program, path)
	if !utf8 {
		t.Logf("%s: dcmdump does not know its character set", filepath.Base(path))
	}
	if theirs == nil {
		return m, false
	}
	h, _ := scan(bytes.NewReader(data), int64(len(data)))
	ours := map[string]string{
		"PatientID": m.Patient.Identifier, "PatientName": m.PatientName, "StudyInstanceUID": m.StudyUID,
		"SeriesInstanceUID": m.SeriesUID, "SOPInstanceUID": m.InstanceUID, "SOPClassUID": m.SOPClassUID, "Modality": m.Modality,
		"StudyDate": strings.Trim(string(h.values[tagStudyDate]), padding),
	}
	for name, got := range ours {
		if name == "SOPClassUID" && len(h.values[tagSOPClass]) == 0 {
			got = "" // what the file meta information says stands in
		}
		if got != theirs[name] && (utf8 || isASCII(got+theirs[name])) {
			t.Errorf("%s: %s %q, dcmdump prints %q", filepath.Base(path), name, got, theirs[name])
		}
	}
	if date := theirs["StudyDate"]; len(date) == 8 && m.Time.Format("20060102") != date && !m.Time.IsZero() {
		t.Errorf("%s: its time is %v, its date %s", filepath.Base(path), m.Time, date)
	}
	return m, true
}

func dcmtk(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("dcmdump")
	if err != nil {
		t.Skip("dcmdump is not installed: install dcmtk")
	}
	return program
}

// TestCorpusAgreesWithDCMTK: on every file of a folder of real files that dcmdump reads, the reader finds the same.
func TestCorpusAgreesWithDCMTK(t *testing.T) {
	program := dcmtk(t)
	corpus := os.Getenv("MEDANCHOR_CORPUS")
	if corpus == "" {
		t.Skip("MEDANCHOR_CORPUS is not set: no folder of real files to read")
	}
	files, err := filepath.Glob(filepath.Join(corpus, "dicom", "*.dcm"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s (%v)", corpus, err)
	}
	compared, alone := 0, 0
	for _, path := range files {
		m, both := agree(t, program, path)
		if !both {
			t.Logf("%s: dcmdump does not read it; the reader says %q (%s)", filepath.Base(path), m.Problem, m.Detail)
			continue
		}
		compared++
		if m.Parser == "header" {
			alone++
			t.Logf("%s: by the scanner alone: %s", filepath.Base(path), m.Detail)
		}
	}
	t.Logf("%d of %d files compared, %d of them read by the scanner alone", compared, len(files), alone)
}

// TestSyntheticAgreesWithDCMTK compares on files that are made here.
func TestSyntheticAgreesWithDCMTK(t *testing.T) {
	program := dcmtk(t)
	dir := t.TempDir()
	manifest, err := synth.Generate(synth.Small(dir, 1))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	compare := func(path string) {
		if _, both := agree(t, program, path); both {
			compared++
		} else {
			t.Errorf("dcmdump does not read %s", filepath.Base(path))
		}
	}
	for _, f := range manifest.Files {
		if f.Format == document.FormatDICOM && f.Reason != document.ReasonTruncated {
			compare(filepath.Join(dir, f.Path))
		}
	}
	put := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for f := range mutate.Valid() {
		if filepath.Ext(f.Name) == ".dcm" {
			compare(put(f.Name, f.Data))
		}
	}
	for i, c := range examples() {
		if strings.Contains(c.raw, "\n") {
			continue // dcmdump prints lines
		}
		f := good()
		f.charset, f.name, f.description = c.set, c.raw, c.raw
		compare(put(strings.ReplaceAll(c.name, " ", "-")+string(rune('a'+i))+".dcm", f.encode(t)))
	}
	t.Logf("%d files compared", compared)
}
