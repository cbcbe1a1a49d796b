package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect"
)

// corpusEnv names the environment variable that holds a folder of real-world files: dicom/ and pdf/.
const corpusEnv = "MEDANCHOR_CORPUS"

// TestCorpus: whatever a file is, it ends anchored, duplicate, variant or quarantined with a reason, and reads back
// byte-identical; and the daemon lives on.
func TestCorpus(t *testing.T) {
	corpus := os.Getenv(corpusEnv)
	if corpus == "" {
		t.Skipf("needs real-world files: set %s to a folder with dicom/ and pdf/", corpusEnv)
	}
	n := devnettest.Exclusive(t)
	s := newSite(t, n, 0)
	from := s.height()
	s.start()
	pid := s.process.PID()
	s.dropTree(os.DirFS(filepath.Join(corpus, "dicom")), s.DICOM)
	patient := filepath.Join(s.Documents, "9990000018")
	if err := os.Mkdir(patient, 0o700); err != nil {
		t.Fatal(err)
	}
	s.dropTree(os.DirFS(filepath.Join(corpus, "pdf")), patient)
	sources := append(tree(t, filepath.Join(corpus, "dicom")), tree(t, filepath.Join(corpus, "pdf"))...)
	status := s.awaitSettled(len(sources))

	c := s.chainSince(from)
	outcomes := s.outcomes(sources, c)
	w := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', 0)
	for _, outcome := range slices.Sorted(maps.Keys(outcomes)) {
		fmt.Fprintf(w, "%d\t%s\t%s\n", len(outcomes[outcome]), outcome, strings.Join(outcomes[outcome], " "))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	items := status.Items
	quarantined := int64(0)
	for _, n := range items.Quarantined {
		quarantined += n
	}
	if items.Received != int64(len(sources)) || items.Received != items.Anchored+items.Duplicates+quarantined ||
		items.Anchored != int64(len(c.documents)) || len(status.Held) > 0 {
		t.Errorf("%d files, the ledger has %d documents: %+v, held %v", len(sources), len(c.documents), items, status.Held)
	}
	for what, want := range map[string]int64{
		"anchored": items.Anchored - items.Variants, "variant": items.Variants, "duplicate": items.Duplicates,
	} {
		if got := len(outcomes[what]); int64(got) != want {
			t.Errorf("%d files are found to be %s, the daemon counts %d", got, what, want)
		}
	}
	if s.process.PID() != pid {
		t.Error("the daemon is another one now")
	}
}

// outcomes gives the files' names by what became of them, and reads each back.
func (s *site) outcomes(sources []treeFile, c chain) map[string][]string {
	s.t.Helper()
	_, inspector := s.medanchor, s.Config.Inspect.Program
	pool, err := inspect.New(s.t.Context(), inspect.Options{Program: inspector, Children: 1})
	if err != nil {
		s.t.Fatal(err)
	}
	defer pool.Close()
	stored, outcomes := s.stored(), make(map[string][]string)
	first := make(map[document.ItemID]bool)
	for _, f := range sources {
		name := filepath.Base(f.path)
		content, err := os.ReadFile(f.path)
		if err != nil {
			s.t.Fatal(err)
		}
		m, err := pool.Inspect(s.t.Context(), bytes.NewReader(content), int64(len(content)))
		if err != nil {
			s.t.Fatal(err)
		}
		verdicts := s.verify(sha256.Sum256(content[m.DatasetOffset:]))
		if len(verdicts) != 1 {
			s.t.Errorf("%s: %+v", name, verdicts)
			continue
		}
		v := verdicts[0]
		outcome := ""
		switch {
		case first[v.Item]:
			outcome = "duplicate"
		case v.Finding == control.FindingQuarantined:
			outcome = "quarantined: " + v.Explanation
		case v.Finding != control.FindingOK:
			s.t.Errorf("%s: %+v", name, v)
		case !c.documents[v.Document].VariantOf.IsZero():
			outcome = "variant"
		case c.documents[v.Document].CID == v.CID:
			outcome = "anchored"
		default:
			s.t.Errorf("%s is not on the other hospital's peer", name)
		}
		outcomes[outcome] = append(outcomes[outcome], name)
		s.checkBack(name, content, int(m.DatasetOffset), first[v.Item], s.get(stored, v.Item))
		first[v.Item] = true
	}
	return outcomes
}

// checkBack compares what is read back. Of two files with one dataset and other file meta groups, the first to come is
// kept.
func (s *site) checkBack(name string, content []byte, offset int, duplicate bool, back []byte) {
	s.t.Helper()
	if bytes.Equal(content, back) {
		return
	}
	if !bytes.HasSuffix(back, content[offset:]) || offset == 0 {
		s.t.Errorf("%s does not read back byte-identical", name)
		return
	}
	sum := sha256.Sum256(content)
	s.t.Logf("%s (%s) is kept as another copy of its dataset, with another file meta group (duplicate: %v)",
		name, hex.EncodeToString(sum[:4]), duplicate)
}
