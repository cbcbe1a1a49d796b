package ledger

import (
	"reflect"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset/kvrwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/medanchor/medanchor/chaincode/record"
)

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// envelope nests writes as Fabric does.
func envelope(t *testing.T, kind common.HeaderType, namespace string, id record.TxID, writes ...*kvrwset.KVWrite) []byte {
	t.Helper()
	sets := &rwset.TxReadWriteSet{NsRwset: []*rwset.NsReadWriteSet{
		{Namespace: "_lifecycle"}, {Namespace: namespace, Rwset: marshal(t, &kvrwset.KVRWSet{Writes: writes})},
	}}
	response := &peer.ProposalResponsePayload{Extension: marshal(t, &peer.ChaincodeAction{Results: marshal(t, sets)})}
	action := &peer.ChaincodeActionPayload{
		Action: &peer.ChaincodeEndorsedAction{ProposalResponsePayload: marshal(t, response)},
	}
	header := &common.ChannelHeader{Type: int32(kind), TxId: id.String(), Timestamp: timestamppb.New(stamp(id))}
	return marshal(t, &common.Envelope{Payload: marshal(t, &common.Payload{
		Header: &common.Header{ChannelHeader: marshal(t, header)},
		Data:   marshal(t, &peer.Transaction{Actions: []*peer.TransactionAction{{Payload: marshal(t, action)}}}),
	})})
}

// stamp gives each transaction another timestamp.
func stamp(id record.TxID) time.Time { return time.Unix(1_800_000_000+int64(id[0]), 7).UTC() }

// TestParseBlock reads what the valid transactions of a block wrote under the chaincode's name, and nothing else.
func TestParseBlock(t *testing.T) {
	const own = "medanchor"
	first, second, other := record.TxID{1}, record.TxID{2}, record.TxID{3}
	put := func(key, value string) *kvrwset.KVWrite { return &kvrwset.KVWrite{Key: key, Value: []byte(value)} }
	parse := func(codes []byte, transactions ...[]byte) (Block, error) {
		return parseBlock(&common.Block{
			Header:   &common.BlockHeader{Number: 42},
			Data:     &common.BlockData{Data: transactions},
			Metadata: &common.BlockMetadata{Metadata: [][]byte{nil, nil, codes, nil}},
		}, own)
	}
	valid, invalid := byte(peer.TxValidationCode_VALID), byte(peer.TxValidationCode_MVCC_READ_CONFLICT)
	transaction := common.HeaderType_ENDORSER_TRANSACTION

	block, err := parse([]byte{valid, invalid, valid, valid, valid},
		envelope(t, transaction, own, first, put("Dtag", "document"), put("~", "a newer chaincode's noun")),
		envelope(t, transaction, own, other, put("Dtag", "invalid")),
		envelope(t, transaction, "another", other, put("Dtag", "another chaincode's")),
		envelope(t, common.HeaderType_CONFIG, own, other, put("Dtag", "no transaction")),
		envelope(t, transaction, own, second, &kvrwset.KVWrite{Key: "~", IsDelete: true}, put("Dtag", "later")),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := []Write{
		{first, stamp(first), "Dtag", []byte("document"), false},
		{first, stamp(first), "~", []byte("a newer chaincode's noun"), false},
		{second, stamp(second), "~", nil, true},
		{second, stamp(second), "Dtag", []byte("later"), false},
	}
	if block.Number != 42 || !reflect.DeepEqual(block.Writes, want) {
		t.Errorf("got %+v, want %+v", block, want)
	}

	for name, refused := range map[string]struct {
		codes       []byte
		transaction []byte
	}{
		"no validation code":         {nil, envelope(t, transaction, own, first)},
		"a transaction that is none": {[]byte{valid}, []byte("junk")},
	} {
		if _, err := parse(refused.codes, refused.transaction); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
