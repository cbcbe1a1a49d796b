package appliance

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/index"
	"github.com/medanchor/medanchor/state"
)

// find returns the item behind an ID that a person gives: a document's tag, or an item's UUID. For a duplicate it is the
// item that carries the document.
func (a *App) find(id string) (document.Item, error) {
	if tag, err := record.ParseTag(id); err == nil {
		item, found, err := a.state.Carrier(tag)
		if err == nil && !found {
			err = fmt.Errorf("document %s: %w in this hospital", tag, control.ErrNotFound)
		}
		return item, err
	}
	itemID, err := document.ParseItemID(id)
	if err != nil {
		return document.Item{}, fmt.Errorf("%w: %q is neither a document's tag (22 characters) nor an item's ID (a UUID)",
			control.ErrBadRequest, id)
	}
	item, err := a.state.Item(itemID)
	for err == nil && item.State == document.Duplicate { // its first may have become one as well, when a person assigned it
		item, err = a.state.Item(item.First)
	}
	if errors.Is(err, state.ErrNotFound) {
		return item, fmt.Errorf("item %s: %w in this hospital", id, control.ErrNotFound)
	}
	if err == nil && item.State == document.Discarded {
		err = fmt.Errorf("item %s: %w any more: two people discarded it (medanchor tray show %s)", id, control.ErrNotFound, item.ID)
	}
	return item, err
}

// Get implements control.Appliance. What is on the ledger, or on its way there, has readers with rights, and an audit: it is
// refused.
func (a *App) Get(ctx context.Context, id string) (io.ReadCloser, error) {
	item, err := a.find(id)
	if err != nil {
		return nil, err
	}
	if item.State != document.Quarantined {
		return nil, fmt.Errorf("%w: document %s is in a patient's history: read it as who you are (medanchor get --identity … "+
			"--patient %s --record %s)", control.ErrBadRequest, item.Tag, item.Patient, item.Record)
	}
	return a.plain(ctx, item)
}

// plaintext reads a sealed payload; closing it closes the payload.
type plaintext struct {
	io.Reader
	io.Closer
}

// plain opens an item's bytes in plaintext. Blocks are checked by CID and chunks by age as they are read.
func (a *App) plain(ctx context.Context, item document.Item) (io.ReadCloser, error) {
	header, err := a.state.Header(item.ID)
	if err != nil {
		return nil, err
	}
	payload, err := a.node.Get(ctx, item.CID)
	if err != nil {
		return nil, err
	}
	content, err := a.vault.Open(header, payload)
	if err != nil {
		return nil, errors.Join(err, payload.Close())
	}
	return plaintext{content, payload}, nil
}

// Records implements control.Appliance: what the index knows, of this institution or of all.
func (a *App) Records(_ context.Context, all bool) ([]control.Record, error) {
	var records []control.Record
	err := a.index.Versions(func(v index.Version, at index.Anchored) bool {
		if n := len(records); n > 0 && records[n-1].Record == v.Record && records[n-1].Patient == v.Patient {
			extend(&records[n-1], v, at)
			return true
		}
		r := control.Record{Patient: v.Patient, Record: v.Record, Kind: v.Kind, Date: v.Date, Member: at.MSPID}
		extend(&r, v, at)
		records = append(records, r)
		return true
	})
	if err != nil || all {
		return records, err
	}
	own := records[:0]
	for _, r := range records {
		if r.Member == a.config.Ledger.MSPID {
			own = append(own, r)
		}
	}
	return own, nil
}

func extend(r *control.Record, v index.Version, at index.Anchored) {
	r.Versions++
	r.Block, r.Anchored = at.Block, at.Time
	for _, d := range v.Documents {
		r.Documents = append(r.Documents, d.Tag)
	}
}
