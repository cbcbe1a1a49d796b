package contract_test

import (
	"slices"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// model is what should be true of the channel: plain maps, and the design's rules written a second time. It takes types from
// package record, and none of the rules there or in the contract.
type model struct {
	now          time.Time // to the second, as transactions see it
	clock        time.Time // more exact, as it stands in an anchoring
	home         map[record.Reference]string
	people       map[record.ParticipantID]*modelPerson
	noReferrals  map[string]bool // by MSP ID
	retention    map[string]int  // in years, of all kinds
	teams        map[record.ParticipantID]record.Team
	patients     map[record.Reference]*modelPatient
	linkOffers   map[pair]linkOffer
	supervisors  map[record.Reference][]record.Supervisor
	grants       map[relation][]*record.Grant
	records      map[record.RecordName]*modelRecord
	documents    map[record.Tag]*modelDocument
	versions     map[record.Tag]*modelVersion
	copies       map[copyKey]*modelDocument
	holders      map[record.RecordName][]string // MSP IDs of others that hold copies, by the record's name where it was first
	releases     []*modelRelease
	decisions    []*modelDecision
	appointments []*record.Appointment
}

type modelPerson struct {
	role      record.Role
	mspID     string
	suspended bool
}

type modelPatient struct {
	participant     record.ParticipantID
	deceased        bool
	links           []modelLink // the oldest first
	representatives map[record.ParticipantID]record.Representation
}

// modelLink is a link to another reference. Who stands for the other one is the patient here as well, if institutions
// made the link when it was them, and it is them still.
type modelLink struct {
	to    record.Reference
	merge bool
	other record.ParticipantID
}

type linkOffer struct {
	by          string
	participant record.ParticipantID // of the proposer's patient
	other       record.ParticipantID // who signed for the other reference
}

// pair is two references, in a fixed order.
type pair [2]record.Reference

func pairOf(a, b record.Reference) pair {
	if a.String() > b.String() {
		a, b = b, a
	}
	return pair{a, b}
}

type relation struct {
	patient     record.Reference
	participant record.ParticipantID
}

type modelRecord struct {
	withdrawn, erased, asked bool
	holds                    map[record.HoldReason]bool
}

type modelDocument struct {
	cid     record.CID
	mspID   string // of who anchored it, or holds the copy
	version record.Tag
	erased  bool
}

type modelVersion struct {
	name      record.RecordName
	kind      record.Kind
	date      time.Time
	mspID     string
	documents []record.Tag
}

type copyKey struct {
	mspID string
	tag   record.Tag
}

type modelRelease struct {
	id        record.ID
	mspID     string // of who released
	patient   record.Reference
	recipient record.ParticipantID
	until     time.Time
	ended     bool
}

type modelDecision struct {
	id       record.ID
	mspID    string
	proposal record.Proposal
	by       record.ParticipantID
	made     time.Time
	settled  bool
}

// over says whether what lasts until a time is over. It is by two minutes early: peers let a client's clock go that wrong.
func (m *model) over(until time.Time) bool {
	return !until.IsZero() && until.Sub(m.now) <= 2*time.Minute
}

// active says whether the participant may do anything at all.
func (m *model) active(id record.ParticipantID) bool {
	p := m.people[id]
	return p != nil && !p.suspended
}

func (m *model) is(id record.ParticipantID, roles ...record.Role) bool {
	return m.active(id) && slices.Contains(roles, m.people[id].role)
}

// office says whether the participant is of an institution's office.
func (m *model) office(id record.ParticipantID, mspID string) bool {
	return m.is(id, record.InstitutionRole, record.StaffRole) && m.people[id].mspID == mspID
}

func (m *model) record(n record.RecordName) *modelRecord {
	if m.records[n] == nil {
		m.records[n] = &modelRecord{holds: map[record.HoldReason]bool{}}
	}
	return m.records[n]
}

// isPatient says whether the participant is the living patient, under the reference itself or a linked one.
func (m *model) isPatient(r record.Reference, id record.ParticipantID) bool {
	p := m.patients[r]
	if p == nil || p.deceased || id.IsZero() {
		return false
	}
	if p.participant == id {
		return true
	}
	for _, l := range p.links {
		other := m.patients[l.to]
		if l.other == id && other.participant == id && !other.deceased {
			return true
		}
	}
	return false
}

// represents gives what the participant represents the patient in. Of the dead only an executor.
func (m *model) represents(r record.Reference, id record.ParticipantID) (record.Representation, bool) {
	p := m.patients[r]
	if p == nil {
		return record.Representation{}, false
	}
	q, found := p.representatives[id]
	return q, found && (q.Authority == record.ExecutorAuthority) == p.deceased && !m.over(q.Until)
}

// actsFor says whether the participant may decide on what is in a scope of the patient's history.
func (m *model) actsFor(r record.Reference, id record.ParticipantID, what record.Scope) bool {
	if m.isPatient(r, id) {
		return true
	}
	q, found := m.represents(r, id)
	return found && inside(what, q.Scope)
}

// covers says whether a record of a kind is in the scope. A kind of 0 is unknown, and in none.
func covers(s record.Scope, rec record.Tag, kind record.Kind) bool {
	return s.All || slices.Contains(s.Kinds, kind) || slices.Contains(s.Records, rec)
}

// inside says whether all of a scope is in another.
func inside(s, outer record.Scope) bool {
	ok := outer.All || !s.All
	for _, k := range s.Kinds {
		ok = ok && (outer.All || slices.Contains(outer.Kinds, k))
	}
	for _, r := range s.Records {
		ok = ok && (outer.All || slices.Contains(outer.Records, r))
	}
	return ok
}

// question is what CheckAccess is asked.
type question struct {
	reader record.ParticipantID
	name   record.RecordName
	kind   record.Kind // 0 if no version is named
	mode   record.Mode
	from   string // MSP ID of who holds what is read; empty for anybody
}

// check is the design's table of bases.
func (m *model) check(q question) record.Access {
	switch s := m.records[q.name]; {
	case !m.active(q.reader):
		return record.Access{Reason: record.DeniedSuspended}
	case s != nil && s.withdrawn:
		return record.Access{Reason: record.DeniedWithdrawn}
	case s != nil && s.erased:
		return record.Access{Reason: record.DeniedErased}
	}
	if q.mode == record.Read {
		if access := m.bySelf(q); access.Allowed {
			return access
		}
		if access := m.inCharge(q.reader, q.name.Patient); access.Allowed {
			return access
		}
	}
	if access := m.byGrant(q); access.Allowed {
		return access
	}
	if access := m.byLinkedGrant(q); access.Allowed {
		return access
	}
	if access := m.byCopies(q); access.Allowed && q.mode == record.Read {
		return access
	}
	return record.Access{Reason: record.DeniedNoBasis}
}

func (m *model) bySelf(q question) record.Access {
	if m.isPatient(q.name.Patient, q.reader) {
		return record.Access{Allowed: true, Basis: record.BasisPatient}
	}
	r, found := m.represents(q.name.Patient, q.reader)
	if found && covers(r.Scope, q.name.Record, q.kind) {
		return record.Access{Allowed: true, Basis: record.BasisRepresentative, Until: r.Until}
	}
	return record.Access{}
}

// byCopies is for a doctor whose hospital holds copies of the record, and put them in charge of the patient there.
func (m *model) byCopies(q question) record.Access {
	if m.people[q.reader] == nil {
		return record.Access{}
	}
	at := m.people[q.reader].mspID
	p := m.patients[q.name.Patient]
	if p == nil || !slices.Contains(m.holders[q.name], at) || q.from != "" && q.from != at {
		return record.Access{}
	}
	for _, l := range p.links {
		if access := m.inCharge(q.reader, l.to); access.Allowed {
			return access
		}
	}
	return record.Access{}
}

// inCharge is the access of a doctor whom the reference's institution put in charge.
func (m *model) inCharge(doctor record.ParticipantID, patient record.Reference) record.Access {
	if !m.is(doctor, record.DoctorRole) || m.people[doctor].mspID != m.home[patient] {
		return record.Access{}
	}
	for _, s := range m.supervisors[patient] {
		if m.over(s.Until) {
			continue
		}
		if s.Participant == doctor {
			return record.Access{Allowed: true, Basis: record.BasisSupervision, Until: s.Until}
		}
		if until, on := m.onDuty(s.Team, doctor); on {
			return record.Access{Allowed: true, Basis: record.BasisSupervision, Until: earlier(s.Until, until)}
		}
	}
	return record.Access{}
}

// onDuty says whether the participant is in the team now, and until when.
func (m *model) onDuty(team, id record.ParticipantID) (until time.Time, on bool) {
	for _, member := range m.teams[team].Members {
		if member.Participant != id {
			continue
		}
		if len(member.Shifts) == 0 {
			return time.Time{}, true
		}
		for _, s := range member.Shifts {
			if !m.now.Before(s.From) && !m.over(s.Until) {
				return s.Until, true
			}
		}
	}
	return time.Time{}, false
}

// earlier gives the earlier of two ends. Zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (m *model) live(g *record.Grant) bool { return g.State == record.Approved && !m.over(g.Until) }

// fits says whether a grant gives what is asked for.
func (m *model) fits(g *record.Grant, q question) bool {
	return m.is(q.reader, record.DoctorRole) && m.live(g) && g.Mode == q.mode && covers(g.Scope, q.name.Record, q.kind)
}

// stands gives the access by a grant, if what it rests on still holds: an approval on that who gave it is the patient, or may
// decide for them; a referral on that the institution refers at all.
func (m *model) stands(g *record.Grant, q question) record.Access {
	access := record.Access{Allowed: true, Basis: g.Basis, Until: g.Until, Grant: g.ID}
	r := q.name.Patient
	switch {
	case g.Basis == record.BasisReferral && m.noReferrals[m.home[r]]:
		return record.Access{}
	case g.Basis != record.BasisGrant || g.Assisted || m.patients[r].participant == g.DecidedBy[0]:
		return access
	case m.isPatient(r, g.DecidedBy[0]):
		return access
	}
	by, found := m.represents(r, g.DecidedBy[0])
	if !found || !covers(by.Scope, q.name.Record, q.kind) {
		return record.Access{}
	}
	access.Until = earlier(g.Until, by.Until)
	return access
}

func (m *model) byGrant(q question) record.Access {
	for _, basis := range []record.Basis{record.BasisGrant, record.BasisReferral, record.BasisBreakGlass} {
		for _, g := range m.grants[relation{q.name.Patient, q.reader}] {
			if g.Basis != basis || !m.fits(g, q) {
				continue
			}
			if access := m.stands(g, q); access.Allowed {
				return access
			}
		}
	}
	return record.Access{}
}

// byLinkedGrant looks for what the patient granted under another reference of theirs. What the institution there recorded for
// them does not count here.
func (m *model) byLinkedGrant(q question) record.Access {
	p := m.patients[q.name.Patient]
	if p == nil {
		return record.Access{}
	}
	for _, l := range p.links {
		for _, g := range m.grants[relation{l.to, q.reader}] {
			if g.Basis != record.BasisGrant || g.Assisted || !m.fits(g, q) {
				continue
			}
			if access := m.stands(g, q); access.Allowed {
				return access
			}
		}
	}
	return record.Access{}
}
