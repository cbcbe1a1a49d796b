package reading_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/reading"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The members of the channel. The reading service under test is North's.
const (
	north   = "NorthMSP"
	south   = "SouthMSP"
	channel = "medanchor"
)

var errInjected = errors.New("injected")

func prefix(mspID string) record.InstitutionPrefix { return record.InstitutionID(mspID).Institution() }

// world is North's appliance around its reading service, in memory, with faults to inject.
type world struct {
	t      *testing.T
	url    string
	server *reading.Server

	mu      sync.Mutex
	serving int        // requests
	served  *sync.Cond // that there is one less of them
	now     time.Time
	events  []string // what was asked of the world, in its order

	people    map[record.ParticipantID]record.Participant
	versions  map[record.RecordName][]record.AnchoredVersion
	status    map[record.RecordName]record.RecordStatus
	payloads  map[record.Tag][]reading.Payload
	relations map[record.ParticipantID]record.Relation // of whatever patient
	latest    time.Time

	access   map[record.Kind]record.Access // the contract's decision
	away     bool                          // the ledger
	attempts [][]record.AccessAttempt
	checks   int
	deciding func()        // while Access decides, after it did
	came     chan struct{} // if set, is told of each request to open a record
	late     func(document.Emergency) error

	held     map[record.Tag]reading.Document
	remote   map[reading.Payload]func(key [16]byte, size int64) (reading.Plain, error)
	kept     []document.Emergency
	broken   error // of the journal
	outcomes []string
}

// noon is when a test begins.
func noon() time.Time { return time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC) }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, now: noon(), latest: noon(),
		people: make(map[record.ParticipantID]record.Participant), versions: make(map[record.RecordName][]record.AnchoredVersion),
		status: make(map[record.RecordName]record.RecordStatus), payloads: make(map[record.Tag][]reading.Payload),
		relations: make(map[record.ParticipantID]record.Relation),
		access:    make(map[record.Kind]record.Access), held: make(map[record.Tag]reading.Document),
		remote: make(map[reading.Payload]func([16]byte, int64) (reading.Plain, error)),
	}
	w.served = sync.NewCond(&w.mu)
	for kind := record.KindImaging; kind <= record.KindOther; kind++ {
		w.access[kind] = allowed()
	}
	w.server = reading.New(reading.Options{
		Institution: prefix(north), Appliance: applianceID(), Channel: channel, Ledger: w, Index: w, Content: w, Journal: w,
		Log: slog.New(slog.DiscardHandler), Patience: time.Second, Now: w.clock,
		Served: func(outcome string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.outcomes = append(w.outcomes, outcome)
		},
	})
	return w
}

// serve has the service listen, as long as the test runs.
func serve(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	listener := httptest.NewServer(w.following(w.server.Handler()))
	t.Cleanup(listener.Close)
	w.url = listener.URL
	return w
}

// following serves, and knows while it does.
func (w *world) following(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		w.change(func() { w.serving++ })
		defer w.change(func() {
			w.serving--
			w.served.Broadcast()
		})
		handler.ServeHTTP(a, r)
	})
}

func applianceID() record.ParticipantID { return record.NewParticipantID(north, [10]byte{0xaa}) }

func allowed() record.Access {
	return record.Access{Allowed: true, Basis: record.BasisGrant, Grant: record.ID{5}}
}

func denied(why record.Denial) record.Access { return record.Access{Reason: why} }

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// change changes the world, while the service may look at it.
func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) happened(format string, args ...any) {
	w.events = append(w.events, fmt.Sprintf(format, args...))
}

// told gives what happened, and forgets it. What is being served is waited for.
func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.serving > 0 {
		w.served.Wait()
	}
	told := w.events
	w.events = nil
	return told
}

// person is somebody with a key.
type person struct {
	record.Participant
	key *ecdsa.PrivateKey
}

// Sign implements reading.Reader.
func (p *person) Sign(message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return ecdsa.SignASN1(rand.Reader, p.key, digest[:])
}

// rotate gives a person another key.
func (p *person) rotate() {
	p.key = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p.SigningKey = must(x509.MarshalPKIXPublicKey(p.key.Public()))
	p.Key = record.FingerprintOf(p.MSPID, p.SigningKey)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// join makes a person known to the ledger.
func (w *world) join(mspID string, n byte, role record.Role) *person {
	p := &person{Participant: record.Participant{
		V: record.SchemaVersion, ID: record.NewParticipantID(mspID, [10]byte{n}), Role: role, MSPID: mspID, Status: record.Active,
	}}
	p.rotate()
	w.know(p)
	return p
}

// know has the index know a person as they are now.
func (w *world) know(p *person) { w.change(func() { w.people[p.ID] = p.Participant }) }

func (w *world) doctor() *person { return w.join(south, 1, record.DoctorRole) }

// dial logs somebody in.
func (w *world) dial(p *person) *reading.Client {
	w.t.Helper()
	c, err := reading.Dial(w.t.Context(), w.options(p))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = c.Close(context.WithoutCancel(w.t.Context())) // the test may have closed it, or let it expire
	})
	return c
}

func (w *world) options(p *person) reading.DialOptions {
	return reading.DialOptions{URL: w.url, Institution: prefix(north), Channel: channel, ID: p.ID, Reader: p}
}

// here is a record of North's patient, and elsewhere one of South's.
func here() record.RecordName {
	return record.RecordName{Patient: record.NewReference(north, [10]byte{1}), Record: record.Tag{0xee, 1}}
}

func elsewhere() record.RecordName {
	return record.RecordName{Patient: record.NewReference(south, [10]byte{1}), Record: record.Tag{0xee, 2}}
}

// anchor has a version of a record stand on the channel, as the institution that has the patient anchored it.
func (w *world) anchor(name record.RecordName, kind record.Kind, documents ...byte) {
	v := record.AnchoredVersion{Version: record.Version{Patient: name.Patient, Record: name.Record, Kind: kind}}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range documents {
		v.Documents = append(v.Documents, record.Document{Tag: tag(n)})
		w.payloads[tag(n)] = append(w.payloads[tag(n)], reading.Payload{Institution: name.Patient.Institution(), CID: cid(n)})
	}
	w.versions[name] = append(w.versions[name], v)
}

func tag(n byte) record.Tag { return record.Tag{0xdd, n} }
func cid(n byte) record.CID { return record.CID{0x55, n} }

// text is a document's content: no two places of it are alike.
func text(n byte, size int) []byte {
	b := make([]byte, 0, size+8)
	for i := 0; len(b) < size; i += 8 {
		b = append(b, fmt.Sprintf("%c%07x", 'A'+n%26, i)...)
	}
	return b[:size]
}

// described is what the custodian tells of a content.
func described(content []byte, format document.Format) document.Description {
	return document.Description{
		Size: int64(len(content)), Digest: sha256.Sum256(content), Metadata: document.Metadata{Format: format},
	}
}

// hold has North hold a document.
func (w *world) hold(n byte, content []byte) {
	w.holdAs(n, described(content, document.FormatText), func() (reading.Plain, error) { return w.plain(n, content), nil })
}

// holdAs has North hold a document with a description of one's own, which opens in a way of one's own.
func (w *world) holdAs(n byte, d document.Description, open func() (reading.Plain, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held[tag(n)] = reading.Document{
		Description: d,
		Open: func(context.Context) (reading.Plain, error) {
			w.mu.Lock()
			w.happened("open %d", n)
			w.mu.Unlock()
			return open()
		},
		Verify: func(digest document.Digest) bool { return digest == d.Digest },
	}
}

// publish has another hospital give a payload to who has its file key, and gives what a custodian released of it.
func (w *world) publish(mspID string, n byte, content []byte) reading.ReleasedKey {
	at, key := reading.Payload{Institution: prefix(mspID), CID: cid(n)}, [16]byte{0xff, n}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.payloads[tag(n)], at) {
		w.payloads[tag(n)] = append(w.payloads[tag(n)], at)
	}
	w.remote[at] = func(given [16]byte, size int64) (reading.Plain, error) {
		if given != key || size != int64(len(content)) {
			return nil, fmt.Errorf("%w: it does not open", reading.ErrUnavailable)
		}
		return w.plain(n, content), nil
	}
	return reading.ReleasedKey{
		Tag: tag(n), Institution: at.Institution, CID: at.CID, FileKey: bytes.Clone(key[:]), Description: described(content, document.FormatPDF),
	}
}

// plain is a content that tells when it is read.
func (w *world) plain(n byte, content []byte) *plain { return &plain{w: w, n: n, content: content} }

type plain struct {
	w       *world
	n       byte
	content []byte
	// fails, if set, may fail a read of these bytes.
	fails func(from, to int64) error
	// sound are the first bytes that can be read, if broken is set: the error behind them.
	sound  int64
	broken error

	mu      sync.Mutex
	reading bool
}

// ReadAt implements io.ReaderAt.
func (p *plain) ReadAt(b []byte, off int64) (int, error) {
	p.begin("read %d")
	defer p.end()
	if p.fails != nil {
		if err := p.fails(off, off+int64(len(b))); err != nil {
			return 0, err
		}
	}
	if p.broken != nil && off+int64(len(b)) > p.sound {
		return copy(b, p.content[min(off, p.sound):p.sound]), p.broken
	}
	return bytes.NewReader(p.content).ReadAt(b, off)
}

// begin and end see to it that nobody reads what is read or closed.
func (p *plain) begin(event string) {
	p.mu.Lock()
	busy := p.reading
	p.reading = true
	p.mu.Unlock()
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if busy {
		p.w.t.Errorf("document %d is used by two at once", p.n)
	}
	p.w.happened(event, p.n)
}

func (p *plain) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = false
}

// Size implements reading.Plain.
func (p *plain) Size() int64 { return int64(len(p.content)) }

// Close implements reading.Plain.
func (p *plain) Close() error {
	p.begin("close %d")
	p.end()
	return nil
}

// What follows is reading.Ledger.

func (w *world) Access(ctx context.Context, attempts []record.AccessAttempt) (accesses []record.Access, err error) {
	w.mu.Lock()
	w.happened("access")
	if w.away {
		w.mu.Unlock()
		return nil, fmt.Errorf("%w: connection refused", reading.ErrAway)
	}
	w.attempts = append(w.attempts, attempts)
	for _, a := range attempts {
		accesses = append(accesses, w.decide(record.RecordName{Patient: a.Patient, Record: a.Record}, a.Version))
	}
	deciding := w.deciding
	w.mu.Unlock()
	if deciding != nil {
		deciding()
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", reading.ErrAway, err)
	}
	w.change(func() { w.happened("accessed") })
	return accesses, nil
}

// decide decides by the kind of the version that is named.
func (w *world) decide(name record.RecordName, version record.Tag) record.Access {
	for _, v := range w.versions[name] {
		if v.Name() == version {
			return w.access[v.Kind]
		}
	}
	return denied(record.DeniedNoBasis)
}

func (w *world) CheckAccess(_ context.Context, _ record.ParticipantID, name record.RecordName, version record.Tag,
) (record.Access, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checks++
	if w.away {
		return record.Access{}, fmt.Errorf("%w: connection refused", reading.ErrAway)
	}
	return w.decide(name, version), nil
}

func (w *world) LateEmergency(_ context.Context, e document.Emergency) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.happened("late %d", e.ID[0])
	if w.away {
		return reading.ErrAway
	}
	if w.late != nil {
		return w.late(e)
	}
	return nil
}

// What follows is reading.Index.

func (w *world) Participant(id record.ParticipantID) (record.Participant, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, found := w.people[id]
	return p, found, nil
}

func (w *world) Versions(name record.RecordName) ([]record.AnchoredVersion, error) {
	if w.came != nil {
		w.came <- struct{}{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.versions[name]), nil
}

func (w *world) Status(name record.RecordName) (record.RecordStatus, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status[name], nil
}

func (w *world) Payloads(tag record.Tag) ([]reading.Payload, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.payloads[tag]), nil
}

func (w *world) Relation(_ record.Reference, participant record.ParticipantID) (record.Relation, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.relations[participant], nil
}

func (w *world) LedgerTime() (time.Time, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latest, nil
}

// What follows is reading.Content.

func (w *world) Held(_ context.Context, tag record.Tag) (reading.Document, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.happened("look for %d", tag[1])
	d, found := w.held[tag]
	return d, found, nil
}

func (w *world) Remote(_ context.Context, p reading.Payload, key [16]byte, size int64) (reading.Plain, error) {
	w.mu.Lock()
	w.happened("fetch %d", p.CID[1])
	open := w.remote[p]
	w.mu.Unlock()
	if open == nil {
		return nil, fmt.Errorf("%w: nobody answers", reading.ErrUnavailable)
	}
	return open(key, size)
}

// What follows is reading.Journal.

func (w *world) AddEmergency(e document.Emergency) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.happened("journal %d", e.ID[0])
	if w.broken != nil {
		return w.broken
	}
	w.kept = append(w.kept, e)
	return nil
}

func (w *world) Emergencies() ([]document.Emergency, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.kept), w.broken
}

func (w *world) ForgetEmergency(id record.ID) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.happened("forget %d", id[0])
	w.kept = slices.DeleteFunc(w.kept, func(e document.Emergency) bool { return e.ID == id })
	return w.broken
}

// What follows talks to the service without a Client.

// reply is the answer to a request, as much as came of it.
type reply struct {
	*http.Response
	body  []byte
	broke error // off, before the end
}

// raw sends a request with a body as JSON.
func (w *world) raw(method, path, token string, body any, headers ...[2]string) reply {
	w.t.Helper()
	request := must(http.NewRequestWithContext(w.t.Context(), method, w.url+path, bytes.NewReader(must(json.Marshal(body)))))
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for _, h := range headers {
		request.Header.Set(h[0], h[1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return reply{Response: &http.Response{}, broke: err}
	}
	defer response.Body.Close()
	answered, err := io.ReadAll(response.Body)
	return reply{response, answered, err}
}

// get asks for a document of North's patient, whole or in part.
func (w *world) get(token string, n byte, ranges ...string) reply {
	w.t.Helper()
	var headers [][2]string
	for _, r := range ranges {
		headers = append(headers, [2]string{"Range", r})
	}
	return w.raw(http.MethodGet, place(here(), n), token, nil, headers...)
}

// answer reads a JSON answer of a status.
func answer[T any](t *testing.T, r reply, status int) (v T) {
	t.Helper()
	if r.broke != nil || r.StatusCode != status {
		t.Fatalf("%s: %s, %v, want %d", r.Status, r.body, r.broke, status)
	}
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("read answer %q: %v", r.body, err)
	}
	return v
}

// challenge asks for one.
func (w *world) challenge() reading.Challenge {
	w.t.Helper()
	return answer[reading.Challenge](w.t, w.raw(http.MethodPost, "/v1/challenges", "", nil), http.StatusOK)
}

// login answers a challenge, as the person says.
func (w *world) login(p *person, c reading.Challenge) reply {
	w.t.Helper()
	return w.raw(http.MethodPost, "/v1/sessions", "",
		reading.Login{Nonce: c.Nonce, Reader: p.ID, Signature: must(p.Sign(c.Message(p.ID)))})
}

// token logs somebody in.
func (w *world) token(p *person) string {
	w.t.Helper()
	return answer[reading.Session](w.t, w.login(p, w.challenge()), http.StatusOK).Token
}

// place is a document's path.
func place(name record.RecordName, n byte) string {
	return fmt.Sprintf("/v1/readings/%s/%s/%s", name.Patient, name.Record, tag(n))
}

// wantError wants an error of a kind, that says something.
func wantError(t *testing.T, err, kind error, says string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), says) {
		t.Errorf("error %v, want %q and %q in it", err, kind, says)
	}
}

// whole reads a document to its end.
func whole(ctx context.Context, c *reading.Client, name record.RecordName, n byte) ([]byte, error) {
	content, err := c.Document(ctx, name, tag(n), 0)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return io.ReadAll(content)
}

// counts counts what is alike.
func counts(events []string) map[string]int {
	n := make(map[string]int)
	for _, e := range events {
		n[e]++
	}
	return maps.Clone(n)
}

func decoded[T any](raw []byte) (v T) {
	if err := json.Unmarshal(raw, &v); err != nil {
		panic(err)
	}
	return v
}

func encoded(v any) string { return string(must(json.Marshal(v))) }

func digestOf(r io.Reader) document.Digest {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		panic(err)
	}
	return document.Digest(h.Sum(nil))
}
