package state_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/state"
	"github.com/medanchor/medanchor/test/sealtest"
)

// kept is an entry for a file that is quarantined; n tells entries apart.
func kept(n byte, reason document.Reason) document.Entry {
	e := queued(n)
	e.Item.State, e.Item.Reason = document.Quarantined, reason
	e.Item.Tag, e.Item.Record, e.Item.Patient = record.Tag{}, record.Tag{}, record.Reference{}
	return e
}

// again is what a second look makes of a quarantined item.
func again(e document.Entry, n byte) document.Item {
	item, as := e.Item, queued(n).Item
	item.State, item.Reason = document.Queued, ""
	item.Tag, item.Record, item.Patient = as.Tag, as.Record, as.Patient
	return item
}

func itemOf(t *testing.T, db *state.DB, id document.ItemID) document.Item {
	t.Helper()
	item, err := db.Item(id)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

// by is a decision of the person n, at a time in minutes.
func by(n byte, action document.Action, minute int) document.Decision {
	return document.Decision{
		By: record.ParticipantID{n}, Action: action, Words: "because", At: time.Unix(int64(60*minute), 0).UTC(),
	}
}

// reconciled checks the counts against the items themselves.
func reconciled(t interface {
	Helper()
	Errorf(string, ...any)
}, db *state.DB,
) {
	t.Helper()
	c, err := db.Counts()
	if err != nil {
		t.Errorf("%v", err)
	}
	var want state.Counts
	want.Quarantined, want.Review = map[document.Reason]int64{}, map[document.Reason]int64{}
	err = db.Items(func(i document.Item) bool {
		want.Received++
		want.Bytes += i.Size
		kept := false
		switch i.State {
		case document.Queued, document.Submitted:
			want.Waiting++
			kept = true
		case document.Anchored:
			want.Anchored++
			kept = true
		case document.Duplicate:
			want.Duplicates++
		case document.Discarded:
			want.Discarded++
		case document.Quarantined:
			want.Quarantined[i.Reason]++
		case document.Received, document.Inspected, document.Sealed, document.Stored:
			t.Errorf("item %s is stored as %s", i.ID, i.State)
		}
		if kept && !i.VariantOf.IsZero() {
			want.Variants++
		}
		if kept && i.Review != "" {
			want.Review[i.Review]++
		}
		return true
	})
	for _, counts := range []map[document.Reason]int64{c.Quarantined, c.Review} {
		for reason, n := range counts {
			if n == 0 {
				delete(counts, reason)
			}
		}
	}
	if got, want := fmt.Sprintf("%+v", c), fmt.Sprintf("%+v", want); err != nil || got != want {
		t.Errorf("counted %s, %v; the items are %s", got, err, want)
	}
	sum := c.Waiting + c.Anchored + c.Duplicates + c.Discarded
	for _, n := range c.Quarantined {
		sum += n
	}
	if sum != c.Received {
		t.Errorf("%d items are somewhere, %d were received: %+v", sum, c.Received, c)
	}
}

func TestASecondLookQueuesAnItem(t *testing.T) {
	vault, path := sealtest.New(t), filepath.Join(t.TempDir(), "state.db")
	db := open(t, path, vault)
	e := kept(1, document.ReasonNoPatient)
	commit(t, db, e)
	item := again(e, 1)
	item.Digest = document.Digest{99} // another parser lets another part of the file out
	if err := db.Reconsider(item); err != nil {
		t.Fatal(err)
	}
	db.Close()
	db = open(t, path, vault)
	reconciled(t, db)
	if pending, err := db.Pending(9); err != nil || len(pending) != 1 || pending[0].ID != item.ID {
		t.Errorf("%d items are pending, %v", len(pending), err)
	}
	if carrier, found, err := db.Carrier(item.Tag); err != nil || !found || carrier.ID != item.ID {
		t.Errorf("the carrier is %s, %t, %v", carrier.ID, found, err)
	}
	if items, err := db.ByDigest(e.Item.Digest); err != nil || len(items) != 0 {
		t.Errorf("%d items have the old digest, %v", len(items), err)
	}
	if items, err := db.ByDigest(item.Digest); err != nil || len(items) != 1 {
		t.Errorf("%d items have the new digest, %v", len(items), err)
	}
	if header, err := db.Header(item.ID); err != nil || string(header) != string(e.Header) {
		t.Errorf("its header is %x, %v", header, err)
	}
	if err := db.Reconsider(item); !errors.Is(err, document.ErrNotQuarantined) {
		t.Errorf("a third look at what is queued: %v", err)
	}
	reconciled(t, db)
}

func TestASecondLookLeavesAnItemInAnotherTray(t *testing.T) {
	db, e := newDB(t), kept(1, document.ReasonNoPatient)
	commit(t, db, e)
	item := e.Item
	item.Reason, item.Digest, item.Metadata.Patient = document.ReasonPlaceholder, document.Digest{99},
		document.PatientID{Issuer: "here", Identifier: "UNKNOWN"}
	if err := db.Reconsider(item); err != nil {
		t.Fatal(err)
	}
	reconciled(t, db)
	if _, found, err := db.Quarantined(item.Digest, item.Metadata.Patient); err != nil || !found {
		t.Errorf("its content is found: %t, %v", found, err)
	}
	if _, found, err := db.Quarantined(e.Item.Digest, e.Item.Metadata.Patient); err != nil || found {
		t.Errorf("what it was is still found: %t, %v", found, err)
	}
}

func TestASecondLookFindsADuplicate(t *testing.T) {
	db, first, e := newDB(t), queued(1), kept(2, document.ReasonNoPatient)
	commit(t, db, first, e)
	item := again(e, 1)
	item.State, item.First, item.CID = document.Duplicate, first.Item.ID, record.CID{}
	if err := db.Reconsider(item); err != nil {
		t.Fatal(err)
	}
	reconciled(t, db)
	if _, err := db.Header(item.ID); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("a duplicate's header: %v", err)
	}
	if carrier, _, err := db.Carrier(first.Item.Tag); err != nil || carrier.ID != first.Item.ID {
		t.Errorf("the carrier is %s, %v", carrier.ID, err)
	}
	if items, err := db.ByDigest(e.Item.Digest); err != nil || len(items) != 0 {
		t.Errorf("a duplicate is found by its digest: %d, %v", len(items), err)
	}
}

func TestASecondLookEndsInAKnownState(t *testing.T) {
	db, e := newDB(t), kept(1, document.ReasonNoPatient)
	commit(t, db, e)
	for _, s := range []document.State{document.Received, document.Anchored, document.Discarded} {
		item := e.Item
		item.State = s
		if err := db.Reconsider(item); err == nil {
			t.Errorf("%s is taken", s)
		}
	}
	if err := db.Reconsider(queued(9).Item); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("an item that never was: %v", err)
	}
	if got := itemOf(t, db, e.Item.ID); got.State != document.Quarantined {
		t.Errorf("it is %s", got.State)
	}
	reconciled(t, db)
}

// What the ledger refused was the carrier of its document, and the first of its instance. Once it is another patient's, or
// nobody's, what comes for the first patient must not be taken for a duplicate of it.
func TestWhatTheLedgerRefusedIsFoundAsWhatItIsNow(t *testing.T) {
	refuse := func(t *testing.T) (*state.DB, document.Entry) {
		t.Helper()
		db, e := newDB(t), queued(1)
		commit(t, db, e)
		err := db.Settle([]document.Receipt{{ID: e.Item.ID, State: document.Quarantined, Reason: document.ReasonLedgerConflict}})
		if err != nil {
			t.Fatal(err)
		}
		return db, e
	}
	gone := func(t *testing.T, db *state.DB, e document.Entry) {
		t.Helper()
		if _, found, err := db.Carrier(e.Item.Tag); err != nil || found {
			t.Errorf("it still carries the document: %v", err)
		}
		if _, found, err := db.Instance(e.Item.Patient, e.Item.Metadata.InstanceUID); err != nil || found {
			t.Errorf("it is still the first of its instance: %v", err)
		}
		if items, err := db.ByDigest(e.Item.Digest); err != nil || slices.ContainsFunc(items, func(i document.Item) bool {
			return i.Tag == e.Item.Tag
		}) {
			t.Errorf("it is still found by its digest: %v", err)
		}
		reconciled(t, db)
	}
	t.Run("another patient's", func(t *testing.T) {
		db, e := refuse(t)
		item := again(e, 2)
		item.Patient = record.Reference{2}
		if err := db.Reconsider(item); err != nil {
			t.Fatal(err)
		}
		gone(t, db, e)
	})
	t.Run("nobody's", func(t *testing.T) {
		db, e := refuse(t)
		item := e.Item
		item.State, item.Reason, item.Tag = document.Quarantined, document.ReasonNotAccepted, record.Tag{}
		if err := db.Reconsider(item); err != nil {
			t.Fatal(err)
		}
		gone(t, db, e)
	})
	t.Run("discarded", func(t *testing.T) {
		db, e := refuse(t)
		for _, err := range []error{
			db.ProposeDiscard(e.Item.ID, by(1, document.ActionPropose, 1)),
			db.Discard(e.Item.ID, by(2, document.ActionDiscard, 2)),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		gone(t, db, e)
	})
	t.Run("the same as before", func(t *testing.T) {
		db, e := refuse(t)
		if err := db.Reconsider(again(e, 1)); err != nil {
			t.Fatal(err)
		}
		if tag, found, err := db.Instance(e.Item.Patient, e.Item.Metadata.InstanceUID); err != nil || !found || tag != e.Item.Tag {
			t.Errorf("the first of the instance is %s, %t, %v", tag, found, err)
		}
		reconciled(t, db)
	})
	t.Run("while another carries it", func(t *testing.T) {
		db, e := refuse(t)
		other := queued(3)
		other.Item.Tag = e.Item.Tag
		commit(t, db, other)
		if err := db.Reconsider(again(e, 2)); err != nil {
			t.Fatal(err)
		}
		if carrier, found, err := db.Carrier(e.Item.Tag); err != nil || !found || carrier.ID != other.Item.ID {
			t.Errorf("the carrier is %s, %t, %v", carrier.ID, found, err)
		}
	})
}

// contradicting is an entry that is queued, and that a person is to look at.
func contradicting(n byte) document.Entry {
	e := queued(n)
	e.Item.VariantOf, e.Item.Variant, e.Item.Review = record.Tag{77}, document.VariantPixelsChanged, document.ReasonPixelsChanged
	return e
}

func TestAPersonHasLooked(t *testing.T) {
	db, e := newDB(t), contradicting(1)
	commit(t, db, e)
	reconciled(t, db)
	decision := by(1, document.ActionRelease, 1)
	if err := db.Reviewed(e.Item.ID, decision); err != nil {
		t.Fatal(err)
	}
	item := itemOf(t, db, e.Item.ID)
	if item.Tray() != "" || item.State != document.Queued || item.VariantOf != e.Item.VariantOf {
		t.Errorf("it is %s in tray %q", item.State, item.Tray())
	}
	decision.About = document.ReasonPixelsChanged
	if !slices.Equal(item.Decisions, []document.Decision{decision}) {
		t.Errorf("the decisions are %+v", item.Decisions)
	}
	reconciled(t, db)
	if err := db.Reviewed(e.Item.ID, by(1, document.ActionRelease, 2)); !errors.Is(err, document.ErrNotQuarantined) {
		t.Errorf("there is nothing to look at any more: %v", err)
	}
	bad := kept(2, document.ReasonTruncated)
	bad.Item.Review = document.ReasonPixelsChanged // from before the ledger refused it
	commit(t, db, bad)
	if err := db.Reviewed(bad.Item.ID, by(1, document.ActionRelease, 1)); !errors.Is(err, document.ErrNotQuarantined) {
		t.Errorf("what is quarantined is not released by a look: %v", err)
	}
}

// An item in flight shows as submitted, which is never stored: it would never be settled.
func TestAPersonLooksWhileItIsInFlight(t *testing.T) {
	db, e := newDB(t), contradicting(1)
	commit(t, db, e)
	if err := db.Submitting(document.Submission{TxID: "ab", Items: []document.ItemID{e.Item.ID}}); err != nil {
		t.Fatal(err)
	}
	if err := db.Reviewed(e.Item.ID, by(1, document.ActionRelease, 1)); err != nil {
		t.Fatal(err)
	}
	reconciled(t, db)
	if err := db.Settle([]document.Receipt{{ID: e.Item.ID, State: document.Anchored, Block: 7}}); err != nil {
		t.Fatal(err)
	}
	if item := itemOf(t, db, e.Item.ID); item.State != document.Anchored || item.Block != 7 {
		t.Errorf("it is %s in block %d", item.State, item.Block)
	}
	reconciled(t, db)
}

func TestToDiscardTakesTwoPeople(t *testing.T) {
	vault, path := sealtest.New(t), filepath.Join(t.TempDir(), "state.db")
	db := open(t, path, vault)
	e := kept(1, document.ReasonNotUnderstood)
	e.Item.Metadata = document.Metadata{Format: document.FormatUnknown, PatientName: "Nobody^At All", Detail: "at byte 7"}
	e.Item.Path = "/drop/a file"
	commit(t, db, e)
	id := e.Item.ID
	if err := db.Discard(id, by(2, document.ActionDiscard, 1)); !errors.Is(err, document.ErrNotProposed) {
		t.Errorf("nobody proposed it: %v", err)
	}
	if err := db.ProposeDiscard(id, by(1, document.ActionPropose, 2)); err != nil {
		t.Fatal(err)
	}
	if err := db.Discard(id, by(1, document.ActionDiscard, 3)); !errors.Is(err, document.ErrSamePerson) {
		t.Errorf("by the one who proposed it: %v", err)
	}
	if err := db.Discard(id, by(2, document.ActionDiscard, 2)); !errors.Is(err, document.ErrDecided) {
		t.Errorf("a confirmation that is not later than the proposal: %v", err)
	}
	item := itemOf(t, db, id)
	if proposed, stands := item.Proposed(); !stands || proposed.By != (record.ParticipantID{1}) {
		t.Errorf("the proposal is %+v, %t", proposed, stands)
	}
	if _, err := db.Header(id); err != nil {
		t.Errorf("its key is gone before the second person: %v", err)
	}
	reconciled(t, db)

	if err := db.Discard(id, by(2, document.ActionDiscard, 4)); err != nil {
		t.Fatal(err)
	}
	db.Close()
	db = open(t, path, vault)
	item = itemOf(t, db, id)
	if item.State != document.Discarded || item.Tray() != "" || item.Path != e.Item.Path || item.Reason != e.Item.Reason {
		t.Errorf("it is %+v", item)
	}
	if !reflect.DeepEqual(item.Metadata, document.Metadata{Format: document.FormatUnknown}) {
		t.Errorf("what was read of it is kept: %+v", item.Metadata)
	}
	if len(item.Decisions) != 2 || item.Decisions[0].By != (record.ParticipantID{1}) || item.Decisions[1].By != (record.ParticipantID{2}) {
		t.Errorf("the decisions are %+v", item.Decisions)
	}
	if _, err := db.Header(id); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("its header: %v", err)
	}
	if items, err := db.ByDigest(e.Item.Digest); err != nil || len(items) != 0 {
		t.Errorf("%d items are found by its digest, %v: what comes again would be a duplicate of what is gone", len(items), err)
	}
	reconciled(t, db)
	for name, err := range map[string]error{
		"discard": db.Discard(id, by(2, document.ActionDiscard, 9)),
		"propose": db.ProposeDiscard(id, by(2, document.ActionPropose, 9)),
		"look":    db.Reviewed(id, by(2, document.ActionRelease, 9)),
		"again":   db.Reconsider(again(e, 1)),
	} {
		if !errors.Is(err, document.ErrNotQuarantined) {
			t.Errorf("%s what is discarded: %v", name, err)
		}
	}
}

func TestAProposalLapses(t *testing.T) {
	for name, change := range map[string]func(*document.Item){
		"another reason":   func(i *document.Item) { i.Reason = document.ReasonTruncated },
		"another patient":  func(i *document.Item) { i.Metadata.Patient = document.PatientID{Issuer: "north", Identifier: "4711"} },
		"another decision": func(i *document.Item) { i.Decisions = append(i.Decisions, by(3, document.ActionRelease, 2)) },
	} {
		db, e := newDB(t), kept(1, document.ReasonNoPatient)
		commit(t, db, e)
		if err := db.ProposeDiscard(e.Item.ID, by(1, document.ActionPropose, 1)); err != nil {
			t.Fatal(err)
		}
		item := itemOf(t, db, e.Item.ID)
		change(&item)
		if err := db.Reconsider(item); err != nil {
			t.Fatal(err)
		}
		if err := db.Discard(e.Item.ID, by(2, document.ActionDiscard, 3)); !errors.Is(err, document.ErrNotProposed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// idsOf gives the IDs of what each calls its argument with.
func idsOf(t *testing.T, each func(func(document.Item) bool) error) (ids []document.ItemID) {
	t.Helper()
	if err := each(func(i document.Item) bool { ids = append(ids, i.ID); return true }); err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestInTraysGivesWhatWaitsForAPerson(t *testing.T) {
	db := newDB(t)
	plain, bad, odd, worse := queued(1), kept(2, document.ReasonTruncated), contradicting(3), kept(4, document.ReasonNoPatient)
	commit(t, db, plain, bad, odd, worse)
	if got := idsOf(t, db.InTrays); !slices.Equal(got, []document.ItemID{bad.Item.ID, odd.Item.ID, worse.Item.ID}) {
		t.Errorf("in trays are %v", got)
	}
	n := 0
	if err := db.InTrays(func(document.Item) bool { n++; return false }); err != nil || n != 1 {
		t.Errorf("it goes on after false: %d, %v", n, err)
	}
	settled(t, db, plain, document.Quarantined, document.ReasonErased)
	for _, err := range []error{
		db.Reviewed(odd.Item.ID, by(1, document.ActionRelease, 1)), db.Reconsider(again(bad, 2)),
		db.ProposeDiscard(worse.Item.ID, by(1, document.ActionPropose, 1)), db.Discard(worse.Item.ID, by(2, document.ActionDiscard, 2)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := idsOf(t, db.InTrays); !slices.Equal(got, []document.ItemID{plain.Item.ID}) {
		t.Errorf("after all is decided in trays are %v, want what the ledger refused", got)
	}
}

func TestRepeatsAreTheDuplicatesOfAnItem(t *testing.T) {
	db := newDB(t)
	first, other, twice, later := queued(1), queued(2), queued(3), kept(4, document.ReasonNoPatient)
	twice.Item.State, twice.Item.First, twice.Header = document.Duplicate, first.Item.ID, nil
	commit(t, db, first, other, twice, later)
	item := again(later, 1)
	item.State, item.First = document.Duplicate, first.Item.ID
	if err := db.Reconsider(item); err != nil {
		t.Fatal(err)
	}
	of := func(e document.Entry) []document.ItemID {
		return idsOf(t, func(f func(document.Item) bool) error { return db.Repeats(e.Item.ID, f) })
	}
	if got := of(first); !slices.Equal(got, []document.ItemID{twice.Item.ID, item.ID}) {
		t.Errorf("duplicates are %v", got)
	}
	if got := of(other); len(got) > 0 {
		t.Errorf("another has duplicates %v", got)
	}
}

// A file from before there were trays has its items sorted into them at its first opening.
func TestAnOlderFileIsSortedIntoTrays(t *testing.T) {
	vault, path := sealtest.New(t), filepath.Join(t.TempDir(), "state.db")
	db := open(t, path, vault)
	bad, twice := kept(1, document.ReasonTruncated), queued(2)
	twice.Item.State, twice.Item.First = document.Duplicate, bad.Item.ID
	commit(t, db, bad, twice, queued(3))
	db.Close()
	b, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(b.Update(func(tx *bolt.Tx) error {
		return errors.Join(tx.DeleteBucket([]byte("trays")), tx.DeleteBucket([]byte("repeats")))
	}), b.Close())
	if err != nil {
		t.Fatal(err)
	}
	db = open(t, path, vault)
	if got := idsOf(t, db.InTrays); !slices.Equal(got, []document.ItemID{bad.Item.ID}) {
		t.Errorf("in trays are %v", got)
	}
	got := idsOf(t, func(f func(document.Item) bool) error { return db.Repeats(bad.Item.ID, f) })
	if !slices.Equal(got, []document.ItemID{twice.Item.ID}) {
		t.Errorf("duplicates are %v", got)
	}
}

// Whatever is decided in whatever order, the counts are those of the items.
func TestCountsReconcileThroughEveryDecision(t *testing.T) {
	vault := sealtest.New(t)
	rapid.Check(t, func(r *rapid.T) {
		db, err := state.Open(filepath.Join(t.TempDir(), fmt.Sprintf("%d.db", time.Now().UnixNano())), vault, mspID)
		if err != nil {
			r.Fatal(err)
		}
		defer db.Close()
		var entries []document.Entry
		for n := range byte(4) {
			makers := []func(byte) document.Entry{
				queued, contradicting,
				func(n byte) document.Entry { return kept(n, document.ReasonNoPatient) },
				func(n byte) document.Entry { return kept(n, document.ReasonTruncated) },
			}
			e := rapid.SampledFrom(makers).Draw(r, "made")(n + 1)
			e.Item.Kind = rapid.SampledFrom([]record.Kind{record.KindImaging, record.KindLetter}).Draw(r, "kind")
			entries = append(entries, e)
		}
		if err := db.Commit(document.Commit{Entries: entries}); err != nil {
			r.Fatal(err)
		}
		for minute := range rapid.IntRange(1, 8).Draw(r, "steps") {
			e := rapid.SampledFrom(entries).Draw(r, "item")
			item, err := db.Item(e.Item.ID)
			if err != nil {
				r.Fatal(err)
			}
			who := rapid.ByteRange(1, 2).Draw(r, "who")
			switch rapid.IntRange(0, 5).Draw(r, "step") {
			case 0:
				err = db.Reviewed(item.ID, by(who, document.ActionRelease, minute))
			case 1:
				err = db.ProposeDiscard(item.ID, by(who, document.ActionPropose, minute))
			case 2:
				err = db.Discard(item.ID, by(who, document.ActionDiscard, minute))
			case 3:
				as := rapid.SampledFrom([]document.State{document.Queued, document.Duplicate, document.Quarantined}).Draw(r, "as")
				next := again(e, rapid.ByteRange(1, 6).Draw(r, "document"))
				if next.State = as; as == document.Quarantined {
					next.Reason = document.ReasonPlaceholder
				}
				err = db.Reconsider(next)
			case 4:
				err = db.Settle([]document.Receipt{{ID: item.ID, State: document.Anchored}})
			case 5:
				err = db.Settle([]document.Receipt{{ID: item.ID, State: document.Quarantined, Reason: document.ReasonErased}})
			}
			if err != nil && !slices.ContainsFunc([]error{
				document.ErrNotQuarantined, document.ErrNotProposed, document.ErrSamePerson, document.ErrDecided,
			}, func(of error) bool { return errors.Is(err, of) }) {
				r.Fatal(err)
			}
			reconciled(r, db)
		}
	})
}
