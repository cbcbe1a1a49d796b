package record_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

func aRecord() record.RecordName {
	return record.RecordName{Patient: aPatient(1), Record: fill[record.Tag](1)}
}

func lostKey() *record.LostKey {
	return &record.LostKey{Participant: fill[record.ParticipantID](1), Rotation: record.Rotation{
		NewKey: []byte("key"), Proof: []byte("proof"), EncryptionKey: make([]byte, record.EncryptionKeySize),
		Signature: []byte("signature"),
	}}
}

func assisted(change func(*record.AssistedChoice)) record.Proposal {
	q := &record.AssistedChoice{
		Approval: record.Approval{Patient: aPatient(1), Participant: fill[record.ParticipantID](1), Request: record.ID{1}},
		Decision: record.Approved, Form: fill[record.Tag](2), Reason: record.NoKey,
	}
	change(q)
	return record.Proposal{Assist: q}
}

func erasure(versions, copies int) record.Proposal {
	tags := make([]record.Tag, versions+copies)
	for i := range tags {
		tags[i] = fill[record.Tag](byte(i + 1))
	}
	return record.Proposal{Erase: &record.Erasure{RecordName: aRecord(), Versions: tags[:versions], Copies: tags[versions:]}}
}

func TestProposals(t *testing.T) {
	until := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	repeated := erasure(2, 0)
	repeated.Erase.Versions[1] = repeated.Erase.Versions[0]
	repeatedCopy := erasure(0, 2)
	repeatedCopy.Erase.Copies[1] = repeatedCopy.Erase.Copies[0]
	nothing := erasure(1, 0)
	nothing.Erase.Record = record.Tag{}
	nobody := lostKey()
	nobody.Participant = record.ParticipantID{}
	unproven := lostKey()
	unproven.Proof = nil
	refusal := func(reason record.RefusalReason) record.Proposal {
		return record.Proposal{RefuseErasure: &record.ErasureRefusal{RecordName: aRecord(), Reason: reason}}
	}
	for name, test := range map[string]struct {
		q     record.Proposal
		valid bool
	}{
		"nothing":              {record.Proposal{}, false},
		"two things":           {record.Proposal{Rebind: lostKey(), Erase: erasure(1, 0).Erase}, false},
		"a lost key":           {record.Proposal{Rebind: lostKey()}, true},
		"a lost key, nobody's": {record.Proposal{Rebind: nobody}, false},
		"a lost key, unproven": {record.Proposal{Rebind: unproven}, false},
		"a patient's binding":  {record.Proposal{BindPatient: &record.PatientRegistration{Patient: aPatient(1)}}, true},
		"nobody's binding":     {record.Proposal{BindPatient: &record.PatientRegistration{}}, false},

		"assisted":               {assisted(func(*record.AssistedChoice) {}), true},
		"assisted, narrower":     {assisted(func(q *record.AssistedChoice) { q.Until = until }), true},
		"assisted, rejected":     {assisted(func(q *record.AssistedChoice) { q.Decision = record.Rejected }), true},
		"assisted, revoked":      {assisted(func(q *record.AssistedChoice) { q.Decision = record.Revoked }), true},
		"assisted, unable":       {assisted(func(q *record.AssistedChoice) { q.Reason = record.Unable }), true},
		"assisted, relinquished": {assisted(func(q *record.AssistedChoice) { q.Decision = record.Relinquished }), false},
		"assisted, rejected until": {assisted(func(q *record.AssistedChoice) {
			q.Decision, q.Until = record.Rejected, until
		}), false},
		"assisted, rejected in part": {assisted(func(q *record.AssistedChoice) {
			q.Decision, q.Scope = record.Rejected, &record.Scope{All: true}
		}), false},
		"assisted, in nothing":             {assisted(func(q *record.AssistedChoice) { q.Scope = &record.Scope{} }), false},
		"assisted, no form":                {assisted(func(q *record.AssistedChoice) { q.Form = record.Tag{} }), false},
		"assisted, for no reason":          {assisted(func(q *record.AssistedChoice) { q.Reason = "busy" }), false},
		"assisted, of no request":          {assisted(func(q *record.AssistedChoice) { q.Request = record.ID{} }), false},
		"an erasure":                       {erasure(1, 0), true},
		"the largest erasure":              {erasure(record.MaxErasure/2, record.MaxErasure/2), true},
		"a larger erasure":                 {erasure(record.MaxErasure/2, record.MaxErasure/2+1), false},
		"an erasure of nothing":            {erasure(0, 0), false},
		"an erasure of no record":          {nothing, false},
		"an erasure of a version twice":    {repeated, false},
		"an erasure of a copy twice":       {repeatedCopy, false},
		"a refusal by hold":                {refusal(record.RefusedByHold), true},
		"a refusal by retention":           {refusal(record.RefusedByRetention), true},
		"a refusal in the interest of ...": {refusal(record.RefusedByInterest), true},
		"a refusal for no reason":          {refusal(""), false},
	} {
		t.Run(name, func(t *testing.T) {
			wantValid(t, test.q, test.valid)
			if test.valid {
				wantSameJSON(t, test.q)
			}
		})
	}
}

func TestProposalIsAbout(t *testing.T) {
	for name, q := range map[string]record.Proposal{
		"assisted":    assisted(func(*record.AssistedChoice) {}),
		"a binding":   {BindPatient: &record.PatientRegistration{Patient: aPatient(1)}},
		"an erasure":  erasure(1, 0),
		"its refusal": {RefuseErasure: &record.ErasureRefusal{RecordName: aRecord()}},
	} {
		if q.About() != aPatient(1) {
			t.Errorf("%s is about %s", name, q.About())
		}
	}
	if q := (record.Proposal{Rebind: lostKey()}); q.About() != (record.Reference{}) {
		t.Errorf("a lost key is about the patient %s", q.About())
	}
}

// TestProposalIsFlat pins how the JSON of what embeds another request looks: clients of other languages write it by hand.
func TestProposalIsFlat(t *testing.T) {
	text, err := json.Marshal(erasure(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), `{"erase":{"patient":"`) {
		t.Errorf("an erasure is %s", text)
	}
}

func TestDecisionName(t *testing.T) {
	wantValid(t, record.DecisionName{Decision: record.ID{1}}, true)
	wantValid(t, record.DecisionName{}, false)
}

func TestLegalHoldChange(t *testing.T) {
	for _, reason := range []record.HoldReason{record.Litigation, record.Investigation, record.PublicHealth} {
		wantValid(t, record.LegalHoldChange{RecordName: aRecord(), Reason: reason}, true)
	}
	wantValid(t, record.LegalHoldChange{RecordName: aRecord(), Reason: "just because"}, false)
	wantValid(t, record.LegalHoldChange{Reason: record.Litigation}, false)
	wantValid(t, record.RecordName{Patient: aPatient(1)}, false)
	wantSameJSON(t, record.LegalHoldChange{RecordName: aRecord(), Reason: record.Litigation})
}
