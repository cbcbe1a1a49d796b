package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/test/synth"
)

// window is the length of the runs of bytes that two places are not to share. Names on the ledger are as long or longer.
const window = 16

// telling is how many bytes of such a run in a block must be none that blocks of other documents have as well. What Fabric
// puts around them, lengths of signatures and certificates, is up to three bytes; what is public of a record, its kind and
// day, is four.
const telling = 8

// commonRun is the shortest run by which a byte counts as one that blocks of other documents have as well.
const commonRun = 8

// anchored is a document and all of its traces that others than its hospital can see.
type anchored struct {
	what     string
	site     *site
	document record.Document
	version  record.AnchoredVersion
	block    []byte // the whole block, as peers store it
}

// TestAlikeForNobody: the same bytes for two patients of a hospital, and for one person whom two hospitals know without
// knowing of each other, are documents that share nothing, neither on the ledger nor in IPFS.
func TestAlikeForNobody(t *testing.T) {
	n := devnettest.Exclusive(t) // one transaction to a block, and none of others between
	here, there := newSite(t, n, 0), newSite(t, n, 1)
	constant := make(map[string]bool) // blocks that every repository has
	for _, s := range []*site{here, there} {
		s.start()
		for _, f := range tree(t, s.blocks()) {
			constant[filepath.Base(f.path)] = true
		}
	}
	manifest, dir := generate(t, 51)
	person, another, third := manifest.People[0].NHS, manifest.People[1].NHS, manifest.People[2].NHS
	letter, image := letterOf("the same"), sharedImage(t, manifest, dir)

	alike := [][]anchored{
		{
			here.anchorOne(n, "the letter for a patient", here.Documents, person+"/a.pdf", letter),
			here.anchorOne(n, "the letter for another patient", here.Documents, another+"/b.pdf", letter),
			there.anchorOne(n, "the letter at the other hospital", there.Documents, person+"/c.pdf", letter),
		},
		{
			here.anchorOne(n, "the image", here.DICOM, "d.dcm", image),
			there.anchorOne(n, "the image at the other hospital", there.DICOM, "e.dcm", image),
		},
	}
	// What also stands in blocks that bring other content for other people says nothing of these.
	common := make(map[[commonRun]byte]bool)
	for i, s := range []*site{here, there} {
		for j, year := range []int{1999, 2003} {
			other := letterOf(fmt.Sprintf("another %d %d", i, j))
			other = bytes.ReplaceAll(other, []byte("D:2026"), fmt.Appendf(nil, "D:%d", year))
			a := s.anchorOne(n, "something else", s.Documents, third+fmt.Sprintf("/f%d.pdf", j), other)
			for at := range len(a.block) - commonRun + 1 {
				common[[commonRun]byte(a.block[at:])] = true
			}
		}
	}
	for _, group := range alike {
		for i, a := range group {
			for _, b := range group[i+1:] {
				compareNames(t, a, b)
				compareBlocks(t, a, b, common)
			}
		}
	}
	comparePayloads(t, []*site{here, there}, constant)
}

func letterOf(title string) []byte {
	l := synth.Letter{Title: title, Pages: 4, Time: time.Date(2026, 3, 2, 8, 1, 2, 0, time.UTC)}
	for i := range 40 {
		l.Lines = append(l.Lines, fmt.Sprintf("%s, line %d", title, i))
	}
	return l.Encode()
}

// sharedImage is the image that both hospitals have.
func sharedImage(t *testing.T, m synth.Manifest, dir string) []byte {
	t.Helper()
	for i, f := range m.Files {
		for _, g := range m.Files[i+1:] {
			if f.SHA256 == g.SHA256 && f.Hospital != g.Hospital && filepath.Ext(f.Path) == ".dcm" {
				content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
				if err != nil {
					t.Fatal(err)
				}
				return content
			}
		}
	}
	t.Fatal("the generator made no image that both hospitals have")
	return nil
}

// anchorOne drops a file and waits until it is anchored, in a block of its own.
func (s *site) anchorOne(n *devnet.Network, what, folder, rel string, content []byte) anchored {
	s.t.Helper()
	before := s.status()
	s.dropFile(folder, rel, content)
	s.await(what+" is anchored", func(c control.Status) bool { return c.Items.Anchored == before.Items.Anchored+1 })
	c := s.chainSince(before.Ledger.Height)
	if len(c.documents) != 1 {
		s.t.Fatalf("%s: %d documents on the ledger, want one", what, len(c.documents))
	}
	for tag, d := range c.documents {
		block := findBlock(s.t, n, c.txs[tag])
		if bytes.Contains(block, content[:min(len(content), 64)]) {
			s.t.Fatalf("%s stands in its block", what)
		}
		return anchored{what, s, d, c.versions[tag], block}
	}
	return anchored{}
}

// findBlock finds a transaction's block in the files of a peer: each block there follows its length, a varint.
func findBlock(t *testing.T, n *devnet.Network, tx record.TxID) []byte {
	t.Helper()
	for _, f := range tree(t, n.Members[1].Peer.Dir) {
		if matched, err := filepath.Match("blockfile_*", filepath.Base(f.path)); err != nil || !matched {
			continue
		}
		data, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		for len(data) > 0 {
			size, width := binary.Uvarint(data)
			if width <= 0 || size == 0 || size > uint64(len(data)-width) {
				break // the file's end
			}
			block := data[width:][:size]
			if bytes.Contains(block, []byte(tx.String())) {
				return bytes.Clone(block)
			}
			data = data[width:][size:]
		}
	}
	t.Fatalf("no block file holds transaction %s", tx)
	return nil
}

// compareNames compares all that the ledger calls two documents by.
func compareNames(t *testing.T, a, b anchored) {
	t.Helper()
	for what, same := range map[string]bool{
		"tag":        a.document.Tag == b.document.Tag,
		"CID":        a.document.CID == b.document.CID,
		"patient":    a.version.Patient == b.version.Patient,
		"version":    a.version.Name() == b.version.Name(),
		"record":     a.version.Record == b.version.Record,
		"anchoring":  a.version.Anchoring == b.version.Anchoring,
		"variant of": !a.document.VariantOf.IsZero() || !b.document.VariantOf.IsZero(),
	} {
		if same {
			t.Errorf("%s, and %s: the same %s", a.what, b.what, what)
		}
	}
}

// compareBlocks looks for bytes that the blocks of two documents share, and blocks of others do not have.
func compareBlocks(t *testing.T, a, b anchored, common map[[commonRun]byte]bool) {
	t.Helper()
	inA := make(map[[window]byte]bool)
	for at := range len(a.block) - window + 1 {
		inA[[window]byte(a.block[at:])] = true
	}
	own := ownBytes(b.block, common)
	for at := range len(b.block) - window + 1 {
		if inA[[window]byte(b.block[at:])] && own[at+window]-own[at] >= telling {
			t.Errorf("%s, and %s: both blocks hold %q, which no other does", a.what, b.what, b.block[at:at+window])
			return
		}
	}
}

// ownBytes counts, up to each place in a block, the bytes that are in no run that other blocks have.
func ownBytes(block []byte, common map[[commonRun]byte]bool) []int {
	shared := make([]bool, len(block))
	for at := range len(block) - commonRun + 1 {
		if common[[commonRun]byte(block[at:])] {
			for i := range commonRun {
				shared[at+i] = true
			}
		}
	}
	own := make([]int, len(block)+1)
	for i, is := range shared {
		own[i+1] = own[i]
		if !is {
			own[i+1]++
		}
	}
	return own
}

// comparePayloads looks for bytes that two blocks share, in all that the IPFS nodes hold.
func comparePayloads(t *testing.T, sites []*site, constant map[string]bool) {
	t.Helper()
	seen := make(map[[window]byte]string)
	blocks, sizes := 0, make(map[int]int)
	for _, s := range sites {
		for _, f := range tree(t, s.blocks()) {
			name := filepath.Base(f.path)
			if constant[name] || filepath.Ext(name) != ".data" {
				continue
			}
			data, err := os.ReadFile(f.path)
			if err != nil {
				t.Fatal(err)
			}
			blocks++
			sizes[len(data)]++
			for at := range len(data) - window + 1 {
				w := [window]byte(data[at:])
				if in, ok := seen[w]; ok && in != f.path {
					t.Errorf("%s and %s share bytes", in, f.path)
					return
				}
				seen[w] = f.path
			}
		}
	}
	if blocks < 9 {
		t.Errorf("only %d blocks were compared", blocks)
	}
	// A payload is as long as its plaintext and a few bytes more, so whoever holds both sees that they are of one size.
	alike := 0
	for _, n := range sizes {
		if n > 1 {
			alike += n
		}
	}
	t.Logf("%d of %d blocks have the same size as another", alike, blocks)
}
