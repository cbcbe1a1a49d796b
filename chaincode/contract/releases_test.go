package contract_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

// sealedOf seals, or so it looks, the keys of all documents of versions, as who anchored them.
func sealedOf(versions ...record.Version) record.SealedRelease {
	r := record.SealedRelease{Encapsulated: make([]byte, record.EncapsulatedKeySize), Metadata: []byte("sealed")}
	for _, v := range versions {
		one := record.ReleasedVersion{Record: v.Record, Version: v.Name()}
		for _, d := range v.Documents {
			one.Documents = append(one.Documents, record.ReleasedDocument{Tag: d.Tag, CID: d.CID})
		}
		r.Versions = append(r.Versions, one)
	}
	return r
}

// allCopies are copies of all documents of a version, for a patient who is linked to the version's.
func allCopies(v record.Version, to record.Reference) record.Copies {
	q := record.Copies{Patient: to, Of: v.Patient}
	for _, d := range v.Documents {
		q.Copies = append(q.Copies, record.Copy{Record: v.Record, Version: v.Name(), Tag: d.Tag, CID: content("copy of " + d.Tag.String())})
	}
	return q
}

// sealedCopies is sealedOf, as who holds allCopies.
func sealedCopies(v record.Version) record.SealedRelease {
	r := sealedOf(v)
	for i, d := range v.Documents {
		r.Versions[0].Documents[i].CID = content("copy of " + d.Tag.String())
	}
	return r
}

// releaseTo asks to release records of the world's patient to a reader, by a grant or by another right without an end.
func (w *world) releaseTo(reader *person, grant record.ID) record.Release {
	w.t.Helper()
	key, _ := reader.encryptionKey(w.t)
	q := record.Release{Patient: w.reference, Recipient: reader.id, Grant: grant, Key: record.KeyIDOf(key)}
	for _, g := range w.relation(w.reference, reader).Grants {
		if g.ID == grant {
			q.Until = g.Until
		}
	}
	return q
}

func sealedField(r record.SealedRelease) map[string][]byte {
	return map[string][]byte{record.ReleaseField: r.Encode()}
}

// release has a hospital's appliance release documents, and gives what it was refused with.
func (w *world) release(h *hospital, q record.Release, sealed record.SealedRelease) (record.ID, *record.Error) {
	w.t.Helper()
	answer, refused, _ := w.transactWith(h.appliance, record.ReleaseFunction, q, sealedField(sealed))
	return answer.ID, refused
}

func (w *world) mustRelease(h *hospital, q record.Release, sealed record.SealedRelease) record.ID {
	w.t.Helper()
	id, refused := w.release(h, q, sealed)
	if refused != nil {
		w.t.Fatalf("release by %s: %v", h.mspID, refused)
	}
	return id
}

// refuseRelease fails the test unless the release is refused with the code, and leaves nothing but, of a lack of right, a denial.
func (w *world) refuseRelease(code record.Code, h *hospital, q record.Release, sealed record.SealedRelease) {
	w.t.Helper()
	before := len(w.denials(q.Patient))
	_, refused := w.release(h, q, sealed)
	if refused == nil || refused.Code != code {
		w.t.Errorf("release by %s: got %v, want %s", h.mspID, refused, code)
	}
	want := 0
	if code == record.Forbidden {
		want = 1
	}
	if got := len(w.denials(q.Patient)) - before; got != want {
		w.t.Errorf("%d denials are in the audit, want %d", got, want)
	}
	if len(w.releases(q.Patient, record.ParticipantID{})) > 0 || len(w.ledger.private) > 0 {
		w.t.Error("a release is there")
	}
}

// denials are the refused releases in a patient's audit.
func (w *world) denials(r record.Reference) []record.AuditEntry {
	w.t.Helper()
	return slices.DeleteFunc(w.audit(r), func(e record.AuditEntry) bool { return e.Action != record.ActRelease || !e.Denied })
}

// releases lists them, by pages of one; of any recipient, if it is zero.
func (w *world) releases(patient record.Reference, to record.ParticipantID) (all []record.ListedRelease) {
	w.t.Helper()
	recipient, bookmark := "", ""
	if !to.IsZero() {
		recipient = to.String()
	}
	for {
		page, refused := ask[record.ReleasePage](w, w.c.staff, record.ReleasesFunction, patient.String(), recipient, "1", bookmark)
		if refused != nil {
			w.t.Fatal(refused)
		}
		all, bookmark = append(all, page.Releases...), page.Bookmark
		if bookmark == "" {
			return all
		}
	}
}

// sealedRelease gives what stands in the collection of a release.
func (w *world) sealedRelease(q record.Release, id record.ID) ([]byte, *record.Error) {
	w.t.Helper()
	return ask[[]byte](w, w.b.doctor, record.SealedReleaseFunction, q.Patient.String(), q.Recipient.String(), id.String())
}

func endOf(q record.Release, ids ...record.ID) record.ReleaseEnd {
	end := record.ReleaseEnd{Patient: q.Patient}
	for _, id := range ids {
		end.Releases = append(end.Releases, record.ReleaseName{Recipient: q.Recipient, ID: id})
	}
	return end
}

func TestRelease(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	study := w.filed(w.a, record.Version{Patient: w.reference, Record: tag("study"), Kind: record.KindImaging}, "slice 1", "slice 2")
	more := w.filed(w.a, record.Version{Patient: w.reference, Record: tag("study"), Kind: record.KindImaging}, "slice 3")
	grant := w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
	until := w.now().AddDate(0, 1, 0)

	q, sealed := w.releaseTo(w.b.doctor, grant.Request), sealedOf(letter, study, more)
	answer, refused, tx := w.transactWith(w.a.appliance, record.ReleaseFunction, q, sealedField(sealed))
	if refused != nil {
		t.Fatal(refused)
	}
	checkConsistent(t, tx, false)
	want := record.ListedRelease{
		Patient: w.reference, Recipient: w.b.doctor.id, ID: answer.ID, Institution: w.a.institution.id, Grant: grant.Request,
		Key: q.Key, Until: until, Documents: []record.Tag{tag("letter"), tag("slice 1"), tag("slice 2"), tag("slice 3")},
	}
	if got := w.releases(w.reference, w.b.doctor.id); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("listed as %+v, want %+v", got, want)
	}
	if wire, refused := w.sealedRelease(q, answer.ID); refused != nil || !bytes.Equal(wire, sealed.Encode()) {
		t.Errorf("%d bytes are sealed, %v", len(wire), refused)
	}
	for _, rec := range []record.Tag{letter.Record, study.Record} {
		w.wantAudit(w.reference, record.AuditEntry{
			Action: record.ActRelease, Basis: record.BasisGrant, Actor: w.a.appliance.id, Subject: w.b.doctor.id, Record: rec,
			About: grant.Request, Until: until,
		})
	}

	other := w.mustRelease(w.a, w.releaseTo(w.patient, record.ID{}), sealedOf(letter))
	if all := w.releases(w.reference, record.ParticipantID{}); len(all) != 2 {
		t.Errorf("%d releases of the patient's records", len(all))
	}
	if mine := w.releases(w.reference, w.patient.id); len(mine) != 1 || mine[0].ID != other || !mine[0].Grant.IsZero() ||
		!mine[0].Until.IsZero() {
		t.Errorf("the patient's: %+v", mine)
	}
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActRelease, Basis: record.BasisPatient, Actor: w.a.appliance.id, Subject: w.patient.id, Record: letter.Record,
	})
}

// TestReleaseNeedsARight has one case for each right, and for what is none; and says until when the release is.
func TestReleaseNeedsARight(t *testing.T) {
	base := newWorld(t)
	letter := base.letter(base.a, base.reference, "letter")
	var grant record.ID
	month, never := base.now().AddDate(0, 1, 0), time.Time{}
	for name, test := range map[string]struct {
		set    func(w *world)
		reader *person
		by     bool // the release names the grant
		refuse record.Code
		until  time.Time
	}{
		"a grant": {func(w *world) {
			grant = w.grants(w.patient, w.b.doctor, w.reference, record.Read, letters()).Request
		}, base.b.doctor, true, "", month},
		"a grant that is not named": {func(w *world) {
			w.grants(w.patient, w.b.doctor, w.reference, record.Read, letters())
		}, base.b.doctor, false, record.WrongState, month},
		"a linked grant": {func(w *world) {
			there := w.register(w.b, w.patient)
			w.must(w.patient, record.LinkFunction, record.Link{Patient: w.reference, To: there})
			grant = w.grants(w.patient, w.b.doctor, there, record.Read, letters()).Request
		}, base.b.doctor, true, "", month},
		"a referral": {func(w *world) {
			grant = w.refers(w.a, w.b.doctor, w.reference).Request
		}, base.b.doctor, true, "", base.now().AddDate(0, 0, 7)},
		"an emergency": {func(w *world) {
			grant = w.emergency(w.a, w.b.doctor, w.reference).Request
			w.ledger.private = map[string][]byte{}
		}, base.b.doctor, true, "", base.now().Add(4 * time.Hour)},
		"supervision": {func(w *world) {
			w.supervises(w.a, w.a.doctor, w.reference, never)
		}, base.a.doctor, false, "", never},
		"the patient": {nil, base.patient, false, "", never},
		"a representative": {func(w *world) {
			w.represent(w.representative, record.ParentAuthority, letters())
		}, base.representative, false, "", base.now().AddDate(1, 0, 0)},

		"nothing":           {nil, base.b.doctor, false, record.Forbidden, never},
		"nothing, in house": {nil, base.a.doctor, false, record.Forbidden, never},
		"an appliance":      {nil, base.a.appliance, false, record.Forbidden, never},
		"a request": {func(w *world) {
			grant = w.asks(w.b.doctor, w.reference, record.Read, everything()).Request
		}, base.b.doctor, true, record.Forbidden, never},
		"a grant of another kind": {func(w *world) {
			grant = w.grants(w.patient, w.b.doctor, w.reference, record.Read, record.Scope{Kinds: []record.Kind{record.KindImaging}}).Request
		}, base.b.doctor, true, record.Forbidden, never},
		"a grant to write": {func(w *world) {
			grant = w.grants(w.patient, w.b.doctor, w.reference, record.Write, everything()).Request
		}, base.b.doctor, true, record.Forbidden, never},
		"a grant to a colleague": {func(w *world) {
			grant = w.grants(w.patient, w.b.locum, w.reference, record.Read, everything()).Request
		}, base.b.doctor, true, record.Forbidden, never},
		"a grant of another patient": {func(w *world) {
			other := w.enrol(w.a, record.PatientRole)
			grant = w.grants(other, w.b.doctor, w.register(w.a, other), record.Read, everything()).Request
		}, base.b.doctor, true, record.Forbidden, never},
		"a grant that was revoked": {func(w *world) {
			c := w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
			grant = c.Request
			w.must(w.patient, record.RevokeFunction, c)
		}, base.b.doctor, true, record.Forbidden, never},
		"a grant that was given back": {func(w *world) {
			c := w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
			grant = c.Request
			w.must(w.b.doctor, record.RelinquishFunction, c)
		}, base.b.doctor, true, record.Forbidden, never},
		"another grant": {func(w *world) {
			c := w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
			grant = c.Request
			w.must(w.patient, record.RevokeFunction, c)
			w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
		}, base.b.doctor, true, record.WrongState, never},
		"supervision, not the grant": {func(w *world) {
			grant = w.grants(w.patient, w.a.doctor, w.reference, record.Read, everything()).Request
			w.supervises(w.a, w.a.doctor, w.reference, never)
		}, base.a.doctor, true, record.WrongState, never},
		"a record that was withdrawn": {func(w *world) {
			w.must(w.a.staff, record.WithdrawFunction, record.Correction{RecordName: record.RecordName{Patient: w.reference, Record: letter.Record}})
		}, base.patient, false, record.Forbidden, never},
		"a record that was erased": {func(w *world) { w.erase(w.a, letter) }, base.patient, false, record.WrongState, never},
		"a reader who is suspended": {func(w *world) {
			w.must(w.a.institution, record.SuspendFunction, record.Suspension{Participant: w.patient.id})
		}, base.patient, false, record.WrongState, never},
	} {
		t.Run(name, func(t *testing.T) {
			w := base.copy(t)
			grant = record.ID{}
			if test.set != nil {
				test.set(w)
			}
			q := w.releaseTo(test.reader, record.ID{})
			if test.by {
				q.Grant = grant
			}
			q.Until = test.until
			if test.refuse != "" {
				w.refuseRelease(test.refuse, w.a, q, sealedOf(letter))
				return
			}
			w.mustRelease(w.a, q, sealedOf(letter))
			if got := w.releases(w.reference, test.reader.id); len(got) != 1 || !got[0].Until.Equal(test.until) || got[0].Grant != q.Grant {
				t.Errorf("listed as %+v, want it until %s", got, test.until)
			}
		})
	}
}

func TestReleaseIsRefused(t *testing.T) {
	base := newWorld(t)
	letter, other := base.letter(base.a, base.reference, "letter"), base.letter(base.a, base.register(base.a, nil), "other")
	stranger := base.invited(base.b, record.DoctorRole)
	for name, test := range map[string]struct {
		change func(w *world, q *record.Release, r *record.SealedRelease)
		refuse record.Code
	}{
		"to nobody": {func(w *world, q *record.Release, _ *record.SealedRelease) { q.Recipient = w.newID(w.b) }, record.NotFound},
		"to who has not joined": {func(_ *world, q *record.Release, _ *record.SealedRelease) {
			q.Recipient = stranger.id
		}, record.WrongState},
		"to another key": {func(_ *world, q *record.Release, _ *record.SealedRelease) { q.Key[0]++ }, record.WrongState},
		"to a key that was rotated": {func(w *world, _ *record.Release, _ *record.SealedRelease) {
			next := newPerson(w.t, w.patient.mspID, record.PatientRole, w.patient.id)
			rotation := w.rotation(w.patient, next)
			rotation.EncryptionKey[100]++
			rotation.Signature = next.sign(w.t, record.EncryptionKeyMessage(next.id, rotation.EncryptionKey))
			w.must(w.patient, record.RotateFunction, rotation)
		}, record.WrongState},
		"of no record":       {func(_ *world, _ *record.Release, r *record.SealedRelease) { r.Versions[0].Record[0]++ }, record.NotFound},
		"of no version":      {func(_ *world, _ *record.Release, r *record.SealedRelease) { r.Versions[0].Version[0]++ }, record.NotFound},
		"of no document":     {func(_ *world, _ *record.Release, r *record.SealedRelease) { r.Versions[0].Documents[0].Tag[0]++ }, record.NotFound},
		"of another's":       {func(_ *world, _ *record.Release, r *record.SealedRelease) { *r = sealedOf(other) }, record.NotFound},
		"of another payload": {func(_ *world, _ *record.Release, r *record.SealedRelease) { r.Versions[0].Documents[0].CID[1]++ }, record.Forbidden},
		"of an erased document": {func(w *world, _ *record.Release, _ *record.SealedRelease) {
			w.ledger.state[record.DocumentKey(letter.Name())] = stateValue{
				record.StoredDocument{Tombstone: record.Tombstone{Erasure: record.AnchoringID{1}}}.Encode(), w.ledger.height,
			}
		}, record.WrongState},
		"of nothing": {func(_ *world, _ *record.Release, r *record.SealedRelease) { r.Versions = nil }, record.BadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			w := base.copy(t)
			q, r := w.releaseTo(w.patient, record.ID{}), sealedOf(letter)
			test.change(w, &q, &r)
			w.refuseRelease(test.refuse, w.a, q, r)
		})
	}
	t.Run("without what is sealed", func(t *testing.T) {
		w := base.copy(t)
		w.refuse(record.BadRequest, w.a.appliance, record.ReleaseFunction, w.releaseTo(w.patient, record.ID{}))
		w.refuse(record.BadRequest, w.a.appliance, record.ReleaseFunction, w.releaseTo(w.patient, record.ID{}), note(w.patient.id))
	})
}

// TestReleaseEndsWithTheRight: it is sealed until then, so that one with another end would not open.
func TestReleaseEndsWithTheRight(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	good := w.releaseTo(w.b.doctor, w.grants(w.patient, w.b.doctor, w.reference, record.Read, letters()).Request)
	for _, until := range []time.Time{{}, good.Until.Add(-time.Second), good.Until.Add(time.Second)} {
		q := good
		q.Until = until
		w.refuseRelease(record.WrongState, w.a, q, sealedOf(letter))
	}
	own := w.releaseTo(w.patient, record.ID{})
	own.Until = good.Until
	w.refuseRelease(record.WrongState, w.a, own, sealedOf(letter))
	good.Until = good.Until.In(time.FixedZone("elsewhere", 3600))
	w.mustRelease(w.a, good, sealedOf(letter))
}

// TestReleaseOfVersionsOfTwoKinds: a record's versions may be of different kinds, and each needs the right.
func TestReleaseOfVersionsOfTwoKinds(t *testing.T) {
	w := newWorld(t)
	text := w.filed(w.a, record.Version{Patient: w.reference, Record: tag("record"), Kind: record.KindLetter}, "text")
	image := w.filed(w.a, record.Version{Patient: w.reference, Record: tag("record"), Kind: record.KindImaging}, "image")
	first := w.grants(w.patient, w.b.doctor, w.reference, record.Read, letters())
	w.refuseRelease(record.Forbidden, w.a, w.releaseTo(w.b.doctor, first.Request), sealedOf(text, image))
	w.refuseRelease(record.Forbidden, w.a, w.releaseTo(w.b.doctor, record.ID{}), sealedOf(image))

	second := w.grants(w.patient, w.b.doctor, w.reference, record.Read, record.Scope{Kinds: []record.Kind{record.KindImaging}})
	for _, grant := range []record.ID{first.Request, second.Request, {}} { // each is sealed for one
		w.refuseRelease(record.WrongState, w.a, w.releaseTo(w.b.doctor, grant), sealedOf(text, image))
	}
	w.must(w.patient, record.RevokeFunction, first)
	w.must(w.patient, record.RevokeFunction, second)
	both := w.grants(w.patient, w.b.doctor, w.reference, record.Read, everything())
	w.mustRelease(w.a, w.releaseTo(w.b.doctor, both.Request), sealedOf(text, image))
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActRelease, Basis: record.BasisGrant, Actor: w.a.appliance.id, Subject: w.b.doctor.id, Record: tag("record"),
		About: both.Request, Until: w.now().AddDate(0, 1, 0),
	})
}

// TestReleaseOfCopies: who holds copies releases those, to whom the patient let read.
func TestReleaseOfCopies(t *testing.T) {
	w := newWorld(t)
	study, q := w.copied()
	copies := sealedOf(study)
	copies.Versions[0].Documents = nil
	for _, c := range q.Copies {
		copies.Versions[0].Documents = append(copies.Versions[0].Documents, record.ReleasedDocument{Tag: c.Tag, CID: c.CID})
	}
	w.refuseRelease(record.Forbidden, w.b, w.releaseTo(w.patient, record.ID{}), copies) // not yet
	w.must(w.b.appliance, record.HoldCopyFunction, q)
	w.refuseRelease(record.Forbidden, w.b, w.releaseTo(w.patient, record.ID{}), sealedOf(study)) // the first holder's payload
	w.refuseRelease(record.Forbidden, w.a, w.releaseTo(w.patient, record.ID{}), copies)
	w.refuseRelease(record.Forbidden, w.b, w.releaseTo(w.c.doctor, record.ID{}), copies)
	third := sealedOf(study)
	third.Versions[0].Documents = third.Versions[0].Documents[2:] // of which there is no copy
	w.refuseRelease(record.Forbidden, w.b, w.releaseTo(w.patient, record.ID{}), third)

	w.mustRelease(w.b, w.releaseTo(w.patient, record.ID{}), copies)
	if got := w.releases(w.reference, w.patient.id); len(got) != 1 || got[0].Institution != w.b.institution.id || len(got[0].Documents) != 2 {
		t.Errorf("listed as %+v", got)
	}
	w.ledger.state[record.HoldingKey(w.b.institution.id.Institution(), q.Copies[0].Tag)] = stateValue{
		record.StoredHolding{Tombstone: record.Tombstone{Erasure: record.AnchoringID{1}}}.Encode(), w.ledger.height,
	}
	if _, refused := w.release(w.b, w.releaseTo(w.patient, record.ID{}), copies); refused == nil || refused.Code != record.WrongState {
		t.Errorf("of an erased copy: %v", refused)
	}
}

func TestEndRelease(t *testing.T) {
	base := newWorld(t)
	letter := base.letter(base.a, base.reference, "letter")
	grant := base.grants(base.patient, base.b.doctor, base.reference, record.Read, everything())
	q := base.releaseTo(base.b.doctor, grant.Request)
	first, second := base.mustRelease(base.a, q, sealedOf(letter)), base.mustRelease(base.a, q, sealedOf(letter))

	for name, before := range map[string]func(w *world){
		"while the right stands": func(*world) {},
		"after it was revoked":   func(w *world) { w.must(w.patient, record.RevokeFunction, grant) },
		"after it is over":       func(w *world) { w.advance(365 * 24 * time.Hour) },
		"of an erased record":    func(w *world) { w.erase(w.a, letter) },
		"to who is suspended": func(w *world) {
			w.must(w.b.institution, record.SuspendFunction, record.Suspension{Participant: w.b.doctor.id})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := base.copy(t)
			before(w)
			for _, by := range []*person{w.b.appliance, w.c.appliance, w.a.staff, w.patient, w.b.doctor} {
				w.refuse(record.Forbidden, by, record.EndReleaseFunction, endOf(q, first))
				w.wantAudit(w.reference, record.AuditEntry{Action: record.ActEndRelease, Denied: true, Actor: by.id})
			}
			_, refused, tx := w.transact(w.a.appliance, record.EndReleaseFunction, endOf(q, first, record.ID{7}))
			if refused != nil {
				t.Fatal(refused)
			}
			checkConsistent(t, tx, false)
			if got := w.releases(w.reference, w.b.doctor.id); len(got) != 1 || got[0].ID != second {
				t.Errorf("still listed: %+v", got)
			}
			if _, refused := w.sealedRelease(q, first); refused == nil || refused.Code != record.NotFound {
				t.Errorf("the sealed keys are there: %v", refused)
			}
			if _, refused := w.sealedRelease(q, second); refused != nil {
				t.Errorf("the other release: %v", refused)
			}
			w.wantAudit(w.reference, record.AuditEntry{
				Action: record.ActEndRelease, Basis: record.BasisAppliance, Actor: w.a.appliance.id, Subject: w.b.doctor.id,
				About: grant.Request,
			})
			w.must(w.a.appliance, record.EndReleaseFunction, endOf(q, second))
			if len(w.ledger.private) > 0 {
				t.Errorf("%d values are left in the collection", len(w.ledger.private))
			}
		})
	}
	t.Run("another appliance of the institution", func(t *testing.T) {
		w := base.copy(t)
		w.must(w.enrol(w.a, record.ApplianceRole), record.EndReleaseFunction, endOf(q, first, second))
	})
	t.Run("again", func(t *testing.T) {
		w := base.copy(t)
		w.must(w.a.appliance, record.EndReleaseFunction, endOf(q, first))
		for _, by := range []*person{w.a.appliance, w.c.appliance} {
			_, refused, tx := w.transact(by, record.EndReleaseFunction, endOf(q, first))
			if refused != nil || len(tx.writes)+len(tx.private) > 0 || tx.event != record.ActedEvent {
				t.Errorf("%v, writes %d keys", refused, len(tx.writes)+len(tx.private))
			}
		}
	})
	t.Run("one of which is another's", func(t *testing.T) {
		w := base.copy(t)
		theirs := w.letter(w.c, w.register(w.c, w.patient), "theirs")
		there := w.releaseTo(w.patient, record.ID{})
		there.Patient = theirs.Patient
		w.mustRelease(w.c, there, sealedOf(theirs))
		w.must(w.patient, record.LinkFunction, record.Link{Patient: w.reference, To: theirs.Patient})
		w.must(w.c.appliance, record.HoldCopyFunction, allCopies(letter, theirs.Patient))
		mine := w.mustRelease(w.c, q, sealedCopies(letter))
		w.refuse(record.Forbidden, w.c.appliance, record.EndReleaseFunction, endOf(q, mine, first))
		if got := w.releases(w.reference, record.ParticipantID{}); len(got) != 3 {
			t.Errorf("%d releases are left of 3", len(got))
		}
	})
}

func TestReleaseQueries(t *testing.T) {
	w := newWorld(t)
	patient, doctor, id := w.reference.String(), w.b.doctor.id.String(), record.ID{1}.String()
	for name, test := range map[string]struct {
		arguments []string
		code      record.Code
	}{
		"none":                 {[]string{record.ReleasesFunction, patient, doctor, "10", ""}, ""},
		"a bad patient":        {[]string{record.ReleasesFunction, "x", doctor, "10", ""}, record.BadRequest},
		"a bad recipient":      {[]string{record.ReleasesFunction, patient, "x", "10", ""}, record.BadRequest},
		"a bad size":           {[]string{record.ReleasesFunction, patient, doctor, "0", ""}, record.BadRequest},
		"a bad bookmark":       {[]string{record.ReleasesFunction, patient, doctor, "10", "U"}, record.BadRequest},
		"sealed: none":         {[]string{record.SealedReleaseFunction, patient, doctor, id}, record.NotFound},
		"sealed: a patient":    {[]string{record.SealedReleaseFunction, "x", doctor, id}, record.BadRequest},
		"sealed: a recipient":  {[]string{record.SealedReleaseFunction, patient, "", id}, record.BadRequest},
		"sealed: an ID":        {[]string{record.SealedReleaseFunction, patient, doctor, "x"}, record.BadRequest},
		"sealed: a note's key": {[]string{record.SealedReleaseFunction, patient, doctor, id + doctor}, record.BadRequest},
	} {
		tx := w.ledger.endorse(w.c.doctor.creator, nil, test.arguments...)
		if refused := refusalOf(t, tx); refused != nil && refused.Code != test.code || (refused == nil) != (test.code == "") {
			t.Errorf("%s: %v", name, refused)
		}
	}
}

// TestLargestRelease: what the limits allow has room in a transaction.
func TestLargestRelease(t *testing.T) {
	w := newWorld(t)
	var versions []record.Version
	for i := range record.MaxReleaseRecords {
		v := w.many(fmt.Sprint("record ", i), record.MaxReleaseDocuments/record.MaxReleaseRecords)
		versions = append(versions, v)
	}
	w.anchor(w.a, versions...)
	sealed := sealedOf(versions...)
	sealed.Metadata = make([]byte, record.MaxReleaseMetadata)
	_, refused, tx := w.transactWith(w.a.appliance, record.ReleaseFunction, w.releaseTo(w.patient, record.ID{}), sealedField(sealed))
	if refused != nil || tx.response.GetStatus() != shim.OK || len(tx.writes) != record.MaxReleaseRecords+1 {
		t.Errorf("%v, writes %d keys", refused, len(tx.writes))
	}
}
