package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/medanchor/medanchor/chaincode/record"
)

// maxEntries is the most audit entries of one transaction: their number is one byte of their key.
const maxEntries = 256

// transaction is a running transaction that may write. What it writes is kept back until its function has returned
// without a refusal; reads see it.
type transaction struct {
	stub   shim.ChaincodeStubInterface
	id     record.ID
	now    time.Time // its timestamp, UTC, to the second
	action record.Action
	caller caller

	writes  []pending
	entries []record.AuditEntry
	// acted is set if another action than the function's own is to stand in the event.
	acted record.Action
}

// pending is a write that is kept back; without a value, the key is deleted.
type pending struct {
	key   string
	value []byte
	// private says that it is of the members' collection, from which what is deleted is purged.
	private bool
}

func (w pending) write(stub shim.ChaincodeStubInterface) error {
	switch {
	case w.private && w.value == nil:
		return stub.PurgePrivateData(record.MembersCollection, w.key)
	case w.private:
		return stub.PutPrivateData(record.MembersCollection, w.key, w.value)
	case w.value == nil:
		return stub.DelState(w.key)
	}
	return stub.PutState(w.key, w.value)
}

// act runs a function that writes: it reads its request, has it checked and carried out, and writes all it wrote, its
// audit entries, the sealed notes that came with it, and the event.
//
// A refusal for lack of a right is an audit entry of the patient whom the request concerns, if it concerns one, so that they
// see who tried; the transaction is then valid and writes nothing else.
func act[Q record.Request](ctx contractapi.TransactionContextInterface, action record.Action, text string,
	carryOut func(*transaction, Q) (any, error),
) (string, error) {
	q, err := record.DecodeRequest[Q](text)
	if err != nil {
		return "", refusal(err)
	}
	tx, err := begin(ctx.GetStub(), action)
	if err != nil {
		return "", refusal(err)
	}
	result, err := carryOut(tx, q)
	if err != nil {
		return tx.deny(q, refusal(err))
	}
	if err := tx.finish(); err != nil {
		return "", refusal(err)
	}
	return answer(record.Answer{ID: tx.id, Result: result}, nil)
}

// begin describes the running transaction and finds out who calls.
func begin(stub shim.ChaincodeStubInterface, action record.Action) (*transaction, error) {
	txID, err := record.ParseTxID(stub.GetTxID())
	if err != nil {
		return nil, err
	}
	now, err := timeOf(stub)
	if err != nil {
		return nil, err
	}
	who, err := identify(stub)
	if err != nil {
		return nil, err
	}
	return &transaction{stub: stub, id: txID.ID(), now: now, action: action, caller: who}, nil
}

// timeOf is the transaction's timestamp: the client's clock, which peers let differ from theirs by record.ClockSkew.
func timeOf(stub shim.ChaincodeStubInterface) (time.Time, error) {
	stamp, err := stub.GetTxTimestamp()
	if err != nil {
		return time.Time{}, fmt.Errorf("read transaction's timestamp: %w", err)
	}
	return stamp.AsTime().UTC().Truncate(time.Second), nil
}

// deny answers a refusal. Of a lack of right that concerns a patient, it writes the attempt to their audit.
func (tx *transaction) deny(q record.Request, refused *record.Error) (string, error) {
	about, concerning := q.(record.Concerning)
	if refused.Code != record.Forbidden || !concerning || about.About().IsZero() {
		return "", refused
	}
	tx.writes, tx.entries = nil, nil
	tx.audit(record.AuditEntry{Patient: about.About(), Denied: true})
	if err := tx.flush(true); err != nil {
		return "", refusal(err)
	}
	return answer(record.Answer{Refused: refused.Error()}, nil)
}

// finish writes what the function decided.
func (tx *transaction) finish() error {
	if err := tx.keepNotes(); err != nil {
		return err
	}
	return tx.flush(false)
}

func (tx *transaction) flush(denied bool) error {
	if len(tx.entries) > maxEntries {
		return record.Errorf(record.BadRequest, "%d audit entries in one transaction: do it in several of %d",
			len(tx.entries), maxEntries)
	}
	if err := tx.addEntries(); err != nil {
		return err
	}
	tx.stub.StartWriteBatch()
	for _, w := range tx.writes {
		if err := w.write(tx.stub); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if err := tx.stub.FinishWriteBatch(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	acted := tx.action
	if tx.acted != 0 {
		acted = tx.acted
	}
	event := record.Acted{ID: tx.id, Action: acted, Denied: denied}
	if err := tx.stub.SetEvent(record.ActedEvent, event.Encode()); err != nil {
		return fmt.Errorf("set event: %w", err)
	}
	return nil
}

// addEntries adds the audit entries to what is written. It reads their keys, so that no transaction whose ID begins like
// another's replaces that one's entries: who chooses nonces finds such a pair of their own with 2³² hashes.
func (tx *transaction) addEntries() error {
	keys := make([]string, 0, len(tx.entries))
	for i, e := range tx.entries {
		keys = append(keys, record.AuditKey(e.Patient, tx.id, byte(i)))
	}
	if err := requireNone(tx.stub, keys); err != nil {
		return err
	}
	for i, e := range tx.entries {
		tx.writes = append(tx.writes, pending{key: keys[i], value: e.Encode()})
	}
	return nil
}

// requireNone refuses a transaction of whose keys, which have its ID, one is there already.
func requireNone(stub shim.ChaincodeStubInterface, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	values, err := readStates(stub, keys)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(values, func(value []byte) bool { return len(value) > 0 }) {
		return errTwin()
	}
	return nil
}

func errTwin() error {
	return record.Errorf(record.AnchoringConflict, "another transaction's ID begins alike: submit again")
}

// notes gives the sealed notes that came with the transaction.
func (tx *transaction) notes() ([]record.SealedNote, error) {
	transient, err := tx.stub.GetTransient()
	if err != nil {
		return nil, fmt.Errorf("read transient data: %w", err)
	}
	wire, found := transient[record.SealedField]
	if !found {
		return nil, nil
	}
	return record.DecodeNotes(wire)
}

// keepNotes puts the sealed notes into the members' collection.
func (tx *transaction) keepNotes() error {
	notes, err := tx.notes()
	if err != nil {
		return err
	}
	for _, n := range notes {
		if err := tx.putPrivate(record.SealedKey(tx.id, n.Recipient), n.Ciphertext); err != nil {
			return err
		}
	}
	return nil
}

// putPrivate puts a value into the members' collection, under a key that has the transaction's ID. It replaces none.
func (tx *transaction) putPrivate(key string, value []byte) error {
	twin, err := tx.stub.GetPrivateDataHash(record.MembersCollection, key)
	if err != nil {
		return fmt.Errorf("look for private data: %w", err)
	}
	if len(twin) > 0 {
		return errTwin()
	}
	tx.writes = append(tx.writes, pending{key: key, value: value, private: true})
	return nil
}

// noteFor says whether a sealed note to the recipient came with the transaction.
func (tx *transaction) noteFor(recipient record.ParticipantID) (bool, error) {
	notes, err := tx.notes()
	return slices.ContainsFunc(notes, func(n record.SealedNote) bool { return n.Recipient == recipient }), err
}

// audit adds an entry of the function's action, unless the entry names another, by the caller.
func (tx *transaction) audit(e record.AuditEntry) {
	if e.Action == 0 {
		e.Action = tx.action
	}
	e.ID, e.Number, e.Time = tx.id, byte(len(tx.entries)), tx.now //nolint:gosec // flush refuses more than maxEntries
	e.Member = record.InstitutionID(tx.caller.mspID).Institution()
	if e.Actor.IsZero() {
		e.Actor = tx.caller.participant.ID
	}
	tx.entries = append(tx.entries, e)
}

// auditHere adds an entry about the caller's institution itself.
func (tx *transaction) auditHere(e record.AuditEntry) {
	e.Patient = record.InstitutionReference(record.InstitutionID(tx.caller.mspID).Institution())
	tx.audit(e)
}

// raw gives the value under a key, as this transaction sees it; empty if there is none.
func (tx *transaction) raw(key string) ([]byte, error) {
	for _, w := range slices.Backward(tx.writes) {
		if w.key == key && !w.private {
			return w.value, nil
		}
	}
	return readState(tx.stub, key)
}

// put writes a value as JSON.
func (tx *transaction) put(key string, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %T: %w", v, err)
	}
	tx.writes = append(tx.writes, pending{key: key, value: value})
	return nil
}

// load reads a JSON value as the transaction sees it.
func load[T any](tx *transaction, key string) (v T, found bool, err error) {
	value, err := tx.raw(key)
	if err != nil {
		return v, false, err
	}
	return decodeState[T](value)
}

// loadState reads a JSON value from the ledger.
func loadState[T any](stub shim.ChaincodeStubInterface, key string) (v T, found bool, err error) {
	value, err := readState(stub, key)
	if err != nil {
		return v, false, err
	}
	return decodeState[T](value)
}

func readState(stub shim.ChaincodeStubInterface, key string) ([]byte, error) {
	value, err := stub.GetState(key)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	return value, nil
}

var errNewerSchema = errors.New("the value is of another schema version: upgrade the chaincode")

// decodeState reads a stored JSON value. Values of a newer schema are refused, not guessed at.
func decodeState[T any](value []byte) (v T, found bool, err error) {
	if len(value) == 0 {
		return v, false, nil
	}
	version := struct {
		V int `json:"v"`
	}{}
	if err := json.Unmarshal(value, &version); err != nil {
		return v, false, fmt.Errorf("read %T: %w", v, err)
	}
	if version.V != record.SchemaVersion {
		return v, false, errNewerSchema
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, false, fmt.Errorf("read %T: %w", v, err)
	}
	return v, true, nil
}
