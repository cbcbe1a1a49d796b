package ingest

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// StudyBook keeps the studies; state.DB implements it.
type StudyBook interface {
	OpenStudies() ([]document.Study, error)
	// CallStable returns those that are stable now: one to which an instance was added meanwhile is not.
	CallStable(names []record.RecordName, now time.Time) (called []record.RecordName, err error)
	StableTold(names []record.RecordName) error
}

// StableLedger is the channel, as a Stabiliser uses it.
type StableLedger interface {
	// SetStable says that no more instances of these records are expected. To repeat it does no harm. A refusal is a
	// *record.Error.
	SetStable(ctx context.Context, q record.StableRecords) error
}

// StabiliserOptions are what a Stabiliser works with. All are required but Trace.
type StabiliserOptions struct {
	Studies StudyBook
	Ledger  StableLedger
	// Quiet is how long no instance must have come. A study of which all are here that its sender speaks of does not wait.
	Quiet time.Duration
	Log   *slog.Logger
	// Trace, if set, is called for each study that the ledger was told of. It must not block.
	Trace func(document.Step)
}

// Stabiliser calls studies stable. Make it with NewStabiliser, then Run it once.
type Stabiliser struct {
	StabiliserOptions
}

// NewStabiliser makes a Stabiliser.
func NewStabiliser(o StabiliserOptions) *Stabiliser {
	if o.Trace == nil {
		o.Trace = func(document.Step) {}
	}
	return &Stabiliser{o}
}

// The bounds of the time between two looks.
const (
	lookFirst = 250 * time.Millisecond
	lookLast  = 15 * time.Second
)

// Run looks for studies that have become stable until ctx ends. While the ledger is away they wait; an error of the book is
// fatal and returned.
func (s *Stabiliser) Run(ctx context.Context) error {
	tick := time.NewTicker(min(max(s.Quiet/8, lookFirst), lookLast))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if err := s.look(ctx, now); err != nil {
				return err
			}
		}
	}
}

// look calls stable what has become so. A study is called so here first, that instances which come while the ledger is told
// are late.
func (s *Stabiliser) look(ctx context.Context, now time.Time) error {
	studies, err := s.Studies.OpenStudies()
	if err != nil {
		return err
	}
	var called, names []record.RecordName
	for _, study := range studies {
		switch {
		case !study.Stable.IsZero():
			called = append(called, study.Name)
		case study.Waiting == 0 && (study.Complete() || study.Quiet(now) >= s.Quiet):
			if study.Expected > study.Instances {
				s.Log.Warn("a study is stable with fewer instances than its sender spoke of", "record", study.Name.Record,
					"instances", study.Instances, "expected", study.Expected)
			}
			names = append(names, study.Name)
		}
	}
	if len(names) > 0 {
		now, err := s.Studies.CallStable(names, now.UTC())
		if err != nil {
			return err
		}
		called = append(called, now...)
	}
	for group := range slices.Chunk(called, record.MaxStable) {
		if away, err := s.tell(ctx, group); away || err != nil {
			return err
		}
	}
	return nil
}

// tell tells the ledger. Where it refuses some of several, they go one by one: a study that it refuses for good is told of no
// more. What concerns the ledger, or this appliance's standing on it, is tried again at the next look: away.
func (s *Stabiliser) tell(ctx context.Context, names []record.RecordName) (away bool, err error) {
	err = s.Ledger.SetStable(ctx, record.StableRecords{Records: names})
	refused, isRefusal := errors.AsType[*record.Error](err)
	final := isRefusal && !slices.Contains([]record.Code{record.Internal, record.AnchoringConflict, record.Forbidden}, refused.Code)
	switch {
	case final && len(names) > 1:
		for _, name := range names {
			if away, err := s.tell(ctx, []record.RecordName{name}); away || err != nil {
				return away, err
			}
		}
		return false, nil
	case final:
		s.Log.Warn("the ledger does not take it that a study is stable", "record", names[0].Record, "err", err)
	case err != nil:
		s.Log.Debug("the ledger could not be told of stable studies: tried again", "err", err)
		return true, nil
	}
	if err := s.Studies.StableTold(names); err != nil {
		return false, err
	}
	for range names {
		s.Trace(document.StepStable)
	}
	return false, nil
}
