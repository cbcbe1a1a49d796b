package reading_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/reading"
)

// stated is what a doctor states and signs, about a record of North's patient; with changes before and after it is signed.
func (w *world) stated(p *person, id byte, before ...func(*document.Emergency)) *document.Emergency {
	e := document.Emergency{Text: "unconscious", Name: "Dr A"}
	reason := sha256.Sum256([]byte(e.Text))
	e.EmergencyStatement = record.EmergencyStatement{
		Patient: here().Patient, Record: here().Record, Participant: p.ID, ID: record.ID{id}, Time: w.clock(), Reason: reason[:],
	}
	for _, change := range before {
		change(&e)
	}
	e.Signature = must(p.Sign(e.Message()))
	return &e
}

// stranded is a world whose ledger is away, with a doctor of North's, and a record that North holds.
func stranded(t *testing.T) (*world, *person) {
	t.Helper()
	w := serve(t)
	doctor := w.join(north, 1, record.DoctorRole)
	w.anchor(here(), record.KindLetter, 2, 1)
	w.anchor(here(), record.KindImaging, 3)
	for n := range byte(3) {
		w.hold(n+1, text(n+1, 1000))
	}
	w.change(func() { w.away = true })
	return w, doctor
}

func emergency(e *document.Emergency) reading.OpenRequest {
	return reading.OpenRequest{RecordName: here(), Emergency: e}
}

func TestInAnEmergencyARecordOpensWithoutTheLedger(t *testing.T) {
	w, doctor := stranded(t)
	c := w.dial(doctor)
	w.told()
	e := w.stated(doctor, 7)
	o, err := c.Open(t.Context(), emergency(e))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tags(o), []byte{2, 1, 3}) || o.Basis != record.BasisBreakGlass || o.Emergency != e.ID ||
		!o.Until.Equal(noon().Add(4*time.Hour)) {
		t.Errorf("opened: %+v", o)
	}
	kept := *e
	kept.SigningKey = doctor.SigningKey
	if !reflect.DeepEqual(w.kept, []document.Emergency{kept}) {
		t.Errorf("kept: %+v", w.kept)
	}
	for _, n := range []byte{1, 2, 3} {
		if got, err := whole(t.Context(), c, here(), n); err != nil || !slices.Equal(got, text(n, 1000)) {
			t.Errorf("document %d: %d bytes, %v", n, len(got), err)
		}
	}
	told := w.told()
	if want := []string{"access", "journal 7", "look for 2", "look for 1", "look for 3", "open 1"}; !slices.Equal(told[:6], want) {
		t.Errorf("in this order: %v, want %v", told, want)
	}
	if !slices.Equal(w.outcomes, []string{"emergency"}) {
		t.Errorf("counted as %v", w.outcomes)
	}
}

func TestAnEmergencyIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		doctor func(*world) *person
		before func(*document.Emergency)
		after  func(*document.Emergency)
		world  func(*world)
		kind   error
		says   string
	}{
		"without a reason": {
			before: func(e *document.Emergency) {
				e.Text = ""
				nothing := sha256.Sum256(nil)
				e.Reason = nothing[:]
			},
			kind: reading.ErrBadRequest, says: "no reason is given",
		},
		"another reason than is signed": {after: func(e *document.Emergency) { e.Text = "curious" }, kind: reading.ErrBadRequest, says: "about something else"},
		"about another record":          {before: func(e *document.Emergency) { e.Record[0]++ }, kind: reading.ErrBadRequest, says: "about something else"},
		"about another patient":         {before: func(e *document.Emergency) { e.Patient[15]++ }, kind: reading.ErrBadRequest, says: "about something else"},
		"of another doctor":             {before: func(e *document.Emergency) { e.Participant[15]++ }, kind: reading.ErrBadRequest, says: "about something else"},
		"without an ID":                 {before: func(e *document.Emergency) { e.ID = record.ID{} }, kind: reading.ErrBadRequest, says: "no participant, record or ID"},
		"of before":                     {before: func(e *document.Emergency) { e.Time = e.Time.Add(-2*time.Minute - time.Second) }, kind: reading.ErrBadRequest, says: "set your clock"},
		"of a time to come":             {before: func(e *document.Emergency) { e.Time = e.Time.Add(2*time.Minute + time.Second) }, kind: reading.ErrBadRequest, says: "set your clock"},
		"of no time":                    {before: func(e *document.Emergency) { e.Time = time.Time{} }, kind: reading.ErrBadRequest, says: "set your clock"},
		"that is not signed":            {after: func(e *document.Emergency) { e.Signature = nil }, kind: reading.ErrDenied, says: "not signed with your key"},
		"with another signature":        {after: func(e *document.Emergency) { e.Signature[20] ^= 1 }, kind: reading.ErrDenied, says: "not signed with your key"},
		"of what was signed before":     {after: func(e *document.Emergency) { e.ID[1]++ }, kind: reading.ErrDenied, says: "not signed with your key"},
		"by a doctor of elsewhere":      {doctor: (*world).doctor, kind: reading.ErrDenied, says: "only doctors of this hospital"},
		"by staff":                      {doctor: func(w *world) *person { return w.join(north, 2, record.StaffRole) }, kind: reading.ErrDenied, says: "only doctors of this hospital"},
		"by a patient":                  {doctor: func(w *world) *person { return w.join(north, 2, record.PatientRole) }, kind: reading.ErrDenied, says: "only doctors of this hospital"},
		"of a record that was withdrawn": {
			world: func(w *world) { w.status[here()] = record.RecordStatus{Withdrawn: noon()} },
			kind:  reading.ErrDenied, says: "withdrawn: filed in error",
		},
		"of a record that was erased": {
			world: func(w *world) { w.status[here()] = record.RecordStatus{Erasure: record.ErasureDone} },
			kind:  reading.ErrDenied, says: "the record was erased",
		},
		"when it cannot be kept": {world: func(w *world) { w.broken = errInjected }, says: "record the emergency: injected"},
		"with the ID of another right": {
			world: func(w *world) {
				for id := range w.people {
					w.relations[id] = record.Relation{Grants: []record.Grant{{ID: record.ID{7}, Basis: record.BasisBreakGlass}}}
				}
			},
			kind: reading.ErrBadRequest, says: "state it anew",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, doctor := stranded(t)
			if test.doctor != nil {
				doctor = test.doctor(w)
			}
			c := w.dial(doctor)
			if test.world != nil {
				w.change(func() { test.world(w) })
			}
			if test.before == nil {
				test.before = func(*document.Emergency) {}
			}
			e := w.stated(doctor, 7, test.before)
			if test.after != nil {
				test.after(e)
			}
			_, err := c.Open(t.Context(), emergency(e))
			if test.kind == nil {
				test.kind = err
			}
			wantError(t, err, test.kind, test.says)
			_, err = whole(t.Context(), c, here(), 1)
			wantError(t, err, reading.ErrNotFound, "open the record first")
			if told := w.told(); len(w.kept) != 0 || slices.Contains(told, "look for 1") {
				t.Errorf("it is kept, or what was refused was looked for: %v, %v", w.kept, told)
			}
		})
	}
}

// The keys of another hospital's record come over the ledger.
func TestAnEmergencyIsForRecordsOfThisHospital(t *testing.T) {
	w, doctor := stranded(t)
	w.anchor(elsewhere(), record.KindLetter, 9)
	w.hold(9, text(9, 10)) // a copy changes nothing
	c := w.dial(doctor)
	e := w.stated(doctor, 7, func(e *document.Emergency) { e.Patient, e.Record = elsewhere().Patient, elsewhere().Record })
	_, err := c.Open(t.Context(), reading.OpenRequest{RecordName: elsewhere(), Emergency: e})
	wantError(t, err, reading.ErrAway, "whose keys come over the ledger: ask that hospital directly")
	if len(w.kept) != 0 {
		t.Errorf("kept: %+v", w.kept)
	}
}

// While the ledger can be asked it decides: the statement does not count.
func TestAnEmergencyIsNoWayAroundTheLedger(t *testing.T) {
	w, doctor := stranded(t)
	w.change(func() {
		w.away = false
		w.access[record.KindLetter], w.access[record.KindImaging] = denied(record.DeniedNoBasis), denied(record.DeniedNoBasis)
	})
	c := w.dial(doctor)
	_, err := c.Open(t.Context(), emergency(w.stated(doctor, 7)))
	wantError(t, err, reading.ErrDenied, "ask the patient for access")
	if len(w.kept) != 0 || len(w.attempts) != 1 {
		t.Errorf("kept: %+v; attempts: %+v", w.kept, w.attempts)
	}
}

// The signature is by the key with which they logged in; the statement may be two minutes old or young.
func TestTheTimeOfAStatementMayBeOffByWhatClocksAre(t *testing.T) {
	for _, off := range []time.Duration{-record.ClockSkew, record.ClockSkew} {
		w, doctor := stranded(t)
		e := w.stated(doctor, 7, func(e *document.Emergency) { e.Time = e.Time.Add(off) })
		if _, err := w.dial(doctor).Open(t.Context(), emergency(e)); err != nil {
			t.Errorf("off by %s: %v", off, err)
		}
	}
}

// What is open as a routine stops when the ledger is away. An emergency opens it again.
func TestARecordThatIsOpenOpensInAnEmergencyToo(t *testing.T) {
	w, doctor := stranded(t)
	w.change(func() { w.away = false })
	c := w.dial(doctor)
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	w.change(func() { w.away = true })
	w.pass(time.Minute)
	_, err := whole(t.Context(), c, here(), 1)
	wantError(t, err, reading.ErrAway, "")
	if o, err := c.Open(t.Context(), emergency(w.stated(doctor, 7))); err != nil || o.Basis != record.BasisBreakGlass {
		t.Fatalf("opened: %+v, %v", o, err)
	}
	if _, err := whole(t.Context(), c, here(), 1); err != nil {
		t.Error(err)
	}
	// Once the ledger is back, it decides.
	w.change(func() { w.away = false })
	if o, err := open(t, c); err != nil || o.Basis != record.BasisGrant || !o.Emergency.IsZero() {
		t.Errorf("opened: %+v, %v", o, err)
	}
	if len(w.attempts) != 2 || len(w.kept) != 1 {
		t.Errorf("attempts: %+v; kept: %+v", w.attempts, w.kept)
	}
}

func TestAnEmergencyIsOverAfterFourHours(t *testing.T) {
	w, doctor := stranded(t)
	w.change(func() { w.latest = time.Time{} })
	c := w.dial(doctor)
	if _, err := c.Open(t.Context(), emergency(w.stated(doctor, 7))); err != nil {
		t.Fatal(err)
	}
	for range 24 {
		w.pass(10 * time.Minute)
		if _, err := whole(t.Context(), c, here(), 1); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(time.Second)
	_, err := whole(t.Context(), c, here(), 1)
	wantError(t, err, reading.ErrDenied, "the emergency is over: read with the patient's consent, or state another")
	_, err = c.Open(t.Context(), emergency(w.stated(doctor, 7, func(e *document.Emergency) { e.Time = noon() })))
	wantError(t, err, reading.ErrBadRequest, "set your clock")
	if _, err := c.Open(t.Context(), emergency(w.stated(doctor, 8))); err != nil {
		t.Errorf("another emergency: %v", err)
	}
}

// What this hospital has seen of the ledger ends an emergency too.
func TestWhatIsSeenEndsAnEmergency(t *testing.T) {
	for name, test := range map[string]struct {
		happens func(*world, *person)
		kind    error
		says    string
	}{
		"withdrawn": {func(w *world, _ *person) { w.status[here()] = record.RecordStatus{Withdrawn: noon()} }, reading.ErrDenied, "withdrawn: filed in error"},
		"erased":    {func(w *world, _ *person) { w.status[here()] = record.RecordStatus{Erasure: record.ErasureDone} }, reading.ErrDenied, "erased"},
		"suspended": {func(w *world, p *person) {
			p.Status = record.Suspended
			w.people[p.ID] = p.Participant
		}, reading.ErrDenied, "suspended or unknown"},
		"rotated": {func(w *world, p *person) {
			p.rotate()
			w.people[p.ID] = p.Participant
		}, reading.ErrLogin, "log in again"},
		"later": {func(w *world, _ *person) { w.latest = noon().Add(time.Hour) }, reading.ErrDenied, "have it set"},
	} {
		t.Run(name, func(t *testing.T) {
			w, doctor := stranded(t)
			c := w.dial(doctor)
			if _, err := c.Open(t.Context(), emergency(w.stated(doctor, 7))); err != nil {
				t.Fatal(err)
			}
			if _, err := whole(t.Context(), c, here(), 1); err != nil {
				t.Fatal(err)
			}
			w.change(func() { test.happens(w, doctor) })
			_, err := whole(t.Context(), c, here(), 1)
			wantError(t, err, test.kind, test.says)
		})
	}
}

func TestAnEmergencyEndsInTheMidstOfAStream(t *testing.T) {
	w, doctor := stranded(t)
	content := text(3, 1<<20)
	p := w.plain(3, content)
	p.fails = func(from, _ int64) error {
		if from >= 128<<10 {
			w.pass(time.Hour)
		}
		return nil
	}
	w.holdAs(3, described(content, document.FormatDICOM), func() (reading.Plain, error) { return p, nil })
	c := w.dial(doctor)
	if _, err := c.Open(t.Context(), emergency(w.stated(doctor, 7))); err != nil {
		t.Fatal(err)
	}
	body, err := c.Document(t.Context(), here(), tag(3), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	wantBroken(t, body, content, 512<<10)
}

// recording runs the recorder for a while, in a world where time passes at once.
func recording(t *testing.T, play func(w *world), kept ...document.Emergency) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.kept = kept
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.server.Record(ctx) }()
		synctest.Wait()
		play(w)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Record: %v", err)
		}
	})
}

func kept(id byte) document.Emergency {
	return document.Emergency{EmergencyStatement: record.EmergencyStatement{
		Patient: here().Patient, Participant: record.ParticipantID{1}, Record: here().Record, ID: record.ID{id}, Time: noon(),
	}}
}

func TestAnEmergencyIsRecordedOnce(t *testing.T) {
	recording(t, func(w *world) {
		w.wait(time.Hour)
		if told, want := w.told(), []string{"late 1", "forget 1", "late 2", "forget 2"}; !slices.Equal(told, want) {
			t.Errorf("in this order: %v, want %v", told, want)
		}
		if err := w.AddEmergency(kept(3)); err != nil {
			t.Fatal(err)
		}
		w.wait(2 * time.Second)
		if told := counts(w.told()); told["late 3"] != 1 || told["forget 3"] != 1 {
			t.Errorf("one that came later: %v", told)
		}
	}, kept(1), kept(2))
}

// wait lets time pass in a world where it passes at once.
func (w *world) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestAnEmergencyIsKeptWhileTheLedgerIsAway(t *testing.T) {
	recording(t, func(w *world) {
		w.change(func() { w.away = true })
		if err := w.AddEmergency(kept(1)); err != nil {
			t.Fatal(err)
		}
		w.wait(24 * time.Hour)
		n := counts(w.told())["late 1"]
		if n < 24*60*60/31 || n > 24*60*60/29 {
			t.Errorf("in a day it was tried %d times", n)
		}
		if len(w.kept) != 1 {
			t.Error("it was forgotten")
		}
		w.change(func() { w.away = false })
		w.wait(30 * time.Second)
		if told := counts(w.told()); told["late 1"] != 1 || len(w.kept) != 0 {
			t.Errorf("once the ledger is back: %v, kept: %v", told, w.kept)
		}
	})
}

// One that is refused is kept, and told of; the others are recorded.
func TestARefusedEmergencyIsKept(t *testing.T) {
	recording(t, func(w *world) {
		w.wait(time.Hour)
		w.change(func() {
			w.late = func(e document.Emergency) error {
				if e.ID == kept(1).ID {
					return record.Errorf(record.WrongState, "not signed with the doctor's key")
				}
				return nil
			}
		})
		for _, id := range []byte{1, 2} {
			if err := w.AddEmergency(kept(id)); err != nil {
				t.Fatal(err)
			}
		}
		w.wait(time.Hour)
		if len(w.kept) != 1 || w.kept[0].ID != kept(1).ID {
			t.Errorf("kept: %+v", w.kept)
		}
	})
}

// The answer to a recording is lost: that it exists already is as good. But the ID is the doctor's choice, and what exists may be
// another emergency of theirs, or a use of break-glass: then this one is not on the ledger, and is kept.
func TestWhatExistsIsRecordedIfItIsTheSame(t *testing.T) {
	grant := record.Grant{
		ID: record.ID{1}, Basis: record.BasisBreakGlass, Late: true, Asked: noon(), Scope: record.Scope{Records: []record.Tag{here().Record}},
	}
	for name, test := range map[string]struct {
		change func(*record.Grant)
		done   bool
	}{
		"the same":          {func(*record.Grant) {}, true},
		"of another ID":     {func(g *record.Grant) { g.ID[1]++ }, false},
		"of another record": {func(g *record.Grant) { g.Scope.Records = []record.Tag{{9}} }, false},
		"of more records":   {func(g *record.Grant) { g.Scope = record.Scope{All: true} }, false},
		"of another time":   {func(g *record.Grant) { g.Asked = g.Asked.Add(time.Second) }, false},
		"no late one":       {func(g *record.Grant) { g.Late = false }, false},
	} {
		t.Run(name, func(t *testing.T) {
			recording(t, func(w *world) {
				g := grant
				test.change(&g)
				w.change(func() {
					w.relations[kept(1).Participant] = record.Relation{Grants: []record.Grant{{ID: record.ID{8}}, g}}
					w.late = func(document.Emergency) error {
						return fmt.Errorf("ask: %w", record.Errorf(record.Exists, "the emergency is recorded already"))
					}
				})
				if err := w.AddEmergency(kept(1)); err != nil {
					t.Fatal(err)
				}
				w.wait(time.Minute)
				if done := len(w.kept) == 0; done != test.done {
					t.Errorf("taken for recorded: %t", done)
				}
			})
		})
	}
}

func TestAnErrorOfTheJournalIsFatal(t *testing.T) {
	w := newWorld(t)
	w.broken = errInjected
	if err := w.server.Record(t.Context()); err == nil {
		t.Error("Record goes on without its journal")
	}
}

// A statement that comes twice is the same emergency.
func TestAStatementMayComeTwice(t *testing.T) {
	w, doctor := stranded(t)
	c := w.dial(doctor)
	e := w.stated(doctor, 7)
	for range 2 {
		if _, err := c.Open(t.Context(), emergency(e)); err != nil {
			t.Fatal(err)
		}
	}
	g := record.Grant{ID: e.ID, Late: true, Asked: e.Time, Scope: record.Scope{Records: []record.Tag{e.Record}}}
	w.change(func() { w.relations[doctor.ID] = record.Relation{Grants: []record.Grant{g}} }) // recorded meanwhile
	if _, err := c.Open(t.Context(), emergency(e)); err != nil {
		t.Error(err)
	}
	content, err := c.Document(t.Context(), here(), tag(1), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if n := must(io.Copy(io.Discard, content)); n != 1000 {
		t.Errorf("%d bytes", n)
	}
	if a := w.get(w.token(doctor), 1); a.StatusCode != http.StatusNotFound {
		t.Errorf("another session: %s", a.Status)
	}
}
