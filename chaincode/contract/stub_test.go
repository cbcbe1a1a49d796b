package contract_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/queryresult"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/medanchor/medanchor/chaincode/contract"
	"github.com/medanchor/medanchor/chaincode/record"
)

// fakeLedger is a channel in memory with one chaincode: it endorses a transaction against its state, and commits it
// later if what the transaction read has not changed since (Fabric's MVCC check).
type fakeLedger struct {
	chaincode shim.Chaincode
	state     map[string]stateValue
	height    int
	sequence  uint64
	lossy     bool // answers GetMultipleStates with a value too few
	now       time.Time
	private   map[string][]byte // collection, "/", key
}

type stateValue struct {
	value  []byte
	height int // of the transaction that wrote it
}

func newLedger(t testing.TB) *fakeLedger {
	t.Helper()
	chaincode, err := contract.New()
	if err != nil {
		t.Fatal(err)
	}
	l := &fakeLedger{
		chaincode: chaincode, state: map[string]stateValue{}, private: map[string][]byte{},
		now: time.Date(2026, 11, 22, 18, 30, 0, 5000, time.UTC),
	}
	l.know(t, anchorer())
	return l
}

// transaction is an endorsed transaction.
type transaction struct {
	shim.ChaincodeStubInterface // what is not faked panics

	ledger    *fakeLedger
	id        string
	creator   []byte
	arguments []string
	transient map[string][]byte
	time      time.Time

	response  *peer.Response
	reads     map[string]int    // height of what was read; 0 if it was not there
	writes    map[string][]byte // nil where the key is deleted
	private   map[string][]byte // nil where it is purged
	batched   bool              // between StartWriteBatch and FinishWriteBatch
	ranged    bool              // read a range
	paged     bool              // read a page
	event     string
	eventData []byte
}

// endorse runs the chaincode as caller.
func (l *fakeLedger) endorse(caller []byte, transient map[string][]byte, arguments ...string) *transaction {
	l.sequence++
	id := sha256.Sum256(binary.BigEndian.AppendUint64(nil, l.sequence))
	return l.endorseAs(hex.EncodeToString(id[:]), caller, transient, arguments...)
}

func (l *fakeLedger) endorseAs(id string, caller []byte, transient map[string][]byte, arguments ...string) *transaction {
	tx := &transaction{
		ledger: l, id: id, creator: caller, arguments: arguments, transient: transient,
		time:  l.now,
		reads: map[string]int{}, writes: map[string][]byte{}, private: map[string][]byte{},
	}
	tx.response = l.chaincode.Invoke(tx)
	return tx
}

// commit applies the transaction, and says whether it was valid.
func (l *fakeLedger) commit(tx *transaction) bool {
	if tx.response.GetStatus() != shim.OK || tx.batched {
		return false
	}
	for key, height := range tx.reads {
		if l.state[key].height != height {
			return false
		}
	}
	l.height++
	for key, value := range tx.writes {
		if value == nil {
			delete(l.state, key)
			continue
		}
		l.state[key] = stateValue{value, l.height}
	}
	for key, value := range tx.private {
		if value == nil {
			delete(l.private, key)
			continue
		}
		l.private[key] = value
	}
	return true
}

func (tx *transaction) GetTxID() string { return tx.id }

func (tx *transaction) GetCreator() ([]byte, error) { return tx.creator, nil }

func (tx *transaction) GetTransient() (map[string][]byte, error) { return tx.transient, nil }

func (tx *transaction) GetTxTimestamp() (*timestamppb.Timestamp, error) {
	return timestamppb.New(tx.time), nil
}

func (tx *transaction) GetFunctionAndParameters() (string, []string) {
	return tx.arguments[0], tx.arguments[1:]
}

func (tx *transaction) GetState(key string) ([]byte, error) {
	found := tx.ledger.state[key]
	tx.reads[key] = found.height
	return found.value, nil
}

// GetMultipleStates gives an empty slice for a key that is not there, as the shim does.
func (tx *transaction) GetMultipleStates(keys ...string) ([][]byte, error) {
	var values [][]byte
	for _, key := range keys {
		value, _ := tx.GetState(key)
		values = append(values, append([]byte{}, value...))
	}
	if tx.ledger.lossy {
		return values[1:], nil
	}
	return values, nil
}

func (tx *transaction) StartWriteBatch() { tx.batched = true }

func (tx *transaction) FinishWriteBatch() error {
	tx.batched = false
	return nil
}

func (tx *transaction) PutState(key string, value []byte) error {
	tx.writes[key] = slices.Clone(value)
	return nil
}

func (tx *transaction) DelState(key string) error {
	tx.writes[key] = nil
	return nil
}

func (tx *transaction) PurgePrivateData(collection, key string) error {
	tx.private[collection+"/"+key] = nil
	return nil
}

func (tx *transaction) PutPrivateData(collection, key string, value []byte) error {
	tx.private[collection+"/"+key] = slices.Clone(value)
	return nil
}

func (tx *transaction) GetPrivateData(collection, key string) ([]byte, error) {
	return tx.ledger.private[collection+"/"+key], nil
}

func (tx *transaction) GetPrivateDataHash(collection, key string) ([]byte, error) {
	value, found := tx.ledger.private[collection+"/"+key]
	if !found {
		return nil, nil
	}
	hash := sha256.Sum256(value)
	return hash[:], nil
}

func (tx *transaction) SetEvent(name string, payload []byte) error {
	tx.event, tx.eventData = name, payload
	return nil
}

func (tx *transaction) GetStateByRange(start, end string) (shim.StateQueryIteratorInterface, error) {
	tx.ranged = true
	return tx.between(start, end), nil
}

func (tx *transaction) GetStateByRangeWithPagination(start, end string, pageSize int32, bookmark string,
) (shim.StateQueryIteratorInterface, *peer.QueryResponseMetadata, error) {
	tx.paged = true
	all := tx.between(max(start, bookmark), end)
	meta := &peer.QueryResponseMetadata{}
	if len(all.found) > int(pageSize) {
		meta.Bookmark = all.found[pageSize].GetKey()
		all.found = all.found[:pageSize]
	}
	return all, meta, nil
}

func (tx *transaction) between(start, end string) *iterator {
	it := &iterator{}
	for _, key := range slices.Sorted(maps.Keys(tx.ledger.state)) {
		if key >= start && key < end {
			it.found = append(it.found, &queryresult.KV{Key: key, Value: tx.ledger.state[key].value})
		}
	}
	return it
}

type iterator struct{ found []*queryresult.KV }

func (it *iterator) HasNext() bool { return len(it.found) > 0 }

func (it *iterator) Next() (*queryresult.KV, error) {
	kv := it.found[0]
	it.found = it.found[1:]
	return kv, nil
}

func (it *iterator) Close() error { return nil }

// caller makes a serialised identity of a member, whose certificate carries the attributes as Fabric CA writes them.
func caller(t testing.TB, mspID string, attributes map[string]string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "random"}}
	if attributes != nil {
		value, err := json.Marshal(map[string]any{"attrs": attributes})
		if err != nil {
			t.Fatal(err)
		}
		template.ExtraExtensions = []pkix.Extension{{
			Id: asn1.ObjectIdentifier{1, 2, 3, 4, 5, 6, 7, 8, 1}, Value: value,
		}}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := proto.Marshal(&msp.SerializedIdentity{
		Mspid: mspID, IdBytes: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// anchorer is St Mary's appliance whom every fake ledger knows from the beginning, so that tests of anchoring need no world.
var anchorer = sync.OnceValue(func() *person {
	var t testing.T // newPerson fails only where there is no randomness
	return newPerson(&t, "StMaryMSP", record.ApplianceRole, record.NewParticipantID("StMaryMSP", [10]byte{0xff}))
})

// appliance is an identity that may anchor.
func appliance(testing.TB) []byte { return anchorer().creator }

// know puts an active participant into the ledger's state.
func (l *fakeLedger) know(t testing.TB, p *person) {
	t.Helper()
	key := record.FingerprintOf(p.mspID, publicKey(t, p.key))
	for at, v := range map[string]any{
		record.BindingKey(key): record.Binding{V: record.SchemaVersion, Participant: p.id},
		record.ParticipantKey(p.id): record.Participant{
			V: record.SchemaVersion, ID: p.id, Role: p.role, MSPID: p.mspID, Status: record.Active, Key: key,
		},
	} {
		value, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		l.state[at] = stateValue{value: value}
	}
}

// tag and reference make short names into the ledger's. Patients are St Mary's.
func tag(s string) record.Tag { return record.Tag(name(s)) }

func reference(s string) record.Reference {
	id := name(s)
	return record.NewReference("StMaryMSP", [10]byte(id[:10]))
}

func name(s string) [16]byte {
	sum := sha256.Sum256([]byte(s))
	return [16]byte(sum[:16])
}

// content gives the CID of a payload.
func content(s string) record.CID {
	sum := sha256.Sum256([]byte(s))
	return record.CID(append([]byte{0x55}, sum[:]...))
}

// version makes a version whose documents have their names' contents.
func version(patient, rec string, documents ...string) record.Version {
	v := record.Version{
		Patient: reference(patient), Record: tag(rec), Kind: record.KindImaging,
		Date: time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC),
	}
	for _, d := range documents {
		v.Documents = append(v.Documents, record.Document{Tag: tag(d), CID: content(d)})
	}
	return v
}

func transient(t testing.TB, versions ...record.Version) map[string][]byte {
	t.Helper()
	wire, err := record.Batch{Versions: versions}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{record.BatchField: wire}
}

// refusalOf gives the refusal that the response carries; nil if the transaction was accepted.
func refusalOf(t testing.TB, tx *transaction) *record.Error {
	t.Helper()
	if tx.response.GetStatus() == shim.OK {
		return nil
	}
	refused, ok := record.ParseError(tx.response.GetMessage())
	if !ok {
		t.Fatalf("a refusal without a code: %s", tx.response.GetMessage())
	}
	return refused
}

// query decodes the answer of a function that only reads.
func query[T any](t testing.TB, l *fakeLedger, arguments ...string) (answer T, refused *record.Error) {
	t.Helper()
	tx := l.endorse(caller(t, "OtherMSP", nil), nil, arguments...)
	if len(tx.writes) > 0 {
		t.Errorf("the query %s writes", arguments[0])
	}
	if refused = refusalOf(t, tx); refused != nil {
		return answer, refused
	}
	if err := json.NewDecoder(bytes.NewReader(tx.response.GetPayload())).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer, nil
}
