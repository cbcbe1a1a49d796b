package state_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/state"
	"github.com/medanchor/medanchor/test/sealtest"
	"github.com/medanchor/medanchor/vault/seal"
)

const mspID = "NorthMSP"

func open(t *testing.T, path string, vault *seal.Vault) *state.DB {
	t.Helper()
	db, err := state.Open(path, vault, mspID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func newDB(t *testing.T) *state.DB {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "state.db"), sealtest.New(t))
}

// queued is an entry for a first document; n tells entries apart.
func queued(n byte) document.Entry {
	item := document.Item{
		ID: document.NewItemID(time.UnixMilli(int64(n))), State: document.Queued, Size: 100, Digest: document.Digest{n},
		Tag: record.Tag{n}, Record: record.Tag{0xff, n}, Patient: record.Reference{1}, CID: record.CID{0x55, n},
		Metadata: document.Metadata{InstanceUID: "2.25." + strings.Repeat("1", int(n))},
	}
	return document.Entry{Item: item, Header: []byte{n, n}, Claim: document.Claim{Door: "d", Path: "/p", Inode: uint64(n)}}
}

func commit(t *testing.T, db *state.DB, entries ...document.Entry) {
	t.Helper()
	if err := db.Commit(document.Commit{Root: record.CID{0x70, 1}, Entries: entries}); err != nil {
		t.Fatal(err)
	}
}

func TestCommitMakesEverythingKnownTogether(t *testing.T) {
	vault, path := sealtest.New(t), filepath.Join(t.TempDir(), "state.db")
	db := open(t, path, vault)
	entry := queued(1)
	commit(t, db, entry)
	db.Close()
	db = open(t, path, vault)

	if id, found, err := db.Claimed(entry.Claim); err != nil || !found || id != entry.Item.ID {
		t.Errorf("Claimed = %s, %v, %v", id, found, err)
	}
	if item, found, err := db.Carrier(entry.Item.Tag); err != nil || !found || item.ID != entry.Item.ID {
		t.Errorf("Carrier = %s, %v, %v", item.ID, found, err)
	}
	if tag, found, err := db.Instance(entry.Item.Patient, entry.Item.Metadata.InstanceUID); err != nil || !found || tag != entry.Item.Tag {
		t.Errorf("Instance = %s, %v, %v", tag, found, err)
	}
	if header, err := db.Header(entry.Item.ID); err != nil || !bytes.Equal(header, entry.Header) {
		t.Errorf("Header = %x, %v", header, err)
	}
	if items, err := db.ByDigest(entry.Item.Digest); err != nil || len(items) != 1 || items[0].ID != entry.Item.ID {
		t.Errorf("ByDigest = %d items, %v", len(items), err)
	}
	if pending, err := db.Pending(10); err != nil || len(pending) != 1 || pending[0].ID != entry.Item.ID {
		t.Errorf("Pending = %d items, %v", len(pending), err)
	}
	if found, err := db.HasRoot(record.CID{0x70, 1}); err != nil || !found {
		t.Errorf("HasRoot = %v, %v", found, err)
	}
}

func TestClaimOfAnotherVersionOfTheFileIsUnknown(t *testing.T) {
	db, entry := newDB(t), queued(1)
	commit(t, db, entry)
	for name, change := range map[string]func(*document.Claim){
		"inode":       func(c *document.Claim) { c.Inode++ },
		"size":        func(c *document.Claim) { c.Size++ },
		"mtime":       func(c *document.Claim) { c.ModTime = c.ModTime.Add(1) },
		"change time": func(c *document.Claim) { c.ChangeTime = c.ChangeTime.Add(1) },
	} {
		other := entry.Claim
		change(&other)
		if _, found, err := db.Claimed(other); err != nil || found {
			t.Fatalf("a claim of another %s was found (%v)", name, err)
		}
	}
	mounted := entry.Claim
	mounted.Device++
	if _, found, err := db.Claimed(mounted); err != nil || !found {
		t.Errorf("once its disk is mounted anew the claim is not found (%v)", err)
	}
	if err := db.Commit(document.Commit{Forget: []document.Claim{entry.Claim}}); err != nil {
		t.Fatal(err)
	}
	if _, found, _ := db.Claimed(entry.Claim); found {
		t.Fatal("a forgotten claim is still there")
	}
}

// A process that dies between a source's disposal and the next commit leaves its claim.
func TestForgetClaimsOfSourcesThatAreGone(t *testing.T) {
	db, gone, there := newDB(t), queued(1), queued(2)
	commit(t, db, gone, there)
	n, err := db.ForgetClaims(func(item document.Item) bool { return item.ID == gone.Item.ID })
	if err != nil || n != 1 {
		t.Fatalf("ForgetClaims = %d, %v", n, err)
	}
	if _, found, err := db.Claimed(gone.Claim); err != nil || found {
		t.Errorf("the claim of a source that is gone: found %t, %v", found, err)
	}
	if _, found, err := db.Claimed(there.Claim); err != nil || !found {
		t.Errorf("the claim of a source that is there: found %t, %v", found, err)
	}
}

func TestOutboxKeepsItsOrder(t *testing.T) {
	db := newDB(t)
	var want []document.ItemID
	for n := range byte(20) {
		entry := queued(20 - n) // IDs go down, the order must not
		commit(t, db, entry)
		want = append(want, entry.Item.ID)
	}
	pending, err := db.Pending(100)
	if err != nil {
		t.Fatal(err)
	}
	var got []document.ItemID
	for _, item := range pending {
		got = append(got, item.ID)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("outbox gives %v, want %v", got, want)
	}
}

func TestSettle(t *testing.T) {
	db := newDB(t)
	a, b := queued(1), queued(2)
	commit(t, db, a, b)
	if err := db.Submitting(document.Submission{TxID: "ab", Items: []document.ItemID{a.Item.ID}}); err != nil {
		t.Fatal(err)
	}
	if item, _ := db.Item(a.Item.ID); item.State != document.Submitted || item.TxID != "ab" {
		t.Fatalf("item in flight is %s with transaction %q", item.State, item.TxID)
	}
	receipt := document.Receipt{ID: a.Item.ID, State: document.Anchored, TxID: "ab", Block: 7, Time: 1_000}
	for range 2 { // a receipt may come twice
		if err := db.Settle([]document.Receipt{receipt}); err != nil {
			t.Fatal(err)
		}
	}
	item, err := db.Item(a.Item.ID)
	if err != nil || item.State != document.Anchored || item.Block != 7 {
		t.Fatalf("settled item: %+v, %v", item, err)
	}
	if pending, _ := db.Pending(10); len(pending) != 1 || pending[0].ID != b.Item.ID {
		t.Errorf("outbox holds %d items", len(pending))
	}
	counts, err := db.Counts()
	if err != nil || counts.Received != 2 || counts.Anchored != 1 || counts.Waiting != 1 || counts.Bytes != 200 {
		t.Errorf("counts %+v, %v", counts, err)
	}
}

func TestCountsReconcile(t *testing.T) {
	db := newDB(t)
	first, duplicate, bad := queued(1), queued(2), queued(3)
	duplicate.Item.State, duplicate.Item.First, duplicate.Header = document.Duplicate, first.Item.ID, nil
	bad.Item.State, bad.Item.Reason = document.Quarantined, document.ReasonTruncated
	variant := queued(4)
	variant.Item.VariantOf = first.Item.Tag
	commit(t, db, first, duplicate, bad, variant)
	c, err := db.Counts()
	if err != nil {
		t.Fatal(err)
	}
	if c.Received != 4 || c.Waiting != 2 || c.Duplicates != 1 || c.Variants != 1 || c.Quarantined[document.ReasonTruncated] != 1 {
		t.Fatalf("counts %+v", c)
	}
	if item, found, err := db.Quarantined(bad.Item.Digest, bad.Item.Metadata.Patient); err != nil || !found || item.ID != bad.Item.ID {
		t.Fatalf("Quarantined = %v, %v", found, err)
	}
}

func TestPatientIsRegisteredOnce(t *testing.T) {
	db := newDB(t)
	id := document.PatientID{Issuer: "nhs", Identifier: "9990000018"}
	if _, found, err := db.FindPatient(id); err != nil || found {
		t.Fatalf("FindPatient before = %v, %v", found, err)
	}
	first, err := db.Patient(id)
	if err != nil {
		t.Fatal(err)
	}
	again, err := db.Patient(id)
	if err != nil || again != first {
		t.Fatalf("registered twice: %v, %v, %v", first.Reference, again.Reference, err)
	}
	other, err := db.Patient(document.PatientID{Issuer: "other", Identifier: id.Identifier})
	if err != nil || other.Reference == first.Reference || other.Secret == first.Secret {
		t.Fatal("the same number of another issuer is the same patient")
	}
}

// Whose patient a reference is stands in it, so that the contract can tell without reading anything.
func TestAReferenceBeginsWithItsInstitution(t *testing.T) {
	vault, path := sealtest.New(t), filepath.Join(t.TempDir(), "state.db")
	db := open(t, path, vault)
	id := document.PatientID{Issuer: document.NHS, Identifier: "9990000018"}
	first, errFirst := db.Patient(id)
	other, errOther := db.Patient(document.PatientID{Issuer: document.NHS, Identifier: "9990000026"})
	if err := errors.Join(errFirst, errOther, db.Close()); err != nil {
		t.Fatal(err)
	}
	for _, p := range []document.Patient{first, other} {
		if p.Reference.Institution() != record.InstitutionID(mspID).Institution() || p.Secret == [32]byte{} {
			t.Errorf("reference %s is not of %s, or the secret is missing", p.Reference, mspID)
		}
	}
	if first.Reference == other.Reference || first.Secret == other.Secret {
		t.Error("two patients share a reference or a secret")
	}
	if again, err := open(t, path, vault).Patient(id); err != nil || again != first {
		t.Errorf("after opening again: %s, want %s, %v", again.Reference, first.Reference, err)
	}
}

// The boundary between issuer and identifier must not be movable.
func TestPatientPartsDoNotRunTogether(t *testing.T) {
	db := newDB(t)
	a, errA := db.Patient(document.PatientID{Issuer: "ab", Identifier: "c"})
	b, errB := db.Patient(document.PatientID{Issuer: "a", Identifier: "bc"})
	if errA != nil || errB != nil || a.Reference == b.Reference {
		t.Fatalf("(ab, c) and (a, bc) are one patient: %v, %v", errA, errB)
	}
}

func TestOpenRefusesAFileInUse(t *testing.T) {
	vault, path := sealtest.New(t), filepath.Join(t.TempDir(), "state.db")
	open(t, path, vault)
	if _, err := state.Open(path, vault, mspID); !errors.Is(err, state.ErrInUse) {
		t.Fatalf("second Open: %v", err)
	}
}

func TestOpenRefusesAnotherFormat(t *testing.T) {
	for stored, want := range map[string]error{"1": state.ErrOlder, "3": state.ErrNewer} {
		vault, path := sealtest.New(t), filepath.Join(t.TempDir(), "state.db")
		open(t, path, vault).Close()
		raw, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = raw.Update(func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("meta")).Put([]byte("format"), []byte(stored))
		})
		if err := errors.Join(err, raw.Close()); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(path)
		if _, err := state.Open(path, vault, mspID); !errors.Is(err, want) {
			t.Errorf("format %s: %v", stored, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Error("a refused file was changed")
		}
	}
}

// The references of its patients begin with their institution: under another MSP ID the ledger would take none of them.
func TestOpenRefusesAnotherMember(t *testing.T) {
	vault, path := sealtest.New(t), filepath.Join(t.TempDir(), "state.db")
	open(t, path, vault).Close()
	if _, err := state.Open(path, vault, "OtherMSP"); !errors.Is(err, state.ErrOtherMember) {
		t.Fatalf("Open: %v", err)
	}
	open(t, path, vault)
}

// After a commit that failed, what is on disk is unknown: even when the disk is well again, nothing more is written.
func TestAFailedCommitIsTheLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	db := open(t, path, sealtest.New(t))
	commit(t, db, queued(1))
	restore := failWrites(t, path)
	if err := db.Commit(document.Commit{Entries: []document.Entry{queued(2)}}); !errors.Is(err, state.ErrBroken) {
		t.Fatalf("Commit on a failing disk: %v", err)
	}
	restore()
	if err := db.Commit(document.Commit{Entries: []document.Entry{queued(3)}}); !errors.Is(err, state.ErrBroken) {
		t.Fatalf("Commit after a failed one: %v", err)
	}
	if items, err := db.Pending(10); err != nil || len(items) != 1 {
		t.Fatalf("%d items, %v", len(items), err)
	}
}

// failWrites puts a read-only descriptor in the place of the one that this process has the file open with, until restore.
func failWrites(t *testing.T, path string) (restore func()) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || target != path {
			continue
		}
		fd, err := strconv.Atoi(filepath.Base(link))
		if err != nil {
			t.Fatal(err)
		}
		before, dupErr := unix.Dup(fd)
		reader, openErr := unix.Open(path, unix.O_RDONLY, 0)
		if err := errors.Join(dupErr, openErr, unix.Dup3(reader, fd, unix.O_CLOEXEC), unix.Close(reader)); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := errors.Join(unix.Dup3(before, fd, unix.O_CLOEXEC), unix.Close(before)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Fatalf("%s is not open", path)
	return nil
}

// Nothing of an item may stand readable in the file, nor in what bbolt freed.
func TestFileHoldsNothingReadable(t *testing.T) {
	vault, path := sealtest.New(t), filepath.Join(t.TempDir(), "state.db")
	db := open(t, path, vault)
	entry := queued(1)
	entry.Item.Path = "/srv/dropped/PLANTED-PATH"
	entry.Claim.Path = entry.Item.Path
	entry.Item.Metadata.PatientName = "PLANTED-NAME"
	entry.Item.Metadata.InstanceUID = "2.25.PLANTED-UID"
	entry.Item.Digest = document.Digest([]byte("PLANTED-DIGEST-0123456789abcdefg"))
	commit(t, db, entry)
	if _, err := db.Patient(document.PatientID{Issuer: "PLANTED-ISSUER", Identifier: "PLANTED-ID"}); err != nil {
		t.Fatal(err)
	}
	if err := db.Settle([]document.Receipt{{ID: entry.Item.ID, State: document.Anchored}}); err != nil {
		t.Fatal(err)
	}
	db.Close()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if i := bytes.Index(raw, []byte("PLANTED")); i >= 0 {
		t.Fatalf("state.db holds %q", raw[i:i+14])
	}
	if !bytes.Contains(raw, entry.Item.Tag[:]) {
		t.Fatal("the search finds nothing at all: not even the tag, which is public")
	}
}
