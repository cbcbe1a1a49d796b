package contract

import (
	"slices"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Withdraw says that a record was filed in error: nobody reads it any more (record.Correction). That there is such a
// record is not checked: only its versions have keys.
func (r *Records) Withdraw(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActWithdraw, request, withdraw)
}

// Refile says that the withdrawal was the error (record.Correction).
func (r *Records) Refile(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActRefile, request, refile)
}

// SetStable says that no more instances of records are expected (record.StableRecords). A record that is stable stays
// so since the first time.
func (r *Records) SetStable(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActStable, request, setStable)
}

// HoldCopy says that the caller's institution holds documents that another anchored before (record.Copies). Deliveries
// may repeat.
func (r *Records) HoldCopy(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActHoldCopy, request, holdCopies)
}

// Status gives what became of a record, as a record.RecordStatus that has nothing but the names if nothing did.
func (r *Records) Status(ctx contractapi.TransactionContextInterface, patient, rec string) (string, error) {
	return answer(statusByText(ctx.GetStub(), patient, rec))
}

func withdraw(tx *transaction, q record.Correction) (any, error) {
	return nil, tx.correct(q.RecordName, true)
}

func refile(tx *transaction, q record.Correction) (any, error) {
	return nil, tx.correct(q.RecordName, false)
}

// correct withdraws a record, or takes that back.
func (tx *transaction) correct(q record.RecordName, withdrawn bool) error {
	if err := tx.caller.requireOffice(q.Patient.Institution()); err != nil {
		return err
	}
	status, err := tx.statusOf(q)
	switch {
	case err != nil:
		return err
	case status.Erasure == record.ErasureDone:
		return record.Errorf(record.WrongState, "the record was erased: there is nothing to correct")
	case withdrawn && !status.Withdrawn.IsZero():
		return record.Errorf(record.WrongState, "the record is withdrawn already")
	case !withdrawn && status.Withdrawn.IsZero():
		return record.Errorf(record.WrongState, "the record is not withdrawn: there is nothing to take back")
	}
	status.Withdrawn = time.Time{}
	if withdrawn {
		status.Withdrawn = tx.now
	}
	tx.audit(record.AuditEntry{Patient: q.Patient, Basis: record.BasisInstitution, Record: q.Record})
	return tx.putStatus(status)
}

func setStable(tx *transaction, q record.StableRecords) (any, error) {
	for _, r := range q.Records {
		if err := tx.caller.requireOf(r.Patient.Institution(), record.ApplianceRole); err != nil {
			return nil, err
		}
	}
	for _, r := range q.Records {
		status, err := tx.statusOf(r)
		if err != nil {
			return nil, err
		}
		if !status.Stable.IsZero() {
			continue
		}
		status.Stable = tx.now
		tx.audit(record.AuditEntry{Patient: r.Patient, Basis: record.BasisAppliance, Record: r.Record})
		if err := tx.putStatus(status); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func holdCopies(tx *transaction, q record.Copies) (any, error) {
	if err := tx.mayHold(q); err != nil {
		return nil, err
	}
	var records []record.Tag // of which the institution holds more than before
	for _, c := range q.Copies {
		added, err := tx.holdCopy(q.Of, c)
		if err != nil {
			return nil, err
		}
		if added && !slices.Contains(records, c.Record) {
			records = append(records, c.Record)
		}
	}
	for _, r := range records {
		tx.audit(record.AuditEntry{Patient: q.Of, Basis: record.BasisAppliance, Record: r})
		if err := tx.addHolder(record.RecordName{Patient: q.Of, Record: r}); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// addHolder writes to a record of another institution's patient that the caller's institution holds copies of it.
func (tx *transaction) addHolder(q record.RecordName) error {
	us := tx.caller.institution.Institution()
	status, err := tx.statusOf(q)
	switch {
	case err != nil:
		return err
	case q.Patient.Institution() == us || slices.Contains(status.Holders, us):
		return nil
	case len(status.Holders) >= record.MaxHolders:
		return record.Errorf(record.WrongState, "%d other institutions hold copies of the record: no more can", len(status.Holders))
	}
	status.Holders = append(status.Holders, us)
	return tx.putStatus(status)
}

// mayHold refuses who is not the appliance of an institution with a linked patient.
func (tx *transaction) mayHold(q record.Copies) error {
	if err := tx.caller.requireOf(q.Patient.Institution(), record.ApplianceRole); err != nil {
		return err
	}
	p, _, err := tx.patient(q.Patient)
	if err == nil && !p.LinkedTo(q.Of) {
		err = errUnlinked()
	}
	return err
}

// holdCopy writes that the institution holds a copy, and says whether the ledger did not know.
func (tx *transaction) holdCopy(of record.Reference, c record.Copy) (added bool, err error) {
	if err := tx.requireCopyable(of, c); err != nil {
		return false, err
	}
	key := record.HoldingKey(tx.caller.institution.Institution(), c.Tag)
	value, err := tx.raw(key)
	if err != nil {
		return false, err
	}
	if len(value) > 0 {
		return false, sameCopy(c, value)
	}
	held := record.StoredHolding{CID: c.CID, Anchoring: record.AnchoringID(tx.id)}
	tx.writes = append(tx.writes, pending{key: key, value: held.Encode()})
	return true, nil
}

// sameCopy refuses a copy if another one stands on the ledger, or stood there.
func sameCopy(c record.Copy, value []byte) error {
	held, err := record.DecodeHolding(value)
	switch {
	case err != nil:
		return err
	case held.Erased():
		return record.Errorf(record.WrongState, "the institution's copy of the document %s was erased", c.Tag)
	case held.CID != c.CID:
		return record.Errorf(record.Exists, "the institution holds another copy of the document %s: keep that one", c.Tag)
	}
	return nil
}

// requireCopyable refuses a copy of a document that is not what it is said to be, is erased, or is the institution's
// own.
func (tx *transaction) requireCopyable(of record.Reference, c record.Copy) error {
	if err := tx.requireInVersion(of, c); err != nil {
		return err
	}
	value, err := tx.raw(record.DocumentKey(c.Tag))
	if err != nil {
		return err
	}
	d, err := record.DecodeDocument(value)
	if err != nil {
		return err
	}
	if d.Erased() {
		return record.Errorf(record.WrongState, "the document %s was erased", c.Tag)
	}
	anchoring, err := anchoringOf(tx.stub, d.Anchoring)
	if err == nil && anchoring.MSPID == tx.caller.mspID {
		err = record.Errorf(record.BadRequest, "the institution anchored the document %s itself: it has no other copy", c.Tag)
	}
	return err
}

// requireInVersion refuses a document that the version of the patient's record did not bring.
func (tx *transaction) requireInVersion(of record.Reference, c record.Copy) error {
	key := record.VersionKey(of, c.Record, c.Version)
	value, err := tx.raw(key)
	if err != nil {
		return err
	}
	v, err := versionAt(key, value)
	if err != nil {
		return err
	}
	return requireBrought(v, c.Tag)
}

// requireBrought refuses a document that a version did not bring.
func requireBrought(v record.AnchoredVersion, t record.Tag) error {
	if !slices.ContainsFunc(v.Documents, func(d record.Document) bool { return d.Tag == t }) {
		return record.Errorf(record.NotFound, "the version %s brought no document %s: check its tag", v.Name(), t)
	}
	return nil
}

func statusByText(stub shim.ChaincodeStubInterface, patient, rec string) (record.RecordStatus, error) {
	reference, err := record.ParseReference(patient)
	if err != nil {
		return record.RecordStatus{}, badArgument(err)
	}
	tag, err := record.ParseTag(rec)
	if err != nil {
		return record.RecordStatus{}, badArgument(err)
	}
	status, found, err := loadState[record.RecordStatus](stub, record.StatusKey(reference, tag))
	if !found {
		status = record.RecordStatus{V: record.SchemaVersion, Patient: reference, Record: tag}
	}
	return status, err
}
