package contract_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// late has a doctor state that they read a record in an emergency an hour ago.
func (w *world) late(doctor *person, patient record.Reference, rec record.Tag) record.LateEmergency {
	w.t.Helper()
	reason := sha256.Sum256([]byte("unconscious"))
	w.serial++
	return signed(w.t, doctor, record.EmergencyStatement{
		Patient: patient, Participant: doctor.id, Record: rec, ID: record.ID{0xee, w.serial}, Time: w.now().Add(-time.Hour),
		Reason: reason[:],
	})
}

func signed(t testing.TB, by *person, s record.EmergencyStatement) record.LateEmergency {
	t.Helper()
	return record.LateEmergency{EmergencyStatement: s, Signature: by.sign(t, s.Message())}
}

// record has a hospital's appliance record an emergency.
func (w *world) record(h *hospital, q record.LateEmergency) *record.Error {
	w.t.Helper()
	return w.try(h.appliance, record.LateEmergencyFunction, q, note(h.institution.id))
}

func TestLateEmergency(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	q := w.late(w.a.doctor, w.reference, letter.Record)
	if refused := w.record(w.a, q); refused != nil {
		t.Fatal(refused)
	}
	until := q.Time.Add(record.BreakGlassTime)
	g := w.relation(w.reference, w.a.doctor).Grants[0]
	if g.ID != q.ID || g.Basis != record.BasisBreakGlass || g.Mode != record.Read || g.State != record.Approved || !g.Late ||
		!g.Asked.Equal(q.Time) || !g.Decided.Equal(q.Time) || !g.Until.Equal(until) ||
		!g.Scope.Equal(record.Scope{Records: []record.Tag{letter.Record}}) || g.DecidedBy[0] != w.a.doctor.id {
		t.Errorf("grant %+v", g)
	}
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActLateEmergency, Basis: record.BasisBreakGlass, Actor: w.a.appliance.id, Subject: w.a.doctor.id,
		Record: letter.Record, About: q.ID, Until: until,
	})
	if len(w.ledger.private) != 1 {
		t.Errorf("%d sealed notes, want the reason", len(w.ledger.private))
	}
	w.reads(w.a.doctor, letter, record.BasisBreakGlass) // for the rest of the four hours
	w.advance(3*time.Hour - record.ClockSkew)
	w.reads(w.a.doctor, letter, record.NoBasis)

	// Once, whoever asks again; and with another note, or a new signature.
	again := signed(t, w.a.doctor, q.EmergencyStatement)
	for _, by := range []*person{w.a.appliance, w.enrol(w.a, record.ApplianceRole)} {
		w.refuse(record.Exists, by, record.LateEmergencyFunction, q, note(w.a.institution.id))
		w.refuse(record.Exists, by, record.LateEmergencyFunction, again)
	}
	if open := stateOf[record.OpenGlass](w, record.GlassKey(w.a.doctor.id)); len(open.Open) != 1 || open.Open[0] != q.ID {
		t.Errorf("waiting for review: %+v", open)
	}
	w.must(w.a.staff, record.ReviewFunction,
		record.Review{Patient: w.reference, Participant: w.a.doctor.id, Request: q.ID, Justified: true})
	if open := stateOf[record.OpenGlass](w, record.GlassKey(w.a.doctor.id)); len(open.Open) != 0 {
		t.Errorf("waiting for review: %+v", open)
	}
	w.refuse(record.Exists, w.a.appliance, record.LateEmergencyFunction, q)
}

func TestLateEmergencyIsRefused(t *testing.T) {
	base := newWorld(t)
	stranger := base.invited(base.a, record.DoctorRole)
	unreferenced := base.newReference(base.a)
	for name, test := range map[string]struct {
		by     *person // default: the patient's appliance
		q      func(w *world) record.LateEmergency
		to     *person // of the note; default: the institution
		refuse record.Code
	}{
		"of a patient who is not registered": {
			q: func(w *world) record.LateEmergency { return w.late(w.a.doctor, unreferenced, tag("letter")) },
		},
		"by another's appliance": {
			by: base.b.appliance, q: func(w *world) record.LateEmergency { return w.late(w.a.doctor, w.reference, tag("letter")) },
			refuse: record.Forbidden,
		},
		"by staff": {
			by: base.a.staff, q: func(w *world) record.LateEmergency { return w.late(w.a.doctor, w.reference, tag("letter")) },
			refuse: record.Forbidden,
		},
		"by the doctor": {
			by: base.a.doctor, q: func(w *world) record.LateEmergency { return w.late(w.a.doctor, w.reference, tag("letter")) },
			refuse: record.Forbidden,
		},
		"of another institution's doctor": {
			q:      func(w *world) record.LateEmergency { return w.late(w.b.doctor, w.reference, tag("letter")) },
			refuse: record.Forbidden,
		},
		"of another institution's patient": {
			by: base.a.appliance,
			q: func(w *world) record.LateEmergency {
				return w.late(w.a.doctor, w.register(w.b, nil), tag("letter"))
			},
			refuse: record.Forbidden,
		},
		"of a nurse who does not treat": {
			q:      func(w *world) record.LateEmergency { return w.late(w.a.staff, w.reference, tag("letter")) },
			refuse: record.BadRequest,
		},
		"of nobody": {
			q: func(w *world) record.LateEmergency {
				return w.late(newPerson(w.t, w.a.mspID, record.DoctorRole, w.newID(w.a)), w.reference, tag("letter"))
			},
			refuse: record.NotFound,
		},
		"of who has not joined": {
			q:      func(w *world) record.LateEmergency { return w.late(stranger, w.reference, tag("letter")) },
			refuse: record.WrongState,
		},
		"signed by a colleague": {
			q: func(w *world) record.LateEmergency {
				return signed(w.t, w.a.locum, w.late(w.a.doctor, w.reference, tag("letter")).EmergencyStatement)
			},
			refuse: record.WrongState,
		},
		"signed by a colleague, whose key is sent": {
			q: func(w *world) record.LateEmergency {
				q := signed(w.t, w.a.locum, w.late(w.a.doctor, w.reference, tag("letter")).EmergencyStatement)
				q.SigningKey = w.a.locum.spki
				return q
			},
			refuse: record.WrongState,
		},
		"signed by a key that was nobody's": {
			q: func(w *world) record.LateEmergency {
				minted := newPerson(w.t, w.a.mspID, record.DoctorRole, w.a.doctor.id)
				q := w.late(minted, w.reference, tag("letter"))
				q.SigningKey = minted.spki
				return q
			},
			refuse: record.WrongState,
		},
		"of another record than was signed": {
			q: func(w *world) record.LateEmergency {
				q := w.late(w.a.doctor, w.reference, tag("letter"))
				q.Record = tag("study")
				return q
			},
			refuse: record.WrongState,
		},
		"with what is no key": {
			q: func(w *world) record.LateEmergency {
				q := w.late(w.a.doctor, w.reference, tag("letter"))
				q.SigningKey = []byte("key")
				return q
			},
			refuse: record.WrongState,
		},
		"of the future": {q: at(record.ClockSkew + time.Second), refuse: record.BadRequest},
		"just now":      {q: at(record.ClockSkew)},
		"a month ago":   {q: at(-record.MaxLateEmergency)},
		"longer ago":    {q: at(-record.MaxLateEmergency - time.Second), refuse: record.BadRequest},
		"without a reason for the institution": {
			q:      func(w *world) record.LateEmergency { return w.late(w.a.doctor, w.reference, tag("letter")) },
			to:     base.patient,
			refuse: record.BadRequest,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := base.copy(t)
			by, to := test.by, test.to
			if by == nil {
				by = w.a.appliance
			}
			if to == nil {
				to = w.a.institution
			}
			q := test.q(w)
			if test.refuse == "" {
				w.must(by, record.LateEmergencyFunction, q, note(to.id))
				return
			}
			w.refuse(test.refuse, by, record.LateEmergencyFunction, q, note(to.id))
			if test.refuse == record.Forbidden {
				w.wantAudit(q.Patient, record.AuditEntry{Action: record.ActLateEmergency, Denied: true, Actor: by.id})
			}
		})
	}
}

// at is a statement of a time from now.
func at(d time.Duration) func(w *world) record.LateEmergency {
	return func(w *world) record.LateEmergency {
		s := w.late(w.a.doctor, w.reference, tag("letter")).EmergencyStatement
		s.Time = w.now().Add(d)
		return signed(w.t, w.a.doctor, s)
	}
}

// TestLateEmergencyIsNotLost: what has become of the doctor since does not matter.
func TestLateEmergencyIsNotLost(t *testing.T) {
	base := newWorld(t)
	q := base.late(base.a.doctor, base.reference, tag("letter"))
	next := newPerson(t, base.a.mspID, record.DoctorRole, base.a.doctor.id)
	rotate := func(w *world) { w.must(w.a.doctor, record.RotateFunction, w.rotation(w.a.doctor, next)) }
	replace := func(w *world) {
		w.decide(w.a, record.Proposal{Rebind: &record.LostKey{Participant: next.id, Rotation: w.rotation(w.a.doctor, next)}})
	}
	old := q
	old.SigningKey = base.a.doctor.spki

	for name, test := range map[string]struct {
		before func(w *world)
		q      record.LateEmergency
		refuse record.Code
	}{
		"suspended": {func(w *world) {
			w.must(w.a.institution, record.SuspendFunction, record.Suspension{Participant: w.a.doctor.id})
		}, q, ""},
		"the present key is sent": {func(*world) {}, old, ""},
		"rotated":                 {rotate, old, ""},
		"rotated, and not sent":   {rotate, q, record.WrongState},
		"replaced":                {replace, old, ""},
		"29 days later":           {func(w *world) { w.advance(29 * 24 * time.Hour) }, q, ""},
		"the patient's death": {func(w *world) {
			w.must(w.a.staff, record.DeceasedFunction, record.Deceased{Patient: w.reference})
		}, q, ""},
		"many that wait": {func(w *world) {
			for range record.MaxOpenGlass {
				w.emergency(w.b, w.a.doctor, w.register(w.b, nil))
			}
		}, q, ""},
		"many requests that are open": {func(w *world) {
			for i := range record.MaxGrants {
				w.must(w.a.doctor, record.RequestFunction, record.AccessRequest{
					Patient: w.reference, Mode: record.Read, Scope: record.Scope{Records: []record.Tag{tag(fmt.Sprint(i))}},
					Purpose: record.Treatment, Until: w.now().AddDate(0, 1, 0),
				})
			}
		}, q, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := base.copy(t)
			test.before(w)
			refused := w.record(w.a, test.q)
			if test.refuse == "" && refused != nil || test.refuse != "" && (refused == nil || refused.Code != test.refuse) {
				t.Errorf("got %v", refused)
			}
		})
	}

	t.Run("not with a key that was replaced before", func(t *testing.T) {
		w := base.copy(t)
		replace(w) // whoever found the old key has it
		w.advance(time.Hour)
		s := q.EmergencyStatement
		s.Time = w.now()
		stolen := signed(t, w.a.doctor, s)
		stolen.SigningKey = w.a.doctor.spki
		if refused := w.record(w.a, stolen); refused == nil || refused.Code != record.WrongState {
			t.Errorf("got %v", refused)
		}
	})
}

// TestLateEmergenciesWait: the most of one doctor, over all patients; one more once another was reviewed. They count for who
// breaks the glass, too.
func TestLateEmergenciesWait(t *testing.T) {
	w := newWorld(t)
	var all []record.LateEmergency
	patients := []record.Reference{w.reference, w.register(w.a, nil)}
	for i := range record.MaxOpenGlass + record.MaxOpenLate {
		q := w.late(w.a.doctor, patients[i%2], tag(fmt.Sprint(i)))
		all = append(all, q)
		if refused := w.record(w.a, q); refused != nil {
			t.Fatalf("%d: %v", i, refused)
		}
	}
	q := w.late(w.a.doctor, w.reference, tag("one more"))
	if refused := w.record(w.a, q); refused == nil || refused.Code != record.WrongState {
		t.Errorf("one more: %v", refused)
	}
	w.refuse(record.WrongState, w.a.doctor, record.BreakGlassFunction,
		record.Emergency{Patient: w.reference, Scope: letters()}, note(w.a.institution.id))
	w.must(w.a.staff, record.ReviewFunction,
		record.Review{Patient: all[1].Patient, Participant: w.a.doctor.id, Request: all[1].ID})
	if refused := w.record(w.a, q); refused != nil {
		t.Errorf("once one was reviewed: %v", refused)
	}
}

// TestLateEmergencyIsRecordedOnce: one that was reviewed does not give way to others as long as it could be recorded again.
func TestLateEmergencyIsRecordedOnce(t *testing.T) {
	w := newWorld(t)
	relation := record.Relation{V: record.SchemaVersion, Patient: w.reference, Participant: w.a.doctor.id}
	first := w.late(w.a.doctor, w.reference, tag("letter"))
	for i := range record.MaxOpenLate {
		relation.Grants = append(relation.Grants, record.Grant{
			ID: record.ID{1, byte(i)}, Basis: record.BasisBreakGlass, Mode: record.Read, Scope: everything(),
			State: record.Approved, Asked: first.Time, Until: first.Time.Add(record.BreakGlassTime), Reviewed: w.now(), Late: true,
		})
	}
	relation.Grants[0].ID = first.ID
	w.store(record.RelationKey(w.reference, w.a.doctor.id), relation)
	w.advance(record.MaxLateEmergency - time.Hour) // the first is of an hour before
	more := w.late(w.a.doctor, w.reference, tag("more"))
	if refused := w.record(w.a, first); refused == nil || refused.Code != record.Exists {
		t.Errorf("again: %v", refused)
	}
	if refused := w.record(w.a, more); refused == nil || refused.Code != record.WrongState {
		t.Errorf("one more: %v", refused)
	}
	w.asks(w.a.doctor, w.reference, record.Read, everything()) // which is counted for itself
	w.advance(2 * record.ClockSkew)
	if refused := w.record(w.a, more); refused != nil {
		t.Errorf("one more, later: %v", refused)
	}
	if refused := w.record(w.a, first); refused == nil || refused.Code != record.BadRequest {
		t.Errorf("again, later: %v", refused)
	}
}

// TestLateEmergencyTakesNoOthersPlace: with an ID that the doctor chose, one must not stand for another that waits elsewhere.
func TestLateEmergencyTakesNoOthersPlace(t *testing.T) {
	w := newWorld(t)
	elsewhere := w.emergency(w.b, w.a.doctor, w.register(w.b, nil))
	s := w.late(w.a.doctor, w.reference, tag("letter")).EmergencyStatement
	s.ID = elsewhere.Request
	if refused := w.record(w.a, signed(t, w.a.doctor, s)); refused == nil || refused.Code != record.Exists {
		t.Errorf("got %v", refused)
	}
}

func TestHandOver(t *testing.T) {
	base := newWorld(t)
	link := record.Link{Patient: base.reference, To: base.register(base.b, nil)}
	base.must(base.a.staff, record.LinkFunction, link)
	base.must(base.b.staff, record.LinkFunction, link)
	second := base.enrol(base.b, record.ApplianceRole)
	base.must(base.b.institution, record.SuspendFunction, record.Suspension{Participant: second.id})
	good := record.HandOver{Patient: link.Patient, To: link.To, Recipient: base.b.appliance.id}
	secret := note(good.Recipient)

	t.Run("by the patient's appliance", func(t *testing.T) {
		w := base.copy(t)
		_, refused, tx := w.transact(w.a.appliance, record.HandOverFunction, good, secret)
		if refused != nil || len(tx.writes) != 1 || len(tx.private) != 1 {
			t.Errorf("%v, writes %d keys and %d notes", refused, len(tx.writes), len(tx.private))
		}
		w.wantAudit(w.reference, record.AuditEntry{
			Action: record.ActHandOver, Basis: record.BasisAppliance, Actor: w.a.appliance.id, Subject: w.b.appliance.id,
		})
		n, refused := ask[record.SealedNote](w, w.b.appliance, record.SealedNoteFunction, w.must(w.a.appliance,
			record.HandOverFunction, good, secret).ID.String(), good.Recipient.String())
		if refused != nil || !bytes.Equal(n.Ciphertext, secret.Ciphertext) {
			t.Errorf("the recipient gets %d bytes, %v", len(n.Ciphertext), refused)
		}
	})
	for name, test := range map[string]struct {
		by     *person // default: the patient's appliance
		change func(w *world, q *record.HandOver)
		to     *person // of the note; default: the recipient
		refuse record.Code
	}{
		"by staff":               {by: base.a.staff, refuse: record.Forbidden},
		"by the other's":         {by: base.b.appliance, refuse: record.Forbidden},
		"the other way":          {change: func(_ *world, q *record.HandOver) { q.Patient, q.To = q.To, q.Patient }, refuse: record.Forbidden},
		"to a third":             {change: func(w *world, q *record.HandOver) { q.Recipient = w.c.appliance.id }, refuse: record.Forbidden},
		"to a doctor":            {change: func(w *world, q *record.HandOver) { q.Recipient = w.b.doctor.id }, refuse: record.BadRequest},
		"to nobody":              {change: func(w *world, q *record.HandOver) { q.Recipient = w.newID(w.b) }, refuse: record.NotFound},
		"to who is suspended":    {change: func(_ *world, q *record.HandOver) { q.Recipient = second.id }, refuse: record.WrongState},
		"to an unlinked patient": {change: func(w *world, q *record.HandOver) { q.To = w.register(w.b, nil) }, refuse: record.Forbidden},
		"of an unlinked patient": {change: func(w *world, q *record.HandOver) { q.Patient = w.register(w.a, nil) }, refuse: record.Forbidden},
		"of who is not known":    {change: func(w *world, q *record.HandOver) { q.Patient = w.newReference(w.a) }, refuse: record.NotFound},
		"without the secret":     {to: base.b.institution, refuse: record.BadRequest},
		"after the link is undone": {
			change: func(w *world, _ *record.HandOver) { w.must(w.b.staff, record.UnlinkFunction, link) },
			refuse: record.Forbidden,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, q, by := base.copy(t), good, test.by
			if by == nil {
				by = w.a.appliance
			}
			if test.change != nil {
				test.change(w, &q)
			}
			to := q.Recipient
			if test.to != nil {
				to = test.to.id
			}
			w.refuse(test.refuse, by, record.HandOverFunction, q, note(to))
			if test.refuse == record.Forbidden {
				w.wantAudit(q.Patient, record.AuditEntry{Action: record.ActHandOver, Denied: true, Actor: by.id})
			}
			if len(w.ledger.private) > 0 {
				t.Error("the secret is there")
			}
		})
	}
}
