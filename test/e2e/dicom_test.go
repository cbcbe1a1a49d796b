package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/test/dcmtk"
	"github.com/medanchor/medanchor/test/hospital"
	"github.com/medanchor/medanchor/test/synth"
)

// modality is how a device of the hospital reaches the receiver.
func (s *site) modality() dcmtk.Peer {
	s.t.Helper()
	return dcmtk.Peer{Address: s.status().DICOM.Address, Calling: hospital.Modality, Called: "MEDANCHOR"}
}

// sends stores files as they are encoded; each must be answered with success.
func (s *site) sends(files ...string) {
	s.t.Helper()
	implicit, others := []string{}, []string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		if bytes.Contains(content[:offset(s.t, content)], []byte("1.2.840.10008.1.2\x00")) {
			implicit = append(implicit, file)
		} else {
			others = append(others, file)
		}
	}
	// dcmtk decodes implicit VRs where anything else may be sent.
	for option, files := range map[string][]string{"-xi": implicit, "-xe": others} {
		if len(files) == 0 {
			continue
		}
		if output, err := dcmtk.StoreSCU(s.t.Context(), s.modality(), files, option); err != nil {
			s.t.Fatalf("send %d files: %v\n%s", len(files), err, output)
		}
	}
}

// offset is where a DICOM file's dataset begins.
func offset(t *testing.T, content []byte) int {
	t.Helper()
	const length = 140 // of the value of File Meta Information Group Length, which is the first element
	if len(content) < length+4 || string(content[128:132]) != "DICM" {
		t.Fatal("not a DICOM file with file meta information")
	}
	n := int(content[length]) | int(content[length+1])<<8 | int(content[length+2])<<16
	return length + 4 + n
}

// TestTheSameObjectByBothDoors: what dcmtk sends is stored dataset-identical, is one document with what is dropped in a folder,
// whichever came first, and the counts reconcile.
func TestTheSameObjectByBothDoors(t *testing.T) {
	dcmtk.Need(t, "storescu", "echoscu")
	s := newSite(t, devnettest.Exclusive(t), 0)
	s.start()
	if output, err := dcmtk.EchoSCU(t.Context(), s.modality()); err != nil {
		t.Fatalf("echo: %v\n%s", err, output)
	}
	manifest, dir := generate(t, 71)
	var files []synth.File
	for _, f := range manifest.Files {
		if f.Hospital == manifest.Files[0].Hospital && f.Outcome == synth.Anchored && f.Offset > 0 {
			files = append(files, f)
		}
	}
	half := len(files) / 2
	path := func(f synth.File) string { return filepath.Join(dir, filepath.FromSlash(f.Path)) }
	drop := func(files []synth.File, as string) {
		for i, f := range files {
			content, err := os.ReadFile(path(f))
			if err != nil {
				t.Fatal(err)
			}
			s.dropFile(s.DICOM, fmt.Sprintf("%s-%d.dcm", as, i), content)
		}
	}
	send := func(files []synth.File) {
		var paths []string
		for _, f := range files {
			paths = append(paths, path(f))
		}
		s.sends(paths...)
	}

	send(files[:half])
	drop(files[half:], "first")
	first := s.awaitSettled(len(files)).Items
	if first.Anchored != int64(len(files)) {
		t.Fatalf("of %d objects %+v", len(files), first)
	}
	drop(files[:half], "again")
	send(files[half:])
	again := s.awaitSettled(2 * len(files)).Items
	if again.Anchored != first.Anchored || again.Duplicates != int64(len(files)) || again.Received != 2*first.Received {
		t.Errorf("by both doors %+v", again)
	}
	empty := s.await("the spool is empty", func(c control.Status) bool { return c.DICOM.Spooled == 0 })
	if d := empty.DICOM; d.Stored != uint64(len(files)) || d.Refused != 0 || d.Trouble != "" {
		t.Errorf("the receiver: %+v", d)
	}

	stored := s.stored()
	for i, f := range files {
		content, err := os.ReadFile(path(f))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range s.verify(sha256.Sum256(content[f.Offset:])) {
			back := s.get(stored, v.Item)
			if v.Finding != control.FindingOK || !bytes.Equal(back[offset(t, back):], content[f.Offset:]) {
				t.Errorf("%s: %s; its dataset does not read back", f.Path, v.Finding)
			}
			if i >= half && !bytes.Equal(back, content) {
				t.Errorf("%s was dropped first, and does not read back byte-identical", f.Path)
			}
		}
	}
}

// TestWhatIsAnsweredIsKept: the daemon is killed while a device sends. Every object that was answered with success is there
// afterwards, sent again it is a duplicate, and nothing is there twice.
func TestWhatIsAnsweredIsKept(t *testing.T) {
	dcmtk.Need(t, "storescu")
	s := newSite(t, devnettest.Exclusive(t), 0)
	s.start()
	const objects, size = 120, 256 << 10
	dir := t.TempDir()
	manifest, err := synth.Many(dir, 72, "a", objects, size)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, f := range manifest.Files {
		files = append(files, filepath.Join(dir, filepath.FromSlash(f.Path)))
	}
	sent := make(chan string, 1)
	peer := s.modality()
	go func() {
		output, _ := dcmtk.StoreSCU(t.Context(), peer, files, "-v")
		sent <- output
	}()
	s.await("some objects are answered", func(c control.Status) bool { return c.DICOM.Stored >= 20 })
	s.kill()
	answered := bytes.Count([]byte(<-sent), []byte("Received Store Response (Success)"))
	if answered < 20 || answered == objects {
		t.Fatalf("%d of %d objects were answered before the daemon was killed", answered, objects)
	}
	t.Logf("killed when %d of %d objects were answered", answered, objects)
	s.start()
	kept := s.await("what was answered is taken in", func(c control.Status) bool {
		return c.DICOM.Spooled == 0 && c.Items.Waiting == 0 && c.Items.Received >= int64(answered)
	}).Items
	if kept.Anchored != kept.Received || kept.Received > int64(answered)+1 { // the last may have been kept, and its answer lost
		t.Fatalf("%d were answered, and %+v", answered, kept)
	}
	s.sends(files...)
	items := s.awaitSettled(int(kept.Received) + objects).Items
	if items.Anchored != objects || items.Duplicates != kept.Anchored || len(items.Quarantined) > 0 {
		t.Errorf("after all were sent again %+v", items)
	}
}

// TestWhoMaySend: a device is known by its AE title and address; whoever else sends is turned away, and status says so.
func TestWhoMaySend(t *testing.T) {
	dcmtk.Need(t, "echoscu")
	s := newSite(t, devnettest.Network(t), 0)
	s.start()
	for name, c := range map[string]struct {
		calling, called string
		admitted        bool
	}{
		"a known device":            {hospital.Modality, "MEDANCHOR", true},
		"an unknown device":         {"CT2", "MEDANCHOR", false},
		"who means somebody else":   {hospital.Modality, "ARCHIVE", false},
		"who differs in upper case": {"ct1", "MEDANCHOR", false},
	} {
		peer := s.modality()
		peer.Calling, peer.Called = c.calling, c.called
		if _, err := dcmtk.EchoSCU(t.Context(), peer); (err == nil) != c.admitted {
			t.Errorf("%s: %v", name, err)
		}
	}
	if d := s.status().DICOM; d.Rejected != 3 {
		t.Errorf("%d associations were rejected, want 3", d.Rejected)
	}
}
