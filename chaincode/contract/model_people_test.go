package contract_test

import (
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/medanchor/medanchor/chaincode/record"
)

// ends are end dates: over, nearly over, and later.
func (p *play) ends(rt *rapid.T) time.Time {
	return p.model.now.Add(pick(rt, "end", 24*time.Hour, time.Hour, 2*time.Minute, 2*time.Minute+time.Second, 40*24*time.Hour,
		400*24*time.Hour, 20*366*24*time.Hour))
}

// scopes are a few, so that some are within others.
func scopes(rt *rapid.T, label string) record.Scope {
	rec := records()
	return pick(rt, label, record.Scope{All: true}, record.Scope{Kinds: []record.Kind{record.KindLetter}},
		record.Scope{Kinds: []record.Kind{record.KindImaging, record.KindLetter}},
		record.Scope{Records: rec[:1]}, record.Scope{Kinds: []record.Kind{record.KindImaging}, Records: rec[:2]})
}

func (p *play) register(rt *rapid.T) {
	q := record.PatientRegistration{Patient: p.reference(rt)}
	if often(rt, "with a participant") {
		q.Participant = pick(rt, "participant", p.all...).id
		if often(rt, "a patient") {
			q.Participant = pick(rt, "patient's participant", p.patients...).id
		}
	}
	who := p.caller(rt, p.officeOf(q.Patient)...)
	there := p.model.patients[q.Patient]
	named := p.model.people[q.Participant]
	want := p.model.office(who.id, p.model.home[q.Patient]) &&
		(there == nil || there.participant.IsZero() && !q.Participant.IsZero()) &&
		(q.Participant.IsZero() || named.role == record.PatientRole && !named.suspended)
	if _, ok := p.do(rt, who, record.RegisterPatientFunction, q, want); !ok {
		return
	}
	if there == nil {
		there = newModelPatient(record.ParticipantID{})
		p.model.patients[q.Patient] = there
	}
	there.participant = q.Participant
}

func (p *play) deceased(rt *rapid.T) {
	q := record.Deceased{Patient: p.registered(rt), Alive: often(rt, "alive")}
	who := p.caller(rt, p.officeOf(q.Patient)...)
	there := p.model.patients[q.Patient]
	want := p.model.office(who.id, p.model.home[q.Patient]) && there != nil && there.deceased == q.Alive
	if _, ok := p.do(rt, who, record.DeceasedFunction, q, want); ok {
		there.deceased = !q.Alive
	}
}

// twoOf are two references, mostly registered ones.
func (p *play) twoOf(rt *rapid.T) (q record.Link, a, b *modelPatient) {
	q.Patient = p.registered(rt)
	others := slices.DeleteFunc(slices.Clone(p.references), func(r record.Reference) bool { return r == q.Patient })
	q.To = pick(rt, "to", others...)
	return q, p.model.patients[q.Patient], p.model.patients[q.To]
}

func (p *play) link(rt *rapid.T) {
	q, a, b := p.twoOf(rt)
	who := p.caller(rt, slices.Concat(p.patients, p.officeOf(q.Patient), p.officeOf(q.To), p.officeOf(q.To))...)
	if p.model.is(who.id, record.PatientRole) {
		self := func(m *modelPatient) bool { return m != nil && m.participant == who.id && !m.deceased }
		want := self(a) && self(b) && !linked(a, q.To)
		if _, ok := p.do(rt, who, record.LinkFunction, q, want); ok {
			p.makeLink(q, modelLink{}, modelLink{})
		}
		return
	}
	p.agree(rt, who, q, a, b)
}

// linkTo gives the link to another reference.
func (p *modelPatient) linkTo(r record.Reference) (modelLink, bool) {
	for _, l := range p.links {
		if l.to == r {
			return l, true
		}
	}
	return modelLink{}, false
}

func linked(p *modelPatient, to record.Reference) bool {
	_, found := p.linkTo(to)
	return found
}

func (p *modelPatient) unlink(r record.Reference) {
	p.links = slices.DeleteFunc(p.links, func(l modelLink) bool { return l.to == r })
}

// agree has one institution propose a link, and the other one agree.
func (p *play) agree(rt *rapid.T, who *person, q record.Link, a, b *modelPatient) {
	homes := []string{p.model.home[q.Patient], p.model.home[q.To]}
	ours, theirs := a, b
	if who.mspID == homes[1] {
		ours, theirs = b, a
	}
	want := p.model.office(who.id, who.mspID) && slices.Contains(homes, who.mspID) && homes[0] != homes[1] &&
		a != nil && b != nil && !linked(a, q.To)
	offer, offered := p.model.linkOffers[pairOf(q.Patient, q.To)]
	if want && offered {
		want = offer.by != who.mspID && offer.participant == theirs.participant && offer.other == ours.participant
	}
	_, ok := p.do(rt, who, record.LinkFunction, q, want)
	switch {
	case ok && offered:
		p.makeLink(q, modelLink{other: b.participant}, modelLink{other: a.participant})
	case ok:
		p.model.linkOffers[pairOf(q.Patient, q.To)] = linkOffer{
			by: who.mspID, participant: ours.participant, other: theirs.participant,
		}
	}
}

func (p *play) makeLink(q record.Link, to, from modelLink) {
	to.to, from.to = q.To, q.Patient
	a, b := p.model.patients[q.Patient], p.model.patients[q.To]
	a.links, b.links = append(a.links, to), append(b.links, from)
	delete(p.model.linkOffers, pairOf(q.Patient, q.To))
}

func (p *play) unlink(rt *rapid.T) {
	q, a, b := p.twoOf(rt)
	who := p.caller(rt, slices.Concat(p.patients, p.officeOf(q.Patient), p.officeOf(q.To))...)
	self := func(m *modelPatient) bool {
		return m != nil && m.participant == who.id && !m.deceased && p.model.is(who.id, record.PatientRole)
	}
	merged := false
	if a != nil {
		l, _ := a.linkTo(q.To)
		merged = l.merge
	}
	may := !merged && (self(a) || self(b)) || p.model.office(who.id, p.model.home[q.Patient]) ||
		p.model.office(who.id, p.model.home[q.To])
	_, offered := p.model.linkOffers[pairOf(q.Patient, q.To)]
	want := may && (offered || a != nil && linked(a, q.To))
	if _, ok := p.do(rt, who, record.UnlinkFunction, q, want); ok {
		a.unlink(q.To)
		b.unlink(q.Patient)
		delete(p.model.linkOffers, pairOf(q.Patient, q.To))
	}
}

func (p *play) merge(rt *rapid.T) {
	q, a, b := p.twoOf(rt)
	if often(rt, "of one institution") {
		i := 2 * rapid.IntRange(0, len(p.references)/2-1).Draw(rt, "institution")
		q = record.Link{Patient: p.references[i], To: p.references[i+1]}
		a, b = p.model.patients[q.Patient], p.model.patients[q.To]
	}
	who := p.caller(rt, p.officeOf(q.Patient)...)
	want := p.model.office(who.id, p.model.home[q.Patient]) && p.model.office(who.id, p.model.home[q.To]) &&
		a != nil && b != nil && !linked(a, q.To) &&
		(a.participant.IsZero() || b.participant.IsZero() || a.participant == b.participant)
	if _, ok := p.do(rt, who, record.MergeFunction, q, want); ok {
		p.makeLink(q, modelLink{merge: true, other: b.participant}, modelLink{merge: true, other: a.participant})
	}
}

func (p *play) represent(rt *rapid.T) {
	q := record.Representation{
		Patient: p.registered(rt), Participant: pick(rt, "representative", p.patients...).id,
		Authority: record.ParentAuthority, Evidence: p.document(rt, "evidence"), Until: p.ends(rt), Scope: scopes(rt, "scope"),
	}
	there := p.model.patients[q.Patient]
	if there != nil && there.deceased == often(rt, "fitting authority") {
		q.Authority = record.ExecutorAuthority
	}
	who := p.caller(rt, p.officeOf(q.Patient)...)
	evidence := p.model.documents[q.Evidence]
	want := p.model.office(who.id, p.model.home[q.Patient]) && there != nil && there.participant != q.Participant &&
		(q.Authority == record.ExecutorAuthority) == there.deceased && !p.model.over(q.Until) &&
		!p.model.people[q.Participant].suspended && evidence != nil && !evidence.erased
	if _, ok := p.do(rt, who, record.RepresentFunction, q, want); ok {
		maps.DeleteFunc(there.representatives, func(_ record.ParticipantID, r record.Representation) bool {
			return p.model.over(r.Until)
		})
		there.representatives[q.Participant] = q
	}
}

func (p *play) endRepresentation(rt *rapid.T) {
	q := record.RepresentationEnd{Patient: p.registered(rt), Participant: pick(rt, "representative", p.patients...).id}
	who := p.caller(rt, slices.Concat(p.officeOf(q.Patient), p.patients)...)
	there := p.model.patients[q.Patient]
	if there == nil {
		there = newModelPatient(record.ParticipantID{})
	}
	_, found := there.representatives[q.Participant]
	want := found && p.model.active(who.id) &&
		(who.id == q.Participant || p.model.isPatient(q.Patient, who.id) || p.model.office(who.id, p.model.home[q.Patient]))
	if _, ok := p.do(rt, who, record.EndRepresentationFunction, q, want); ok {
		delete(there.representatives, q.Participant)
	}
}

func (p *play) suspend(rt *rapid.T) { p.setSuspended(rt, record.SuspendFunction, true) }

func (p *play) reinstate(rt *rapid.T) { p.setSuspended(rt, record.ReinstateFunction, false) }

func (p *play) setSuspended(rt *rapid.T, function string, suspended bool) {
	candidates := p.all
	if !suspended && often(rt, "one who is suspended") {
		for _, somebody := range p.all {
			if p.model.people[somebody.id].suspended {
				candidates = []*person{somebody}
			}
		}
	}
	whom := pick(rt, "whom", candidates...)
	who := p.caller(rt, p.hospitalOf(whom.mspID).institution)
	want := p.model.is(who.id, record.InstitutionRole) && who.mspID == whom.mspID && whom.role != record.InstitutionRole &&
		p.model.people[whom.id].suspended != suspended
	if _, ok := p.do(rt, who, function, record.Suspension{Participant: whom.id}, want); ok {
		p.model.people[whom.id].suspended = suspended
	}
}

// teamOf is the one team of a hospital.
func teamOf(mspID string) record.ParticipantID { return record.NewParticipantID(mspID, [10]byte{0xee}) }

func (p *play) team(rt *rapid.T) {
	h := pick(rt, "hospital", p.hospitals()...)
	q := record.Team{ID: teamOf(h.mspID)}
	who := p.caller(rt, h.staff, h.clerk, h.institution)
	want := p.model.office(who.id, h.mspID)
	for _, doctor := range p.doctors {
		if doctor.mspID == h.mspID && !often(rt, "no member") || doctor.mspID != h.mspID && often(rt, "not a stranger") {
			continue
		}
		member := record.TeamMember{Participant: doctor.id}
		if rapid.Bool().Draw(rt, "shift") {
			from := p.model.now.Add(pick(rt, "from", -time.Hour, 0, time.Minute))
			member.Shifts = []record.Shift{{From: from, Until: from.Add(pick(rt, "long", 3*time.Minute, 8*time.Hour))}}
		}
		q.Members = append(q.Members, member)
		want = want && doctor.mspID == h.mspID
	}
	if _, ok := p.do(rt, who, record.SetTeamFunction, q, want); ok {
		p.model.teams[q.ID] = q
	}
}

// referrals has an institution switch referrals of its records off, or on again; and its retention periods with them.
func (p *play) referrals(rt *rapid.T) {
	h := pick(rt, "hospital", p.hospitals()...)
	q := record.InstitutionUpdate{Institution: record.Institution{Name: "A hospital", NoReferrals: !often(rt, "referrals")}}
	years := pick(rt, "retention", 0, 0, 1, 8)
	for _, kind := range kinds() {
		q.Retention = append(q.Retention, record.Retention{Kind: kind, Years: years})
	}
	who := p.caller(rt, h.institution)
	if _, ok := p.do(rt, who, record.UpdateInstitutionFunction, q, p.model.is(who.id, record.InstitutionRole)); ok {
		p.model.noReferrals[who.mspID], p.model.retention[who.mspID] = q.NoReferrals, years
	}
}
