package e2e

import (
	"bytes"
	"crypto/hpke"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/ledger/sealed"
	"github.com/medanchor/medanchor/reading"
)

// TestAttacks: B's doctor reads a paper of A's patient by a grant. Who has no such right tries what they can to read it too,
// with all that B has; nobody does, and the patient sees who tried.
func TestAttacks(t *testing.T) {
	w := newWard(t, devnettest.Network(t), somePatient)
	p := &prey{doctors: w.files(noise(1, 40_000), noise(2, 3<<20)), colleagues: w.files(noise(3, 40_000))[0]}
	began := time.Now()
	w.grants(w.doctor, tomorrow(), p.doctors...)
	w.released(w.doctor, p.doctors...)
	p.shortly(w, 3*time.Second+4*time.Since(began)) // long enough to read by it, wherever this runs
	w.grants(w.colleague, tomorrow(), p.colleagues)
	w.released(w.colleague, p.colleagues)
	for _, paper := range p.doctors {
		w.gets(w.doctor, w.b, exitOK, paper)
	}
	for _, attack := range []struct {
		name string
		by   func(*ward, *prey)
	}{
		{"a false login", (*ward).falseLogins},
		{"another's keys", (*ward).othersKeys},
		{"keys of another record", (*ward).keysOfAnotherRecord},
		{"a replayed release", (*ward).replayedRelease},
		{"a moved release", (*ward).movedRelease},
		{"the swarm without its key", (*ward).withoutTheSwarmKey},
		{"all that the hospital has", (*ward).allThatTheHospitalHas},
		{"a clock that is put forward", (*ward).clockPutForward},
		{"a grant that is over", (*ward).grantThatIsOver}, // before others have the releases looked at
		{"a right that is suspended", (*ward).suspended},
		{"an old key", (*ward).oldKey},
	} {
		t.Run(attack.name, func(t *testing.T) { attack.by(w.in(t), p) })
	}
	w.b.kill() // it knows A's node
	w.b.start()
	t.Run("a holder who lies", func(t *testing.T) { w.in(t).liar(p) })
}

// prey is what attacks are after.
type prey struct {
	doctors    []paper // that the doctor may read: one of one block, and one of several
	colleagues paper   // that the colleague may read
	short      short
}

// noise is a text of so many characters that stands nowhere else.
func noise(seed byte, size int) []byte {
	b := make([]byte, size/2)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return []byte(hex.EncodeToString(b))
}

// othersKeys: a colleague to whom the doctor gives everything that they were given has no right by it.
func (w *ward) othersKeys(p *prey) {
	keys, session := w.released(w.doctor, p.doctors...), w.colleague.login(w.b)
	for i, one := range p.doctors {
		if _, err := w.open(session, one, keys...); !errors.Is(err, reading.ErrDenied) {
			w.t.Errorf("paper %d, with the doctor's keys: %v", i, err)
		}
		if _, err := w.read(session, one); !errors.Is(err, reading.ErrNotFound) {
			w.t.Errorf("paper %d, past the opening: %v", i, err)
		}
		w.audited(1, record.AuditEntry{
			Action: record.ActAccess, Denied: true, Actor: w.b.applianceID(), Subject: w.colleague.id, Record: one.Record,
		})
	}
	w.gets(w.colleague, w.b, exitRefused, p.doctors[0])
}

// keysOfAnotherRecord: the colleague gives the doctor the keys of their paper. The doctor has a right to read another.
func (w *ward) keysOfAnotherRecord(p *prey) {
	own, other := p.doctors[0], p.colleagues
	ownKey, otherKey := keysOf(w.released(w.doctor, own), own)[0], keysOf(w.released(w.colleague, other), other)[0]
	altered := func(alter func(*reading.ReleasedKey)) reading.ReleasedKey {
		k := otherKey
		alter(&k)
		return k
	}
	refused := w.doctor.login(w.b)
	for _, attack := range []struct {
		name string
		key  reading.ReleasedKey
		want error // of opening, else of reading
	}{
		{"the key as it is", otherKey, reading.ErrUnavailable},
		{"the key under the own paper's tag", altered(func(k *reading.ReleasedKey) { k.Tag = own.tag }), reading.ErrUnavailable},
		{"the key under the own paper's tag and CID", altered(func(k *reading.ReleasedKey) {
			k.Tag, k.CID = own.tag, own.cid
		}), nil},
		{"the own paper's key under the other's tag", func() reading.ReleasedKey {
			k := ownKey
			k.Tag = other.tag
			return k
		}(), reading.ErrUnavailable},
		{"the own paper's key under the other's CID", func() reading.ReleasedKey {
			k := ownKey
			k.CID = other.cid
			return k
		}(), reading.ErrUnavailable},
		{"the own paper's key, from another custodian", func() reading.ReleasedKey {
			k := ownKey
			k.Institution = w.b.applianceID().Institution()
			return k
		}(), reading.ErrUnavailable},
		{"half of the own paper's key", func() reading.ReleasedKey {
			k := ownKey
			k.FileKey = k.FileKey[:8]
			return k
		}(), reading.ErrUnavailable},
		{"the own paper's key, altered", func() reading.ReleasedKey {
			k := ownKey
			k.FileKey = bytes.Clone(k.FileKey)
			k.FileKey[0] ^= 1
			return k
		}(), nil},
		{"the own paper's key, with another size", func() reading.ReleasedKey {
			k := ownKey
			k.Size--
			return k
		}(), nil},
	} {
		session := refused
		if attack.want == nil {
			session = w.doctor.login(w.b) // a reading keeps the key that it took
		}
		opened, err := w.open(session, own, attack.key)
		isOther := func(d reading.DocumentInfo) bool { return d.Tag != own.tag }
		if !errors.Is(err, attack.want) || slices.ContainsFunc(opened.Documents, isOther) {
			w.t.Errorf("%s: opened %d documents, %v; want %v", attack.name, len(opened.Documents), err, attack.want)
		}
		for _, one := range []paper{own, other, {own.RecordName, other.tag, other.cid, other.content}} {
			if got, err := w.read(session, one); err == nil || len(got) > 0 {
				w.t.Errorf("%s: %d bytes of a paper were served, %v", attack.name, len(got), err)
			}
		}
	}

	// With the right key beside it, only what it opens is served.
	session := w.doctor.login(w.b)
	opened, err := w.open(session, own, otherKey, ownKey)
	if err != nil || len(opened.Documents) != 1 || opened.Documents[0].Tag != own.tag {
		w.t.Fatalf("opened %+v, %v", opened, err)
	}
	if _, err := w.read(session, own); err != nil {
		w.t.Error(err)
	}
	if _, err := w.open(session, other, otherKey); !errors.Is(err, reading.ErrDenied) {
		w.t.Errorf("the colleague's record, with its key: %v", err)
	}
	w.audited(1, record.AuditEntry{
		Action: record.ActAccess, Denied: true, Actor: w.b.applianceID(), Subject: w.doctor.id, Record: other.Record,
	})
}

// replayedRelease: B's appliance gives its doctors keys of papers that it does not hold.
func (w *ward) replayedRelease(_ *prey) {
	appliance := w.b.appliance()
	there := w.standing(appliance, w.doctor.id)
	tried := 0
	for _, r := range there {
		for _, to := range []*someone{w.doctor, w.colleague} {
			reader, err := appliance.Participant(w.t.Context(), to.id)
			if err != nil {
				w.t.Fatal(err)
			}
			q := record.Release{
				Patient: r.Patient, Recipient: to.id, Grant: r.Grant, Key: record.KeyIDOf(reader.EncryptionKey), Until: r.Until,
			}
			forged, err := sealed.SealRelease(sealed.ReleaseContext{
				Channel: w.n.Channel, Patient: q.Patient, Grant: q.Grant, Custodian: w.b.applianceID().Institution(),
				Recipient: q.Recipient, Key: q.Key, Until: q.Until,
			}, reader, forgedKeys(r.sealed))
			if err != nil {
				w.t.Fatal(err)
			}
			for name, bytes := range map[string]record.SealedRelease{"the other hospital's release": r.sealed, "a forged one": forged} {
				_, err := appliance.Release(w.t.Context(), q, bytes)
				refusedWith(w.t, fmt.Sprintf("%s, to %s", name, to.id), err, record.Forbidden)
				tried++
			}
		}
		_, err := appliance.Act(w.t.Context(), record.EndReleaseFunction, record.ReleaseEnd{
			Patient: r.Patient, Releases: []record.ReleaseName{{Recipient: r.Recipient, ID: r.ID}},
		}, nil)
		refusedWith(w.t, "to end the other hospital's release", err, record.Forbidden)
	}
	w.audited(tried, record.AuditEntry{Action: record.ActRelease, Denied: true, Actor: w.b.applianceID()})
	w.audited(len(there), record.AuditEntry{Action: record.ActEndRelease, Denied: true, Actor: w.b.applianceID()})
	if after := w.releases(appliance, record.ParticipantID{}); len(after) != len(w.releases(appliance, w.doctor.id))+
		len(w.releases(appliance, w.colleague.id))+len(w.releases(appliance, w.guest.id)) {
		w.t.Errorf("%d releases stand on the ledger, of which some are nobody's", len(after))
	}
}

// forgedKeys are keys that somebody invents for the documents of a release.
func forgedKeys(r record.SealedRelease) (keys []sealed.DocumentKey) {
	for _, v := range r.Versions {
		for _, d := range v.Documents {
			keys = append(keys, sealed.DocumentKey{
				Record: v.Record, Version: v.Version, Tag: d.Tag, CID: d.CID, FileKey: [16]byte{1}, Metadata: []byte(`{}`),
			})
		}
	}
	return keys
}

func refusedWith(t *testing.T, what string, err error, code record.Code) {
	t.Helper()
	if refusal, ok := errors.AsType[*record.Error](err); !ok || refusal.Code != code {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// movedRelease: everybody at B can take the doctor's release from B's peer. It opens to the doctor alone, as it is.
func (w *ward) movedRelease(_ *prey) {
	doctor, colleague := w.doctor.wallet(), w.colleague.wallet()
	for _, r := range w.standing(w.colleague.connect(), w.doctor.id) {
		as := sealed.ContextOf(doctor.Channel, r.ListedRelease)
		if _, err := sealed.OpenRelease(as, doctor.EncryptionKey(), r.sealed); err != nil {
			w.t.Errorf("the doctor's own release: %v", err)
		}
		theirs := as
		theirs.Recipient, theirs.Key = w.colleague.id, record.KeyIDOf(colleague.EncryptionKey().PublicKey().Bytes())
		elsewhere := as
		elsewhere.Channel = "other"
		altered, err := record.DecodeSealedRelease(r.sealed.Encode())
		if err != nil {
			w.t.Fatal(err)
		}
		altered.Versions[0].Documents[0].SealedKey[3] ^= 1
		moved, err := record.DecodeSealedRelease(r.sealed.Encode())
		if err != nil {
			w.t.Fatal(err)
		}
		moved.Versions[0].Record[0] ^= 1
		for _, attack := range []struct {
			name string
			as   sealed.ReleaseContext
			key  hpke.PrivateKey
			what record.SealedRelease
		}{
			{"with the colleague's key", as, colleague.EncryptionKey(), r.sealed},
			{"as if it were the colleague's", theirs, colleague.EncryptionKey(), r.sealed},
			{"with another recipient", theirs, doctor.EncryptionKey(), r.sealed},
			{"on another channel", elsewhere, doctor.EncryptionKey(), r.sealed},
			{"altered", as, doctor.EncryptionKey(), altered},
			{"moved to another record", as, doctor.EncryptionKey(), moved},
		} {
			if keys, err := sealed.OpenRelease(attack.as, attack.key, attack.what); !errors.Is(err, sealed.ErrNotForRelease) {
				w.t.Errorf("%s: %d keys, %v", attack.name, len(keys), err)
			}
		}
	}
}
