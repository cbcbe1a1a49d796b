package contract_test

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/medanchor/medanchor/chaincode/record"
)

// records are the records that there may be, of any patient.
func records() []record.Tag { return []record.Tag{tag("record 0"), tag("record 1"), tag("record 2")} }

// kinds are those that are tried.
func kinds() []record.Kind {
	return []record.Kind{record.KindLetter, record.KindImaging, record.KindLabResult}
}

// document is one of a few documents that there may be.
func (p *play) document(rt *rapid.T, label string) record.Tag {
	return tag(fmt.Sprint("document ", rapid.IntRange(0, 11).Draw(rt, label)))
}

func (p *play) name(rt *rapid.T) record.RecordName {
	return record.RecordName{Patient: p.reference(rt), Record: pick(rt, "record", records()...)}
}

// names are all records that there may be.
func (p *play) names() (names []record.RecordName) {
	for _, r := range p.references {
		for _, rec := range records() {
			names = append(names, record.RecordName{Patient: r, Record: rec})
		}
	}
	return names
}

// filed is a record that there is, mostly.
func (p *play) filed(rt *rapid.T) record.RecordName {
	if often(rt, "filed") {
		for i := range 12 {
			d := p.model.documents[tag(fmt.Sprint("document ", i))]
			if d != nil && rapid.Bool().Draw(rt, "this document's") {
				return p.model.versions[d.version].name
			}
		}
	}
	return p.name(rt)
}

// anchorBatch delivers documents, many of which were delivered before, some sealed otherwise, or to another record.
func (p *play) anchorBatch(rt *rapid.T) {
	h := pick(rt, "hospital", p.hospitals()...)
	who := p.caller(rt, h.appliance)
	want := p.model.is(who.id, record.ApplianceRole)
	var versions []record.Version
	seen := map[record.Tag]bool{}
	for range rapid.IntRange(1, 3).Draw(rt, "versions") {
		v := p.version(rt, h)
		for range rapid.IntRange(1, 4).Draw(rt, "documents") {
			d := record.Document{Tag: p.document(rt, "document"), CID: content(pick(rt, "sealed by", h.mspID, h.mspID, "another"))}
			if !seen[d.Tag] {
				v.Documents, seen[d.Tag] = append(v.Documents, d), true
			}
		}
		if len(v.Documents) > 0 {
			versions = append(versions, v)
			want = want && p.model.mayAnchor(who.mspID, v)
		}
	}
	outcomes, refused := p.submit(rt, who, transient(p.t, versions...))
	rt.Logf("%s: anchor by %s of %s: %+v: %v, %v", p.model.now, who.role, who.mspID, versions, outcomes, refused)
	if (refused == nil) != want {
		rt.Fatalf("anchor: got %v, want accepted: %t", refused, want)
	}
	if want {
		p.accepted[p.action]++
		for _, o := range outcomes {
			p.accepted["document "+o.String()]++
		}
		if expected := p.model.anchor(who.mspID, versions); !slices.Equal(outcomes, expected) {
			rt.Fatalf("anchor %+v: got %v, want %v", versions, outcomes, expected)
		}
	}
}

// version is one of a hospital's own patient, mostly; or one that its doctor writes into another's history.
func (p *play) version(rt *rapid.T, h *hospital) record.Version {
	v := record.Version{
		Patient: p.reference(rt), Record: pick(rt, "record", records()...), Kind: pick(rt, "kind", kinds()...),
		Date: pick(rt, "date", time.Time{}, time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)),
	}
	if often(rt, "own patient") {
		i := slices.Index(p.hospitals(), h)
		v.Patient = pick(rt, "which", p.references[2*i:2*i+2]...)
	}
	if rapid.Bool().Draw(rt, "no author") {
		return v
	}
	v.Author = pick(rt, "author", p.doctors...).id
	if often(rt, "own doctor") {
		v.Author = pick(rt, "which doctor", h.doctor, h.locum).id
	}
	for _, r := range p.references {
		writes := func(g *record.Grant) bool { return g.Mode == record.Write && p.model.live(g) }
		if slices.ContainsFunc(p.model.grants[relation{r, v.Author}], writes) && often(rt, "with a grant") {
			v.Patient = r
		}
	}
	return v
}

// mayAnchor says whether an institution may add a version to a history: its own patient's, for its own doctors; and any that
// the patient let the author write, who is its doctor.
func (m *model) mayAnchor(mspID string, v record.Version) bool {
	author := m.people[v.Author]
	ours := author != nil && author.role == record.DoctorRole && author.mspID == mspID
	if m.home[v.Patient] == mspID {
		return v.Author.IsZero() || ours
	}
	name := record.RecordName{Patient: v.Patient, Record: v.Record}
	return ours && m.check(question{reader: v.Author, name: name, kind: v.Kind, mode: record.Write}).Allowed
}

// anchor takes over what is new, and gives the outcomes.
func (m *model) anchor(mspID string, versions []record.Version) (outcomes []record.Outcome) {
	for _, v := range versions {
		added := &modelVersion{
			name: record.RecordName{Patient: v.Patient, Record: v.Record}, kind: v.Kind, date: v.Date, mspID: mspID,
		}
		if v.Date.IsZero() {
			added.date = m.clock
		}
		for _, d := range v.Documents {
			outcome := m.outcome(mspID, d)
			outcomes = append(outcomes, outcome)
			if outcome == record.Created {
				added.documents = append(added.documents, d.Tag)
				m.documents[d.Tag] = &modelDocument{cid: d.CID, mspID: mspID, version: added.documents[0]}
			}
		}
		if len(added.documents) > 0 {
			m.versions[added.documents[0]] = added
		}
	}
	return outcomes
}

// outcome says what becomes of a document: what the institution holds itself decides, else what was there first; that is the
// same only if the institution anchored it, for no two seal the same bytes. What was erased stays so.
func (m *model) outcome(mspID string, d record.Document) record.Outcome {
	there, held := m.documents[d.Tag], m.copies[copyKey{mspID, d.Tag}]
	switch {
	case there == nil:
		return record.Created
	case !there.erased && there.cid == d.CID && there.mspID == mspID:
		return record.Existing
	case held != nil && held.erased || held == nil && there.erased:
		return record.Erased
	case held != nil && held.cid == d.CID:
		return record.Existing
	}
	return record.Conflict
}

func (p *play) withdraw(rt *rapid.T) { p.correct(rt, record.WithdrawFunction, true) }

func (p *play) refile(rt *rapid.T) { p.correct(rt, record.RefileFunction, false) }

func (p *play) correct(rt *rapid.T, function string, withdrawn bool) {
	q := record.Correction{RecordName: p.filed(rt)}
	for _, name := range p.names() {
		if s := p.model.records[name]; !withdrawn && s != nil && s.withdrawn && often(rt, "this one") {
			q.RecordName = name
		}
	}
	who := p.caller(rt, p.officeOf(q.Patient)...)
	s := p.model.record(q.RecordName)
	want := p.model.office(who.id, p.model.home[q.Patient]) && !s.erased && s.withdrawn != withdrawn
	if _, ok := p.do(rt, who, function, q, want); ok {
		s.withdrawn = withdrawn
	}
}

func (p *play) holdCopies(rt *rapid.T) {
	h := pick(rt, "hospital", p.hospitals()...)
	who := p.caller(rt, h.appliance)
	d := p.document(rt, "document")
	there := p.model.documents[d]
	if there == nil {
		rt.Skip("no such document")
	}
	v := p.model.versions[there.version]
	q := record.Copies{Patient: p.registered(rt), Of: v.name.Patient, Copies: []record.Copy{{
		Record: v.name.Record, Version: there.version, Tag: d, CID: content(pick(rt, "sealed by", h.mspID, h.mspID, "another")),
	}}}
	for _, r := range p.references {
		of := p.model.patients[r]
		if of != nil && linked(of, q.Of) && p.model.home[r] == h.mspID && often(rt, "linked") {
			q.Patient = r
		}
	}
	ours := p.model.patients[q.Patient]
	held := p.model.copies[copyKey{who.mspID, d}]
	want := p.model.is(who.id, record.ApplianceRole) && p.model.home[q.Patient] == who.mspID && ours != nil &&
		linked(ours, q.Of) && !there.erased && there.mspID != who.mspID &&
		(held == nil || !held.erased && held.cid == q.Copies[0].CID)
	if _, ok := p.do(rt, who, record.HoldCopyFunction, q, want); ok && held == nil {
		p.model.copies[copyKey{who.mspID, d}] = &modelDocument{cid: q.Copies[0].CID, mspID: who.mspID}
		p.model.addHolder(v.name, who.mspID)
	}
}

// addHolder notes who holds copies of another institution's record.
func (m *model) addHolder(n record.RecordName, mspID string) {
	if m.home[n.Patient] != mspID && !slices.Contains(m.holders[n], mspID) {
		m.holders[n] = append(m.holders[n], mspID)
	}
}

func (p *play) askErasure(rt *rapid.T) {
	q := p.filed(rt)
	who := p.caller(rt, p.selves(q.Patient)...)
	s := p.model.record(q)
	want := p.model.active(who.id) && p.model.actsFor(q.Patient, who.id, record.Scope{Records: []record.Tag{q.Record}}) &&
		!s.asked && !s.erased
	if _, ok := p.do(rt, who, record.RequestErasureFunction, q, want); ok {
		s.asked = true
	}
}

func (p *play) legalHold(rt *rapid.T) {
	q := record.LegalHoldChange{RecordName: p.filed(rt), Reason: pick(rt, "reason", record.Litigation, record.PublicHealth)}
	who := p.caller(rt, p.officeOf(q.Patient)...)
	s := p.model.record(q.RecordName)
	want := p.model.office(who.id, p.model.home[q.Patient]) && !s.holds[q.Reason]
	if _, ok := p.do(rt, who, record.LegalHoldFunction, q, want); ok {
		s.holds[q.Reason] = true
	}
}

func (p *play) endLegalHold(rt *rapid.T) {
	q := record.LegalHoldChange{RecordName: p.filed(rt), Reason: pick(rt, "reason", record.Litigation, record.PublicHealth)}
	for _, name := range p.names() {
		if s := p.model.records[name]; s != nil && s.holds[q.Reason] && often(rt, "this one") {
			q.RecordName = name
		}
	}
	who := p.caller(rt, p.hospitalOf(p.model.home[q.Patient]).institution)
	s := p.model.record(q.RecordName)
	want := p.model.is(who.id, record.InstitutionRole) && who.mspID == p.model.home[q.Patient] && s.holds[q.Reason]
	if _, ok := p.do(rt, who, record.EndLegalHoldFunction, q, want); ok {
		delete(s.holds, q.Reason)
	}
}
