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
)

// batchDocuments is how many documents one transaction anchors at most: larger ones gain nothing (docs/ledger-model.md).
const batchDocuments = 500

// The pauses between attempts while the ledger is away.
const (
	retryFirst = 250 * time.Millisecond
	retryLast  = 15 * time.Second
)

// Ledger is the channel, as the Anchorer uses it.
type Ledger interface {
	// Endorse has the peers simulate the batch. A record.Error with code VersionConflict names a version whose number is
	// not the next of its record.
	Endorse(ctx context.Context, b record.Batch) (Endorsed, error)
	// Anchored says where a document stands on the ledger, and which CID it has there.
	Anchored(ctx context.Context, tag record.Tag) (Position, record.CID, error)
	// LastVersion is the number of the record's last version on the ledger; 0 if it is not there.
	LastVersion(ctx context.Context, patient record.Reference, tag record.Tag) (uint16, error)
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
	Settle(receipts []document.Receipt, versions map[record.Tag]uint16) error
	LastVersion(record.Tag) (uint16, error)
}

// AnchorerOptions are what an Anchorer works with. All are required but Trace.
type AnchorerOptions struct {
	Ledger Ledger
	Outbox Outbox
	Log    *slog.Logger
	// Trace, if set, is called at each step of each item. It must not block.
	Trace func(document.State)
}

// Anchorer is the second half of an item's way. Make it with NewAnchorer, then Run it once.
type Anchorer struct {
	AnchorerOptions
	kick chan struct{}

	mu    sync.Mutex
	away  error
	since time.Time

	learnt map[record.Tag]uint16 // last versions that the ledger told after a conflict; of Run's goroutine only
}

// NewAnchorer makes an Anchorer.
func NewAnchorer(o AnchorerOptions) *Anchorer {
	if o.Trace == nil {
		o.Trace = func(document.State) {}
	}
	return &Anchorer{AnchorerOptions: o, kick: make(chan struct{}, 1), learnt: make(map[record.Tag]uint16)}
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
	pause := retryFirst
	for {
		n, err := a.next(ctx)
		if _, fatal := errors.AsType[*outboxError](err); fatal {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		a.setAway(err)
		switch {
		case err != nil:
			a.wait(ctx, time.After(pause), nil)
			pause = min(2*pause, retryLast)
		case n == 0:
			a.wait(ctx, nil, a.kick)
			pause = retryFirst
		default:
			pause = retryFirst
		}
	}
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

// next anchors the next batch of the outbox and returns how many items it settled.
func (a *Anchorer) next(ctx context.Context) (int, error) {
	items, err := a.Outbox.Pending(batchDocuments)
	if err != nil {
		return 0, &outboxError{err}
	}
	if len(items) == 0 {
		return 0, nil
	}
	p, err := a.pack(items)
	if err != nil {
		return 0, err
	}
	endorsed, err := a.Ledger.Endorse(ctx, p.batch)
	if i, ok := conflict(err, p.batch); ok {
		return 0, a.learnVersion(ctx, p.batch.Versions[i])
	}
	if err != nil {
		return 0, err
	}
	at, err := a.submit(ctx, endorsed, p)
	if err != nil {
		return 0, err
	}
	receipts, err := a.receipts(ctx, endorsed, p, at)
	if err != nil {
		return 0, err
	}
	versions, err := a.written(ctx, endorsed, p)
	if err != nil {
		return 0, err
	}
	if err := a.Outbox.Settle(receipts, versions); err != nil {
		return 0, &outboxError{err}
	}
	for tag := range versions {
		delete(a.learnt, tag)
	}
	for i := range receipts {
		a.Trace(receipts[i].State)
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
		a.Trace(document.Submitted)
	}
	return endorsed.Submit(ctx)
}

// conflict returns which version of the batch does not have the next number of its record.
func conflict(err error, b record.Batch) (index int, ok bool) {
	refused, ok := errors.AsType[*record.Error](err)
	if !ok || refused.Code != record.VersionConflict {
		return 0, false
	}
	return refused.Index, refused.Index >= 0 && refused.Index < len(b.Versions)
}

// learnVersion asks the ledger for a record's last version, so that the next attempt continues after it.
func (a *Anchorer) learnVersion(ctx context.Context, v record.Version) error {
	n, err := a.Ledger.LastVersion(ctx, v.Patient, v.Record)
	if err != nil {
		return err
	}
	if n+1 == v.Number {
		return errors.New("the peer that endorses and the one that answers are not at the same block yet")
	}
	a.learnt[v.Record] = n
	a.Kick()
	return nil
}

// packed is a batch with the items behind its documents, in the order of the documents.
type packed struct {
	batch record.Batch
	items []document.Item
}

// pack groups items into versions of their records, in the order in which the records first appear.
func (a *Anchorer) pack(items []document.Item) (packed, error) {
	byRecord := make(map[record.Tag][]document.Item)
	var order []record.Tag
	for _, item := range items {
		if byRecord[item.Record] == nil {
			order = append(order, item.Record)
		}
		byRecord[item.Record] = append(byRecord[item.Record], item)
	}
	var p packed
	for _, tag := range order {
		last, err := a.lastVersion(tag)
		if err != nil {
			return packed{}, err
		}
		joined := byRecord[tag]
		version := record.Version{
			Patient: joined[0].Patient, Record: tag, Number: last + 1,
			Kind: joined[0].Kind, Time: day(joined[0].Metadata.Time),
		}
		for _, item := range joined {
			version.Documents = append(version.Documents,
				record.Document{Tag: item.Tag, CID: item.CID, VariantOf: item.VariantOf})
		}
		p.batch.Versions = append(p.batch.Versions, version)
		p.items = append(p.items, joined...)
	}
	return p, nil
}

// day cuts a time down to what the ledger may know of it. A time to the second is nearly unique: it would tie together the
// copies of one file that two hospitals hold, and a person to their reference for whoever knows of the appointment.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

func (a *Anchorer) lastVersion(tag record.Tag) (uint16, error) {
	if n, ok := a.learnt[tag]; ok {
		return n, nil
	}
	n, err := a.Outbox.LastVersion(tag)
	if err != nil {
		return 0, &outboxError{err}
	}
	return n, nil
}

// receipts says where each document stands: in this transaction, or in the earlier one that created it.
func (a *Anchorer) receipts(ctx context.Context, endorsed Endorsed, p packed, at Position) ([]document.Receipt, error) {
	receipts := make([]document.Receipt, len(p.items))
	for i, outcome := range endorsed.Outcomes() {
		item, position, state := p.items[i], at, document.Anchored
		if outcome != record.Created {
			earlier, cid, err := a.Ledger.Anchored(ctx, item.Tag)
			if err != nil {
				return nil, err
			}
			position = earlier
			if cid != item.CID {
				state = document.Quarantined
			}
		}
		receipts[i] = document.Receipt{
			ID: item.ID, State: state, TxID: position.TxID, Block: position.Block, Time: position.Time.UnixMilli(),
		}
		if state == document.Quarantined {
			receipts[i].Reason = document.ReasonLedgerConflict
		}
	}
	return receipts, nil
}

// written returns the last version of each record of the batch. Where some documents were there before, the ledger is asked.
func (a *Anchorer) written(ctx context.Context, endorsed Endorsed, p packed) (map[record.Tag]uint16, error) {
	versions := make(map[record.Tag]uint16, len(p.batch.Versions))
	outcomes := endorsed.Outcomes()
	for _, v := range p.batch.Versions {
		versions[v.Record] = v.Number
		if slices.Contains(outcomes[:len(v.Documents)], record.Existing) || slices.Contains(outcomes[:len(v.Documents)], record.Conflict) {
			n, err := a.Ledger.LastVersion(ctx, v.Patient, v.Record)
			if err != nil {
				return nil, err
			}
			versions[v.Record] = n
		}
		outcomes = outcomes[len(v.Documents):]
	}
	return versions, nil
}
