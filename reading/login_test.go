package reading_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/reading"
)

func TestWhoSignsAChallengeIsLoggedIn(t *testing.T) {
	w := serve(t)
	doctor := w.doctor()
	c := w.challenge()
	if len(c.Nonce) != 32 || c.Appliance != applianceID() || c.Channel != channel {
		t.Fatalf("challenge %+v", c)
	}
	token := answer[reading.Session](t, w.login(doctor, c), http.StatusOK).Token
	if len(token) != 64 || token == w.token(doctor) {
		t.Errorf("token %q, or it is the same for two sessions", token)
	}
}

// What is signed is bound to the purpose, the channel, the appliance, the reader and the challenge, each behind its length.
func TestTheMessageThatIsSigned(t *testing.T) {
	c := reading.Challenge{Nonce: []byte{1, 2, 3}, Appliance: record.ParticipantID{0xa, 15: 0xb}, Channel: "ch"}
	want := slices.Concat([]byte("medanchor login\x00"), []byte{0, 0, 0, 2}, []byte("ch"),
		[]byte{0, 0, 0, 16, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xb},
		[]byte{0, 0, 0, 16, 0xc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xd},
		[]byte{0, 0, 0, 3, 1, 2, 3})
	if got := c.Message(record.ParticipantID{0xc, 15: 0xd}); !bytes.Equal(got, want) {
		t.Errorf("message\n%x, want\n%x", got, want)
	}
}

func TestALoginIsRefused(t *testing.T) {
	const unsigned, unknown = "is not signed with the key", "knows no such participant"
	for name, test := range map[string]struct {
		know func(*world, *person)             // what the index knows by now
		sign func(*reading.Challenge, *person) // what the doctor signs instead
		send func(*reading.Login, *world)      // what is sent instead
		says string
	}{
		"another channel":         {sign: func(c *reading.Challenge, _ *person) { c.Channel = "other" }, says: unsigned},
		"another appliance":       {sign: func(c *reading.Challenge, _ *person) { c.Appliance[9]++ }, says: unsigned},
		"another challenge":       {sign: func(c *reading.Challenge, _ *person) { c.Nonce = make([]byte, 32) }, says: unsigned},
		"another participant":     {sign: func(_ *reading.Challenge, p *person) { p.ID[15]++ }, says: unsigned},
		"another's key":           {sign: func(_ *reading.Challenge, p *person) { p.rotate() }, says: unsigned},
		"no signature":            {send: func(l *reading.Login, _ *world) { l.Signature = nil }, says: unsigned},
		"a damaged signature":     {send: func(l *reading.Login, _ *world) { l.Signature[20] ^= 1 }, says: unsigned},
		"in the name of another":  {send: func(l *reading.Login, w *world) { l.Reader = w.join(south, 2, record.DoctorRole).ID }, says: unsigned},
		"of nobody":               {send: func(l *reading.Login, _ *world) { l.Reader = record.ParticipantID{9} }, says: unknown},
		"of no ID":                {send: func(l *reading.Login, _ *world) { l.Reader = record.ParticipantID{} }, says: unknown},
		"a challenge of no one's": {send: func(l *reading.Login, _ *world) { l.Nonce = make([]byte, 32) }, says: "not one of ours"},
		"a short challenge":       {send: func(l *reading.Login, _ *world) { l.Nonce = l.Nonce[:31] }, says: "not one of ours"},
		"no challenge":            {send: func(l *reading.Login, _ *world) { l.Nonce = nil }, says: "not one of ours"},
		"suspended":               {know: func(_ *world, p *person) { p.Status = record.Suspended }, says: "the participant is suspended"},
		"not joined yet":          {know: func(_ *world, p *person) { p.Status = record.Invited }, says: "the participant is invited"},
		"a key that is not bound": {know: func(_ *world, p *person) { p.Key[0]++ }, says: unsigned},
		"a key of another member": {know: func(_ *world, p *person) { p.MSPID = north }, says: unsigned},
		"a key that was replaced": {
			know: func(_ *world, p *person) {
				old := *p
				p.rotate() // the ledger has the new key, and the old one signs
				p.key = old.key
			},
			says: "was the key replaced?",
		},
		"a key of another kind": {
			know: func(_ *world, p *person) {
				public, _ := must2(ed25519.GenerateKey(nil))
				p.SigningKey = must(x509.MarshalPKIXPublicKey(public))
				p.Key = record.FingerprintOf(p.MSPID, p.SigningKey)
			},
			says: unsigned,
		},
		"no key at all": {
			know: func(_ *world, p *person) { p.SigningKey, p.Key = nil, record.FingerprintOf(p.MSPID, nil) },
			says: unsigned,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t)
			doctor := w.doctor()
			if test.know != nil {
				test.know(w, doctor)
				w.know(doctor)
			}
			c := w.challenge()
			signed, signer := c, *doctor
			if test.sign != nil {
				test.sign(&signed, &signer)
			}
			l := reading.Login{Nonce: c.Nonce, Reader: doctor.ID, Signature: must(signer.Sign(signed.Message(signer.ID)))}
			if test.send != nil {
				test.send(&l, w)
			}
			f := answer[reading.Failure](t, w.raw(http.MethodPost, "/v1/sessions", "", l), http.StatusUnauthorized)
			if !strings.Contains(f.Error, test.says) {
				t.Errorf("refused with %q, want %q", f.Error, test.says)
			}
		})
	}
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

// Who overhears a login cannot repeat it; and who failed has to ask for another challenge.
func TestAChallengeIsGoodForOneLogin(t *testing.T) {
	w := serve(t)
	doctor := w.doctor()
	c := w.challenge()
	answer[reading.Session](t, w.login(doctor, c), http.StatusOK)
	answer[reading.Failure](t, w.login(doctor, c), http.StatusUnauthorized)

	c = w.challenge()
	stranger := *doctor
	stranger.rotate()
	answer[reading.Failure](t, w.login(&stranger, c), http.StatusUnauthorized)
	answer[reading.Failure](t, w.login(doctor, c), http.StatusUnauthorized)
}

func TestAChallengeIsGoodForTwoMinutes(t *testing.T) {
	w := serve(t)
	doctor := w.doctor()
	c, late := w.challenge(), w.challenge()
	w.pass(2 * time.Minute)
	answer[reading.Session](t, w.login(doctor, c), http.StatusOK)
	w.pass(time.Second)
	answer[reading.Failure](t, w.login(doctor, late), http.StatusUnauthorized)
}

// Nobody fills the memory of the appliance with challenges that they do not answer, nor with a body that never ends.
func TestStrangersTakeLittleMemory(t *testing.T) {
	w := newWorld(t)
	handler := w.server.Handler()
	post := func(path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		a := httptest.NewRecorder()
		handler.ServeHTTP(a, r)
		return a
	}
	for range 4096 {
		if a := post("/v1/challenges", ""); a.Code != http.StatusOK {
			t.Fatalf("%d: %s", a.Code, a.Body)
		}
	}
	if a := post("/v1/challenges", ""); a.Code == http.StatusOK || !strings.Contains(a.Body.String(), "try again in a minute") {
		t.Errorf("the 4,097th challenge: %d, %s", a.Code, a.Body)
	}
	w.pass(2*time.Minute + time.Second)
	if a := post("/v1/challenges", ""); a.Code != http.StatusOK {
		t.Errorf("once the others are too old: %d, %s", a.Code, a.Body)
	}
	read := &counted{Reader: strings.NewReader(`{"nonce":"` + strings.Repeat("A", 8<<20) + `"}`)}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/sessions", read)
	a := httptest.NewRecorder()
	handler.ServeHTTP(a, r)
	if a.Code != http.StatusBadRequest || read.n > 1<<20 {
		t.Errorf("a login of 8 MiB: %d, and %d bytes were read", a.Code, read.n)
	}
}

type counted struct {
	*strings.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func TestTooManySessionsAreRefusedUntilSomeAreOver(t *testing.T) {
	w := newWorld(t)
	doctor := w.doctor()
	handler := w.server.Handler()
	post := func(path, body string) *httptest.ResponseRecorder {
		a := httptest.NewRecorder()
		handler.ServeHTTP(a, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body)))
		return a
	}
	login := func() int {
		c := decoded[reading.Challenge](post("/v1/challenges", "").Body.Bytes())
		return post("/v1/sessions", encoded(reading.Login{
			Nonce: c.Nonce, Reader: doctor.ID, Signature: must(doctor.Sign(c.Message(doctor.ID))),
		})).Code
	}
	for range 4096 {
		if code := login(); code != http.StatusOK {
			t.Fatal(code)
		}
	}
	if code := login(); code == http.StatusOK {
		t.Error("the 4,097th session is begun")
	}
	w.pass(15*time.Minute + time.Second)
	if code := login(); code != http.StatusOK {
		t.Errorf("once the others are over: %d", code)
	}
}

// listing asks for something with a token, and gives the status: 404 if the session is good.
func (w *world) listing(token string) int {
	w.t.Helper()
	return w.get(token, 1).StatusCode
}

func TestASessionEndsWhenItIsIdle(t *testing.T) {
	w := serve(t)
	w.change(func() { w.latest = time.Time{} })
	doctor := w.doctor()
	used, idle := w.token(doctor), w.token(doctor)
	for range 3 {
		w.pass(14 * time.Minute)
		if code := w.listing(used); code != http.StatusNotFound {
			t.Fatalf("a session that is used: %d", code)
		}
	}
	if code := w.listing(idle); code != http.StatusUnauthorized {
		t.Errorf("a session that is idle: %d", code)
	}
	w.pass(15 * time.Minute)
	if code := w.listing(used); code != http.StatusNotFound {
		t.Errorf("idle for 15 minutes: %d", code)
	}
	w.pass(15*time.Minute + time.Second)
	for range 2 {
		if code := w.listing(used); code != http.StatusUnauthorized {
			t.Errorf("idle for longer: %d", code)
		}
	}
}

func TestASessionEndsAfterAWorkingDay(t *testing.T) {
	w := serve(t)
	w.change(func() { w.latest = time.Time{} })
	token := w.token(w.doctor())
	for range 8 * 6 {
		w.pass(10 * time.Minute)
		if code := w.listing(token); code != http.StatusNotFound {
			t.Fatalf("after %s: %d", w.clock().Sub(noon()), code)
		}
	}
	w.pass(time.Second)
	if code := w.listing(token); code != http.StatusUnauthorized {
		t.Errorf("after more than 8 hours: %d", code)
	}
}

func TestWhoLogsOutIsLoggedOut(t *testing.T) {
	w := serve(t)
	doctor := w.doctor()
	token, other := w.token(doctor), w.token(doctor)
	answer[any](t, w.raw(http.MethodDelete, "/v1/sessions", token, nil), http.StatusOK)
	if code := w.listing(token); code != http.StatusUnauthorized {
		t.Errorf("after the log-out: %d", code)
	}
	if code := w.listing(other); code != http.StatusNotFound {
		t.Errorf("the other session: %d", code)
	}
}

func TestOnlyATokenOpensADoor(t *testing.T) {
	w := serve(t)
	token := w.token(w.doctor())
	for name, header := range map[string]string{
		"none": "", "another": "Bearer " + strings.Repeat("ab", 32), "short": "Bearer " + token[:62], "long": "Bearer " + token + "00",
		"no scheme": token, "another scheme": "Basic " + token, "not hexadecimal": "Bearer " + strings.Repeat("z", 64),
	} {
		for _, request := range []struct{ method, path string }{
			{http.MethodPost, "/v1/readings"},
			{http.MethodGet, place(here(), 1)},
			{http.MethodHead, place(here(), 1)},
			{http.MethodDelete, "/v1/sessions"},
		} {
			if a := w.raw(request.method, request.path, "", nil, [2]string{"Authorization", header}); a.StatusCode != http.StatusUnauthorized {
				t.Errorf("token %s: %s %s: %s", name, request.method, request.path, a.Status)
			}
		}
	}
	if code := w.listing(token); code != http.StatusNotFound {
		t.Errorf("with the token: %d", code)
	}
}

// A key is replaced because somebody else may have the old one: the sessions that it began end with it.
func TestASessionEndsWhenItsKeyIsReplaced(t *testing.T) {
	w := serve(t)
	doctor := w.doctor()
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 1<<20))
	c := w.dial(doctor)
	if _, err := c.Open(t.Context(), reading.OpenRequest{RecordName: here()}); err != nil {
		t.Fatal(err)
	}
	content, err := c.Document(t.Context(), here(), tag(1), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	doctor.rotate()
	w.know(doctor)
	_, err = c.Open(t.Context(), reading.OpenRequest{RecordName: here()})
	wantError(t, err, reading.ErrLogin, "the participant's key was replaced: log in again")
	_, err = c.Document(t.Context(), here(), tag(1), 0)
	wantError(t, err, reading.ErrLogin, "log in again")
	if _, err := w.dial(doctor).Open(t.Context(), reading.OpenRequest{RecordName: here()}); err != nil {
		t.Errorf("with the new key: %v", err)
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	w := serve(t)
	token := w.token(w.doctor())
	digest := sha256.Sum256(nil)
	for _, path := range []string{"/v1/readings/x/y/z", place(here(), 1)[:40], "/v1/readings/" + hex.EncodeToString(digest[:])} {
		if a := w.raw(http.MethodGet, path, token, nil); a.StatusCode != http.StatusBadRequest && a.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s", path, a.Status)
		}
	}
	for _, body := range []any{"x", 7, []int{1}} {
		answer[reading.Failure](t, w.raw(http.MethodPost, "/v1/readings", token, body), http.StatusBadRequest)
		answer[reading.Failure](t, w.raw(http.MethodPost, "/v1/sessions", "", body), http.StatusBadRequest)
	}
}

// A client that goes away while its session ends harms nobody.
func TestAClosedClientCannotRead(t *testing.T) {
	w := serve(t)
	c := w.dial(w.doctor())
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := c.Open(t.Context(), reading.OpenRequest{RecordName: here()})
	wantError(t, err, reading.ErrLogin, "log in again")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Close(ended); err == nil {
		t.Error("nothing was asked, and it is said to be done")
	}
}
