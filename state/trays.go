package state

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/medanchor/medanchor/document"
)

// InTrays calls f for each item that waits for a person, in the order of reception, until f returns false.
func (db *DB) InTrays(f func(document.Item) bool) error { return db.eachIn(trayBucket, nil, f) }

// Repeats calls f for each duplicate of an item, in the order of reception, until f returns false.
func (db *DB) Repeats(first document.ItemID, f func(document.Item) bool) error {
	return db.eachIn(repeatBucket, first[:], f)
}

// eachIn calls f for each item whose ID stands in a bucket behind a prefix, until f returns false.
func (db *DB) eachIn(b bucket, prefix []byte, f func(document.Item) bool) error {
	return db.view(func(v view) error {
		cursor := v.bucket(b).Cursor()
		for key, _ := cursor.Seek(prefix); key != nil && bytes.HasPrefix(key, prefix); key, _ = cursor.Next() {
			item, err := v.item(document.ItemID(key[len(prefix):]))
			if err != nil {
				return err
			}
			if !f(item) {
				return nil
			}
		}
		return nil
	})
}

// sort lets an item be found in its tray, or as the duplicate that it is.
func (v view) sort(item *document.Item) error {
	if item.State == document.Duplicate {
		if err := v.bucket(repeatBucket).Put(slices.Concat(item.First[:], item.ID[:]), []byte{}); err != nil {
			return err
		}
	}
	if item.Tray() == "" {
		return v.bucket(trayBucket).Delete(item.ID[:])
	}
	return v.bucket(trayBucket).Put(item.ID[:], []byte{})
}

// sortAll does that with all items of a file in which none was.
func (v view) sortAll() error {
	return v.bucket(itemBucket).ForEach(func(key, _ []byte) error {
		var item document.Item
		if _, err := v.getJSON(itemBucket, key, &item); err != nil {
			return err
		}
		return v.sort(&item)
	})
}

// Reconsider replaces a quarantined item by what became of it, in one transaction. document.ErrNotQuarantined if it is not
// quarantined any more.
func (db *DB) Reconsider(item document.Item) error {
	return db.replace(item.ID, func(v view, old *document.Item) (document.Item, error) {
		if old.State != document.Quarantined {
			return item, document.ErrNotQuarantined
		}
		if err := v.forget(old); err != nil {
			return item, err
		}
		switch item.State {
		case document.Queued:
			if err := v.join(&item, time.Now().UTC()); err != nil {
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

// forget undoes what makes an item be found: what it becomes may be another document, or another patient's.
func (v view) forget(item *document.Item) error {
	if err := v.bucket(contentBucket).Delete(append(v.contentKey(item.Digest), item.ID[:]...)); err != nil {
		return err
	}
	carrier, found, err := v.itemID(tagBucket, item.Tag[:])
	if err != nil || !found || carrier != item.ID {
		return err
	}
	if err := errors.Join(v.bucket(tagBucket).Delete(item.Tag[:]), v.bucket(copyBucket).Delete(item.Tag[:])); err != nil {
		return err
	}
	instance := v.instanceKey(item.Patient, item.Metadata.InstanceUID)
	first, err := v.get(instanceBucket, instance)
	if err != nil || !bytes.Equal(first, item.Tag[:]) {
		return err
	}
	return v.bucket(instanceBucket).Delete(instance)
}

// Reviewed notes that a person has looked at an item that is not quarantined. document.ErrNotQuarantined if none was to.
func (db *DB) Reviewed(id document.ItemID, d document.Decision) error {
	return db.decide(id, d, func(_ view, item *document.Item) error {
		if item.State == document.Quarantined || item.Review == "" {
			return document.ErrNotQuarantined
		}
		item.Review = ""
		return nil
	})
}

// ProposeDiscard keeps the first half of a decision by two people to give up a quarantined item; it replaces an earlier one.
func (db *DB) ProposeDiscard(id document.ItemID, d document.Decision) error {
	return db.decide(id, d, func(_ view, item *document.Item) error {
		if item.State != document.Quarantined {
			return document.ErrNotQuarantined
		}
		return nil
	})
}

// Discard gives up a quarantined item by the word of a second person: its key is destroyed, so that nobody opens its bytes
// again. What is left is who decided so, why, and which file it was. Besides the errors of the others, document.ErrNotProposed and
// ErrSamePerson.
func (db *DB) Discard(id document.ItemID, d document.Decision) error {
	return db.decide(id, d, func(v view, item *document.Item) error {
		if item.State != document.Quarantined {
			return document.ErrNotQuarantined
		}
		proposed, stands := item.Proposed()
		switch {
		case !stands:
			return document.ErrNotProposed
		case proposed.By == d.By:
			return document.ErrSamePerson
		}
		if err := errors.Join(v.forget(item), v.bucket(headerBucket).Delete(id[:])); err != nil {
			return err
		}
		item.State = document.Discarded
		item.Metadata = document.Metadata{Format: item.Metadata.Format}
		return nil
	})
}

// decide has change carry out a decision, and keeps the decision with the item. document.ErrDecided if a later one is there.
func (db *DB) decide(id document.ItemID, d document.Decision, change func(v view, item *document.Item) error) error {
	return db.replace(id, func(v view, old *document.Item) (document.Item, error) {
		decided, item := *old, *old
		if err := decided.Decide(d); err != nil {
			return item, err
		}
		err := change(v, &item)
		item.Decisions = decided.Decisions
		return item, err
	})
}

// replace writes the item that f gives in place of the one with this ID, and keeps the counts right, in one transaction.
func (db *DB) replace(id document.ItemID, f func(v view, old *document.Item) (document.Item, error)) error {
	err := db.update(func(v view) error {
		counts, err := v.counts()
		if err != nil {
			return err
		}
		var old document.Item // as it is stored: one in flight is still queued
		if found, err := v.getJSON(itemBucket, id[:], &old); err != nil {
			return err
		} else if !found {
			return ErrNotFound
		}
		item, err := f(v, &old)
		if err != nil {
			return err
		}
		counts.remove(&old)
		counts.put(&item)
		if err := v.putItem(&item); err != nil {
			return err
		}
		return v.putCounts(counts)
	})
	if err != nil {
		return fmt.Errorf("item %s: %w", id, err)
	}
	return nil
}
