package index_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/index"
)

// The latest timestamp says how far the ledger's clock is at least. Blocks are not in the order of their timestamps, for these
// are the clients' clocks.
func TestLatestIsTheLatestTimestamp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "index.db")
	x := open(t, path)
	at := func(seconds, nanos int64) index.Write {
		return index.Write{Key: "Za", Value: []byte("1"), Time: time.Unix(seconds, nanos)}
	}
	latest := func(want time.Time) {
		t.Helper()
		if got, err := x.Latest(); err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("Latest = %s, %v, want %s", got, err, want)
		}
	}
	latest(time.Time{})
	apply(t, x, index.Block{Number: 0})
	latest(time.Time{})
	apply(t, x, index.Block{Number: 1, Writes: []index.Write{{Key: "Zz", Deleted: true}}}) // no timestamp at all
	latest(time.Time{})
	apply(t, x, index.Block{Number: 2, Writes: []index.Write{at(50, 0), at(70, 999), at(60, 0)}})
	latest(time.Unix(70, 0))
	apply(t, x, index.Block{Number: 3, Writes: []index.Write{at(65, 0)}}, index.Block{Number: 4})
	latest(time.Unix(70, 0))
	x.Close()
	x = open(t, path)
	latest(time.Unix(70, 0))
	apply(t, x, index.Block{Number: 4, Writes: []index.Write{at(900, 0)}}) // was applied before, and is ignored
	latest(time.Unix(70, 0))
	apply(t, x, index.Block{Number: 5, Writes: []index.Write{at(80, 0)}})
	latest(time.Unix(80, 0))
}

// A block that is refused moves nothing: the clock neither.
func TestARefusedBlockIsNoTime(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	apply(t, x, index.Block{Number: 0})
	newer := block(1, "A")
	newer.Writes[1].Value = slices.Clone(newer.Writes[1].Value)
	newer.Writes[1].Value[0]++
	if err := x.Apply(newer); err == nil {
		t.Fatal("a block of a newer schema is applied")
	}
	if got, err := x.Latest(); err != nil || !got.IsZero() {
		t.Errorf("Latest = %s, %v", got, err)
	}
}

// A reader gets a record as it grew, whatever its versions are called; those of others, and of other patients' records of the
// same name, are not among them.
func TestVersionsOfARecordComeInTheOrderOfTheChain(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	otherRecord, otherPatient := version(25), version(26)
	otherRecord.Record, otherPatient.Patient = record.Tag{8}, record.Reference{2}
	apply(t, x,
		index.Block{Number: 0, Writes: transaction(1, "A", version(30), version(20, 21))},
		index.Block{Number: 1, Writes: slices.Concat(transaction(2, "A", otherRecord, version(10)), transaction(3, "B", otherPatient, version(5)))},
		index.Block{Number: 2, Writes: transaction(4, "B", version(40))},
	)
	got, err := x.VersionsOf(record.Reference{1}, record.Tag{9})
	var names []byte
	for i, v := range got {
		names = append(names, v.Name()[0])
		if v.Patient != (record.Reference{1}) || v.Record != (record.Tag{9}) || i > 0 && v.Compare(got[i-1].Place) <= 0 {
			t.Errorf("version %d is %+v", i, v)
		}
	}
	if err != nil || !slices.Equal(names, []byte{30, 20, 10, 5, 40}) {
		t.Errorf("VersionsOf gives %v, %v", names, err)
	}
	if got, err := x.VersionsOf(record.Reference{1}, record.Tag{77}); err != nil || len(got) != 0 {
		t.Errorf("of a record that is not there: %v, %v", got, err)
	}
}
