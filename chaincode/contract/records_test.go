package contract_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

// anchored gives a ledger with three records of patient p, one of them in two versions, and one of patient q.
func anchored(t *testing.T) *fakeLedger {
	t.Helper()
	l := newLedger(t)
	variant := version("p", "study", 2, "c")
	variant.Documents[0].VariantOf = tag("a")
	for _, batch := range [][]record.Version{
		{version("p", "study", 1, "a", "b"), version("p", "letter", 1, "d"), version("q", "study", 1, "e")},
		{variant, version("p", "lab", 1, "f")},
	} {
		if !l.commit(l.endorse(appliance(t), transient(t, batch...), record.AnchorFunction)) {
			t.Fatal("anchoring is refused")
		}
	}
	return l
}

func TestDocument(t *testing.T) {
	l := anchored(t)
	got, refused := query[record.AnchoredDocument](t, l, record.DocumentFunction, tag("c").String())
	if refused != nil {
		t.Fatal(refused)
	}
	want := record.Document{Tag: tag("c"), CID: content("c"), VariantOf: tag("a")}
	if got.Document != want || got.Anchoring.MSPID != "StMaryMSP" || got.Anchoring.Time.Nanosecond() != 5000 {
		t.Errorf("got %+v", got)
	}
	again, refused := query[record.Anchoring](t, l, record.AnchoringFunction, got.Anchoring.ID.String())
	if refused != nil || again != got.Anchoring {
		t.Errorf("got %+v, %v, want %+v", again, refused, got.Anchoring)
	}
}

func TestRecord(t *testing.T) {
	l := anchored(t)
	patient, study := reference("p").String(), tag("study").String()
	full, refused := query[[]record.AnchoredVersion](t, l, record.RecordFunction, patient, study)
	if refused != nil || len(full) != 2 {
		t.Fatalf("got %+v, %v, want two versions", full, refused)
	}
	want := version("p", "study", 1, "a", "b")
	if full[0].Patient != want.Patient || full[0].Record != want.Record || full[0].Number != 1 ||
		full[0].Kind != want.Kind || !full[0].Time.Equal(want.Time) ||
		!slices.Equal(full[0].Documents, want.Documents) || full[0].Anchoring == full[1].Anchoring {
		t.Errorf("got %+v, want %+v", full[0], want)
	}
	if full[1].Documents[0].VariantOf != tag("a") {
		t.Errorf("the variant is lost: %+v", full[1])
	}

	summaries, refused := query[[]record.VersionSummary](t, l, record.VersionsFunction, patient, study)
	if refused != nil || len(summaries) != 2 || summaries[0].Documents != 2 || summaries[1].Number != 2 ||
		summaries[1].Anchoring != full[1].Anchoring {
		t.Errorf("got %+v, %v", summaries, refused)
	}
	none, refused := query[[]record.VersionSummary](t, l, record.VersionsFunction, patient, tag("none").String())
	if refused != nil || len(none) != 0 {
		t.Errorf("versions of a record that is not there: %+v, %v", none, refused)
	}
}

func TestList(t *testing.T) {
	l := anchored(t)
	for _, size := range []string{"1", "2", "3", "4", "1000"} {
		seen := map[record.Tag]int{}
		bookmark := ""
		for pages := 1; ; pages++ {
			page, refused := query[record.Page](t, l, record.ListFunction, reference("p").String(), size, bookmark)
			if refused != nil {
				t.Fatal(refused)
			}
			for _, v := range page.Versions {
				seen[v.Record] += v.Documents
			}
			if bookmark = page.Bookmark; bookmark == "" {
				break
			}
			if pages > 4 {
				t.Fatalf("pages of %s do not end", size)
			}
		}
		if len(seen) != 3 || seen[tag("study")] != 3 || seen[tag("letter")] != 1 || seen[tag("lab")] != 1 {
			t.Errorf("pages of %s hold %v", size, seen)
		}
	}
	page, refused := query[record.Page](t, l, record.ListFunction, reference("nobody").String(), "10", "")
	if refused != nil || page.Versions == nil || len(page.Versions) != 0 {
		t.Errorf("an unknown patient has %+v, %v", page, refused)
	}
}

func TestQueriesRefuse(t *testing.T) {
	l := anchored(t)
	p, study := reference("p").String(), tag("study").String()
	tests := map[string]struct {
		arguments []string
		want      record.Code
	}{
		"unknown document":             {[]string{record.DocumentFunction, tag("none").String()}, record.NotFound},
		"document by half a tag":       {[]string{record.DocumentFunction, study[:11]}, record.BadRequest},
		"document by nothing":          {[]string{record.DocumentFunction, ""}, record.BadRequest},
		"unknown anchoring":            {[]string{record.AnchoringFunction, record.AnchoringID{}.String()}, record.NotFound},
		"anchoring by transaction ID":  {[]string{record.AnchoringFunction, strings.Repeat("0", 64)}, record.BadRequest},
		"unknown record":               {[]string{record.RecordFunction, p, tag("none").String()}, record.NotFound},
		"another patient's record":     {[]string{record.RecordFunction, reference("q").String(), tag("lab").String()}, record.NotFound},
		"record of nobody":             {[]string{record.RecordFunction, "", study}, record.BadRequest},
		"record without tag":           {[]string{record.RecordFunction, p, "~"}, record.BadRequest},
		"versions of nobody":           {[]string{record.VersionsFunction, "~", study}, record.BadRequest},
		"list of nobody":               {[]string{record.ListFunction, "", "10", ""}, record.BadRequest},
		"page of nothing":              {[]string{record.ListFunction, p, "0", ""}, record.BadRequest},
		"page of all":                  {[]string{record.ListFunction, p, "1001", ""}, record.BadRequest},
		"negative page":                {[]string{record.ListFunction, p, "-1", ""}, record.BadRequest},
		"another patient's bookmark":   {[]string{record.ListFunction, p, "10", "R" + reference("q").String()}, record.BadRequest},
		"bookmark before the patient":  {[]string{record.ListFunction, p, "10", "A"}, record.BadRequest},
		"bookmark behind the patient":  {[]string{record.ListFunction, p, "10", "R" + p + "~"}, record.BadRequest},
		"bookmark of another document": {[]string{record.ListFunction, p, "10", "Z"}, record.BadRequest},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, refused := query[json.RawMessage](t, l, test.arguments...)
			if refused == nil || refused.Code != test.want {
				t.Errorf("got %v, want %s", refused, test.want)
			}
		})
	}
}

// TestUnknownFunctions checks that what contractapi refuses by itself is refused.
func TestUnknownFunctions(t *testing.T) {
	l := newLedger(t)
	for _, arguments := range [][]string{
		{""},
		{"records:"},
		{"records:Delete"},
		{"Anchor"},
		{"records:anchor"},
		{"other:Anchor"},
		{"records:Document"},
		{"records:List", reference("p").String(), "many", ""},
		{"records:GetEvaluateTransactions"},
	} {
		tx := l.endorse(appliance(t), transient(t, version("p", "study", 1, "a")), arguments...)
		if tx.response.GetStatus() == shim.OK || len(tx.writes) > 0 {
			t.Errorf("%q is accepted", arguments)
		}
	}
}

// TestBrokenState puts what no version of the contract has written under the keys: the queries say so, and name a code.
func TestBrokenState(t *testing.T) {
	l := anchored(t)
	for key := range l.state {
		l.state[key] = stateValue{[]byte{9, 9, 9}, 1}
	}
	p, study := reference("p").String(), tag("study").String()
	for _, arguments := range [][]string{
		{record.DocumentFunction, tag("a").String()},
		{record.RecordFunction, p, study},
		{record.VersionsFunction, p, study},
		{record.ListFunction, p, "10", ""},
	} {
		if _, refused := query[json.RawMessage](t, l, arguments...); refused == nil || refused.Code != record.Internal {
			t.Errorf("%s: got %v, want %s", arguments[0], refused, record.Internal)
		}
	}
	tx := l.endorse(appliance(t), transient(t, version("p", "study", 1, "a")), record.AnchorFunction)
	if refused := refusalOf(t, tx); refused == nil || refused.Code != record.Internal {
		t.Errorf("anchoring over it: got %v, want %s", refused, record.Internal)
	}
}

// TestLossyPeer checks that a peer that answers with too few values is not believed: all keys would seem to be others.
func TestLossyPeer(t *testing.T) {
	l := anchored(t)
	l.lossy = true
	tx := l.endorse(appliance(t), transient(t, version("p", "study", 1, "a", "x")), record.AnchorFunction)
	if refused := refusalOf(t, tx); refused == nil || refused.Code != record.Internal || len(tx.writes) > 0 {
		t.Errorf("anchoring: got %v", refused)
	}
	_, refused := query[json.RawMessage](t, l, record.RecordFunction, reference("p").String(), tag("study").String())
	if refused == nil || refused.Code != record.Internal {
		t.Errorf("record: got %v", refused)
	}
}
