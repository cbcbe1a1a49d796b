package appliance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/vault/ipfs"
)

// refileGroup is how many documents are filed anew in one commit.
const refileGroup = 64

// refileDoor stands for a door in items that were filed anew.
const refileDoor = "refile"

// Refile implements control.Appliance. The documents of a record that was withdrawn are queued for the right patient: under
// other tags and other CIDs, so that nothing on the ledger ties the two patients together, over the same bytes. What the
// right patient has already is passed over, so that it may be asked again.
func (a *App) Refile(ctx context.Context, q control.RefileRequest) (refiled control.Refiled, err error) {
	secret, err := a.rightPatient(ctx, q)
	if err != nil {
		return refiled, err
	}
	items, err := a.carried(q.RecordName)
	if err != nil {
		return refiled, err
	}
	var fresh []document.Entry
	for _, item := range items {
		entry, isNew, err := a.filedAnew(item, q.To, secret)
		if err != nil {
			return refiled, err
		}
		if !slices.Contains(refiled.Records, entry.Item.Record) {
			refiled.Records = append(refiled.Records, entry.Item.Record)
		}
		if isNew {
			fresh = append(fresh, entry)
		}
	}
	for group := range slices.Chunk(fresh, refileGroup) {
		if err := a.commitRefiled(ctx, group); err != nil {
			return refiled, err
		}
		refiled.Documents += len(group)
	}
	a.anchorer.Kick()
	a.log.Info("a record was filed anew", "documents", refiled.Documents)
	return refiled, nil
}

// rightPatient gives the secret of the patient to whom a withdrawn record is given.
func (a *App) rightPatient(ctx context.Context, q control.RefileRequest) (secret [32]byte, err error) {
	if err := q.Validate(); err != nil {
		return secret, fmt.Errorf("%w: %w", control.ErrBadRequest, err)
	}
	if q.Patient == q.To {
		return secret, fmt.Errorf("%w: the record is that patient's already", control.ErrBadRequest)
	}
	secret, found, err := a.state.Secret(q.To)
	if err == nil && !found {
		err = fmt.Errorf("%w: this hospital has no patient %s: register them", control.ErrNotFound, q.To)
	}
	if err != nil {
		return secret, err
	}
	status, err := a.ledger.Status(ctx, q.RecordName)
	switch {
	case ledger.Retryable(err):
		return secret, fmt.Errorf("%w: %w", control.ErrLedgerAway, err)
	case err != nil:
		return secret, err
	case status.Withdrawn.IsZero():
		return secret, fmt.Errorf("%w: the record is not withdrawn: withdraw it first, so that nobody reads it meanwhile",
			control.ErrBadRequest)
	}
	return secret, nil
}

// carried are the items of this hospital that carry a record's documents.
func (a *App) carried(name record.RecordName) (items []document.Item, err error) {
	versions, err := history{a.index}.Versions(name)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		for _, d := range v.Documents {
			item, found, err := holdings{a}.carrier(d.Tag)
			if err != nil {
				return nil, err
			}
			if found {
				items = append(items, item)
			}
		}
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("%w: this hospital holds no document of the record", control.ErrNotFound)
	}
	return items, nil
}

// filedAnew makes an entry for the right patient. It is not new if they have the document already.
func (a *App) filedAnew(item document.Item, to record.Reference, secret [32]byte) (e document.Entry, isNew bool, err error) {
	now := time.Now()
	fresh := document.Item{
		ID: document.NewItemID(now), State: document.Queued, Door: refileDoor, Size: item.Size, Digest: item.Digest,
		Received: now.UTC(), Metadata: item.Metadata, Kind: item.Kind, Patient: to,
		Tag:    record.DocumentTag(secret, 0, item.Digest),
		Record: record.RecordTag(secret, ingest.RecordName(item)), CID: item.CID,
	}
	e = document.Entry{Item: fresh}
	if _, there, err := a.state.Carrier(fresh.Tag); err != nil || there {
		return e, false, err
	}
	e.Header, err = a.state.Header(item.ID)
	return e, err == nil, err
}

// commitRefiled makes a group durable: second roots over the same leaves, then the items.
func (a *App) commitRefiled(ctx context.Context, group []document.Entry) error {
	payloads := make([]*ipfs.Payload, len(group))
	for i := range group {
		alias, err := a.node.Alias(ctx, group[i].Item.CID)
		if err != nil {
			return err
		}
		payloads[i], group[i].Item.CID = alias, alias.CID
	}
	root, err := a.node.Store(context.WithoutCancel(ctx), payloads)
	if err != nil {
		return err
	}
	if err := a.state.Commit(document.Commit{Root: root, Entries: group}); err != nil {
		return errors.Join(errors.New("file anew"), err)
	}
	return nil
}
