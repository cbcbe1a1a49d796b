package contract_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

func author() record.ParticipantID { return record.NewParticipantID("StMaryMSP", [10]byte{1}) }

// anchored gives a ledger with three records of patient p, one of them in two versions, and one of patient q.
func anchored(t *testing.T) *fakeLedger {
	t.Helper()
	l := newLedger(t)
	l.know(t, newPerson(t, "StMaryMSP", record.DoctorRole, author()))
	variant := version("p", "study", "c")
	variant.Documents[0].VariantOf = tag("a")
	variant.Late, variant.Amends, variant.Author = true, tag("a"), author()
	for _, batch := range [][]record.Version{
		{version("p", "study", "a", "b"), version("p", "letter", "d"), version("q", "study", "e")},
		{variant, version("p", "lab", "f")},
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
	first, late := full[0], full[1]
	if first.Name() != tag("a") { // their order says nothing
		first, late = late, first
	}
	want := version("p", "study", "a", "b")
	if first.Patient != want.Patient || first.Record != want.Record || first.Kind != want.Kind || first.Late ||
		!first.Date.Equal(want.Date) || !slices.Equal(first.Documents, want.Documents) || first.Anchoring == late.Anchoring {
		t.Errorf("got %+v, want %+v", first, want)
	}
	if late.Documents[0].VariantOf != tag("a") || !late.Late || late.Amends != tag("a") || late.Author != author() {
		t.Errorf("variant, author or amendment is lost: %+v", late)
	}
}

// TestErased reads a document and a record of which a tombstone is left.
func TestErased(t *testing.T) {
	l := anchored(t)
	left := record.Tombstone{Generation: 3, Erasure: record.AnchoringID{7}}
	l.state[record.DocumentKey(tag("b"))] = stateValue{record.StoredDocument{Tombstone: left}.Encode(), l.height}
	got, refused := query[record.AnchoredDocument](t, l, record.DocumentFunction, tag("b").String())
	if refused != nil || got.Erased == nil || *got.Erased != left || got.Document != (record.Document{Tag: tag("b")}) {
		t.Errorf("got %+v, %v", got, refused)
	}
	full, refused := query[[]record.AnchoredVersion](t, l, record.RecordFunction, reference("p").String(), tag("study").String())
	if refused != nil || len(full) != 2 {
		t.Fatalf("got %+v, %v", full, refused)
	}
	for _, v := range full {
		for _, d := range v.Documents {
			if d.CID.IsZero() != (d.Tag == tag("b")) {
				t.Errorf("got %+v", d)
			}
		}
	}
}

// TestListInstitution lists the records of all patients of an institution, by its ID and by its prefix.
func TestListInstitution(t *testing.T) {
	l := anchored(t)
	institution := record.InstitutionID("StMaryMSP")
	for _, name := range []string{institution.String(), institution.Institution().String()} {
		patients, documents, bookmark := map[record.Reference]bool{}, 0, ""
		for more := true; more; more = bookmark != "" {
			page, refused := query[record.Page](t, l, record.ListInstitutionFunction, name, "2", bookmark)
			if refused != nil {
				t.Fatal(refused)
			}
			for _, v := range page.Versions {
				patients[v.Patient] = true
				documents += v.Documents
			}
			bookmark = page.Bookmark
		}
		if len(patients) != 2 || documents != 6 {
			t.Errorf("%s: %d documents of %d patients, want 6 of 2", name, documents, len(patients))
		}
	}
	page, refused := query[record.Page](t, l, record.ListInstitutionFunction, record.InstitutionID("OtherMSP").String(), "10", "")
	if refused != nil || len(page.Versions) != 0 {
		t.Errorf("another institution has %+v, %v", page, refused)
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
		"list of half an institution":  {[]string{record.ListInstitutionFunction, p[:7], "10", ""}, record.BadRequest},
		"list of no institution":       {[]string{record.ListInstitutionFunction, "", "10", ""}, record.BadRequest},
		"an institution's whole":       {[]string{record.ListInstitutionFunction, p[:8], "1001", ""}, record.BadRequest},
		"bookmark of another's list":   {[]string{record.ListInstitutionFunction, p[:8], "10", "R~"}, record.BadRequest},
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
		tx := l.endorse(appliance(t), transient(t, version("p", "study", "a")), arguments...)
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
		{record.ListFunction, p, "10", ""},
		{record.ListInstitutionFunction, p[:8], "10", ""},
	} {
		if _, refused := query[json.RawMessage](t, l, arguments...); refused == nil || refused.Code != record.Internal {
			t.Errorf("%s: got %v, want %s", arguments[0], refused, record.Internal)
		}
	}
	tx := l.endorse(appliance(t), transient(t, version("p", "study", "a")), record.AnchorFunction)
	if refused := refusalOf(t, tx); refused == nil || refused.Code != record.Internal {
		t.Errorf("anchoring over it: got %v, want %s", refused, record.Internal)
	}
}

// TestLossyPeer checks that a peer that answers with too few values is not believed: all keys would seem to be others.
func TestLossyPeer(t *testing.T) {
	l := anchored(t)
	l.lossy = true
	tx := l.endorse(appliance(t), transient(t, version("p", "study", "a", "x")), record.AnchorFunction)
	if refused := refusalOf(t, tx); refused == nil || refused.Code != record.Internal || len(tx.writes) > 0 {
		t.Errorf("anchoring: got %v", refused)
	}
	_, refused := query[json.RawMessage](t, l, record.RecordFunction, reference("p").String(), tag("study").String())
	if refused == nil || refused.Code != record.Internal {
		t.Errorf("record: got %v", refused)
	}
}
