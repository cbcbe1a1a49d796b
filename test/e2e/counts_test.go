package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/devnet/devnettest"
)

// TestCountsReconcile: received is the generator's word, anchored the other hospital's peer's, and neither depends on the
// index, which may be blind, or be deleted and rebuilt.
func TestCountsReconcile(t *testing.T) {
	n := devnettest.Exclusive(t) // what a member's peers count is of this test alone
	manifest, dir := generate(t, 11)
	var sites []*site
	for i := range manifest.Hospitals {
		sites = append(sites, newSite(t, n, i))
	}
	from := sites[0].height()
	for i, s := range sites {
		s.start()
		s.dropManifest(dir, manifest.Hospitals[i])
	}
	for i, s := range sites {
		want := manifest.Counts(manifest.Hospitals[i])
		items := s.awaitSettled(want.Files).Items
		s.reconcile(want, items, len(s.chainSince(from).documents))
		done := func() int {
			return filesIn(t, filepath.Join(s.DICOM, "done")) + filesIn(t, filepath.Join(s.Documents, "done"))
		}
		poll(t, "all files are in done/", func() bool { return done() == want.Files },
			func() string { return fmt.Sprintf("%s: %d of %d", s.member.Name, done(), want.Files) })
		s.checkFiles(manifest, dir, manifest.Hospitals[i], s.chainSince(from))
	}

	s, name := sites[0], manifest.Hospitals[0]
	want := manifest.Counts(name)
	s.awaitIndexed()
	before := asJSON(t, s.records())

	s.stop()
	blindIndex(t, filepath.Join(s.Config.Data, "index.db"))
	s.start()
	if got := s.records(); len(got) != 0 {
		t.Fatalf("the index still has %d records: the test does not blind it", len(got))
	}
	s.checkFiles(manifest, dir, name, s.chainSince(from)) // verify and get do without the index
	s.reconcile(want, s.status().Items, len(s.chainSince(from).documents))
	s.stop()

	if err := os.Remove(filepath.Join(s.Config.Data, "index.db")); err != nil {
		t.Fatal(err)
	}
	s.start()
	status := s.status()
	s.checkFiles(manifest, dir, name, s.chainSince(from)) // perhaps before the index is rebuilt
	t.Logf("verified while the index had %d of %d blocks", status.Ledger.Indexed, status.Ledger.Height)
	s.awaitIndexed()
	s.reconcile(want, s.status().Items, len(s.chainSince(from).documents))
	if after := asJSON(t, s.records()); !bytes.Equal(before, after) {
		t.Errorf("records before:\n%s\nafter the index was rebuilt:\n%s", before, after)
	}
}

func (s *site) awaitIndexed() {
	s.t.Helper()
	s.await("the index has all blocks", func(c control.Status) bool {
		return c.Ledger.Reachable && c.Ledger.Indexed >= c.Ledger.Height
	})
}

// blindIndex makes an index that knows nothing, and waits for a block that never comes.
func blindIndex(t *testing.T, path string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, bucket := range []string{"state", "changes"} {
			if err := tx.DeleteBucket([]byte(bucket)); err != nil {
				return err
			}
			if _, err := tx.CreateBucket([]byte(bucket)); err != nil {
				return err
			}
		}
		next := [8]byte{0, 0, 0, 0, math.MaxInt8}
		return tx.Bucket([]byte("meta")).Put([]byte("next"), next[:])
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func asJSON(t *testing.T, value any) []byte {
	t.Helper()
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return text
}
