package ingest

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/pause"
)

// batchDocuments is how many documents one transaction anchors at most: larger ones gain nothing (docs/ledger-model.md).
const batchDocuments = 500

// gatherTime is how long documents gather for the next transaction after one that was not full. A transaction costs the peers of
// every hospital about the same however many documents are in it; the first after a lull does not wait.
const gatherTime = 500 * time.Millisecond

// The pauses between attempts while the ledger is away.
const (
	retryFirst = 250 * time.Millisecond
	retryLast  = 15 * time.Second
)

// Ledger is the channel, as the Anchorer uses it.
type Ledger interface {
	// Endorse has the peers simulate the batch.
	Endorse(ctx context.Context, b record.Batch) (Endorsed, error)
	// Anchored says where a document stands on the ledger.
	Anchored(ctx context.Context, tag record.Tag) (Position, error)
	// HoldCopies says that this institution holds copies. To repeat it does no harm. A refusal is a *record.Error.
	HoldCopies(ctx context.Context, q record.Copies) (Position, error)
}

// Endorsed is a transaction that is ready to be sent.
type Endorsed interface {
	TxID() string // hexadecimal
	// Outcomes are what it does with each document of the batch, in order.
	Outcomes() []record.Outcome
	// Submit sends it and waits until it is committed as valid.
	Submit(ctx context.Context) (Position, error)
}

// Position is where a transaction stands on the channel.
type Position struct {
	TxID  string // hexadecimal
	Block uint64
	Time  time.Time
}

// Outbox is the durable queue; state.DB implements it.
type Outbox interface {
	Pending(limit int) ([]document.Item, error)
	Submitting(document.Submission) error
	Settle(receipts []document.Receipt) error
}

// AnchorerOptions are what an Anchorer works with. All are required but Trace.
type AnchorerOptions struct {
	Ledger Ledger
	Outbox Outbox
	// Elsewhere tells a refused copy of which the link has ended from one of which the ledger refused this appliance.
	Elsewhere Elsewhere
	Log       *slog.Logger
	// Trace, if set, is called at each step of each item. It must not block.
	Trace func(document.Step)
}

// Anchorer is the second half of an item's way. Make it with NewAnchorer, then Run it once.
type Anchorer struct {
	AnchorerOptions
	kick chan struct{}

	mu    sync.Mutex
	away  error
	since time.Time
}

// NewAnchorer makes an Anchorer.
func NewAnchorer(o AnchorerOptions) *Anchorer {
	if o.Trace == nil {
		o.Trace = func(document.Step) {}
	}
	return &Anchorer{AnchorerOptions: o, kick: make(chan struct{}, 1)}
}

// Kick says that the outbox has something new.
func (a *Anchorer) Kick() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

// Away returns why the ledger does not take batches, and since when; nil while it does.
func (a *Anchorer) Away() (since time.Time, reason error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.since, a.away
}

// Run empties the outbox, in order, until ctx ends. What concerns the ledger is retried for ever; an error of the
// outbox is fatal and returned.
func (a *Anchorer) Run(ctx context.Context) error {
	retries := pause.Growing{First: retryFirst, Last: retryLast}
	for ctx.Err() == nil {
		left, err := a.next(ctx)
		if _, fatal := errors.AsType[*outboxError](err); fatal {
			return err
		}
		if err != nil && ctx.Err() != nil {
			return nil
		}
		a.setAway(err)
		switch {
		case err != nil:
			a.wait(ctx, time.After(retries.Next()), nil)
		case left == nothing:
			retries.Reset()
			a.wait(ctx, nil, a.kick)
		case left == whatCame:
			retries.Reset()
			a.wait(ctx, time.After(gatherTime), nil)
		default:
			retries.Reset()
		}
	}
	return nil
}

func (a *Anchorer) wait(ctx context.Context, timer <-chan time.Time, kick <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-timer:
	case <-kick:
	}
}

func (a *Anchorer) setAway(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err != nil && a.away != nil && reason(err) != reason(a.away):
		a.Log.Warn("ledger still away, for another reason", "err", err)
	case err != nil && a.away == nil:
		a.since = time.Now()
		a.Log.Warn("ledger away: intake goes on, the queue is kept and drains by itself", "err", err)
	case err == nil && a.away != nil:
		a.Log.Info("ledger back", "after", time.Since(a.since).Round(time.Millisecond))
	}
	a.away = err
}

// reason tells errors apart: a refusal by its code, any other as one.
func reason(err error) record.Code {
	if refused, ok := errors.AsType[*record.Error](err); ok {
		return refused.Code
	}
	return ""
}

// outboxError marks a failure of state.db: fatal.
type outboxError struct{ err error }

func (e *outboxError) Error() string { return e.err.Error() }
func (e *outboxError) Unwrap() error { return e.err }

// outbox is what is in it after a transaction.
type outbox int

const (
	nothing  outbox = iota // nor was there before
	whatCame               // at most what came meanwhile
	more                   // what the transaction had no room for
)

// next anchors the next batch, and says what is left.
func (a *Anchorer) next(ctx context.Context) (outbox, error) {
	items, err := a.Outbox.Pending(batchDocuments)
	if err != nil {
		return nothing, &outboxError{err}
	}
	if len(items) == 0 {
		return nothing, nil
	}
	batch := alike(items)
	settle := a.anchor
	if batch[0].Copy != nil {
		settle = a.hold
	}
	settled, err := settle(ctx, batch)
	if err != nil {
		return nothing, err
	}
	if settled == batchDocuments || settled < len(items) {
		return more, nil
	}
	return whatCame, nil
}

// anchor anchors documents in one transaction, and returns how many items it settled: all.
func (a *Anchorer) anchor(ctx context.Context, items []document.Item) (int, error) {
	p := pack(items)
	endorsed, err := a.Ledger.Endorse(ctx, p.batch)
	if err != nil {
		return 0, err
	}
	at, err := a.submit(ctx, endorsed, p)
	if err != nil {
		return 0, err
	}
	a.Trace(document.StepCommitted)
	receipts, err := a.receipts(ctx, endorsed, p, at)
	if err != nil {
		return 0, err
	}
	if err := a.Outbox.Settle(receipts); err != nil {
		return 0, &outboxError{err}
	}
	for i := range receipts {
		a.Trace(receipts[i].State.Taken())
	}
	return len(items), nil
}

// submit sends the transaction, unless all of its documents are there already.
func (a *Anchorer) submit(ctx context.Context, endorsed Endorsed, p packed) (Position, error) {
	if !slices.Contains(endorsed.Outcomes(), record.Created) {
		return Position{}, nil
	}
	submission := document.Submission{TxID: endorsed.TxID()}
	for _, item := range p.items {
		submission.Items = append(submission.Items, item.ID)
	}
	if err := a.Outbox.Submitting(submission); err != nil {
		return Position{}, &outboxError{err}
	}
	for range p.items {
		a.Trace(document.StepSubmitted)
	}
	return endorsed.Submit(ctx)
}

// packed is a batch with the items behind its documents, in the order of the documents.
type packed struct {
	batch record.Batch
	items []document.Item
}

// pack groups items into versions of their records, in the order in which the records first appear. What came late is a version
// of its own, which says so.
func pack(items []document.Item) packed {
	type arrival struct {
		record record.Tag
		late   bool
	}
	byRecord := make(map[arrival][]document.Item)
	var order []arrival
	for _, item := range items {
		a := arrival{item.Record, item.Late}
		if byRecord[a] == nil {
			order = append(order, a)
		}
		byRecord[a] = append(byRecord[a], item)
	}
	var p packed
	for _, a := range order {
		joined := byRecord[a]
		version := record.Version{
			Patient: joined[0].Patient, Record: a.record, Kind: joined[0].Kind, Date: day(joined[0].Metadata.Time), Late: a.late,
		}
		for _, item := range joined {
			version.Documents = append(version.Documents,
				record.Document{Tag: item.Tag, CID: item.CID, VariantOf: item.VariantOf})
		}
		p.batch.Versions = append(p.batch.Versions, version)
		p.items = append(p.items, joined...)
	}
	return p
}

// day cuts a time down to what the ledger has room for: the date where it was taken.
func day(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

// receipts says what became of each document, and where it stands: in this transaction, or in the earlier one that created
// it. An erased one stands nowhere.
func (a *Anchorer) receipts(ctx context.Context, endorsed Endorsed, p packed, at Position) ([]document.Receipt, error) {
	receipts := make([]document.Receipt, len(p.items))
	for i, outcome := range endorsed.Outcomes() {
		position := at
		if outcome != record.Created {
			position = Position{}
		}
		if outcome == record.Existing || outcome == record.Conflict {
			var err error
			if position, err = a.Ledger.Anchored(ctx, p.items[i].Tag); err != nil {
				return nil, err
			}
		}
		receipts[i] = document.Receipt{
			ID: p.items[i].ID, State: document.Anchored, Reason: refused(outcome),
			TxID: position.TxID, Block: position.Block, Time: position.Time.UnixMilli(),
		}
		if receipts[i].Reason != "" {
			receipts[i].State = document.Quarantined
		}
	}
	return receipts, nil
}

// refused is why the ledger does not have what the item holds; empty if it does.
func refused(o record.Outcome) document.Reason {
	switch o {
	case record.Created, record.Existing:
		return ""
	case record.Conflict:
		return document.ReasonLedgerConflict
	case record.Erased:
		return document.ReasonErased
	}
	return ""
}
