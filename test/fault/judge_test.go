package fault

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/state"
	"github.com/medanchor/medanchor/test/hospital"
	"github.com/medanchor/medanchor/test/synth"
)

// verdict is what became of everything, as the daemon's own state.db has it: the subject of the judgement.
type verdict struct {
	items    map[string]document.Item // by the path at which the file was dropped
	network  []document.Item          // of what was sent
	carriers map[string]document.Item // by file.document
}

// judge compares what became of each file with the manifest, the files themselves and the other hospital's ledger. The
// daemon has been stopped in order.
func (c *campaign) judge(t *testing.T) {
	t.Helper()
	items := c.items(t)
	v := c.judgeItems(t, items)
	c.judgeDocuments(t, v)
	c.judgeCounts(t, v)
	c.judgeLedger(t, v)
	c.judgeFolders(t)
	c.whileUp(t, func() {
		c.judgePlaintext(t, v)
		c.judgeIndex(t, v)
	})
	if got, want := c.blocks(t), c.needed(t, items); got != want {
		t.Errorf("%d blocks in the repository, the documents need %d", got, want)
	}
	if n := len(c.spooled(t)); n != 0 {
		t.Errorf("%d objects are left in the spool", n)
	}
	for _, bucket := range []string{"claims", "outbox"} {
		if n := c.keys(t, bucket); n != 0 {
			t.Errorf("%d keys are left in bucket %s", n, bucket)
		}
	}
}

// judgeItems finds exactly one item for each file, and none for anything else.
func (c *campaign) judgeItems(t *testing.T, items map[string][]document.Item) verdict {
	t.Helper()
	v := verdict{items: map[string]document.Item{}, carriers: map[string]document.Item{}}
	for _, f := range c.supply.dropped {
		taken := items[f.target()]
		if len(taken) != 1 {
			t.Errorf("%s is %d items, want 1", f.rel, len(taken))
			continue
		}
		item := taken[0]
		if item.Size != f.Size {
			t.Errorf("%s: %d bytes, want %d", f.rel, item.Size, f.Size)
		}
		v.items[f.target()] = item
		if item.State == document.Duplicate {
			continue
		}
		if other, twice := v.carriers[f.document]; twice {
			t.Errorf("%s: items %s and %s carry the same document", f.rel, other.ID, item.ID)
		}
		v.carriers[f.document] = item
	}
	c.judgeSent(t, items, &v)
	if got := len(items) - len(v.network); got != len(c.supply.dropped) {
		t.Errorf("items for %d paths, %d files were dropped", got, len(c.supply.dropped))
	}
	return v
}

// judgeSent finds at least one item for each answer, at most one for each attempt, and one that carries the document.
func (c *campaign) judgeSent(t *testing.T, items map[string][]document.Item, v *verdict) {
	t.Helper()
	taken := make(map[document.Digest]int)
	byDigest := make(map[document.Digest]*file)
	for _, f := range c.supply.sent {
		byDigest[f.digest] = f
	}
	for _, its := range items {
		item := its[0]
		if item.Door != networkDoor {
			continue
		}
		v.network = append(v.network, item)
		taken[item.Digest]++
		f := byDigest[item.Digest]
		switch {
		case f == nil || len(its) > 1:
			t.Errorf("item %s: nothing like it was sent, or it is there %d times", item.ID, len(its))
		case item.State != document.Duplicate:
			if other, twice := v.carriers[f.document]; twice {
				t.Errorf("%s: items %s and %s carry the same document", f.rel, other.ID, item.ID)
			}
			v.carriers[f.document] = item
		}
	}
	for _, f := range c.supply.sent {
		if n := taken[f.digest]; n < f.answers || n > f.attempts {
			t.Errorf("%s was sent %d times and answered %d times, and is %d items", f.rel, f.attempts, f.answers, n)
		}
		c.seen.unanswered += max(0, taken[f.digest]-f.answers)
		if v.carriers[f.document].State != document.Anchored {
			t.Errorf("%s was answered with success, and its document is %q", f.rel, v.carriers[f.document].State)
		}
	}
}

// judgeDocuments compares each file's end with the manifest. Of the files of one document any may be the one that
// carries it, and of two variants either may be the first.
func (c *campaign) judgeDocuments(t *testing.T, v verdict) {
	t.Helper()
	for _, f := range c.supply.dropped {
		item, carrier := v.items[f.target()], v.carriers[f.document]
		want := document.Anchored
		if f.Outcome == synth.Quarantined {
			want = document.Quarantined
		}
		if carrier.State != want || carrier.Reason != f.Reason {
			t.Errorf("%s: its document is %q %s, want %s %s", f.rel, carrier.State, carrier.Reason, want, f.Reason)
			continue
		}
		if item.State == document.Duplicate && item.First != carrier.ID {
			t.Errorf("%s: a duplicate of item %s, want %s: a false duplicate", f.rel, item.First, carrier.ID)
		}
		if want == document.Anchored && (item.Digest != f.digest || carrier.Digest != f.digest) {
			t.Errorf("%s: another digest than that of its bytes", f.rel)
		}
		if f.VariantOf != "" {
			judgeVariants(t, carrier, v.carriers[f.original.document])
		}
	}
}

func judgeVariants(t *testing.T, a, b document.Item) {
	t.Helper()
	if (a.VariantOf == b.Tag && b.VariantOf.IsZero()) || (b.VariantOf == a.Tag && a.VariantOf.IsZero()) {
		return
	}
	t.Errorf("items %s and %s: want one to be a variant of the other, got %s and %s", a.ID, b.ID, a.VariantOf, b.VariantOf)
}

// judgeCounts compares the appliance's counts with what was dropped.
func (c *campaign) judgeCounts(t *testing.T, v verdict) {
	t.Helper()
	want := state.Counts{Received: int64(len(c.supply.dropped) + len(v.network))}
	quarantined := make(map[document.Reason]int64)
	for _, item := range v.network {
		want.Bytes += item.Size
		if item.State == document.Duplicate {
			want.Duplicates++
		} else {
			want.Anchored++
		}
	}
	for _, f := range c.supply.dropped {
		want.Bytes += f.Size
		switch {
		case v.carriers[f.document].ID != v.items[f.target()].ID:
			want.Duplicates++
		case f.Outcome == synth.Quarantined:
			quarantined[f.Reason]++
		default:
			want.Anchored++
		}
		if f.VariantOf != "" {
			want.Variants++
		}
	}
	db := c.openState(t)
	defer db.Close()
	got, err := db.Counts()
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got.Quarantined, quarantined) {
		t.Errorf("quarantined %v, want %v", got.Quarantined, quarantined)
	}
	if got.Quarantined = nil; !reflect.DeepEqual(got, want) {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

// judgeLedger finds each document exactly once on the other peer's chain, with its CID, in exactly one version, and
// nothing else of this member.
func (c *campaign) judgeLedger(t *testing.T, v verdict) {
	t.Helper()
	chain, anchored := readChain(t, c.network, c.began), 0
	for name, item := range v.carriers {
		if item.State != document.Anchored {
			continue
		}
		anchored++
		if cids := chain.documents[item.Tag]; len(cids) != 1 || cids[0] != item.CID {
			t.Errorf("document %s (%s) is on the ledger as %v, want once, as %s", item.Tag, name, cids, item.CID)
		}
		if n := chain.listed[item.Tag]; n != 1 {
			t.Errorf("document %s (%s) is in %d versions of records, want 1", item.Tag, name, n)
		}
	}
	if len(chain.documents) != anchored {
		t.Errorf("%d documents on the ledger, want %d", len(chain.documents), anchored)
	}
}

// judgeFolders finds each file in done/, whole, and nothing else in the drop folders.
func (c *campaign) judgeFolders(t *testing.T) {
	t.Helper()
	want := make(map[string]string)
	for _, f := range c.supply.dropped {
		want[f.done()] = f.SHA256
	}
	for _, door := range []string{c.DICOM, c.Documents} {
		err := filepath.WalkDir(door, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if hash(content) != want[path] {
				t.Errorf("%s: its bytes are not those that were dropped there", path)
			}
			delete(want, path)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for path := range want {
		t.Errorf("%s is missing", path)
	}
}

func hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// judgePlaintext reads every document and everything in quarantine back from the data folder, and has it verified by the
// running appliance.
func (c *campaign) judgePlaintext(t *testing.T, v verdict) {
	t.Helper()
	stored, err := c.OpenStored()
	if err != nil {
		t.Fatal(err)
	}
	defer stored.Close()
	for _, f := range c.supply.dropped {
		item := v.items[f.target()]
		if item.State == document.Duplicate {
			continue
		}
		content, err := stored.Get(item.ID)
		if err != nil {
			t.Errorf("%s: read back: %v", f.rel, err)
		} else if hash(content) != f.SHA256 {
			t.Errorf("%s: read back %d bytes that are not those of the file", f.rel, len(content))
		}
		c.verify(t, f, item)
	}
	for _, f := range c.supply.sent {
		item := v.carriers[f.document]
		content, err := stored.Get(item.ID)
		if err != nil || item.Metadata.DatasetOffset > int64(len(content)) {
			t.Errorf("%s, which was sent: read back %d bytes: %v", f.rel, len(content), err)
		} else if sha256.Sum256(content[item.Metadata.DatasetOffset:]) != f.digest {
			t.Errorf("%s, which was sent: its dataset reads back otherwise", f.rel)
		}
		c.verify(t, f, item)
	}
}

// judgeIndex finds each document once in the read model, which follows the ledger.
func (c *campaign) judgeIndex(t *testing.T, v verdict) {
	t.Helper()
	poll(t, settleTimeout, "the whole channel in the index", func() bool {
		status, err := c.Client().Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return status.Ledger.Reachable && status.Ledger.Indexed == status.Ledger.Height
	})
	records, err := c.Client().Records(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	indexed := make(map[record.Tag]int)
	for _, r := range records {
		for _, tag := range r.Documents {
			indexed[tag]++
		}
	}
	for _, item := range v.carriers {
		if n := indexed[item.Tag]; item.State == document.Anchored && n != 1 {
			t.Errorf("document %s is in the index %d times, want once", item.Tag, n)
		}
	}
}

func (c *campaign) verify(t *testing.T, f *file, item document.Item) {
	t.Helper()
	want := control.FindingOK
	if f.Outcome == synth.Quarantined {
		want = control.FindingQuarantined
	}
	verdicts, err := c.Client().Verify(t.Context(), control.VerifyRequest{ID: item.ID.String()})
	if err != nil {
		t.Errorf("%s: verify: %v", f.rel, err)
		return
	}
	if len(verdicts) != 1 || verdicts[0].Finding != want {
		t.Errorf("%s: verify gives %+v, want %s", f.rel, verdicts, want)
	}
}

// chain is what a member wrote, as another's peer has it.
type chain struct {
	documents map[record.Tag][]record.CID // every write of a document
	listed    map[record.Tag]int          // how often a document is named by a version
	mine      map[record.Tag]bool         // records of which there is a version
	stable    map[record.Tag]bool         // records that were called stable
}

// readChain reads what the first member wrote in the blocks from number from on, from the second member's peer, as far
// as the first's has them.
func readChain(t *testing.T, n *devnet.Network, from uint64) chain {
	t.Helper()
	client, mspID, height := connect(t, n, n.Members[1]), n.Members[0].MSPID, height(t, n)
	c := chain{
		documents: map[record.Tag][]record.CID{}, listed: map[record.Tag]int{},
		mine: map[record.Tag]bool{}, stable: map[record.Tag]bool{},
	}
	if height == from {
		return c
	}
	members := make(map[record.AnchoringID]string)
	for block, err := range client.Blocks(t.Context(), from) {
		if err != nil {
			t.Fatal(err)
		}
		nouns, err := hospital.NounsOf(block)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range nouns.Anchorings {
			members[a.ID] = a.MSPID
		}
		for _, d := range nouns.Documents {
			if members[d.Anchoring] == mspID {
				c.documents[d.Tag] = append(c.documents[d.Tag], d.CID)
			}
		}
		for _, v := range nouns.Versions {
			c.mine[v.Record] = true
			for _, d := range v.Documents {
				c.listed[d.Tag]++
			}
		}
		c.readStable(t, block)
		if block.Number+1 >= height {
			break
		}
	}
	return c
}

func (c *chain) readStable(t *testing.T, b ledger.Block) {
	t.Helper()
	for _, w := range b.Writes {
		if !record.IsStatusKey(w.Key) {
			continue
		}
		var status record.RecordStatus
		if err := json.Unmarshal(w.Value, &status); err != nil {
			t.Fatal(err)
		}
		c.stable[status.Record] = !status.Stable.IsZero()
	}
}

// connect gives a client of the member's peer.
func connect(t *testing.T, n *devnet.Network, m *devnet.Member) *ledger.Client {
	t.Helper()
	client, err := hospital.Connect(t.Context(), n, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}
