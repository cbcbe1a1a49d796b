package contract

import (
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
)

// TestPatients links, unlinks and merges references, and has somebody act for a patient.
func TestPatients(t *testing.T) {
	t.Parallel()
	n := devnettest.Network(t)
	a, b := hospitals(t, n)
	ctx := t.Context()

	// The same person is a patient at the other hospital: they link the two themselves.
	elsewhere, err := b.Patient(ctx, a.patient)
	if err != nil {
		t.Fatal(err)
	}
	pair := record.Link{Patient: a.ref, To: elsewhere}
	refused(t, b.patient, record.Forbidden, record.LinkFunction, pair)
	do(t, a.patient, record.LinkFunction, pair)
	linked := func(want bool) {
		t.Helper()
		for _, pair := range []record.Link{pair, {Patient: elsewhere, To: a.ref}} {
			p, err := a.appliance.Patient(ctx, pair.Patient)
			if err != nil || p.LinkedTo(pair.To) != want {
				t.Errorf("linked: got %+v, %v, want %t", p.Links, err, want)
			}
		}
	}
	linked(true)
	do(t, a.patient, record.UnlinkFunction, pair)
	linked(false)

	// Both hospitals link them where the patient cannot.
	do(t, b.clerk, record.LinkFunction, pair)
	linked(false)
	refused(t, b.registrar, record.Exists, record.LinkFunction, pair)
	do(t, a.clerk, record.LinkFunction, pair)
	linked(true)
	do(t, b.registrar, record.UnlinkFunction, pair)
	linked(false)

	// One hospital merges two references of its own.
	second, err := a.Patient(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, b.clerk, record.Forbidden, record.MergeFunction, record.Link{Patient: a.ref, To: second})
	do(t, a.clerk, record.MergeFunction, record.Link{Patient: a.ref, To: second})

	// A parent acts for the patient, with a document that shows it, in letters only.
	parent := a.enrol(t, record.RepresentativeRole)
	reads(t, a, parent, a.letter, a.page, record.NoBasis)
	do(t, a.clerk, record.RepresentFunction, record.Representation{
		Patient: a.ref, Participant: parent.ID, Authority: record.ParentAuthority, Evidence: a.page,
		Until: soon(24 * time.Hour), Scope: record.Scope{Kinds: []record.Kind{record.KindLetter}},
	})
	reads(t, a, parent, a.letter, a.page, record.BasisRepresentative)
	scan, image := a.anchor(t, record.KindImaging, "a scan")
	reads(t, a, parent, scan, image, record.NoBasis)
	do(t, parent, record.EndRepresentationFunction, record.RepresentationEnd{Patient: a.ref, Participant: parent.ID})
	reads(t, a, parent, a.letter, a.page, record.NoBasis)

	do(t, a.clerk, record.DeceasedFunction, record.Deceased{Patient: a.ref})
	reads(t, a, a.patient, a.letter, a.page, record.NoBasis)
	do(t, a.clerk, record.DeceasedFunction, record.Deceased{Patient: a.ref, Alive: true})
	reads(t, a, a.patient, a.letter, a.page, record.BasisPatient)
}
