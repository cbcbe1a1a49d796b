package state

import (
	"fmt"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// Discard is a proposal to give up an item for good. The reason is personal data.
type Discard struct {
	By     record.ParticipantID `json:"by"`
	Reason string               `json:"reason"`
	At     time.Time            `json:"at"`
}

// InTrays calls f for each item that waits for a person, in the order of reception, until f returns false.
func (db *DB) InTrays(f func(document.Item) bool) error {
	return db.Items(func(item document.Item) bool { return item.Tray() == "" || f(item) })
}

// Reconsider replaces a quarantined item by what became of it, in one transaction. document.ErrNotQuarantined if it is not
// quarantined any more.
func (db *DB) Reconsider(item document.Item) error {
	return db.replace(item.ID, func(v view, old *document.Item) (document.Item, error) {
		if old.State != document.Quarantined {
			return item, document.ErrNotQuarantined
		}
		if err := v.bucket(contentBucket).Delete(append(v.contentKey(old.Digest), old.ID[:]...)); err != nil {
			return item, err
		}
		switch item.State {
		case document.Queued:
			if err := v.join(&item); err != nil {
				return item, err
			}
			return item, v.enqueue(&item)
		case document.Quarantined:
			return item, v.rememberContent(&item)
		case document.Duplicate:
			return item, v.bucket(headerBucket).Delete(item.ID[:])
		default:
			return item, fmt.Errorf("reconsider item %s: unexpected state %q", item.ID, item.State)
		}
	})
}

// Reviewed notes that a person has looked at an item. document.ErrNotQuarantined if none was to.
func (db *DB) Reviewed(id document.ItemID) error {
	return db.replace(id, func(_ view, old *document.Item) (document.Item, error) {
		item := *old
		if item.Review == "" {
			return item, document.ErrNotQuarantined
		}
		item.Review = ""
		return item, nil
	})
}

// ProposeDiscard keeps the first half of a decision by two people to give up a quarantined item; it replaces an earlier one.
func (db *DB) ProposeDiscard(id document.ItemID, d Discard) error {
	return db.update(func(v view) error {
		item, err := v.item(id)
		if err != nil {
			return err
		}
		if item.State != document.Quarantined {
			return document.ErrNotQuarantined
		}
		return v.putJSON(discardBucket, id[:], d)
	})
}

// ProposedDiscard returns the proposal to give up an item; found is false if there is none.
func (db *DB) ProposedDiscard(id document.ItemID) (d Discard, found bool, err error) {
	err = db.view(func(v view) error {
		found, err = v.getJSON(discardBucket, id[:], &d)
		return err
	})
	return d, found, err
}

// Discard gives up a quarantined item: its key is destroyed, so that nobody opens its bytes again. What was proposed stays with
// it.
func (db *DB) Discard(id document.ItemID) error {
	return db.replace(id, func(v view, old *document.Item) (document.Item, error) {
		item := *old
		if item.State != document.Quarantined {
			return item, document.ErrNotQuarantined
		}
		item.State = document.Discarded
		if err := v.bucket(contentBucket).Delete(append(v.contentKey(old.Digest), old.ID[:]...)); err != nil {
			return item, err
		}
		return item, v.bucket(headerBucket).Delete(id[:])
	})
}

// replace writes the item that f gives in place of the one with this ID, and keeps the counts right, in one transaction.
func (db *DB) replace(id document.ItemID, f func(v view, old *document.Item) (document.Item, error)) error {
	err := db.update(func(v view) error {
		counts, err := v.counts()
		if err != nil {
			return err
		}
		old, err := v.item(id)
		if err != nil {
			return err
		}
		item, err := f(v, &old)
		if err != nil {
			return err
		}
		counts.remove(&old)
		counts.put(&item)
		if err := v.putJSON(itemBucket, id[:], item); err != nil {
			return err
		}
		return v.putCounts(counts)
	})
	if err != nil {
		return fmt.Errorf("item %s: %w", id, err)
	}
	return nil
}
