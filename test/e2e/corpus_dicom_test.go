package e2e

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/test/dcmtk"
)

// TestCorpusOverTheNetwork: what dcmtk can send of real-world files is stored with the dataset that dcmtk's own receiver gets
// from it, bit for bit. Where that is the file's, dropping the file makes a duplicate of it.
func TestCorpusOverTheNetwork(t *testing.T) {
	corpus := os.Getenv(corpusEnv)
	if corpus == "" {
		t.Skipf("needs real-world files: set %s to a folder with dicom/ and pdf/", corpusEnv)
	}
	dcmtk.Need(t, "dcmsend", "storescp")
	s := newSite(t, devnettest.Exclusive(t), 0)
	s.start()
	received := t.TempDir()
	reference, err := dcmtk.StoreSCP(t.Context(), received, "--bit-preserving", "--accept-all", "--promiscuous")
	if err != nil {
		t.Fatal(err)
	}
	var sent [][]byte // datasets
	unchanged, refused, turned := 0, 0, uint64(0)
	for _, f := range tree(t, filepath.Join(corpus, "dicom")) {
		content, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dcmtk.DCMSend(t.Context(), dcmtk.Peer{Address: reference}, []string{f.path}, "-dn"); err != nil {
			refused++
			t.Logf("dcmtk does not send %s: %v", filepath.Base(f.path), err)
			continue
		}
		dataset := takeOnly(t, received)
		if output, err := dcmtk.DCMSend(t.Context(), s.modality(), []string{f.path}, "-dn"); err != nil {
			t.Errorf("dcmtk's receiver takes %s, ours: %v\n%s", filepath.Base(f.path), err, output)
			continue
		}
		if now := s.status().DICOM.Refused; now > turned {
			turned = now
			t.Logf("%s is answered with a failure: the log has the reason", filepath.Base(f.path))
			continue
		}
		sent = append(sent, dataset)
		if bytes.HasSuffix(content, dataset) {
			unchanged++
			s.dropFile(s.DICOM, filepath.Base(f.path), content)
		}
	}
	t.Logf("%d sent, of which dcmtk left %d unchanged; %d answered with a failure; %d not sent", len(sent), unchanged, turned, refused)
	if turned > 2 { // what names no SOP class, or no UID
		t.Errorf("%d objects are answered with a failure that dcmtk's receiver takes", turned)
	}
	items := s.awaitSettled(len(sent) + unchanged).Items
	if items.Duplicates < int64(unchanged) {
		t.Errorf("%d files were dropped after they were sent unchanged, and there are %d duplicates", unchanged, items.Duplicates)
	}
	stored := s.stored()
	for i, dataset := range sent {
		verdicts := s.verify(sha256.Sum256(dataset))
		if len(verdicts) == 0 || verdicts[0].Finding == control.FindingNotAnchored {
			t.Errorf("object %d: its dataset is not there: %+v", i, verdicts)
			continue
		}
		if back := s.get(stored, verdicts[0].Item); !bytes.Equal(back[offset(t, back):], dataset) {
			t.Errorf("object %d: its dataset does not read back", i)
		}
	}
}

// takeOnly gives the dataset of the one file in a folder, and removes it.
func takeOnly(t *testing.T, dir string) []byte {
	t.Helper()
	files := tree(t, dir)
	if len(files) != 1 {
		t.Fatalf("dcmtk's receiver wrote %d files, want 1", len(files))
	}
	content, err := os.ReadFile(files[0].path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(files[0].path); err != nil {
		t.Fatal(err)
	}
	return content[offset(t, content):]
}
