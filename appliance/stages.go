package appliance

import (
	"context"
	"fmt"
	"io"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ingest"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/vault/ipfs"
)

// blocks is the IPFS node as the pipeline sees it.
type blocks struct{ *ipfs.Node }

// Import implements ingest.Blocks.
func (b blocks) Import(ctx context.Context, payload io.Reader) (ingest.Payload, error) {
	p, err := b.Node.Import(ctx, payload)
	if err != nil {
		return nil, err
	}
	return chunked{p}, nil
}

// Store implements ingest.Blocks.
func (b blocks) Store(ctx context.Context, payloads []ingest.Payload) (record.CID, error) {
	own := make([]*ipfs.Payload, len(payloads))
	for i, p := range payloads {
		c, ok := p.(chunked)
		if !ok {
			return record.CID{}, fmt.Errorf("store a payload that Import did not make: %T", p)
		}
		own[i] = c.Payload
	}
	return b.Node.Store(ctx, own)
}

// chunked is a payload as the pipeline sees it.
type chunked struct{ *ipfs.Payload }

// Root implements ingest.Payload.
func (c chunked) Root() record.CID { return c.CID }

// channel is the ledger as the Anchorer sees it.
type channel struct {
	client *ledger.Client
	// last is the transaction that was looked up last: what a crash left unsettled is mostly of one.
	last *lookedUp
}

type lookedUp struct {
	id    record.TxID
	block uint64
}

// Endorse implements ingest.Ledger.
func (c channel) Endorse(ctx context.Context, b record.Batch) (ingest.Endorsed, error) {
	s, err := c.client.Prepare(ctx, b)
	if err != nil {
		return nil, err
	}
	return endorsed{s}, nil
}

// Anchored implements ingest.Ledger.
func (c channel) Anchored(ctx context.Context, tag record.Tag) (ingest.Position, error) {
	d, err := c.client.Document(ctx, tag)
	if err != nil {
		return ingest.Position{}, err
	}
	if d.Erased != nil {
		return ingest.Position{}, fmt.Errorf("document %s was erased just now", tag)
	}
	if c.last.id != d.Anchoring.TxID {
		tx, err := c.client.Transaction(ctx, d.Anchoring.TxID)
		if err != nil {
			return ingest.Position{}, err
		}
		*c.last = lookedUp{d.Anchoring.TxID, tx.Block}
	}
	return ingest.Position{TxID: d.Anchoring.TxID.String(), Block: c.last.block, Time: d.Anchoring.Time}, nil
}

// HoldCopies implements ingest.Ledger.
func (c channel) HoldCopies(ctx context.Context, q record.Copies) (ingest.Position, error) {
	acted, err := c.client.Act(ctx, record.HoldCopyFunction, q, nil)
	return ingest.Position{TxID: acted.TxID.String(), Block: acted.Block, Time: acted.Time}, err
}

// SetStable implements ingest.StableLedger.
func (c channel) SetStable(ctx context.Context, q record.StableRecords) error {
	_, err := c.client.Act(ctx, record.StableFunction, q, nil)
	return err
}

// endorsed is a prepared transaction as the Anchorer sees it.
type endorsed struct{ *ledger.Submission }

// TxID implements ingest.Endorsed.
func (e endorsed) TxID() string { return e.Submission.TxID.String() }

// Outcomes implements ingest.Endorsed.
func (e endorsed) Outcomes() []record.Outcome { return e.Submission.Outcomes }

// Submit implements ingest.Endorsed.
func (e endorsed) Submit(ctx context.Context) (ingest.Position, error) {
	r, err := e.Submission.Submit(ctx)
	if err != nil {
		return ingest.Position{}, err
	}
	return ingest.Position{TxID: r.TxID.String(), Block: r.Block, Time: r.Time}, nil
}
