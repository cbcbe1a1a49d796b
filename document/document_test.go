package document_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/document"
)

func TestItemIDText(t *testing.T) {
	id := document.NewItemID(time.UnixMilli(0x0199c0de0000))
	text := id.String()
	if len(text) != 36 || text[:13] != "0199c0de-0000" || text[14] != '7' {
		t.Fatalf("ID %s is not a UUID of version 7 with its time in front", text)
	}
	back, err := document.ParseItemID(text)
	if err != nil || back != id {
		t.Fatalf("ParseItemID(%s) = %s, %v", text, back, err)
	}
}

func TestItemIDsSortByTime(t *testing.T) {
	earlier := document.NewItemID(time.UnixMilli(1_000))
	later := document.NewItemID(time.UnixMilli(1_001))
	if earlier.String() >= later.String() {
		t.Fatalf("%s does not sort before %s", earlier, later)
	}
}

func TestParseItemIDRefuses(t *testing.T) {
	for _, s := range []string{
		"", "x", "0199c0de00007000800000000000000", "0199c0de-0000-7000-8000-00000000000g",
		"0199c0de000070008000000000000000",
	} {
		if _, err := document.ParseItemID(s); err == nil {
			t.Errorf("ParseItemID(%q) accepts it", s)
		}
	}
}

// Each sentence says what is wrong and, after that, what a person does: the commands and acts that get the item out of its tray.
func TestEveryReasonIsExplained(t *testing.T) {
	const retry, assign, release, discard = "medanchor tray retry", "medanchor tray assign", "medanchor tray release", "medanchor tray discard"
	const sent = "send it again"
	ways := map[document.Reason][]string{
		document.ReasonNotUnderstood:  {sent, release, assign},
		document.ReasonTruncated:      {sent, release, assign},
		document.ReasonNoPatient:      {assign},
		document.ReasonPlaceholder:    {assign, sent},
		document.ReasonBadIdentifier:  {assign, sent},
		document.ReasonNoInstance:     {sent, release, assign},
		document.ReasonTooLarge:       {release, assign},
		document.ReasonInspectFailed:  {retry, sent, release, assign},
		document.ReasonEncrypted:      {sent, release, assign},
		document.ReasonLedgerConflict: {"restore the newest state.db", discard},
		document.ReasonErased:         {"remove it at its source", discard},
		document.ReasonUnlinked:       {retry},
		document.ReasonMediaDirectory: {"take in the files that it lists", discard},
		document.ReasonNotAccepted:    {release, retry},
		document.ReasonPixelsChanged:  {"medanchor get --identity", "corrected at its source", release},
	}
	for _, r := range document.Reasons() {
		wrong, remedy, _ := strings.Cut(r.Explain(), ": ")
		if wrong == "" || len(ways[r]) == 0 {
			t.Errorf("reason %s has no sentence, or no way out: %s", r, r.Explain())
		}
		for _, way := range ways[r] {
			if !strings.Contains(remedy, way) {
				t.Errorf("reason %s does not say %q: %s", r, way, r.Explain())
			}
		}
	}
}

// A record is the whole study: to withdraw it hides the right picture with the wrong one.
func TestOtherPixelsAreNoCauseToWithdrawTheStudy(t *testing.T) {
	const warned = "medanchor record withdraw would take the whole study from everybody"
	said, found := strings.CutSuffix(document.ReasonPixelsChanged.Explain(), warned)
	if !found || strings.Contains(said, "withdraw") || strings.Contains(said, "discard") {
		t.Error(document.ReasonPixelsChanged.Explain())
	}
}

func TestItemSurvivesJSON(t *testing.T) {
	item := document.Item{ID: document.NewItemID(time.Now()), State: document.Queued, Digest: document.Digest{1, 2}, Size: 5}
	raw, err := json.Marshal(item)
	if err != nil {
		t.Fatal(err)
	}
	var back document.Item
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if back.ID != item.ID || back.Digest != item.Digest || back.State != item.State {
		t.Fatalf("%+v came back as %+v", item, back)
	}
}
