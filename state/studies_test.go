package state_test

import (
	"slices"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/state"
)

// instance is an entry for an instance of the study s; n tells instances apart.
func instance(n, s byte) document.Entry {
	e := queued(n)
	e.Item.Kind, e.Item.Record = record.KindImaging, record.Tag{0xee, s}
	e.Item.Received = time.Unix(1_000+int64(n), 0).UTC()
	return e
}

func studyOf(e document.Entry) record.RecordName {
	return record.RecordName{Patient: e.Item.Patient, Record: e.Item.Record}
}

func study(t *testing.T, db *state.DB, name record.RecordName) document.Study {
	t.Helper()
	s, found, err := db.Study(name)
	if err != nil || !found {
		t.Fatalf("study: found %t, %v", found, err)
	}
	return s
}

func settled(t *testing.T, db *state.DB, e document.Entry, as document.State, reason document.Reason) {
	t.Helper()
	if err := db.Settle([]document.Receipt{{ID: e.Item.ID, State: as, Reason: reason}}); err != nil {
		t.Fatal(err)
	}
}

func openStudies(t *testing.T, db *state.DB) (names []record.RecordName) {
	t.Helper()
	studies, err := db.OpenStudies()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range studies {
		names = append(names, s.Name)
	}
	return names
}

// callStable returns those that were called.
func callStable(t *testing.T, db *state.DB, names ...record.RecordName) []record.RecordName {
	t.Helper()
	called, err := db.CallStable(names, time.Unix(5_000, 0).UTC())
	if err != nil {
		t.Fatal(err)
	}
	return called
}

func TestAStudyIsOpenWhileItsInstancesArrive(t *testing.T) {
	db, a, b := newDB(t), instance(1, 1), instance(2, 1)
	b.Item.Metadata.Expected = 3
	commit(t, db, a)
	commit(t, db, b)
	want := document.Study{
		Name: studyOf(a), First: a.Item.Received, Last: b.Item.Received, Instances: 2, Expected: 3, Waiting: 2,
	}
	if got := study(t, db, want.Name); got != want {
		t.Errorf("the study is %+v, want %+v", got, want)
	}
	if names := openStudies(t, db); !slices.Equal(names, []record.RecordName{want.Name}) {
		t.Errorf("open are %v", names)
	}
	c := instance(3, 1)
	c.Item.Metadata.Expected = 2 // who said three is not taken back by who says two
	commit(t, db, c)
	if got := study(t, db, want.Name); got.Expected != 3 || !got.Complete() {
		t.Errorf("expected are %d, complete: %t", got.Expected, got.Complete())
	}
}

func TestWhatIsNoInstanceOfAStudyOfOurs(t *testing.T) {
	letter, copied, kept := instance(1, 1), instance(2, 2), instance(3, 3)
	letter.Item.Kind = record.KindLetter
	copied.Item.Copy = &document.Copy{Own: record.Reference{9}}
	kept.Item.State, kept.Item.Reason = document.Quarantined, document.ReasonTruncated
	for name, e := range map[string]document.Entry{"a letter": letter, "another's document": copied, "what is kept back": kept} {
		db := newDB(t)
		commit(t, db, e)
		if _, found, err := db.Study(studyOf(e)); err != nil || found || len(openStudies(t, db)) > 0 {
			t.Errorf("%s makes a study: %t, %v", name, found, err)
		}
		settled(t, db, e, document.Anchored, "")
		if len(openStudies(t, db)) > 0 {
			t.Errorf("%s makes a study once it is settled", name)
		}
	}
}

func TestAVariantIsNoFurtherInstance(t *testing.T) {
	db, a, v := newDB(t), instance(1, 1), instance(2, 1)
	v.Item.VariantOf = a.Item.Tag
	commit(t, db, a, v)
	if got := study(t, db, studyOf(a)); got.Instances != 1 || got.Waiting != 2 {
		t.Errorf("%d instances, %d waiting", got.Instances, got.Waiting)
	}
	settled(t, db, v, document.Quarantined, document.ReasonErased)
	if got := study(t, db, studyOf(a)); got.Instances != 1 || got.Waiting != 1 {
		t.Errorf("after the variant was refused: %d instances, %d waiting", got.Instances, got.Waiting)
	}
}

func TestAStudyIsNotStableWhileAnInstanceWaits(t *testing.T) {
	db, a, other := newDB(t), instance(1, 1), instance(2, 2)
	commit(t, db, a, other)
	settled(t, db, other, document.Anchored, "")
	if called := callStable(t, db, studyOf(a), studyOf(other)); !slices.Equal(called, []record.RecordName{studyOf(other)}) {
		t.Errorf("called stable are %v", called)
	}
	if !study(t, db, studyOf(a)).Stable.IsZero() {
		t.Error("one of which an instance waits is stable")
	}
	settled(t, db, a, document.Anchored, "")
	settled(t, db, a, document.Anchored, "") // a receipt may come twice
	if called := callStable(t, db, studyOf(a)); len(called) != 1 {
		t.Error("it is not stable once all is settled")
	}
}

func TestWhatComesToAStableStudyIsLate(t *testing.T) {
	db, a := newDB(t), instance(1, 1)
	commit(t, db, a)
	settled(t, db, a, document.Anchored, "")
	callStable(t, db, studyOf(a))
	late := instance(2, 1)
	commit(t, db, late)
	if !itemOf(t, db, late.Item.ID).Late || itemOf(t, db, a.Item.ID).Late {
		t.Error("the second is late, the first is not")
	}
	before := study(t, db, studyOf(a))
	if before.Late != 1 || before.Instances != 2 || before.Stable != time.Unix(5_000, 0).UTC() {
		t.Errorf("the study is %+v", before)
	}
	// It was called stable before the late one came: the ledger is told all the same, and the time stays.
	called, err := db.CallStable([]record.RecordName{studyOf(a)}, time.Unix(9_000, 0).UTC())
	if err != nil || len(called) != 1 || study(t, db, studyOf(a)).Stable != before.Stable {
		t.Errorf("called again: %v, %v, stable since %s", called, err, study(t, db, studyOf(a)).Stable)
	}
}

func TestTheLedgerIsToldOnce(t *testing.T) {
	db, a, b := newDB(t), instance(1, 1), instance(2, 2)
	commit(t, db, a, b)
	if err := db.StableTold([]record.RecordName{studyOf(a)}); err != nil {
		t.Fatal(err)
	}
	if names := openStudies(t, db); !slices.Equal(names, []record.RecordName{studyOf(b)}) {
		t.Errorf("to be told of are %v", names)
	}
	commit(t, db, instance(3, 1)) // late
	if names := openStudies(t, db); !slices.Equal(names, []record.RecordName{studyOf(b)}) {
		t.Errorf("a late instance opens its study again: %v", names)
	}
}

// What the ledger refuses is none of the study's; what a person brings back joins it at that time, and not when it was received.
func TestAnInstanceIsReconsidered(t *testing.T) {
	db, a, b := newDB(t), instance(1, 1), instance(2, 1)
	commit(t, db, a, b)
	settled(t, db, a, document.Anchored, "")
	settled(t, db, b, document.Quarantined, document.ReasonLedgerConflict)
	if got := study(t, db, studyOf(a)); got.Instances != 1 || got.Waiting != 0 {
		t.Errorf("with one refused it has %d instances, %d waiting", got.Instances, got.Waiting)
	}
	began := time.Now().UTC()
	if err := db.Reconsider(func() document.Item { i := b.Item; i.State = document.Queued; return i }()); err != nil {
		t.Fatal(err)
	}
	got := study(t, db, studyOf(a))
	if got.Instances != 2 || got.Waiting != 1 || got.Late != 0 || got.Last.Before(began) || got.First != a.Item.Received {
		t.Errorf("with it back the study is %+v", got)
	}
	settled(t, db, b, document.Quarantined, document.ReasonLedgerConflict)
	callStable(t, db, studyOf(a))
	for range 2 {
		if err := db.Reconsider(func() document.Item { i := b.Item; i.State = document.Queued; return i }()); err != nil {
			t.Fatal(err)
		}
		if got := study(t, db, studyOf(a)); got.Instances != 2 || got.Late != 1 || !itemOf(t, db, b.Item.ID).Late {
			t.Errorf("brought back to a stable study: %+v", got)
		}
		settled(t, db, b, document.Quarantined, document.ReasonLedgerConflict)
	}
	if got := study(t, db, studyOf(a)); got.Instances != 1 || got.Late != 0 || got.Waiting != 0 {
		t.Errorf("refused again: %+v", got)
	}
}
