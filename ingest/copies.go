package ingest

import (
	"context"
	"errors"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// alike gives as many of the first items as go into one transaction: documents of this institution's patients, or copies
// under one linked reference.
func alike(items []document.Item) []document.Item {
	first := items[0]
	for i, item := range items {
		switch {
		case (item.Copy == nil) != (first.Copy == nil),
			item.Copy != nil && (i == record.MaxCopies || item.Patient != first.Patient || item.Copy.Own != first.Copy.Own):
			return items[:i]
		}
	}
	return items
}

// hold says on the ledger that this institution holds copies, and returns how many items it settled. Where the contract
// refuses some of them, they go one by one.
func (a *Anchorer) hold(ctx context.Context, items []document.Item) (int, error) {
	position, err := a.holdAll(ctx, items)
	refused, isRefusal := errors.AsType[*record.Error](err)
	final := isRefusal && refused.Code != record.Internal && refused.Code != record.AnchoringConflict
	if final && refused.Code == record.Forbidden {
		linked, err := a.linked(&items[0])
		if err != nil {
			return 0, err
		}
		final = !linked
	}
	switch {
	case final && len(items) > 1:
		return a.hold(ctx, items[:1])
	case err != nil && !final:
		return 0, err
	}
	receipts := make([]document.Receipt, 0, len(items))
	for _, item := range items {
		r := document.Receipt{ID: item.ID, State: document.Anchored, TxID: position.TxID, Block: position.Block}
		r.Time = position.Time.UnixMilli()
		if final {
			r = document.Receipt{ID: item.ID, State: document.Quarantined, Reason: copyRefused(refused.Code)}
			a.Log.Warn("the ledger refused a copy of a document: its bytes are kept sealed", "item", item.ID, "err", err)
		}
		receipts = append(receipts, r)
	}
	if err := a.Outbox.Settle(receipts); err != nil {
		return 0, &outboxError{err}
	}
	for i := range receipts {
		a.Trace(receipts[i].State.Taken())
	}
	return len(items), nil
}

// linked says whether the link under which a copy is held still stands, as far as this hospital has seen: then it is the appliance
// itself that is refused, suspended for one.
func (a *Anchorer) linked(item *document.Item) (bool, error) {
	_, found, err := a.Elsewhere.Find(item.Copy.Own, item.Patient, item.Tag)
	return found, err
}

func (a *Anchorer) holdAll(ctx context.Context, items []document.Item) (Position, error) {
	q := record.Copies{Patient: items[0].Copy.Own, Of: items[0].Patient}
	for _, item := range items {
		q.Copies = append(q.Copies, record.Copy{
			Record: item.Record, Version: item.Copy.Version, Tag: item.Tag, CID: item.CID,
		})
	}
	return a.Ledger.HoldCopies(ctx, q)
}

// copyRefused is why the ledger does not take a copy.
func copyRefused(code record.Code) document.Reason {
	switch code {
	case record.WrongState:
		return document.ReasonErased
	case record.Forbidden:
		return document.ReasonUnlinked
	default:
		return document.ReasonLedgerConflict
	}
}
