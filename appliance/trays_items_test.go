package appliance_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance"
	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/state"
	"github.com/medanchor/medanchor/test/sealtest"
)

// withItems is an appliance without doors that has these items.
func withItems(t *testing.T, items ...document.Item) *appliance.App {
	t.Helper()
	db, err := state.Open(filepath.Join(t.TempDir(), "state.db"), sealtest.New(t), "HereMSP")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	entries := make([]document.Entry, len(items))
	for i := range items {
		entries[i] = document.Entry{Item: items[i], Header: []byte{1}, Claim: document.Claim{Inode: uint64(i)}}
	}
	if err := db.Commit(document.Commit{Root: record.CID{0x70, 1}, Entries: entries}); err != nil {
		t.Fatal(err)
	}
	return appliance.OnlyItems(db)
}

// anItem is an item that is anchored with other pixels; n tells items apart.
func anItem(n byte) document.Item {
	return document.Item{
		ID: document.NewItemID(time.UnixMilli(int64(n))), State: document.Queued, Door: "gone", Digest: document.Digest{n},
		Tag: record.Tag{n}, Record: record.Tag{0xff, n}, Patient: record.Reference{1}, CID: record.CID{0x55, n},
		Metadata: document.Metadata{InstanceUID: "2.25.1"},
	}
}

// Two pictures under one UID are compared by who may read them: both are shown with their records.
func TestWhatContradictsIsShownWithBothRecords(t *testing.T) {
	first, second := anItem(1), anItem(2)
	second.VariantOf, second.Variant, second.Review = first.Tag, document.VariantPixelsChanged, document.ReasonPixelsChanged
	v, err := withItems(t, first, second).InTray(t.Context(), control.ItemQuery{Item: second.ID})
	if err != nil {
		t.Fatal(err)
	}
	if v.Document != second.Tag || v.Record != second.Record || v.Contradicts == nil || v.Contradicts.Document != first.Tag ||
		v.Contradicts.Record != first.Record {
		t.Errorf("shown as %+v, contradicts %+v", v.TrayItem, v.Contradicts)
	}
}

// What is kept back is in no record.
func TestWhatIsKeptBackHasNoRecord(t *testing.T) {
	kept := anItem(1)
	kept.State, kept.Reason = document.Quarantined, document.ReasonErased
	v, err := withItems(t, kept).InTray(t.Context(), control.ItemQuery{Item: kept.ID})
	if err != nil || !v.Record.IsZero() || !v.Document.IsZero() {
		t.Errorf("%+v, %v", v.TrayItem, err)
	}
}

// Who is refused is told what they can do, and that is not refused in its turn.
func TestARetryWithoutADoorSaysWhatCanBeDone(t *testing.T) {
	const back, assign = "bring the door back", "assign"
	for name, test := range map[string]struct {
		door   string
		reason document.Reason
		says   string
		not    []string
	}{
		"its folder is gone":            {"gone", document.ReasonTruncated, "bring the door back, or assign it", nil},
		"it needs its own patient":      {"gone", document.ReasonUnlinked, back, []string{assign}},
		"erased, and its folder gone":   {"gone", document.ReasonErased, "discard it", []string{back, assign}},
		"filed anew, and erased":        {"refile", document.ReasonErased, "discard it", []string{back, assign}},
		"filed anew, and in conflict":   {"refile", document.ReasonLedgerConflict, "or discard it", []string{back, assign}},
		"anchored, and to be looked at": {"gone", "", "tray release says that somebody has looked", []string{back, assign}},
	} {
		item := anItem(1)
		item.Door, item.Review = test.door, document.ReasonPixelsChanged
		if test.reason != "" {
			item.State, item.Reason, item.Review = document.Quarantined, test.reason, ""
		}
		_, err := withItems(t, item).Retry(t.Context(), control.ItemQuery{Item: item.ID})
		if !errors.Is(err, control.ErrRefused) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want one that says %q", name, err, test.says)
			continue
		}
		for _, not := range test.not {
			if strings.Contains(err.Error(), not) {
				t.Errorf("%s: it says %q: %v", name, not, err)
			}
		}
	}
}
