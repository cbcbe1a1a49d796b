package state

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// Commit makes a group durable in one transaction. When it fails, what is on disk is unknown: reopen and look.
func (db *DB) Commit(c document.Commit) error {
	err := db.update(func(v view) error {
		counts, err := v.counts()
		if err != nil {
			return err
		}
		for i := range c.Entries {
			if err := v.commitEntry(&c.Entries[i]); err != nil {
				return err
			}
			counts.add(&c.Entries[i].Item)
		}
		for _, claim := range c.Forget {
			if err := v.bucket(claimBucket).Delete(v.claimKey(claim)); err != nil {
				return err
			}
		}
		if !c.Root.IsZero() {
			if err := v.bucket(rootBucket).Put(c.Root[:], []byte{}); err != nil {
				return err
			}
		}
		return v.putCounts(counts)
	})
	if err != nil {
		return fmt.Errorf("commit %d items: %w", len(c.Entries), err)
	}
	return nil
}

func (v view) commitEntry(e *document.Entry) error {
	item := &e.Item
	if item.State == document.Queued {
		if err := v.join(item, item.Received); err != nil {
			return err
		}
	}
	if err := v.putItem(item); err != nil {
		return err
	}
	if e.Claim != (document.Claim{}) { // what was filed anew has no source
		if err := v.put(claimBucket, v.claimKey(e.Claim), item.ID[:]); err != nil {
			return err
		}
	}
	if e.Header != nil {
		if err := v.bucket(headerBucket).Put(item.ID[:], v.sealer.SealHeader(item.ID, e.Header)); err != nil {
			return err
		}
	}
	switch item.State {
	case document.Queued:
		return v.enqueue(item)
	case document.Quarantined:
		return v.rememberContent(item)
	case document.Duplicate:
		return nil
	default:
		return fmt.Errorf("commit item %s: unexpected state %q", item.ID, item.State)
	}
}

// putItem writes an item, and lets it be found in its tray.
func (v view) putItem(item *document.Item) error {
	if err := v.putJSON(itemBucket, item.ID[:], item); err != nil {
		return err
	}
	return v.sort(item)
}

// enqueue makes item the carrier of its document and appends it to the outbox.
func (v view) enqueue(item *document.Item) error {
	if err := v.put(tagBucket, item.Tag[:], item.ID[:]); err != nil {
		return err
	}
	if item.Copy != nil {
		if err := v.bucket(copyBucket).Put(item.Tag[:], item.ID[:]); err != nil {
			return err
		}
	}
	if uid := item.Metadata.InstanceUID; uid != "" && item.VariantOf.IsZero() {
		if err := v.put(instanceBucket, v.instanceKey(item.Patient, uid), item.Tag[:]); err != nil {
			return err
		}
	}
	if err := v.rememberContent(item); err != nil {
		return err
	}
	outbox := v.bucket(outboxBucket)
	outbox.FillPercent = 1 // appended only
	n, err := outbox.NextSequence()
	if err != nil {
		return err
	}
	return outbox.Put(binary.BigEndian.AppendUint64(nil, n), item.ID[:])
}

// rememberContent lets the item be found by its digest.
func (v view) rememberContent(item *document.Item) error {
	key := append(v.contentKey(item.Digest), item.ID[:]...)
	return v.bucket(contentBucket).Put(key, []byte{})
}

// claimKey leaves the device out: that of a share is another number whenever it is mounted.
func (v view) claimKey(c document.Claim) []byte {
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	size := uint64(c.Size) //nolint:gosec // never negative
	return v.sealer.Blind("claim", []byte(c.Door), []byte(c.Path), number(c.Inode), number(size),
		number(uint64(c.ModTime.UnixNano())), number(uint64(c.ChangeTime.UnixNano())))
}

func (v view) contentKey(d document.Digest) []byte { return v.sealer.Blind("content", d[:]) }

func (v view) instanceKey(patient record.Reference, uid string) []byte {
	return v.sealer.Blind("instance", patient[:], []byte(uid))
}

// Claimed returns the item that took the delivery; found is false if none did.
func (db *DB) Claimed(c document.Claim) (id document.ItemID, found bool, err error) {
	err = db.view(func(v view) error {
		id, found, err = v.itemID(claimBucket, v.claimKey(c))
		return err
	})
	return id, found, err
}

// ForgetClaims forgets the claims whose source is gone, as gone says by the item that took it, and returns how many. A
// process that died after a source was disposed of leaves such a claim.
func (db *DB) ForgetClaims(gone func(document.Item) bool) (forgotten int, err error) {
	var keys [][]byte
	err = db.view(func(v view) error {
		cursor := v.bucket(claimBucket).Cursor()
		for key, _ := cursor.First(); key != nil; key, _ = cursor.Next() {
			id, _, err := v.itemID(claimBucket, key)
			if err != nil {
				return err
			}
			item, err := v.item(id)
			if err != nil {
				return err
			}
			if gone(item) {
				keys = append(keys, bytes.Clone(key))
			}
		}
		return nil
	})
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	return len(keys), db.update(func(v view) error {
		for _, key := range keys {
			if err := v.bucket(claimBucket).Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
}

// Carrier returns the item that carries the document with this tag.
func (db *DB) Carrier(tag record.Tag) (item document.Item, found bool, err error) {
	err = db.view(func(v view) error {
		id, ok, err := v.itemID(tagBucket, tag[:])
		if err != nil || !ok {
			return err
		}
		found = true
		item, err = v.item(id)
		return err
	})
	return item, found, err
}

// Quarantined returns the quarantined item that holds content with this digest and is said to be of this patient.
func (db *DB) Quarantined(d document.Digest, patient document.PatientID) (item document.Item, found bool, err error) {
	items, err := db.ByDigest(d)
	if err != nil {
		return item, false, err
	}
	for _, item := range items {
		if item.State == document.Quarantined && item.Metadata.Patient == patient {
			return item, true, nil
		}
	}
	return item, false, nil
}

// ByDigest returns the items that hold content with this digest: for each patient in whose history
// it is, or who is named by a quarantined one, there is one. Duplicates are not among them.
func (db *DB) ByDigest(d document.Digest) (items []document.Item, err error) {
	err = db.view(func(v view) error {
		prefix := v.contentKey(d)
		cursor := v.bucket(contentBucket).Cursor()
		for key, _ := cursor.Seek(prefix); bytes.HasPrefix(key, prefix); key, _ = cursor.Next() {
			item, err := v.item(document.ItemID(key[len(prefix):]))
			if err != nil {
				return err
			}
			items = append(items, item)
		}
		return nil
	})
	return items, err
}

// Instance returns the tag of the first document of the patient with this SOP Instance UID.
func (db *DB) Instance(patient record.Reference, uid string) (tag record.Tag, found bool, err error) {
	err = db.view(func(v view) error {
		value, err := v.get(instanceBucket, v.instanceKey(patient, uid))
		found = copy(tag[:], value) == len(tag)
		return err
	})
	return tag, found, err
}

func (v view) itemID(b bucket, key []byte) (id document.ItemID, found bool, err error) {
	value, err := v.get(b, key)
	if err != nil || value == nil {
		return id, false, err
	}
	copy(id[:], value)
	return id, true, nil
}

// Item returns one item. ErrNotFound if there is none.
func (db *DB) Item(id document.ItemID) (item document.Item, err error) {
	err = db.view(func(v view) error {
		item, err = v.item(id)
		return err
	})
	return item, err
}

// item reads an item; one that is in the submission in flight is shown as submitted.
func (v view) item(id document.ItemID) (item document.Item, err error) {
	found, err := v.getJSON(itemBucket, id[:], &item)
	if err != nil {
		return item, err
	}
	if !found {
		return item, fmt.Errorf("item %s: %w", id, ErrNotFound)
	}
	if item.State != document.Queued {
		return item, nil
	}
	submission, err := v.submission()
	if err != nil {
		return item, err
	}
	if submission.Has(id) {
		item.State, item.TxID = document.Submitted, submission.TxID
	}
	return item, nil
}

// Header returns the age header of an item's sealed payload.
func (db *DB) Header(id document.ItemID) (header []byte, err error) {
	err = db.view(func(v view) error {
		sealed := v.bucket(headerBucket).Get(id[:])
		if sealed == nil {
			return fmt.Errorf("header of item %s: %w", id, ErrNotFound)
		}
		header, err = v.sealer.OpenHeader(id, sealed)
		return err
	})
	return header, err
}

// Items calls f for every item in the order of reception, until f returns false.
func (db *DB) Items(f func(document.Item) bool) error {
	return db.view(func(v view) error {
		cursor := v.bucket(itemBucket).Cursor()
		for key, _ := cursor.First(); key != nil; key, _ = cursor.Next() {
			item, err := v.item(document.ItemID(key))
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

// HasRoot says whether a group commit with this pin root was made durable.
func (db *DB) HasRoot(root record.CID) (found bool, err error) {
	err = db.view(func(v view) error {
		found = v.bucket(rootBucket).Get(root[:]) != nil
		return nil
	})
	return found, err
}
