package record_test

import (
	"errors"
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
)

// wantRefused fails the test unless the request is refused as a bad one, or is not, as it should be.
func wantRefused(t *testing.T, name string, q record.Request, refused bool) {
	t.Helper()
	err := q.Validate()
	if refused != (err != nil) {
		t.Errorf("%T, %s: %v", q, name, err)
	}
	if e, ok := errors.AsType[*record.Error](err); err != nil && (!ok || e.Code != record.BadRequest) {
		t.Errorf("%T, %s: %v is not %s", q, name, err, record.BadRequest)
	}
}

var somebody = record.Reference{1, 2, 3, 4, 5, 6, 7}

func TestValidateCorrection(t *testing.T) {
	for name, q := range map[string]record.RecordName{
		"":               {Patient: somebody, Record: record.Tag{1}},
		"no record":      {Patient: somebody},
		"no patient":     {Record: record.Tag{1}},
		"an institution": {Patient: record.InstitutionReference(somebody.Institution()), Record: record.Tag{1}},
	} {
		wantRefused(t, name, record.Correction{RecordName: q}, name != "")
		wantRefused(t, name, record.StableRecords{Records: []record.RecordName{q}}, name != "")
	}
}

func TestValidateStable(t *testing.T) {
	var q record.StableRecords
	wantRefused(t, "no records", q, true)
	for i := range record.MaxStable {
		q.Records = append(q.Records, record.RecordName{Patient: somebody, Record: record.Tag{1, byte(i >> 8), byte(i)}})
	}
	wantRefused(t, "as many as may be", q, false)
	q.Records[1] = q.Records[0]
	wantRefused(t, "one twice", q, true)
	q.Records[1].Record = record.Tag{2}
	q.Records = append(q.Records, record.RecordName{Patient: somebody, Record: record.Tag{3}})
	wantRefused(t, "too many", q, true)
}

func TestValidateCopies(t *testing.T) {
	some := record.Copy{Record: record.Tag{1}, Version: record.Tag{2}, Tag: record.Tag{3}, CID: record.CID{0x55}}
	good := record.Copies{Patient: somebody, Of: record.Reference{7, 6, 5, 4, 3, 2, 1}, Copies: []record.Copy{some}}
	for name, change := range map[string]func(*record.Copies){
		"":                  func(*record.Copies) {},
		"no patient":        func(q *record.Copies) { q.Patient = record.Reference{} },
		"of no patient":     func(q *record.Copies) { q.Of = record.Reference{} },
		"no copies":         func(q *record.Copies) { q.Copies = nil },
		"no record":         func(q *record.Copies) { q.Copies[0].Record = record.Tag{} },
		"no version":        func(q *record.Copies) { q.Copies[0].Version = record.Tag{} },
		"no tag":            func(q *record.Copies) { q.Copies[0].Tag = record.Tag{} },
		"no CID":            func(q *record.Copies) { q.Copies[0].CID = record.CID{} },
		"a document twice":  func(q *record.Copies) { q.Copies = []record.Copy{some, some} },
		"as many as may be": func(q *record.Copies) { q.Copies = manyCopies(some, record.MaxCopies) },
		"too many":          func(q *record.Copies) { q.Copies = manyCopies(some, record.MaxCopies+1) },
	} {
		q := good
		q.Copies = []record.Copy{some}
		change(&q)
		wantRefused(t, name, q, name != "" && name != "as many as may be")
	}
}

func manyCopies(c record.Copy, n int) (many []record.Copy) {
	for i := range n {
		c.Tag = record.Tag{3, byte(i >> 8), byte(i)}
		many = append(many, c)
	}
	return many
}
