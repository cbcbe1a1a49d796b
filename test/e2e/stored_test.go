package e2e

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"github.com/medanchor/medanchor/appliance"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
)

// TestReadBackWithoutTheAppliance: with the data folder and the recovery identity alone every document is read, while the
// daemon runs; with another identity none, and damage shows.
func TestReadBackWithoutTheAppliance(t *testing.T) {
	n := devnettest.Exclusive(t)
	s := newSite(t, n, 0)
	from := s.height()
	s.start()
	contents := [][]byte{[]byte("Dear colleague, all is well."), bytes.Repeat([]byte("Dear colleague, "), 200_000)}
	s.dropFile(s.Documents, "9990000018/short.txt", contents[0])
	s.dropFile(s.Documents, "9990000018/long.txt", contents[1])
	s.awaitSettled(len(contents))
	stored, codecs := s.stored(), make(map[byte]bool)
	read := func(tag record.Tag) error {
		content, err := stored.Document(tag)
		if err == nil && !bytes.Equal(content, contents[0]) && !bytes.Equal(content, contents[1]) {
			t.Errorf("document %s is %d bytes that were never taken in", tag, len(content))
		}
		return err
	}
	documents := s.chainSince(from).documents
	for tag, d := range documents {
		codecs[d.CID[0]] = true
		if err := read(tag); err != nil {
			t.Error(err)
		}
	}
	if len(codecs) != len(contents) {
		t.Fatalf("the ledger has %d kinds of documents: want one block, and a tree", len(codecs))
	}

	for _, f := range tree(t, s.blocks()) {
		block, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		if len(block) == 0 || filepath.Ext(f.path) != ".data" {
			continue
		}
		block[len(block)-1] ^= 1
		if err := os.WriteFile(f.path, block, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for tag := range documents {
		if err := read(tag); err == nil {
			t.Errorf("document %s is read from damaged blocks", tag)
		}
	}

	if err := os.Rename(s.Recovery, s.Recovery+".right"); err != nil {
		t.Fatal(err)
	}
	if _, err := appliance.NewRecoveryKey(s.Recovery); err != nil {
		t.Fatal(err)
	}
	_, err := s.OpenStored()
	if _, none := errors.AsType[*age.NoIdentityMatchError](err); !none {
		t.Errorf("with another recovery identity: %v", err)
	}
}
