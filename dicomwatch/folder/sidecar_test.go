package folder_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/folder"
	"github.com/medanchor/medanchor/document"
)

const jane = `{"issuer": "lab", "identifier": "4711"}`

func bySidecar(t *testing.T) folder.Options {
	t.Helper()
	o := options(t)
	o.Patient, o.Issuer, o.Patience = folder.BySidecar(), "here", 10*time.Second
	return o
}

func TestTheSidecarTellsThePatientAndGoesWithItsFile(t *testing.T) {
	for name, tc := range map[string]struct {
		sidecar, content string
		want             document.PatientID
	}{
		"by name":         {"sub/a.pdf.patient.json", jane, document.PatientID{Issuer: "lab", Identifier: "4711"}},
		"by stem":         {"sub/a.patient.json", jane, document.PatientID{Issuer: "lab", Identifier: "4711"}},
		"without issuer":  {"sub/a.patient.json", `{"identifier": "4711"}`, document.PatientID{Issuer: "here", Identifier: "4711"}},
		"in other spaces": {"sub/a.patient.json", " {\n\"identifier\" :\"47 11\" }\n", document.PatientID{Issuer: "here", Identifier: "47 11"}},
	} {
		for disposal, left := range map[folder.Disposal]int{folder.Done: 1, folder.Delete: 0} {
			t.Run(name+", "+string(disposal), func(t *testing.T) {
				t.Parallel()
				o := bySidecar(t)
				o.Disposal = disposal
				in := start(t, o)
				write(t, filepath.Join(o.Path, "sub", "a.pdf"), "x")
				write(t, filepath.Join(o.Path, tc.sidecar), tc.content)
				d := in.next(t)
				if d.Patient != tc.want {
					t.Errorf("patient %+v", d.Patient)
				}
				read(t, d)
				acknowledge(t, d)
				for _, at := range []string{"sub/a.pdf", tc.sidecar} {
					moved, err := filepath.Glob(filepath.Join(o.Path, "done", at))
					if exists(t, filepath.Join(o.Path, at)) || err != nil || len(moved) != left {
						t.Errorf("%s did not go: done/ has %d of it, %v", at, len(moved), err)
					}
				}
				in.quiet(t)
			})
		}
	}
}

// The sidecar may come after its file, also where no change is notified.
func TestAFileWaitsForItsSidecar(t *testing.T) {
	for name, deaf := range map[string]bool{"notified": false, "found by scanning": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := bySidecar(t)
			if !deaf {
				o.Rescan = time.Hour
			}
			f, in := startFolder(t, o)
			eventually(t, "the first scan", func() bool { return f.Scans() > 0 })
			if deaf {
				f.Deafen()
			}
			write(t, filepath.Join(o.Path, "a.pdf"), "x")
			eventually(t, "it waits", func() bool {
				return strings.HasPrefix(f.Held()["a.pdf"], "waits for its sidecar file, <name>.patient.json: the file goes in without a patient at ")
			})
			write(t, filepath.Join(o.Path, "a.patient.json"), jane)
			if d := in.next(t); d.Patient.Identifier != "4711" {
				t.Errorf("patient %+v", d.Patient)
			}
			if held := f.Held(); len(held) != 0 {
				t.Errorf("held: %v", held)
			}
		})
	}
}

func TestAFileWithoutSidecarGoesInWithoutPatient(t *testing.T) {
	for name, sidecar := range map[string]string{"missing": "", "broken": `{"identifier": `} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := bySidecar(t)
			o.Patience = 500 * time.Millisecond
			f, in := startFolder(t, o)
			eventually(t, "the first scan", func() bool { return f.Scans() > 0 }) // what that finds is as old as its file says
			began := time.Now()
			write(t, filepath.Join(o.Path, "a.pdf"), "x")
			if sidecar != "" {
				write(t, filepath.Join(o.Path, "a.pdf.patient.json"), sidecar)
			}
			d := in.next(t)
			if took := time.Since(began); d.Patient != (document.PatientID{}) || took < o.Patience {
				t.Errorf("patient %+v after %s", d.Patient, took)
			}
			acknowledge(t, d)
			if exists(t, filepath.Join(o.Path, "a.pdf.patient.json")) {
				t.Error("the sidecar is left to the next file of this name")
			}
		})
	}
}

// A broken sidecar that is put right, and one that a program still writes.
func TestABrokenSidecarIsToldAndReadAgain(t *testing.T) {
	o := bySidecar(t)
	f, in := startFolder(t, o)
	write(t, filepath.Join(o.Path, "a.pdf"), "x")
	write(t, filepath.Join(o.Path, "a.pdf.patient.json"), `{"identifier": "4711"`)
	eventually(t, "it is told", func() bool {
		return strings.HasPrefix(f.Held()["a.pdf"], "its sidecar file is not a whole JSON object: the file goes in without a patient at ")
	})
	write(t, filepath.Join(o.Path, "a.pdf.patient.json"), jane)
	if d := in.next(t); d.Patient.Identifier != "4711" {
		t.Errorf("patient %+v", d.Patient)
	}
	writer, err := os.Create(filepath.Join(o.Path, "b.pdf.patient.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = writer.WriteString(jane)
	write(t, filepath.Join(o.Path, "b.pdf"), "x")
	eventually(t, "it is told", func() bool { return strings.Contains(f.Held()["b.pdf"], "is being written") })
	if err := errors.Join(err, writer.Close()); err != nil {
		t.Fatal(err)
	}
	if d := in.next(t); d.Patient.Identifier != "4711" {
		t.Errorf("patient %+v", d.Patient)
	}
}

func TestASidecarThatIsCorrectedMeanwhileCounts(t *testing.T) {
	o := bySidecar(t)
	in := start(t, o)
	write(t, filepath.Join(o.Path, "a.pdf"), "x")
	write(t, filepath.Join(o.Path, "a.patient.json"), jane)
	d := in.next(t)
	source, err := d.Door.Open(d.Claim)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	write(t, filepath.Join(o.Path, "a.patient.json"), `{"identifier": "4712"}`)
	if err := source.Unchanged(); !errors.Is(err, document.ErrChanged) {
		t.Fatalf("Unchanged: %v", err)
	}
	d.Door.Release(d.Claim, document.ErrChanged)
	if d := in.next(t); d.Patient.Identifier != "4712" {
		t.Errorf("patient %+v", d.Patient)
	}
}

// That the sidecar comes does not say that its file is whole.
func TestAFileThatChangesAsItsSidecarComesIsGivenItsQuietPeriod(t *testing.T) {
	o := bySidecar(t)
	o.Quiet = 300 * time.Millisecond
	f, in := startFolder(t, o)
	write(t, filepath.Join(o.Path, "a.pdf"), "half")
	eventually(t, "it waits", func() bool { return f.Held()["a.pdf"] != "" })
	began := time.Now()
	write(t, filepath.Join(o.Path, "a.pdf"), "half, and more")
	eventually(t, "it is seen", func() bool { return f.Held()["a.pdf"] == "" })
	write(t, filepath.Join(o.Path, "a.patient.json"), jane)
	in.next(t)
	if took := time.Since(began); took < o.Quiet {
		t.Errorf("offered after %s", took)
	}
}

// a.patient.json may be of a.pdf and of a.dcm: it goes with the last of them.
func TestASharedSidecarGoesWithTheLastFile(t *testing.T) {
	o := bySidecar(t)
	write(t, filepath.Join(o.Path, "a.pdf"), "x")
	write(t, filepath.Join(o.Path, "a.dcm"), "x")
	write(t, filepath.Join(o.Path, "a.patient.json"), jane)
	in := start(t, o)
	for i := range 2 {
		d := in.next(t)
		if d.Patient.Identifier != "4711" {
			t.Errorf("patient %+v", d.Patient)
		}
		acknowledge(t, d)
		if last := i == 1; exists(t, filepath.Join(o.Path, "a.patient.json")) == last {
			t.Errorf("the sidecar is there after file %d: %t", i+1, !last)
		}
	}
	if !exists(t, filepath.Join(o.Path, "done", "a.patient.json")) {
		t.Error("the sidecar is not in done/")
	}
}

// report.pdf.patient.json is report.pdf's own: it is not what report.pdf.1 shares with others, nor does it go with that.
func TestAFilesOwnSidecarIsOfThatFileAlone(t *testing.T) {
	for _, disposal := range []folder.Disposal{folder.Done, folder.Delete} {
		t.Run(string(disposal), func(t *testing.T) {
			t.Parallel()
			o := bySidecar(t)
			o.Disposal = disposal
			own := filepath.Join(o.Path, "report.pdf.patient.json")
			write(t, filepath.Join(o.Path, "report.pdf"), "x")
			write(t, own, jane)
			f, in := startFolder(t, o)
			first := in.next(t)
			write(t, filepath.Join(o.Path, "report.pdf.1"), "y")
			eventually(t, "it waits", func() bool { return strings.HasPrefix(f.Held()["report.pdf.1"], "waits for its sidecar file") })
			in.quiet(t)
			write(t, filepath.Join(o.Path, "report.pdf.1.patient.json"), `{"identifier": "4712"}`)
			second := in.next(t)
			if second.Patient.Identifier != "4712" || first.Patient.Identifier != "4711" {
				t.Errorf("patients %+v, %+v", first.Patient, second.Patient)
			}
			acknowledge(t, second)
			if !exists(t, own) {
				t.Fatal("the sidecar of report.pdf went with report.pdf.1")
			}
			read(t, first)
			acknowledge(t, first)
			if exists(t, own) {
				t.Error("it did not go with its own file")
			}
		})
	}
}

// A file that was offered by what seemed to be shared is not read once that turns out to be another's own.
func TestASharedSidecarBecomesAnothersOwn(t *testing.T) {
	o := bySidecar(t)
	write(t, filepath.Join(o.Path, "report.pdf.1"), "y")
	write(t, filepath.Join(o.Path, "report.pdf.patient.json"), jane)
	in := start(t, o)
	d := in.next(t)
	source, err := d.Door.Open(d.Claim)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	write(t, filepath.Join(o.Path, "report.pdf"), "x")
	if err := source.Unchanged(); !errors.Is(err, document.ErrChanged) {
		t.Fatalf("Unchanged: %v", err)
	}
	acknowledge(t, d)
	if !exists(t, filepath.Join(o.Path, "report.pdf.patient.json")) {
		t.Error("the sidecar of report.pdf went with report.pdf.1")
	}
}

func TestSidecarsAreFilesWhereNoRuleReadsThem(t *testing.T) {
	o := options(t)
	write(t, filepath.Join(o.Path, "a.patient.json"), jane)
	write(t, filepath.Join(o.Path, "a.ready"), "")
	in := start(t, o)
	names := []string{filepath.Base(in.next(t).Claim.Path), filepath.Base(in.next(t).Claim.Path)}
	slices.Sort(names)
	if !slices.Equal(names, []string{"a.patient.json", "a.ready"}) {
		t.Errorf("offered: %q", names)
	}
}

func TestASidecarIsReadStrictly(t *testing.T) {
	for content, want := range map[string]string{
		"":                                       "is not a whole JSON object",
		"4711":                                   "is not a whole JSON object",
		`["4711"]`:                               "is not a whole JSON object",
		`{"identifier": "4711"`:                  "is not a whole JSON object",
		`{"identifier": "47`:                     "is not a whole JSON object",
		`{"identifier":`:                         "is not a whole JSON object",
		`{}`:                                     `has no "identifier"`,
		`{"issuer": "lab"}`:                      `has no "identifier"`,
		`{"identifier": " "}`:                    `has no "identifier"`,
		`{"identifier": 4711}`:                   `has a "identifier" that is not a string`,
		`{"identifier": null}`:                   `has a "identifier" that is not a string`,
		`{"identifier": {"identifier": "4711"}}`: `has a "identifier" that is not a string`,
		`{"identifier": "4711", "identifier": "1"}`:  `holds something else than one "issuer" and one "identifier"`,
		`{"Identifier": "4711"}`:                     `holds something else than one "issuer" and one "identifier"`,
		`{"identifier": "4711", "name": "Jane"}`:     `holds something else than one "issuer" and one "identifier"`,
		`{"identifier": "4711"} {}`:                  "goes on after its JSON object",
		`{"identifier": "4711"} x`:                   "goes on after its JSON object",
		"{\"identifier\": \"M\xfcller\"}":            "is not UTF-8",
		"\xef\xbb\xbf" + `{"identifier": "4711"}`:    "is not a whole JSON object",
		`{"identifier": "4711",, "issuer": "lab"}`:   "is not a whole JSON object",
		`{"identifier": "4711"}` + "\n":              "",
		`{"identifier": "4711", "issuer": "lab"}`:    "",
		`{"identifier": "\u0034711", "issuer": "l"}`: "",
	} {
		id, err := folder.ParseSidecar([]byte(content))
		if got := text(err); got != want || (want == "") != (id.Identifier == "4711") {
			t.Errorf("%s: %+v, %v", content, id, err)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestWhatIsNoSmallRegularFileIsNoSidecar(t *testing.T) {
	o := bySidecar(t)
	secret := filepath.Join(t.TempDir(), "secret")
	write(t, secret, jane)
	for _, name := range []string{"link", "directory", "large"} {
		write(t, filepath.Join(o.Path, name+".pdf"), "x")
	}
	err := errors.Join(
		os.Symlink(secret, filepath.Join(o.Path, "link.patient.json")),
		os.Mkdir(filepath.Join(o.Path, "directory.patient.json"), 0o700),
		os.WriteFile(filepath.Join(o.Path, "large.patient.json"), []byte(jane+strings.Repeat(" ", 4096)), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	f, in := startFolder(t, o)
	for name, want := range map[string]string{
		"link.pdf": "is not a regular file", "directory.pdf": "is not a regular file", "large.pdf": "is larger than 4096 bytes",
	} {
		eventually(t, want, func() bool { return strings.Contains(f.Held()[name], want) })
	}
	in.quiet(t)
}
