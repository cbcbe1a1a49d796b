package ingest_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest"
)

// book is studies in memory, and the ledger that is told of them.
type book struct {
	mu      sync.Mutex
	studies []document.Study
	told    []record.RecordName
	refused []record.RecordName
	away    int
	barred  int // how many more times the appliance is refused
	calls   int
	writes  int // calls of CallStable
}

func (b *book) OpenStudies() ([]document.Study, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.studies), nil
}

func (b *book) CallStable(names []record.RecordName, now time.Time) (called []record.RecordName, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writes++
	for i := range b.studies {
		s := &b.studies[i]
		if slices.Contains(names, s.Name) && s.Waiting == 0 {
			s.Stable = now
			called = append(called, s.Name)
		}
	}
	return called, nil
}

func (b *book) StableTold(names []record.RecordName) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.studies = slices.DeleteFunc(b.studies, func(s document.Study) bool { return slices.Contains(names, s.Name) })
	return nil
}

func (b *book) SetStable(_ context.Context, q record.StableRecords) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	if b.away > 0 {
		b.away--
		return errInjected
	}
	if b.barred > 0 {
		b.barred--
		return record.Errorf(record.Forbidden, "the participant is suspended")
	}
	for _, name := range q.Records {
		if slices.Contains(b.refused, name) {
			return record.Errorf(record.WrongState, "refused")
		}
	}
	b.told = append(b.told, q.Records...)
	return q.Validate()
}

func study(n byte, last time.Time) document.Study {
	return document.Study{
		Name: record.RecordName{Patient: record.Reference{1}, Record: record.Tag{n}}, First: last, Last: last, Instances: 3,
	}
}

// look runs a Stabiliser with a quiet time of a minute for some time, by a clock of the test's own.
func (b *book) look(t *testing.T, f func()) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		s := ingest.NewStabiliser(ingest.StabiliserOptions{Studies: b, Ledger: b, Quiet: time.Minute, Log: slog.New(slog.DiscardHandler)})
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		f()
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

func (b *book) open(studies ...document.Study) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.studies = studies
}

func (b *book) has(n byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.ContainsFunc(b.told, func(name record.RecordName) bool { return name.Record == record.Tag{n} })
}

func TestAStudyIsStableAfterAQuietTime(t *testing.T) {
	var b book
	b.look(t, func() {
		b.open(study(1, time.Now()))
		time.Sleep(55 * time.Second)
		if b.has(1) {
			t.Error("it is stable before its quiet time is over")
		}
		time.Sleep(15 * time.Second)
		if !b.has(1) {
			t.Error("it is not stable after its quiet time")
		}
	})
}

func TestAStudyThatItsSenderCallsCompleteDoesNotWait(t *testing.T) {
	var b book
	b.look(t, func() {
		complete, partly := study(1, time.Now()), study(2, time.Now())
		complete.Expected, partly.Expected = 3, 4
		b.open(complete, partly)
		time.Sleep(20 * time.Second)
		if !b.has(1) || b.has(2) {
			t.Errorf("the complete one is stable: %v, the other: %v", b.has(1), b.has(2))
		}
		time.Sleep(time.Minute)
		if !b.has(2) {
			t.Error("the incomplete one waits for ever")
		}
	})
}

func TestAStudyIsNotStableWhileInstancesWaitForTheLedger(t *testing.T) {
	var b book
	b.look(t, func() {
		waiting := study(1, time.Now())
		waiting.Waiting = 1
		b.open(waiting)
		time.Sleep(time.Hour)
		if b.has(1) {
			t.Error("it is stable, and what waits would be late")
		}
	})
}

func TestAClockThatWasMovedHoldsNoStudyOpen(t *testing.T) {
	var b book
	b.look(t, func() {
		b.open(study(1, time.Now().Add(24*time.Hour)), study(2, time.Now().Add(-24*time.Hour)))
		time.Sleep(20 * time.Second)
		if !b.has(1) || !b.has(2) {
			t.Error("a study of a clock that was wrong is not stable")
		}
	})
}

func TestTheLedgersAbsenceAndRefusalOfStableStudies(t *testing.T) {
	b := book{away: 2, barred: 2}
	b.look(t, func() {
		b.refused = []record.RecordName{study(2, time.Time{}).Name}
		b.open(study(1, time.Now()), study(2, time.Now()), study(3, time.Now()))
		time.Sleep(5 * time.Minute)
	})
	if !b.has(1) || b.has(2) || !b.has(3) || len(b.studies) != 0 {
		t.Errorf("told of %v, %d left", b.told, len(b.studies))
	}
	if b.calls > 10 {
		t.Errorf("the ledger was asked %d times", b.calls)
	}
}

// An hour without the ledger costs state.db no writes, and one attempt at each look.
func TestStudiesThatTheLedgerIsNotToldOfCostNothing(t *testing.T) {
	b := book{away: 1 << 20}
	b.look(t, func() {
		var studies []document.Study
		for n := range byte(250) { // more than one transaction takes
			studies = append(studies, study(n, time.Now()))
		}
		b.open(studies...)
		time.Sleep(time.Hour)
	})
	if b.writes != 1 || b.calls > int(time.Hour/(7*time.Second)) {
		t.Errorf("%d writes, %d attempts", b.writes, b.calls)
	}
}
