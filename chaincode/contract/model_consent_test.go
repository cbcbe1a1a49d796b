package contract_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/medanchor/medanchor/chaincode/record"
)

func (p *play) supervise(rt *rapid.T) { p.setSupervision(rt, true) }

func (p *play) endSupervision(rt *rapid.T) { p.setSupervision(rt, false) }

func (p *play) setSupervision(rt *rapid.T, begin bool) {
	q := record.SupervisionChange{Patient: p.registered(rt)}
	who := p.caller(rt, p.officeOf(q.Patient)...)
	home := p.model.home[q.Patient]
	doctor, team := pick(rt, "doctor", p.doctors...), teamOf(home)
	h := p.hospitalOf(home)
	if often(rt, "own") {
		doctor = pick(rt, "own doctor", h.doctor, h.locum)
	} else {
		team = teamOf(doctor.mspID)
	}
	q.Participant = doctor.id
	_, known := p.model.teams[team]
	ours := doctor.mspID == home
	if known && rapid.Bool().Draw(rt, "team") {
		q.Participant, q.Team = record.ParticipantID{}, team
		ours = team == teamOf(home)
	}
	if begin && rapid.Bool().Draw(rt, "for a time") {
		q.Until = p.ends(rt)
	}
	is := func(s record.Supervisor) bool { return s.Participant == q.Participant && s.Team == q.Team }
	there := p.model.supervisors[q.Patient]
	may := p.model.office(who.id, home)
	if begin {
		want := may && ours && !p.model.over(q.Until) && p.model.patients[q.Patient] != nil &&
			(q.Team.IsZero() || known)
		if _, ok := p.do(rt, who, record.SuperviseFunction, q, want); ok {
			p.model.supervisors[q.Patient] = append(slices.DeleteFunc(there, is),
				record.Supervisor{Participant: q.Participant, Team: q.Team, Until: q.Until})
		}
		return
	}
	if _, ok := p.do(rt, who, record.EndSupervisionFunction, q, may && slices.ContainsFunc(there, is)); ok {
		p.model.supervisors[q.Patient] = slices.DeleteFunc(there, is)
	}
}

// purposes are why somebody asks.
func purposes(rt *rapid.T) record.Purpose {
	return pick(rt, "purpose", record.Treatment, record.SecondOpinion)
}

func (p *play) request(rt *rapid.T) {
	q := record.AccessRequest{
		Patient: p.registered(rt), Mode: pick(rt, "mode", record.Read, record.Write), Scope: scopes(rt, "scope"),
		Purpose: purposes(rt), Until: p.ends(rt),
	}
	who := p.caller(rt, p.doctors...)
	key := relation{q.Patient, who.id}
	pending := slices.ContainsFunc(p.model.grants[key], func(g *record.Grant) bool {
		return g.State == record.Requested && g.Mode == q.Mode && sameScope(g.Scope, q.Scope) && !p.model.over(g.Until)
	})
	want := p.model.is(who.id, record.DoctorRole) && !p.model.over(q.Until) && !p.tooLong(q.Until) && !pending &&
		p.model.patients[q.Patient] != nil && p.hasRoom(key)
	if id, ok := p.do(rt, who, record.RequestFunction, q, want); ok {
		p.addGrant(key, &record.Grant{
			ID: id, Basis: record.BasisGrant, Mode: q.Mode, Scope: q.Scope, State: record.Requested, Until: q.Until,
		})
	}
}

// sameScope says whether two scopes are the same.
func sameScope(a, b record.Scope) bool {
	return a.All == b.All && slices.Equal(a.Kinds, b.Kinds) && slices.Equal(a.Records, b.Records)
}

func (p *play) tooLong(until time.Time) bool { return until.Sub(p.model.now) > 10*366*24*time.Hour }

// settled says whether a grant is only history, and may give way when there are too many.
func (m *model) settled(g *record.Grant) bool {
	if g.Basis == record.BasisBreakGlass && g.Reviewed.IsZero() || g.Late && m.now.Sub(g.Asked) < 30*24*time.Hour+4*time.Minute {
		return false
	}
	return g.State != record.Requested && g.State != record.Approved || m.over(g.Until)
}

// hasRoom says whether there may be one more grant of a doctor: at most 16, of which the settled give way; and for themselves
// 128 that were recorded late.
func (p *play) hasRoom(key relation) bool { return p.roomFor(key, false) }

func (p *play) roomFor(key relation, late bool) bool {
	n, settled := 0, false
	for _, g := range p.model.grants[key] {
		if g.Late == late {
			n, settled = n+1, settled || p.model.settled(g)
		}
	}
	return settled || n < mostGrants(late)
}

func mostGrants(late bool) int {
	if late {
		return 128
	}
	return 16
}

func (p *play) addGrant(key relation, g *record.Grant) {
	all := p.model.grants[key]
	alike := func(other *record.Grant) bool { return other.Late == g.Late }
	if n := len(all) - len(slices.DeleteFunc(slices.Clone(all), alike)); n == mostGrants(g.Late) {
		i := slices.IndexFunc(all, func(other *record.Grant) bool { return alike(other) && p.model.settled(other) })
		all = slices.Delete(all, i, i+1)
	}
	p.model.grants[key] = append(all, g)
}

// grant is one that there is, of the basis or state mostly.
func (p *play) grant(rt *rapid.T, fits func(*record.Grant) bool) (relation, *record.Grant) {
	var keys []relation
	var grants []*record.Grant
	for _, r := range p.references {
		for _, d := range p.doctors {
			key := relation{r, d.id}
			for _, g := range p.model.grants[key] {
				if fits(g) || !often(rt, "fits") {
					keys, grants = append(keys, key), append(grants, g)
				}
			}
		}
	}
	if len(grants) == 0 {
		rt.Skip("no grants")
	}
	i := rapid.IntRange(0, len(grants)-1).Draw(rt, "grant")
	return keys[i], grants[i]
}

func (p *play) approve(rt *rapid.T) {
	key, g := p.grant(rt, func(g *record.Grant) bool { return g.State == record.Requested })
	q := record.Approval{Patient: key.patient, Participant: key.participant, Request: g.ID}
	if rapid.Bool().Draw(rt, "narrower") {
		scope := scopes(rt, "narrower scope")
		q.Scope, q.Until = &scope, p.ends(rt)
	}
	who := p.caller(rt, p.selves(key.patient)...)
	want := p.model.active(who.id) && p.mayApprove(key, g, q) && p.model.actsFor(key.patient, who.id, p.asked(g, q))
	if _, ok := p.do(rt, who, record.ApproveFunction, q, want); ok {
		p.decided(g, q, record.Approved, who.id)
	}
}

// asked is what an approval gives.
func (p *play) asked(g *record.Grant, q record.Approval) record.Scope {
	if q.Scope != nil {
		return *q.Scope
	}
	return g.Scope
}

func (p *play) mayApprove(key relation, g *record.Grant, q record.Approval) bool {
	until := q.Until
	if until.IsZero() {
		until = g.Until
	}
	return g.State == record.Requested && p.model.is(key.participant, record.DoctorRole) && !p.model.over(g.Until) &&
		!p.model.over(until) && !until.After(g.Until) && inside(p.asked(g, q), g.Scope)
}

func (p *play) decided(g *record.Grant, q record.Approval, to record.GrantState, by ...record.ParticipantID) {
	g.State, g.DecidedBy = to, by
	if to != record.Approved {
		return
	}
	g.Scope = p.asked(g, q)
	if !q.Until.IsZero() {
		g.Until = q.Until
	}
}

func (p *play) reject(rt *rapid.T) {
	p.choose(rt, record.RejectFunction, record.Requested, record.Rejected, p.selves)
}

func (p *play) revoke(rt *rapid.T) {
	p.choose(rt, record.RevokeFunction, record.Approved, record.Revoked, p.selves)
}

func (p *play) relinquish(rt *rapid.T) {
	p.choose(rt, record.RelinquishFunction, record.Approved, record.Relinquished, nil)
}

// choose has somebody end a request or a grant: the patient's side, or the grantee if nobody is given.
func (p *play) choose(rt *rapid.T, function string, from, to record.GrantState, side func(record.Reference) []*person) {
	key, g := p.grant(rt, func(g *record.Grant) bool { return g.State == from })
	q := record.Choice{Patient: key.patient, Participant: key.participant, Request: g.ID}
	var who *person
	var may bool
	if side == nil {
		i := slices.IndexFunc(p.doctors, func(d *person) bool { return d.id == key.participant })
		who = p.caller(rt, p.doctors[i])
		may = who.id == key.participant
	} else {
		who = p.caller(rt, side(key.patient)...)
		may = p.model.actsFor(key.patient, who.id, g.Scope)
	}
	states := []record.GrantState{from}
	if to == record.Relinquished {
		states = append(states, record.Requested)
	}
	if _, ok := p.do(rt, who, function, q, p.model.active(who.id) && may && slices.Contains(states, g.State)); ok {
		g.State = to
	}
}

func (p *play) refer(rt *rapid.T) {
	q := record.Referral{
		Patient: p.registered(rt), Participant: pick(rt, "grantee", p.doctors...).id, Scope: scopes(rt, "scope"),
		Purpose: purposes(rt), Until: p.ends(rt),
	}
	home := p.model.home[q.Patient]
	h := p.hospitalOf(home)
	who := p.caller(rt, append(p.officeOf(q.Patient), h.doctor, h.locum)...)
	key := relation{q.Patient, q.Participant}
	supervises := p.model.inCharge(who.id, q.Patient).Allowed
	want := (p.model.office(who.id, home) || supervises) && p.model.active(q.Participant) &&
		p.model.people[q.Participant].mspID != home && !p.model.noReferrals[home] && !p.model.over(q.Until) &&
		q.Until.Sub(p.model.now) <= 90*24*time.Hour && p.hasRoom(key) &&
		!slices.ContainsFunc(p.model.grants[key], func(g *record.Grant) bool {
			return p.lives(g, record.BasisReferral, q.Scope) && g.Until.Equal(q.Until)
		})
	if id, ok := p.do(rt, who, record.ReferFunction, q, want); ok {
		p.addGrant(key, &record.Grant{
			ID: id, Basis: record.BasisReferral, Mode: record.Read, Scope: q.Scope, State: record.Approved, Until: q.Until,
		})
	}
}

func (p *play) breakGlass(rt *rapid.T) {
	q := record.Emergency{Patient: p.registered(rt), Scope: scopes(rt, "scope")}
	who := p.caller(rt, p.doctors...)
	key := relation{q.Patient, who.id}
	var notes []record.SealedNote
	explained := often(rt, "explained")
	if explained {
		notes = append(notes, note(p.hospitalOf(p.model.home[q.Patient]).institution.id))
	}
	want := p.model.is(who.id, record.DoctorRole) && explained && p.unreviewed(who.id) < 8 && p.hasRoom(key) &&
		!slices.ContainsFunc(p.model.grants[key], func(g *record.Grant) bool {
			return p.lives(g, record.BasisBreakGlass, q.Scope)
		})
	if id, ok := p.do(rt, who, record.BreakGlassFunction, q, want, notes...); ok {
		p.addGrant(key, &record.Grant{
			ID: id, Basis: record.BasisBreakGlass, Mode: record.Read, Scope: q.Scope, State: record.Approved,
			Until: p.model.now.Add(4 * time.Hour),
		})
	}
}

// lives says whether a grant gives access by the basis, in just the scope.
func (p *play) lives(g *record.Grant, basis record.Basis, scope record.Scope) bool {
	return g.Basis == basis && p.model.live(g) && sameScope(g.Scope, scope)
}

// unreviewed counts the emergencies of a doctor that wait for review.
func (p *play) unreviewed(doctor record.ParticipantID) (n int) {
	for _, r := range p.references {
		for _, g := range p.model.grants[relation{r, doctor}] {
			if g.Basis == record.BasisBreakGlass && g.Reviewed.IsZero() {
				n++
			}
		}
	}
	return n
}

func (p *play) review(rt *rapid.T) {
	key, g := p.grant(rt, func(g *record.Grant) bool { return g.Basis == record.BasisBreakGlass && g.Reviewed.IsZero() })
	q := record.Review{
		Patient: key.patient, Participant: key.participant, Request: g.ID, Justified: rapid.Bool().Draw(rt, "justified"),
	}
	who := p.caller(rt, p.officeOf(key.patient)...)
	want := p.model.office(who.id, p.model.home[key.patient]) && g.Basis == record.BasisBreakGlass && g.Reviewed.IsZero()
	if _, ok := p.do(rt, who, record.ReviewFunction, q, want); ok {
		g.Reviewed = p.model.now
	}
}

// access has somebody open records: what is answered is what CheckAccess says, and all of it is audited.
func (p *play) access(rt *rapid.T) {
	name := p.filed(rt)
	names := p.versionsOf(name)
	if len(names) == 0 {
		rt.Skip("no versions")
	}
	reader := pick(rt, "reader", slices.Concat(p.doctors, p.patients)...)
	version := pick(rt, "version", names...)
	a := record.AccessAttempt{
		Participant: reader.id, Patient: name.Patient, Record: name.Record, Version: version, Session: record.ID{1},
	}
	home := p.hospitalOf(p.model.home[name.Patient])
	who := p.caller(rt, reader, home.appliance, p.hospitalOf(reader.mspID).appliance)
	holder := p.model.is(who.id, record.ApplianceRole) && who.mspID == home.mspID
	own := p.model.is(who.id, record.ApplianceRole) && who.mspID == reader.mspID || p.model.active(who.id) && who == reader
	want := holder || own
	p.do(rt, who, record.AccessFunction, record.Accesses{Accesses: []record.AccessAttempt{a}}, want)
	if !want {
		return
	}
	decided := p.model.check(question{reader: a.Participant, name: name, kind: p.model.versions[version].kind, mode: record.Read})
	entries := p.audit(name.Patient)
	if !slices.ContainsFunc(entries, func(e record.AuditEntry) bool {
		return e.Time.Equal(p.model.now) && e.Action == record.ActAccess && e.Actor == who.id && e.Subject == reader.id &&
			e.Denied != decided.Allowed && e.Basis == decided.Basis && e.Record == name.Record
	}) {
		rt.Fatalf("no audit entry of %+v, which is decided as %+v", a, decided)
	}
}
