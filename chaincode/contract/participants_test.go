package contract_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

func (w *world) participantOf(id record.ParticipantID) record.Participant {
	w.t.Helper()
	return stateOf[record.Participant](w, record.ParticipantKey(id))
}

// invited is somebody whom the hospital invited, and who has not joined.
func (w *world) invited(h *hospital, role record.Role) *person {
	w.t.Helper()
	p := newPerson(w.t, h.mspID, role, record.NewParticipantID(h.mspID, w.random()))
	w.must(h.institution, record.InviteFunction, record.Invite{Participant: p.id, Role: role})
	return p
}

// joining is the request by which a person binds their key.
func (w *world) joining(p *person) record.Join {
	w.t.Helper()
	key, signature := p.encryptionKey(w.t)
	return record.Join{EncryptionKey: key, Signature: signature}
}

// certified is the person with a certificate of the member's CA for another key, or one that claims something else.
func (w *world) certified(p *person, change func(*person)) *person {
	w.t.Helper()
	c := *p
	change(&c)
	return newPersonWith(w.t, c.key, c.mspID, map[string]string{
		record.RoleAttribute: string(c.role), record.ParticipantAttribute: c.id.String(),
	}, c.role, c.id)
}

// rotation replaces the person's key by the next one's.
func (w *world) rotation(p, next *person) record.Rotation {
	w.t.Helper()
	key, signature := next.encryptionKey(w.t)
	return record.Rotation{
		NewKey: next.spki, Proof: next.sign(w.t, record.RotationMessage(p.id, next.spki)),
		EncryptionKey: key, Signature: signature,
	}
}

func (w *world) wantHere(h *hospital, want record.AuditEntry) {
	w.t.Helper()
	w.wantAudit(record.InstitutionReference(h.institution.id.Institution()), want)
}

func TestRegisterInstitution(t *testing.T) {
	w := newWorld(t)
	const mspID = "NewMSP"
	id := record.InstitutionID(mspID)
	good := newPerson(t, mspID, record.InstitutionRole, id)
	withID := func(id record.ParticipantID) *person { return w.certified(good, func(p *person) { p.id = id }) }
	withRole := func(role record.Role) *person { return w.certified(good, func(p *person) { p.role = role }) }
	second := newPerson(t, w.a.mspID, record.InstitutionRole, w.a.institution.id)
	withoutAttributes := newPersonWith(t, good.key, mspID, nil, good.role, id)
	tests := map[string]struct {
		by     *person
		signer *person // of the encryption key; default: by
		refuse record.Code
	}{
		"the first of a member":               {by: good},
		"the second of a member":              {by: second, refuse: record.Exists},
		"who takes part already":              {by: w.a.institution, refuse: record.Forbidden},
		"a member of its staff":               {by: w.a.staff, refuse: record.Forbidden},
		"whose certificate claims staff":      {by: withRole(record.StaffRole), refuse: record.Forbidden},
		"whose certificate claims another ID": {by: withID(w.a.institution.id), refuse: record.Forbidden},
		"without attributes":                  {by: withoutAttributes, refuse: record.Forbidden},
		"whose encryption key another signed": {by: good, signer: w.a.institution, refuse: record.BadRequest},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := w.copy(t)
			signer := test.by
			if test.signer != nil {
				signer = test.signer
			}
			key, _ := test.by.encryptionKey(t)
			q := record.InstitutionRegistration{
				Institution: record.Institution{Name: "New", Addresses: []string{"/dns/new.example/tcp/4001"}}, EncryptionKey: key,
				Signature: signer.sign(t, record.EncryptionKeyMessage(test.by.id, key)),
			}
			if test.refuse != "" {
				w.refuse(test.refuse, test.by, record.RegisterInstitutionFunction, q)
				return
			}
			w.must(test.by, record.RegisterInstitutionFunction, q)
			p := w.participantOf(id)
			if p.Role != record.InstitutionRole || p.Status != record.Active || p.MSPID != mspID ||
				p.Institution.Name != "New" || p.Key != record.FingerprintOf(mspID, good.spki) {
				t.Errorf("registered %+v", p)
			}
			w.wantAudit(record.InstitutionReference(id.Institution()), record.AuditEntry{
				Action: record.ActRegisterInstitution, Basis: record.BasisParticipant, Actor: id, Subject: id,
			})
		})
	}
}

// TestPrefixIsOfOneMember: two members whose IDs begin alike would share their patients.
func TestPrefixIsOfOneMember(t *testing.T) {
	w := newWorld(t)
	p := newPerson(t, "NewMSP", record.InstitutionRole, record.InstitutionID("NewMSP"))
	w.store(record.PrefixKey(p.id.Institution()), record.PrefixHolder{
		V: record.SchemaVersion, Institution: w.a.institution.id,
	})
	key, signature := p.encryptionKey(t)
	w.refuse(record.Exists, p, record.RegisterInstitutionFunction, record.InstitutionRegistration{
		Institution: record.Institution{Name: "New"}, EncryptionKey: key, Signature: signature,
	})
}

func TestUpdateInstitution(t *testing.T) {
	w := newWorld(t)
	q := record.InstitutionUpdate{Institution: record.Institution{
		Name: "St Mary's", Retention: []record.Retention{{Kind: record.KindImaging, Years: 8}}, NoReferrals: true,
	}}
	before := w.participantOf(w.a.institution.id)
	w.refuse(record.Forbidden, w.a.staff, record.UpdateInstitutionFunction, q)
	w.must(w.a.institution, record.UpdateInstitutionFunction, q)
	after := w.participantOf(w.a.institution.id)
	if i := after.Institution; i.Name != "St Mary's" || len(i.Retention) != 1 || !i.NoReferrals || len(i.Addresses) != 0 {
		t.Errorf("updated to %+v", i)
	}
	if after.Key != before.Key || after.Status != record.Active {
		t.Errorf("became %+v", after)
	}
	w.must(w.a.institution, record.UpdateInstitutionFunction, q)
}

func TestInvite(t *testing.T) {
	w := newWorld(t)
	allowed := map[record.Role][]*person{
		record.DoctorRole:         {w.a.institution},
		record.StaffRole:          {w.a.institution},
		record.ApplianceRole:      {w.a.institution},
		record.PatientRole:        {w.a.institution, w.a.staff},
		record.RepresentativeRole: {w.a.institution, w.a.staff},
	}
	everybody := []*person{
		w.a.institution, w.a.staff, w.a.doctor, w.a.appliance, w.patient, w.b.institution, w.b.staff,
	}
	for role, by := range allowed {
		for _, p := range everybody {
			q := record.Invite{Participant: record.NewParticipantID(w.a.mspID, w.random()), Role: role}
			if !slices.Contains(by, p) {
				w.refuse(record.Forbidden, p, record.InviteFunction, q)
				continue
			}
			w.must(p, record.InviteFunction, q)
			if got := w.participantOf(q.Participant); got.Role != role || got.Status != record.Invited ||
				got.MSPID != w.a.mspID || !got.Key.IsZero() {
				t.Errorf("invited %+v", got)
			}
			w.wantHere(w.a, record.AuditEntry{
				Action: record.ActInvite, Basis: record.BasisInstitution, Actor: p.id, Subject: q.Participant,
			})
			w.refuse(record.Exists, w.a.institution, record.InviteFunction, q)
		}
	}
	w.refuse(record.Exists, w.a.institution, record.InviteFunction,
		record.Invite{Participant: w.patient.id, Role: record.DoctorRole})
	w.refuse(record.BadRequest, w.a.institution, record.InviteFunction, record.Invite{
		Participant: record.NewParticipantID(w.a.mspID, w.random()), Role: record.InstitutionRole,
	})
}

func TestJoin(t *testing.T) {
	w := newWorld(t)
	p := w.invited(w.a, record.DoctorRole)
	other := newKey(t)
	tests := map[string]struct {
		by     *person
		refuse record.Code
	}{
		"the invited":            {p, ""},
		"by another member's CA": {w.certified(p, func(c *person) { c.mspID = w.b.mspID }), record.Forbidden},
		"with another role":      {w.certified(p, func(c *person) { c.role = record.StaffRole }), record.Forbidden},
		"as the institution":     {w.certified(p, func(c *person) { c.id = w.a.institution.id }), record.Forbidden},
		"who was not invited": {
			newPerson(t, w.a.mspID, record.DoctorRole, record.NewParticipantID(w.a.mspID, w.random())), record.Forbidden,
		},
		"without attributes":         {newPersonWith(t, p.key, p.mspID, nil, p.role, p.id), record.Forbidden},
		"as somebody who has joined": {w.certified(w.a.doctor, func(c *person) { c.key = other }), record.Forbidden},
		"with a key that is bound":   {w.certified(p, func(c *person) { c.key = w.a.doctor.key }), record.Exists},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := w.copy(t)
			if test.refuse != "" {
				w.refuse(test.refuse, test.by, record.JoinFunction, w.joining(test.by))
				if got := w.participantOf(p.id); got.Status != record.Invited {
					t.Errorf("a refused call left %+v", got)
				}
				return
			}
			w.must(test.by, record.JoinFunction, w.joining(test.by))
			if got := w.participantOf(p.id); got.Status != record.Active || got.Key != record.FingerprintOf(p.mspID, p.spki) {
				t.Errorf("joined: %+v", got)
			}
			w.wantHere(w.a, record.AuditEntry{
				Action: record.ActJoin, Basis: record.BasisParticipant, Actor: p.id, Subject: p.id,
			})
			w.refuse(record.Exists, p, record.JoinFunction, w.joining(p))
			second := w.certified(p, func(c *person) { c.key = other })
			w.refuse(record.Forbidden, second, record.JoinFunction, w.joining(second))
		})
	}
	q := w.joining(p)
	q.EncryptionKey[0]++
	w.refuse(record.BadRequest, p, record.JoinFunction, q)
}

func TestRotate(t *testing.T) {
	w := newWorld(t)
	old := w.a.doctor
	next := w.certified(old, func(p *person) { p.key = newKey(t) })
	w.must(old, record.RotateFunction, w.rotation(old, next))
	if p := w.participantOf(old.id); p.Key != record.FingerprintOf(old.mspID, next.spki) || p.Status != record.Active {
		t.Errorf("rotated: %+v", p)
	}
	w.wantHere(w.a, record.AuditEntry{
		Action: record.ActRotate, Basis: record.BasisParticipant, Actor: old.id, Subject: old.id,
	})
	if p, refused := ask[record.Participant](w, next, record.WhoAmIFunction); refused != nil || p.ID != old.id {
		t.Errorf("the new key is of %s: %v", p.ID, refused)
	}

	// The old key is dead for ever: it signs nothing, joins nobody, and is not taken again.
	w.refuse(record.Forbidden, old, record.RotateFunction, w.rotation(old, next))
	w.refuse(record.Forbidden, old, record.JoinFunction, w.joining(old))
	w.refuse(record.Exists, next, record.RotateFunction, w.rotation(next, old))
	fresh := w.invited(w.a, record.DoctorRole)
	again := w.certified(fresh, func(p *person) { p.key = old.key })
	w.refuse(record.Exists, again, record.JoinFunction, w.joining(again))
	if got := w.participantOf(fresh.id); got.Status != record.Invited {
		t.Errorf("the old key joined as %+v", got)
	}
}

func TestRotateRefuses(t *testing.T) {
	w := newWorld(t)
	old := w.a.doctor
	next := w.certified(old, func(p *person) { p.key = newKey(t) })
	edwards, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	notECDSA, err := x509.MarshalPKIXPublicKey(edwards)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*record.Rotation)
		refuse record.Code
	}{
		"proved by the old key": {func(q *record.Rotation) {
			q.Proof = old.sign(t, record.RotationMessage(old.id, next.spki))
		}, record.BadRequest},
		"proved for another": {func(q *record.Rotation) {
			q.Proof = next.sign(t, record.RotationMessage(w.a.locum.id, next.spki))
		}, record.BadRequest},
		"vouched for by the old key": {func(q *record.Rotation) { _, q.Signature = old.encryptionKey(t) }, record.BadRequest},
		"no key":                     {func(q *record.Rotation) { q.NewKey = []byte("key") }, record.BadRequest},
		"a key of another kind":      {func(q *record.Rotation) { q.NewKey = notECDSA }, record.BadRequest},
		"another's key":              {func(q *record.Rotation) { *q = w.rotation(old, w.a.locum) }, record.BadRequest},
		"the same key":               {func(q *record.Rotation) { *q = w.rotation(old, old) }, record.Exists},
	} {
		q := w.rotation(old, next)
		test.change(&q)
		if _, refused := w.do(old, record.RotateFunction, q); refused == nil || refused.Code != test.refuse {
			t.Errorf("%s: got %v, want %s", name, refused, test.refuse)
		}
	}
	// A key that is bound to somebody, proved by its holder for this participant.
	key := w.certified(old, func(p *person) { p.key = w.a.locum.key })
	w.refuse(record.Exists, old, record.RotateFunction, w.rotation(old, key))
}

func TestSuspendAndReinstate(t *testing.T) {
	w := newWorld(t)
	doctor := record.Suspension{Participant: w.a.doctor.id}
	for _, p := range []*person{w.a.staff, w.a.doctor, w.b.institution} {
		w.refuse(record.Forbidden, p, record.SuspendFunction, doctor)
	}
	w.refuse(record.Exists, w.a.institution, record.ReinstateFunction, doctor)
	w.refuse(record.BadRequest, w.a.institution, record.SuspendFunction,
		record.Suspension{Participant: w.a.institution.id})
	w.refuse(record.NotFound, w.a.institution, record.SuspendFunction,
		record.Suspension{Participant: record.NewParticipantID(w.a.mspID, w.random())})

	w.advance(time.Hour)
	w.must(w.a.institution, record.SuspendFunction, doctor)
	if p := w.participantOf(w.a.doctor.id); p.Status != record.Suspended || !p.Since.Equal(w.now()) {
		t.Errorf("suspended: %+v", p)
	}
	w.refuse(record.Exists, w.a.institution, record.SuspendFunction, doctor)
	next := w.certified(w.a.doctor, func(p *person) { p.key = newKey(t) })
	w.refuse(record.Forbidden, w.a.doctor, record.RotateFunction, w.rotation(w.a.doctor, next))
	if _, refused := ask[record.Participant](w, w.a.doctor, record.WhoAmIFunction); refused == nil {
		t.Error("a suspended participant is somebody")
	}

	w.must(w.a.institution, record.ReinstateFunction, doctor)
	w.must(w.a.doctor, record.RotateFunction, w.rotation(w.a.doctor, next))
	for action, n := range map[record.Action]int{record.ActSuspend: 1, record.ActReinstate: 1} {
		for _, e := range w.audit(record.InstitutionReference(w.a.institution.id.Institution())) {
			if e.Action == action && e.Subject == w.a.doctor.id {
				n--
			}
		}
		if n != 0 {
			t.Errorf("%s: %d audit entries are missing", action, n)
		}
	}
}

// TestSuspendTheInvited: an invitation is taken back by suspending it.
func TestSuspendTheInvited(t *testing.T) {
	w := newWorld(t)
	p := w.invited(w.a, record.StaffRole)
	w.must(w.a.institution, record.SuspendFunction, record.Suspension{Participant: p.id})
	w.refuse(record.Forbidden, p, record.JoinFunction, w.joining(p))
	w.refuse(record.WrongState, w.a.institution, record.ReinstateFunction, record.Suspension{Participant: p.id})
}

// TestCertificateMustAgree: a bound key is not enough without a certificate that claims what it is bound to.
func TestCertificateMustAgree(t *testing.T) {
	w := newWorld(t)
	senseless := map[string]string{record.RoleAttribute: "staff", record.ParticipantAttribute: "x"}
	for name, by := range map[string]*person{
		"no attributes":     newPersonWith(t, w.a.staff.key, w.a.mspID, nil, w.a.staff.role, w.a.staff.id),
		"a higher role":     w.certified(w.a.staff, func(p *person) { p.role = record.InstitutionRole }),
		"a lower role":      w.certified(w.a.staff, func(p *person) { p.role = record.PatientRole }),
		"another's ID":      w.certified(w.a.staff, func(p *person) { p.id = w.a.clerk.id }),
		"another member's":  w.certified(w.a.staff, func(p *person) { p.mspID = w.b.mspID }),
		"an ID of no sense": newPersonWith(t, w.a.staff.key, w.a.mspID, senseless, w.a.staff.role, w.a.staff.id),
		"another key":       w.certified(w.a.staff, func(p *person) { p.key = newKey(t) }),
	} {
		q := record.PatientRegistration{Patient: w.newReference(w.a)}
		if _, refused := w.do(by, record.RegisterPatientFunction, q); refused == nil || refused.Code != record.Forbidden {
			t.Errorf("%s: got %v, want %s", name, refused, record.Forbidden)
		}
		if p := w.patientOf(q.Patient); !p.Reference.IsZero() {
			t.Errorf("%s: registered %+v", name, p)
		}
	}
}

func TestSetTeam(t *testing.T) {
	w := newWorld(t)
	id := record.NewParticipantID(w.a.mspID, w.random())
	team := func(members ...*person) record.Team {
		q := record.Team{ID: id}
		for _, m := range members {
			q.Members = append(q.Members, record.TeamMember{Participant: m.id})
		}
		return q
	}
	for _, p := range []*person{w.a.doctor, w.a.appliance, w.b.institution, w.b.staff} {
		w.refuse(record.Forbidden, p, record.SetTeamFunction, team(w.a.doctor))
	}
	w.refuse(record.BadRequest, w.a.staff, record.SetTeamFunction, team(w.a.doctor, w.b.doctor))
	w.refuse(record.BadRequest, w.a.staff, record.SetTeamFunction, team(w.a.clerk))
	w.refuse(record.NotFound, w.a.staff, record.SetTeamFunction,
		team(&person{id: record.NewParticipantID(w.a.mspID, w.random())}))
	if _, refused := ask[record.Team](w, w.b.doctor, record.TeamFunction, id.String()); refused == nil ||
		refused.Code != record.NotFound {
		t.Errorf("a team that was refused: %v", refused)
	}

	w.must(w.a.staff, record.SetTeamFunction, team(w.a.doctor, w.a.locum))
	w.wantHere(w.a, record.AuditEntry{
		Action: record.ActSetTeam, Basis: record.BasisInstitution, Actor: w.a.staff.id, Subject: id,
	})
	w.must(w.a.institution, record.SetTeamFunction, team(w.a.locum))
	got, refused := ask[record.Team](w, w.b.doctor, record.TeamFunction, id.String())
	if refused != nil || len(got.Members) != 1 || got.Members[0].Participant != w.a.locum.id {
		t.Errorf("team %+v, %v", got, refused)
	}
}

func TestListParticipants(t *testing.T) {
	w := newWorld(t)
	seen := map[record.ParticipantID]bool{}
	for bookmark, more := "", true; more; more = bookmark != "" {
		page, refused := ask[record.ParticipantPage](w, w.b.doctor, record.ParticipantsFunction, w.a.institution.id.String(),
			"3", bookmark)
		if refused != nil {
			t.Fatal(refused)
		}
		for _, p := range page.Participants {
			seen[p.ID] = true
			if p.MSPID != w.a.mspID {
				t.Errorf("lists %s of %s", p.ID, p.MSPID)
			}
		}
		bookmark = page.Bookmark
	}
	if len(seen) != 8 { // six of the hospital, the patient and the representative
		t.Errorf("lists %d participants, want 8", len(seen))
	}
	for name, arguments := range map[string][]string{
		"no page":               {w.a.institution.id.String(), "0", ""},
		"too long a page":       {w.a.institution.id.String(), "1001", ""},
		"another's bookmark":    {w.a.institution.id.String(), "3", record.ParticipantKey(w.b.doctor.id)},
		"no such thing as that": {"x", "3", ""},
	} {
		if _, refused := ask[record.ParticipantPage](w, w.b.doctor, append([]string{record.ParticipantsFunction},
			arguments...)...); refused == nil || refused.Code != record.BadRequest {
			t.Errorf("%s: %v", name, refused)
		}
	}
}

func TestWhoIs(t *testing.T) {
	w := newWorld(t)
	p, refused := ask[record.Participant](w, w.b.appliance, record.ParticipantFunction, w.patient.id.String())
	if refused != nil || p.ID != w.patient.id || p.Role != record.PatientRole {
		t.Errorf("participant %+v, %v", p, refused)
	}
	if _, refused := ask[record.Participant](w, w.b.appliance, record.ParticipantFunction,
		record.NewParticipantID(w.a.mspID, w.random()).String()); refused == nil || refused.Code != record.NotFound {
		t.Errorf("an unknown participant: %v", refused)
	}
	stranger := newPerson(t, w.a.mspID, record.DoctorRole, w.a.doctor.id)
	if _, refused := ask[record.Participant](w, stranger, record.WhoAmIFunction); refused == nil ||
		refused.Code != record.Forbidden {
		t.Errorf("a stranger is %v", refused)
	}
}
