package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"google.golang.org/protobuf/proto"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Submission is an endorsed transaction that is ready to be sent, once.
type Submission struct {
	TxID record.TxID
	Time time.Time // the transaction's timestamp
	// Outcomes are what the transaction does with each document of the batch, in the batch's order. If it creates none,
	// there is no need to submit it.
	Outcomes []record.Outcome

	client      *Client
	transaction *client.Transaction
}

// Receipt is a committed transaction.
type Receipt struct {
	TxID     record.TxID
	Block    uint64
	Time     time.Time // the transaction's timestamp
	Outcomes []record.Outcome
}

// Prepare has the batch endorsed; nothing is on the ledger yet. A batch that breaks the schema is refused here with a
// *record.Error; other errors are a *TransactionError of the phase Endorse, in which errors.AsType finds the *record.Error
// of what the contract refused.
func (c *Client) Prepare(ctx context.Context, batch record.Batch) (*Submission, error) {
	wire, err := batch.Encode()
	if err != nil {
		return nil, err
	}
	proposal, err := c.contract.NewProposal(record.AnchorFunction,
		client.WithTransient(map[string][]byte{record.BatchField: wire}))
	if err != nil {
		return nil, fmt.Errorf("propose batch: %w", err)
	}
	txID, err := record.ParseTxID(proposal.TransactionID())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	transaction, err := proposal.EndorseWithContext(ctx)
	if err != nil {
		return nil, failed(Endorse, txID, err)
	}
	result, err := record.DecodeResult(transaction.Result())
	if err != nil {
		return nil, failed(Endorse, txID, err)
	}
	if len(result.Outcomes) != batch.Documents() {
		return nil, failed(Endorse, txID, fmt.Errorf("%d outcomes for %d documents: the chaincode is not of this version",
			len(result.Outcomes), batch.Documents()))
	}
	stamp, err := timestamp(transaction)
	if err != nil {
		return nil, failed(Endorse, txID, err)
	}
	return &Submission{TxID: txID, Time: stamp, Outcomes: result.Outcomes, client: c, transaction: transaction}, nil
}

// Submit sends the transaction and waits until the peer has committed its block. Errors are a *TransactionError of
// phase Submit or Commit.
func (s *Submission) Submit(ctx context.Context) (Receipt, error) {
	block, err := s.client.send(ctx, s.TxID, s.transaction)
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{TxID: s.TxID, Block: block, Time: s.Time, Outcomes: s.Outcomes}, nil
}

// send sends an endorsed transaction and waits until the peer has committed its block, whose number it gives.
func (c *Client) send(ctx context.Context, txID record.TxID, transaction *client.Transaction) (block uint64, err error) {
	submitting, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	commit, err := transaction.SubmitWithContext(submitting)
	if err != nil {
		return 0, failed(Submit, txID, err)
	}
	waiting, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	status, err := commit.StatusWithContext(waiting)
	if err != nil {
		return 0, failed(Commit, txID, err)
	}
	if !status.Successful {
		return 0, invalid(txID, status)
	}
	return status.BlockNumber, nil
}

// Anchor prepares a batch and submits it. If nothing of it is new, nothing is sent, and only the receipt's Outcomes are
// set.
func (c *Client) Anchor(ctx context.Context, batch record.Batch) (Receipt, error) {
	s, err := c.Prepare(ctx, batch)
	if err != nil {
		return Receipt{}, err
	}
	if !slices.Contains(s.Outcomes, record.Created) {
		return Receipt{Outcomes: s.Outcomes}, nil
	}
	return s.Submit(ctx)
}

// timestamp reads the transaction's timestamp, which the gateway's library makes and does not tell.
func timestamp(transaction *client.Transaction) (time.Time, error) {
	wire, err := transaction.Bytes()
	if err != nil {
		return time.Time{}, err
	}
	var prepared gateway.PreparedTransaction
	if err := proto.Unmarshal(wire, &prepared); err != nil {
		return time.Time{}, fmt.Errorf("read prepared transaction: %w", err)
	}
	_, header, err := open(prepared.GetEnvelope())
	return header.GetTimestamp().AsTime(), err
}
