package ingest_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest"
)

// chain is a ledger in memory, with faults to inject.
type chain struct {
	mu        sync.Mutex
	documents map[record.Tag]record.CID
	erased    map[record.Tag]bool
	batches   []record.Batch
	held      []record.Copies
	refused   map[record.Tag]record.Code // copies that it does not take, and why
	away      int                        // how many more times it is away
	lost      int                        // how many more times a commit's answer is lost
}

func newChain() *chain {
	return &chain{documents: make(map[record.Tag]record.CID), erased: make(map[record.Tag]bool)}
}

type transaction struct {
	chain    *chain
	batch    record.Batch
	outcomes []record.Outcome
}

func (c *chain) Endorse(_ context.Context, b record.Batch) (ingest.Endorsed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away > 0 {
		c.away--
		return nil, errInjected
	}
	if err := b.Validate(); err != nil {
		return nil, err
	}
	t := transaction{chain: c, batch: b}
	for _, v := range b.Versions {
		for _, d := range v.Documents {
			t.outcomes = append(t.outcomes, c.outcome(d))
		}
	}
	return t, nil
}

func (c *chain) outcome(d record.Document) record.Outcome {
	cid, there := c.documents[d.Tag]
	switch {
	case c.erased[d.Tag]:
		return record.Erased
	case !there:
		return record.Created
	case cid == d.CID:
		return record.Existing
	default:
		return record.Conflict
	}
}

func (t transaction) TxID() string               { return "ab" }
func (t transaction) Outcomes() []record.Outcome { return t.outcomes }

func (t transaction) Submit(context.Context) (ingest.Position, error) {
	t.chain.mu.Lock()
	defer t.chain.mu.Unlock()
	t.chain.batches = append(t.chain.batches, t.batch)
	for _, v := range t.batch.Versions {
		for _, d := range v.Documents {
			if t.chain.outcome(d) == record.Created {
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

// Anchored knows documents that are there; of erased ones there is no position.
func (c *chain) Anchored(_ context.Context, tag record.Tag) (ingest.Position, error) {
	if _, there := c.documents[tag]; !there || c.erased[tag] {
		return ingest.Position{}, errInjected
	}
	return ingest.Position{TxID: "earlier", Block: 1}, nil
}

// HoldCopies takes copies, all or none.
func (c *chain) HoldCopies(_ context.Context, q record.Copies) (ingest.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away > 0 {
		c.away--
		return ingest.Position{}, errInjected
	}
	for _, one := range q.Copies {
		if code, is := c.refused[one.Tag]; is {
			return ingest.Position{}, record.Errorf(code, "refused")
		}
	}
	c.held = append(c.held, q)
	return ingest.Position{TxID: "cd", Block: 7, Time: time.UnixMilli(2)}, q.Validate()
}

// waiting puts n queued items into the world, spread over records.
func waiting(w *world, n, records int) {
	for i := range n {
		w.items = append(w.items, document.Item{
			ID: document.ItemID{byte(i), byte(i >> 8), 1}, State: document.Queued, Kind: record.KindImaging,
			Tag: record.Tag{byte(i), byte(i >> 8), 1}, CID: record.CID{0x55, byte(i), byte(i >> 8)},
			Record: record.Tag{byte(i % records), 2}, Patient: record.Reference{1},
			Metadata: document.Metadata{Time: time.Date(2026, 3, 2, 8, 1, 2, 3, time.FixedZone("", 3600))},
		})
	}
}

// anchor runs an Anchorer until every waiting item is settled.
func anchor(t *testing.T, w *world, c *chain) *ingest.Anchorer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	a := ingest.NewAnchorer(ingest.AnchorerOptions{Ledger: c, Outbox: w, Elsewhere: w, Log: slog.New(slog.DiscardHandler)})
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
	if got, want := c.batches[2].Versions[0].Date, time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("the ledger has the date %s, want the day, %s", got, want)
	}
	if n := len(w.inState(document.Anchored)); n != 1200 {
		t.Errorf("%d anchored", n)
	}
}

// What comes soon after a transaction goes in the next one together; what comes after a lull does not wait.
func TestDocumentsGatherAfterATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := newWorld(), newChain()
		waiting(w, 5, 1)
		later := w.items
		w.items = nil
		a := ingest.NewAnchorer(ingest.AnchorerOptions{Ledger: c, Outbox: w, Elsewhere: w, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		for i, after := range []time.Duration{0, 10 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond, time.Minute} {
			time.Sleep(after)
			w.mu.Lock()
			w.items = append(w.items, later[i])
			w.mu.Unlock()
			a.Kick()
			synctest.Wait()
			c.mu.Lock()
			n := len(c.batches)
			c.mu.Unlock()
			if want := []int{1, 1, 1, 1, 3}[i]; n != want {
				t.Errorf("after document %d there are %d transactions, want %d", i+1, n, want)
			}
		}
		cancel()
		if err := <-done; err != nil || len(c.documents) != 5 {
			t.Errorf("%d documents, %v", len(c.documents), err)
		}
	})
}

// What waits already is not held up.
func TestAQueueDrainsWithoutPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := newWorld(), newChain()
		waiting(w, 700, 7)
		for of := range byte(5) {
			copied(w, 2, record.Reference{of + 2, 15: 1})
		}
		began := time.Now()
		anchor(t, w, c)
		if took := time.Since(began); took != 0 || len(c.batches) != 2 || len(c.held) != 5 {
			t.Errorf("%d transactions of documents and %d of copies took %s", len(c.batches), len(c.held), took)
		}
	})
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
}

// Of a lost answer's documents that come again with others, only the others are new: those of a record are one version more.
func TestKnownDocumentsDoNotHoldTheOthersUp(t *testing.T) {
	w, c := newWorld(), newChain()
	waiting(w, 3, 1)
	c.documents[w.items[0].Tag] = w.items[0].CID
	anchor(t, w, c)
	for i, item := range w.inState(document.Anchored) {
		if want := map[bool]string{true: "earlier", false: "ab"}[i == 0]; item.TxID != want {
			t.Errorf("item %d: the receipt is of transaction %s, want %s", i, item.TxID, want)
		}
	}
	if n := len(w.inState(document.Anchored)); n != 3 || len(c.batches) != 1 {
		t.Fatalf("%d anchored by %d transactions", n, len(c.batches))
	}
}

func TestAnErasedDocumentIsNotAnchoredAgain(t *testing.T) {
	w, c := newWorld(), newChain()
	waiting(w, 2, 1)
	c.erased[w.items[0].Tag] = true
	anchor(t, w, c)
	kept := w.inState(document.Quarantined)
	if len(kept) != 1 || kept[0].Reason != document.ReasonErased || kept[0].TxID != "" {
		t.Fatalf("kept: %+v", kept)
	}
	if n := len(w.inState(document.Anchored)); n != 1 {
		t.Fatalf("%d anchored", n)
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

func (failingOutbox) Settle([]document.Receipt) error {
	return fmt.Errorf("settle: %w", errInjected)
}

// What came after its study was called stable is a version of its own, which says so; the day is that of where it was taken.
func TestWhatIsLateIsAVersionOfItsOwn(t *testing.T) {
	w, c := newWorld(), newChain()
	waiting(w, 4, 1)
	w.items[1].Late, w.items[3].Late = true, true
	for i := range w.items {
		w.items[i].Metadata.Time = time.Date(2026, 3, 2, 0, 30, 0, 0, time.FixedZone("", 3600))
	}
	anchor(t, w, c)
	if len(c.batches) != 1 || len(c.batches[0].Versions) != 2 {
		t.Fatalf("%d batches: %+v", len(c.batches), c.batches)
	}
	onTime, late := c.batches[0].Versions[0], c.batches[0].Versions[1]
	if onTime.Late || !late.Late || len(onTime.Documents) != 2 || len(late.Documents) != 2 || onTime.Record != late.Record {
		t.Errorf("on time: %+v, late: %+v", onTime, late)
	}
	if day := onTime.Date.Format(time.DateOnly); day != "2026-03-02" {
		t.Errorf("taken on %s", day)
	}
}
