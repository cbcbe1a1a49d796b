package reading

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// checkEvery is how long a decision is relied on while a reading lasts: after a revocation nothing is served longer.
const checkEvery = 2 * time.Second

// reading is one record that is open in one session.
type reading struct {
	name record.RecordName
	// sights are the kinds of version for which the right was asked.
	sights []sight
	// emergency is set where the ledger was away.
	emergency *document.Emergency

	mu        sync.Mutex
	checked   time.Time
	documents map[record.Tag]Document
	// wrong are those of them whose whole was found to be another document: no part of them is served, until the record is
	// opened again.
	wrong map[record.Tag]bool
	// order is that of the chain.
	order []record.Tag
	// missing counts those that the reader may see, and that cannot be opened yet.
	missing int
}

// sight is what was decided about the versions of one kind. The attempt stands in the audit.
type sight struct {
	kind    record.Kind
	version record.Tag // by which it was asked
	access  record.Access
}

// ReleasedKey is a file key that the reader opened from a release, for one reading.
type ReleasedKey struct {
	Tag         record.Tag               `json:"tag"`
	Institution record.InstitutionPrefix `json:"institution"` // the custodian
	CID         record.CID               `json:"cid"`
	FileKey     []byte                   `json:"file_key"`
	document.Description
}

// NewReleasedKey makes a released key of what a release holds. Metadata is a document.Description in JSON; without a readable
// one the size does not fit, and nothing opens.
func NewReleasedKey(custodian record.InstitutionPrefix, tag record.Tag, cid record.CID, key [16]byte, metadata []byte,
) ReleasedKey {
	k := ReleasedKey{Tag: tag, Institution: custodian, CID: cid, FileKey: key[:]}
	_ = json.Unmarshal(metadata, &k.Description)
	return k
}

// open begins a reading, or goes on with it: documents that came later are added.
func (s *Server) open(ctx context.Context, who *session, q OpenRequest) (*reading, error) {
	versions, err := s.Index.Versions(q.RecordName)
	if err != nil {
		return nil, err
	}
	if len(versions) == 0 {
		return nil, fmt.Errorf("%w: the ledger has no such record, or this hospital has not seen it yet", ErrNotFound)
	}
	if err := s.checkClock(); err != nil {
		return nil, err
	}
	done := s.desk.opening(who, q.RecordName) // a viewer's many requests are one attempt
	defer done()
	r, err := s.current(ctx, who, q, versions)
	if err != nil {
		return nil, err
	}
	s.desk.keep(who, r)
	return r, s.locate(ctx, r, versions, q.Keys)
}

// current gives the reading that goes on, or begins one: where there is none, where its right has ended, or where the
// record has a kind of version that was not asked for.
func (s *Server) current(ctx context.Context, who *session, q OpenRequest, versions []record.AnchoredVersion,
) (*reading, error) {
	known := s.desk.readings(who, q.RecordName)
	if known == nil || known.emergency != nil { // the ledger may be back: ask it
		return s.begin(ctx, who, q, kinds(versions), nil)
	}
	err := s.check(ctx, who, known)
	if errors.Is(err, ErrDenied) {
		return s.begin(ctx, who, q, kinds(versions), nil) // there may be another right
	}
	var unseen []record.AnchoredVersion
	if err == nil {
		unseen, err = s.unseen(ctx, who, known, versions)
	}
	switch {
	case errors.Is(err, ErrAway):
		return s.withoutLedger(who, q, err)
	case err != nil || len(unseen) == 0:
		return known, err
	}
	return s.begin(ctx, who, q, unseen, known)
}

// kinds gives the first version of each kind.
func kinds(versions []record.AnchoredVersion) (firsts []record.AnchoredVersion) {
	for _, v := range versions {
		if !slices.ContainsFunc(firsts, func(f record.AnchoredVersion) bool { return f.Kind == v.Kind }) {
			firsts = append(firsts, v)
		}
	}
	return firsts
}

// unseen gives a version of each kind for which the reading has asked no right, or was denied one that is there by now: that
// is found out without a trace, for the refusal stands in the audit already.
func (s *Server) unseen(ctx context.Context, who *session, r *reading, versions []record.AnchoredVersion,
) (unseen []record.AnchoredVersion, err error) {
	for _, v := range kinds(versions) {
		i := slices.IndexFunc(r.sights, func(s sight) bool { return s.kind == v.Kind })
		if i >= 0 && r.sights[i].access.Allowed {
			continue
		}
		if i >= 0 {
			access, err := s.ask(ctx, who, r, r.sights[i].version)
			if err != nil {
				return nil, err
			}
			if !access.Allowed {
				continue
			}
		}
		unseen = append(unseen, v)
	}
	return unseen, nil
}

// begin has the ledger decide, and write the attempt to the patient's audit. Firsts are the versions by which it is asked,
// one of each kind; known is the reading of the record so far, if it goes on.
func (s *Server) begin(ctx context.Context, who *session, q OpenRequest, firsts []record.AnchoredVersion, known *reading,
) (*reading, error) {
	attempts := make([]record.AccessAttempt, 0, len(firsts))
	for _, v := range firsts {
		attempts = append(attempts, record.AccessAttempt{
			Participant: who.reader.ID, Patient: q.Patient, Record: q.Record, Version: v.Name(), Session: who.id,
		})
	}
	bounded, cancel := context.WithTimeout(ctx, s.Patience)
	defer cancel()
	asked := s.Now() // the decision is no younger
	accesses, err := s.Ledger.Access(bounded, attempts)
	if errors.Is(err, ErrAway) {
		return s.withoutLedger(who, q, err)
	}
	if err != nil {
		return nil, err
	}
	r := known.goOn(q.RecordName, asked)
	denied := record.DeniedNoBasis
	for i, a := range accesses {
		r.sights = slices.DeleteFunc(r.sights, func(s sight) bool { return s.kind == firsts[i].Kind })
		r.sights = append(r.sights, sight{firsts[i].Kind, firsts[i].Name(), a})
		if !a.Allowed {
			denied = a.Reason
		}
	}
	if !slices.ContainsFunc(r.sights, func(s sight) bool { return s.access.Allowed }) {
		return nil, fmt.Errorf("%w: %s", ErrDenied, denied.Explain())
	}
	return r, nil
}

// goOn gives a reading with what this one has, which may be none: it is as fresh as the older decision.
func (r *reading) goOn(name record.RecordName, asked time.Time) *reading {
	next := &reading{
		name: name, checked: asked, documents: make(map[record.Tag]Document), wrong: make(map[record.Tag]bool),
	}
	if r == nil {
		return next
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	next.sights, next.checked = slices.Clone(r.sights), r.checked
	maps.Copy(next.documents, r.documents)
	maps.DeleteFunc(next.documents, func(tag record.Tag, _ Document) bool { return r.wrong[tag] })
	return next
}

// check makes sure that the reader may still see the record: by the ledger, if that was not asked just now, and by this
// hospital's own clock.
func (s *Server) check(ctx context.Context, who *session, r *reading) error {
	if err := s.checkClock(); err != nil {
		return err
	}
	now := s.Now()
	r.mu.Lock()
	recent := now.Sub(r.checked) < checkEvery && !now.Before(r.checked)
	r.mu.Unlock()
	if r.emergency != nil {
		return s.checkEmergency(who, r)
	}
	for i := range r.sights {
		if record.Over(r.sights[i].access.Until, now) {
			return fmt.Errorf("%w: the right to the record has ended: ask the patient for access", ErrDenied)
		}
	}
	if recent {
		return nil
	}
	if err := s.checkKey(who); err != nil {
		return err
	}
	for _, sight := range r.sights {
		if !sight.access.Allowed {
			continue
		}
		access, err := s.ask(ctx, who, r, sight.version)
		if err != nil {
			return err
		}
		if !access.Allowed {
			return fmt.Errorf("%w: %s", ErrDenied, access.Reason.Explain())
		}
	}
	r.mu.Lock()
	r.checked = now
	r.mu.Unlock()
	return nil
}

// ask has the contract decide, without a trace.
func (s *Server) ask(ctx context.Context, who *session, r *reading, version record.Tag) (record.Access, error) {
	bounded, cancel := context.WithTimeout(ctx, s.Patience)
	defer cancel()
	return s.Ledger.CheckAccess(bounded, who.reader.ID, r.name, version)
}

// checkKey refuses a session whose reader has another key by now: who logged in may be the one from whom the old key was to
// be taken.
func (s *Server) checkKey(who *session) error {
	p, _, err := s.Index.Participant(who.reader.ID)
	if err == nil && p.Key != who.reader.Key {
		err = fmt.Errorf("%w: the participant's key was replaced: log in again", ErrLogin)
	}
	return err
}

// checkClock refuses to read by a clock that is behind what the ledger has seen: a right that is over would look as if it
// were not.
func (s *Server) checkClock() error {
	latest, err := s.Index.LedgerTime()
	if err != nil {
		return err
	}
	if now := s.Now(); now.Before(latest.Add(-record.ClockSkew)) {
		return fmt.Errorf("%w: this hospital's clock says %s, and the ledger has seen %s: have it set", ErrDenied,
			now.UTC().Format(time.RFC3339), latest.UTC().Format(time.RFC3339))
	}
	return nil
}

// locate finds out how each document that the reader may see is opened: with this hospital's vault, else with the keys
// that were released.
func (s *Server) locate(ctx context.Context, r *reading, versions []record.AnchoredVersion, keys []ReleasedKey) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.order, r.missing = r.order[:0], 0
	defer clear(r.wrong)
	for _, v := range versions {
		if !r.sees(v.Kind) {
			continue
		}
		for _, d := range v.Documents {
			if _, known := r.documents[d.Tag]; known && !r.wrong[d.Tag] {
				r.order = append(r.order, d.Tag)
				continue
			}
			opened, found, err := s.find(ctx, d.Tag, keys)
			if err != nil {
				return err
			}
			if !found {
				r.missing++
				continue
			}
			r.documents[d.Tag] = opened
			r.order = append(r.order, d.Tag)
		}
	}
	if len(r.order) == 0 {
		return fmt.Errorf("%w: this hospital holds none of the record's documents, and no keys of it were released to you yet: "+
			"they follow a grant within seconds, once the hospital that holds it is reached", ErrUnavailable)
	}
	return nil
}

// document gives a document that is open. One whose whole turns out to be another is remembered.
func (r *reading) document(tag record.Tag) (d Document, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, found := r.documents[tag]
	switch {
	case !found:
		return d, fmt.Errorf("%w: the record has no such document for you: open it again to see what joined it", ErrNotFound)
	case r.wrong[tag]:
		return d, errWhole
	}
	verify := d.Verify
	d.Verify = func(digest document.Digest) bool {
		right := verify(digest)
		if !right {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.wrong[tag] = true
		}
		return right
	}
	return d, nil
}

func (r *reading) sees(kind record.Kind) bool {
	return r.emergency != nil ||
		slices.ContainsFunc(r.sights, func(s sight) bool { return s.kind == kind && s.access.Allowed })
}

// find gives a document by all ways there are, in their order: held here, then at each custodian that released it.
func (s *Server) find(ctx context.Context, tag record.Tag, keys []ReleasedKey) (d Document, found bool, err error) {
	payloads, err := s.Index.Payloads(tag)
	if err != nil || len(payloads) == 0 {
		return d, false, err
	}
	var ways []Document
	if held, found, err := s.Content.Held(ctx, tag); err != nil {
		return d, false, err
	} else if found {
		ways = append(ways, checked(held))
	}
	for _, k := range keys {
		at := Payload{k.Institution, k.CID}
		// What is not on the ledger as this document is not served as this document.
		if k.Tag != tag || len(k.FileKey) != 16 || !slices.Contains(payloads, at) {
			continue
		}
		ways = append(ways, checked(Document{
			Description: k.Description,
			Open: func(ctx context.Context) (Plain, error) {
				return s.Content.Remote(ctx, at, [16]byte(k.FileKey), k.Size)
			},
			Verify: func(d document.Digest) bool { return d == k.Digest },
		}))
	}
	if len(ways) == 0 {
		return d, false, nil
	}
	return eitherOf(ways), true, nil
}
