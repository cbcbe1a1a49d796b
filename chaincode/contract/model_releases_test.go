package contract_test

import (
	"crypto/sha256"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/medanchor/medanchor/chaincode/record"
)

// holds says whether an institution has a payload of the document, of its own.
func (m *model) holds(mspID string, d record.ReleasedDocument) bool {
	first, copied := m.documents[d.Tag], m.copies[copyKey{mspID, d.Tag}]
	return first != nil && !first.erased && first.mspID == mspID && first.cid == d.CID ||
		copied != nil && !copied.erased && copied.cid == d.CID
}

// releaseKeys has an institution give keys to somebody, mostly of what it holds, by a right that they mostly have.
func (p *play) releaseKeys(rt *rapid.T) {
	h := pick(rt, "custodian", p.hospitals()...)
	q, sealed, want := p.keys(rt, h)
	who := p.caller(rt, h.appliance)
	want = want && p.model.is(who.id, record.ApplianceRole) && p.model.active(q.Recipient)
	made := &modelRelease{mspID: who.mspID, patient: q.Patient, recipient: q.Recipient, until: q.Until}
	for _, v := range sealed.Versions {
		for _, d := range v.Documents {
			want = want && p.model.holds(who.mspID, d)
		}
		access := p.model.check(question{
			reader: q.Recipient, name: record.RecordName{Patient: q.Patient, Record: v.Record},
			kind: p.model.versions[v.Version].kind, mode: record.Read, from: who.mspID,
		})
		want = want && access.Allowed && q.Grant == access.Grant && q.Until.Equal(access.Until)
	}
	id, ok := p.doWith(rt, who, record.ReleaseFunction, q, want, sealedField(sealed))
	if !ok {
		return
	}
	if h.mspID != p.model.home[q.Patient] {
		p.accepted["release of copies"]++
	}
	made.id = id
	p.model.releases = append(p.model.releases, made)
}

// keys are those of a version or two of one patient; and whether the recipient's key, and the documents, are as they should be.
func (p *play) keys(rt *rapid.T, h *hospital) (q record.Release, sealed record.SealedRelease, ok bool) {
	var names []record.Tag
	for _, name := range p.names() {
		names = append(names, p.versionsOf(name)...)
	}
	good := slices.DeleteFunc(slices.Clone(names), func(name record.Tag) bool {
		d := p.model.versions[name].documents[0]
		return !p.model.holds(h.mspID, p.payload(h, d)) || len(p.readers(h, name)) == 0
	})
	first := pick(rt, "any version", names...)
	if len(good) > 0 && often(rt, "one that is held, and read") {
		first = pick(rt, "version", good...)
	}
	versions := []record.Tag{first}
	for _, name := range names {
		same := p.model.versions[name].name.Patient == p.model.versions[first].name.Patient
		if same && name != first && !often(rt, "not this one") {
			versions = append(versions, name)
		}
	}
	sealed = record.SealedRelease{Encapsulated: make([]byte, record.EncapsulatedKeySize)}
	for _, name := range versions {
		v := p.model.versions[name]
		one := record.ReleasedVersion{Record: v.name.Record, Version: name}
		for _, d := range v.documents {
			payload := p.payload(h, d)
			if !often(rt, "the payload") {
				payload.CID = content("another")
			}
			one.Documents = append(one.Documents, payload)
		}
		sealed.Versions = append(sealed.Versions, one)
	}
	reader := p.reader(rt, h, versions[0])
	q = p.releaseTo(reader, record.ID{})
	q.Patient, ok = p.model.versions[first].name.Patient, often(rt, "the present key")
	if !ok {
		q.Key[0]++
	}
	v := p.model.versions[first]
	access := p.model.check(question{reader: reader.id, name: v.name, kind: v.kind, mode: record.Read, from: h.mspID})
	q.Grant, q.Until = access.Grant, access.Until
	if !often(rt, "that grant") {
		q.Grant = pick(rt, "grant", record.ID{}, record.ID{0xff})
	}
	if !often(rt, "until then") {
		q.Until = pick(rt, "until", time.Time{}, p.model.now)
	}
	return q, sealed, ok
}

// payload is the document as a hospital holds it, or as who anchored it does.
func (p *play) payload(h *hospital, d record.Tag) record.ReleasedDocument {
	payload := record.ReleasedDocument{Tag: d, CID: content("erased")}
	if copied := p.model.copies[copyKey{h.mspID, d}]; copied != nil && !copied.erased {
		payload.CID = copied.cid
	} else if first := p.model.documents[d]; !first.erased {
		payload.CID = first.cid
	}
	return payload
}

// readers are those who may read a version, as a hospital holds it.
func (p *play) readers(h *hospital, version record.Tag) (may []*person) {
	v := p.model.versions[version]
	for _, who := range slices.Concat(p.doctors, p.patients) {
		q := question{reader: who.id, name: v.name, kind: v.kind, mode: record.Read, from: h.mspID}
		if p.model.check(q).Allowed {
			may = append(may, who)
		}
	}
	return may
}

func (p *play) reader(rt *rapid.T, h *hospital, version record.Tag) *person {
	if may := p.readers(h, version); len(may) > 0 && often(rt, "who may read") {
		return pick(rt, "reader", may...)
	}
	return pick(rt, "any reader", p.all...)
}

func (p *play) endReleases(rt *rapid.T) {
	if len(p.model.releases) == 0 {
		rt.Skip("no releases")
	}
	first := pick(rt, "release", p.model.releases...)
	who := p.caller(rt, p.hospitalOf(first.mspID).appliance)
	q := record.ReleaseEnd{Patient: first.patient}
	want := p.model.is(who.id, record.ApplianceRole)
	var ended []*modelRelease
	for _, r := range p.model.releases {
		if r != first && (r.patient != first.patient || often(rt, "not this one")) || len(ended) == record.MaxEndedReleases {
			continue
		}
		q.Releases = append(q.Releases, record.ReleaseName{Recipient: r.recipient, ID: r.id})
		want = want && (r.ended || r.mspID == who.mspID)
		ended = append(ended, r)
	}
	if _, ok := p.do(rt, who, record.EndReleaseFunction, q, want); ok {
		for _, r := range ended {
			r.ended = true
		}
	}
}

// checkReleases compares all releases, on the ledger and in the collection.
func (p *play) checkReleases(rt *rapid.T) {
	there, sealed, want := 0, 0, 0
	for key := range p.ledger.state {
		if record.IsReleaseKey(key) {
			there++
		}
	}
	for key := range p.ledger.private {
		if _, _, _, err := record.ParseReleaseKey(key[len(record.MembersCollection)+1:]); err == nil {
			sealed++
		}
	}
	for _, r := range p.model.releases {
		key := record.ReleaseKey(r.patient, r.recipient, r.id)
		stored, err := record.DecodeRelease(p.ledger.state[key].value)
		if r.ended {
			continue
		}
		want++
		if err != nil || stored.Institution != record.InstitutionID(r.mspID).Institution() || !stored.Until.Equal(r.until) ||
			len(p.ledger.private[record.MembersCollection+"/"+key]) == 0 {
			rt.Fatalf("release %s is %+v (%v), want %+v", r.id, stored, err, r)
		}
	}
	if there != want || sealed != want {
		rt.Fatalf("%d releases, and %d sealed: want %d", there, sealed, want)
	}
}

func (p *play) handOver(rt *rapid.T) {
	link, a, _ := p.twoOf(rt)
	if a != nil && len(a.links) > 0 && often(rt, "linked") {
		link.To = pick(rt, "link", a.links...).to
	}
	to := pick(rt, "recipient", p.all...)
	if often(rt, "its appliance") {
		to = p.hospitalOf(p.model.home[link.To]).appliance
	}
	q := record.HandOver{Patient: link.Patient, To: link.To, Recipient: to.id}
	who := p.caller(rt, p.hospitalOf(p.model.home[q.Patient]).appliance)
	var notes []record.SealedNote
	if often(rt, "with the secret") {
		notes = append(notes, note(to.id))
	}
	want := p.model.is(who.id, record.ApplianceRole) && who.mspID == p.model.home[q.Patient] && a != nil && linked(a, q.To) &&
		p.model.is(to.id, record.ApplianceRole) && to.mspID == p.model.home[q.To] && len(notes) > 0
	p.do(rt, who, record.HandOverFunction, q, want, notes...)
}

// lateEmergency has an appliance record what a doctor signed while the ledger was away; or once more what was recorded before.
func (p *play) lateEmergency(rt *rapid.T) {
	doctor := pick(rt, "doctor", p.doctors...)
	q := p.statement(rt, doctor)
	if len(p.stated) > 0 && !often(rt, "a new one") {
		q = pick(rt, "statement", p.stated...)
		doctor = p.personOf(q.Participant)
	}
	p.stated = append(p.stated, q)
	home := p.hospitalOf(p.model.home[q.Patient])
	who := p.caller(rt, home.appliance)
	key := relation{q.Patient, q.Participant}
	var notes []record.SealedNote
	if often(rt, "explained") {
		notes = append(notes, note(home.institution.id))
	}
	recorded := slices.ContainsFunc(p.model.grants[key], func(g *record.Grant) bool { return g.ID == q.ID })
	want := p.model.is(who.id, record.ApplianceRole) && who.mspID == home.mspID && doctor.mspID == home.mspID &&
		len(notes) > 0 && !recorded && q.Time.Sub(p.model.now) <= 2*time.Minute && p.model.now.Sub(q.Time) <= 30*24*time.Hour &&
		p.unreviewed(q.Participant) < 8+128 && p.roomFor(key, true)
	if _, ok := p.do(rt, who, record.LateEmergencyFunction, q, want, notes...); ok {
		p.addGrant(key, &record.Grant{
			ID: q.ID, Basis: record.BasisBreakGlass, Mode: record.Read, Scope: record.Scope{Records: []record.Tag{q.Record}},
			State: record.Approved, Asked: q.Time, Until: q.Time.Add(4 * time.Hour), Late: true,
		})
	}
}

// statement is of a patient of the doctor's own hospital, mostly, and of a time at which it can be.
func (p *play) statement(rt *rapid.T, doctor *person) record.LateEmergency {
	reason := sha256.Sum256([]byte("unconscious"))
	s := record.EmergencyStatement{
		Patient: p.reference(rt), Participant: doctor.id, Record: pick(rt, "record", records()...),
		ID: record.ID{0xee, byte(len(p.stated) >> 8), byte(len(p.stated))}, Reason: reason[:],
	}
	if often(rt, "own patient") {
		var own []record.Reference
		for _, r := range p.references {
			if p.model.home[r] == doctor.mspID {
				own = append(own, r)
			}
		}
		s.Patient = pick(rt, "which", own...)
	}
	s.Time = p.model.now.Add(pick(rt, "when", -time.Minute, -time.Hour, -29*24*time.Hour, -31*24*time.Hour, 2*time.Minute, 3*time.Minute))
	return signed(p.t, doctor, s)
}

func (p *play) personOf(id record.ParticipantID) *person {
	return p.all[slices.IndexFunc(p.all, func(who *person) bool { return who.id == id })]
}
