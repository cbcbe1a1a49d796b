package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/test/synth"
)

// TestALateCT: most of a study arrives, and the daemon is killed while it is being committed. A doctor elsewhere is granted
// that study; then the rest arrives, and some of it again. It is one record, each slice is in it once, and the doctor reads all
// of it by the grant that was given before.
func TestALateCT(t *testing.T) {
	const slices, early, repeated = 400, 380, 40
	person, sent := study(t, slices)
	w := newWard(t, devnettest.Network(t), person.NHS)
	drop := func(how string, files [][]byte) {
		for i, content := range files {
			w.a.dropFile(w.a.DICOM, fmt.Sprintf("%s-%03d.dcm", how, i), content)
		}
	}

	drop("early", sent[:early])
	dying := w.a.await("some slices are anchored, and some wait", func(c control.Status) bool {
		return c.Items.Anchored > 0 && c.Items.Waiting > 0
	})
	w.a.kill()
	t.Logf("killed when %d were anchored, and %d waited", dying.Items.Anchored, dying.Items.Waiting)
	w.a.start()
	w.announce(w.a, w.b, w.a.status().Reading.Swarm...) // its port is another
	w.a.awaitSettled(early)
	name := w.onlyRecord(early)
	w.grants(w.doctor, tomorrow(), paper{RecordName: name})

	drop("late", sent[early:])
	drop("again", sent[early/2:][:repeated])
	items := w.a.awaitSettled(slices + repeated).Items
	if items.Anchored != slices || items.Duplicates != repeated || len(items.Quarantined) > 0 || items.Variants > 0 {
		t.Errorf("A counts %+v, want %d documents and %d duplicates", items, slices, repeated)
	}
	if again := w.onlyRecord(slices); again != name {
		t.Errorf("the record is %s, and was %s", again.Record, name.Record)
	}

	w.awaitReleases("the keys of all slices are released", w.doctor.connect(), w.doctor.id, func(all []release) bool {
		released := 0
		for _, r := range all {
			released += len(r.Documents)
		}
		return released == slices
	})
	read := filepath.Join(t.TempDir(), "read")
	w.doctor.runs(exitOK, "get --appliance "+w.b.status().Reading.URL+w.of+" --record "+name.Record.String()+" -o "+read, "")
	got := make(map[string]bool)
	for _, f := range tree(t, read) {
		content, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		got[string(content)] = true
	}
	if len(got) != slices {
		t.Errorf("the doctor reads %d different images, want %d", len(got), slices)
	}
	for i, content := range sent {
		if !got[string(content)] {
			t.Errorf("slice %d was not read byte for byte", i)
		}
	}
}

// study makes small slices of one study.
func study(t *testing.T, slices int) (person synth.Person, files [][]byte) {
	t.Helper()
	const size = 8 << 10
	dir := t.TempDir()
	manifest, err := synth.Many(dir, 61, "a", slices, size)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range manifest.Files {
		content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, content)
	}
	return manifest.People[0], files
}

// onlyRecord is the one record that the patient has at A, which must have so many documents, each once.
func (w *ward) onlyRecord(documents int) record.RecordName {
	w.t.Helper()
	w.a.awaitIndexed()
	own := w.a.recordsOf(w.reference)
	if len(own) != 1 {
		w.t.Fatalf("the study is %d records", len(own))
	}
	once := make(map[record.Tag]bool)
	for _, tag := range own[0].Documents {
		once[tag] = true
	}
	if len(once) != documents || len(own[0].Documents) != documents {
		w.t.Errorf("the record has %d documents, %d different ones; want %d", len(own[0].Documents), len(once), documents)
	}
	return record.RecordName{Patient: own[0].Patient, Record: own[0].Record}
}
