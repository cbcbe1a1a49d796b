package record_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// aPatient is a reference of an institution, for tests of requests.
func aPatient(n byte) record.Reference { return record.NewReference("StMaryMSP", [10]byte{n}) }

// wantValid fails the test unless the request is valid, or refused as a bad one if it is not to be.
func wantValid(t *testing.T, q record.Request, valid bool) {
	t.Helper()
	err := q.Validate()
	if valid && err != nil {
		t.Errorf("refused: %v", err)
	}
	if refused, ok := errors.AsType[*record.Error](err); !valid && (!ok || refused.Code != record.BadRequest) {
		t.Errorf("got %v, want a refusal as %s", err, record.BadRequest)
	}
}

// wantSameJSON fails the test unless v is the same after a way through JSON, read as strictly as the contract does.
func wantSameJSON[Q record.Request](t *testing.T, v Q) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	got, err := record.DecodeRequest[Q](string(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	again, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if string(again) != string(text) {
		t.Errorf("%s became %s", text, again)
	}
}

func TestPatientRequests(t *testing.T) {
	institution := record.InstitutionReference(aPatient(1).Institution())
	for name, test := range map[string]struct {
		q     record.Request
		valid bool
	}{
		"a registration":               {record.PatientRegistration{Patient: aPatient(1)}, true},
		"a registration of nobody":     {record.PatientRegistration{}, false},
		"a registration of a hospital": {record.PatientRegistration{Patient: institution}, false},
		"a death":                      {record.Deceased{Patient: aPatient(1)}, true},
		"a death of nobody":            {record.Deceased{}, false},
		"a link":                       {record.Link{Patient: aPatient(1), To: aPatient(2)}, true},
		"a link to oneself":            {record.Link{Patient: aPatient(1), To: aPatient(1)}, false},
		"a link to nobody":             {record.Link{Patient: aPatient(1)}, false},
		"a link of nobody":             {record.Link{To: aPatient(1)}, false},
		"a link to a hospital":         {record.Link{Patient: aPatient(1), To: institution}, false},
		"an end of a representation": {
			record.RepresentationEnd{Patient: aPatient(1), Participant: fill[record.ParticipantID](1)}, true,
		},
		"an end of nobody's":             {record.RepresentationEnd{Patient: aPatient(1)}, false},
		"an end of one of nobody at all": {record.RepresentationEnd{Participant: fill[record.ParticipantID](1)}, false},
	} {
		t.Run(name, func(t *testing.T) { wantValid(t, test.q, test.valid) })
	}
}

func representation() record.Representation {
	return record.Representation{
		Patient: aPatient(1), Participant: fill[record.ParticipantID](2), Authority: record.ParentAuthority,
		Evidence: fill[record.Tag](3), Until: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), Scope: record.Scope{All: true},
	}
}

func TestRepresentation(t *testing.T) {
	wantSameJSON(t, representation())
	many := make([]record.Tag, record.MaxScopeRecords)
	for i := range many {
		many[i] = fill[record.Tag](byte(i + 1))
	}
	kinds := []record.Kind{
		record.KindImaging, record.KindPrescription, record.KindLabResult, record.KindTreatmentList, record.KindLetter,
		record.KindOther,
	}
	for name, test := range map[string]struct {
		change func(*record.Representation)
		valid  bool
	}{
		"of all":             {func(*record.Representation) {}, true},
		"of all kinds":       {func(q *record.Representation) { q.Scope = record.Scope{Kinds: kinds} }, true},
		"of as many records": {func(q *record.Representation) { q.Scope = record.Scope{Records: many} }, true},
		"of too many records": {func(q *record.Representation) {
			q.Scope.All, q.Scope.Records = false, append(many, fill[record.Tag](200))
		}, false},
		"of too many kinds": {
			func(q *record.Representation) { q.Scope.All, q.Scope.Kinds = false, append(kinds, record.KindOther) },
			false,
		},
		"of nothing":        {func(q *record.Representation) { q.Scope = record.Scope{} }, false},
		"of all and a kind": {func(q *record.Representation) { q.Scope.Kinds = kinds[:1] }, false},
		"of an unknown kind": {
			func(q *record.Representation) { q.Scope = record.Scope{Kinds: []record.Kind{7}} },
			false,
		},
		"of an empty record": {
			func(q *record.Representation) { q.Scope = record.Scope{Records: []record.Tag{{}}} },
			false,
		},
		"of nobody":              {func(q *record.Representation) { q.Patient = record.Reference{} }, false},
		"by nobody":              {func(q *record.Representation) { q.Participant = record.ParticipantID{} }, false},
		"by an unknown right":    {func(q *record.Representation) { q.Authority = "neighbour" }, false},
		"without evidence":       {func(q *record.Representation) { q.Evidence = record.Tag{} }, false},
		"without an end":         {func(q *record.Representation) { q.Until = time.Time{} }, false},
		"until part of a second": {func(q *record.Representation) { q.Until = q.Until.Add(1) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			q := representation()
			test.change(&q)
			wantValid(t, q, test.valid)
		})
	}
}

func TestScope(t *testing.T) {
	letters := record.Scope{Kinds: []record.Kind{record.KindLetter}}
	study := record.Scope{Records: []record.Tag{fill[record.Tag](1)}}
	all := record.Scope{All: true}
	both := record.Scope{Kinds: letters.Kinds, Records: study.Records}
	covers := []struct {
		scope  record.Scope
		record record.Tag
		kind   record.Kind
		want   bool
	}{
		{all, fill[record.Tag](2), record.KindOther, true},
		{letters, fill[record.Tag](2), record.KindLetter, true},
		{letters, fill[record.Tag](2), record.KindOther, false},
		{letters, fill[record.Tag](2), 0, false}, // of unknown kind
		{study, fill[record.Tag](1), 0, true},
		{study, fill[record.Tag](2), record.KindImaging, false},
		{record.Scope{}, fill[record.Tag](2), record.KindLetter, false},
	}
	for _, c := range covers {
		if got := c.scope.Covers(c.record, c.kind); got != c.want {
			t.Errorf("%+v covers %s of kind %s: %t", c.scope, c.record, c.kind, got)
		}
	}
	within := []struct {
		part, whole record.Scope
		want        bool
	}{
		{all, all, true},
		{both, all, true},
		{letters, both, true},
		{study, both, true},
		{all, both, false},
		{both, letters, false},
		{both, study, false},
		{study, letters, false}, // its record may be a letter, which the texts do not tell
	}
	for _, w := range within {
		if got := w.part.Within(w.whole); got != w.want {
			t.Errorf("%+v within %+v: %t", w.part, w.whole, got)
		}
	}
}

func TestLinkKey(t *testing.T) {
	a, b := aPatient(1), aPatient(2)
	if record.LinkKey(a, b) != record.LinkKey(b, a) {
		t.Error("the key of a link depends on who is named first")
	}
	if record.LinkKey(a, b) == record.LinkKey(a, aPatient(3)) {
		t.Error("two links have one key")
	}
}

func TestPatientsRange(t *testing.T) {
	start, end := record.PatientsRange(aPatient(1).Institution())
	if key := record.PatientKey(aPatient(255)); key < start || key >= end {
		t.Errorf("the range lacks the institution's %s", key)
	}
	if key := record.PatientKey(record.NewReference("NorthgateMSP", [10]byte{1})); key >= start && key < end {
		t.Errorf("the range has another institution's %s", key)
	}
}
