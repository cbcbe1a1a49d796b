package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/reading"
)

// awaitReleases waits until the releases to a reader on the ledger are as wanted.
func (w *ward) awaitReleases(what string, ask *ledger.Client, reader record.ParticipantID, wanted func([]release) bool) {
	w.t.Helper()
	var all []release
	poll(w.t, what, func() bool {
		all = w.releases(ask, reader)
		return wanted(all)
	}, func() string { return fmt.Sprintf("%d releases", len(all)) })
}

func none(all []release) bool { return len(all) == 0 }

// awaitDenied waits until a reading that was allowed is served no more.
func (w *ward) awaitDenied(session *reading.Client, p paper, want error) {
	w.t.Helper()
	var last error
	poll(w.t, "the reading is refused", func() bool {
		_, last = w.read(session, p)
		return errors.Is(last, want)
	}, func() string { return fmt.Sprint(last) })
}

// suspended: the institution suspends the doctor. They are refused at once, also in the middle of a reading, and the keys are
// taken back; once they are reinstated, they are given the keys again.
func (w *ward) suspended(p *prey) {
	one := p.doctors[0]
	institution := enrol(w.t, w.n, w.b.member, record.InstitutionRole)
	ask, keys, session := w.colleague.connect(), w.released(w.doctor, one), w.doctor.login(w.b)
	if _, err := w.open(session, one, keys...); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.read(session, one); err != nil {
		w.t.Fatal(err)
	}
	institution.does("participant suspend --participant "+w.doctor.id.String(), "")
	w.awaitDenied(session, one, reading.ErrDenied)
	w.t.Run("the patient sees who tries to go on", func(t *testing.T) {
		inside := w.in(t)
		if _, err := inside.open(session, one, keys...); !errors.Is(err, reading.ErrDenied) {
			t.Errorf("the record that was open, opened again: %v", err)
		}
		inside.audited(1, record.AuditEntry{
			Action: record.ActAccess, Denied: true, Actor: w.b.applianceID(), Subject: w.doctor.id, Record: one.Record,
		})
	})
	if _, err := w.open(session, p.doctors[1], keys...); !errors.Is(err, reading.ErrDenied) {
		w.t.Errorf("another record, in the session that there was: %v", err)
	}
	w.b.awaitIndexed()
	if _, err := w.doctor.dial(w.b); !errors.Is(err, reading.ErrLogin) {
		w.t.Errorf("a new login: %v", err)
	}
	w.awaitReleases("the keys are taken back", ask, w.doctor.id, none)
	w.audited(1, record.AuditEntry{
		Action: record.ActAccess, Denied: true, Actor: w.b.applianceID(), Subject: w.doctor.id, Record: p.doctors[1].Record,
	})

	institution.does("participant reinstate --participant "+w.doctor.id.String(), "")
	w.released(w.doctor, p.doctors...)
	w.gets(w.doctor, w.b, exitOK, one)
}

// oldKey: the doctor replaces their keys, for somebody has a copy of the old ones. What was sealed to these is ended, and is
// sealed to the new one; and who has the old ones is nobody any more.
func (w *ward) oldKey(p *prey) {
	one := p.doctors[0]
	ask, thief := w.colleague.connect(), w.doctor.copied()
	before, stolen, session := w.standing(ask, w.doctor.id), w.released(w.doctor, one), thief.login(w.b)
	if _, err := w.open(session, one, stolen...); err != nil {
		w.t.Fatal(err)
	}
	w.doctor.runs(exitOK, "key rotate", "")
	key := record.KeyIDOf(w.doctor.wallet().EncryptionKey().PublicKey().Bytes())
	w.awaitReleases("all keys are sealed to the new key", ask, w.doctor.id, func(all []release) bool {
		documents := 0
		for _, r := range all {
			if r.Key != key {
				return false
			}
			documents += len(r.Documents)
		}
		return documents == len(p.doctors)
	})
	for _, r := range before {
		if _, err := ask.SealedRelease(w.t.Context(), r.Patient, r.Recipient, r.ID); !errors.Is(err, ledger.ErrNotFound) {
			w.t.Errorf("a release to the old key is still there: %v", err)
		}
	}
	w.released(w.doctor, p.doctors...)
	for _, paper := range p.doctors {
		w.gets(w.doctor, w.b, exitOK, paper)
	}
	if _, err := thief.dial(w.b); !errors.Is(err, reading.ErrLogin) {
		w.t.Errorf("a login with the old key: %v", err)
	}
	// B has seen the new key by now.
	w.t.Run("ends its sessions", func(t *testing.T) {
		inside := w.in(t)
		if _, err := inside.open(session, p.doctors[1], stolen...); !errors.Is(err, reading.ErrLogin) {
			t.Fatalf("in a session of the old key, another record: %v, want that the session is over", err)
		}
		if _, err := inside.read(session, one); !errors.Is(err, reading.ErrLogin) {
			t.Errorf("in a session of the old key, the record that is open: %v", err)
		}
	})
}

// short are grants to the guest that are over soon.
type short struct {
	honest  record.ID // of the first paper, by clocks that are right
	over    time.Time // when that is over: rights end early
	session *reading.Client
	forged  time.Time // the end of one of the second paper, for which clocks were put back
}

// back is by how much clocks are put back: what peers let pass, less what the test takes to get there.
const back = record.ClockSkew - 5*time.Second

// shortly grants the guest a paper for a short time, in which they read it. The shortest grant lasts for longer than peers let
// a clock be behind. For a shorter one, both the guest and the patient put theirs back.
func (p *prey) shortly(w *ward, within time.Duration) {
	w.t.Helper()
	one, other := p.doctors[0], p.doctors[1]
	until := time.Now().Add(record.ClockSkew + within).UTC().Truncate(time.Second)
	p.short.over = until.Add(-record.ClockSkew)
	p.short.honest = w.grants(w.guest, until, one)
	keys := w.released(w.guest, one)
	p.short.session = w.guest.login(w.b)
	if _, err := w.open(p.short.session, one, keys...); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.read(p.short.session, one); err != nil {
		w.t.Fatal(err)
	}

	p.short.forged = time.Now().Add(record.ClockSkew - back + within).UTC().Truncate(time.Second)
	request := backdated(w.t, w.guest.wallet().LedgerOptions(), back, record.RequestFunction, record.AccessRequest{
		Patient: w.reference, Mode: record.Read, Scope: record.Scope{Records: []record.Tag{other.Record}}, Until: p.short.forged,
		Purpose: record.SecondOpinion,
	}, nil)
	w.level()
	backdated(w.t, w.patient.wallet().LedgerOptions(), back, record.ApproveFunction, record.Approval{
		Patient: w.reference, Participant: w.guest.id, Request: request,
	}, nil)
	if a := w.attemptBackdated(other, record.ID{7}); !a.Allowed {
		w.t.Errorf("before its end, by a clock that is put back: %+v: the grant was never there", a)
	}
}

// attemptBackdated has B's appliance put its clock back, and open a paper's record for the guest.
func (w *ward) attemptBackdated(p paper, session record.ID) record.Access {
	w.t.Helper()
	return w.attemptBy(back, w.guest, p, session)
}

// attemptBy has B's appliance open a paper's record for somebody, with a clock that is behind.
func (w *ward) attemptBy(behind time.Duration, reader *someone, p paper, session record.ID) record.Access {
	w.t.Helper()
	w.level()
	var decided []record.Access
	backdated(w.t, w.b.ledgerOptions(), behind, record.AccessFunction, record.Accesses{Accesses: []record.AccessAttempt{{
		Participant: reader.id, Patient: p.Patient, Record: p.Record, Version: p.tag, Session: session,
	}}}, &decided)
	if len(decided) != 1 {
		w.t.Fatalf("%d decisions", len(decided))
	}
	return decided[0]
}

// clockPutForward: B's appliance puts its clock forward by as much as peers let pass. It gains nothing, and nobody takes the
// others' clocks for ones that were put back.
func (w *ward) clockPutForward(p *prey) {
	one, session := p.doctors[0], record.ID{9}
	if a := w.attemptBy(-back, w.colleague, one, session); a.Allowed {
		w.t.Errorf("the colleague may read: %+v", a)
	}
	w.audited(1, record.AuditEntry{Action: record.ActAccess, Denied: true, Subject: w.colleague.id, About: session})
	w.gets(w.doctor, w.b, exitOK, one)
	w.gets(w.supervisor, w.a, exitOK, one)
}

// grantThatIsOver: nobody reads by a grant after its end, neither in a session that there was, nor by a clock that is put
// back; the keys are taken from the ledger without anybody asking, and none are given by another's clock.
func (w *ward) grantThatIsOver(p *prey) {
	one, other := p.doctors[0], p.doctors[1]
	poll(w.t, "the grants are over", func() bool { return time.Now().After(p.short.over) && time.Now().After(p.short.forged) },
		func() string { return p.short.over.String() })
	if _, err := w.read(p.short.session, one); !errors.Is(err, reading.ErrDenied) {
		w.t.Errorf("in the session that there was: %v", err)
	}
	w.gets(w.guest, w.b, exitRefused, one)
	if a := w.attemptBackdated(other, record.ID{8}); a.Allowed {
		w.t.Errorf("after its end, by a clock that is put back: %+v", a)
	}
	for _, want := range []record.AuditEntry{
		{Denied: true, Record: one.Record},
		{Denied: false, Record: other.Record, About: record.ID{7}},
		{Denied: true, Record: other.Record, About: record.ID{8}},
	} {
		want.Action, want.Actor, want.Subject = record.ActAccess, w.b.applianceID(), w.guest.id
		w.audited(1, want)
	}
	w.awaitReleases("the keys are taken back", w.colleague.connect(), w.guest.id, none)
	w.audited(1, record.AuditEntry{
		Action: record.ActEndRelease, Actor: w.a.applianceID(), Subject: w.guest.id, About: p.short.honest,
	})
	w.audited(0, record.AuditEntry{Action: record.ActRelease, Subject: w.guest.id, Record: other.Record})
}
