package contract

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/sealed"
	"github.com/medanchor/medanchor/test/consortium"
)

// TestHospitalBHelpsItself: a hospital with a CA, a peer, an appliance, staff and doctors that all obey it tries what it can
// to read the letter of another hospital's patient. Nothing gives access, and the patient and their hospital see who tried.
func TestHospitalBHelpsItself(t *testing.T) {
	t.Parallel()
	n := devnettest.Network(t)
	a, b := hospitals(t, n)
	noAccess := func(after string) {
		t.Helper()
		if access := reads(t, a, b.doctor, a.letter, a.page, record.NoBasis); access.Reason != record.DeniedNoBasis {
			t.Errorf("%s: %+v", after, access)
		}
		if access := a.attempt(t, b.appliance, b.doctor); access.Allowed {
			t.Errorf("%s: the doctor's own appliance reports %+v", after, access)
		}
	}
	var tried []record.Action // what the patient must find in their audit, each refused
	try := func(p *consortium.Person, action record.Action, function string, q record.Request, notes ...record.SealedNote) {
		t.Helper()
		refused(t, p, record.Forbidden, function, q, notes...)
		tried = append(tried, action)
	}

	// Its own people act on the patient.
	try(b.clerk, record.ActRegisterPatient, record.RegisterPatientFunction, record.PatientRegistration{
		Patient: a.ref, Participant: b.patient.ID,
	})
	try(b.clerk, record.ActSupervise, record.SuperviseFunction, record.SupervisionChange{
		Patient: a.ref, Participant: b.doctor.ID,
	})
	try(b.clerk, record.ActRepresent, record.RepresentFunction, record.Representation{
		Patient: a.ref, Participant: b.patient.ID, Authority: record.GuardianAuthority, Evidence: b.page,
		Until: soon(time.Hour), Scope: record.Scope{All: true},
	})
	referral := record.Referral{
		Patient: a.ref, Participant: b.doctor.ID, Scope: record.Scope{All: true}, Purpose: record.Treatment,
		Until: soon(time.Hour),
	}
	try(b.clerk, record.ActRefer, record.ReferFunction, referral)
	try(b.doctor, record.ActRefer, record.ReferFunction, referral)
	noAccess("acts on the patient")

	// The doctor asks, and everybody but the patient approves.
	request := do(t, b.doctor, record.RequestFunction, asks(a.ref, time.Hour))
	approval := record.Approval{Patient: a.ref, Participant: b.doctor.ID, Request: request}
	for _, p := range []*consortium.Person{b.doctor, b.patient, b.clerk, b.Person} {
		try(p, record.ActApprove, record.ApproveFunction, approval)
	}
	assisted := record.Proposal{Assist: &record.AssistedChoice{
		Approval: approval, Decision: record.Approved, Form: b.page, Reason: record.NoDevice,
	}}
	try(b.clerk, record.ActPropose, record.ProposeFunction, assisted)
	try(b.clerk, record.ActPropose, record.ProposeFunction, record.Proposal{
		BindPatient: &record.PatientRegistration{Patient: a.ref, Participant: b.patient.ID},
	})
	noAccess("approves its own request")

	// CAs mint the patient and the staff: its own CA, and that of the patient's hospital with a key that is not theirs.
	for _, m := range []*devnet.Member{b.Member, a.Member} {
		patient := mint(t, n, m, a.patient.ID, record.PatientRole)
		_, err := patient.Act(t.Context(), record.ApproveFunction, approval, nil)
		checkRefused(t, "approve as who was minted by "+m.Name, err, record.Forbidden)
		clerk := mint(t, n, m, a.clerk.ID, record.StaffRole)
		_, err = clerk.Act(t.Context(), record.SuperviseFunction, record.SupervisionChange{
			Patient: a.ref, Participant: a.doctor.ID,
		}, nil)
		checkRefused(t, "supervise as who was minted by "+m.Name, err, record.Forbidden)
		tried = append(tried, record.ActApprove, record.ActSupervise)
		join := record.Join{}
		join.EncryptionKey, join.Signature = patient.vouched(t, a.patient.ID)
		_, err = patient.Act(t.Context(), record.JoinFunction, join, nil)
		checkRefused(t, "join as who was minted by "+m.Name, err, record.Forbidden)
	}
	crown := mint(t, n, b.Member, a.ID, record.InstitutionRole)
	registration := record.InstitutionRegistration{Institution: record.Institution{Name: "Northfield"}}
	registration.EncryptionKey, registration.Signature = crown.vouched(t, a.ID)
	_, err := crown.Act(t.Context(), record.RegisterInstitutionFunction, registration, nil)
	checkRefused(t, "register as the other institution", err, record.Forbidden)
	noAccess("mints the patient and the staff")

	// It links a patient of its own, whom its doctor supervises and reads.
	own, err := b.Patient(t.Context(), b.patient)
	if err != nil {
		t.Fatal(err)
	}
	do(t, b.clerk, record.SuperviseFunction, record.SupervisionChange{Patient: own, Participant: b.doctor.ID})
	do(t, b.clerk, record.LinkFunction, record.Link{Patient: own, To: a.ref})
	refused(t, b.registrar, record.Exists, record.LinkFunction, record.Link{Patient: own, To: a.ref})
	try(b.patient, record.ActLink, record.LinkFunction, record.Link{Patient: a.ref, To: own})
	noAccess("proposes a link")

	// Even a link that the other hospital agrees to, for they are one person, carries what that person granted, and no
	// supervision; and not what somebody else granted whom the hospital bound to its reference later.
	same, err := b.Patient(t.Context(), a.patient)
	if err != nil {
		t.Fatal(err)
	}
	do(t, b.clerk, record.LinkFunction, record.Link{Patient: same, To: a.ref})
	do(t, a.clerk, record.LinkFunction, record.Link{Patient: a.ref, To: same})
	do(t, b.clerk, record.SuperviseFunction, record.SupervisionChange{Patient: same, Participant: b.doctor.ID})
	decision := do(t, b.clerk, record.ProposeFunction, record.Proposal{
		BindPatient: &record.PatientRegistration{Patient: same, Participant: b.patient.ID},
	})
	do(t, b.registrar, record.ConfirmFunction, record.DecisionName{Decision: decision})
	granted := do(t, b.doctor, record.RequestFunction, asks(same, time.Hour))
	do(t, b.patient, record.ApproveFunction, record.Approval{Patient: same, Participant: b.doctor.ID, Request: granted})
	noAccess("puts somebody else in the patient's place")

	// Its appliance writes into the history.
	forged := a.version(record.KindLetter, "a forged letter")
	_, err = b.appliance.Anchor(t.Context(), record.Batch{Versions: []record.Version{forged}})
	checkRefused(t, "anchor", err, record.Forbidden)

	// Another of its doctors breaks the glass, which everybody sees, and it reviews that itself.
	breaker := b.enrol(t, record.DoctorRole)
	glass := do(t, breaker, record.BreakGlassFunction, record.Emergency{Patient: a.ref, Scope: record.Scope{All: true}},
		seal(t, sealed.BreakGlass, a.ref, breaker, a.ID, sealed.Note{Text: "No reason."}))
	try(b.clerk, record.ActReview, record.ReviewFunction, record.Review{
		Patient: a.ref, Participant: breaker.ID, Request: glass, Justified: true,
	})
	noAccess("breaks the glass for another")

	for name, entries := range map[string][]record.AuditLine{
		"patient": auditOf(t, a.patient, a.ref), "hospital": a.auditOfInstitution(t),
	} {
		var seen []record.Action
		for _, e := range entries {
			if e.Patient == a.ref && e.Denied && e.Action != record.ActAccess && e.ActorInstitution != "" {
				seen = append(seen, e.Action)
			}
		}
		slices.Sort(seen)
		slices.Sort(tried)
		if !slices.Equal(seen, tried) {
			t.Errorf("the %s sees the attempts %v, want %v", name, seen, tried)
		}
	}
	auditHas(t, a, a.ref, 1, record.AuditEntry{Action: record.ActBreakGlass, Basis: record.BasisBreakGlass, Subject: breaker.ID})
}

// TestBackdating: a timestamp is the client's. Peers accept one of nearly two minutes ago, and none of three; and nobody
// reads after the end of a grant by dating the wish to read back.
func TestBackdating(t *testing.T) {
	t.Parallel()
	n := devnettest.Network(t)
	a, b := hospitals(t, n)
	patient, doctor := newSigner(t, a.patient.LedgerOptions()), newSigner(t, b.doctor.LedgerOptions())
	most := record.ClockSkew - 10*time.Second // leaves the test time to get there

	// Doctor and patient both date back, to get the shortest grant that there can be.
	end := soon(40 * time.Second)
	request := asks(a.ref, 0)
	request.Until = end
	asked := backdated(t, n, doctor, a.appliance, most, record.RequestFunction, request)
	backdated(t, n, patient, a.appliance, most, record.ApproveFunction, record.Approval{
		Patient: a.ref, Participant: b.doctor.ID, Request: asked.TxID.ID(),
	})
	request.Mode = record.Write
	late := backdated(t, n, doctor, a.appliance, most, record.RequestFunction, request)
	readsAt := func(back time.Duration) (access record.Access, err error) {
		p := doctor.propose(t, invocation{
			function: record.CheckAccessFunction, at: time.Now().Add(-back),
			arguments: []string{b.doctor.ID.String(), a.ref.String(), a.letter.Record.String(), a.page.String(), string(record.Read)},
		})
		response, err := endorse(t.Context(), endorsers(t, n)[1], p)
		if err != nil {
			return access, err
		}
		return access, json.Unmarshal(response.GetResponse().GetPayload(), &access)
	}
	if access, err := readsAt(0); err != nil || access.Allowed {
		t.Errorf("by an honest clock: %+v, %v, want it to be over", access, err)
	}
	if access, err := readsAt(most); err != nil || !access.Allowed {
		t.Errorf("dated back, before the end: %+v, %v: the grant was never there", access, err)
	}
	poll(t, "the grant's end", time.Minute, func() bool { return time.Now().After(end) })
	if access, err := readsAt(most); err != nil || access.Allowed {
		t.Errorf("dated back, after the end: %+v, %v", access, err)
	}
	if _, err := readsAt(record.ClockSkew + time.Minute); err == nil {
		t.Error("a peer takes a timestamp of three minutes ago")
	}
	if _, err := readsAt(-record.ClockSkew - time.Minute); err == nil {
		t.Error("a peer takes a timestamp of the future")
	}

	// A committed attempt that is dated back is refused too, and the patient sees it.
	session := record.ID{7}
	backdated(t, n, doctor, a.appliance, most, record.AccessFunction, record.Accesses{Accesses: []record.AccessAttempt{{
		Participant: b.doctor.ID, Patient: a.ref, Record: a.letter.Record, Version: a.page, Session: session,
	}}})
	denied := record.AuditEntry{Action: record.ActAccess, Denied: true, Actor: b.doctor.ID, About: session}
	auditHas(t, a, a.ref, 1, denied)
	if !slices.ContainsFunc(auditOf(t, a.patient, a.ref), func(l record.AuditLine) bool { return isLike(l.AuditEntry, denied) }) {
		t.Error("the patient does not see the attempt that was dated back")
	}

	// To approve a request after its end does not work either.
	_, err := patient.run(t, n, a.appliance, call(t, most, record.ApproveFunction, record.Approval{
		Patient: a.ref, Participant: b.doctor.ID, Request: late.TxID.ID(),
	}))
	if refusal, ok := errors.AsType[*record.Error](err); !ok || refusal.Code != record.WrongState {
		t.Errorf("approving late: %v", err)
	}
}

// call is a function with its request, dated back.
func call(t *testing.T, back time.Duration, function string, q record.Request) invocation {
	t.Helper()
	return invocation{function: function, arguments: []string{string(marshalJSON(t, q))}, at: time.Now().Add(-back)}
}

// backdated commits a transaction that is dated back.
func backdated(t *testing.T, n *devnet.Network, s *signer, look *consortium.Person, back time.Duration, function string,
	q record.Request,
) ledger.Transaction {
	t.Helper()
	tx, err := s.run(t, n, look, call(t, back, function, q))
	if err != nil {
		t.Fatal(err)
	}
	if tx.Code != 0 { // VALID
		t.Fatalf("%s is %s", function, tx.Code)
	}
	return tx
}
