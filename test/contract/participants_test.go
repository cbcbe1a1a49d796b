package contract

import (
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
)

// TestParticipants follows a doctor's key from the enrolment code over rotation, suspension and loss.
func TestParticipants(t *testing.T) {
	t.Parallel()
	n := devnettest.Network(t)
	a, b := hospitals(t, n)
	ctx := t.Context()
	id := a.doctor.ID

	next := mint(t, n, a.Member, id, record.DoctorRole)
	if _, err := next.WhoAmI(ctx); err == nil {
		t.Error("a certificate alone makes somebody the doctor")
	}
	do(t, a.doctor, record.RotateFunction, next.rotation(t, id))
	if me, err := next.WhoAmI(ctx); err != nil || me.ID != id {
		t.Errorf("after the rotation the new key is %+v, %v", me, err)
	}
	_, err := a.doctor.WhoAmI(ctx)
	checkRefused(t, "WhoAmI with the old key", err, record.Forbidden)
	q := record.Join{}
	q.EncryptionKey, q.Signature, err = a.doctor.Vouch()
	if err != nil {
		t.Fatal(err)
	}
	refused(t, a.doctor, record.Forbidden, record.JoinFunction, q) // for ever

	suspension := record.Suspension{Participant: id}
	refused(t, b.Person, record.Forbidden, record.SuspendFunction, suspension)
	refused(t, a.clerk, record.Forbidden, record.SuspendFunction, suspension)
	do(t, a.Person, record.SuspendFunction, suspension)
	_, err = next.WhoAmI(ctx)
	checkRefused(t, "WhoAmI of the suspended", err, record.Forbidden)
	do(t, a.Person, record.ReinstateFunction, suspension)
	if _, err := next.WhoAmI(ctx); err != nil {
		t.Error(err)
	}

	// The key is lost. One person alone does not replace it, and another hospital's two do not either.
	found := mint(t, n, a.Member, id, record.DoctorRole)
	lost := record.Proposal{Rebind: &record.LostKey{Participant: id, Rotation: found.rotation(t, id)}}
	refused(t, b.clerk, record.Forbidden, record.ProposeFunction, lost)
	decision := record.DecisionName{Decision: do(t, a.clerk, record.ProposeFunction, lost)}
	refused(t, a.clerk, record.Forbidden, record.ConfirmFunction, decision)
	refused(t, b.registrar, record.Forbidden, record.ConfirmFunction, decision)
	do(t, a.registrar, record.ConfirmFunction, decision)
	if me, err := found.WhoAmI(ctx); err != nil || me.ID != id {
		t.Errorf("after the decision the found key is %+v, %v", me, err)
	}
	_, err = next.WhoAmI(ctx)
	checkRefused(t, "WhoAmI with the lost key", err, record.Forbidden)
	auditHas(t, a, record.InstitutionReference(a.ID.Institution()), 2, record.AuditEntry{
		Action: record.ActRebind, Basis: record.BasisTwoPeople, Subject: id, About: decision.Decision,
	})
}
