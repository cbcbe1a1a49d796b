package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/medanchor/medanchor/chaincode/record"
)

// queryChaincode is the system chaincode that answers for the chain itself.
const queryChaincode = "qscc"

// Transaction is where a transaction stands on the chain.
type Transaction struct {
	TxID  record.TxID
	Block uint64
	Time  time.Time             // the transaction's timestamp
	Code  peer.TxValidationCode // VALID, or why it changed nothing
}

// Transaction looks a transaction up on the chain, valid or not. ErrNotFound if it is not there (yet).
func (c *Client) Transaction(ctx context.Context, id record.TxID) (Transaction, error) {
	block := &common.Block{}
	if err := c.askChain(ctx, block, "GetBlockByTxID", id.String()); err != nil {
		return Transaction{}, fmt.Errorf("look up transaction %s: %w", id, err)
	}
	codes := validationCodes(block)
	for i, wire := range block.GetData().GetData() {
		envelope := &common.Envelope{}
		if err := proto.Unmarshal(wire, envelope); err != nil {
			return Transaction{}, fmt.Errorf("look up transaction %s: %w", id, err)
		}
		_, header, err := open(envelope)
		if err != nil {
			return Transaction{}, fmt.Errorf("look up transaction %s: %w", id, err)
		}
		if header.GetTxId() == id.String() && i < len(codes) {
			stamp := header.GetTimestamp().AsTime()
			return Transaction{TxID: id, Block: block.GetHeader().GetNumber(), Time: stamp, Code: codes[i]}, nil
		}
	}
	return Transaction{}, fmt.Errorf("look up transaction %s: the peer gave a block without it", id)
}

// Height is the number of blocks of the channel, as the peer knows it.
func (c *Client) Height(ctx context.Context) (uint64, error) {
	info := &common.BlockchainInfo{}
	if err := c.askChain(ctx, info, "GetChainInfo"); err != nil {
		return 0, fmt.Errorf("ask for the channel's height: %w", err)
	}
	return info.GetHeight(), nil
}

func (c *Client) askChain(ctx context.Context, answer proto.Message, function string, arguments ...string) error {
	arguments = append([]string{c.options.Channel}, arguments...)
	wire, err := c.evaluate(ctx, c.network.GetContract(queryChaincode), function, arguments...)
	if err != nil {
		return err
	}
	return proto.Unmarshal(wire, answer)
}

// Blocks streams the blocks from number from on, in order and without gaps, for as long as the peer delivers: first
// those that are there, then each as it is committed. The sequence ends with an error, or without one when ctx ends.
// To go on after an error is the caller's part.
func (c *Client) Blocks(ctx context.Context, from uint64) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		streaming, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.deliver(streaming, from)
		for err == nil {
			var b *common.Block
			if b, err = receive(stream); err != nil {
				break
			}
			var block Block
			if block, err = parseBlock(b, c.options.Chaincode); err == nil && !yield(block, nil) {
				return
			}
		}
		if ctx.Err() == nil {
			yield(Block{}, fmt.Errorf("stream blocks: %w", err))
		}
	}
}

type blockStream = grpc.BidiStreamingClient[common.Envelope, peer.DeliverResponse]

// deliver asks the peer for its blocks. The gateway's library can do so too, but keeps to itself why a stream ended.
func (c *Client) deliver(ctx context.Context, from uint64) (blockStream, error) {
	request, err := c.network.NewBlockEventsRequest(client.WithStartBlock(from))
	if err != nil {
		return nil, err
	}
	wire, err := request.Bytes()
	if err != nil {
		return nil, err
	}
	envelope := &common.Envelope{}
	if err := proto.Unmarshal(wire, envelope); err != nil {
		return nil, err
	}
	if envelope.Signature, err = c.sign(request.Digest()); err != nil {
		return nil, err
	}
	stream, err := peer.NewDeliverClient(c.connection).Deliver(ctx)
	if err != nil {
		return nil, explain(err)
	}
	// A broken stream gives io.EOF here, and its reason to the receiver.
	if err := stream.Send(envelope); err != nil && !errors.Is(err, io.EOF) {
		return nil, explain(err)
	}
	return stream, nil
}

// receive waits for the next block.
func receive(stream blockStream) (*common.Block, error) {
	response, err := stream.Recv()
	if err != nil {
		return nil, explain(err)
	}
	switch r := response.GetType().(type) {
	case *peer.DeliverResponse_Block:
		return r.Block, nil
	case *peer.DeliverResponse_Status:
		if r.Status == common.Status_FORBIDDEN {
			return nil, ErrAccess
		}
		return nil, fmt.Errorf("the peer ended the stream: %s", r.Status)
	default:
		return nil, fmt.Errorf("the peer sent a response of type %T", r)
	}
}
