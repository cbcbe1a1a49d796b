package ledger

import (
	"fmt"

	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset/kvrwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Block is what the valid transactions of one block wrote under the chaincode's name. Most fields are empty for a block
// that only configures the channel.
type Block struct {
	Number     uint64
	Anchorings []record.Anchoring
	Documents  []Document
	// Versions name their documents by tag only: the documents themselves are in Documents.
	Versions []record.AnchoredVersion
}

// Document is a document as written, with the ID of the anchoring that brought it, which is in the same Block.
type Document struct {
	record.Document
	Anchoring record.AnchoringID
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
		for _, w := range writes {
			if err := block.add(w); err != nil {
				return Block{}, fmt.Errorf("read transaction %d of block %d: %w", i, block.Number, err)
			}
		}
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

// add takes in one write. Keys of other nouns are left alone: a newer chaincode may have some.
func (b *Block) add(w *kvrwset.KVWrite) error {
	switch key := w.GetKey(); {
	case record.IsDocumentKey(key):
		return b.addDocument(key, w.GetValue())
	case record.IsVersionKey(key):
		return b.addVersion(key, w.GetValue())
	case record.IsAnchoringKey(key):
		anchoring, err := record.DecodeAnchoring(w.GetValue())
		b.Anchorings = append(b.Anchorings, anchoring)
		return err
	default:
		return nil
	}
}

func (b *Block) addDocument(key string, value []byte) error {
	tag, err := record.ParseDocumentKey(key)
	if err != nil {
		return err
	}
	stored, err := record.DecodeDocument(value)
	if err != nil {
		return err
	}
	b.Documents = append(b.Documents, Document{
		Document:  record.Document{Tag: tag, CID: stored.CID, VariantOf: stored.VariantOf},
		Anchoring: stored.Anchoring,
	})
	return nil
}

func (b *Block) addVersion(key string, value []byte) error {
	patient, tag, number, err := record.ParseVersionKey(key)
	if err != nil {
		return err
	}
	stored, err := record.DecodeVersion(value)
	if err != nil {
		return err
	}
	v := record.Version{Patient: patient, Record: tag, Number: number, Kind: stored.Kind, Time: stored.Time}
	for _, d := range stored.Documents {
		v.Documents = append(v.Documents, record.Document{Tag: d})
	}
	b.Versions = append(b.Versions, record.AnchoredVersion{Version: v, Anchoring: stored.Anchoring})
	return nil
}

// writesOf gives the public writes of one transaction under the chaincode's name; none for what is not a transaction of
// an endorser. Fabric nests them: Envelope, Payload, Transaction, TransactionAction, ChaincodeActionPayload,
// ProposalResponsePayload, ChaincodeAction, TxReadWriteSet, NsReadWriteSet, KVRWSet.
func writesOf(wire []byte, chaincode string) (writes []*kvrwset.KVWrite, err error) {
	envelope := &common.Envelope{}
	if err := proto.Unmarshal(wire, envelope); err != nil {
		return nil, err
	}
	payload, header, err := open(envelope)
	if err != nil || common.HeaderType(header.GetType()) != common.HeaderType_ENDORSER_TRANSACTION {
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
			kv := &kvrwset.KVRWSet{}
			if err := proto.Unmarshal(set.GetRwset(), kv); err != nil {
				return nil, err
			}
			writes = append(writes, kv.GetWrites()...)
		}
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
