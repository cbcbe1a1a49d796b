package ledger

import (
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset/kvrwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"

	"github.com/medanchor/medanchor/chaincode/record"
)

// run makes the names of each test process new, for the network outlives it.
var run = rand.Text()

func name(s string) [16]byte {
	sum := sha256.Sum256([]byte(run + s))
	return [16]byte(sum[:16])
}

func tag(s string) record.Tag { return record.Tag(name(s)) }

func content(s string) record.CID {
	sum := sha256.Sum256([]byte(s))
	return record.CID(append([]byte{0x55}, sum[:]...))
}

// version makes a version of a record of a patient named after the test, with documents that have their names' contents.
func version(t *testing.T, rec string, number uint16, documents ...string) record.Version {
	v := record.Version{
		Patient: record.Reference(name(t.Name())), Record: tag(t.Name() + rec), Number: number, Kind: record.KindLetter,
		Time: time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC),
	}
	for _, d := range documents {
		v.Documents = append(v.Documents, record.Document{Tag: tag(t.Name() + d), CID: content(t.Name() + d)})
	}
	return v
}

// batch is version 1 of the test's record.
func batch(t *testing.T, documents ...string) record.Batch {
	return record.Batch{Versions: []record.Version{version(t, "record", 1, documents...)}}
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// envelope nests writes as Fabric does.
func envelope(t *testing.T, kind common.HeaderType, namespace string, writes map[string][]byte) []byte {
	t.Helper()
	kv := &kvrwset.KVRWSet{}
	for key, value := range writes {
		kv.Writes = append(kv.Writes, &kvrwset.KVWrite{Key: key, Value: value})
	}
	sets := &rwset.TxReadWriteSet{NsRwset: []*rwset.NsReadWriteSet{
		{Namespace: "_lifecycle"}, {Namespace: namespace, Rwset: marshal(t, kv)},
	}}
	response := &peer.ProposalResponsePayload{Extension: marshal(t, &peer.ChaincodeAction{Results: marshal(t, sets)})}
	action := &peer.ChaincodeActionPayload{
		Action: &peer.ChaincodeEndorsedAction{ProposalResponsePayload: marshal(t, response)},
	}
	return marshal(t, &common.Envelope{Payload: marshal(t, &common.Payload{
		Header: &common.Header{ChannelHeader: marshal(t, &common.ChannelHeader{Type: int32(kind)})},
		Data:   marshal(t, &peer.Transaction{Actions: []*peer.TransactionAction{{Payload: marshal(t, action)}}}),
	})})
}

func TestParseBlock(t *testing.T) {
	const own = "medanchor"
	txID := record.TxID{9, 9, 9}
	anchoring := record.Anchoring{ID: txID.AnchoringID(), TxID: txID, MSPID: "AMSP", Time: time.Unix(1_800_000_000, 7).UTC()}
	value, err := anchoring.Encode()
	if err != nil {
		t.Fatal(err)
	}
	v := version(t, "record", 3, "a", "b")
	v.Documents[1].VariantOf = v.Documents[0].Tag
	stored := record.StoredVersion{Kind: v.Kind, Time: v.Time, Anchoring: anchoring.ID}
	writes := map[string][]byte{record.AnchoringKey(anchoring.ID): value, "Pnewer": []byte("a newer chaincode's noun")}
	for _, d := range v.Documents {
		stored.Documents = append(stored.Documents, d.Tag)
		document := record.StoredDocument{CID: d.CID, Anchoring: anchoring.ID, VariantOf: d.VariantOf}
		writes[record.DocumentKey(d.Tag)] = document.Encode()
	}
	writes[record.VersionKey(v.Patient, v.Record, v.Number)] = stored.Encode()
	broken := map[string][]byte{record.DocumentKey(tag("x")): {9}}
	transaction := common.HeaderType_ENDORSER_TRANSACTION

	parse := func(codes []byte, transactions ...[]byte) (Block, error) {
		return parseBlock(&common.Block{
			Header:   &common.BlockHeader{Number: 42},
			Data:     &common.BlockData{Data: transactions},
			Metadata: &common.BlockMetadata{Metadata: [][]byte{nil, nil, codes, nil}},
		}, own)
	}
	valid, invalid := byte(peer.TxValidationCode_VALID), byte(peer.TxValidationCode_MVCC_READ_CONFLICT)

	block, err := parse([]byte{valid, invalid, valid, valid},
		envelope(t, transaction, own, writes),
		envelope(t, transaction, own, broken), // invalid: not looked at
		envelope(t, transaction, "other", broken),
		envelope(t, common.HeaderType_CONFIG, own, broken),
	)
	if err != nil {
		t.Fatal(err)
	}
	if block.Number != 42 || !slices.Equal(block.Anchorings, []record.Anchoring{anchoring}) || len(block.Documents) != 2 ||
		len(block.Versions) != 1 {
		t.Fatalf("got %+v", block)
	}
	for _, d := range block.Documents {
		if !slices.Contains(v.Documents, d.Document) || d.Anchoring != anchoring.ID {
			t.Errorf("got document %+v", d)
		}
	}
	got := block.Versions[0]
	if got.Patient != v.Patient || got.Record != v.Record || got.Number != 3 || got.Kind != v.Kind ||
		!got.Time.Equal(v.Time) || got.Anchoring != anchoring.ID ||
		got.Documents[0].Tag != v.Documents[0].Tag || got.Documents[1].Tag != v.Documents[1].Tag {
		t.Errorf("got version %+v, want %+v", got, v)
	}

	if _, err := parse([]byte{valid}, envelope(t, transaction, own, broken)); err == nil {
		t.Error("a value of another schema is accepted")
	}
	if _, err := parse(nil, envelope(t, transaction, own, writes)); err == nil {
		t.Error("a block without validation codes is accepted")
	}
	if _, err := parse([]byte{valid}, []byte("junk")); err == nil {
		t.Error("a transaction that is none is accepted")
	}
}
