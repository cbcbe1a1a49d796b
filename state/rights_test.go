package state_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/state"
	"github.com/medanchor/medanchor/test/sealtest"
	"github.com/medanchor/medanchor/vault/seal"
)

// reopen gives what a database that was closed holds.
func reopen(t *testing.T, db *state.DB, vault *seal.Vault) *state.DB {
	t.Helper()
	path := db.Path()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, path, vault)
}

func newPatient(t *testing.T, db *state.DB, identifier string) document.Patient {
	t.Helper()
	p, err := db.Patient(document.PatientID{Issuer: "nhs", Identifier: identifier})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestASecretIsFoundByItsReference(t *testing.T) {
	vault := sealtest.New(t)
	db := open(t, filepath.Join(t.TempDir(), "state.db"), vault)
	one, two := newPatient(t, db, "9990000018"), newPatient(t, db, "9990000026")
	newPatient(t, db, "9990000018") // is not made again
	db = reopen(t, db, vault)
	for _, p := range []document.Patient{one, two} {
		if secret, found, err := db.Secret(p.Reference); err != nil || !found || secret != p.Secret {
			t.Errorf("Secret(%s) = %x, %t, %v", p.Reference, secret, found, err)
		}
	}
	if secret, found, err := db.Secret(record.Reference{1}); err != nil || found || secret != [32]byte{} {
		t.Errorf("the secret of nobody: %x, %t, %v", secret, found, err)
	}
}

func TestLinkedSecretsAreKeptByOwnReference(t *testing.T) {
	vault := sealtest.New(t)
	db := open(t, filepath.Join(t.TempDir(), "state.db"), vault)
	own, other := record.Reference{1}, record.Reference{2}
	here := []document.Linked{{Reference: record.Reference{7}, Secret: [32]byte{70}}, {Reference: record.Reference{8}, Secret: [32]byte{80}}}
	there := document.Linked{Reference: record.Reference{9}, Secret: [32]byte{90}}
	err := errors.Join(db.AddLinked(own, here[1], "second"), db.AddLinked(own, here[0], "first"), db.AddLinked(other, there, "third"),
		db.AddLinked(own, here[0], "first")) // a crash may have it done again
	if err != nil {
		t.Fatal(err)
	}
	db = reopen(t, db, vault)
	for reference, want := range map[record.Reference][]document.Linked{own: here, other: {there}, {3}: nil} {
		if got, err := db.Linked(reference); err != nil || !slices.Equal(got, want) {
			t.Errorf("Linked(%s) = %v, %v, want %v", reference, got, err, want)
		}
	}
	for _, l := range append(here, there) {
		if secret, found, err := db.LinkedSecret(l.Reference); err != nil || !found || secret != l.Secret {
			t.Errorf("LinkedSecret(%s) = %x, %t, %v", l.Reference, secret, found, err)
		}
	}
	if secret, found, err := db.LinkedSecret(own); err != nil || found || secret != [32]byte{} {
		t.Errorf("an own reference is taken for a linked one: %x, %t, %v", secret, found, err)
	}
	// A secret that is handed over again takes the place of the one before it.
	if err := db.AddLinked(own, document.Linked{Reference: here[0].Reference, Secret: [32]byte{71}}, "fourth"); err != nil {
		t.Fatal(err)
	}
	if secret, _, err := db.LinkedSecret(here[0].Reference); err != nil || secret != [32]byte{71} {
		t.Errorf("LinkedSecret = %x, %v", secret, err)
	}
}

// One hand-over is for all references here to which the patient is linked: the second must not be passed over.
func TestAHandOverIsKnownForEachReferenceOfItsOwn(t *testing.T) {
	vault := sealtest.New(t)
	db := open(t, filepath.Join(t.TempDir(), "state.db"), vault)
	one, two := record.Reference{1}, record.Reference{2}
	if err := db.AddLinked(one, document.Linked{Reference: record.Reference{7}, Secret: [32]byte{70}}, "entry"); err != nil {
		t.Fatal(err)
	}
	db = reopen(t, db, vault)
	for _, test := range []struct {
		own   record.Reference
		entry string
		want  bool
	}{{one, "entry", true}, {one, "another", false}, {two, "entry", false}} {
		if found, err := db.HasHanded(test.own, test.entry); err != nil || found != test.want {
			t.Errorf("HasHanded(%s, %s) = %t, %v", test.own, test.entry, found, err)
		}
	}
}

func emergency(id byte) document.Emergency {
	return document.Emergency{
		EmergencyStatement: record.EmergencyStatement{
			Patient: record.Reference{1}, Participant: record.ParticipantID{2}, Record: record.Tag{3}, ID: record.ID{id},
			Time: time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC), Reason: bytes.Repeat([]byte{4}, 32),
		},
		Signature: []byte{5, 6}, Text: "PLANTED-REASON", Name: "PLANTED-NAME",
	}
}

func TestEmergenciesAreKeptUntilTheyAreForgotten(t *testing.T) {
	vault := sealtest.New(t)
	db := open(t, filepath.Join(t.TempDir(), "state.db"), vault)
	one, two := emergency(1), emergency(2)
	if err := errors.Join(db.AddEmergency(two), db.AddEmergency(one), db.AddEmergency(one)); err != nil {
		t.Fatal(err)
	}
	db = reopen(t, db, vault)
	if got, err := db.Emergencies(); err != nil || !reflect.DeepEqual(got, []document.Emergency{one, two}) {
		t.Fatalf("Emergencies = %+v, %v", got, err)
	}
	if err := errors.Join(db.ForgetEmergency(one.ID), db.ForgetEmergency(one.ID)); err != nil {
		t.Fatal(err)
	}
	db = reopen(t, db, vault)
	if got, err := db.Emergencies(); err != nil || !reflect.DeepEqual(got, []document.Emergency{two}) {
		t.Fatalf("Emergencies = %+v, %v", got, err)
	}
	raw, err := os.ReadFile(db.Path())
	if err != nil || bytes.Contains(raw, []byte("PLANTED")) {
		t.Errorf("a reason stands readable in state.db (%v)", err)
	}
}

// The ID is the doctor's choice. Who states another emergency under the ID of one that is not on the ledger yet would have
// that one never recorded.
func TestAnEmergencyIsNotReplacedByAnother(t *testing.T) {
	for name, change := range map[string]func(*document.Emergency){
		"patient": func(e *document.Emergency) { e.Patient[0]++ },
		"doctor":  func(e *document.Emergency) { e.Participant[0]++ },
		"record":  func(e *document.Emergency) { e.Record[0]++ },
		"time":    func(e *document.Emergency) { e.Time = e.Time.Add(time.Second) },
		"reason":  func(e *document.Emergency) { e.Reason = bytes.Repeat([]byte{9}, 32) },
	} {
		t.Run(name, func(t *testing.T) {
			db, first, second := newDB(t), emergency(1), emergency(1)
			change(&second)
			if err := db.AddEmergency(first); err != nil {
				t.Fatal(err)
			}
			if err := db.AddEmergency(second); !errors.Is(err, state.ErrStated) {
				t.Errorf("AddEmergency of another under the same ID: %v", err)
			}
			if got, err := db.Emergencies(); err != nil || !reflect.DeepEqual(got, []document.Emergency{first}) {
				t.Errorf("Emergencies = %+v, %v", got, err)
			}
		})
	}
}

// copied is an entry for this institution's own copy of a document.
func copied(n byte) document.Entry {
	e := queued(n)
	e.Item.Copy = &document.Copy{Own: record.Reference{0xcc, n}, Version: record.Tag{0xdd, n}}
	return e
}

func TestCopiesAreToldApartFromWhatIsFirstHere(t *testing.T) {
	vault := sealtest.New(t)
	db := open(t, filepath.Join(t.TempDir(), "state.db"), vault)
	commit(t, db, queued(1), copied(2), queued(3), copied(4))
	db = reopen(t, db, vault)
	found := make(map[record.Tag]document.Item)
	err := db.Copies(func(item document.Item) bool {
		found[item.Tag] = item
		return true
	})
	if want := map[record.Tag]bool{{2}: true, {4}: true}; err != nil || len(found) != len(want) ||
		!maps.EqualFunc(found, want, func(i document.Item, _ bool) bool {
			return i.Copy != nil && i.Copy.Own == record.Reference{0xcc, i.Tag[0]}
		}) {
		t.Errorf("Copies gives %v, %v", found, err)
	}
	calls := 0
	err = db.Copies(func(document.Item) bool {
		calls++
		return false
	})
	if err != nil || calls != 1 {
		t.Errorf("told to stop, Copies calls %d times, %v", calls, err)
	}
	// It is called outside of any transaction: what it does may write.
	if err := db.Copies(func(document.Item) bool { return db.AddEmergency(emergency(1)) == nil }); err != nil {
		t.Error(err)
	}
}

// A file of a medanchor that knew nothing of rights has no such buckets: they are made, and the patients' secrets are found by
// their references from then on.
func TestAnOlderFileGetsWhatCameLater(t *testing.T) {
	vault, path := sealtest.New(t), filepath.Join(t.TempDir(), "state.db")
	db := open(t, path, vault)
	patients := []document.Patient{newPatient(t, db, "9990000018"), newPatient(t, db, "9990000026")}
	commit(t, db, queued(1))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Update(func(tx *bolt.Tx) error {
		var errs []error
		for _, later := range []string{"references", "linked", "copies", "emergencies", "handed"} {
			errs = append(errs, tx.DeleteBucket([]byte(later)))
		}
		return errors.Join(errs...)
	})
	if err := errors.Join(err, raw.Close()); err != nil {
		t.Fatal(err)
	}

	for range 2 { // the second time there is nothing to make
		db = open(t, path, vault)
		for _, p := range patients {
			if secret, found, err := db.Secret(p.Reference); err != nil || !found || secret != p.Secret {
				t.Errorf("Secret(%s) = %x, %t, %v", p.Reference, secret, found, err)
			}
		}
		db.Close()
	}
	db = open(t, path, vault)
	err = errors.Join(db.AddLinked(patients[0].Reference, document.Linked{Reference: record.Reference{7}}, "entry"),
		db.AddEmergency(emergency(1)), db.Copies(func(document.Item) bool { return false }))
	if err != nil {
		t.Errorf("what came later cannot be used: %v", err)
	}
	commit(t, db, copied(2))
	if again := newPatient(t, db, "9990000018"); again != patients[0] {
		t.Errorf("the patient is registered again, as %s", again.Reference)
	}
	if items, err := db.Pending(10); err != nil || len(items) != 2 {
		t.Errorf("%d items wait, %v", len(items), err)
	}
}

// A patient's secret that was put in the place of another's does not open.
func TestASecretIsBoundToItsReference(t *testing.T) {
	vault, path := sealtest.New(t), filepath.Join(t.TempDir(), "state.db")
	db := open(t, path, vault)
	one, two := newPatient(t, db, "9990000018"), newPatient(t, db, "9990000026")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("references"))
		return b.Put(one.Reference[:], b.Get(two.Reference[:]))
	})
	if err := errors.Join(err, raw.Close()); err != nil {
		t.Fatal(err)
	}
	db = open(t, path, vault)
	if secret, found, err := db.Secret(one.Reference); err == nil || found || secret != [32]byte{} {
		t.Errorf("Secret = %x, %t, %v", secret, found, err)
	}
}
