package reading_test

import (
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/reading"
)

// open opens a record of North's patient, with nothing else.
func open(t *testing.T, c *reading.Client) (reading.Opened, error) {
	t.Helper()
	return c.Open(t.Context(), reading.OpenRequest{RecordName: here()})
}

// tags are the documents of an open record, in their order.
func tags(o reading.Opened) (n []byte) {
	for _, d := range o.Documents {
		n = append(n, d.Tag[1])
	}
	return n
}

func TestAnOpenRecordIsDescribedInTheOrderOfTheChain(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindImaging, 5, 2)
	w.anchor(here(), record.KindLetter, 1)
	w.anchor(here(), record.KindImaging, 4)
	until := noon().Add(time.Hour)
	w.access[record.KindLetter] = record.Access{Allowed: true, Basis: record.BasisGrant, Until: until.Add(time.Hour)}
	w.access[record.KindImaging] = record.Access{Allowed: true, Basis: record.BasisGrant, Until: until}
	for _, n := range []byte{1, 2, 4, 5} {
		w.hold(n, text(n, 100))
	}
	o, err := open(t, w.dial(w.doctor()))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tags(o), []byte{5, 2, 1, 4}) || o.Basis != record.BasisGrant || !o.Until.Equal(until) || o.Missing != 0 ||
		o.RecordName != here() || !o.Emergency.IsZero() {
		t.Errorf("opened: %+v", o)
	}
	if want := described(text(5, 100), document.FormatText); !reflect.DeepEqual(o.Documents[0].Description, want) {
		t.Errorf("described as %+v, want %+v", o.Documents[0].Description, want)
	}
	if !slices.Equal(w.outcomes, []string{"allowed"}) {
		t.Errorf("counted as %v", w.outcomes)
	}
}

func TestADenialSaysWhy(t *testing.T) {
	for why, says := range map[record.Denial]string{
		record.DeniedNoBasis:   "you have no right to this record: ask the patient for access",
		record.DeniedWithdrawn: "withdrawn: filed in error",
		record.DeniedErased:    "the record was erased",
		record.DeniedSuspended: "your participation is suspended or unknown: ask your institution",
	} {
		t.Run(string(why), func(t *testing.T) {
			w := serve(t)
			w.anchor(here(), record.KindLetter, 1)
			w.hold(1, text(1, 10))
			w.access[record.KindLetter] = denied(why)
			c := w.dial(w.doctor())
			_, err := open(t, c)
			wantError(t, err, reading.ErrDenied, says)
			_, err = whole(t.Context(), c, here(), 1)
			wantError(t, err, reading.ErrNotFound, "open the record first")
			if told := w.told(); slices.Contains(told, "look for 1") || slices.Contains(told, "open 1") {
				t.Errorf("nobody may see it, and it was looked for: %v", told)
			}
			if !slices.Equal(w.outcomes, []string{"denied"}) {
				t.Errorf("counted as %v", w.outcomes)
			}
		})
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	w := serve(t)
	c := w.dial(w.doctor())
	_, err := open(t, c)
	wantError(t, err, reading.ErrNotFound, "the ledger has no such record, or this hospital has not seen it yet")
	_, err = c.Open(t.Context(), reading.OpenRequest{})
	wantError(t, err, reading.ErrBadRequest, "no patient is named")
	_, err = c.Open(t.Context(), reading.OpenRequest{RecordName: record.RecordName{Patient: here().Patient}})
	wantError(t, err, reading.ErrBadRequest, "no record is named")
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 10))
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	_, err = whole(t.Context(), c, here(), 2)
	wantError(t, err, reading.ErrNotFound, "open it again to see what joined it")
	if want := []string{"not-found", "allowed"}; !slices.Equal(w.outcomes, want) {
		t.Errorf("counted as %v", w.outcomes)
	}
	if len(w.attempts) != 1 {
		t.Errorf("%d attempts", len(w.attempts))
	}
}

// A viewer's many requests are one entry of the patient's audit.
func TestARecordIsAttemptedOnceInASession(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindImaging, 1, 2)
	w.anchor(here(), record.KindImaging, 3)
	for n := range byte(3) {
		w.hold(n+1, text(n, 1000))
	}
	doctor := w.doctor()
	c, token := w.dial(doctor), w.token(doctor)
	for range 3 {
		if _, err := open(t, c); err != nil {
			t.Fatal(err)
		}
		for n := range byte(3) {
			if _, err := whole(t.Context(), c, here(), n+1); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(time.Minute)
	}
	w.anchor(here(), record.KindImaging, 4) // another version of the same kind
	w.hold(4, text(4, 10))
	if o, err := open(t, c); err != nil || len(o.Documents) != 4 {
		t.Fatalf("opened: %+v, %v", o, err)
	}
	want := record.AccessAttempt{Participant: doctor.ID, Patient: here().Patient, Record: here().Record, Version: tag(1)}
	if len(w.attempts) != 1 || len(w.attempts[0]) != 1 {
		t.Fatalf("attempts: %+v", w.attempts)
	}
	first := w.attempts[0][0]
	session := first.Session
	if first.Session = (record.ID{}); first != want || session.IsZero() {
		t.Errorf("attempt %+v in session %s", first, session)
	}
	// Another session of the same reader's is another entry.
	answer[reading.Opened](t, w.raw(http.MethodPost, "/v1/readings", token, reading.OpenRequest{RecordName: here()}), http.StatusOK)
	for _, part := range []string{"bytes=0-9", "bytes=10-19,30-39", "bytes=-5"} {
		if a := w.get(token, 1, part); a.StatusCode != http.StatusPartialContent {
			t.Errorf("%s: %s", part, a.Status)
		}
	}
	if len(w.attempts) != 2 || w.attempts[1][0].Session == session || w.attempts[1][0].Session.IsZero() {
		t.Errorf("attempts: %+v", w.attempts)
	}
}

// Requests that come at once are one attempt too: the others wait for the first.
func TestRequestsAtOnceAreOneAttempt(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindImaging, 1)
	w.hold(1, text(1, 100))
	c := w.dial(w.doctor())
	decided := make(chan struct{})
	w.came = make(chan struct{})
	w.deciding = func() { <-decided }
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			if _, err := open(t, c); err != nil {
				t.Error(err)
			}
		})
	}
	for range 5 {
		<-w.came
	}
	close(decided)
	group.Wait()
	if len(w.attempts) != 1 {
		t.Errorf("%d attempts", len(w.attempts))
	}
}

// A kind of version that comes later is another right, and another entry. It leaves what is open as it is.
func TestAnotherKindOfVersionIsAnotherAttempt(t *testing.T) {
	w := serve(t)
	w.anchor(elsewhere(), record.KindImaging, 1)
	key := w.publish(south, 1, text(1, 100))
	c := w.dial(w.doctor())
	if _, err := c.Open(t.Context(), reading.OpenRequest{RecordName: elsewhere(), Keys: []reading.ReleasedKey{key}}); err != nil {
		t.Fatal(err)
	}
	w.anchor(elsewhere(), record.KindLetter, 2)
	second := w.publish(south, 2, text(2, 100))
	o, err := c.Open(t.Context(), reading.OpenRequest{RecordName: elsewhere(), Keys: []reading.ReleasedKey{second}})
	if err != nil || !slices.Equal(tags(o), []byte{1, 2}) {
		t.Fatalf("opened: %+v, %v", o, err)
	}
	if len(w.attempts) != 2 || len(w.attempts[1]) != 1 || w.attempts[1][0].Version != tag(2) ||
		w.attempts[1][0].Session != w.attempts[0][0].Session {
		t.Errorf("attempts: %+v", w.attempts)
	}
	for n := range byte(2) {
		if got, err := whole(t.Context(), c, elsewhere(), n+1); err != nil || !slices.Equal(got, text(n+1, 100)) {
			t.Errorf("document %d: %d bytes, %v", n+1, len(got), err)
		}
	}
}

// Of a kind that is denied nothing is seen. It is asked for once: to open the record again adds no entry, until the right is
// there.
func TestAKindThatIsDeniedIsAttemptedOnce(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindImaging, 1)
	w.anchor(here(), record.KindLetter, 2)
	w.hold(1, text(1, 10))
	w.hold(2, text(2, 10))
	w.access[record.KindLetter] = denied(record.DeniedNoBasis)
	c := w.dial(w.doctor())
	for range 3 {
		if o, err := open(t, c); err != nil || !slices.Equal(tags(o), []byte{1}) || o.Basis != record.BasisGrant {
			t.Errorf("opened: %+v, %v", o, err)
		}
		w.pass(time.Minute)
	}
	_, err := whole(t.Context(), c, here(), 2)
	wantError(t, err, reading.ErrNotFound, "")
	if len(w.attempts) != 1 || len(w.attempts[0]) != 2 {
		t.Fatalf("attempts: %+v", w.attempts)
	}
	if slices.Contains(w.told(), "look for 2") {
		t.Error("what is denied was looked for")
	}
	w.change(func() { w.access[record.KindLetter] = allowed() })
	for range 2 {
		if o, err := open(t, c); err != nil || !slices.Equal(tags(o), []byte{1, 2}) {
			t.Errorf("opened: %+v, %v", o, err)
		}
	}
	if len(w.attempts) != 2 || len(w.attempts[1]) != 1 || w.attempts[1][0].Version != tag(2) {
		t.Errorf("attempts: %+v", w.attempts)
	}
}

// Nothing is looked for, opened or sent before the entry of the attempt was read back.
func TestNoByteComesBeforeTheAttemptIsRecorded(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 100))
	c := w.dial(w.doctor())
	w.told()
	w.deciding = func() {
		_, err := c.Document(t.Context(), here(), tag(1), 0)
		wantError(t, err, reading.ErrNotFound, "open the record first")
	}
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	if _, err := whole(t.Context(), c, here(), 1); err != nil {
		t.Fatal(err)
	}
	if told, want := w.told(), []string{"access", "accessed", "look for 1", "open 1", "read 1", "close 1"}; !slices.Equal(told, want) {
		t.Errorf("in this order: %v, want %v", told, want)
	}
}

// A right that is over would look as if it were not.
func TestAClockThatIsBehindReadsNothing(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 100))
	c := w.dial(w.doctor())
	w.change(func() { w.latest = noon().Add(record.ClockSkew) })
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	w.change(func() { w.latest = noon().Add(record.ClockSkew + time.Second) })
	_, err := open(t, c)
	wantError(t, err, reading.ErrDenied, "this hospital's clock says 2026-11-02T12:00:00Z, and the ledger has seen 2026-11-02T12:02:01Z")
	_, err = whole(t.Context(), c, here(), 1)
	wantError(t, err, reading.ErrDenied, "have it set")
	if _, err = open(t, w.dial(w.join(south, 2, record.DoctorRole))); err == nil || len(w.attempts) != 1 {
		t.Errorf("%d attempts, %v", len(w.attempts), err)
	}
}

// What ends, ends two minutes early, and by this hospital's own clock, whatever the contract says.
func TestAReadingEndsByTheOwnClock(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 100))
	w.access[record.KindLetter] = record.Access{Allowed: true, Basis: record.BasisGrant, Until: noon().Add(time.Hour)}
	c := w.dial(w.doctor())
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	for range 5 { // a session ends when it is idle
		w.pass(11 * time.Minute)
		if _, err := whole(t.Context(), c, here(), 1); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(3*time.Minute - time.Second)
	if _, err := whole(t.Context(), c, here(), 1); err != nil {
		t.Errorf("before the end: %v", err)
	}
	w.pass(time.Second)
	_, err := whole(t.Context(), c, here(), 1)
	wantError(t, err, reading.ErrDenied, "the right to the record has ended: ask the patient for access")
}

// To open a record again is to ask again: the right may be another by now.
func TestAnotherRightIsFoundByOpeningAgain(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 100))
	w.access[record.KindLetter] = record.Access{Allowed: true, Basis: record.BasisBreakGlass, Until: noon().Add(5 * time.Minute)}
	c := w.dial(w.doctor())
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	w.pass(4 * time.Minute)
	w.change(func() { w.access[record.KindLetter] = denied(record.DeniedNoBasis) })
	_, err := open(t, c)
	wantError(t, err, reading.ErrDenied, "ask the patient for access")
	w.change(func() { w.access[record.KindLetter] = allowed() })
	if o, err := open(t, c); err != nil || o.Basis != record.BasisGrant || !o.Until.IsZero() {
		t.Errorf("opened: %+v, %v", o, err)
	}
	if _, err := whole(t.Context(), c, here(), 1); err != nil {
		t.Error(err)
	}
	if len(w.attempts) != 3 {
		t.Errorf("%d attempts", len(w.attempts))
	}
}

// A decision is relied on for two seconds. After a revocation nothing is served any longer.
func TestARevocationEndsAReading(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 100))
	c := w.dial(w.doctor())
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	w.change(func() { w.access[record.KindLetter] = denied(record.DeniedNoBasis) })
	w.pass(2*time.Second - 1)
	if _, err := whole(t.Context(), c, here(), 1); err != nil {
		t.Errorf("within two seconds: %v", err)
	}
	if w.checks != 0 {
		t.Errorf("within two seconds the ledger was asked %d times", w.checks)
	}
	w.pass(1)
	for range 2 {
		_, err := whole(t.Context(), c, here(), 1)
		wantError(t, err, reading.ErrDenied, "ask the patient for access")
	}
	w.change(func() { w.access[record.KindLetter] = denied(record.DeniedWithdrawn) })
	_, err := whole(t.Context(), c, here(), 1)
	wantError(t, err, reading.ErrDenied, "withdrawn: filed in error")
}

// A clock that was set back, by less than what is refused, does not make a decision young again.
func TestAClockThatIsSetBackRenewsNothing(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 100))
	c := w.dial(w.doctor())
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	w.change(func() { w.access[record.KindLetter] = denied(record.DeniedNoBasis) })
	w.pass(-time.Minute)
	_, err := whole(t.Context(), c, here(), 1)
	wantError(t, err, reading.ErrDenied, "ask the patient for access")
}

// While a reading lasts the ledger is asked each two seconds, however many requests there are.
func TestTheLedgerIsNotAskedAtEachRequest(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.anchor(here(), record.KindImaging, 2)
	w.hold(1, text(1, 100))
	c := w.dial(w.doctor())
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		w.pass(time.Second)
		for range 5 {
			if _, err := whole(t.Context(), c, here(), 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if w.checks != 2*5 { // of two kinds, each two seconds
		t.Errorf("in ten seconds the ledger was asked %d times", w.checks)
	}
}

// The right is revoked while the attempt is being committed, which takes seconds: the decision counts from when it was made.
func TestASlowCommitIsNoFreshDecision(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 100))
	c := w.dial(w.doctor())
	w.deciding = func() {
		w.change(func() { w.access[record.KindLetter] = denied(record.DeniedNoBasis) })
		w.pass(3 * time.Second)
	}
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	_, err := whole(t.Context(), c, here(), 1)
	wantError(t, err, reading.ErrDenied, "ask the patient for access")
}

// A new kind of version has the ledger asked for that kind. The others are no fresher for it.
func TestAnotherKindDoesNotRenewTheOthers(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 100))
	w.hold(2, text(2, 100))
	c := w.dial(w.doctor())
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	w.change(func() { w.access[record.KindLetter] = denied(record.DeniedNoBasis) })
	w.anchor(here(), record.KindImaging, 2)
	w.pass(1500 * time.Millisecond)
	if _, err := open(t, c); err != nil { // within two seconds of the first decision
		t.Fatal(err)
	}
	w.pass(time.Second)
	_, err := whole(t.Context(), c, here(), 1)
	wantError(t, err, reading.ErrDenied, "ask the patient for access")
	if o, err := open(t, c); err != nil || !slices.Equal(tags(o), []byte{2}) {
		t.Errorf("opened: %+v, %v", o, err)
	}
}

// streams opens a record of one large document, which is read with a hook at each read.
func streams(t *testing.T, hook func(w *world, from int64)) (*world, io.ReadCloser, []byte) {
	t.Helper()
	w, content := serve(t), text(1, 1<<20)
	w.anchor(here(), record.KindImaging, 1)
	p := w.plain(1, content)
	p.fails = func(from, _ int64) error {
		hook(w, from)
		return nil
	}
	w.holdAs(1, described(content, document.FormatDICOM), func() (reading.Plain, error) { return p, nil })
	c := w.dial(w.doctor())
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	body, err := c.Document(t.Context(), here(), tag(1), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { body.Close() })
	return w, body, content
}

// wantBroken wants a stream that breaks before a place, and says so.
func wantBroken(t *testing.T, body io.Reader, content []byte, before int) {
	t.Helper()
	got, err := io.ReadAll(body)
	if err == nil || len(got) > before || !slices.Equal(got, content[:len(got)]) {
		t.Errorf("%d bytes, %v: want at most %d, and an error", len(got), err, before)
	}
}

func TestARevocationBreaksAStream(t *testing.T) {
	_, body, content := streams(t, func(w *world, from int64) {
		w.pass(500 * time.Millisecond)
		if from >= 256<<10 {
			w.change(func() { w.access[record.KindImaging] = denied(record.DeniedNoBasis) })
		}
	})
	wantBroken(t, body, content, 512<<10) // 32 KiB in half a second
}

// What was fetched from far away for a minute is not served if the right was revoked meanwhile.
func TestWhatTookLongToReadIsNotServedAfterARevocation(t *testing.T) {
	_, body, content := streams(t, func(w *world, from int64) {
		if from >= 64<<10 {
			w.change(func() { w.access[record.KindImaging] = denied(record.DeniedNoBasis) })
			w.pass(time.Minute)
		}
	})
	wantBroken(t, body, content, 64<<10)
}

func TestTheEndOfARightBreaksAStream(t *testing.T) {
	for name, end := range map[string]func(*world){
		"the ledger is away":       func(w *world) { w.change(func() { w.away = true }) },
		"the clock is set back":    func(w *world) { w.pass(-time.Hour) },
		"the key was replaced":     func(w *world) { w.doctor() },
		"another block has a time": func(w *world) { w.change(func() { w.latest = w.now.Add(time.Hour) }) },
	} {
		t.Run(name, func(t *testing.T) {
			ended := false
			_, body, content := streams(t, func(w *world, from int64) {
				w.pass(time.Second)
				if from >= 128<<10 && !ended {
					end(w)
					ended = true
				}
			})
			wantBroken(t, body, content, 256<<10)
		})
	}
}

// Better unavailable than disclosed: while the ledger cannot be asked nothing is served, and afterwards it is.
func TestALedgerThatIsAwayStopsAReading(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 100))
	c := w.dial(w.doctor())
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	w.change(func() { w.away = true })
	w.pass(2 * time.Second)
	_, err := whole(t.Context(), c, here(), 1)
	wantError(t, err, reading.ErrAway, "")
	_, err = open(t, c)
	wantError(t, err, reading.ErrAway, "so nothing is read as a routine: in an emergency give the reason")
	_, err = open(t, w.dial(w.doctor()))
	wantError(t, err, reading.ErrAway, "so nothing is read as a routine")
	w.change(func() { w.away = false })
	if _, err := whole(t.Context(), w.dial(w.doctor()), here(), 1); !errors.Is(err, reading.ErrNotFound) {
		t.Errorf("a session of its own: %v", err)
	}
}

// A ledger that does not answer is away.
func TestASlowLedgerIsAway(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 100))
	w.server.Patience = time.Nanosecond
	_, err := open(t, w.dial(w.doctor()))
	wantError(t, err, reading.ErrAway, "so nothing is read as a routine")
	if slices.Contains(w.told(), "look for 1") {
		t.Error("nothing was decided, and it is looked for")
	}
}

// What this hospital neither holds nor has keys for is counted, not named.
func TestWhatCannotBeOpenedIsMissing(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1, 2, 3)
	w.hold(1, text(1, 100))
	w.hold(3, text(3, 100))
	w.change(func() { delete(w.payloads, tag(3)) }) // erased: a payload that is left is nobody's to read
	c := w.dial(w.doctor())
	if o, err := open(t, c); err != nil || !slices.Equal(tags(o), []byte{1}) || o.Missing != 2 {
		t.Errorf("opened: %+v, %v", o, err)
	}
	w.hold(2, text(2, 100))
	if o, err := open(t, c); err != nil || !slices.Equal(tags(o), []byte{1, 2}) || o.Missing != 1 {
		t.Errorf("opened again: %+v, %v", o, err)
	}
	none := w.dial(w.join(south, 2, record.DoctorRole))
	w.anchor(elsewhere(), record.KindLetter, 9)
	for range 2 {
		_, err := none.Open(t.Context(), reading.OpenRequest{RecordName: elsewhere()})
		wantError(t, err, reading.ErrUnavailable, "no keys of it were released to you yet")
	}
	if len(w.attempts) != 2 { // who waits for keys asks again and again
		t.Errorf("%d attempts", len(w.attempts))
	}
}

// A record that is open in one session is not in another, be it of the same reader.
func TestASessionReadsWhatItOpened(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.anchor(elsewhere(), record.KindLetter, 2)
	w.hold(1, text(1, 100))
	w.hold(2, text(2, 100))
	doctor := w.doctor()
	one, two := w.dial(doctor), w.dial(doctor)
	if _, err := open(t, one); err != nil {
		t.Fatal(err)
	}
	_, err := whole(t.Context(), two, here(), 1)
	wantError(t, err, reading.ErrNotFound, "open the record first")
	_, err = whole(t.Context(), one, elsewhere(), 2)
	wantError(t, err, reading.ErrNotFound, "open the record first")
	_, err = whole(t.Context(), one, here(), 2) // of another record
	wantError(t, err, reading.ErrNotFound, "")
}
