package state

import (
	"bytes"
	"slices"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// join counts an item that is queued now into its study, and marks it as late if that is stable.
func (v view) join(item *document.Item, now time.Time) error {
	item.Late = false
	if !ofStudy(item) {
		return nil
	}
	return v.changeStudy(nameOf(item), func(s *document.Study) {
		if s.First.IsZero() {
			s.First = now
		}
		s.Last = now
		s.Expected = max(s.Expected, item.Metadata.Expected)
		s.Waiting++
		if item.VariantOf.IsZero() {
			s.Instances++
		}
		if item.Late = !s.Stable.IsZero(); item.Late {
			s.Late++
		}
	})
}

// settleStudy notes that an item waits for the ledger no more. One that was refused is none of the study's: if a person brings it
// back, it joins anew.
func (v view) settleStudy(item *document.Item, refused bool) error {
	if !ofStudy(item) {
		return nil
	}
	return v.changeStudy(nameOf(item), func(s *document.Study) {
		s.Waiting = max(0, s.Waiting-1)
		if refused && item.VariantOf.IsZero() {
			s.Instances = max(0, s.Instances-1)
		}
		if refused && item.Late {
			s.Late = max(0, s.Late-1)
		}
	})
}

// ofStudy says whether an item is an instance of a study that is this institution's to call stable.
func ofStudy(item *document.Item) bool { return item.Kind == record.KindImaging && item.Copy == nil }

func nameOf(item *document.Item) record.RecordName {
	return record.RecordName{Patient: item.Patient, Record: item.Record}
}

func studyKey(name record.RecordName) []byte { return slices.Concat(name.Patient[:], name.Record[:]) }

// changeStudy changes a study, or makes it. One that is not stable stands among the open ones.
func (v view) changeStudy(name record.RecordName, change func(*document.Study)) error {
	key := studyKey(name)
	s := document.Study{Name: name}
	found, err := v.getJSON(studyBucket, key, &s)
	if err != nil {
		return err
	}
	change(&s)
	if !found {
		if err := v.bucket(openBucket).Put(key, []byte{}); err != nil {
			return err
		}
	}
	return v.putJSON(studyBucket, key, s)
}

// OpenStudies returns the studies that the ledger was not told are stable.
func (db *DB) OpenStudies() (studies []document.Study, err error) {
	err = db.view(func(v view) error {
		return v.bucket(openBucket).ForEach(func(key, _ []byte) error {
			var s document.Study
			if _, err := v.getJSON(studyBucket, bytes.Clone(key), &s); err != nil {
				return err
			}
			studies = append(studies, s)
			return nil
		})
	})
	return studies, err
}

// CallStable notes that no more instances are expected of these studies, and returns those of which that is so: what is queued
// from now on is late. One of which an instance waits for the ledger stays open.
func (db *DB) CallStable(names []record.RecordName, now time.Time) (called []record.RecordName, err error) {
	err = db.update(func(v view) error {
		called = nil
		for _, name := range names {
			err := v.changeStudy(name, func(s *document.Study) {
				if s.Stable.IsZero() && s.Waiting == 0 {
					s.Stable = now
				}
				if !s.Stable.IsZero() {
					called = append(called, name)
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return called, err
}

// StableTold notes that the ledger was told of these studies.
func (db *DB) StableTold(names []record.RecordName) error {
	return db.update(func(v view) error {
		for _, name := range names {
			if err := v.bucket(openBucket).Delete(studyKey(name)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Study returns a study; found is false if there is none.
func (db *DB) Study(name record.RecordName) (s document.Study, found bool, err error) {
	err = db.view(func(v view) error {
		found, err = v.getJSON(studyBucket, studyKey(name), &s)
		return err
	})
	return s, found, err
}
