package index

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Get gives what stands under a key of the ledger; found is false if nothing does.
func (x *Index) Get(key string) (c Change, found bool, err error) {
	err = x.view(func(v view) error {
		c, found, err = v.get(key)
		return err
	})
	if c.Deleted {
		return Change{}, false, err
	}
	return c, found, err
}

// Range calls f for what stands under the keys in [start, end), in their order, until f returns false.
func (x *Index) Range(start, end string, f func(Change) bool) error {
	return x.view(func(v view) error {
		return v.each(start, end, func(c Change) (bool, error) { return f(c), nil })
	})
}

func (v view) each(start, end string, f func(Change) (more bool, err error)) error {
	cursor := v.tx.Bucket(stateBucket).Cursor()
	for key, sealed := cursor.Seek([]byte(start)); key != nil && bytes.Compare(key, []byte(end)) < 0; key, sealed = cursor.Next() {
		c, err := v.open(key, sealed)
		if err != nil {
			return err
		}
		if c.Deleted {
			continue
		}
		if more, err := f(c); err != nil || !more {
			return err
		}
	}
	return nil
}

// Since calls f for each key that was written in this block or after it, deleted ones too, until f returns false: once, with
// the last write, in the order of the chain. Who goes on from the block after the last that they saw misses nothing.
func (x *Index) Since(block uint64, f func(Change) bool) error {
	return x.view(func(v view) error {
		cursor := v.tx.Bucket(changeBucket).Cursor()
		for place, key := cursor.Seek(Place{Block: block}.key()); place != nil; place, key = cursor.Next() {
			c, _, err := v.get(string(key))
			if err != nil || !f(c) {
				return err
			}
		}
		return nil
	})
}

// Held is the number of documents on the channel by the member (MSP ID) that anchored them.
func (x *Index) Held() (held map[string]int64, err error) {
	err = x.view(func(v view) error {
		held, err = v.held()
		return err
	})
	return held, err
}

// Anchored is an anchoring, and where it stands.
type Anchored struct {
	record.Anchoring
	Place
}

// anchored gives an anchoring; zero if it is not there.
func (v view) anchored(id record.AnchoringID) (Anchored, error) {
	c, found, err := v.get(record.AnchoringKey(id))
	if err != nil || !found {
		return Anchored{}, err
	}
	a, err := record.DecodeAnchoring(c.Value)
	if err != nil {
		return Anchored{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return Anchored{a, c.Place}, nil
}

// Document gives a document and the anchoring that brought it. One that was erased is not found.
func (x *Index) Document(tag record.Tag) (d record.Document, at Anchored, found bool, err error) {
	err = x.view(func(v view) error {
		c, there, err := v.get(record.DocumentKey(tag))
		if err != nil || !there || c.Deleted {
			return err
		}
		stored, err := record.DecodeDocument(c.Value)
		if err != nil || stored.Erased() {
			return err
		}
		d, found = record.Document{Tag: tag, CID: stored.CID, VariantOf: stored.VariantOf}, true
		at, err = v.anchored(stored.Anchoring)
		return err
	})
	return d, at, found, err
}

// Version is one version of a record, and where it stands. Its documents have nothing but their tags.
type Version struct {
	record.AnchoredVersion
	Place
}

// Versions calls f for every version of every record with its anchoring, until f returns false: by patient and record, and
// those of a record in the order of the chain.
func (x *Index) Versions(f func(Version, Anchored) bool) error {
	start, end := record.VersionRange()
	return x.view(func(v view) error {
		var together []Version // of one record
		err := v.each(start, end, func(c Change) (bool, error) {
			next, err := record.DecodeVersion(c.Key, c.Value)
			if err != nil {
				return false, err
			}
			if len(together) > 0 && (together[0].Record != next.Record || together[0].Patient != next.Patient) {
				whole := together
				together = nil
				if more, err := v.tell(whole, f); err != nil || !more {
					return false, err
				}
			}
			together = append(together, Version{next, c.Place})
			return true, nil
		})
		if err != nil {
			return err
		}
		_, err = v.tell(together, f)
		return err
	})
}

// VersionsOf gives the versions of a record, in the order of the chain.
func (x *Index) VersionsOf(patient record.Reference, rec record.Tag) (versions []Version, err error) {
	start, end := record.RecordRange(patient, rec)
	err = x.view(func(v view) error {
		return v.each(start, end, func(c Change) (bool, error) {
			version, err := record.DecodeVersion(c.Key, c.Value)
			versions = append(versions, Version{version, c.Place})
			return true, err
		})
	})
	slices.SortFunc(versions, func(a, b Version) int { return a.Compare(b.Place) })
	return versions, err
}

func (v view) tell(versions []Version, f func(Version, Anchored) bool) (more bool, err error) {
	slices.SortFunc(versions, func(a, b Version) int { return a.Compare(b.Place) })
	for _, version := range versions {
		at, err := v.anchored(version.Anchoring)
		if err != nil || !f(version, at) {
			return false, err
		}
	}
	return true, nil
}
