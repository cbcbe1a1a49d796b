package document_test

import (
	"encoding/json"
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

func TestEveryReasonIsExplained(t *testing.T) {
	for _, r := range document.Reasons() {
		if r.Explain() == string(r) {
			t.Errorf("reason %s has no sentence", r)
		}
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
