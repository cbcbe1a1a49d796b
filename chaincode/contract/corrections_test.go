package contract_test

import (
	"slices"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

func TestWithdrawAndRefile(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	name := record.RecordName{Patient: letter.Patient, Record: letter.Record}
	q := record.Correction{RecordName: name}
	for _, p := range []*person{w.a.doctor, w.a.appliance, w.patient, w.b.staff, w.b.institution} {
		w.refuse(record.Forbidden, p, record.WithdrawFunction, q)
		w.refuse(record.Forbidden, p, record.RefileFunction, q)
	}
	w.refuse(record.WrongState, w.a.staff, record.RefileFunction, q)

	w.must(w.a.staff, record.WithdrawFunction, q)
	if s := w.statusOf(name); !s.Withdrawn.Equal(w.now()) {
		t.Errorf("withdrawn: %+v", s)
	}
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActWithdraw, Basis: record.BasisInstitution, Actor: w.a.staff.id, Record: letter.Record,
	})
	w.refuse(record.WrongState, w.a.institution, record.WithdrawFunction, q)

	w.must(w.a.institution, record.RefileFunction, q)
	if s := w.statusOf(name); !s.Withdrawn.IsZero() {
		t.Errorf("refiled: %+v", s)
	}
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActRefile, Basis: record.BasisInstitution, Actor: w.a.institution.id, Record: letter.Record,
	})
	w.must(w.a.staff, record.WithdrawFunction, q)
}

// TestCorrectionKeepsTheRest: what else became of a record is left as it is.
func TestCorrectionKeepsTheRest(t *testing.T) {
	w := newWorld(t)
	name := record.RecordName{Patient: w.reference, Record: tag("letter")}
	w.must(w.a.staff, record.LegalHoldFunction, record.LegalHoldChange{RecordName: name, Reason: record.Litigation})
	w.must(w.a.appliance, record.StableFunction, record.StableRecords{Records: []record.RecordName{name}})
	w.must(w.a.staff, record.WithdrawFunction, record.Correction{RecordName: name})
	w.must(w.a.staff, record.RefileFunction, record.Correction{RecordName: name})
	if s := w.statusOf(name); len(s.Holds) != 1 || s.Stable.IsZero() {
		t.Errorf("after withdrawing and filing again: %+v", s)
	}
}

func TestErasedIsNotCorrected(t *testing.T) {
	w := newWorld(t)
	name := record.RecordName{Patient: w.reference, Record: tag("letter")}
	w.store(record.StatusKey(name.Patient, name.Record), record.RecordStatus{
		V: record.SchemaVersion, Patient: name.Patient, Record: name.Record, Erasure: record.ErasureDone,
	})
	w.refuse(record.WrongState, w.a.staff, record.WithdrawFunction, record.Correction{RecordName: name})
	w.refuse(record.WrongState, w.a.staff, record.RefileFunction, record.Correction{RecordName: name})
}

func TestSetStable(t *testing.T) {
	w := newWorld(t)
	one := record.RecordName{Patient: w.reference, Record: tag("one")}
	two := record.RecordName{Patient: w.reference, Record: tag("two")}
	foreign := record.RecordName{Patient: w.register(w.b, nil), Record: tag("foreign")}
	stable := func(names ...record.RecordName) record.StableRecords { return record.StableRecords{Records: names} }

	w.refuse(record.Forbidden, w.a.staff, record.StableFunction, stable(one))
	w.refuse(record.Forbidden, w.b.appliance, record.StableFunction, stable(one))
	w.refuse(record.Forbidden, w.a.appliance, record.StableFunction, stable(one, foreign))
	if s := w.statusOf(one); !s.Stable.IsZero() {
		t.Errorf("a refused call left %+v", s)
	}

	w.must(w.a.appliance, record.StableFunction, stable(one))
	since := w.now()
	w.advance(time.Hour)
	w.must(w.a.appliance, record.StableFunction, stable(one, two))
	if first, second := w.statusOf(one).Stable, w.statusOf(two).Stable; !first.Equal(since) || !second.Equal(w.now()) {
		t.Errorf("stable since %s and %s, want %s and %s", first, second, since, w.now())
	}
	for _, r := range []record.Tag{one.Record, two.Record} {
		w.wantAudit(w.reference, record.AuditEntry{
			Action: record.ActStable, Basis: record.BasisAppliance, Actor: w.a.appliance.id, Record: r,
		})
	}
}

// TestSetStableAtItsLimit: the most records of one call have room in one transaction.
func TestSetStableAtItsLimit(t *testing.T) {
	w := newWorld(t)
	var q record.StableRecords
	for i := range record.MaxStable + 1 {
		q.Records = append(q.Records, record.RecordName{Patient: w.reference, Record: record.Tag{1, byte(i >> 8), byte(i)}})
	}
	w.refuse(record.BadRequest, w.a.appliance, record.StableFunction, q)
	q.Records = q.Records[1:]
	w.must(w.a.appliance, record.StableFunction, q)
}

// copied is a record of St Mary's with three documents, whose patient Northgate has too: the references are linked.
func (w *world) copied() (record.Version, record.Copies) {
	w.t.Helper()
	link := record.Link{Patient: w.reference, To: w.register(w.b, nil)}
	w.must(w.a.staff, record.LinkFunction, link)
	w.must(w.b.staff, record.LinkFunction, link)
	v := w.filed(w.a, record.Version{Patient: w.reference, Record: tag("study"), Kind: record.KindImaging},
		"slice 1", "slice 2", "slice 3")
	return v, record.Copies{Patient: link.To, Of: w.reference, Copies: []record.Copy{
		{Record: v.Record, Version: v.Name(), Tag: tag("slice 1"), CID: content("copy 1")},
		{Record: v.Record, Version: v.Name(), Tag: tag("slice 2"), CID: content("copy 2")},
	}}
}

func TestHoldCopy(t *testing.T) {
	w := newWorld(t)
	study, q := w.copied()
	w.must(w.b.appliance, record.HoldCopyFunction, q)
	for _, c := range q.Copies {
		value := w.ledger.state[record.HoldingKey(w.b.institution.id.Institution(), c.Tag)].value
		if h, err := record.DecodeHolding(value); err != nil || h.CID != c.CID || h.Erased() {
			t.Errorf("holds %+v of %s: %v", h, c.Tag, err)
		}
		if d := w.documentOf(c.Tag); d.CID == c.CID {
			t.Errorf("the first holder's document %s became the copy", c.Tag)
		}
	}
	held := record.AuditEntry{
		Action: record.ActHoldCopy, Basis: record.BasisAppliance, Actor: w.b.appliance.id, Record: study.Record,
	}
	w.wantAudit(w.reference, held)

	// The same again, by a delivery that repeats.
	height := w.ledger.height
	w.must(w.b.appliance, record.HoldCopyFunction, q)
	for _, c := range q.Copies {
		if at := w.ledger.state[record.HoldingKey(w.b.institution.id.Institution(), c.Tag)].height; at > height {
			t.Errorf("the copy of %s was written twice", c.Tag)
		}
	}
	w.wantAudit(w.reference, held)

	another := q
	another.Copies = []record.Copy{q.Copies[0]}
	another.Copies[0].CID = content("other")
	w.refuse(record.Exists, w.b.appliance, record.HoldCopyFunction, another)
}

// TestHolders: the record says who else holds copies of it.
func TestHolders(t *testing.T) {
	w := newWorld(t)
	study, q := w.copied()
	name := record.RecordName{Patient: w.reference, Record: study.Record}
	w.must(w.a.appliance, record.StableFunction, record.StableRecords{Records: []record.RecordName{name}})
	w.must(w.b.appliance, record.HoldCopyFunction, q)
	b := w.b.institution.id.Institution()
	if s := w.statusOf(name); !slices.Equal(s.Holders, []record.InstitutionPrefix{b}) || s.Stable.IsZero() {
		t.Errorf("status %+v", s)
	}
	height := w.ledger.state[record.StatusKey(name.Patient, name.Record)].height
	q.Copies = append(q.Copies, record.Copy{Record: study.Record, Version: study.Name(), Tag: tag("slice 3"), CID: content("copy 3")})
	w.must(w.b.appliance, record.HoldCopyFunction, q)
	if w.ledger.state[record.StatusKey(name.Patient, name.Record)].height != height {
		t.Error("the status was written again, though the holder stands there")
	}

	third := w.register(w.c, w.patient)
	w.must(w.patient, record.LinkFunction, record.Link{Patient: w.reference, To: third})
	w.must(w.c.appliance, record.HoldCopyFunction, allCopies(study, third))
	if s := w.statusOf(name); !slices.Equal(s.Holders, []record.InstitutionPrefix{b, w.c.institution.id.Institution()}) {
		t.Errorf("status %+v", s)
	}
}

// TestHoldersAreOthers: what another institution brought by a grant, and the patient's own holds as a copy, has no holder but the
// patient's own.
func TestHoldersAreOthers(t *testing.T) {
	w := newWorld(t)
	w.grants(w.patient, w.b.doctor, w.reference, record.Write, everything())
	letter := w.written(w.b.doctor, "letter")
	if refused := w.bring(w.b, letter); refused != nil {
		t.Fatal(refused)
	}
	merged := w.register(w.a, nil)
	w.must(w.a.staff, record.MergeFunction, record.Link{Patient: w.reference, To: merged})
	w.must(w.a.appliance, record.HoldCopyFunction, allCopies(letter, merged))
	if s := w.statusOf(record.RecordName{Patient: w.reference, Record: letter.Record}); len(s.Holders) != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestHoldCopyRefuses(t *testing.T) {
	w := newWorld(t)
	study, good := w.copied()
	foreign := w.letter(w.b, good.Patient, "letter") // Northgate's own, under its reference
	unlinked := w.register(w.b, nil)
	w.ledger.state[record.DocumentKey(tag("slice 3"))] = stateValue{
		record.StoredDocument{Tombstone: record.Tombstone{Erasure: record.AnchoringID{1}}}.Encode(), w.ledger.height,
	}
	merged := w.register(w.b, nil)
	w.must(w.b.staff, record.MergeFunction, record.Link{Patient: merged, To: good.Patient})

	tests := map[string]struct {
		by     *person // default: Northgate's appliance
		change func(*record.Copies)
		refuse record.Code
	}{
		"by staff":            {by: w.b.staff, refuse: record.Forbidden},
		"by the first holder": {by: w.a.appliance, refuse: record.Forbidden},
		"by a third":          {by: w.c.appliance, refuse: record.Forbidden},
		"of an unlinked patient": {refuse: record.Forbidden, change: func(q *record.Copies) {
			q.Patient = unlinked
		}},
		"of an unknown patient": {refuse: record.Forbidden, change: func(q *record.Copies) {
			q.Of = w.newReference(w.a)
		}},
		"for an unknown patient": {refuse: record.Forbidden, change: func(q *record.Copies) {
			q.Patient = w.newReference(w.b)
		}},
		"of an unknown record": {refuse: record.NotFound, change: func(q *record.Copies) {
			q.Copies[1].Record = tag("none")
		}},
		"of an unknown version": {refuse: record.NotFound, change: func(q *record.Copies) {
			q.Copies[1].Version = tag("slice 2")
		}},
		"of another's document": {refuse: record.NotFound, change: func(q *record.Copies) {
			q.Copies[1].Tag = foreign.Name()
		}},
		"of an erased document": {refuse: record.WrongState, change: func(q *record.Copies) {
			q.Copies[1].Tag = tag("slice 3")
		}},
		"of the institution's own": {refuse: record.BadRequest, change: func(q *record.Copies) {
			q.Patient, q.Of = merged, good.Patient
			q.Copies = []record.Copy{{
				Record: foreign.Record, Version: foreign.Name(), Tag: foreign.Name(), CID: content("copy"),
			}}
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := w.copy(t)
			q := good
			q.Copies = append([]record.Copy{}, good.Copies...)
			if test.change != nil {
				test.change(&q)
			}
			by := test.by
			if by == nil {
				by = w.b.appliance
			}
			w.refuse(test.refuse, by, record.HoldCopyFunction, q)
			if test.refuse == record.Forbidden {
				w.wantAudit(q.Of, record.AuditEntry{Action: record.ActHoldCopy, Denied: true, Actor: by.id})
			}
			if len(w.ledger.state[record.HoldingKey(w.b.institution.id.Institution(), study.Name())].value) > 0 {
				t.Error("the good copy of a refused call is held")
			}
		})
	}

	erased := record.HoldingKey(w.b.institution.id.Institution(), tag("slice 1"))
	w.ledger.state[erased] = stateValue{
		record.StoredHolding{Tombstone: record.Tombstone{Erasure: record.AnchoringID{1}}}.Encode(), w.ledger.height,
	}
	w.refuse(record.WrongState, w.b.appliance, record.HoldCopyFunction, good)
}

// TestHeldCopyIsExisting: what an institution holds as a copy is no conflict when it delivers it once more.
func TestHeldCopyIsExisting(t *testing.T) {
	w := newWorld(t)
	study, q := w.copied()
	w.must(w.b.appliance, record.HoldCopyFunction, q)
	again := record.Version{
		Patient: q.Patient, Record: study.Record, Kind: study.Kind,
		Documents: []record.Document{{Tag: q.Copies[0].Tag, CID: q.Copies[0].CID}},
	}
	tx := w.ledger.endorse(w.b.appliance.creator, transient(t, again), record.AnchorFunction)
	result, err := record.DecodeResult(tx.response.GetPayload())
	if err != nil || len(result.Outcomes) != 1 || result.Outcomes[0] != record.Existing {
		t.Errorf("outcomes %v, %v: %s", result.Outcomes, err, tx.response.GetMessage())
	}
}

func TestStatus(t *testing.T) {
	w := newWorld(t)
	name := record.RecordName{Patient: w.reference, Record: tag("letter")}
	get := func() record.RecordStatus {
		s, refused := ask[record.RecordStatus](w, w.c.doctor, record.StatusFunction, name.Patient.String(),
			name.Record.String())
		if refused != nil {
			t.Fatal(refused)
		}
		return s
	}
	if s := get(); s.Patient != name.Patient || s.Record != name.Record || !s.Withdrawn.IsZero() || !s.Stable.IsZero() {
		t.Errorf("of a record to which nothing happened: %+v", s)
	}
	w.must(w.a.staff, record.WithdrawFunction, record.Correction{RecordName: name})
	if s := get(); !s.Withdrawn.Equal(w.now()) {
		t.Errorf("of a withdrawn record: %+v", s)
	}
	_, refused := ask[record.RecordStatus](w, w.c.doctor, record.StatusFunction, "x", name.Record.String())
	if refused == nil || refused.Code != record.BadRequest {
		t.Errorf("of a malformed reference: %v", refused)
	}
}
