package ingest_test

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest"
)

// linkedWorld has a person who is linked to a reference elsewhere, in whose history one content is.
func linkedWorld(content string) (w *world, elsewhere record.AnchoredVersion) {
	w = newWorld()
	id := document.PatientID{Issuer: document.NHS, Identifier: "9990000018"}
	own := document.Patient{Reference: record.Reference{1, 15: 1}, Secret: [32]byte{1}}
	w.patients[id] = own
	there := document.Linked{Reference: record.Reference{2, 15: 1}, Secret: [32]byte{2}}
	w.linked = map[record.Reference][]document.Linked{own.Reference: {there}}
	tag := record.DocumentTag(there.Secret, 0, sha256.Sum256([]byte(content)))
	elsewhere = record.AnchoredVersion{Version: record.Version{
		Patient: there.Reference, Record: record.Tag{7}, Kind: record.KindLabResult, Documents: []record.Document{{Tag: tag}},
	}}
	w.elsewhere = []record.AnchoredVersion{elsewhere}
	return w, elsewhere
}

func TestWhatALinkedHospitalAnchoredIsACopy(t *testing.T) {
	w, elsewhere := linkedWorld("the report")
	if err := w.run(t, w.drop("1", "the report", "9990000018"), w.drop("2", "another report", "9990000018")); err != nil {
		t.Fatal(err)
	}
	copies := 0
	for _, item := range w.inState(document.Queued) {
		switch {
		case item.Copy != nil:
			copies++
			if item.Patient != elsewhere.Patient || item.Tag != elsewhere.Name() || item.Record != elsewhere.Record ||
				item.Kind != elsewhere.Kind || item.Copy.Own != (record.Reference{1, 15: 1}) || item.Copy.Version != elsewhere.Name() {
				t.Errorf("a copy of something else: %+v", item)
			}
		case item.Patient != record.Reference{1, 15: 1}:
			t.Errorf("what nobody anchored is under %s", item.Patient)
		}
	}
	if copies != 1 {
		t.Errorf("%d copies, want 1", copies)
	}
}

func TestACopyThatComesAgainIsADuplicate(t *testing.T) {
	w, _ := linkedWorld("the report")
	if err := w.run(t, w.drop("1", "the report", "9990000018"), w.drop("2", "the report", "9990000018")); err != nil {
		t.Fatal(err)
	}
	if queued, duplicates := len(w.inState(document.Queued)), len(w.inState(document.Duplicate)); queued != 1 || duplicates != 1 {
		t.Errorf("%d queued, %d duplicates", queued, duplicates)
	}
}

// A content that this hospital anchored before the link stays a document of its own.
func TestOwnDocumentsStayOwn(t *testing.T) {
	w, elsewhere := linkedWorld("the report")
	elsewhereAfter := w.elsewhere
	w.elsewhere = nil
	if err := w.run(t, w.drop("1", "the report", "9990000018")); err != nil {
		t.Fatal(err)
	}
	w.elsewhere = elsewhereAfter
	if err := w.run(t, w.drop("2", "the report", "9990000018")); err != nil {
		t.Fatal(err)
	}
	for _, item := range w.inState(document.Queued) {
		if item.Patient == elsewhere.Patient {
			t.Error("an own document became a copy")
		}
	}
	if n := len(w.inState(document.Duplicate)); n != 1 {
		t.Errorf("%d duplicates, want 1", n)
	}
}

// copied puts n queued copies into the world.
func copied(w *world, n int, of record.Reference) {
	for i := range n {
		w.items = append(w.items, document.Item{
			ID: document.ItemID{of[0], byte(i), 9}, State: document.Queued, Patient: of, Record: record.Tag{3},
			Tag: record.Tag{of[0], byte(i), byte(i >> 8), 4}, CID: record.CID{0x55, byte(i)},
			Copy: &document.Copy{Own: record.Reference{1, 15: 1}, Version: record.Tag{5}},
		})
	}
}

// anchorAll runs an Anchorer until nothing waits.
func anchorAll(t *testing.T, w *world, c *chain) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	a := ingest.NewAnchorer(ingest.AnchorerOptions{Ledger: c, Outbox: w, Elsewhere: w, Log: slog.New(slog.DiscardHandler)})
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(w.inState(document.Queued)) > 0 {
		select {
		case <-ctx.Done():
			t.Fatal("items still wait")
		case <-tick.C:
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestCopiesAreHeldAmongOthers(t *testing.T) {
	w, c := newWorld(), newChain()
	waiting(w, 3, 1)
	copied(w, record.MaxCopies+1, record.Reference{2, 15: 1})
	copied(w, 2, record.Reference{3, 15: 1})
	c.away = 2
	anchorAll(t, w, c)
	if len(c.batches) != 1 || len(c.held) != 3 || len(c.held[0].Copies) != record.MaxCopies || c.held[2].Of != (record.Reference{3, 15: 1}) {
		t.Errorf("%d batches, %d transactions of copies", len(c.batches), len(c.held))
	}
	for _, item := range w.inState(document.Anchored) {
		if item.Copy != nil && item.Block != 7 {
			t.Errorf("a copy has the receipt %+v", item)
		}
	}
}

// An appliance that is suspended is refused with the same code as a link that has ended: its copies wait, as all else does.
func TestCopiesWaitForAnApplianceThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, c := newWorld(), newChain()
		copied(w, 5, record.Reference{2, 15: 1})
		c.refused = make(map[record.Tag]record.Code)
		for i := range w.items {
			c.refused[w.items[i].Tag] = record.Forbidden
			w.elsewhere = append(w.elsewhere, record.AnchoredVersion{
				Version: record.Version{Patient: w.items[i].Patient, Documents: []record.Document{{Tag: w.items[i].Tag}}},
			})
		}
		a := ingest.NewAnchorer(ingest.AnchorerOptions{Ledger: c, Outbox: w, Elsewhere: w, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		time.Sleep(time.Hour)
		if _, reason := a.Away(); reason == nil || len(w.inState(document.Queued)) != 5 {
			t.Errorf("while it is refused, %d wait (%v)", len(w.inState(document.Queued)), reason)
		}
		c.mu.Lock()
		c.refused = nil
		c.mu.Unlock()
		time.Sleep(time.Minute)
		if len(w.inState(document.Anchored)) != 5 {
			t.Errorf("once it is not, %d are anchored", len(w.inState(document.Anchored)))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestARefusedCopyHoldsUpNoOther(t *testing.T) {
	for code, reason := range map[record.Code]document.Reason{
		record.Forbidden: document.ReasonUnlinked, record.WrongState: document.ReasonErased,
		record.Exists: document.ReasonLedgerConflict,
	} {
		w, c := newWorld(), newChain()
		copied(w, 5, record.Reference{2, 15: 1})
		c.refused = map[record.Tag]record.Code{w.items[2].Tag: code}
		anchorAll(t, w, c)
		quarantined := w.inState(document.Quarantined)
		if len(quarantined) != 1 || quarantined[0].Reason != reason || len(w.inState(document.Anchored)) != 4 {
			t.Errorf("%s: %d quarantined, %d anchored", code, len(quarantined), len(w.inState(document.Anchored)))
		}
	}
}
