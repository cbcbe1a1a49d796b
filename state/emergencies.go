package state

import (
	"bytes"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// AddEmergency keeps an emergency until it is on the ledger. Durable when it returns. ErrStated if another is kept under its
// ID.
func (db *DB) AddEmergency(e document.Emergency) error {
	return db.update(func(v view) error {
		var kept document.Emergency
		found, err := v.getJSON(emergencyBucket, e.ID[:], &kept)
		if err != nil {
			return err
		}
		if found && !bytes.Equal(kept.Message(), e.Message()) {
			return ErrStated
		}
		return v.putJSON(emergencyBucket, e.ID[:], e)
	})
}

// Emergencies returns those that are not on the ledger yet.
func (db *DB) Emergencies() (all []document.Emergency, err error) {
	err = db.view(func(v view) error {
		return v.bucket(emergencyBucket).ForEach(func(key, _ []byte) error {
			var e document.Emergency
			if _, err := v.getJSON(emergencyBucket, key, &e); err != nil {
				return err
			}
			all = append(all, e)
			return nil
		})
	})
	return all, err
}

// ForgetEmergency forgets an emergency that is on the ledger.
func (db *DB) ForgetEmergency(id record.ID) error {
	return db.update(func(v view) error { return v.bucket(emergencyBucket).Delete(id[:]) })
}

// Copies calls f for each item that is a copy of a document that another institution anchored, until f returns false.
func (db *DB) Copies(f func(document.Item) bool) error {
	var ids [][]byte
	err := db.view(func(v view) error {
		return v.bucket(copyBucket).ForEach(func(_, id []byte) error {
			ids = append(ids, bytes.Clone(id))
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		item, err := db.Item(document.ItemID(id))
		if err != nil || !f(item) {
			return err
		}
	}
	return nil
}
