package ingest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// The bounds of a group commit: it is cut at the first that is reached.
const (
	groupItems = 64
	groupBytes = 32 << 20
	// groupLinger is how long a group waits for another item; as long as a worker has one in hand it waits on, up to groupWait.
	groupLinger = 5 * time.Millisecond
	groupWait   = 250 * time.Millisecond
	// groupsInFlight is how many groups may store their blocks at once: while one waits for its fsync another writes.
	groupsInFlight = 2
)

// Inspector reads a file's metadata. What is wrong with the file is in the metadata; an error means that nothing can be
// inspected at all.
type Inspector interface {
	Inspect(ctx context.Context, src io.ReaderAt, size int64) (document.Metadata, error)
}

// Sealer encrypts. It reads src as payload is read; header is complete at once.
type Sealer interface {
	Seal(src io.Reader) (header []byte, payload io.Reader, err error)
}

// Blocks stores sealed payloads.
type Blocks interface {
	// Import chunks a payload. Nothing of it is durable before Store.
	Import(ctx context.Context, payload io.Reader) (Payload, error)
	// Store makes payloads durable and pins them under one root.
	Store(ctx context.Context, payloads []Payload) (root record.CID, err error)
	// Has says whether all blocks of a stored payload are there.
	Has(ctx context.Context, cid record.CID) (bool, error)
}

// Payload is a chunked payload that is not stored yet.
type Payload interface {
	Root() record.CID
	// Discard gives up what Import may have written already.
	Discard(ctx context.Context) error
}

// Known answers what is durable already.
type Known interface {
	Claimed(document.Claim) (id document.ItemID, found bool, err error)
	Carrier(record.Tag) (item document.Item, found bool, err error)
	Quarantined(document.Digest, document.PatientID) (item document.Item, found bool, err error)
	Instance(patient record.Reference, uid string) (first record.Tag, found bool, err error)
}

// Patients registers patients at first sight.
type Patients interface {
	Patient(document.PatientID) (document.Patient, error)
	// Linked gives the linked references of a patient of this hospital whose secrets are known.
	Linked(own record.Reference) ([]document.Linked, error)
}

// Elsewhere knows what other institutions anchored.
type Elsewhere interface {
	// Find looks for a document in the history of a reference to which one of this hospital's is linked: the version that
	// brought it. It finds nothing once the link has ended.
	Find(own, linked record.Reference, tag record.Tag) (v record.AnchoredVersion, found bool, err error)
}

// Journal makes groups durable.
type Journal interface {
	Commit(document.Commit) error
	// Reconsider replaces an item that is quarantined by what became of it: queued, a duplicate, or quarantined still.
	Reconsider(document.Item) error
}

// Options are what a Pipeline works with. All are required but those that say otherwise.
type Options struct {
	Inspector Inspector
	Sealer    Sealer
	Blocks    Blocks
	Known     Known
	Patients  Patients
	Elsewhere Elsewhere
	Journal   Journal
	Log       *slog.Logger
	// Rules say who is a patient.
	Rules document.PatientRules
	// Workers is how many files are read at once. More than there are processors: some wait for the inspector or the disk.
	Workers int
	// Queued, if set, is called after each commit that queued something.
	Queued func()
	// Trace, if set, is called at each step of each item. It must not block.
	Trace func(document.Step)
}

// Pipeline is the first half of an item's way. Make it with New, then Run it once.
type Pipeline struct {
	Options
	deliveries chan document.Delivery
	slots      chan struct{} // groups that store their blocks
	shares     shares        // by door

	inFlight inFlight
	// deciding is held while it is decided what is the first of its kind, until that is in flight or durable.
	deciding sync.Mutex

	inHand atomic.Int32 // items that workers prepare
	failed atomic.Bool  // nothing more is committed or acknowledged

	mu     sync.Mutex
	forget []document.Claim // acknowledged, source gone: to be forgotten in the next commit
}

// New makes a Pipeline.
func New(o Options) *Pipeline {
	if o.Trace == nil {
		o.Trace = func(document.Step) {}
	}
	if o.Queued == nil {
		o.Queued = func() {}
	}
	return &Pipeline{
		Options:    o,
		deliveries: make(chan document.Delivery),
		slots:      make(chan struct{}, groupsInFlight),
		shares:     shares{each: max(1, o.Workers-max(1, o.Workers/4))},
		inFlight:   newInFlight(),
	}
}

// Submit hands over a delivery and returns once a worker has taken it: this is the back-pressure on the doors. The
// door hears of the rest by Acknowledge or Release. A door has at most three quarters of the workers, and groupsToTell deliveries of
// which it has not heard: one whose files take long, or whose disk hangs, leaves the rest to the others.
func (p *Pipeline) Submit(ctx context.Context, d document.Delivery) error {
	share := p.shares.of(d.Claim.Door)
	if err := enter(ctx, share.untold); err != nil {
		return err
	}
	if err := enter(ctx, share.workers); err != nil {
		<-share.untold
		return err
	}
	select {
	case p.deliveries <- d:
		return nil
	case <-ctx.Done():
		<-share.workers
		<-share.untold
		return ctx.Err()
	}
}

func enter(ctx context.Context, entries chan<- struct{}) error {
	select {
	case entries <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// shares are what doors have of the pipeline.
type shares struct {
	each int // workers

	mu sync.Mutex
	by map[string]share
}

// share is what one door has.
type share struct {
	workers chan struct{} // an entry for each worker
	untold  chan struct{} // one for each delivery that is taken, and of which the door has not heard
}

func (s *shares) of(door string) share {
	s.mu.Lock()
	defer s.mu.Unlock()
	its, known := s.by[door]
	if !known {
		if s.by == nil {
			s.by = make(map[string]share)
		}
		its = share{make(chan struct{}, s.each), make(chan struct{}, groupsToTell)}
		s.by[door] = its
	}
	return its
}

// handBack hands a delivery back to its door.
func (p *Pipeline) handBack(d document.Delivery, reason error) {
	d.Door.Release(d.Claim, reason)
	<-p.shares.of(d.Claim.Door).untold
}

// Run works until ctx ends, then commits what is read already and returns nil. Any other error is fatal: storage
// failed, and nothing more may be acknowledged by this process.
func (p *Pipeline) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	prepared := make(chan *prepared)
	order := make(chan *batch, groupsInFlight)

	var workers sync.WaitGroup
	for range p.Workers {
		workers.Add(1)
		group.Go(func() error {
			defer workers.Done()
			err := p.work(ctx, prepared)
			if err != nil {
				p.failed.Store(true)
			}
			return err
		})
	}
	group.Go(func() error {
		workers.Wait()
		close(prepared)
		return nil
	})
	group.Go(func() error {
		defer close(order)
		return p.gather(context.WithoutCancel(ctx), stop, prepared, order)
	})
	committed := make(chan *batch, groupsInFlight)
	group.Go(func() error {
		defer close(committed)
		return p.commitInOrder(stop, order, committed)
	})
	group.Go(func() error { return p.acknowledge(ctx, committed) })
	return group.Wait()
}

// work takes deliveries until ctx ends.
func (p *Pipeline) work(ctx context.Context, out chan<- *prepared) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case d := <-p.deliveries:
			err := p.take(ctx, d, out)
			<-p.shares.of(d.Claim.Door).workers
			if err != nil {
				return err
			}
		}
	}
}

// take prepares one delivery and passes it on, or hands it back to its door.
func (p *Pipeline) take(ctx context.Context, d document.Delivery, out chan<- *prepared) error {
	p.inHand.Add(1)
	item, err := p.prepare(ctx, d)
	p.inHand.Add(-1)
	var held *heldError
	switch {
	case errors.As(err, &held):
		p.handBack(d, held.reason)
		return nil
	case err != nil && errors.Is(err, ctx.Err()):
		p.handBack(d, ctx.Err())
		return nil
	case err != nil:
		p.handBack(d, err)
		return err
	}
	out <- item // gather receives until all workers are gone
	return nil
}

// heldError is what concerns one delivery only: it stays at its door.
type heldError struct{ reason error }

func (e *heldError) Error() string { return e.reason.Error() }
func (e *heldError) Unwrap() error { return e.reason }
