package state

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/medanchor/medanchor/document"
)

// Pending returns up to limit items of the outbox, oldest first.
func (db *DB) Pending(limit int) (items []document.Item, err error) {
	err = db.view(func(v view) error {
		cursor := v.bucket(outboxBucket).Cursor()
		for key, id := cursor.First(); key != nil && len(items) < limit; key, id = cursor.Next() {
			var item document.Item
			if _, err := v.getJSON(itemBucket, id, &item); err != nil {
				return err
			}
			items = append(items, item)
		}
		return nil
	})
	return items, err
}

// Submitting journals the transaction that is about to be sent.
func (db *DB) Submitting(s document.Submission) error {
	return db.update(func(v view) error { return v.putJSON(metaBucket, []byte(submissionKey), s) })
}

// submission returns the journalled submission; its Items are empty if there is none.
func (v view) submission() (s document.Submission, err error) {
	_, err = v.getJSON(metaBucket, []byte(submissionKey), &s)
	return s, err
}

// Settle records receipts: the items leave the outbox, and the submission ends. One transaction.
func (db *DB) Settle(receipts []document.Receipt) error {
	err := db.update(func(v view) error {
		counts, err := v.counts()
		if err != nil {
			return err
		}
		settled := make(map[document.ItemID]bool, len(receipts))
		for _, r := range receipts {
			if err := v.settle(r, &counts); err != nil {
				return err
			}
			settled[r.ID] = true
		}
		if err := v.shrinkOutbox(settled); err != nil {
			return err
		}
		if err := v.bucket(metaBucket).Delete([]byte(submissionKey)); err != nil {
			return err
		}
		return v.putCounts(counts)
	})
	if err != nil {
		return fmt.Errorf("settle %d receipts: %w", len(receipts), err)
	}
	return nil
}

func (v view) settle(r document.Receipt, counts *Counts) error {
	var item document.Item
	found, err := v.getJSON(itemBucket, r.ID[:], &item)
	if err != nil {
		return err
	}
	if !found || item.State != document.Queued {
		return nil // settled before
	}
	if err := v.settleStudy(&item, r.State == document.Quarantined); err != nil {
		return err
	}
	counts.remove(&item)
	item.State, item.Reason = r.State, r.Reason
	item.TxID, item.Block, item.Anchored = r.TxID, r.Block, time.UnixMilli(r.Time).UTC()
	counts.put(&item)
	return v.putItem(&item)
}

// shrinkOutbox deletes the entries of settled items. They stand at the front: it stops when all are found.
func (v view) shrinkOutbox(settled map[document.ItemID]bool) error {
	left := len(settled)
	cursor := v.bucket(outboxBucket).Cursor()
	var keys [][]byte
	for key, id := cursor.First(); key != nil && left > 0; key, id = cursor.Next() {
		if settled[document.ItemID(id)] {
			keys = append(keys, key)
			left--
		}
	}
	for _, key := range keys {
		if err := v.bucket(outboxBucket).Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// Counts are the numbers that must reconcile: Received = Waiting + Anchored + Duplicates + Discarded + the sum of Quarantined.
type Counts struct {
	Received    int64                     `json:"received"`
	Waiting     int64                     `json:"waiting"` // queued or submitted
	Anchored    int64                     `json:"anchored"`
	Duplicates  int64                     `json:"duplicates"`
	Variants    int64                     `json:"variants"` // among Waiting and Anchored
	Quarantined map[document.Reason]int64 `json:"quarantined"`
	Discarded   int64                     `json:"discarded,omitempty"`
	// Review is how many a person is to look at though they are Waiting or Anchored.
	Review map[document.Reason]int64 `json:"review,omitempty"`
	Bytes  int64                     `json:"bytes"` // of plaintext received
}

// add counts a new item.
func (c *Counts) add(item *document.Item) {
	c.Received++
	c.Bytes += item.Size
	c.put(item)
}

func (c *Counts) put(item *document.Item)    { c.shift(item, 1) }
func (c *Counts) remove(item *document.Item) { c.shift(item, -1) }

func (c *Counts) shift(item *document.Item, by int64) {
	switch item.State {
	case document.Queued, document.Submitted:
		c.Waiting += by
		c.shiftKept(item, by)
	case document.Anchored:
		c.Anchored += by
		c.shiftKept(item, by)
	case document.Discarded:
		c.Discarded += by
	case document.Duplicate:
		c.Duplicates += by
	case document.Quarantined:
		if c.Quarantined == nil {
			c.Quarantined = make(map[document.Reason]int64)
		}
		c.Quarantined[item.Reason] += by
	case document.Received, document.Inspected, document.Sealed, document.Stored:
		// In memory only: never counted here.
	}
}

// shiftKept counts what is, or will be, on the ledger.
func (c *Counts) shiftKept(item *document.Item, by int64) {
	if !item.VariantOf.IsZero() {
		c.Variants += by
	}
	if item.Review != "" {
		if c.Review == nil {
			c.Review = make(map[document.Reason]int64)
		}
		c.Review[item.Review] += by
	}
}

// Counts returns the totals as of the last commit.
func (db *DB) Counts() (c Counts, err error) {
	err = db.view(func(v view) error {
		c, err = v.counts()
		return err
	})
	return c, err
}

func (v view) counts() (c Counts, err error) {
	raw := v.bucket(metaBucket).Get([]byte(countsKey))
	if raw == nil {
		return c, nil
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fmt.Errorf("decode counts: %w", err)
	}
	return c, nil
}

func (v view) putCounts(c Counts) error {
	raw, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode counts: %w", err)
	}
	return v.bucket(metaBucket).Put([]byte(countsKey), raw)
}
