package contract

import (
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/test/consortium"
)

// attempt tries to open the hospital's letter as a reader, by whom the ledger is told.
func (h *house) attempt(t *testing.T, by, reader *consortium.Person) record.Access {
	t.Helper()
	q := record.Accesses{Accesses: []record.AccessAttempt{{
		Participant: reader.ID, Patient: h.ref, Record: h.letter.Record, Version: h.page, Session: record.ID{1},
	}}}
	var decided []record.Access
	if _, err := by.Do(t.Context(), record.AccessFunction, q, &decided); err != nil || len(decided) != 1 {
		t.Fatalf("got %+v, %v", decided, err)
	}
	return decided[0]
}

// TestRecords corrects, completes and copies a record, and shows who opened it.
func TestRecords(t *testing.T) {
	t.Parallel()
	n := devnettest.Network(t)
	began := time.Now()
	a, b := hospitals(t, n)
	ctx := t.Context()
	correction := record.Correction{RecordName: a.letter}

	if got := a.attempt(t, a.patient, a.patient); got.Basis != record.BasisPatient {
		t.Errorf("the patient opens it: %+v", got)
	}
	if got := a.attempt(t, b.appliance, b.doctor); got.Allowed {
		t.Errorf("a doctor elsewhere opens it: %+v", got)
	}
	refused(t, b.clerk, record.Forbidden, record.WithdrawFunction, correction)
	do(t, a.clerk, record.WithdrawFunction, correction)
	if access := reads(t, a, a.patient, a.letter, a.page, record.NoBasis); access.Reason != record.DeniedWithdrawn {
		t.Errorf("withdrawn: %+v", access)
	}
	refused(t, a.clerk, record.WrongState, record.WithdrawFunction, correction)
	do(t, a.registrar, record.RefileFunction, correction)
	reads(t, a, a.patient, a.letter, a.page, record.BasisPatient)

	// Stable; a late document still joins, and the grants of before cover it.
	do(t, a.appliance, record.StableFunction, record.StableRecords{Records: []record.RecordName{a.letter}})
	status, err := b.appliance.Status(ctx, a.letter)
	if err != nil || time.Since(status.Stable).Abs() > time.Minute {
		t.Errorf("got %+v, %v", status, err)
	}
	late := a.version(record.KindLetter, "a late page")
	late.Record, late.Late, late.Amends = a.letter.Record, true, a.page
	a.anchorAll(t, late)
	reads(t, a, a.patient, a.letter, late.Name(), record.BasisPatient)

	// After a link the same content at two hospitals is one document with two holders.
	elsewhere, err := b.Patient(ctx, a.patient)
	if err != nil {
		t.Fatal(err)
	}
	q := record.Copies{Patient: elsewhere, Of: a.ref, Copies: []record.Copy{
		{Record: a.letter.Record, Version: a.page, Tag: a.page, CID: cid("sealed elsewhere")},
	}}
	refused(t, b.appliance, record.Forbidden, record.HoldCopyFunction, q)
	do(t, a.patient, record.LinkFunction, record.Link{Patient: a.ref, To: elsewhere})
	do(t, b.appliance, record.HoldCopyFunction, q)
	do(t, b.appliance, record.HoldCopyFunction, q) // to repeat it does no harm
	q.Copies[0].CID = cid("sealed once more")
	refused(t, b.appliance, record.Exists, record.HoldCopyFunction, q)

	// The patient's list: who, when, on which basis.
	entries := auditOf(t, a.patient, a.ref)
	for _, want := range []record.AuditEntry{
		{Action: record.ActRegisterPatient, Basis: record.BasisInstitution, Actor: a.ID, Subject: a.patient.ID},
		{Action: record.ActAccess, Basis: record.BasisPatient, Actor: a.patient.ID, Subject: a.patient.ID, Record: a.letter.Record},
		{Action: record.ActAccess, Denied: true, Actor: b.appliance.ID, Subject: b.doctor.ID, Record: a.letter.Record},
		{Action: record.ActWithdraw, Denied: true, Actor: b.clerk.ID},
		{Action: record.ActWithdraw, Basis: record.BasisInstitution, Actor: a.clerk.ID, Record: a.letter.Record},
		{Action: record.ActRefile, Basis: record.BasisInstitution, Actor: a.registrar.ID, Record: a.letter.Record},
		{Action: record.ActStable, Basis: record.BasisAppliance, Actor: a.appliance.ID, Record: a.letter.Record},
		{Action: record.ActHoldCopy, Denied: true, Actor: b.appliance.ID},
		{Action: record.ActLink, Basis: record.BasisPatient, Actor: a.patient.ID},
		{Action: record.ActHoldCopy, Basis: record.BasisAppliance, Actor: b.appliance.ID, Record: a.letter.Record},
	} {
		found := false
		for _, e := range entries {
			found = found || isLike(e.AuditEntry, want) && e.Time.After(began.Add(-time.Minute)) &&
				e.Time.Before(time.Now().Add(time.Minute)) && e.ActorInstitution != ""
		}
		if !found {
			t.Errorf("the patient's audit has no entry like %+v", want)
		}
	}
	_, err = b.clerk.Audit(ctx, a.ref, 10, "")
	checkRefused(t, "the audit of another hospital's patient", err, record.Forbidden)
	auditHas(t, a, a.ref, 1, record.AuditEntry{Action: record.ActRefile, Basis: record.BasisInstitution})
}

// TestErasure erases a record by two people, unless it is held.
func TestErasure(t *testing.T) {
	t.Parallel()
	n := devnettest.Network(t)
	a, b := hospitals(t, n)
	held := record.LegalHoldChange{RecordName: a.letter, Reason: record.Litigation}
	erase := record.Proposal{Erase: &record.Erasure{RecordName: a.letter, Versions: []record.Tag{a.page}}}

	refused(t, b.patient, record.Forbidden, record.RequestErasureFunction, a.letter)
	do(t, a.patient, record.RequestErasureFunction, a.letter)
	do(t, a.clerk, record.LegalHoldFunction, held)
	refused(t, a.clerk, record.Held, record.ProposeFunction, erase)
	refusal := record.Proposal{RefuseErasure: &record.ErasureRefusal{RecordName: a.letter, Reason: record.RefusedByHold}}
	decision := record.DecisionName{Decision: do(t, a.clerk, record.ProposeFunction, refusal)}
	do(t, a.registrar, record.ConfirmFunction, decision)
	status, err := a.patient.Status(t.Context(), a.letter)
	if err != nil || status.Erasure != record.ErasureRefused || status.Refusal != record.RefusedByHold {
		t.Errorf("got %+v, %v", status, err)
	}

	refused(t, a.clerk, record.Forbidden, record.EndLegalHoldFunction, held)
	do(t, a.Person, record.EndLegalHoldFunction, held)
	do(t, a.patient, record.RequestErasureFunction, a.letter)
	refused(t, b.clerk, record.Forbidden, record.ProposeFunction, erase)
	decision = record.DecisionName{Decision: do(t, a.clerk, record.ProposeFunction, erase)}
	reads(t, a, a.patient, a.letter, a.page, record.BasisPatient)
	do(t, a.registrar, record.ConfirmFunction, decision)
	if access := reads(t, a, a.patient, a.letter, a.page, record.NoBasis); access.Reason != record.DeniedErased {
		t.Errorf("erased: %+v", access)
	}
	document, err := b.appliance.Document(t.Context(), a.page)
	if err != nil || document.Erased == nil || !document.Document.CID.IsZero() {
		t.Errorf("got %+v, %v, want a tombstone", document, err)
	}
	again, err := a.appliance.Anchor(t.Context(), record.Batch{Versions: []record.Version{a.version(record.KindLetter, "a letter")}})
	if err != nil || again.Outcomes[0] != record.Erased {
		t.Errorf("it comes again: %+v, %v", again, err)
	}
}
