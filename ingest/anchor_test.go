package ingest_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest"
)

// chain is a ledger in memory, with faults to inject.
type chain struct {
	documents map[record.Tag]record.CID
	versions  map[record.Tag]uint16
	batches   []record.Batch
	away      int // how many more times it is away
	lost      int // how many more times a commit's answer is lost
	lag       int // how many more times the last version is not known yet
	asked     int // how often the last version was asked for
}

func newChain() *chain {
	return &chain{documents: make(map[record.Tag]record.CID), versions: make(map[record.Tag]uint16)}
}

type transaction struct {
	chain    *chain
	batch    record.Batch
	outcomes []record.Outcome
}

func (c *chain) Endorse(_ context.Context, b record.Batch) (ingest.Endorsed, error) {
	if c.away > 0 {
		c.away--
		return nil, errInjected
	}
	t := transaction{chain: c, batch: b}
	for i, v := range b.Versions {
		fresh := false
		for _, d := range v.Documents {
			cid, ok := c.documents[d.Tag]
			switch {
			case !ok:
				t.outcomes = append(t.outcomes, record.Created)
				fresh = true
			case cid == d.CID:
				t.outcomes = append(t.outcomes, record.Existing)
			default:
				t.outcomes = append(t.outcomes, record.Conflict)
			}
		}
		if fresh && v.Number != c.versions[v.Record]+1 {
			return nil, &record.Error{Code: record.VersionConflict, Index: i, Message: "taken"}
		}
	}
	return t, nil
}

func (t transaction) TxID() string               { return "ab" }
func (t transaction) Outcomes() []record.Outcome { return t.outcomes }

func (t transaction) Submit(context.Context) (ingest.Position, error) {
	t.chain.batches = append(t.chain.batches, t.batch)
	for _, v := range t.batch.Versions {
		t.chain.versions[v.Record] = v.Number
		for _, d := range v.Documents {
			if _, ok := t.chain.documents[d.Tag]; !ok {
				t.chain.documents[d.Tag] = d.CID
			}
		}
	}
	if t.chain.lost > 0 {
		t.chain.lost--
		return ingest.Position{}, errInjected
	}
	return ingest.Position{TxID: "ab", Block: uint64(len(t.chain.batches)), Time: time.UnixMilli(1)}, nil
}

func (c *chain) Anchored(_ context.Context, tag record.Tag) (ingest.Position, record.CID, error) {
	return ingest.Position{TxID: "earlier", Block: 1}, c.documents[tag], nil
}

func (c *chain) LastVersion(_ context.Context, _ record.Reference, tag record.Tag) (uint16, error) {
	c.asked++
	if c.lag > 0 {
		c.lag--
		return c.versions[tag] - 1, nil
	}
	return c.versions[tag], nil
}

// waiting puts n queued items into the world, spread over records.
func waiting(w *world, n, records int) {
	for i := range n {
		w.items = append(w.items, document.Item{
			ID: document.ItemID{byte(i), byte(i >> 8), 1}, State: document.Queued, Kind: record.KindImaging,
			Tag: record.Tag{byte(i), byte(i >> 8), 1}, CID: record.CID{0x55, byte(i), byte(i >> 8)},
			Record: record.Tag{byte(i % records), 2}, Patient: record.Reference{1},
		})
	}
}

// anchor runs an Anchorer until every waiting item is settled.
func anchor(t *testing.T, w *world, c *chain) *ingest.Anchorer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	a := ingest.NewAnchorer(ingest.AnchorerOptions{Ledger: c, Outbox: w, Log: slog.New(slog.DiscardHandler)})
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	for range w.inState(document.Queued) {
		select {
		case <-w.settled:
		case <-ctx.Done():
			t.Fatalf("not settled in time; still %d waiting", len(w.inState(document.Queued)))
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return a
}

func TestTheOutboxGoesInBatchesGroupedByRecord(t *testing.T) {
	w, c := newWorld(), newChain()
	waiting(w, 1200, 7)
	anchor(t, w, c)
	if len(c.documents) != 1200 || len(c.batches) != 3 {
		t.Fatalf("%d documents in %d batches", len(c.documents), len(c.batches))
	}
	if got := len(c.batches[0].Versions); got != 7 {
		t.Errorf("the first batch has %d versions", got)
	}
	for tag, n := range c.versions {
		if n != 3 || w.versions[tag] != 3 {
			t.Errorf("record %s is at version %d, known as %d", tag, n, w.versions[tag])
		}
	}
	if n := len(w.inState(document.Anchored)); n != 1200 {
		t.Errorf("%d anchored", n)
	}
}

func TestALedgerThatIsAwayIsWaitedFor(t *testing.T) {
	w, c := newWorld(), newChain()
	waiting(w, 3, 1)
	c.away = 2
	a := anchor(t, w, c)
	if n := len(w.inState(document.Anchored)); n != 3 {
		t.Fatalf("%d anchored", n)
	}
	if _, away := a.Away(); away != nil {
		t.Fatalf("still away: %v", away)
	}
}

// The answer to a submission is lost after it was committed: what is sent again must not be there twice, and gets the
// receipt of the first.
func TestALostAnswerIsNotASecondDocument(t *testing.T) {
	w, c := newWorld(), newChain()
	waiting(w, 3, 1)
	c.lost = 1
	anchor(t, w, c)
	items := w.inState(document.Anchored)
	if len(items) != 3 || len(c.batches) != 1 {
		t.Fatalf("%d anchored by %d transactions", len(items), len(c.batches))
	}
	for _, item := range items {
		if item.TxID != "earlier" {
			t.Errorf("the receipt is of transaction %s", item.TxID)
		}
	}
	if n := w.versions[items[0].Record]; n != 1 {
		t.Errorf("the record is known at version %d", n)
	}
}

// A record's next version may be taken: after a lost answer, with more documents in the batch than before.
func TestATakenVersionIsRenumbered(t *testing.T) {
	w, c := newWorld(), newChain()
	waiting(w, 3, 1)
	first := w.items[0]
	c.documents[first.Tag], c.versions[first.Record] = first.CID, 4
	anchor(t, w, c)
	if got := c.batches[0].Versions[0].Number; got != 5 {
		t.Fatalf("anchored as version %d, the ledger was at 4", got)
	}
	if n := w.versions[first.Record]; n != 5 {
		t.Fatalf("the record is known at version %d", n)
	}
}

// The peer that endorses knows a version that the hospital's own does not know yet: asking on at once would help nobody.
func TestAPeerThatLagsIsWaitedFor(t *testing.T) {
	w, c := newWorld(), newChain()
	waiting(w, 1, 1)
	c.lag = 1
	c.versions[w.items[0].Record] = 1
	a := anchor(t, w, c)
	if got := c.batches[0].Versions[0].Number; got != 2 {
		t.Fatalf("anchored as version %d", got)
	}
	if _, away := a.Away(); away != nil {
		t.Fatalf("still away: %v", away)
	}
	if c.asked != 2 {
		t.Fatalf("the last version was asked for %d times, not once in vain and once more", c.asked)
	}
}

func TestOtherBytesOnTheLedgerAreNotAnchored(t *testing.T) {
	w, c := newWorld(), newChain()
	waiting(w, 2, 1)
	c.documents[w.items[0].Tag] = record.CID{0x55, 0xff}
	anchor(t, w, c)
	kept := w.inState(document.Quarantined)
	if len(kept) != 1 || kept[0].Reason != document.ReasonLedgerConflict {
		t.Fatalf("kept: %+v", kept)
	}
	if n := len(w.inState(document.Anchored)); n != 1 {
		t.Fatalf("%d anchored", n)
	}
}

func TestAnOutboxThatFailsIsFatal(t *testing.T) {
	w, c := newWorld(), newChain()
	waiting(w, 1, 1)
	a := ingest.NewAnchorer(ingest.AnchorerOptions{
		Ledger: c, Outbox: failingOutbox{w}, Log: slog.New(slog.DiscardHandler),
	})
	if err := a.Run(t.Context()); err == nil {
		t.Fatal("Run returns no error")
	}
}

// failingOutbox cannot settle.
type failingOutbox struct{ *world }

func (failingOutbox) Settle([]document.Receipt, map[record.Tag]uint16) error {
	return fmt.Errorf("settle: %w", errInjected)
}
