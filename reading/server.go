package reading

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// The bounds of a request's body, in bytes.
const (
	maxLogin = 16 << 10 // of who may be anybody
	maxOpen  = 64 << 20 // the keys of a large study
)

// Options are what a Server works with. All are required but Now, Patience and Served.
type Options struct {
	Institution record.InstitutionPrefix // this hospital's
	Appliance   record.ParticipantID     // this one
	Channel     string
	Ledger      Ledger
	Index       Index
	Content     Content
	Journal     Journal
	Log         *slog.Logger
	// Patience bounds each question to the ledger; 5 seconds if zero.
	Patience time.Duration
	// Now is the hospital's own clock; time.Now if unset.
	Now func() time.Time
	// Served, if set, is called with the outcome of each attempt to open a record: "allowed", "emergency" or why not.
	Served func(outcome string)
}

// Server serves readings. Make it with New.
type Server struct {
	Options
	desk *desk
}

// New makes a Server.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	if o.Served == nil {
		o.Served = func(string) {}
	}
	return &Server{Options: o, desk: newDesk(o.Appliance, o.Channel, o.Now)}
}

// Session answers a login.
type Session struct {
	Token string `json:"token"`
}

// OpenRequest asks for a record.
type OpenRequest struct {
	record.RecordName
	// Keys are those that custodians released to the reader, where the record is another hospital's.
	Keys []ReleasedKey `json:"keys,omitempty"`
	// Emergency is given while the ledger is away.
	Emergency *document.Emergency `json:"emergency,omitempty"`
}

// Opened is a record that is open.
type Opened struct {
	record.RecordName
	Basis     record.Basis   `json:"basis"`
	Until     time.Time      `json:"until,omitzero"` // zero: until something changes
	Emergency record.ID      `json:"emergency,omitzero"`
	Documents []DocumentInfo `json:"documents"`
	// Missing counts documents of the record that cannot be opened yet: their keys are on their way, or they were erased.
	Missing int `json:"missing,omitempty"`
}

// DocumentInfo is a document of an open record. Personal data.
type DocumentInfo struct {
	Tag record.Tag `json:"tag"`
	document.Description
}

// Handler serves HTTP:
//
//	POST   /v1/challenges                          Challenge
//	POST   /v1/sessions       Login                Session
//	DELETE /v1/sessions                            ends the session
//	POST   /v1/readings       OpenRequest          Opened
//	GET    /v1/readings/PATIENT/RECORD/DOCUMENT    the content; byte ranges by RFC 9110
//
// All but the first two want "Authorization: Bearer TOKEN". Errors are a Failure.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/challenges", func(w http.ResponseWriter, _ *http.Request) {
		c, err := s.desk.ask()
		answer(w, c, err)
	})
	mux.HandleFunc("POST /v1/sessions", func(w http.ResponseWriter, r *http.Request) {
		session, err := s.login(w, r)
		answer(w, session, err)
	})
	mux.HandleFunc("DELETE /v1/sessions", s.as(func(w http.ResponseWriter, r *http.Request, _ *session) error {
		t, _ := bearer(r)
		s.desk.end(t)
		answer(w, nil, nil)
		return nil
	}))
	mux.HandleFunc("POST /v1/readings", s.as(func(w http.ResponseWriter, r *http.Request, who *session) error {
		opened, err := s.serveOpen(w, r, who)
		if err == nil {
			answer(w, opened, nil)
		}
		return err
	}))
	mux.HandleFunc("GET /v1/readings/{patient}/{record}/{document}", s.as(s.serveDocument))
	return mux
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) (Session, error) {
	var l Login
	if err := decode(w, r, &l, maxLogin); err != nil {
		return Session{}, err
	}
	reader, _, err := s.Index.Participant(l.Reader)
	if err != nil {
		return Session{}, err
	}
	t, err := s.desk.login(l, reader)
	return Session{Token: hex.EncodeToString(t[:])}, err
}

// as serves a request of a reader who is logged in.
func (s *Server) as(serve func(http.ResponseWriter, *http.Request, *session) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t, err := bearer(r)
		var who *session
		if err == nil {
			who, err = s.desk.session(t)
		}
		if err == nil {
			err = s.checkKey(who)
		}
		if err == nil {
			err = serve(w, r, who)
		}
		if err != nil {
			answer(w, nil, err)
		}
	}
}

func bearer(r *http.Request) (t token, err error) {
	text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	raw, err := hex.DecodeString(text)
	if !ok || err != nil || copy(t[:], raw) != len(t) || len(raw) != len(t) {
		return t, fmt.Errorf("%w: log in, and send the session's token", ErrLogin)
	}
	return t, nil
}

func (s *Server) serveOpen(w http.ResponseWriter, r *http.Request, who *session) (Opened, error) {
	var q OpenRequest
	if err := decode(w, r, &q, maxOpen); err != nil {
		return Opened{}, err
	}
	if err := q.Validate(); err != nil {
		return Opened{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	opened, err := s.open(r.Context(), who, q)
	s.Served(outcome(opened, err))
	if err != nil {
		return Opened{}, err
	}
	return opened.describe(), nil
}

func outcome(r *reading, err error) string {
	for sentinel, name := range map[error]string{
		ErrDenied: "denied", ErrAway: "ledger-away", ErrUnavailable: "unavailable", ErrNotFound: "not-found",
		ErrBadRequest: "bad-request",
	} {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	switch {
	case err != nil:
		return "error"
	case r.emergency != nil:
		return "emergency"
	}
	return "allowed"
}

// describe tells the reader what is open.
func (r *reading) describe() Opened {
	r.mu.Lock()
	defer r.mu.Unlock()
	o := Opened{RecordName: r.name, Missing: r.missing}
	if r.emergency != nil {
		o.Basis, o.Emergency = record.BasisBreakGlass, r.emergency.ID
		o.Until = r.emergency.Time.Add(record.BreakGlassTime)
	}
	for _, s := range r.sights {
		if s.access.Allowed {
			o.Basis = s.access.Basis
			o.Until = record.Earlier(o.Until, s.access.Until)
		}
	}
	for _, tag := range r.order {
		o.Documents = append(o.Documents, DocumentInfo{tag, r.documents[tag].Description})
	}
	return o
}

func (s *Server) serveDocument(w http.ResponseWriter, r *http.Request, who *session) error {
	name, tag, err := parsePath(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	open := s.desk.readings(who, name)
	if open == nil {
		return fmt.Errorf("%w: open the record first", ErrNotFound)
	}
	ctx := r.Context()
	check := func() error { return s.check(ctx, who, open) }
	if err := check(); err != nil {
		return err
	}
	d, err := open.document(tag)
	if err != nil {
		return err
	}
	plain, err := d.Open(r.Context())
	if err != nil {
		return fmt.Errorf("open document: %w", err)
	}
	defer plain.Close()
	return s.send(w, r, newGuarded(plain, d, check), contentType(d.Metadata.Format))
}

func parsePath(r *http.Request) (name record.RecordName, tag record.Tag, err error) {
	if name.Patient, err = record.ParseReference(r.PathValue("patient")); err != nil {
		return name, tag, err
	}
	if name.Record, err = record.ParseTag(r.PathValue("record")); err != nil {
		return name, tag, err
	}
	tag, err = record.ParseTag(r.PathValue("document"))
	return name, tag, err
}

func decode(w http.ResponseWriter, r *http.Request, v any, most int64) error {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, most)).Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	return nil
}

// Failure is the body of an answer that is an error.
type Failure struct {
	Error string `json:"error"`
}

func answer(w http.ResponseWriter, value any, err error) {
	status := http.StatusOK
	body, encodeErr := json.Marshal(value)
	if err := errors.Join(err, encodeErr); err != nil {
		status = statusOf(err)
		body, _ = json.Marshal(Failure{err.Error()}) // a string always encodes
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone hears nothing
}

// sentinels are the errors that keep their meaning across HTTP, by status.
func sentinels() map[int]error {
	return map[int]error{
		http.StatusUnauthorized:       ErrLogin,
		http.StatusForbidden:          ErrDenied,
		http.StatusNotFound:           ErrNotFound,
		http.StatusBadRequest:         ErrBadRequest,
		http.StatusServiceUnavailable: ErrAway,
		http.StatusBadGateway:         ErrUnavailable,
	}
}

func statusOf(err error) int {
	for status, sentinel := range sentinels() {
		if errors.Is(err, sentinel) {
			return status
		}
	}
	return http.StatusInternalServerError
}
