package contract

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

// anchor brings a batch to the ledger. What is there already is left as it is, and said so in the result: deliveries
// may repeat. A version is written with those of its documents that are new, the first of which names it; with none, it is
// not written. Documents are in one version only, so that versions need not be looked for: who creates the documents has
// their names, and concurrent transactions disturb each other only where they bring the same document.
func anchor(stub shim.ChaincodeStubInterface) (record.Result, error) {
	who, err := identify(stub)
	if err != nil {
		return record.Result{}, err
	}
	if err := who.require(record.ApplianceRole); err != nil {
		return record.Result{}, err
	}
	batch, err := transientBatch(stub)
	if err != nil {
		return record.Result{}, err
	}
	anchoring, err := thisAnchoring(stub, who.mspID)
	if err != nil {
		return record.Result{}, err
	}
	if err := checkVersions(ledgerState{stub}, who, batch, anchoring.Time); err != nil {
		return record.Result{}, err
	}
	outcomes, err := compare(stub, who.mspID, documentsOf(batch))
	if err != nil {
		return record.Result{}, err
	}
	additions := newOf(batch, outcomes)
	if len(additions) > 0 {
		if err := write(stub, who, anchoring, additions); err != nil {
			return record.Result{}, err
		}
	}
	if err := stub.SetEvent(record.AnchoredEvent, eventOf(anchoring.ID, additions, outcomes).Encode()); err != nil {
		return record.Result{}, fmt.Errorf("set event: %w", err)
	}
	return record.Result{Outcomes: outcomes}, nil
}

// checkVersions refuses a batch with a version that the caller's institution may not add to the patient's history, and one
// whose author is none of its doctors.
func checkVersions(s state, who caller, batch record.Batch, now time.Time) error {
	var authors []record.ParticipantID // who are doctors here
	for i, v := range batch.Versions {
		if isOwn(who, v) && (v.Author.IsZero() || slices.Contains(authors, v.Author)) {
			continue
		}
		if err := mayAnchor(s, who, v, now); err != nil {
			if refused, ok := errors.AsType[*record.Error](err); ok {
				refused.Index = i
			}
			return err
		}
		authors = append(authors, v.Author)
	}
	return nil
}

// isOwn says whether a version is of a patient of the caller's institution.
func isOwn(who caller, v record.Version) bool {
	return v.Patient.Institution() == who.institution.Institution()
}

// mayAnchor refuses a version of another institution's patient, unless its author has the patient's grant to write; and one
// of an own patient by somebody who is no doctor here.
func mayAnchor(s state, who caller, v record.Version, now time.Time) error {
	if !isOwn(who, v) {
		ok, err := mayWrite(s, who.institution.Institution(), v, now)
		if err == nil && !ok {
			err = record.Errorf(record.Forbidden, "the patient is of another institution, and let no author of this one "+
				"write: it anchors for them")
		}
		return err
	}
	author, _, err := find[record.Participant](s, record.ParticipantKey(v.Author))
	if err == nil && (author.Role != record.DoctorRole || author.MSPID != who.mspID) {
		err = record.Errorf(record.BadRequest, "the author is no doctor of this institution")
	}
	return err
}

func eventOf(id record.AnchoringID, additions []record.Version, outcomes []record.Outcome) record.Anchored {
	event := record.Anchored{ID: id, Versions: len(additions)}
	for _, o := range outcomes {
		switch o {
		case record.Created:
			event.Created++
		case record.Existing:
			event.Existing++
		case record.Conflict:
			event.Conflict++
		case record.Erased:
			event.Erased++
		}
	}
	return event
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

// documentsOf gives the documents of all versions.
func documentsOf(batch record.Batch) []record.Document {
	documents := make([]record.Document, 0, batch.Documents())
	for _, v := range batch.Versions {
		documents = append(documents, v.Documents...)
	}
	return documents
}

// compare finds the outcome of each document, were it anchored: it is Existing if the caller's institution holds it.
func compare(stub shim.ChaincodeStubInterface, mspID string, documents []record.Document) ([]record.Outcome, error) {
	keys := make([]string, 0, len(documents))
	for _, d := range documents {
		keys = append(keys, record.DocumentKey(d.Tag))
	}
	values, err := readStates(stub, keys)
	if err != nil {
		return nil, err
	}
	outcomes := make([]record.Outcome, len(documents))
	brought := make([]record.AnchoringID, len(documents)) // by which anchoring; of existing ones
	for i, d := range documents {
		if outcomes[i], brought[i], err = outcome(d, values[i]); err != nil {
			return nil, err
		}
	}
	if err := doubtOthers(stub, mspID, brought, outcomes); err != nil {
		return nil, err
	}
	var others []int // places of the documents of which another's copy is there, or none any more
	for i, o := range outcomes {
		if o == record.Conflict || o == record.Erased {
			others = append(others, i)
		}
	}
	return outcomes, compareHoldings(stub, mspID, documents, others, outcomes)
}

// outcome compares a document with the value under its key; empty if there is none. Of an existing one it gives the
// anchoring.
func outcome(d record.Document, value []byte) (o record.Outcome, brought record.AnchoringID, err error) {
	if len(value) == 0 {
		return record.Created, brought, nil
	}
	stored, err := record.DecodeDocument(value)
	switch {
	case err != nil:
		return 0, brought, err
	case stored.Erased():
		return record.Erased, brought, nil
	case stored.CID != d.CID:
		return record.Conflict, brought, nil
	}
	return record.Existing, stored.Anchoring, nil
}

// doubtOthers makes a conflict of existing documents that another institution anchored. Sealing is random, so that no two
// have the same bytes: it saw them while it endorsed their batch, and was faster. Its document is not the caller's patient's.
func doubtOthers(stub shim.ChaincodeStubInterface, mspID string, brought []record.AnchoringID, outcomes []record.Outcome) error {
	var ids []record.AnchoringID
	var keys []string
	for _, id := range brought {
		if !id.IsZero() && !slices.Contains(ids, id) {
			ids, keys = append(ids, id), append(keys, record.AnchoringKey(id))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	values, err := readStates(stub, keys)
	if err != nil {
		return err
	}
	var theirs []record.AnchoringID
	for i, value := range values {
		a, err := record.DecodeAnchoring(value)
		if err != nil {
			return err
		}
		if a.MSPID != mspID {
			theirs = append(theirs, ids[i])
		}
	}
	for i, id := range brought {
		if slices.Contains(theirs, id) {
			outcomes[i] = record.Conflict
		}
	}
	return nil
}

// compareHoldings looks for copies that the caller's own institution holds of documents, named by their places, that
// another anchored before. Where there is one, it decides.
func compareHoldings(stub shim.ChaincodeStubInterface, mspID string, documents []record.Document, places []int,
	outcomes []record.Outcome,
) error {
	if len(places) == 0 {
		return nil
	}
	institution := record.InstitutionID(mspID).Institution()
	keys := make([]string, 0, len(places))
	for _, i := range places {
		keys = append(keys, record.HoldingKey(institution, documents[i].Tag))
	}
	values, err := readStates(stub, keys)
	if err != nil {
		return err
	}
	for n, i := range places {
		if len(values[n]) == 0 {
			continue
		}
		held, err := record.DecodeHolding(values[n])
		switch {
		case err != nil:
			return err
		case held.Erased():
			outcomes[i] = record.Erased
		case held.CID == documents[i].CID:
			outcomes[i] = record.Existing
		default:
			outcomes[i] = record.Conflict
		}
	}
	return nil
}

// newOf gives the batch's versions with only those of their documents that are new; without those that have none.
func newOf(batch record.Batch, outcomes []record.Outcome) []record.Version {
	var additions []record.Version
	for _, v := range batch.Versions {
		var created []record.Document
		for i, d := range v.Documents {
			if outcomes[i] == record.Created {
				created = append(created, d)
			}
		}
		outcomes = outcomes[len(v.Documents):]
		if len(created) > 0 {
			v.Documents = created
			additions = append(additions, v)
		}
	}
	return additions
}

// write puts the anchoring, and each addition with its documents. It reads the keys that have the transaction's ID, so that
// of two transactions whose IDs begin alike only one becomes valid.
func write(stub shim.ChaincodeStubInterface, who caller, anchoring record.Anchoring, additions []record.Version) error {
	entries, err := entriesOf(who, anchoring, additions)
	if err != nil {
		return err
	}
	key := record.AnchoringKey(anchoring.ID)
	keys := []string{key}
	for _, e := range entries {
		keys = append(keys, record.AuditKey(e.Patient, e.ID, e.Number))
	}
	if err := requireNone(stub, keys); err != nil {
		return err
	}
	value, err := anchoring.Encode()
	if err != nil {
		return err
	}
	stub.StartWriteBatch()
	if err := stub.PutState(key, value); err != nil {
		return fmt.Errorf("write anchoring: %w", err)
	}
	for _, v := range additions {
		if err := writeVersion(stub, record.AnchoredVersion{Version: v, Anchoring: anchoring.ID}); err != nil {
			return err
		}
	}
	if err := auditWriting(stub, entries); err != nil {
		return err
	}
	if err := stub.FinishWriteBatch(); err != nil {
		return fmt.Errorf("write batch: %w", err)
	}
	return nil
}

func writeVersion(stub shim.ChaincodeStubInterface, v record.AnchoredVersion) error {
	for _, d := range v.Documents {
		value := record.StoredDocument{CID: d.CID, Anchoring: v.Anchoring, VariantOf: d.VariantOf}.Encode()
		if err := stub.PutState(record.DocumentKey(d.Tag), value); err != nil {
			return fmt.Errorf("write document: %w", err)
		}
	}
	if err := stub.PutState(v.Key(), v.Encode()); err != nil {
		return fmt.Errorf("write version: %w", err)
	}
	return nil
}

// auditWriting writes to the audit of other institutions' patients what was added to their history by a grant. What an
// institution anchors for its own patients is its anchorings.
func auditWriting(stub shim.ChaincodeStubInterface, entries []record.AuditEntry) error {
	for _, e := range entries {
		if err := stub.PutState(record.AuditKey(e.Patient, e.ID, e.Number), e.Encode()); err != nil {
			return fmt.Errorf("write audit: %w", err)
		}
	}
	return nil
}

// entriesOf gives the audit entries of what is added to the history of other institutions' patients.
func entriesOf(who caller, anchoring record.Anchoring, additions []record.Version) (entries []record.AuditEntry, err error) {
	for _, v := range additions {
		if isOwn(who, v) {
			continue
		}
		if len(entries) == maxEntries {
			return nil, record.Errorf(record.BadRequest, "the batch adds more than %d versions to other institutions' "+
				"patients: send them in several", maxEntries)
		}
		entries = append(entries, record.AuditEntry{
			Patient: v.Patient, ID: anchoring.TxID.ID(), Number: byte(len(entries)), //nolint:gosec // below maxEntries
			Action: record.ActWrite, Basis: record.BasisGrant, Member: who.institution.Institution(),
			Actor: who.participant.ID, Time: anchoring.Time, Subject: v.Author, Record: v.Record,
		})
	}
	return entries, nil
}
