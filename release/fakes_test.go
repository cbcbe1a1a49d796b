package release_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/release"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The members of the channel. The Releaser under test is North's.
const (
	north = "NorthMSP"
	south = "SouthMSP"
	east  = "EastMSP"
)

func prefix(mspID string) record.InstitutionPrefix { return record.InstitutionID(mspID).Institution() }

var errInjected = errors.New("injected")

// world is a channel, and the hospital North on it, in memory, with faults to inject. The contract's rules are those of the
// Ledger's comments, small: grants under the record's own reference, then approvals under a linked one.
type world struct {
	mu     sync.Mutex
	blocks [][]write
	state  map[string][]byte                               // what stands under each key
	sealed map[string]record.SealedRelease                 // the members' collection, by key of the release
	index  *index                                          // what North saw of the channel
	behind bool                                            // the index gets no blocks
	held   map[record.Tag]release.Held                     // what North holds
	copies map[record.Tag]place                            // which of that is a copy
	secret map[record.Reference][32]byte                   // of North's patients
	calls  []string                                        // what North's transactions did, in their order
	asked  int                                             // how often CheckAccess was
	fail   func(op string, who record.ParticipantID) error // before an operation is carried out; nil: never
	lose   func(op string) error                           // its answer, after it was carried out; nil: never
	void   func(record.Grant) bool                         // grants that give no right any more; nil: none
	keys   int                                             // that were released, less those taken back
	faulty error                                           // of the vault
	late   time.Duration                                   // how much the contract's clock is behind

	releaser *release.Releaser
	stop     func() error
}

// write is one write of a transaction; without a value it deletes the key.
type write struct {
	key   string
	value []byte
}

type place struct {
	patient record.Reference
	record  record.Tag
}

func newWorld() *world {
	w := &world{
		state: make(map[string][]byte), sealed: make(map[string]record.SealedRelease), index: newIndex(),
		held: make(map[record.Tag]release.Held), copies: make(map[record.Tag]place),
		secret: make(map[record.Reference][32]byte),
	}
	w.commit(nil) // block 0
	for _, mspID := range []string{north, south, east} {
		w.join(record.InstitutionID(mspID), record.InstitutionRole)
	}
	return w
}

// inWorld has a test play in a world where time passes at once, with the Releaser running.
func inWorld(t *testing.T, play func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.start()
		play(w)
		w.settle()
		if err := w.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if w.index.nested {
			t.Error("the index was read from within a read of it: with a writer in between, bbolt waits for ever")
		}
	})
}

// start runs a new Releaser on what there is, as a process does.
func (w *world) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r := release.New(release.Options{
		Institution: prefix(north), Ledger: w, Index: w.index, Vault: w, Log: slog.New(slog.DiscardHandler),
		Released: func(n int) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.keys += n
		},
	})
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.releaser = r
	w.stop = func() error {
		cancel()
		return <-done
	}
}

// restart ends the Releaser, wherever it is, and starts another.
func (w *world) restart(t *testing.T) {
	t.Helper()
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.settle()
}

// settle waits until there is nothing to do.
func (w *world) settle() {
	w.handOn()
	synctest.Wait()
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	w.handOn()
	time.Sleep(d)
	w.settle()
}

// handOn has the Releaser, which works on while the test waits, see what the test changed.
func (w *world) handOn() {
	w.mu.Lock()
	defer w.mu.Unlock()
}

// commit adds a block, and has the index see it.
func (w *world) commit(writes []write) (block uint64) {
	w.blocks = append(w.blocks, writes)
	for _, wr := range writes {
		if wr.value == nil {
			delete(w.state, wr.key)
			delete(w.sealed, wr.key)
			continue
		}
		w.state[wr.key] = wr.value
	}
	w.see()
	return uint64(len(w.blocks)) - 1
}

// see has the index catch up with the channel.
func (w *world) see() {
	if w.behind {
		return
	}
	w.index.apply(w.blocks)
	if w.releaser != nil {
		w.releaser.Kick()
	}
}

// put is somebody's transaction that writes values, JSON or packed. It returns when North has done what follows.
func (w *world) put(values map[string]any) {
	var writes []write
	for key, value := range values {
		raw, packed := value.([]byte)
		if !packed {
			raw = must(json.Marshal(value))
		}
		writes = append(writes, write{key, raw})
	}
	w.mu.Lock()
	w.commit(writes)
	w.mu.Unlock()
	w.settle()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// fallsBehind has the index get no more blocks, from an operation on.
func (w *world) fallsBehind(op string) {
	w.fail = func(what string, _ record.ParticipantID) error {
		w.behind = w.behind || what == op
		return nil
	}
}

// catchUp ends that the index is behind.
func (w *world) catchUp() {
	w.mu.Lock()
	w.behind, w.fail = false, nil
	w.see()
	w.mu.Unlock()
	w.settle()
}

// find reads a JSON value of the channel.
func find[T any](w *world, key string) (v T, found bool) {
	raw, found := w.state[key]
	if found {
		if err := json.Unmarshal(raw, &v); err != nil {
			panic(err)
		}
	}
	return v, found
}

func reference(mspID string, n byte) record.Reference { return record.NewReference(mspID, [10]byte{n}) }

// join makes a participant active, with an encryption key.
func (w *world) join(id record.ParticipantID, role record.Role) record.ParticipantID {
	w.put(map[string]any{record.ParticipantKey(id): record.Participant{
		V: record.SchemaVersion, ID: id, Role: role, Status: record.Active, EncryptionKey: []byte("first key of " + id.String()),
	}})
	return id
}

func (w *world) doctor(mspID string, n byte) record.ParticipantID {
	return w.join(record.NewParticipantID(mspID, [10]byte{n}), record.DoctorRole)
}

// change changes a participant.
func (w *world) change(id record.ParticipantID, f func(*record.Participant)) {
	p, _ := find[record.Participant](w, record.ParticipantKey(id))
	f(&p)
	w.put(map[string]any{record.ParticipantKey(id): p})
}

// patient registers a patient.
func (w *world) patient(mspID string, n byte) record.Reference {
	r := reference(mspID, n)
	w.put(map[string]any{record.PatientKey(r): record.Patient{V: record.SchemaVersion, Reference: r}})
	return r
}

// link links two references; unlink takes it back.
func (w *world) link(a, b record.Reference) {
	w.relink(a, b, func(links []record.PatientLink, to record.Reference) []record.PatientLink {
		return append(links, record.PatientLink{To: to})
	})
}

func (w *world) unlink(a, b record.Reference) {
	w.relink(a, b, func(links []record.PatientLink, to record.Reference) []record.PatientLink {
		return slices.DeleteFunc(links, func(l record.PatientLink) bool { return l.To == to })
	})
}

func (w *world) relink(a, b record.Reference, f func([]record.PatientLink, record.Reference) []record.PatientLink) {
	values := make(map[string]any)
	for _, pair := range [][2]record.Reference{{a, b}, {b, a}} {
		p, _ := find[record.Patient](w, record.PatientKey(pair[0]))
		p.Links = f(p.Links, pair[1])
		values[record.PatientKey(pair[0])] = p
	}
	w.put(values)
}

// all is the scope of everything.
func all() record.Scope { return record.Scope{All: true} }

// grant has a patient's approval, to read until it is revoked, stand on the channel; with changes.
func (w *world) grant(patient record.Reference, reader record.ParticipantID, scope record.Scope, changes ...func(*record.Grant)) record.ID {
	relation, found := find[record.Relation](w, record.RelationKey(patient, reader))
	if !found {
		relation = record.Relation{V: record.SchemaVersion, Patient: patient, Participant: reader}
	}
	g := record.Grant{
		ID: record.ID{byte(len(w.blocks) >> 8), byte(len(w.blocks)), 1}, Basis: record.BasisGrant, Mode: record.Read, Scope: scope,
		State: record.Approved,
	}
	for _, change := range changes {
		change(&g)
	}
	relation.Grants = append(relation.Grants, g)
	w.put(map[string]any{record.RelationKey(patient, reader): relation})
	return g.ID
}

// until has a grant end in a while.
func until(d time.Duration) func(*record.Grant) {
	return func(g *record.Grant) { g.Until = time.Now().Add(d).UTC().Truncate(time.Second) }
}

// revoke ends all grants between two.
func (w *world) revoke(patient record.Reference, reader record.ParticipantID) {
	relation, found := find[record.Relation](w, record.RelationKey(patient, reader))
	if !found {
		return
	}
	for i := range relation.Grants {
		relation.Grants[i].State = record.Revoked
	}
	w.put(map[string]any{record.RelationKey(patient, reader): relation})
}

// version is a version of a record, with documents that are numbered.
func version(patient record.Reference, rec byte, kind record.Kind, documents ...int) record.AnchoredVersion {
	v := record.AnchoredVersion{Version: record.Version{Patient: patient, Record: record.Tag{0xee, rec}, Kind: kind}}
	for _, n := range documents {
		v.Documents = append(v.Documents, record.Document{Tag: tag(n)})
	}
	return v
}

func tag(n int) record.Tag { return record.Tag{0xdd, byte(n >> 8), byte(n)} }

// fileKey is that of a document, as North holds it.
func fileKey(tag record.Tag) [16]byte { return [16]byte{0xff, tag[1], tag[2]} }

func holding(tag record.Tag) release.Held {
	return release.Held{
		CID: record.CID{0x55, tag[1], tag[2]}, FileKey: fileKey(tag), Metadata: json.RawMessage(fmt.Sprintf(`{"of":%q}`, tag)),
	}
}

// anchor has versions stand on the channel, whose documents North holds.
func (w *world) anchor(versions ...record.AnchoredVersion) {
	w.mu.Lock()
	for _, v := range versions {
		for _, d := range v.Documents {
			if _, there := w.held[d.Tag]; !there {
				w.held[d.Tag] = holding(d.Tag)
			}
		}
	}
	w.mu.Unlock()
	w.anchorElsewhere(versions...)
}

// anchorElsewhere has versions stand on the channel that North does not hold.
func (w *world) anchorElsewhere(versions ...record.AnchoredVersion) {
	values := make(map[string]any)
	for _, v := range versions {
		values[v.Key()] = v.Encode()
	}
	w.put(values)
}

// became writes what became of a record.
func (w *world) became(patient record.Reference, rec byte, f func(*record.RecordStatus)) {
	s := record.RecordStatus{V: record.SchemaVersion, Patient: patient, Record: record.Tag{0xee, rec}}
	f(&s)
	w.put(map[string]any{record.StatusKey(patient, s.Record): s})
}

// released is what is released now: to whom, and how often.
func (w *world) released() map[given]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	there := make(map[given]int)
	for key, value := range w.state {
		if !record.IsReleaseKey(key) {
			continue
		}
		patient, to, _ := must3(record.ParseReleaseKey(key))
		stored := must(record.DecodeRelease(value))
		p, _ := find[record.Participant](w, record.ParticipantKey(to))
		if stored.Key != record.KeyIDOf(p.EncryptionKey) {
			continue // nobody opens it
		}
		for _, v := range w.sealed[key].Versions {
			for _, d := range v.Documents {
				if held := holding(d.Tag); d.CID == held.CID && bytes.HasPrefix(d.SealedKey[:], held.FileKey[:]) {
					there[given{patient, to, v.Record, d.Tag}]++
				}
			}
		}
	}
	return there
}

func must3[A, B, C any](a A, b B, c C, err error) (A, B, C) {
	if err != nil {
		panic(err)
	}
	return a, b, c
}

// given is a document that is released to a reader.
type given struct {
	patient record.Reference
	to      record.ParticipantID
	record  record.Tag
	tag     record.Tag
}

func (g given) String() string { return fmt.Sprintf("%x/%x", g.to[6], g.tag[1:3]) }

// wantReleased says what is released to whom: documents by their numbers, each once.
func (w *world) wantReleased(t *testing.T, want map[record.ParticipantID][]int) {
	t.Helper()
	got := make(map[record.ParticipantID][]int)
	keys := 0
	for g, times := range w.released() {
		for range times {
			got[g.to] = append(got[g.to], int(g.tag[1])<<8|int(g.tag[2]))
			keys++
		}
	}
	for _, numbers := range got {
		slices.Sort(numbers)
	}
	if !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("released: %v, want %v; North did %v", got, want, w.calls)
	}
	if w.keys != keys {
		t.Errorf("%d keys are counted as released, and %d are", w.keys, keys)
	}
}

// wantCalls says what North did since the last time.
func (w *world) wantCalls(t *testing.T, want ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.calls, want) {
		t.Errorf("North did %q, want %q", w.calls, want)
	}
	w.calls = nil
}

// What follows is release.Ledger.

func (w *world) Height(context.Context) (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fails("height", record.ParticipantID{}); err != nil {
		return 0, err
	}
	return uint64(len(w.blocks)), nil
}

func (w *world) CheckAccess(_ context.Context, reader record.ParticipantID, name record.RecordName, version record.Tag,
) (record.Access, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if err := w.fails("check", reader); err != nil {
		return record.Access{}, err
	}
	key := record.VersionKey(name.Patient, name.Record, version)
	value, there := w.state[key]
	if !there {
		return record.Access{}, record.Errorf(record.NotFound, "no such version")
	}
	return w.access(reader, name, must(record.DecodeVersion(key, value)).Kind), nil
}

func (w *world) fails(op string, who record.ParticipantID) error {
	if w.fail == nil {
		return nil
	}
	return w.fail(op, who)
}

// access is the contract's decision.
func (w *world) access(reader record.ParticipantID, name record.RecordName, kind record.Kind) record.Access {
	p, _ := find[record.Participant](w, record.ParticipantKey(reader))
	status, _ := find[record.RecordStatus](w, record.StatusKey(name.Patient, name.Record))
	switch {
	case p.Status != record.Active:
		return record.Access{Reason: record.DeniedSuspended}
	case !status.Withdrawn.IsZero():
		return record.Access{Reason: record.DeniedWithdrawn}
	case status.Erasure == record.ErasureDone:
		return record.Access{Reason: record.DeniedErased}
	}
	if access := w.byGrant(name.Patient, name.Patient, p, name.Record, kind); access.Allowed {
		return access
	}
	patient, _ := find[record.Patient](w, record.PatientKey(name.Patient))
	for _, l := range patient.Links {
		if access := w.byGrant(l.To, name.Patient, p, name.Record, kind); access.Allowed {
			return access
		}
	}
	return record.Access{Reason: record.DeniedNoBasis}
}

func (w *world) byGrant(under, of record.Reference, reader record.Participant, rec record.Tag, kind record.Kind) record.Access {
	relation, _ := find[record.Relation](w, record.RelationKey(under, reader.ID))
	holder, _ := find[record.Participant](w, record.ParticipantKey(institution(of.Institution())))
	for _, g := range relation.Grants {
		switch {
		case !g.Live(time.Now().Add(-w.late)), g.Mode != record.Read, !g.Scope.Covers(rec, kind),
			w.void != nil && w.void(g),
			under != of && g.Basis != record.BasisGrant,
			g.Basis == record.BasisReferral && holder.Institution != nil && holder.Institution.NoReferrals:
			continue
		}
		return record.Access{Allowed: true, Basis: g.Basis, Grant: g.ID, Until: g.Until}
	}
	return record.Access{}
}

func institution(p record.InstitutionPrefix) record.ParticipantID {
	for _, mspID := range []string{north, south, east} {
		if prefix(mspID) == p {
			return record.InstitutionID(mspID)
		}
	}
	return record.ParticipantID{}
}

// Seal writes what sealing gives, in the open.
func (w *world) Seal(q record.Release, until time.Time, reader record.Participant, keys []release.Key,
) (r record.SealedRelease, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fails("seal", reader.ID); err != nil {
		return r, err
	}
	if q.Recipient != reader.ID || q.Key != record.KeyIDOf(reader.EncryptionKey) || !until.Equal(q.Until) {
		return r, errors.New("sealed for another release than is asked for")
	}
	r.Encapsulated = make([]byte, record.EncapsulatedKeySize)
	metadata := make([]json.RawMessage, 0, len(keys))
	for _, k := range keys {
		last := len(r.Versions) - 1
		if last < 0 || r.Versions[last].Version != k.Version {
			r.Versions = append(r.Versions, record.ReleasedVersion{Record: k.Record, Version: k.Version})
			last++
		}
		d := record.ReleasedDocument{Tag: k.Tag, CID: k.CID}
		copy(d.SealedKey[:], k.FileKey[:])
		r.Versions[last].Documents = append(r.Versions[last].Documents, d)
		metadata = append(metadata, k.Metadata)
	}
	r.Metadata = must(json.Marshal(metadata))
	r.Metadata = append(r.Metadata, make([]byte, 256-len(r.Metadata)%256+16)...) // padding and tag
	return r, nil
}

// Release is the contract's: it decides again.
func (w *world) Release(_ context.Context, q record.Release, r record.SealedRelease) (block uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := errors.Join(q.Validate(), r.Validate()); err != nil {
		return 0, w.refuse("release", err)
	}
	if err := w.fails("release", q.Recipient); err != nil {
		return 0, w.refuse("release", err)
	}
	if err := w.mayRelease(q, r); err != nil {
		return 0, w.refuse("release", err)
	}
	stored := record.StoredRelease{Institution: prefix(north), Grant: q.Grant, Key: q.Key, Until: q.Until}
	for _, v := range r.Versions {
		for _, d := range v.Documents {
			stored.Documents = append(stored.Documents, d.Tag)
		}
	}
	key := record.ReleaseKey(q.Patient, q.Recipient, w.next())
	block = w.commit([]write{{key, stored.Encode()}})
	w.sealed[key] = r
	w.calls = append(w.calls, fmt.Sprintf("release %d", len(stored.Documents)))
	return block, w.loses("release")
}

func (w *world) mayRelease(q record.Release, r record.SealedRelease) error {
	reader, _ := find[record.Participant](w, record.ParticipantKey(q.Recipient))
	if record.KeyIDOf(reader.EncryptionKey) != q.Key {
		return record.Errorf(record.WrongState, "the recipient has another encryption key now")
	}
	for _, v := range r.Versions {
		key := record.VersionKey(q.Patient, v.Record, v.Version)
		value, there := w.state[key]
		if !there {
			return record.Errorf(record.NotFound, "no such version")
		}
		stored := must(record.DecodeVersion(key, value))
		access := w.access(q.Recipient, record.RecordName{Patient: q.Patient, Record: v.Record}, stored.Kind)
		switch {
		case !access.Allowed:
			return record.Errorf(record.Forbidden, "the recipient may not read the record")
		case access.Grant != q.Grant || !access.Until.Equal(q.Until):
			return record.Errorf(record.WrongState, "the right is another now")
		}
		for _, d := range v.Documents {
			if !slices.ContainsFunc(stored.Documents, func(s record.Document) bool { return s.Tag == d.Tag }) {
				return record.Errorf(record.NotFound, "the version has no such document")
			}
			if held := w.held[d.Tag]; held.CID != d.CID {
				return record.Errorf(record.Forbidden, "your institution does not hold the document")
			}
		}
	}
	return nil
}

// refuse remembers an operation that did not succeed.
func (w *world) refuse(op string, err error) error {
	w.calls = append(w.calls, op+" refused")
	return err
}

// loses is the answer's loss.
func (w *world) loses(op string) error {
	if w.lose == nil {
		return nil
	}
	return w.lose(op)
}

// next is the ID of the next transaction.
func (w *world) next() record.ID {
	return record.ID{0x77, byte(len(w.blocks) >> 8), byte(len(w.blocks))}
}

func (w *world) EndReleases(_ context.Context, q record.ReleaseEnd) (block uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := q.Validate(); err != nil {
		return 0, w.refuse("end", err)
	}
	if err := w.fails("end", q.Releases[0].Recipient); err != nil {
		return 0, w.refuse("end", err)
	}
	var writes []write
	for _, r := range q.Releases {
		key := record.ReleaseKey(q.Patient, r.Recipient, r.ID)
		if value, there := w.state[key]; there && must(record.DecodeRelease(value)).Institution != prefix(north) {
			return 0, w.refuse("end", record.Errorf(record.Forbidden, "another institution made the release"))
		}
		writes = append(writes, write{key: key})
	}
	w.calls = append(w.calls, fmt.Sprintf("end %d", len(q.Releases)))
	return w.commit(writes), w.loses("end")
}

func (w *world) HandOver(_ context.Context, q record.HandOver, secret [32]byte) (block uint64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fails("hand over", q.Recipient); err != nil {
		return 0, w.refuse("hand over", err)
	}
	p, _ := find[record.Patient](w, record.PatientKey(q.Patient))
	switch {
	case !p.LinkedTo(q.To):
		return 0, w.refuse("hand over", record.Errorf(record.WrongState, "not linked"))
	case q.Recipient.Institution() != q.To.Institution():
		return 0, w.refuse("hand over", record.Errorf(record.Forbidden, "not of the institution that the link leads to"))
	case secret != w.secret[q.Patient]:
		return 0, w.refuse("hand over", errors.New("another secret than the patient's"))
	}
	e := record.AuditEntry{
		Patient: q.Patient, ID: w.next(), Action: record.ActHandOver, Basis: record.BasisAppliance, Subject: q.Recipient,
		Member: prefix(north), Time: time.Now().UTC().Truncate(time.Second),
	}
	w.calls = append(w.calls, fmt.Sprintf("hand over to %d", q.Recipient[6]))
	return w.commit([]write{{record.AuditKey(e.Patient, e.ID, 0), e.Encode()}}), w.loses("hand over")
}

// What follows is release.Vault.

func (w *world) Held(tag record.Tag) (release.Held, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h, there := w.held[tag]
	return h, there, w.faulty
}

func (w *world) Copies(f func(record.Tag, record.Reference, record.Tag) bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for tag, at := range w.copies {
		if !f(tag, at.patient, at.record) {
			return nil
		}
	}
	return w.faulty
}

func (w *world) Secret(patient record.Reference) ([32]byte, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	secret, there := w.secret[patient]
	return secret, there, w.faulty
}

// index is the read model, keyed like the ledger.
type index struct {
	mu      sync.Mutex
	values  map[string]write
	changed map[string]uint64 // block of the last write
	next    uint64
	reading bool  // while a Range or Since calls back
	nested  bool  // another read was made meanwhile
	err     error // of every read
}

func newIndex() *index {
	return &index{values: make(map[string]write), changed: make(map[string]uint64)}
}

// apply takes in the blocks that it does not have.
func (x *index) apply(blocks [][]write) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for ; x.next < uint64(len(blocks)); x.next++ {
		for _, w := range blocks[x.next] {
			x.values[w.key], x.changed[w.key] = w, x.next
		}
	}
}

// look locks the index, and remembers a read within another.
func (x *index) look() {
	x.mu.Lock()
	x.nested = x.nested || x.reading
}

func (x *index) Next() (uint64, error) {
	x.look()
	defer x.mu.Unlock()
	return x.next, x.err
}

func (x *index) Get(key string) ([]byte, bool, error) {
	x.look()
	defer x.mu.Unlock()
	w, there := x.values[key]
	return w.value, there && w.value != nil, x.err
}

func (x *index) Range(start, end string, f func(string, []byte) bool) error {
	return x.each(func(w write) bool { return w.key >= start && w.key < end && w.value != nil },
		func(w write) bool { return f(w.key, w.value) })
}

func (x *index) Since(block uint64, f func(string) bool) error {
	return x.each(func(w write) bool { return x.changed[w.key] >= block }, func(w write) bool { return f(w.key) })
}

// each calls f for the writes that match, by key, without the lock.
func (x *index) each(match, f func(write) bool) error {
	x.look()
	var matching []write
	for _, key := range slices.Sorted(maps.Keys(x.values)) {
		if w := x.values[key]; match(w) {
			matching = append(matching, w)
		}
	}
	x.reading = true
	err := x.err
	x.mu.Unlock()
	for _, w := range matching {
		if !f(w) {
			break
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reading = false
	return err
}

// long is a document whose metadata take so many bytes.
func long(tag record.Tag, size int) release.Held {
	h := holding(tag)
	h.Metadata = slices.Concat([]byte(`"`), bytes.Repeat([]byte("x"), size-2), []byte(`"`))
	return h
}
