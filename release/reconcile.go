package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// reconcile brings the releases of one patient's records in line with the ledger. block is that of the last transaction.
func (r *Releaser) reconcile(ctx context.Context, patient record.Reference, what *subject) (block uint64, err error) {
	block, failed := r.reconcileReaders(ctx, patient, what)
	if failed != nil && !passes(failed) || !what.whole {
		return block, failed
	}
	at, err := r.handOver(ctx, patient)
	return max(block, at), worse(err, failed)
}

func (r *Releaser) reconcileReaders(ctx context.Context, patient record.Reference, what *subject) (block uint64, err error) {
	readers, err := r.readers(patient)
	if err != nil || len(readers) == 0 {
		return 0, err
	}
	h, err := r.history(patient)
	if err != nil {
		return 0, err
	}
	var failed error
	for _, reader := range readers {
		at, err := r.reconcileReader(ctx, h, reader, what)
		block = max(block, at)
		if err != nil && !passes(err) {
			return block, err
		}
		failed = worse(err, failed)
	}
	return block, failed
}

// history is a patient's, with what this appliance holds of it.
type history struct {
	patient  record.Reference
	versions []heldVersion
}

// heldVersion is a version with those of its documents that this appliance holds, and the rest.
type heldVersion struct {
	record, name record.Tag
	kind         record.Kind
	documents    []Key
	rest         []record.Tag
}

func (r *Releaser) history(patient record.Reference) (h history, err error) {
	h.patient = patient
	var versions []record.AnchoredVersion
	var failed error
	start, end := record.PatientRange(patient)
	err = r.Index.Range(start, end, func(key string, value []byte) bool {
		v, err := record.DecodeVersion(key, value)
		versions = append(versions, v)
		failed = err
		return err == nil
	})
	if err := errors.Join(err, failed); err != nil {
		return h, err
	}
	for _, v := range versions {
		held := heldVersion{record: v.Record, name: v.Name(), kind: v.Kind}
		for _, d := range v.Documents {
			document, found, err := r.Vault.Held(d.Tag)
			if err != nil {
				return h, fmt.Errorf("look for document %s: %w", d.Tag, err)
			}
			if found {
				held.documents = append(held.documents, Key{v.Record, held.name, d.Tag, document})
			} else {
				held.rest = append(held.rest, d.Tag)
			}
		}
		h.versions = append(h.versions, held)
	}
	return h, nil
}

// readers are who may have a right, or have a release of ours. Readers of this institution need none: they read here.
func (r *Releaser) readers(patient record.Reference) (readers []record.ParticipantID, err error) {
	add := func(id record.ParticipantID) {
		if !slices.Contains(readers, id) {
			readers = append(readers, id)
		}
	}
	p, _, err := get[record.Patient](r.Index, record.PatientKey(patient))
	if err != nil {
		return nil, err
	}
	under := []record.Reference{patient}
	for _, l := range p.Links {
		under = append(under, l.To)
	}
	for _, reference := range under {
		var failed error
		start, end := record.RelationRange(reference)
		err := r.Index.Range(start, end, func(_ string, value []byte) bool {
			relation, err := decode[record.Relation](value)
			if err == nil && relation.Participant.Institution() != r.Institution && r.readable(relation) {
				add(relation.Participant)
			}
			failed = err
			return err == nil
		})
		if err := errors.Join(err, failed); err != nil {
			return nil, err
		}
	}
	mine, err := r.releases(record.PatientReleaseRange(patient))
	for _, m := range mine {
		add(m.recipient)
	}
	return readers, err
}

// readable says whether a relation may give a right to read now.
func (r *Releaser) readable(relation record.Relation) bool {
	return slices.ContainsFunc(relation.Grants, func(g record.Grant) bool { return g.Mode == record.Read && g.Live(r.Now()) })
}

// mine is a release that this institution made.
type mine struct {
	record.StoredRelease
	recipient record.ParticipantID
	id        record.ID
}

// releases gives the releases of this institution in a range of keys.
func (r *Releaser) releases(start, end string) (all []mine, err error) {
	var failed error
	err = r.Index.Range(start, end, func(key string, value []byte) bool {
		var m mine
		m.StoredRelease, failed = record.DecodeRelease(value)
		if failed == nil {
			_, m.recipient, m.id, failed = record.ParseReleaseKey(key)
		}
		if failed == nil && m.Institution == r.Institution {
			all = append(all, m)
		}
		return failed == nil
	})
	return all, errors.Join(err, failed)
}

// due is the right by which a key is to be released.
type due struct {
	grant record.ID
	until time.Time
}

// reconcileReader ends what is not due to a reader any more, and releases what is. Ending comes first.
func (r *Releaser) reconcileReader(ctx context.Context, h history, reader record.ParticipantID, what *subject,
) (block uint64, err error) {
	there, err := r.releases(record.ReleaseRange(h.patient, reader))
	if err != nil {
		return 0, err
	}
	participant, _, err := get[record.Participant](r.Index, record.ParticipantKey(reader))
	if err != nil {
		return 0, err
	}
	looked, dues, err := r.dues(ctx, h, participant, there, what)
	if err != nil {
		return 0, err
	}
	kept := make(map[record.Tag]bool)
	var ended []record.ReleaseName
	gone := 0
	for _, m := range there {
		if m.standing(record.KeyIDOf(participant.EncryptionKey), looked, dues) {
			for _, tag := range m.Documents {
				kept[tag] = true
			}
			continue
		}
		ended = append(ended, record.ReleaseName{Recipient: reader, ID: m.id})
		gone += len(m.Documents)
	}
	if len(ended) > 0 && !what.whole { // what else is in them has to be looked at as well
		what.whole = true
		return r.reconcileReader(ctx, h, reader, what)
	}
	if block, err = r.end(ctx, h.patient, ended); err != nil {
		return block, err
	}
	if gone > 0 {
		r.Released(-gone)
	}
	missing := make(map[due][]Key)
	for _, v := range h.versions {
		for _, d := range v.documents {
			if right, is := dues[d.Tag]; is && !kept[d.Tag] {
				missing[right] = append(missing[right], d)
			}
		}
	}
	at, err := r.give(ctx, h.patient, participant, missing)
	return max(block, at), err
}

// dues asks the contract which documents are due to a reader: of those that this appliance holds, or that were released. An
// institution may have several appliances, and one may have lost what it held: what was released of that stays, until it is
// due no more. Looked are those that were asked for: where nothing but new versions is to be looked at, what is released
// already stays.
func (r *Releaser) dues(ctx context.Context, h history, reader record.Participant, there []mine, what *subject,
) (looked map[record.Tag]bool, dues map[record.Tag]due, err error) {
	looked, dues = make(map[record.Tag]bool), make(map[record.Tag]due)
	released := make(map[record.Tag]bool)
	for _, m := range there {
		for _, tag := range m.Documents {
			released[tag] = true
			looked[tag] = what.whole // what is in no version, or is erased, is not due
		}
	}
	asked := make(map[question]record.Access)
	for _, v := range h.versions {
		if !what.whole && !what.records[v.record] {
			continue
		}
		tags, err := r.concerned(v, released)
		if err != nil {
			return nil, nil, err
		}
		if len(tags) == 0 {
			continue
		}
		access, err := r.askOnce(ctx, asked, reader, h.patient, v)
		if err != nil {
			return nil, nil, err
		}
		for _, tag := range tags {
			looked[tag] = true
			if access.Allowed {
				dues[tag] = due{access.Grant, access.Until}
			}
		}
	}
	return looked, dues, nil
}

// concerned are the documents of a version that are held here, and those that were released and are not erased.
func (r *Releaser) concerned(v heldVersion, released map[record.Tag]bool) (tags []record.Tag, err error) {
	for _, d := range v.documents {
		tags = append(tags, d.Tag)
	}
	for _, tag := range v.rest {
		if !released[tag] {
			continue
		}
		there, err := r.anchored(tag)
		if err != nil {
			return nil, err
		}
		if there {
			tags = append(tags, tag)
		}
	}
	return tags, nil
}

// anchored says whether this institution has a document on the ledger, which it did not erase: as it anchored it, or as its
// copy.
func (r *Releaser) anchored(tag record.Tag) (bool, error) {
	value, found, err := r.Index.Get(record.HoldingKey(r.Institution, tag))
	if err != nil {
		return false, err
	}
	if found {
		held, err := record.DecodeHolding(value)
		return err == nil && !held.Erased(), err
	}
	value, found, err = r.Index.Get(record.DocumentKey(tag))
	if err != nil || !found {
		return false, err
	}
	d, err := record.DecodeDocument(value)
	return err == nil && !d.Erased(), err
}

// question is what decides about a version.
type question struct {
	record record.Tag
	kind   record.Kind
}

// askOnce is ask, for what is not among the answers so far.
func (r *Releaser) askOnce(ctx context.Context, asked map[question]record.Access, reader record.Participant,
	patient record.Reference, v heldVersion,
) (access record.Access, err error) {
	q := question{v.record, v.kind}
	access, known := asked[q]
	if !known {
		access, err = r.ask(ctx, reader, patient, v)
		asked[q] = access
	}
	return access, err
}

// ask has the contract decide, and holds its answer against this hospital's own clock.
func (r *Releaser) ask(ctx context.Context, reader record.Participant, patient record.Reference, v heldVersion,
) (record.Access, error) {
	if reader.ID.IsZero() || reader.Status != record.Active || len(reader.EncryptionKey) == 0 {
		return record.Access{}, nil
	}
	name := record.RecordName{Patient: patient, Record: v.record}
	access, err := r.Ledger.CheckAccess(ctx, reader.ID, name, v.name)
	if err != nil {
		return access, &ledgerError{err: err}
	}
	// Who is in charge of the patient elsewhere reads what is held there: nothing is released for that.
	if access.Basis == record.BasisSupervision || record.Over(access.Until, r.Now()) {
		return record.Access{}, nil
	}
	return access, nil
}

// standing says whether a release is still as it should be: sealed to the reader's key, and each document due by the same
// right.
func (m mine) standing(key record.KeyID, looked map[record.Tag]bool, dues map[record.Tag]due) bool {
	if m.Key != key {
		return false
	}
	for _, tag := range m.Documents {
		right, is := dues[tag]
		if looked[tag] && (!is || right.grant != m.Grant || !right.until.Equal(m.Until)) {
			return false
		}
	}
	return true
}

// end ends releases.
func (r *Releaser) end(ctx context.Context, patient record.Reference, names []record.ReleaseName) (block uint64, err error) {
	for some := range slices.Chunk(names, record.MaxEndedReleases) {
		at, err := r.Ledger.EndReleases(ctx, record.ReleaseEnd{Patient: patient, Releases: some})
		if err != nil {
			return block, &ledgerError{err: err}
		}
		block = max(block, at)
		r.Log.Info("releases ended", "reader", some[0].Recipient, "releases", len(some))
	}
	return block, nil
}

// give releases keys to a reader, those of one right together. One that is refused leaves the others.
func (r *Releaser) give(ctx context.Context, patient record.Reference, reader record.Participant, missing map[due][]Key,
) (block uint64, err error) {
	var failed error
	for right, keys := range missing {
		q := record.Release{
			Patient: patient, Recipient: reader.ID, Grant: right.grant, Key: record.KeyIDOf(reader.EncryptionKey),
			Until: right.until,
		}
		for some := range batches(keys) {
			sealed, err := r.Ledger.Seal(q, right.until, reader, some)
			if err != nil {
				// Nothing helps but another key of the reader's, of which the ledger tells.
				r.Log.Error("keys cannot be sealed to a reader: they have to replace their key", "reader", reader.ID, "err", err)
				return block, failed
			}
			at, err := r.Ledger.Release(ctx, q, sealed)
			if err != nil {
				failed = worse(r.refused(reader.ID, err), failed)
				if failed != nil && !passes(failed) {
					return block, failed
				}
				continue
			}
			block = max(block, at)
			r.Released(len(some))
			r.Log.Info("keys released", "reader", reader.ID, "keys", len(some))
		}
	}
	return block, failed
}

// refused passes on what may pass by itself. NotFound and WrongState may come of another member's peer that is some blocks
// behind. What else the contract refuses changes with the ledger: it is then looked at again.
func (r *Releaser) refused(reader record.ParticipantID, err error) error {
	refusal, ok := errors.AsType[*record.Error](err)
	switch {
	case !ok, refusal.Code == record.Internal, refusal.Code == record.AnchoringConflict:
		return &ledgerError{err: err}
	case refusal.Code == record.NotFound, refusal.Code == record.WrongState:
		return &ledgerError{err: err, passing: true}
	}
	r.Log.Warn("the ledger refused a release", "reader", reader, "err", err)
	return nil
}

// batches cuts keys into what one release takes.
func batches(keys []Key) func(yield func([]Key) bool) {
	return func(yield func([]Key) bool) {
		for len(keys) > 0 {
			n, size := 0, 0
			records := make(map[record.Tag]bool)
			for n < len(keys) && n < record.MaxReleaseDocuments {
				k := keys[n]
				size += len(k.Metadata) + 1
				records[k.Record] = true
				if n > 0 && (size > maxMetadata || len(records) > record.MaxReleaseRecords) {
					break
				}
				n++
			}
			if !yield(keys[:n]) {
				return
			}
			keys = keys[n:]
		}
	}
}

// maxMetadata leaves room for the padding and the AEAD's tag.
const maxMetadata = record.MaxReleaseMetadata - 1024
