package ledger

import (
	"fmt"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset/kvrwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Block is what the valid transactions of one block wrote under the chaincode's name, in their order. A block that only
// configures the channel has no writes. What the values mean is not looked at: a newer chaincode may have other nouns.
type Block struct {
	Number uint64
	Writes []Write
}

// Write is one public write of a transaction.
type Write struct {
	TxID    record.TxID
	Time    time.Time // the transaction's timestamp
	Key     string
	Value   []byte // empty if Deleted
	Deleted bool
}

// parseBlock reads the writes of the chaincode in a block.
func parseBlock(b *common.Block, chaincode string) (Block, error) {
	block := Block{Number: b.GetHeader().GetNumber()}
	codes := validationCodes(b)
	for i, wire := range b.GetData().GetData() {
		if i >= len(codes) {
			return Block{}, fmt.Errorf("read block %d: no validation code for transaction %d", block.Number, i)
		}
		if codes[i] != peer.TxValidationCode_VALID {
			continue
		}
		writes, err := writesOf(wire, chaincode)
		if err != nil {
			return Block{}, fmt.Errorf("read transaction %d of block %d: %w", i, block.Number, err)
		}
		block.Writes = append(block.Writes, writes...)
	}
	return block, nil
}

// validationCodes gives one code for each transaction of a block that a peer has committed.
func validationCodes(b *common.Block) []peer.TxValidationCode {
	metadata := b.GetMetadata().GetMetadata()
	if len(metadata) <= int(common.BlockMetadataIndex_TRANSACTIONS_FILTER) {
		return nil
	}
	var codes []peer.TxValidationCode
	for _, code := range metadata[common.BlockMetadataIndex_TRANSACTIONS_FILTER] {
		codes = append(codes, peer.TxValidationCode(code))
	}
	return codes
}

// writesOf gives the public writes of one transaction under the chaincode's name; none for what is not a transaction of
// an endorser. Fabric nests them: Envelope, Payload, Transaction, TransactionAction, ChaincodeActionPayload,
// ProposalResponsePayload, ChaincodeAction, TxReadWriteSet, NsReadWriteSet, KVRWSet.
func writesOf(wire []byte, chaincode string) (writes []Write, err error) {
	envelope := &common.Envelope{}
	if err := proto.Unmarshal(wire, envelope); err != nil {
		return nil, err
	}
	payload, header, err := open(envelope)
	if err != nil || common.HeaderType(header.GetType()) != common.HeaderType_ENDORSER_TRANSACTION {
		return nil, err
	}
	id, err := record.ParseTxID(header.GetTxId())
	if err != nil {
		return nil, err
	}
	transaction := &peer.Transaction{}
	if err := proto.Unmarshal(payload.GetData(), transaction); err != nil {
		return nil, err
	}
	for _, action := range transaction.GetActions() {
		sets, err := readWriteSets(action)
		if err != nil {
			return nil, err
		}
		for _, set := range sets {
			if set.GetNamespace() != chaincode {
				continue
			}
			if writes, err = appendWrites(writes, set, id, header.GetTimestamp().AsTime()); err != nil {
				return nil, err
			}
		}
	}
	return writes, nil
}

func appendWrites(writes []Write, set *rwset.NsReadWriteSet, id record.TxID, stamp time.Time) ([]Write, error) {
	kv := &kvrwset.KVRWSet{}
	if err := proto.Unmarshal(set.GetRwset(), kv); err != nil {
		return nil, err
	}
	for _, w := range kv.GetWrites() {
		writes = append(writes, Write{id, stamp, w.GetKey(), w.GetValue(), w.GetIsDelete()})
	}
	return writes, nil
}

// open gives an envelope's payload and channel header.
func open(e *common.Envelope) (*common.Payload, *common.ChannelHeader, error) {
	payload, header := &common.Payload{}, &common.ChannelHeader{}
	if err := proto.Unmarshal(e.GetPayload(), payload); err != nil {
		return nil, nil, err
	}
	return payload, header, proto.Unmarshal(payload.GetHeader().GetChannelHeader(), header)
}

func readWriteSets(action *peer.TransactionAction) ([]*rwset.NsReadWriteSet, error) {
	payload, response := &peer.ChaincodeActionPayload{}, &peer.ProposalResponsePayload{}
	executed, sets := &peer.ChaincodeAction{}, &rwset.TxReadWriteSet{}
	if err := proto.Unmarshal(action.GetPayload(), payload); err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(payload.GetAction().GetProposalResponsePayload(), response); err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(response.GetExtension(), executed); err != nil {
		return nil, err
	}
	err := proto.Unmarshal(executed.GetResults(), sets)
	return sets.GetNsRwset(), err
}
