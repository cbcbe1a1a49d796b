package reading

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	// sights are the kinds of version that the reader may see, each by the attempt that opened it.
	sights []sight
	// emergency is set where the ledger was away.
	emergency *document.Emergency

	mu        sync.Mutex
	checked   time.Time
	documents map[record.Tag]Document
	// order is that of the chain.
	order []record.Tag
	// missing counts those that the reader may see, and that cannot be opened yet.
	missing int
}

// sight is the right to the versions of one kind.
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
	r := s.desk.readings(who, q.RecordName)
	if r == nil || len(r.unseen(versions)) > 0 || r.emergency != nil {
		if r, err = s.begin(ctx, who, q, versions, r); err != nil {
			return nil, err
		}
		s.desk.keep(who, r)
	} else if err := s.check(ctx, who, r); err != nil {
		return nil, err
	}
	return r, s.locate(ctx, r, versions, q.Keys)
}

// unseen are the kinds of version for which the reading has asked no right.
func (r *reading) unseen(versions []record.AnchoredVersion) (firsts []record.AnchoredVersion) {
	for _, v := range versions {
		asked := r != nil && slices.ContainsFunc(r.sights, func(s sight) bool { return s.kind == v.Kind })
		if !asked && !slices.ContainsFunc(firsts, func(f record.AnchoredVersion) bool { return f.Kind == v.Kind }) {
			firsts = append(firsts, v)
		}
	}
	return firsts
}

// begin has the ledger decide, and write the attempt to the patient's audit. Known is the reading of the record so far.
func (s *Server) begin(ctx context.Context, who *session, q OpenRequest, versions []record.AnchoredVersion, known *reading,
) (*reading, error) {
	if known != nil && known.emergency != nil {
		known = nil // the ledger may be back: ask it
	}
	firsts := known.unseen(versions)
	attempts := make([]record.AccessAttempt, 0, len(firsts))
	for _, v := range firsts {
		attempts = append(attempts, record.AccessAttempt{
			Participant: who.reader.ID, Patient: q.Patient, Record: q.Record, Version: v.Name(), Session: who.id,
		})
	}
	bounded, cancel := context.WithTimeout(ctx, s.Patience)
	defer cancel()
	accesses, err := s.Ledger.Access(bounded, attempts)
	if errors.Is(err, ErrAway) {
		return s.withoutLedger(who, q, err)
	}
	if err != nil {
		return nil, err
	}
	r := &reading{name: q.RecordName, checked: s.Now(), documents: make(map[record.Tag]Document)}
	if known != nil {
		r.sights = known.sights
	}
	denied := record.DeniedNoBasis
	for i, a := range accesses {
		if !a.Allowed {
			denied = a.Reason
			continue
		}
		r.sights = append(r.sights, sight{firsts[i].Kind, firsts[i].Name(), a})
	}
	if len(r.sights) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrDenied, denied.Explain())
	}
	return r, nil
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
	for _, sight := range r.sights {
		bounded, cancel := context.WithTimeout(ctx, s.Patience)
		access, err := s.Ledger.CheckAccess(bounded, who.reader.ID, r.name, sight.version)
		cancel()
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
	for _, v := range versions {
		if !r.sees(v.Kind) {
			continue
		}
		for _, d := range v.Documents {
			if _, known := r.documents[d.Tag]; known {
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

func (r *reading) sees(kind record.Kind) bool {
	return r.emergency != nil || slices.ContainsFunc(r.sights, func(s sight) bool { return s.kind == kind })
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
		ways = append(ways, held)
	}
	for _, k := range keys {
		at := Payload{k.Institution, k.CID}
		// What is not on the ledger as this document is not served as this document.
		if k.Tag != tag || len(k.FileKey) != 16 || !slices.Contains(payloads, at) {
			continue
		}
		ways = append(ways, Document{
			Description: k.Description,
			Open: func(ctx context.Context) (Plain, error) {
				return s.Content.Remote(ctx, at, [16]byte(k.FileKey), k.Size)
			},
			Verify: func(d document.Digest) bool { return d == k.Digest },
		})
	}
	if len(ways) == 0 {
		return d, false, nil
	}
	return eitherOf(ways), true, nil
}
