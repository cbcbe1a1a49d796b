package contract_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

// twins gives two transaction IDs that begin alike. Who chooses a transaction's nonce finds such a pair with 2³² hashes,
// which a laptop does in minutes.
func twins() (first, second string) {
	const begin = "0123456789abcdef"
	return begin + strings.Repeat("0", 48), begin + strings.Repeat("f", 48)
}

// as endorses and commits a request under a transaction ID.
func (w *world) as(id string, p *person, function string, q record.Request, notes ...record.SealedNote) *record.Error {
	w.t.Helper()
	text, err := json.Marshal(q)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.asWith(id, p, function, string(text), sealedNotes(w.t, notes))
}

// asWith is as, with any transient data.
func (w *world) asWith(id string, p *person, function, text string, transient map[string][]byte) *record.Error {
	w.t.Helper()
	tx := w.ledger.endorseAs(id, p.creator, transient, function, text)
	if tx.response.GetStatus() != shim.OK {
		return refusalOf(w.t, tx)
	}
	if !w.ledger.commit(tx) {
		w.t.Fatalf("%s: the transaction became invalid", function)
	}
	return nil
}

// wantTwin fails the test unless the transaction was refused because its ID begins like another's.
func wantTwin(t *testing.T, refused *record.Error) {
	t.Helper()
	if refused == nil || refused.Code != record.AnchoringConflict {
		t.Errorf("got %v, want %s", refused, record.AnchoringConflict)
	}
}

// TestNoAuditEntryIsReplaced: a doctor breaks the glass, and then is refused something about the same patient with a
// transaction whose ID begins alike. The refusal must not take the emergency's place in the audit.
func TestNoAuditEntryIsReplaced(t *testing.T) {
	w := newWorld(t)
	first, second := twins()
	doctor := w.b.doctor
	q := record.Emergency{Patient: w.reference, Scope: record.Scope{All: true}}
	if refused := w.as(first, doctor, record.BreakGlassFunction, q, note(w.a.institution.id)); refused != nil {
		t.Fatal(refused)
	}
	before := w.audit(w.reference)
	wantTwin(t, w.as(second, doctor, record.RegisterPatientFunction, record.PatientRegistration{Patient: w.reference}))
	after := w.audit(w.reference)
	if len(before) != len(after) {
		t.Fatalf("%d entries, then %d", len(before), len(after))
	}
	for i := range before {
		if before[i] != after[i] {
			t.Errorf("the entry became %+v", after[i])
		}
	}
}

// TestNoAuditEntryOfAnAnchoringIsReplaced is the same where a batch that was written by a grant is one of the two.
func TestNoAuditEntryOfAnAnchoringIsReplaced(t *testing.T) {
	base := newWorld(t)
	asked := base.must(base.b.doctor, record.RequestFunction, record.AccessRequest{
		Patient: base.reference, Mode: record.Write, Scope: record.Scope{All: true}, Purpose: record.Treatment,
		Until: base.now().AddDate(1, 0, 0),
	})
	base.must(base.patient, record.ApproveFunction,
		record.Approval{Patient: base.reference, Participant: base.b.doctor.id, Request: asked.ID})
	first, second := twins()
	v := version("p", "r", "d")
	v.Patient, v.Author = base.reference, base.b.doctor.id
	denied := record.PatientRegistration{Patient: base.reference}

	t.Run("by a refusal", func(t *testing.T) {
		w := base.copy(t)
		tx := w.ledger.endorseAs(first, w.b.appliance.creator, transient(t, v), record.AnchorFunction)
		if !w.ledger.commit(tx) {
			t.Fatal(tx.response.GetMessage())
		}
		wantTwin(t, w.as(second, w.b.staff, record.RegisterPatientFunction, denied))
	})
	t.Run("by the batch", func(t *testing.T) {
		w := base.copy(t)
		if refused := w.as(first, w.b.staff, record.RegisterPatientFunction, denied); refused != nil {
			t.Fatal(refused)
		}
		tx := w.ledger.endorseAs(second, w.b.appliance.creator, transient(t, v), record.AnchorFunction)
		wantTwin(t, refusalOf(t, tx))
	})
}

// TestNoDecisionIsReplaced: the first person must not put another proposal under the ID that the second has read.
func TestNoDecisionIsReplaced(t *testing.T) {
	w := newWorld(t)
	other := w.register(w.a, w.enrol(w.a, record.PatientRole))
	somebody := w.enrol(w.a, record.PatientRole)
	first, second := twins()
	bind := func(r record.Reference) record.Proposal {
		return record.Proposal{BindPatient: &record.PatientRegistration{Patient: r, Participant: somebody.id}}
	}
	if refused := w.as(first, w.a.staff, record.ProposeFunction, bind(other)); refused != nil {
		t.Fatal(refused)
	}
	wantTwin(t, w.as(second, w.a.staff, record.ProposeFunction, bind(w.reference)))
}

// TestNoSealedNoteIsReplaced: the reason of an emergency must not be exchanged afterwards.
func TestNoSealedNoteIsReplaced(t *testing.T) {
	w := newWorld(t)
	first, second := twins()
	about := func(r record.Reference) record.Emergency {
		return record.Emergency{Patient: r, Scope: record.Scope{All: true}}
	}
	reason := note(w.a.institution.id)
	if refused := w.as(first, w.b.doctor, record.BreakGlassFunction, about(w.reference), reason); refused != nil {
		t.Fatal(refused)
	}
	wantTwin(t, w.as(second, w.b.doctor, record.BreakGlassFunction, about(w.register(w.a, nil)), reason))
}

// TestTakingALinkBackLeavesPatientsAlone: an institution that proposes a link to another's patient, and takes it back, again
// and again, must not make the transactions of that patient invalid.
func TestTakingALinkBackLeavesPatientsAlone(t *testing.T) {
	w := newWorld(t)
	q := record.Link{Patient: w.register(w.b, nil), To: w.reference}
	before := w.ledger.state[record.PatientKey(w.reference)].height
	w.must(w.b.staff, record.LinkFunction, q)
	w.must(w.b.staff, record.UnlinkFunction, q)
	if after := w.ledger.state[record.PatientKey(w.reference)].height; after != before {
		t.Error("the other institution's patient was written")
	}
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActUnlink, Basis: record.BasisInstitution, Actor: w.b.staff.id,
	})
}

// TestMergeGivesNobodyElseThePatient: one of the office must not make somebody the patient by merging them with a reference
// of their own, for to replace who signs for a patient takes two.
func TestMergeGivesNobodyElseThePatient(t *testing.T) {
	w := newWorld(t)
	accomplice := w.enrol(w.a, record.PatientRole)
	mine := w.register(w.a, accomplice)
	w.refuse(record.WrongState, w.a.staff, record.MergeFunction, record.Link{Patient: w.reference, To: mine})
	w.refuse(record.WrongState, w.a.staff, record.MergeFunction, record.Link{Patient: mine, To: w.reference})
	v := w.letter(w.a, w.reference, "letter")
	access, refused := ask[record.Access](w, accomplice, record.CheckAccessFunction, accomplice.id.String(),
		w.reference.String(), v.Record.String(), v.Name().String(), string(record.Read))
	if refused != nil || access.Allowed {
		t.Errorf("got %+v, %v", access, refused)
	}
}

// TestWhoAgreesToALinkBringsNobodyNew: hospital A proposes to link its patient with hospital B's, for whom nobody signs. B
// names somebody of its own before it agrees, who must not become A's patient by that.
func TestWhoAgreesToALinkBringsNobodyNew(t *testing.T) {
	w := newWorld(t)
	q := record.Link{Patient: w.reference, To: w.register(w.b, nil)}
	w.must(w.a.staff, record.LinkFunction, q)
	accomplice := w.enrol(w.b, record.PatientRole)
	w.must(w.b.staff, record.RegisterPatientFunction,
		record.PatientRegistration{Patient: q.To, Participant: accomplice.id})
	w.refuse(record.WrongState, w.b.staff, record.LinkFunction, q)
	v := w.letter(w.a, w.reference, "letter")
	access, refused := ask[record.Access](w, accomplice, record.CheckAccessFunction, accomplice.id.String(),
		w.reference.String(), v.Record.String(), v.Name().String(), string(record.Read))
	if refused != nil || access.Allowed {
		t.Errorf("B's accomplice reads A's patient: %+v, %v", access, refused)
	}
}

// TestAReboundPatientIsHomeAgain: hospital B gives its two people's decision for a new key of a patient who enrolled there,
// and has the key itself. At A, where that patient was known by their old key, it opens nothing, until A's office has
// named them again.
func TestAReboundPatientIsHomeAgain(t *testing.T) {
	for name, named := range map[string]func(w *world, x *person){
		"by a link that both agreed on": func(w *world, x *person) {
			q := record.Link{Patient: w.reference, To: w.register(w.b, x)}
			w.must(w.b.staff, record.LinkFunction, q)
			w.must(w.a.staff, record.LinkFunction, q)
		},
		"named by A": func(w *world, x *person) {
			w.decide(w.a, record.Proposal{BindPatient: &record.PatientRegistration{Patient: w.reference, Participant: x.id}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			x := w.enrol(w.b, record.PatientRole)
			named(w, x)
			letter := w.letter(w.a, w.reference, "letter")
			if !w.mayRead(x, letter) {
				t.Fatal("the patient does not read their own letter")
			}
			theft, thief := w.lostKey(x)
			w.decide(w.b, theft)
			if w.mayRead(x, letter) {
				t.Error("the new key's holder reads at A")
			}
			asked := w.askFor(record.Read, record.Scope{All: true})
			w.refuse(record.Forbidden, thief, record.ApproveFunction,
				record.Approval{Patient: asked.Patient, Participant: asked.Participant, Request: asked.Request})
			if own := w.letter(w.b, w.register(w.b, x), "own"); !w.mayRead(x, own) {
				t.Error("at home the patient with the new key does not read")
			}
			w.decide(w.a, record.Proposal{BindPatient: &record.PatientRegistration{Patient: w.reference, Participant: x.id}})
			if !w.mayRead(x, letter) {
				t.Error("named again, the patient does not read")
			}
		})
	}
}

// mayRead says whether a participant may read a record.
func (w *world) mayRead(p *person, v record.Version) bool {
	w.t.Helper()
	access, refused := ask[record.Access](w, p, record.CheckAccessFunction, p.id.String(), v.Patient.String(),
		v.Record.String(), v.Name().String(), "read")
	if refused != nil {
		w.t.Fatal(refused)
	}
	return access.Allowed
}

// TestAReboundDoctorAsksAgain: hospital B gives its two people's decision for a new key of its doctor, to whom A's patient
// granted access. Who holds the new key would have the grant: the patient is asked again.
func TestAReboundDoctorAsksAgain(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	waiting := w.asks(w.b.doctor, w.reference, record.Read, record.Scope{Kinds: []record.Kind{record.KindLetter}})
	w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
	w.reads(w.b.doctor, letter, record.BasisGrant)

	q, next := w.lostKey(w.b.doctor)
	w.must(w.b.clerk, record.ConfirmFunction, record.DecisionName{Decision: w.must(w.b.staff, record.ProposeFunction, q).ID})
	w.reads(next, letter, record.NoBasis)
	w.refuse(record.WrongState, w.patient, record.ApproveFunction, waiting) // it was the other one who asked
	w.grants(w.patient, next, w.reference, record.Read, everything())
	w.reads(next, letter, record.BasisGrant)
}

// TestASquattedDocumentIsAConflict: hospital B sees A's batch while it endorses it, and anchors the same documents first, for
// a patient of its own. A is not told that its documents are there.
func TestASquattedDocumentIsAConflict(t *testing.T) {
	w := newWorld(t)
	squat := version("", "study", "scan")
	squat.Patient = w.register(w.b, nil)
	w.anchor(w.b, squat)
	scan := version("", "study", "scan")
	scan.Patient = w.reference
	tx := w.ledger.endorse(w.a.appliance.creator, transient(t, scan), record.AnchorFunction)
	result, err := record.DecodeResult(tx.response.GetPayload())
	if err != nil || len(result.Outcomes) != 1 || result.Outcomes[0] != record.Conflict {
		t.Errorf("got %v, %v, want a conflict", result.Outcomes, err)
	}
	tx = w.ledger.endorse(w.b.appliance.creator, transient(t, squat), record.AnchorFunction)
	if result, _ = record.DecodeResult(tx.response.GetPayload()); result.Outcomes[0] != record.Existing {
		t.Errorf("its own again: got %v", result.Outcomes)
	}
}

// TestNobodyReleasesWhatTheyDoNotHold: an institution seals keys of its own as those of another's documents, for a reader with
// every right; or gives its own doctor what is another's. It is refused, and the patient sees it.
func TestNobodyReleasesWhatTheyDoNotHold(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	grant := w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
	forged := sealedOf(letter)
	forged.Versions[0].Documents[0].CID = content("forged")
	for _, h := range []*hospital{w.b, w.c} {
		for _, sealed := range []record.SealedRelease{sealedOf(letter), forged} {
			for _, to := range []record.Release{w.releaseTo(w.b.doctor, grant.Request), w.releaseTo(w.patient, record.ID{})} {
				w.refuseRelease(record.Forbidden, h, to, sealed)
			}
		}
	}
	for _, denial := range w.denials(w.reference) {
		if denial.Actor != w.b.appliance.id && denial.Actor != w.c.appliance.id {
			t.Errorf("denied %+v", denial)
		}
	}
	if n := len(w.denials(w.reference)); n != 8 {
		t.Errorf("%d attempts are in the audit, want 8", n)
	}
	w.refuse(record.Forbidden, newPerson(t, w.a.mspID, record.ApplianceRole, w.a.appliance.id), record.ReleaseFunction,
		w.releaseTo(w.b.doctor, grant.Request))
}

// TestNoReleaseIsDatedBack: after a grant's end nothing is released, however far back peers let a transaction be dated.
func TestNoReleaseIsDatedBack(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	grant := w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
	end := w.now().AddDate(0, 1, 0)
	dated := func(at time.Time) *record.Error {
		w := w.copy(t)
		w.ledger.now = at
		_, refused := w.release(w.a, w.releaseTo(w.b.doctor, grant.Request), sealedOf(letter))
		return refused
	}
	if refused := dated(end.Add(-record.ClockSkew - time.Second)); refused != nil {
		t.Errorf("in the last second: %v", refused)
	}
	for _, at := range []time.Time{end.Add(-record.ClockSkew), end, end.Add(time.Hour)} { // the first is dated back at the end
		if refused := dated(at); refused == nil || refused.Code != record.Forbidden {
			t.Errorf("at %s: %v", at, refused)
		}
	}
	w.must(w.patient, record.RevokeFunction, grant)
	if refused := dated(w.now().Add(-record.ClockSkew)); refused == nil || refused.Code != record.Forbidden {
		t.Errorf("dated before it was revoked: %v", refused)
	}
}

// TestClaimedCopiesOpenNothingElsewhere: hospital B says that it holds copies of A's record, of which nobody can see whether it
// does, and puts its own doctor in charge. A does not give that doctor anything for it, nor for a grant that they have not; it
// does for one that they have, which the supervision does not stand before.
func TestClaimedCopiesOpenNothingElsewhere(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	link := record.Link{Patient: w.reference, To: w.register(w.b, nil)}
	w.must(w.a.staff, record.LinkFunction, link)
	w.must(w.b.staff, record.LinkFunction, link)
	w.supervises(w.b, w.b.doctor, link.To, time.Time{})
	w.must(w.b.appliance, record.HoldCopyFunction, allCopies(letter, link.To))
	w.reads(w.b.doctor, letter, record.BasisSupervision)

	w.refuseRelease(record.Forbidden, w.a, w.releaseTo(w.b.doctor, record.ID{}), sealedOf(letter))
	w.mustRelease(w.b, w.releaseTo(w.b.doctor, record.ID{}), sealedCopies(letter))
	grant := w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
	w.reads(w.b.doctor, letter, record.BasisGrant) // whoever asks: both custodians go by the same right
	w.mustRelease(w.a, w.releaseTo(w.b.doctor, grant.Request), sealedOf(letter))
	w.mustRelease(w.b, w.releaseTo(w.b.doctor, grant.Request), sealedCopies(letter))
}

// TestNoReleaseIsReplaced: what a reader was given must not be exchanged afterwards, whether it is there still or was ended.
func TestNoReleaseIsReplaced(t *testing.T) {
	for name, ended := range map[string]bool{"there": false, "ended": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			letter := w.letter(w.a, w.reference, "letter")
			first, second := twins()
			text := string(mustJSON(t, w.releaseTo(w.patient, record.ID{})))
			sealed := sealedOf(letter)
			if refused := w.asWith(first, w.a.appliance, record.ReleaseFunction, text, sealedField(sealed)); refused != nil {
				t.Fatal(refused)
			}
			id := w.releases(w.reference, w.patient.id)[0].ID
			if ended {
				w.must(w.a.appliance, record.EndReleaseFunction, endOf(w.releaseTo(w.patient, record.ID{}), id))
			}
			sealed.Metadata = []byte("another")
			wantTwin(t, w.asWith(second, w.a.appliance, record.ReleaseFunction, text, sealedField(sealed)))
		})
	}
}
