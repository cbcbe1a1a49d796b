package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// begin marks everybody, for it is not known what was done before.
func (r *Releaser) begin() (err error) {
	if r.next, err = r.Index.Next(); err != nil {
		return err
	}
	return r.markAll()
}

// markAll marks everybody with a request, a grant, a link or a release.
func (r *Releaser) markAll() error {
	var references []record.Reference
	var failed error
	take := func(reference record.Reference, err error) bool {
		references = append(references, reference)
		failed = err
		return err == nil
	}
	start, end := record.RelationsRange()
	err := r.Index.Range(start, end, func(key string, _ []byte) bool {
		reference, _, err := record.ParseRelationKey(key)
		return take(reference, err)
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	start, end = record.ReleasesRange()
	err = r.Index.Range(start, end, func(key string, _ []byte) bool {
		reference, _, _, err := record.ParseReleaseKey(key)
		return take(reference, err)
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	start, end = record.PatientsRange(r.Institution)
	err = r.Index.Range(start, end, func(_ string, value []byte) bool {
		p, err := decode[record.Patient](value)
		if err == nil && len(p.Links) == 0 {
			return true
		}
		return take(p.Reference, err)
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	for _, reference := range references {
		if err := r.markLinked(reference); err != nil {
			return err
		}
	}
	return nil
}

// collect marks whom the blocks since the last time concern.
func (r *Releaser) collect() error {
	next, err := r.Index.Next()
	if err != nil {
		return err
	}
	var keys []string
	err = r.Index.Since(r.next, func(key string) bool {
		keys = append(keys, key)
		return true
	})
	if err != nil {
		return err
	}
	copied := make(map[record.Tag]bool)
	for _, key := range keys {
		if err := r.changed(key, copied); err != nil {
			return err
		}
	}
	if err := r.markCopied(copied); err != nil {
		return err
	}
	r.next = next
	r.waiting.Store(int64(len(r.dirty)))
	return nil
}

// changed marks whom a write of this key concerns. Documents of which this institution now holds a copy are added to copied.
func (r *Releaser) changed(key string, copied map[record.Tag]bool) error {
	switch {
	case record.IsRelationKey(key):
		patient, _, err := record.ParseRelationKey(key)
		if err != nil {
			return err
		}
		return r.markLinked(patient)
	case record.IsVersionKey(key):
		patient, rec, _, err := record.ParseVersionKey(key)
		if err != nil {
			return err
		}
		r.markRecord(patient, rec)
	case record.IsStatusKey(key):
		patient, _, err := record.ParseStatusKey(key)
		if err != nil {
			return err
		}
		r.mark(patient)
	case record.IsPatientKey(key):
		return r.patientChanged(key)
	case record.IsHoldingKey(key):
		institution, tag, err := record.ParseHoldingKey(key)
		if err == nil && institution == r.Institution {
			copied[tag] = true
		}
		return err
	case record.IsParticipantKey(key):
		return r.participantChanged(key)
	}
	return nil
}

// mark has all of a patient's releases looked at.
func (r *Releaser) mark(patient record.Reference) { r.subject(patient).whole = true }

// markRecord has what joined a record looked at.
func (r *Releaser) markRecord(patient record.Reference, rec record.Tag) {
	r.subject(patient).records[rec] = true
}

func (r *Releaser) subject(patient record.Reference) *subject {
	s := r.dirty[patient]
	if s == nil {
		s = &subject{records: make(map[record.Tag]bool)}
		r.dirty[patient] = s
	}
	s.refused = time.Time{}
	return s
}

// markLinked is mark, for a patient and every linked reference: a grant reaches over links.
func (r *Releaser) markLinked(patient record.Reference) error {
	r.mark(patient)
	p, found, err := get[record.Patient](r.Index, record.PatientKey(patient))
	if err != nil || !found {
		return err
	}
	for _, l := range p.Links {
		r.mark(l.To)
	}
	return nil
}

func (r *Releaser) patientChanged(key string) error {
	p, found, err := get[record.Patient](r.Index, key)
	if err != nil || !found {
		return err
	}
	return r.markLinked(p.Reference)
}

// markCopied marks the patients of these documents, of which this institution holds copies.
func (r *Releaser) markCopied(copied map[record.Tag]bool) error {
	if len(copied) == 0 {
		return nil
	}
	return r.Vault.Copies(func(held record.Tag, patient record.Reference, rec record.Tag) bool {
		if copied[held] {
			r.markRecord(patient, rec)
		}
		return true
	})
}

// participantChanged marks everybody with whom a participant has to do. Who got this institution's own appliance back has
// everything looked at: the contract refused whatever it asked meanwhile.
func (r *Releaser) participantChanged(key string) error {
	p, found, err := get[record.Participant](r.Index, key)
	if err != nil || !found {
		return err
	}
	if p.Role == record.ApplianceRole && p.Status == record.Active {
		if p.ID.Institution() == r.Institution {
			return r.markAll()
		}
		return r.markLinkedTo(p.ID.Institution())
	}
	patients, err := r.concernedBy(p)
	if err != nil {
		return err
	}
	for _, patient := range patients {
		if err := r.markLinked(patient); err != nil {
			return err
		}
	}
	return nil
}

// concernedBy gives the patients with whom a participant has to do.
func (r *Releaser) concernedBy(p record.Participant) (patients []record.Reference, err error) {
	var failed error
	start, end := record.RelationsRange()
	err = r.Index.Range(start, end, func(_ string, value []byte) bool {
		relation, err := decode[record.Relation](value)
		if err == nil && concerns(p, relation) {
			patients = append(patients, relation.Patient)
		}
		failed = err
		return err == nil
	})
	return patients, errors.Join(err, failed)
}

// concerns says whether a participant's change may change what a relation gives: the reader's, for their key may be another,
// or they are suspended; that of who approved it, for they may be nobody to approve now; and that of the patient's
// institution, for it may have switched referrals off.
func concerns(p record.Participant, relation record.Relation) bool {
	return relation.Participant == p.ID ||
		p.Role == record.InstitutionRole && p.ID.Institution() == relation.Patient.Institution() ||
		slices.ContainsFunc(relation.Grants, func(g record.Grant) bool { return slices.Contains(g.DecidedBy, p.ID) })
}

// markLinkedTo marks this institution's patients with a link to another: a new appliance there has to be given secrets.
func (r *Releaser) markLinkedTo(institution record.InstitutionPrefix) error {
	var failed error
	start, end := record.PatientsRange(r.Institution)
	err := r.Index.Range(start, end, func(_ string, value []byte) bool {
		p, err := decode[record.Patient](value)
		failed = err
		for _, l := range p.Links {
			if l.To.Institution() == institution {
				r.mark(p.Reference)
			}
		}
		return err == nil
	})
	return errors.Join(err, failed)
}

// markExpired marks the patients of releases whose time is over by this hospital's own clock.
func (r *Releaser) markExpired() error {
	var failed error
	start, end := record.ReleasesRange()
	err := r.Index.Range(start, end, func(key string, value []byte) bool {
		stored, err := record.DecodeRelease(value)
		if err == nil && stored.Institution == r.Institution && record.Over(stored.Until, r.Now()) {
			var patient record.Reference
			if patient, _, _, err = record.ParseReleaseKey(key); err == nil {
				r.mark(patient)
			}
		}
		failed = err
		return err == nil
	})
	return errors.Join(err, failed)
}

// get reads a JSON value of the index.
func get[T any](x Index, key string) (v T, found bool, err error) {
	value, found, err := x.Get(key)
	if err != nil || !found {
		return v, false, err
	}
	v, err = decode[T](value)
	return v, err == nil, err
}

func decode[T any](value []byte) (v T, err error) {
	if err := json.Unmarshal(value, &v); err != nil {
		return v, fmt.Errorf("read %T: %w", v, err)
	}
	return v, nil
}
