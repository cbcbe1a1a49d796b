package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/peer"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/test/consortium"
)

func TestMain(m *testing.M) { os.Exit(devnettest.Main(m)) }

// member gives the options of a new participant of a hospital.
func member(t *testing.T, n *devnet.Network, m *devnet.Member, role record.Role) ledger.Options {
	t.Helper()
	institution, err := consortium.Open(t.Context(), n, m)
	if err != nil {
		t.Fatal(err)
	}
	defer institution.Close()
	person, err := institution.Enrol(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	defer person.Close()
	return person.LedgerOptions()
}

func connect(t *testing.T, o ledger.Options) *ledger.Client {
	t.Helper()
	c, err := ledger.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func versions(v ...record.Version) record.Batch { return record.Batch{Versions: v} }

// TestAnchorAndRead follows a record of two versions from one hospital to the other.
func TestAnchorAndRead(t *testing.T) {
	n := devnettest.Network(t)
	here := connect(t, member(t, n, n.Members[0], record.ApplianceRole))
	there := connect(t, member(t, n, n.Members[1], record.ApplianceRole))
	ctx := t.Context()

	mspID := n.Members[0].MSPID
	first := version(t, mspID, "study", "a", "b")
	receipt, err := here.Anchor(ctx, versions(first, version(t, mspID, "letter", "c")))
	if err != nil {
		t.Fatal(err)
	}
	created := []record.Outcome{record.Created, record.Created, record.Created}
	if !slices.Equal(receipt.Outcomes, created) || receipt.Block == 0 || time.Since(receipt.Time).Abs() > time.Minute {
		t.Errorf("got %+v", receipt)
	}
	second := version(t, mspID, "study", "d")
	second.Documents[0].VariantOf = first.Documents[0].Tag
	second.Late, second.Amends = true, first.Name()
	later, err := here.Anchor(ctx, versions(second))
	if err != nil {
		t.Fatal(err)
	}
	awaitBlock(t, there, later.Block)

	t.Run("document", func(t *testing.T) {
		got, err := there.Document(ctx, second.Documents[0].Tag)
		if err != nil {
			t.Fatal(err)
		}
		if got.Document != second.Documents[0] || got.Anchoring.TxID != later.TxID ||
			got.Anchoring.MSPID != n.Members[0].MSPID || !got.Anchoring.Time.Equal(later.Time) {
			t.Errorf("got %+v, want %+v of %+v", got, second.Documents[0], later)
		}
		again, err := there.Anchoring(ctx, got.Anchoring.ID)
		if err != nil || again != got.Anchoring {
			t.Errorf("got %+v, %v, want %+v", again, err, got.Anchoring)
		}
	})
	t.Run("record", func(t *testing.T) {
		full, err := there.Record(ctx, first.Patient, first.Record)
		if err != nil || len(full) != 2 {
			t.Fatalf("got %+v, %v", full, err)
		}
		for _, v := range full { // their order says nothing
			want := first
			if v.Late {
				want = second
			}
			if !slices.Equal(v.Documents, want.Documents) || v.Amends != want.Amends || !v.Date.Equal(want.Date) {
				t.Errorf("got %+v, want %+v", v, want)
			}
		}
	})
	t.Run("list", func(t *testing.T) {
		pages, bookmark, found := 0, "", 0
		for more := true; more; more = bookmark != "" {
			page, err := there.List(ctx, first.Patient, 2, bookmark)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Versions) > 2 {
				t.Errorf("a page of 2 holds %d", len(page.Versions))
			}
			pages, found, bookmark = pages+1, found+len(page.Versions), page.Bookmark
		}
		if pages != 2 || found != 3 {
			t.Errorf("%d versions on %d pages, want 3 on 2", found, pages)
		}
	})
	t.Run("list of the institution", func(t *testing.T) {
		found, bookmark := 0, ""
		for more := true; more; more = bookmark != "" {
			page, err := there.ListInstitution(ctx, first.Patient.Institution(), record.MaxPageSize, bookmark)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range page.Versions {
				if v.Patient == first.Patient {
					found++
				}
			}
			bookmark = page.Bookmark
		}
		if found != 3 {
			t.Errorf("%d versions of the patient, want 3", found)
		}
	})
	t.Run("transaction", func(t *testing.T) {
		got, err := there.Transaction(ctx, receipt.TxID)
		if err != nil || got.Block != receipt.Block || got.Code != peer.TxValidationCode_VALID || !got.Time.Equal(receipt.Time) {
			t.Errorf("got %+v, %v, want %+v", got, err, receipt)
		}
	})
	t.Run("not there", func(t *testing.T) {
		_, err := there.Document(ctx, tag("none"))
		_, errRecord := there.Record(ctx, first.Patient, tag("none"))
		_, errAnchoring := there.Anchoring(ctx, record.AnchoringID{})
		_, errTransaction := there.Transaction(ctx, record.TxID{})
		for _, err := range []error{err, errRecord, errAnchoring, errTransaction} {
			if !errors.Is(err, ledger.ErrNotFound) {
				t.Errorf("got %v, want ErrNotFound", err)
			}
		}
	})
	t.Run("redelivery", func(t *testing.T) {
		height, err := here.Height(ctx)
		if err != nil {
			t.Fatal(err)
		}
		sealedAgain := version(t, mspID, "study", "a", "b")
		sealedAgain.Documents = slices.Clone(first.Documents)
		sealedAgain.Patient, sealedAgain.Record = first.Patient, first.Record
		sealedAgain.Documents[1].CID = content("sealed again")
		again, err := here.Anchor(ctx, versions(sealedAgain))
		if err != nil || !slices.Equal(again.Outcomes, []record.Outcome{record.Existing, record.Conflict}) || again.Block != 0 {
			t.Errorf("got %+v, %v", again, err)
		}
		after, err := here.Height(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if after < height || height <= later.Block {
			t.Errorf("heights %d and %d after block %d", height, after, later.Block)
		}
	})
	t.Run("blocks from 0", func(t *testing.T) {
		checkReplay(t, there, later.Block, []record.Version{first, second}, receipt, later)
	})
}

// awaitBlock waits until the client's peer has the block.
func awaitBlock(t *testing.T, c *ledger.Client, number uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, err := range c.Blocks(ctx, number) {
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("block %d does not come", number)
}

// checkReplay reads all blocks up to last, and looks for the versions and their documents, by the transactions that wrote
// them.
func checkReplay(t *testing.T, c *ledger.Client, last uint64, want []record.Version, receipts ...ledger.Receipt) {
	t.Helper()
	found := map[string]ledger.Write{}
	next := uint64(0)
	for block, err := range c.Blocks(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if block.Number != next {
			t.Fatalf("block %d comes after %d", block.Number, next-1)
		}
		next++
		for _, w := range block.Writes {
			found[w.Key] = w
		}
		if block.Number == last {
			break
		}
	}
	for i, v := range want {
		id := receipts[i].TxID.AnchoringID()
		values := map[string][]byte{record.VersionKey(v.Patient, v.Record, v.Name()): record.AnchoredVersion{Version: v, Anchoring: id}.Encode()}
		for _, d := range v.Documents {
			values[record.DocumentKey(d.Tag)] = record.StoredDocument{CID: d.CID, Anchoring: id, VariantOf: d.VariantOf}.Encode()
		}
		for key, value := range values {
			if w := found[key]; !bytes.Equal(w.Value, value) || w.TxID != receipts[i].TxID || !w.Time.Equal(receipts[i].Time) {
				t.Errorf("%s: got %+v, want %x of %+v", key, w, value, receipts[i])
			}
		}
	}
}

// TestConcurrentVersions endorses two versions of one record before either is committed: both become valid.
func TestConcurrentVersions(t *testing.T) {
	n := devnettest.Network(t)
	c := connect(t, member(t, n, n.Members[0], record.ApplianceRole))
	var prepared []*ledger.Submission
	for _, document := range []string{"a", "b"} {
		s, err := c.Prepare(t.Context(), batch(t, n.Members[0].MSPID, document))
		if err != nil {
			t.Fatal(err)
		}
		prepared = append(prepared, s)
	}
	for _, s := range prepared {
		if _, err := s.Submit(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestConcurrentWrites endorses the same document twice before either is committed: exactly one becomes valid, the other
// can be retried and then is existing.
func TestConcurrentWrites(t *testing.T) {
	n := devnettest.Network(t)
	c := connect(t, member(t, n, n.Members[0], record.ApplianceRole))
	b := batch(t, n.Members[0].MSPID, "a")
	first, err := c.Prepare(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Prepare(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Transaction(t.Context(), first.TxID); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("before it is submitted: %v, want ErrNotFound", err)
	}
	if _, err := first.Submit(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = second.Submit(t.Context())
	invalid, ok := errors.AsType[*ledger.InvalidError](err)
	if !ok || invalid.Code != peer.TxValidationCode_MVCC_READ_CONFLICT || !ledger.Retryable(err) {
		t.Errorf("got %v, want a retryable MVCC_READ_CONFLICT", err)
	}
	if tx, err := c.Transaction(t.Context(), second.TxID); err != nil || tx.Code != peer.TxValidationCode_MVCC_READ_CONFLICT {
		t.Errorf("got %+v, %v", tx, err)
	}
	again, err := c.Anchor(t.Context(), b)
	if err != nil || !slices.Equal(again.Outcomes, []record.Outcome{record.Existing}) {
		t.Errorf("got %+v, %v", again, err)
	}
}

func TestRefusedIdentities(t *testing.T) {
	n := devnettest.Network(t)
	t.Run("a doctor", func(t *testing.T) {
		c := connect(t, member(t, n, n.Members[0], "doctor"))
		_, err := c.Anchor(t.Context(), batch(t, n.Members[0].MSPID, "a"))
		if refused, ok := errors.AsType[*record.Error](err); !ok || refused.Code != record.Forbidden || ledger.Retryable(err) {
			t.Errorf("got %v, want FORBIDDEN", err)
		}
	})
	t.Run("another hospital's patient", func(t *testing.T) {
		c := connect(t, member(t, n, n.Members[0], record.ApplianceRole))
		_, err := c.Anchor(t.Context(), batch(t, n.Members[1].MSPID, "a"))
		refused, ok := errors.AsType[*record.Error](err)
		if !ok || refused.Code != record.Forbidden || refused.Index != 0 || ledger.Retryable(err) {
			t.Errorf("got %v, want FORBIDDEN about version 0 of the batch", err)
		}
	})
	t.Run("the other hospital's certificate", func(t *testing.T) {
		o := member(t, n, n.Members[0], record.ApplianceRole)
		foreign := member(t, n, n.Members[1], record.ApplianceRole)
		o.CertificateFile, o.KeyFile = foreign.CertificateFile, foreign.KeyFile
		checkAccessDenied(t, o)
	})
	t.Run("a certificate of nobody", func(t *testing.T) {
		o := member(t, n, n.Members[0], record.ApplianceRole)
		self := issue(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
		o.CertificateFile, o.KeyFile = self.certificate, self.key
		checkAccessDenied(t, o)
	})
	t.Run("an unknown MSP", func(t *testing.T) {
		o := member(t, n, n.Members[0], record.ApplianceRole)
		o.MSPID = "NobodyMSP"
		checkAccessDenied(t, o)
	})
}

func checkAccessDenied(t *testing.T, o ledger.Options) {
	t.Helper()
	c := connect(t, o)
	_, errPrepare := c.Prepare(t.Context(), batch(t, o.MSPID, "a"))
	_, errHeight := c.Height(t.Context())
	var errBlocks error
	for _, err := range c.Blocks(t.Context(), 0) {
		errBlocks = err
		break
	}
	for name, err := range map[string]error{"Prepare": errPrepare, "Height": errHeight, "Blocks": errBlocks} {
		if !errors.Is(err, ledger.ErrAccess) || ledger.Retryable(err) {
			t.Errorf("%s: got %v, want ErrAccess", name, err)
		}
	}
}

// TestBlocksEnd ends a stream in the ways that it can end. The waits are for the stream itself: it has delivered all that
// there is, and the next block does not come.
func TestBlocksEnd(t *testing.T) {
	n := devnettest.Exclusive(t)
	c := connect(t, member(t, n, n.Members[0], record.ApplianceRole))
	height, err := c.Height(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// drain reads the stream to its end, and calls caughtUp once it has what is there.
	drain := func(ctx context.Context, caughtUp func()) (last error) {
		for block, err := range c.Blocks(ctx, 0) {
			if last = err; err == nil && block.Number == height-1 {
				caughtUp()
			}
		}
		return last
	}
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if err := drain(ctx, cancel); err != nil {
			t.Errorf("got %v, want no error", err)
		}
	})
	t.Run("peer stopped", func(t *testing.T) {
		err := drain(t.Context(), func() {
			if err := n.Members[0].Peer.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
		if err == nil {
			t.Error("the stream ended without an error")
		}
	})
	t.Run("peer away", func(t *testing.T) {
		if err := drain(t.Context(), func() {}); !ledger.Retryable(err) {
			t.Errorf("got %v, want a retryable error", err)
		}
	})
}

// TestLargest anchors a batch of the most documents that the schema allows, and reads it back.
func TestLargest(t *testing.T) {
	n := devnettest.Network(t)
	c := connect(t, member(t, n, n.Members[0], record.ApplianceRole))
	var documents []string
	for i := range record.MaxDocuments {
		documents = append(documents, fmt.Sprint(i))
	}
	v := version(t, n.Members[0].MSPID, "study", documents...)
	receipt, err := c.Anchor(t.Context(), versions(v))
	if err != nil {
		t.Fatal(err)
	}
	full, err := c.Record(t.Context(), v.Patient, v.Record)
	if err != nil || !slices.Equal(full[0].Documents, v.Documents) {
		t.Errorf("the record does not read back: %v", err)
	}
	if tx, err := c.Transaction(t.Context(), receipt.TxID); err != nil || tx.Block != receipt.Block {
		t.Errorf("got %+v, %v", tx, err)
	}
}

// TestFailures takes parts of the network away: every call ends within its timeout, says that it can be retried, and
// succeeds once the part is back.
func TestFailures(t *testing.T) {
	n := devnettest.Exclusive(t)
	own, other := n.Members[0], n.Members[1]
	o := member(t, n, own, record.ApplianceRole)
	o.Timeout = 4 * time.Second
	tests := map[string]struct {
		node *devnet.Node
		away func(*devnet.Node, context.Context) error
	}{
		"own peer frozen":           {own.Peer, (*devnet.Node).Freeze},
		"own peer stopped":          {own.Peer, (*devnet.Node).Stop},
		"other's peer frozen":       {other.Peer, (*devnet.Node).Freeze},
		"own chaincode stopped":     {own.Chaincode, (*devnet.Node).Stop},
		"own chaincode frozen":      {own.Chaincode, (*devnet.Node).Freeze},
		"orderer stopped":           {n.Orderer.Node, (*devnet.Node).Stop},
		"orderer frozen":            {n.Orderer.Node, (*devnet.Node).Freeze},
		"orderer frozen in between": {n.Orderer.Node, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := connect(t, o)
			if _, err := c.Height(t.Context()); err != nil {
				t.Fatal(err)
			}
			var prepared *ledger.Submission
			if test.away == nil {
				var err error
				if prepared, err = c.Prepare(t.Context(), batch(t, own.MSPID, "a")); err != nil {
					t.Fatal(err)
				}
				test.away = (*devnet.Node).Freeze
			}
			if err := test.away(test.node, t.Context()); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			err := anchorOrSubmit(t, c, own.MSPID, prepared)
			took := time.Since(start)
			t.Logf("after %s: %v", took.Round(time.Millisecond), err)
			if !ledger.Retryable(err) || took > 3*o.Timeout+time.Second { // one timeout for each phase
				t.Errorf("after %s: %v", took, err)
			}
			if err := errors.Join(test.node.Start(t.Context()), test.node.Thaw(t.Context())); err != nil {
				t.Fatal(err)
			}
			if err := n.WaitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
			patient := connect(t, withTimeout(o, 30*time.Second))
			receipt, err := patient.Anchor(t.Context(), batch(t, own.MSPID, "a"))
			for err != nil && ledger.Retryable(err) && time.Since(start) < time.Minute {
				receipt, err = patient.Anchor(t.Context(), batch(t, own.MSPID, "a"))
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := patient.Document(t.Context(), batch(t, own.MSPID, "a").Versions[0].Documents[0].Tag); err != nil {
				t.Errorf("after %+v: %v", receipt, err)
			}
		})
	}
}

func anchorOrSubmit(t *testing.T, c *ledger.Client, mspID string, prepared *ledger.Submission) error {
	t.Helper()
	if prepared != nil {
		_, err := prepared.Submit(t.Context())
		return err
	}
	_, err := c.Anchor(t.Context(), batch(t, mspID, "a"))
	return err
}

func withTimeout(o ledger.Options, d time.Duration) ledger.Options {
	o.Timeout = d
	return o
}
