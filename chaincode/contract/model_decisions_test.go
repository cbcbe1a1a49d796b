package contract_test

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/medanchor/medanchor/chaincode/record"
)

// proposeDecision has one of the office propose what needs two: what a patient without a key decided, another participant for
// a patient, or an erasure. What the subject is, is checked when another one confirms.
func (p *play) proposeDecision(rt *rapid.T) {
	var q record.Proposal
	switch pick(rt, "about", "erase", "erase", "refuse erasure", "assist", "bind") {
	case "erase":
		q.Erase = p.erasure(rt)
	case "refuse erasure":
		q.RefuseErasure = &record.ErasureRefusal{
			RecordName: p.filed(rt), Reason: pick(rt, "reason", record.RefusedByHold, record.RefusedByInterest),
		}
	case "assist":
		q.Assist = p.assisted(rt)
	case "bind":
		q.BindPatient = &record.PatientRegistration{Patient: p.registered(rt)}
		if often(rt, "somebody") {
			q.BindPatient.Participant = pick(rt, "participant", p.patients...).id
		}
	}
	who := p.caller(rt, p.officeOf(q.About())...)
	want := p.model.office(who.id, p.model.home[q.About()]) && p.mayCarryOut(who.mspID, q)
	if id, ok := p.do(rt, who, record.ProposeFunction, q, want); ok {
		p.model.decisions = append(p.model.decisions, &modelDecision{
			id: id, mspID: who.mspID, proposal: q, by: who.id, made: p.model.now,
		})
	}
}

// erasure names versions of a record, or copies of another institution's.
func (p *play) erasure(rt *rapid.T) *record.Erasure {
	name := p.filed(rt)
	q := &record.Erasure{RecordName: name}
	for i := range 12 {
		d := tag(fmt.Sprint("document ", i))
		held := p.model.copies[copyKey{p.model.home[name.Patient], d}]
		if held != nil && rapid.Bool().Draw(rt, "a copy") {
			q.Copies = append(q.Copies, d)
		}
	}
	for _, v := range p.versionsOf(name) {
		if often(rt, "this version") {
			q.Versions = append(q.Versions, v)
		}
	}
	if len(q.Versions)+len(q.Copies) == 0 {
		q.Copies = []record.Tag{p.document(rt, "copy")}
	}
	return q
}

func (p *play) assisted(rt *rapid.T) *record.AssistedChoice {
	key, g := p.grant(rt, func(g *record.Grant) bool { return g.State == record.Requested })
	q := &record.AssistedChoice{
		Approval: record.Approval{Patient: key.patient, Participant: key.participant, Request: g.ID},
		Decision: pick(rt, "decision", record.Approved, record.Approved, record.Rejected, record.Revoked),
		Form:     p.document(rt, "form"), Reason: pick(rt, "reason", record.NoKey, record.NoDevice),
	}
	return q
}

// mayCarryOut says whether what is proposed can be done now.
func (p *play) mayCarryOut(mspID string, q record.Proposal) bool {
	switch {
	case q.Erase != nil:
		return p.mayErase(mspID, *q.Erase)
	case q.RefuseErasure != nil:
		s := p.model.record(q.RefuseErasure.RecordName)
		return s.asked && (q.RefuseErasure.Reason != record.RefusedByHold || len(s.holds) > 0)
	case q.Assist != nil:
		return p.mayAssist(*q.Assist)
	}
	there := p.model.patients[q.BindPatient.Patient]
	bound := p.model.people[q.BindPatient.Participant] // nil for nobody
	return there != nil && there.participant != q.BindPatient.Participant && !there.participant.IsZero() &&
		(bound == nil || bound.role == record.PatientRole && !bound.suspended)
}

func (p *play) mayErase(mspID string, q record.Erasure) bool {
	s := p.model.record(q.RecordName)
	left := 0
	for _, name := range q.Versions {
		v := p.model.versions[name]
		if v == nil || v.name != q.RecordName || v.mspID != mspID {
			return false
		}
		if years, kept := p.model.retention[mspID]; kept && p.model.now.Before(v.date.AddDate(years, 0, 0)) {
			return false
		}
		for _, d := range v.documents {
			if !p.model.documents[d].erased {
				left++
			}
		}
	}
	for _, d := range q.Copies {
		held := p.model.copies[copyKey{mspID, d}]
		if held == nil {
			return false
		}
		if !held.erased {
			left++
		}
	}
	return len(s.holds) == 0 && left > 0
}

func (p *play) mayAssist(q record.AssistedChoice) bool {
	key := relation{q.Patient, q.Participant}
	i := slices.IndexFunc(p.model.grants[key], func(g *record.Grant) bool { return g.ID == q.Request })
	form := p.model.documents[q.Form]
	there := p.model.patients[q.Patient]
	if i < 0 || form == nil || form.erased || there == nil || q.Reason == record.NoKey && !there.participant.IsZero() ||
		q.Decision == record.Approved && there.deceased {
		return false
	}
	g := p.model.grants[key][i]
	if q.Decision == record.Approved {
		return p.mayApprove(key, g, q.Approval)
	}
	from := map[record.GrantState]record.GrantState{record.Rejected: record.Requested, record.Revoked: record.Approved}
	return g.State == from[q.Decision]
}

func (p *play) confirm(rt *rapid.T) { p.settle(rt, record.ConfirmFunction, true) }

func (p *play) decline(rt *rapid.T) { p.settle(rt, record.DeclineFunction, false) }

func (p *play) settle(rt *rapid.T, function string, confirm bool) {
	if len(p.model.decisions) == 0 {
		rt.Skip("no decisions")
	}
	waits := func(d *modelDecision) bool {
		return !d.settled && p.model.now.Before(d.made.Add(7*24*time.Hour-2*time.Minute))
	}
	d := pick(rt, "decision", p.model.decisions...)
	if i := slices.IndexFunc(p.model.decisions, waits); i >= 0 && often(rt, "one that waits") {
		d = p.model.decisions[i]
	}
	h := p.hospitalOf(d.mspID)
	who := p.caller(rt, h.staff, h.clerk, h.institution)
	want := p.model.office(who.id, d.mspID) && waits(d)
	if confirm {
		want = want && who.id != d.by && p.model.active(d.by) && p.mayCarryOut(d.mspID, d.proposal)
	}
	if _, ok := p.do(rt, who, function, record.DecisionName{Decision: d.id}, want); ok {
		d.settled = true
		if confirm {
			p.carryOut(d, who.id)
		}
	}
}

func (p *play) carryOut(d *modelDecision, second record.ParticipantID) {
	switch q := d.proposal; {
	case q.Erase != nil:
		p.model.erase(d.mspID, *q.Erase)
	case q.RefuseErasure != nil:
		p.model.record(q.RefuseErasure.RecordName).asked = false
	case q.BindPatient != nil:
		p.model.patients[q.BindPatient.Patient].participant = q.BindPatient.Participant
	case q.Assist != nil:
		all := p.model.grants[relation{q.Assist.Patient, q.Assist.Participant}]
		g := all[slices.IndexFunc(all, func(g *record.Grant) bool { return g.ID == q.Assist.Request })]
		p.decided(g, q.Assist.Approval, q.Assist.Decision, d.by, second)
		g.Assisted = true
	}
}

func (m *model) erase(mspID string, q record.Erasure) {
	for _, name := range q.Versions {
		for _, d := range m.versions[name].documents {
			m.documents[d].erased = true
		}
	}
	for _, d := range q.Copies {
		m.copies[copyKey{mspID, d}].erased = true
	}
	s := m.record(q.RecordName)
	s.erased, s.asked = true, false
}
