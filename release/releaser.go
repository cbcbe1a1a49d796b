package release

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/pause"
)

// The pauses of the loop.
const (
	retryFirst = 250 * time.Millisecond
	retryLast  = 15 * time.Second
	// expiryScan is how often releases are looked through for those whose time is over.
	expiryScan = 20 * time.Second
	// indexTimeout bounds the wait for the index to see what was done.
	indexTimeout = 30 * time.Second
	// refusalTime is for how long a refusal is asked about again that comes of what another member's peer does not have yet.
	refusalTime = 30 * time.Second
)

// Ledger is the channel, as the Releaser uses it. Block is the one in which the transaction stands.
type Ledger interface {
	// Height is how many blocks there are.
	Height(ctx context.Context) (uint64, error)
	// CheckAccess decides by the contract; version is one of the record's, by whose kind scopes decide.
	CheckAccess(ctx context.Context, reader record.ParticipantID, name record.RecordName, version record.Tag,
	) (record.Access, error)
	Release(ctx context.Context, q record.Release, r record.SealedRelease) (block uint64, err error)
	EndReleases(ctx context.Context, q record.ReleaseEnd) (block uint64, err error)
	// HandOver gives a patient's secret to an appliance of the institution of a linked reference.
	HandOver(ctx context.Context, q record.HandOver, secret [32]byte) (block uint64, err error)
	// Seal seals keys for a reader, as the ledger has them.
	Seal(q record.Release, until time.Time, reader record.Participant, keys []Key) (record.SealedRelease, error)
}

// Index is the local read model of the channel, by key of the ledger.
type Index interface {
	// Next is the number of the first block that it does not have.
	Next() (uint64, error)
	Get(key string) (value []byte, found bool, err error)
	// Range calls f for what stands under the keys in [start, end), until f returns false.
	Range(start, end string, f func(key string, value []byte) bool) error
	// Since calls f for each key that was written in this block or later, deleted ones too.
	Since(block uint64, f func(key string) bool) error
}

// Vault is what this hospital holds.
type Vault interface {
	// Held gives what a reader needs of a document; found is false if this hospital does not hold it as the ledger has it.
	Held(tag record.Tag) (h Held, found bool, err error)
	// Copies calls f for each document that another institution anchored and of which this one holds a copy.
	Copies(f func(tag record.Tag, patient record.Reference, rec record.Tag) bool) error
	// Secret gives the secret of a patient of this institution; found is false for others.
	Secret(patient record.Reference) (secret [32]byte, found bool, err error)
}

// Held is a document that this hospital holds.
type Held struct {
	CID      record.CID
	FileKey  [16]byte
	Metadata json.RawMessage // a document.Description
}

// Key is a held document, by its place in the patient's history.
type Key struct {
	Record, Version, Tag record.Tag
	Held
}

// Options are what a Releaser works with. All are required but Released.
type Options struct {
	Institution record.InstitutionPrefix // this hospital's
	Ledger      Ledger
	Index       Index
	Vault       Vault
	Log         *slog.Logger
	// Released, if set, is called with the number of keys that were released, or with a negative one of those taken back.
	Released func(keys int)
	// Now is the hospital's own clock; time.Now if unset.
	Now func() time.Time
}

// Releaser gives and takes keys. Make it with New, then Run it once.
type Releaser struct {
	Options
	kick  chan struct{}
	next  uint64 // the first block whose changes were not looked at
	dirty map[record.Reference]*subject
	// waiting is the number of patients who are not settled.
	waiting atomic.Int64
}

// subject is what of a patient's is to be looked at.
type subject struct {
	whole   bool                // everything
	records map[record.Tag]bool // else what joined these
	refused time.Time           // since when the contract refuses something of it that may pass
}

// New makes a Releaser.
func New(o Options) *Releaser {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Released == nil {
		o.Released = func(int) {}
	}
	return &Releaser{Options: o, kick: make(chan struct{}, 1), dirty: make(map[record.Reference]*subject)}
}

// Kick says that the index has something new.
func (r *Releaser) Kick() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// Waiting is the number of patients whose releases are not settled yet.
func (r *Releaser) Waiting() int64 { return r.waiting.Load() }

// Run works until ctx ends. What concerns the ledger is retried for ever; an error of the index or the vault is fatal and
// returned.
func (r *Releaser) Run(ctx context.Context) error {
	if err := r.catchUp(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	if err := r.begin(); err != nil {
		return err
	}
	retries := pause.Growing{First: retryFirst, Last: retryLast}
	scan := time.NewTicker(expiryScan)
	defer scan.Stop()
	for ctx.Err() == nil {
		if err := r.collect(); err != nil {
			return err
		}
		failed, err := r.settle(ctx)
		if err != nil {
			return err
		}
		var retry <-chan time.Time
		if failed {
			retry = time.After(retries.Next())
		} else {
			retries.Reset()
		}
		select {
		case <-ctx.Done():
		case <-retry:
		case <-r.kick:
		case <-scan.C:
			if err := r.markExpired(); err != nil {
				return err
			}
		}
	}
	return nil
}

// catchUp waits until the index has what there is. One that is behind, or is being rebuilt, shows the past: much would be
// done that was done long ago.
func (r *Releaser) catchUp(ctx context.Context) error {
	height, unknown := r.Ledger.Height(ctx)
	retries := pause.Growing{First: retryFirst, Last: retryLast}
	for {
		next, err := r.Index.Next()
		if err != nil || unknown == nil && next >= height {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.kick:
		case <-time.After(retries.Next()):
		}
		if unknown != nil {
			height, unknown = r.Ledger.Height(ctx)
		}
	}
}

// settle reconciles each patient who was marked. Those for whom the ledger could not be asked stay marked.
func (r *Releaser) settle(ctx context.Context) (failed bool, err error) {
	var last uint64 // block of what was done
	for patient, what := range r.dirty {
		if ctx.Err() != nil {
			return false, nil
		}
		block, err := r.reconcile(ctx, patient, what)
		last = max(last, block)
		waits, err := r.waits(what, err)
		if err != nil {
			return false, err
		}
		if waits {
			failed = true
			continue
		}
		delete(r.dirty, patient)
		r.waiting.Store(int64(len(r.dirty)))
	}
	r.waiting.Store(int64(len(r.dirty)))
	return failed, r.await(ctx, last)
}

// waits says whether a patient is to be reconciled again because of an error. One that does not concern the ledger is given
// back.
func (r *Releaser) waits(what *subject, failed error) (again bool, fatal error) {
	away, ok := failed.(*ledgerError) //nolint:errorlint // made by this package, and never wrapped
	switch {
	case !ok:
		return false, failed
	case !away.passing:
		what.refused = time.Time{}
	case what.refused.IsZero():
		what.refused = r.Now()
	case r.Now().Sub(what.refused) > refusalTime:
		r.Log.Warn("the ledger refuses a release", "err", failed)
		return false, nil
	}
	r.Log.Debug("release waits for the ledger", "err", failed)
	return true, nil
}

// await waits until the index has a block, so that what was done is not done again.
func (r *Releaser) await(ctx context.Context, block uint64) error {
	if block == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, indexTimeout)
	defer cancel()
	defer r.Kick() // those that come meanwhile may have come for more than this block
	for {
		next, err := r.Index.Next()
		if err != nil || next > block {
			return err
		}
		select {
		case <-ctx.Done():
			return nil // the index lags: at worst something is released twice
		case <-r.kick:
		}
	}
}

// ledgerError marks what concerns the ledger, and is tried again.
type ledgerError struct {
	err error
	// passing is set if the contract refused one thing, and the rest can be done.
	passing bool
}

func (e *ledgerError) Error() string { return e.err.Error() }
func (e *ledgerError) Unwrap() error { return e.err }

// passes says whether an error leaves the rest to be done.
func passes(err error) bool {
	away, ok := err.(*ledgerError) //nolint:errorlint // made by this package, and never wrapped
	return ok && away.passing
}

// worse is the one of two errors that says more: one of a refusal may give way to the other.
func worse(a, b error) error {
	if a == nil || passes(a) && b != nil {
		return b
	}
	return a
}
