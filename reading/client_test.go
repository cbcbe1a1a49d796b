package reading_test

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/reading"
)

// counting is a reader who counts what they sign.
type counting struct {
	reading.Reader
	signed int
}

func (c *counting) Sign(message []byte) ([]byte, error) {
	c.signed++
	return c.Reader.Sign(message)
}

// A signature for a stranger's appliance could be passed on.
func TestAClientSignsForTheExpectedApplianceOnly(t *testing.T) {
	for name, change := range map[string]func(*reading.DialOptions){
		"another hospital": func(o *reading.DialOptions) { o.Institution = prefix(south) },
		"no hospital":      func(o *reading.DialOptions) { o.Institution = record.InstitutionPrefix{} },
		"another channel":  func(o *reading.DialOptions) { o.Channel = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t)
			o, who := w.options(w.doctor()), &counting{}
			change(&o)
			who.Reader, o.Reader = o.Reader, who
			c, err := reading.Dial(t.Context(), o)
			if c != nil || err == nil || !strings.Contains(err.Error(), "is the appliance of another hospital or channel than your identity's") {
				t.Errorf("Dial: %v", err)
			}
			if who.signed != 0 {
				t.Error("it was signed")
			}
		})
	}
}

type failingReader struct{}

func (failingReader) Sign([]byte) ([]byte, error) { return nil, errInjected }

func TestAClientSaysWhyItIsNotLoggedIn(t *testing.T) {
	w := serve(t)
	doctor := w.doctor()
	o := w.options(doctor)
	o.Reader = failingReader{}
	if _, err := reading.Dial(t.Context(), o); !errors.Is(err, errInjected) || !strings.HasPrefix(err.Error(), "log in: ") {
		t.Errorf("Dial: %v", err)
	}
	doctor.Status = record.Suspended
	w.know(doctor)
	_, err := reading.Dial(t.Context(), w.options(doctor))
	wantError(t, err, reading.ErrLogin, "log in: not logged in: the participant is suspended: ask their institution")
	o = w.options(doctor)
	o.URL = "http://127.0.0.1:1"
	if _, err := reading.Dial(t.Context(), o); err == nil || errors.Is(err, reading.ErrLogin) {
		t.Errorf("Dial where nobody listens: %v", err)
	}
	o.URL = "://"
	if _, err := reading.Dial(t.Context(), o); err == nil {
		t.Error("Dial takes what is no URL")
	}
}

// Each error keeps what it means, and its text, over HTTP.
func TestErrorsKeepTheirMeaningOverHTTP(t *testing.T) {
	for status, kind := range map[int]error{
		http.StatusUnauthorized: reading.ErrLogin, http.StatusForbidden: reading.ErrDenied, http.StatusNotFound: reading.ErrNotFound,
		http.StatusBadRequest: reading.ErrBadRequest, http.StatusServiceUnavailable: reading.ErrAway,
		http.StatusBadGateway: reading.ErrUnavailable, http.StatusInternalServerError: nil,
	} {
		w, doctor := serve(t), (*person)(nil)
		doctor = w.doctor()
		c := w.dial(doctor)
		listener := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/readings" {
				a.WriteHeader(status)
				_, _ = a.Write([]byte(`{"error":"because"}`))
				return
			}
			w.server.Handler().ServeHTTP(a, r)
		}))
		defer listener.Close() //nolint:revive // a few
		o := w.options(doctor)
		o.URL = listener.URL + "/"
		fooled, err := reading.Dial(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = fooled.Open(t.Context(), reading.OpenRequest{RecordName: here()})
		if err == nil || err.Error() != "because" || kind != nil && !errors.Is(err, kind) {
			t.Errorf("%d: %v", status, err)
		}
		for _, other := range []error{
			reading.ErrLogin, reading.ErrDenied, reading.ErrNotFound, reading.ErrBadRequest, reading.ErrAway, reading.ErrUnavailable,
		} {
			if !errors.Is(other, kind) && errors.Is(err, other) {
				t.Errorf("%d is taken for %q", status, other)
			}
		}
		_ = fooled.Close(t.Context())
		_ = c.Close(t.Context())
	}
}

// What answers may be no appliance at all.
func TestAnAnswerOfSomethingElseIsAnError(t *testing.T) {
	for name, answers := range map[string]func(http.ResponseWriter){
		"a page":         func(a http.ResponseWriter) { _, _ = a.Write([]byte("<html>")) },
		"an error page":  func(a http.ResponseWriter) { http.Error(a, "<html>", http.StatusBadGateway) },
		"an empty error": func(a http.ResponseWriter) { http.Error(a, `{"error":""}`, http.StatusForbidden) },
		"nothing":        func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"a redirect":     func(a http.ResponseWriter) { a.WriteHeader(http.StatusFound) },
	} {
		t.Run(name, func(t *testing.T) {
			w := serve(t)
			listener := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, _ *http.Request) { answers(a) }))
			t.Cleanup(listener.Close)
			o := w.options(w.doctor())
			o.URL = listener.URL
			if c, err := reading.Dial(t.Context(), o); c != nil || err == nil || errors.Is(err, reading.ErrDenied) {
				t.Errorf("Dial: %v", err)
			}
		})
	}
}

// A content that is asked for from an offset on, and comes whole, would be taken for what it is not.
func TestAContentFromTheBeginningIsNotTakenForItsEnd(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 1000))
	listener := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		r.Header.Del("Range")
		w.server.Handler().ServeHTTP(a, r)
	}))
	t.Cleanup(listener.Close)
	w.url = listener.URL
	c := w.dial(w.doctor())
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	if body, err := c.Document(t.Context(), here(), tag(1), 500); err == nil {
		body.Close()
		t.Error("the whole is taken for a part")
	}
}

// What breaks off at the same place again and again is not asked for without end.
func TestAContentThatNeverComesIsGivenUp(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 1000))
	asked := 0
	listener := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.server.Handler().ServeHTTP(a, r)
			return
		}
		asked++
		if r.Header.Get("Range") == "" {
			a.Header().Set("Content-Length", "1000")
			_, _ = a.Write(text(1, 100))
		} else {
			a.WriteHeader(http.StatusPartialContent)
		}
		_ = http.NewResponseController(a).Flush() // it breaks, if it did not before
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(listener.Close)
	w.url = listener.URL
	c := w.dial(w.doctor())
	if _, err := open(t, c); err != nil {
		t.Fatal(err)
	}
	if got, err := whole(t.Context(), c, here(), 1); err == nil || len(got) != 100 || asked != 2 {
		t.Errorf("%d bytes, %v, asked for %d times", len(got), err, asked)
	}
}

func TestTLSIsVerified(t *testing.T) {
	w := newWorld(t)
	listener := httptest.NewUnstartedServer(w.following(w.server.Handler()))
	listener.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of the handshake that fails
	listener.StartTLS()
	t.Cleanup(listener.Close)
	w.url = listener.URL
	w.anchor(here(), record.KindLetter, 1)
	content := text(1, 100_000)
	w.hold(1, content)

	o := w.options(w.doctor())
	if _, err := reading.Dial(t.Context(), o); err == nil {
		t.Error("a certificate that nobody vouches for is taken")
	}
	o.Roots = x509.NewCertPool()
	o.Roots.AddCert(listener.Certificate())
	c, err := reading.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(t.Context(), reading.OpenRequest{RecordName: here()}); err != nil {
		t.Fatal(err)
	}
	if got, err := whole(t.Context(), c, here(), 1); err != nil || string(got) != string(content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Who gives up is not held.
func TestAClientHonoursItsContext(t *testing.T) {
	w := serve(t)
	w.anchor(here(), record.KindLetter, 1)
	w.hold(1, text(1, 1000))
	c := w.dial(w.doctor())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	release := make(chan struct{})
	w.deciding = func() { <-release }
	_, err := c.Open(ctx, reading.OpenRequest{RecordName: here()})
	close(release)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Open: %v", err)
	}
	w.told()
}
