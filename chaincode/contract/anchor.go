package contract

import (
	"fmt"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

// addition is what a batch's version brings that is new: the version with only its new documents.
type addition struct {
	index   int // in the batch
	version record.Version
}

// anchor brings a batch to the ledger. What is there already is left as it is, and said so in the result: deliveries
// may repeat. A version is written with those of its documents that are new; with none, it is not written.
func anchor(stub shim.ChaincodeStubInterface) (record.Result, error) {
	mspID, err := requireRole(stub, record.ApplianceRole)
	if err != nil {
		return record.Result{}, err
	}
	batch, err := transientBatch(stub)
	if err != nil {
		return record.Result{}, err
	}
	anchoring, err := thisAnchoring(stub, mspID)
	if err != nil {
		return record.Result{}, err
	}
	outcomes, additions, err := compare(stub, batch)
	if err != nil {
		return record.Result{}, err
	}
	if len(additions) > 0 {
		if err := checkAbsent(stub, anchoring, additions); err != nil {
			return record.Result{}, err
		}
		if err := write(stub, anchoring, additions); err != nil {
			return record.Result{}, err
		}
	}
	event := record.Anchored{ID: anchoring.ID, Versions: len(additions)}
	for _, o := range outcomes {
		switch o {
		case record.Created:
			event.Created++
		case record.Existing:
			event.Existing++
		case record.Conflict:
			event.Conflict++
		}
	}
	if err := stub.SetEvent(record.AnchoredEvent, event.Encode()); err != nil {
		return record.Result{}, fmt.Errorf("set event: %w", err)
	}
	return record.Result{Outcomes: outcomes}, nil
}

func transientBatch(stub shim.ChaincodeStubInterface) (record.Batch, error) {
	transient, err := stub.GetTransient()
	if err != nil {
		return record.Batch{}, fmt.Errorf("read transient data: %w", err)
	}
	wire, found := transient[record.BatchField]
	if !found {
		return record.Batch{}, record.Errorf(record.BadRequest, "no batch: send it as transient data under %q",
			record.BatchField)
	}
	return record.DecodeBatch(wire)
}

// thisAnchoring describes the running transaction.
func thisAnchoring(stub shim.ChaincodeStubInterface, mspID string) (record.Anchoring, error) {
	txID, err := record.ParseTxID(stub.GetTxID())
	if err != nil {
		return record.Anchoring{}, err
	}
	stamp, err := stub.GetTxTimestamp()
	if err != nil {
		return record.Anchoring{}, fmt.Errorf("read transaction's timestamp: %w", err)
	}
	return record.Anchoring{ID: txID.AnchoringID(), TxID: txID, MSPID: mspID, Time: stamp.AsTime()}, nil
}

// compare finds the outcome of each of the batch's documents, and what is new.
func compare(stub shim.ChaincodeStubInterface, batch record.Batch) ([]record.Outcome, []addition, error) {
	keys := make([]string, 0, batch.Documents())
	for _, v := range batch.Versions {
		for _, d := range v.Documents {
			keys = append(keys, record.DocumentKey(d.Tag))
		}
	}
	values, err := readStates(stub, keys)
	if err != nil {
		return nil, nil, err
	}
	outcomes := make([]record.Outcome, 0, len(keys))
	var additions []addition
	for i, v := range batch.Versions {
		var created []record.Document
		for _, d := range v.Documents {
			o, err := outcome(d, values[len(outcomes)])
			if err != nil {
				return nil, nil, err
			}
			if o == record.Created {
				created = append(created, d)
			}
			outcomes = append(outcomes, o)
		}
		if len(created) > 0 {
			v.Documents = created
			additions = append(additions, addition{i, v})
		}
	}
	return outcomes, additions, nil
}

// outcome compares a document with the value under its key; empty if there is none.
func outcome(d record.Document, value []byte) (record.Outcome, error) {
	if len(value) == 0 {
		return record.Created, nil
	}
	stored, err := record.DecodeDocument(value)
	if err != nil {
		return 0, err
	}
	if stored.CID != d.CID {
		return record.Conflict, nil
	}
	return record.Existing, nil
}

// checkAbsent refuses what would overwrite a version or an anchoring, or leave out a version's number. It reads those
// keys, so that of two concurrent transactions that pass here only one becomes valid.
func checkAbsent(stub shim.ChaincodeStubInterface, anchoring record.Anchoring, additions []addition) error {
	keys := []string{record.AnchoringKey(anchoring.ID)}
	added := make(map[string]bool, len(additions))
	for _, a := range additions {
		key := record.VersionKey(a.version.Patient, a.version.Record, a.version.Number)
		added[key] = true
		keys = append(keys, key)
	}
	var before []addition // whose predecessor must be on the ledger
	for _, a := range additions {
		key := record.VersionKey(a.version.Patient, a.version.Record, a.version.Number-1)
		if a.version.Number > 1 && !added[key] {
			before = append(before, a)
			keys = append(keys, key)
		}
	}
	values, err := readStates(stub, keys)
	if err != nil {
		return err
	}
	if len(values[0]) > 0 {
		return record.Errorf(record.AnchoringConflict, "another transaction's ID begins alike: submit again")
	}
	for i, a := range additions {
		if len(values[1+i]) > 0 {
			return versionConflict(a, "is there already")
		}
	}
	for i, a := range before {
		if len(values[1+len(additions)+i]) == 0 {
			return versionConflict(a, "has no predecessor")
		}
	}
	return nil
}

func versionConflict(a addition, why string) error {
	return &record.Error{Code: record.VersionConflict, Index: a.index, Message: fmt.Sprintf(
		"version %d of the record %s: read the record's versions, renumber and submit again", a.version.Number, why)}
}

// write puts the anchoring, and each addition with its documents.
func write(stub shim.ChaincodeStubInterface, anchoring record.Anchoring, additions []addition) error {
	value, err := anchoring.Encode()
	if err != nil {
		return err
	}
	stub.StartWriteBatch()
	if err := stub.PutState(record.AnchoringKey(anchoring.ID), value); err != nil {
		return fmt.Errorf("write anchoring: %w", err)
	}
	for _, a := range additions {
		if err := writeVersion(stub, anchoring.ID, a.version); err != nil {
			return err
		}
	}
	if err := stub.FinishWriteBatch(); err != nil {
		return fmt.Errorf("write batch: %w", err)
	}
	return nil
}

func writeVersion(stub shim.ChaincodeStubInterface, id record.AnchoringID, v record.Version) error {
	stored := record.StoredVersion{Kind: v.Kind, Time: v.Time, Anchoring: id}
	for _, d := range v.Documents {
		stored.Documents = append(stored.Documents, d.Tag)
		value := record.StoredDocument{CID: d.CID, Anchoring: id, VariantOf: d.VariantOf}.Encode()
		if err := stub.PutState(record.DocumentKey(d.Tag), value); err != nil {
			return fmt.Errorf("write document: %w", err)
		}
	}
	key := record.VersionKey(v.Patient, v.Record, v.Number)
	if err := stub.PutState(key, stored.Encode()); err != nil {
		return fmt.Errorf("write version: %w", err)
	}
	return nil
}
