package contract_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"pgregory.net/rapid"

	"github.com/medanchor/medanchor/chaincode/record"
)

// TestModel has people of three hospitals do one thing after the other, most of them what they may do, and holds the contract
// against the model: it accepts and refuses the same, and whoever asks for access gets the same answer.
func TestModel(t *testing.T) {
	whole := newWorld(t)
	done := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlay(whole.copy(t), done)
		for range 5 { // a run is 30 steps on average, which is short for a history
			rt.Repeat(p.actions())
		}
	})
	t.Log("accepted: ", done)
	for name := range newPlay(whole.copy(t), done).actions() {
		if name != "" && done[name] == 0 && !testing.Short() {
			t.Errorf("%s was never accepted: the model tries nothing with it", name)
		}
	}
}

// play is the world, and the model of it.
type play struct {
	*world
	model      *model
	stated     []record.LateEmergency // those that were tried to be recorded
	all        []*person
	doctors    []*person
	patients   []*person
	references []record.Reference
	action     string
	accepted   map[string]int // by action
}

func newPlay(w *world, accepted map[string]int) *play {
	p := &play{world: w, accepted: accepted, model: &model{
		home: map[record.Reference]string{}, people: map[record.ParticipantID]*modelPerson{},
		noReferrals: map[string]bool{}, retention: map[string]int{}, teams: map[record.ParticipantID]record.Team{},
		patients: map[record.Reference]*modelPatient{}, linkOffers: map[pair]linkOffer{},
		supervisors: map[record.Reference][]record.Supervisor{}, grants: map[relation][]*record.Grant{},
		records:   map[record.RecordName]*modelRecord{},
		documents: map[record.Tag]*modelDocument{}, versions: map[record.Tag]*modelVersion{},
		copies: map[copyKey]*modelDocument{}, holders: map[record.RecordName][]string{},
	}}
	p.patients = []*person{w.patient, w.representative, w.enrol(w.b, record.PatientRole)}
	p.all = slices.Clone(p.patients)
	for _, h := range p.hospitals() {
		p.all = append(p.all, h.institution, h.staff, h.clerk, h.appliance, h.doctor, h.locum)
		p.doctors = append(p.doctors, h.doctor, h.locum)
		for i := range 2 {
			r := record.NewReference(h.mspID, [10]byte{byte(i + 1)})
			p.references = append(p.references, r)
			p.model.home[r] = h.mspID
		}
	}
	p.references[0] = w.reference
	p.model.home[w.reference] = w.a.mspID
	p.model.patients[w.reference] = newModelPatient(w.patient.id)
	for _, who := range p.all {
		p.model.people[who.id] = &modelPerson{role: who.role, mspID: who.mspID}
	}
	p.begin()
	return p
}

// begin has the first patient known at the second hospital too, under a reference that somebody else signs for; and each of
// the two hospitals hold records, and the second one a copy.
func (p *play) begin() {
	p.tick()
	a1, b1, b2 := p.references[0], p.references[2], p.references[3]
	for _, q := range []record.PatientRegistration{{Patient: b1, Participant: p.patients[2].id}, {Patient: b2}} {
		p.must(p.b.staff, record.RegisterPatientFunction, q)
		p.model.patients[q.Patient] = newModelPatient(q.Participant)
	}
	q := record.Link{Patient: a1, To: b1}
	p.must(p.a.staff, record.LinkFunction, q)
	p.must(p.b.staff, record.LinkFunction, q)
	p.makeLink(q, modelLink{other: p.patients[2].id}, modelLink{other: p.patient.id})
	for i, h := range []*hospital{p.a, p.a, p.b, p.b} {
		d := tag(fmt.Sprint("document ", i))
		v := record.Version{
			Patient: []record.Reference{a1, a1, b1, b2}[i], Record: records()[i%2], Kind: record.KindLetter,
			Documents: []record.Document{{Tag: d, CID: content(h.mspID)}},
		}
		p.anchor(h, v)
		p.model.anchor(h.mspID, []record.Version{v})
	}
	d := tag("document 0")
	c := record.Copy{Record: records()[0], Version: d, Tag: d, CID: content(p.b.mspID)}
	p.must(p.b.appliance, record.HoldCopyFunction, record.Copies{Patient: b1, Of: a1, Copies: []record.Copy{c}})
	p.model.copies[copyKey{p.b.mspID, d}] = &modelDocument{cid: c.CID, mspID: p.b.mspID}
	p.model.addHolder(record.RecordName{Patient: a1, Record: c.Record}, p.b.mspID)
}

func newModelPatient(participant record.ParticipantID) *modelPatient {
	return &modelPatient{
		participant: participant, representatives: map[record.ParticipantID]record.Representation{},
	}
}

func (p *play) hospitals() []*hospital { return []*hospital{p.a, p.b, p.c} }

func (p *play) hospitalOf(mspID string) *hospital {
	for _, h := range p.hospitals() {
		if h.mspID == mspID {
			return h
		}
	}
	return nil
}

func (p *play) actions() map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){
		"register": p.register, "deceased": p.deceased, "link": p.link, "unlink": p.unlink, "merge": p.merge,
		"represent": p.represent, "end representation": p.endRepresentation, "suspend": p.suspend,
		"reinstate": p.reinstate, "team": p.team, "referrals": p.referrals,
		"anchor": p.anchorBatch, "withdraw": p.withdraw, "refile": p.refile, "hold copies": p.holdCopies,
		"ask for erasure": p.askErasure, "legal hold": p.legalHold, "end legal hold": p.endLegalHold,
		"propose appointment": p.proposeAppointment, "accept appointment": p.acceptAppointment,
		"decline appointment": p.declineAppointment, "cancel appointment": p.cancelAppointment,
		"complete appointment": p.completeAppointment,
		"supervise":            p.supervise, "end supervision": p.endSupervision, "request": p.request, "approve": p.approve,
		"reject": p.reject, "revoke": p.revoke, "relinquish": p.relinquish, "refer": p.refer, "break glass": p.breakGlass,
		"review": p.review, "access": p.access, "propose decision": p.proposeDecision, "confirm": p.confirm,
		"decline": p.decline, "release": p.releaseKeys, "end releases": p.endReleases, "hand over": p.handOver,
		"late emergency": p.lateEmergency,
	}
	named := map[string]func(*rapid.T){"": p.holds}
	for name, action := range actions {
		named[name] = func(rt *rapid.T) {
			p.action = name
			p.tick()
			action(rt)
		}
	}
	named["later"] = p.later
	return named
}

// tick tells the model what time it is.
func (p *play) tick() { p.model.now, p.model.clock = p.now().UTC(), p.ledger.now }

// later moves the clock.
func (p *play) later(rt *rapid.T) {
	d := pick(rt, "later", time.Minute, 2*time.Minute, time.Hour, 4*time.Hour, 24*time.Hour, 8*24*time.Hour)
	p.advance(d)
	p.accepted["later"]++
	rt.Logf("%v later", d)
}

// pick takes one of a few. It draws the place only, which reads better in a report than a certificate.
func pick[T any](rt *rapid.T, label string, from ...T) T {
	return from[rapid.IntRange(0, len(from)-1).Draw(rt, label)]
}

// often is true most times.
func often(rt *rapid.T, label string) bool { return rapid.IntRange(0, 5).Draw(rt, label) < 5 }

// caller is one of the people who rightly do it; or anybody.
func (p *play) caller(rt *rapid.T, rightful ...*person) *person {
	if len(rightful) > 0 && often(rt, "rightful caller") {
		return pick(rt, "caller", rightful...)
	}
	return pick(rt, "any caller", p.all...)
}

// officeOf are the people of the office of a reference's institution.
func (p *play) officeOf(r record.Reference) []*person {
	h := p.hospitalOf(p.model.home[r])
	return []*person{h.staff, h.clerk, h.institution}
}

// selves are the people who may act for a patient.
func (p *play) selves(r record.Reference) (who []*person) {
	for _, somebody := range p.patients {
		if p.model.actsFor(r, somebody.id, record.Scope{}) {
			who = append(who, somebody)
		}
	}
	return who
}

func (p *play) reference(rt *rapid.T) record.Reference { return pick(rt, "patient", p.references...) }

// patientRef is a registered patient, mostly.
func (p *play) registered(rt *rapid.T) record.Reference {
	if often(rt, "registered") {
		for _, r := range p.references {
			if p.model.patients[r] != nil && rapid.Bool().Draw(rt, "this one") {
				return r
			}
		}
	}
	return p.reference(rt)
}

// do runs a function as the person, and fails unless it is accepted or refused as the model says. A refusal leaves the state as
// it was, but for the entry of a denial.
func (p *play) do(rt *rapid.T, who *person, function string, request any, want bool, notes ...record.SealedNote,
) (record.ID, bool) {
	return p.doWith(rt, who, function, request, want, sealedNotes(p.t, notes))
}

// doWith is do, with any transient data.
func (p *play) doWith(rt *rapid.T, who *person, function string, request any, want bool, transient map[string][]byte,
) (record.ID, bool) {
	answer, refused, tx := p.transactWith(who, function, request, transient)
	if problem := consistent(tx, false); problem != nil {
		rt.Fatalf("%s: %v", function, problem)
	}
	rt.Logf("%s: %s by %s %s of %s: %s: %v", p.model.now, function, who.role, who.id, who.mspID, tx.arguments[1], refused)
	if (refused == nil) != want {
		rt.Fatalf("%s: got %v, want accepted: %t", function, refused, want)
	}
	if want {
		p.accepted[p.action]++
	}
	return answer.ID, want
}

// holds checks what must always be true.
func (p *play) holds(rt *rapid.T) {
	p.tick()
	for i := range 6 {
		p.checkAccess(rt, i)
	}
	p.checkDocuments(rt)
	p.checkReleases(rt)
}

func (p *play) checkAccess(rt *rapid.T, i int) {
	label := func(what string) string { return fmt.Sprintf("%s %d", what, i) }
	reader := pick(rt, label("reader"), slices.Concat(p.doctors, p.doctors, p.all)...)
	q := question{
		reader: reader.id,
		name:   record.RecordName{Patient: pick(rt, label("of"), p.references...), Record: pick(rt, label("record"), records()...)},
		mode:   pick(rt, label("mode"), record.Read, record.Read, record.Write),
	}
	version := ""
	if names := p.versionsOf(q.name); len(names) > 0 && often(rt, label("by version")) {
		name := pick(rt, label("version"), names...)
		version, q.kind = name.String(), p.model.versions[name].kind
	}
	want := p.model.check(q)
	got, refused := ask[record.Access](p.world, reader, record.CheckAccessFunction, q.reader.String(),
		q.name.Patient.String(), q.name.Record.String(), version, string(q.mode))
	if refused != nil {
		rt.Fatalf("ask for access: %v", refused)
	}
	if !sameAccess(got, want) {
		rt.Fatalf("%s %s of %s reads %+v (%s): got %+v, want %+v", reader.role, reader.id, reader.mspID, q.name, q.mode, got, want)
	}
	if got.Allowed {
		p.accepted["access by "+got.Basis.String()]++
		own := p.model.grants[relation{q.name.Patient, q.reader}]
		if got.Basis == record.BasisSupervision && reader.mspID != p.model.home[q.name.Patient] {
			p.accepted["access by supervision where a copy is"]++
		}
		if !got.Grant.IsZero() && !slices.ContainsFunc(own, func(g *record.Grant) bool { return g.ID == got.Grant }) {
			p.accepted["access by linked grant"]++
		}
	}
}

func sameAccess(a, b record.Access) bool {
	return a.Allowed == b.Allowed && a.Basis == b.Basis && a.Reason == b.Reason && a.Until.Equal(b.Until) && a.Grant == b.Grant
}

// versionsOf are the names of a record's versions, in a fixed order.
func (p *play) versionsOf(n record.RecordName) (names []record.Tag) {
	for name, v := range p.model.versions {
		if v.name == n {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b record.Tag) int { return slices.Compare(a[:], b[:]) })
	return names
}

// checkDocuments compares all documents, versions and copies: each document once, in one version, and nothing that was erased
// comes back.
func (p *play) checkDocuments(rt *rapid.T) {
	documents, versions, copies := 0, 0, 0
	for key, v := range p.ledger.state {
		switch key[0] {
		case 'D':
			documents++
			tag, _ := record.ParseDocumentKey(key)
			stored, _ := record.DecodeDocument(v.value)
			want := p.model.documents[tag]
			if want == nil || want.erased != stored.Erased() || !want.erased && want.cid != stored.CID {
				rt.Fatalf("document %s is %+v, want %+v", tag, stored, want)
			}
		case 'R':
			versions++
			stored, _ := record.DecodeVersion(key, v.value)
			p.checkVersion(rt, stored)
		case 'O':
			copies++
		}
	}
	if documents != len(p.model.documents) || versions != len(p.model.versions) || copies != len(p.model.copies) {
		rt.Fatalf("%d documents in %d versions, %d copies: want %d, %d, %d", documents, versions, copies,
			len(p.model.documents), len(p.model.versions), len(p.model.copies))
	}
	for h, want := range p.model.copies {
		key := record.HoldingKey(record.InstitutionID(h.mspID).Institution(), h.tag)
		stored, err := record.DecodeHolding(p.ledger.state[key].value)
		if err != nil || want.erased != stored.Erased() || !want.erased && want.cid != stored.CID {
			rt.Fatalf("copy %s is %+v (%v), want %+v", h.tag, stored, err, want)
		}
	}
}

func (p *play) checkVersion(rt *rapid.T, stored record.AnchoredVersion) {
	want := p.model.versions[stored.Name()]
	if want == nil || stored.Patient != want.name.Patient || stored.Record != want.name.Record ||
		stored.Kind != want.kind || len(stored.Documents) != len(want.documents) {
		rt.Fatalf("version %+v, want %+v", stored, want)
	}
	for i, d := range stored.Documents {
		if d.Tag != want.documents[i] || p.model.documents[d.Tag].version != stored.Name() {
			rt.Fatalf("version %s has the document %s", stored.Name(), d.Tag)
		}
	}
}

// outcomes of an anchoring, or none if it was refused.
func (p *play) submit(rt *rapid.T, who *person, batch map[string][]byte) ([]record.Outcome, *record.Error) {
	tx := p.ledger.endorse(who.creator, batch, record.AnchorFunction)
	if problem := consistent(tx, false); problem != nil {
		rt.Fatal(problem)
	}
	if tx.response.GetStatus() != shim.OK {
		return nil, refusalOf(p.t, tx)
	}
	if !p.ledger.commit(tx) {
		rt.Fatal("the anchoring became invalid")
	}
	result, err := record.DecodeResult(tx.response.GetPayload())
	if err != nil {
		rt.Fatal(err)
	}
	return result.Outcomes, nil
}
