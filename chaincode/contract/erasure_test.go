package contract_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

func TestRequestErasure(t *testing.T) {
	w := newWorld(t)
	q := record.RecordName{Patient: w.reference, Record: tag("study")}
	nobody := record.RecordName{Patient: w.newReference(w.a), Record: tag("study")}
	for _, by := range []*person{w.a.staff, w.a.institution, w.a.doctor, w.representative, w.enrol(w.b, record.PatientRole)} {
		w.refuse(record.Forbidden, by, record.RequestErasureFunction, q)
		w.refuse(record.Forbidden, by, record.RequestErasureFunction, nobody)
	}
	w.must(w.patient, record.RequestErasureFunction, q)
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActRequestErasure, Basis: record.BasisPatient, Actor: w.patient.id, Record: q.Record,
	})
	if s := w.statusOf(q); s.Erasure != record.ErasureRequested || !s.ErasureAt.Equal(w.now()) {
		t.Errorf("status %+v", s)
	}
	w.refuse(record.Exists, w.patient, record.RequestErasureFunction, q)
	w.must(w.a.institution, record.SuspendFunction, record.Suspension{Participant: w.patient.id})
	w.refuse(record.Forbidden, w.patient, record.RequestErasureFunction, q)
}

func TestLegalHold(t *testing.T) {
	w := newWorld(t)
	name := record.RecordName{Patient: w.reference, Record: tag("study")}
	litigation := record.LegalHoldChange{RecordName: name, Reason: record.Litigation}
	health := record.LegalHoldChange{RecordName: name, Reason: record.PublicHealth}
	for _, by := range []*person{w.patient, w.a.doctor, w.a.appliance, w.b.institution} {
		w.refuse(record.Forbidden, by, record.LegalHoldFunction, litigation)
	}
	w.must(w.a.staff, record.LegalHoldFunction, litigation)
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActLegalHold, Basis: record.BasisInstitution, Actor: w.a.staff.id, Record: name.Record,
	})
	w.refuse(record.Exists, w.a.clerk, record.LegalHoldFunction, litigation)
	w.must(w.a.institution, record.LegalHoldFunction, health)

	for _, by := range []*person{w.patient, w.a.staff, w.b.institution} {
		w.refuse(record.Forbidden, by, record.EndLegalHoldFunction, litigation)
	}
	w.must(w.a.institution, record.EndLegalHoldFunction, litigation)
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActEndLegalHold, Basis: record.BasisInstitution, Actor: w.a.institution.id, Record: name.Record,
	})
	w.refuse(record.NotFound, w.a.institution, record.EndLegalHoldFunction, litigation)
	if holds := w.statusOf(name).Holds; len(holds) != 1 || holds[0].Reason != record.PublicHealth ||
		holds[0].By != w.a.institution.id || !holds[0].Since.Equal(w.now()) {
		t.Errorf("holds %+v", holds)
	}
}

// erasureOf makes a proposal to erase versions of one record.
func erasureOf(versions ...record.Version) record.Proposal {
	e := &record.Erasure{
		RecordName: record.RecordName{Patient: versions[0].Patient, Record: versions[0].Record}, Generation: 3,
	}
	for _, v := range versions {
		e.Versions = append(e.Versions, v.Name())
	}
	return record.Proposal{Erase: e}
}

func TestErase(t *testing.T) {
	w := newWorld(t)
	study := record.Version{Patient: w.reference, Record: tag("study"), Kind: record.KindImaging}
	first, second := w.filed(w.a, study, "a", "b"), w.filed(w.a, study, "c")
	other := w.letter(w.a, w.reference, "letter")
	name := record.RecordName{Patient: w.reference, Record: study.Record}
	w.must(w.patient, record.RequestErasureFunction, name)

	q := erasureOf(first)
	id := w.must(w.a.staff, record.ProposeFunction, q).ID
	if w.documentOf(tag("a")).Erased() {
		t.Fatal("erased before it is confirmed")
	}
	_, _, tx := w.transact(w.a.clerk, record.ConfirmFunction, record.DecisionName{Decision: id})
	event, err := record.DecodeActed(tx.eventData)
	if err != nil || event.Action != record.ActErase {
		t.Errorf("event %+v, %v", event, err)
	}
	want := record.Tombstone{Generation: 3, Erasure: record.AnchoringID(event.ID)}
	for _, d := range []string{"a", "b"} {
		if got := w.documentOf(tag(d)); !got.Erased() || got.Tombstone != want {
			t.Errorf("document %s: %+v", d, got)
		}
	}
	for _, d := range []record.Tag{second.Name(), other.Name()} {
		if w.documentOf(d).Erased() {
			t.Errorf("erased %s, which was not named", d)
		}
	}
	for _, by := range []*person{w.a.staff, w.a.clerk} {
		w.wantAudit(w.reference, record.AuditEntry{
			Action: record.ActErase, Basis: record.BasisTwoPeople, Actor: by.id, Record: name.Record, About: id,
		})
	}
	erasedAt := w.now()
	if s := w.statusOf(name); s.Erasure != record.ErasureDone || !s.ErasureAt.Equal(erasedAt) {
		t.Errorf("status %+v", s)
	}
	w.refuse(record.Exists, w.patient, record.RequestErasureFunction, name)

	// What was erased stays as it is; a decision over it and the rest erases the rest.
	w.refuse(record.Exists, w.a.staff, record.ProposeFunction, q)
	w.advance(time.Hour)
	w.decide(w.a, erasureOf(first, second))
	if got := w.documentOf(tag("a")); got.Tombstone != want {
		t.Errorf("the first tombstone became %+v", got.Tombstone)
	}
	if !w.documentOf(second.Name()).Erased() {
		t.Error("the rest was not erased")
	}
	if s := w.statusOf(name); !s.ErasureAt.Equal(erasedAt) {
		t.Errorf("the record was erased at %s", s.ErasureAt)
	}
}

// TestErasedStaysErased anchors again what was erased.
func TestErasedStaysErased(t *testing.T) {
	w := newWorld(t)
	v := w.letter(w.a, w.reference, "letter")
	w.erase(w.a, v)
	before := w.documentOf(v.Name())
	w.anchor(w.a, v)
	if got := w.documentOf(v.Name()); got != before {
		t.Errorf("the tombstone became %+v", got)
	}
}

func TestEraseIsRefused(t *testing.T) {
	base := newWorld(t)
	letter := base.letter(base.a, base.reference, "letter")
	elsewhere := base.letter(base.b, base.register(base.b, base.patient), "elsewhere")
	unnamed, otherRecord := letter, letter
	unnamed.Documents = []record.Document{{Tag: tag("unnamed")}}
	otherRecord.Record = tag("other")
	for name, test := range map[string]struct {
		by     *person
		q      record.Proposal
		refuse record.Code
	}{
		"by another institution":            {base.b.staff, erasureOf(letter), record.Forbidden},
		"of another institution's patient":  {base.a.staff, erasureOf(elsewhere), record.Forbidden},
		"by the patient":                    {base.patient, erasureOf(letter), record.Forbidden},
		"by an appliance":                   {base.a.appliance, erasureOf(letter), record.Forbidden},
		"of a version that is not there":    {base.a.staff, erasureOf(unnamed), record.NotFound},
		"of a version of another record":    {base.a.staff, erasureOf(otherRecord), record.NotFound},
		"of a copy that is not there":       {base.a.staff, copiesOf(letter), record.NotFound},
		"of a copy that is another's":       {base.a.staff, copiesOf(letter, "b's"), record.NotFound},
		"of a version, and no copy of this": {base.a.staff, both(letter), record.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			w := base.copy(t)
			w.hold(w.b, tag("b's"))
			w.refuse(test.refuse, test.by, record.ProposeFunction, test.q)
		})
	}
}

// copiesOf makes a proposal to erase copies under a record's name.
func copiesOf(v record.Version, documents ...string) record.Proposal {
	e := &record.Erasure{RecordName: record.RecordName{Patient: v.Patient, Record: v.Record}}
	for _, d := range append(documents, "never held") {
		e.Copies = append(e.Copies, tag(d))
	}
	return record.Proposal{Erase: e}
}

func both(v record.Version) record.Proposal {
	q := erasureOf(v)
	q.Erase.Copies = []record.Tag{v.Name()}
	return q
}

// hold writes what the hospital's appliance would of its own copy of a document.
func (w *world) hold(h *hospital, t record.Tag) {
	w.ledger.height++
	w.ledger.state[record.HoldingKey(h.institution.id.Institution(), t)] = stateValue{
		record.StoredHolding{CID: content("own"), Anchoring: record.AnchoringID{1}}.Encode(), w.ledger.height,
	}
}

func TestEraseCopies(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	w.hold(w.b, letter.Name())
	w.hold(w.b, tag("other"))
	w.hold(w.c, letter.Name())
	name := record.RecordName{Patient: w.register(w.b, w.patient), Record: letter.Record}
	q := record.Proposal{Erase: &record.Erasure{RecordName: name, Copies: []record.Tag{letter.Name()}}}
	w.decide(w.b, q)

	holding := func(h *hospital, tag record.Tag) record.StoredHolding {
		held, err := record.DecodeHolding(w.ledger.state[record.HoldingKey(h.institution.id.Institution(), tag)].value)
		if err != nil {
			t.Fatal(err)
		}
		return held
	}
	if !holding(w.b, letter.Name()).Erased() {
		t.Error("the copy was not erased")
	}
	if holding(w.c, letter.Name()).Erased() || holding(w.b, tag("other")).Erased() || w.documentOf(letter.Name()).Erased() {
		t.Error("erased what was not named, or not the institution's own")
	}
	if s := w.statusOf(name); s.Erasure != record.ErasureDone {
		t.Errorf("status %+v", s)
	}
	if s := w.statusOf(record.RecordName{Patient: w.reference, Record: letter.Record}); s.Erasure != "" {
		t.Errorf("the first holder's record has the status %+v", s)
	}
	w.refuse(record.Exists, w.b.staff, record.ProposeFunction, q)
}

// TestEraseWhatAnotherAnchored is of a version under the institution's own reference that another institution brought, with
// a grant to write: it is the other's to erase.
func TestEraseWhatAnotherAnchored(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	brought := record.AnchoredVersion{Version: letter, Anchoring: record.AnchoringID{7}}
	anchoring, err := record.Anchoring{
		ID: brought.Anchoring, TxID: record.TxID{7}, MSPID: w.b.mspID, Time: w.now(),
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.ledger.state[record.AnchoringKey(brought.Anchoring)] = stateValue{anchoring, w.ledger.height}
	w.ledger.state[brought.Key()] = stateValue{brought.Encode(), w.ledger.height}
	w.refuse(record.BadRequest, w.a.staff, record.ProposeFunction, erasureOf(letter))
}

func TestEraseIsHeld(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	name := record.RecordName{Patient: w.reference, Record: letter.Record}
	id := w.must(w.a.staff, record.ProposeFunction, erasureOf(letter)).ID
	hold := record.LegalHoldChange{RecordName: name, Reason: record.Investigation}
	w.must(w.a.staff, record.LegalHoldFunction, hold)

	w.refuse(record.Held, w.a.clerk, record.ConfirmFunction, record.DecisionName{Decision: id})
	w.refuse(record.Held, w.a.staff, record.ProposeFunction, erasureOf(letter))
	if w.documentOf(letter.Name()).Erased() {
		t.Fatal("erased though it is held")
	}
	w.must(w.a.institution, record.EndLegalHoldFunction, hold)
	w.must(w.a.clerk, record.ConfirmFunction, record.DecisionName{Decision: id})
	if !w.documentOf(letter.Name()).Erased() {
		t.Error("not erased though the hold ended")
	}
}

// TestRetention is of letters, which this institution keeps for three years.
func TestRetention(t *testing.T) {
	base := newWorld(t)
	base.must(base.a.institution, record.UpdateInstitutionFunction, record.InstitutionUpdate{
		Institution: record.Institution{Name: "St Mary's", Retention: []record.Retention{
			{Kind: record.KindImaging, Years: 100}, {Kind: record.KindLetter, Years: 3},
		}},
	})
	today := base.now().Truncate(24 * time.Hour)
	for name, test := range map[string]struct {
		kind    record.Kind
		date    time.Time
		advance int // years
		refuse  record.Code
	}{
		"on the last day":                   {record.KindLetter, today.AddDate(-3, 0, 1), 0, record.Held},
		"the day after":                     {record.KindLetter, today.AddDate(-3, 0, 0), 0, ""},
		"of a kind without":                 {record.KindOther, today, 0, ""},
		"of unknown date, just anchored":    {record.KindLetter, time.Time{}, 0, record.Held},
		"of unknown date, anchored earlier": {record.KindLetter, time.Time{}, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := base.copy(t)
			v := w.filed(w.a, record.Version{
				Patient: w.reference, Record: tag("record"), Kind: test.kind, Date: test.date,
			}, "document")
			w.ledger.now = w.ledger.now.AddDate(test.advance, 0, 0).Add(time.Second)
			if test.refuse == "" {
				w.decide(w.a, erasureOf(v))
				return
			}
			w.refuse(test.refuse, w.a.staff, record.ProposeFunction, erasureOf(v))
		})
	}
}

func TestMaxErasureDocuments(t *testing.T) {
	w := newWorld(t)
	var versions []record.Version
	for i := range 2 {
		var names []string
		for n := range record.MaxErasureDocuments/2 + i {
			names = append(names, fmt.Sprint(i, " ", n))
		}
		versions = append(versions, w.filed(w.a, record.Version{
			Patient: w.reference, Record: tag("study"), Kind: record.KindImaging,
		}, names...))
	}
	w.refuse(record.BadRequest, w.a.staff, record.ProposeFunction, erasureOf(versions...))
	w.erase(w.a, versions[1])
}

func TestRefuseErasure(t *testing.T) {
	w := newWorld(t)
	name := record.RecordName{Patient: w.reference, Record: tag("study")}
	refuse := func(reason record.RefusalReason) record.Proposal {
		return record.Proposal{RefuseErasure: &record.ErasureRefusal{RecordName: name, Reason: reason}}
	}
	w.refuse(record.WrongState, w.a.staff, record.ProposeFunction, refuse(record.RefusedByRetention))
	w.must(w.patient, record.RequestErasureFunction, name)
	w.refuse(record.Forbidden, w.b.staff, record.ProposeFunction, refuse(record.RefusedByRetention))
	w.refuse(record.WrongState, w.a.staff, record.ProposeFunction, refuse(record.RefusedByHold))
	w.must(w.a.staff, record.LegalHoldFunction, record.LegalHoldChange{RecordName: name, Reason: record.Litigation})

	id := w.decide(w.a, refuse(record.RefusedByHold))
	for _, by := range []*person{w.a.staff, w.a.clerk} {
		w.wantAudit(w.reference, record.AuditEntry{
			Action: record.ActRefuseErasure, Basis: record.BasisTwoPeople, Actor: by.id, Record: name.Record, About: id,
		})
	}
	if s := w.statusOf(name); s.Erasure != record.ErasureRefused || s.Refusal != record.RefusedByHold {
		t.Errorf("status %+v", s)
	}
	// The patient may ask again, for the reason may pass.
	w.must(w.patient, record.RequestErasureFunction, name)
	if s := w.statusOf(name); s.Erasure != record.ErasureRequested || s.Refusal != "" {
		t.Errorf("status %+v", s)
	}
}
