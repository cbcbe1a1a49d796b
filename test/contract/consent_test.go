package contract

import (
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/ledger/sealed"
	"github.com/medanchor/medanchor/test/consortium"
)

// asks is a request to read all of a patient's history.
func asks(patient record.Reference, lasts time.Duration) record.AccessRequest {
	return record.AccessRequest{
		Patient: patient, Mode: record.Read, Scope: record.Scope{All: true}, Purpose: record.Treatment, Until: soon(lasts),
	}
}

// seal seals a note about a patient from one person to another.
func seal(t *testing.T, purpose sealed.Purpose, patient record.Reference, from *consortium.Person, to record.ParticipantID,
	n sealed.Note,
) record.SealedNote {
	t.Helper()
	recipient, err := from.Participant(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	note, err := sealed.Seal(sealed.Context{
		Purpose: purpose, Channel: from.Channel, Patient: patient, Sender: from.ID, Recipient: to,
	}, recipient, n)
	if err != nil {
		t.Fatal(err)
	}
	return note
}

// opened gives the note to a person that went with a transaction.
func opened(t *testing.T, purpose sealed.Purpose, patient record.Reference, from record.ParticipantID, to *consortium.Person,
	id record.ID,
) sealed.Note {
	t.Helper()
	note, err := to.SealedNote(t.Context(), id, to.ID)
	if err != nil {
		t.Fatal(err)
	}
	text, err := sealed.Open(sealed.Context{
		Purpose: purpose, Channel: to.Channel, Patient: patient, Sender: from, Recipient: to.ID,
	}, to.EncryptionKey(), note.Ciphertext)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestConsent takes a doctor of another hospital through all the ways to a patient's letter.
func TestConsent(t *testing.T) {
	t.Parallel()
	n := devnettest.Network(t)
	a, b := hospitals(t, n)
	check := func(want record.Basis) record.Access {
		t.Helper()
		return reads(t, a, b.doctor, a.letter, a.page, want)
	}
	choice := func(id record.ID) record.Choice {
		return record.Choice{Patient: a.ref, Participant: b.doctor.ID, Request: id}
	}
	check(record.NoBasis)

	// Asked, approved for less, revoked.
	note := sealed.Note{Name: "Dr Noor Lund", Text: "You were referred to us."}
	id := do(t, b.doctor, record.RequestFunction, asks(a.ref, 48*time.Hour),
		seal(t, sealed.AccessRequest, a.ref, b.doctor, a.patient.ID, note))
	if got := opened(t, sealed.AccessRequest, a.ref, b.doctor.ID, a.patient, id); got != note {
		t.Errorf("the patient reads %+v", got)
	}
	check(record.NoBasis)
	refused(t, b.doctor, record.Exists, record.RequestFunction, asks(a.ref, 48*time.Hour))
	refused(t, b.doctor, record.Forbidden, record.ApproveFunction, record.Approval{Patient: a.ref, Participant: b.doctor.ID, Request: id})
	letters := record.Scope{Kinds: []record.Kind{record.KindLetter}}
	until := soon(24 * time.Hour)
	do(t, a.patient, record.ApproveFunction, record.Approval{
		Patient: a.ref, Participant: b.doctor.ID, Request: id, Scope: &letters, Until: until,
	})
	if access := check(record.BasisGrant); !access.Until.Equal(until) || access.Grant != id {
		t.Errorf("got %+v, want it until %s", access, until)
	}
	scan, image := a.anchor(t, record.KindImaging, "a scan")
	reads(t, a, b.doctor, scan, image, record.NoBasis)
	do(t, a.patient, record.RevokeFunction, choice(id))
	check(record.NoBasis)

	// Asked and rejected; granted and given back.
	do(t, a.patient, record.RejectFunction, choice(do(t, b.doctor, record.RequestFunction, asks(a.ref, time.Hour))))
	check(record.NoBasis)
	began := time.Now()
	id = do(t, b.doctor, record.RequestFunction, asks(a.ref, time.Hour))
	do(t, a.patient, record.ApproveFunction, record.Approval{Patient: a.ref, Participant: b.doctor.ID, Request: id})
	check(record.BasisGrant)
	within := 3*time.Second + 4*time.Since(began) // long enough to read by a grant, wherever this runs
	do(t, b.doctor, record.RelinquishFunction, choice(id))
	check(record.NoBasis)

	// A grant ends by itself, record.ClockSkew early.
	id = do(t, b.doctor, record.RequestFunction, asks(a.ref, record.ClockSkew+within))
	do(t, a.patient, record.ApproveFunction, record.Approval{Patient: a.ref, Participant: b.doctor.ID, Request: id})
	check(record.BasisGrant)
	poll(t, "the grant is over", within+20*time.Second, func() bool {
		access, err := a.appliance.CheckAccess(t.Context(), b.doctor.ID, a.letter, a.page, record.Read)
		return err == nil && !access.Allowed
	})

	// Without the patient's device: two people and the scanned form.
	form, scanned := a.anchor(t, record.KindOther, "a signed form")
	reads(t, a, b.doctor, form, scanned, record.NoBasis)
	id = do(t, b.doctor, record.RequestFunction, asks(a.ref, time.Hour))
	assisted := record.Proposal{Assist: &record.AssistedChoice{
		Approval: record.Approval{Patient: a.ref, Participant: b.doctor.ID, Request: id}, Decision: record.Approved,
		Form: scanned, Reason: record.NoDevice,
	}}
	refused(t, b.clerk, record.Forbidden, record.ProposeFunction, assisted)
	decision := record.DecisionName{Decision: do(t, a.clerk, record.ProposeFunction, assisted)}
	check(record.NoBasis)
	do(t, a.registrar, record.ConfirmFunction, decision)
	check(record.BasisGrant)
	do(t, a.patient, record.RevokeFunction, choice(id))

	// Referred by a doctor who supervises the patient.
	referral := record.Referral{
		Patient: a.ref, Participant: b.doctor.ID, Scope: letters, Purpose: record.SecondOpinion, Until: soon(time.Hour),
	}
	refused(t, a.doctor, record.Forbidden, record.ReferFunction, referral)
	reads(t, a, a.doctor, a.letter, a.page, record.NoBasis)
	do(t, a.clerk, record.SuperviseFunction, record.SupervisionChange{Patient: a.ref, Participant: a.doctor.ID})
	reads(t, a, a.doctor, a.letter, a.page, record.BasisSupervision)
	id = do(t, a.doctor, record.ReferFunction, referral)
	check(record.BasisReferral)
	do(t, a.patient, record.RevokeFunction, choice(id))
	check(record.NoBasis)
	do(t, a.clerk, record.EndSupervisionFunction, record.SupervisionChange{Patient: a.ref, Participant: a.doctor.ID})
	reads(t, a, a.doctor, a.letter, a.page, record.NoBasis)

	// On a team, while on duty.
	team := record.Team{ID: record.NewParticipantID(a.MSPID, [10]byte([]byte("night team")))}
	team.Members = []record.TeamMember{{
		Participant: a.doctor.ID, Shifts: []record.Shift{{From: soon(-time.Hour), Until: soon(time.Hour)}},
	}}
	do(t, a.clerk, record.SetTeamFunction, team)
	do(t, a.clerk, record.SuperviseFunction, record.SupervisionChange{Patient: a.ref, Team: team.ID})
	reads(t, a, a.doctor, a.letter, a.page, record.BasisSupervision)
	team.Members[0].Shifts[0] = record.Shift{From: soon(time.Hour), Until: soon(2 * time.Hour)}
	do(t, a.clerk, record.SetTeamFunction, team)
	reads(t, a, a.doctor, a.letter, a.page, record.NoBasis)

	// Break-glass, and its review.
	emergency := record.Emergency{Patient: a.ref, Scope: record.Scope{All: true}}
	refused(t, b.doctor, record.BadRequest, record.BreakGlassFunction, emergency)
	reason := sealed.Note{Name: "Dr Noor Lund", Text: "Unconscious, anaphylaxis suspected."}
	id = do(t, b.doctor, record.BreakGlassFunction, emergency, seal(t, sealed.BreakGlass, a.ref, b.doctor, a.ID, reason))
	check(record.BasisBreakGlass)
	if got := opened(t, sealed.BreakGlass, a.ref, b.doctor.ID, a.Person, id); got != reason {
		t.Errorf("the hospital reads %+v", got)
	}
	review := record.Review{Patient: a.ref, Participant: b.doctor.ID, Request: id, Justified: true}
	refused(t, b.clerk, record.Forbidden, record.ReviewFunction, review)
	do(t, a.clerk, record.ReviewFunction, review)
	refused(t, a.registrar, record.WrongState, record.ReviewFunction, review)

	// Writing by a professional with a grant to write: the other hospital's appliance brings their letter.
	written := a.version(record.KindLetter, "from the other hospital")
	written.Author = b.doctor.ID
	_, err := b.appliance.Anchor(t.Context(), record.Batch{Versions: []record.Version{written}})
	checkRefused(t, "anchor without a grant", err, record.Forbidden)
	q := asks(a.ref, time.Hour)
	q.Mode, q.Scope = record.Write, letters
	id = do(t, b.doctor, record.RequestFunction, q)
	do(t, a.patient, record.ApproveFunction, record.Approval{Patient: a.ref, Participant: b.doctor.ID, Request: id})
	b.anchorAll(t, written)
}
