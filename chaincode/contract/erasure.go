package contract

import (
	"fmt"
	"slices"
	"time"

	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Erasure is the contract of who asks for the erasure of a record, and of what forbids it. The erasure itself is a decision
// of two people.
type Erasure struct {
	contractapi.Contract
}

func newErasure() *Erasure {
	e := &Erasure{}
	e.Name = "erasure"
	e.Info.Title = "Requests for erasure, and legal holds"
	return e
}

// Request asks the institution to erase a record (record.RecordName).
func (e *Erasure) Request(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActRequestErasure, request, requestErasure)
}

// Hold forbids to erase a record (record.LegalHoldChange).
func (e *Erasure) Hold(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActLegalHold, request, hold)
}

// EndHold ends what Hold did (record.LegalHoldChange). It takes the institution itself, not its staff.
func (e *Erasure) EndHold(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActEndLegalHold, request, endHold)
}

func requestErasure(tx *transaction, q record.RecordName) (any, error) {
	basis, err := tx.mayRequestErasure(q)
	if err != nil {
		return nil, err
	}
	status, err := tx.statusOf(q)
	switch {
	case err != nil:
		return nil, err
	case status.Erasure == record.ErasureRequested:
		return nil, record.Errorf(record.Exists, "the erasure was requested already: the institution has to answer")
	case status.Erasure == record.ErasureDone:
		return nil, record.Errorf(record.Exists, "the record was erased already")
	}
	status.Erasure, status.ErasureAt, status.Refusal = record.ErasureRequested, tx.now, ""
	tx.audit(record.AuditEntry{Patient: q.Patient, Basis: basis, Record: q.Record})
	return nil, tx.putStatus(status)
}

// mayRequestErasure says by which right the caller asks: as the patient, or as a representative whose scope has the record.
// A scope of kinds does not say so, for nothing here tells the record's kind.
func (tx *transaction) mayRequestErasure(q record.RecordName) (record.Basis, error) {
	if err := tx.caller.require(record.PatientRole, record.RepresentativeRole); err != nil {
		return record.NoBasis, err
	}
	p, _, err := tx.patient(q.Patient)
	if err != nil {
		return record.NoBasis, err
	}
	basis, representative, err := actsFor(tx, p, tx.caller.participant.ID, tx.now)
	if err != nil {
		return basis, err
	}
	if basis == record.NoBasis || representative != nil && !representative.Scope.Covers(q.Record, 0) {
		return basis, record.Errorf(record.Forbidden, "only the patient, or who represents them in all or in this record, "+
			"asks for its erasure")
	}
	return basis, nil
}

func hold(tx *transaction, q record.LegalHoldChange) (any, error) {
	if err := tx.caller.requireOffice(q.Patient.Institution()); err != nil {
		return nil, err
	}
	status, err := tx.statusOf(q.RecordName)
	switch {
	case err != nil:
		return nil, err
	case slices.ContainsFunc(status.Holds, func(h record.LegalHold) bool { return h.Reason == q.Reason }):
		return nil, record.Errorf(record.Exists, "the record is held for this reason already")
	}
	status.Holds = append(status.Holds, record.LegalHold{
		Reason: q.Reason, By: tx.caller.participant.ID, Since: tx.now,
	})
	tx.audit(record.AuditEntry{Patient: q.Patient, Basis: record.BasisInstitution, Record: q.Record})
	return nil, tx.putStatus(status)
}

func endHold(tx *transaction, q record.LegalHoldChange) (any, error) {
	if err := tx.caller.requireOf(q.Patient.Institution(), record.InstitutionRole); err != nil {
		return nil, err
	}
	status, err := tx.statusOf(q.RecordName)
	if err != nil {
		return nil, err
	}
	n := len(status.Holds)
	status.Holds = slices.DeleteFunc(status.Holds, func(h record.LegalHold) bool { return h.Reason == q.Reason })
	if len(status.Holds) == n {
		return nil, record.Errorf(record.NotFound, "the record is not held for this reason")
	}
	tx.audit(record.AuditEntry{Patient: q.Patient, Basis: record.BasisInstitution, Record: q.Record})
	return nil, tx.putStatus(status)
}

// statusOf gives what became of a record: nothing yet, if the ledger has no status.
func (tx *transaction) statusOf(q record.RecordName) (record.RecordStatus, error) {
	status, found, err := load[record.RecordStatus](tx, record.StatusKey(q.Patient, q.Record))
	if !found {
		status = record.RecordStatus{V: record.SchemaVersion, Patient: q.Patient, Record: q.Record}
	}
	return status, err
}

func (tx *transaction) putStatus(s record.RecordStatus) error {
	return tx.put(record.StatusKey(s.Patient, s.Record), s)
}

// refuseErasure answers a request for erasure.
func (tx *transaction) refuseErasure(q record.ErasureRefusal) error {
	status, err := tx.statusOf(q.RecordName)
	switch {
	case err != nil:
		return err
	case status.Erasure != record.ErasureRequested:
		return record.Errorf(record.WrongState, "nobody waits for an answer: there is no open request for this erasure")
	case q.Reason == record.RefusedByHold && len(status.Holds) == 0:
		return record.Errorf(record.WrongState, "no legal hold stands: record it first, or give the true reason")
	}
	status.Erasure, status.ErasureAt, status.Refusal = record.ErasureRefused, tx.now, q.Reason
	return tx.putStatus(status)
}

// erase replaces the institution's own documents and copies by tombstones. What was erased before is left as it is.
func (tx *transaction) erase(q record.Erasure) error {
	status, err := tx.statusOf(q.RecordName)
	if err != nil {
		return err
	}
	if len(status.Holds) > 0 {
		return record.Errorf(record.Held, "a legal hold stands (%s): refuse the request, or have the institution end it",
			status.Holds[0].Reason)
	}
	documents, err := tx.documentsToErase(q)
	if err != nil {
		return err
	}
	tombstone := record.Tombstone{Generation: q.Generation, Erasure: record.AnchoringID(tx.id)}
	erased, err := tx.eraseDocuments(documents, tombstone)
	if err != nil {
		return err
	}
	copies, err := tx.eraseCopies(q.Copies, tombstone)
	switch {
	case err != nil:
		return err
	case erased+copies == 0:
		return record.Errorf(record.Exists, "all of this was erased already")
	}
	if status.Erasure != record.ErasureDone {
		status.Erasure, status.ErasureAt, status.Refusal = record.ErasureDone, tx.now, ""
	}
	return tx.putStatus(status)
}

// documentsToErase gives the tags of the documents of the versions, if all of these may be erased.
func (tx *transaction) documentsToErase(q record.Erasure) ([]record.Tag, error) {
	retention, err := tx.retention()
	if err != nil {
		return nil, err
	}
	var tags []record.Tag
	for _, name := range q.Versions {
		v, err := tx.versionToErase(q.RecordName, name, retention)
		if err != nil {
			return nil, err
		}
		for _, d := range v.Documents {
			tags = append(tags, d.Tag)
		}
	}
	if len(tags) > record.MaxErasureDocuments {
		return nil, record.Errorf(record.BadRequest, "the versions have %d documents: erase at most %d at once", len(tags),
			record.MaxErasureDocuments)
	}
	return tags, nil
}

// retention gives the retention periods of the caller's institution.
func (tx *transaction) retention() ([]record.Retention, error) {
	p, _, err := load[record.Participant](tx, record.ParticipantKey(tx.caller.institution))
	if err != nil || p.Institution == nil {
		return nil, err
	}
	return p.Institution.Retention, nil
}

// versionToErase gives a version that the caller's institution anchored and need not keep any longer.
func (tx *transaction) versionToErase(q record.RecordName, name record.Tag, retention []record.Retention,
) (v record.AnchoredVersion, err error) {
	key := record.VersionKey(q.Patient, q.Record, name)
	value, err := tx.raw(key)
	if err != nil {
		return v, err
	}
	if v, err = versionAt(key, value); err != nil {
		return v, err
	}
	anchoring, err := anchoringOf(tx.stub, v.Anchoring)
	switch {
	case err != nil:
		return v, err
	case anchoring.MSPID != tx.caller.mspID:
		return v, record.Errorf(record.BadRequest, "another institution anchored the version %s, and holds it: erase your "+
			"own copies of its documents", name)
	}
	if end := keptUntil(v, anchoring, retention); tx.now.Before(end) {
		return v, record.Errorf(record.Held, "the retention period of a version of kind %s lasts until %s: refuse the "+
			"request, or erase then", v.Kind, end.Format(time.DateOnly))
	}
	return v, nil
}

// keptUntil is when a version's retention period ends; it begins with the version's date, or if that is unknown with its
// anchoring.
func keptUntil(v record.AnchoredVersion, anchoring record.Anchoring, retention []record.Retention) time.Time {
	begin := v.Date
	if begin.IsZero() {
		begin = anchoring.Time
	}
	for _, r := range retention {
		if r.Kind == v.Kind {
			return begin.AddDate(r.Years, 0, 0)
		}
	}
	return time.Time{}
}

// eraseDocuments writes the tombstones, and says how many.
func (tx *transaction) eraseDocuments(tags []record.Tag, tombstone record.Tombstone) (int, error) {
	keys := make([]string, 0, len(tags))
	for _, t := range tags {
		keys = append(keys, record.DocumentKey(t))
	}
	values, err := readStates(tx.stub, keys)
	if err != nil {
		return 0, err
	}
	n := 0
	for i, value := range values {
		d, err := record.DecodeDocument(value)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", keys[i], err)
		}
		if d.Erased() {
			continue
		}
		tx.writes = append(tx.writes, pending{
			key: keys[i], value: record.StoredDocument{Tombstone: tombstone}.Encode(),
		})
		n++
	}
	return n, nil
}

// eraseCopies writes the tombstones of the institution's copies, and says how many.
func (tx *transaction) eraseCopies(tags []record.Tag, tombstone record.Tombstone) (int, error) {
	n := 0
	for _, t := range tags {
		key := record.HoldingKey(tx.caller.institution.Institution(), t)
		value, err := tx.raw(key)
		if err != nil {
			return 0, err
		}
		if len(value) == 0 {
			return 0, record.Errorf(record.NotFound, "the institution holds no copy of the document %s: check its tag", t)
		}
		h, err := record.DecodeHolding(value)
		if err != nil {
			return 0, err
		}
		if h.Erased() {
			continue
		}
		tx.writes = append(tx.writes, pending{
			key: key, value: record.StoredHolding{Tombstone: tombstone}.Encode(),
		})
		n++
	}
	return n, nil
}
