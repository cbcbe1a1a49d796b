package contract_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/medanchor/medanchor/chaincode/record"
)

const (
	created  = record.Created
	existing = record.Existing
	conflict = record.Conflict
	erased   = record.Erased
)

func holdingKey(mspID, document string) string {
	return record.HoldingKey(record.InstitutionID(mspID).Institution(), tag(document))
}

func holding(payload string) []byte { return record.StoredHolding{CID: content(payload)}.Encode() }

func TestAnchor(t *testing.T) {
	tombstone := record.StoredDocument{Tombstone: record.Tombstone{Erasure: record.AnchoringID{1}}}.Encode()
	resealed := version("p", "study", "a")
	resealed.Documents[0].CID = content("sealed again")
	mixed := version("p", "study", "c", "a", "b", "d")
	mixed.Documents[1].CID = content("sealed again")
	stranger := version("p", "study", "a")
	stranger.Patient = record.NewReference("OtherMSP", [10]byte{1})
	tests := map[string]struct {
		before [][]record.Version // batches committed before
		state  map[string][]byte  // values put beside them
		batch  []record.Version
		want   []record.Outcome
		event  record.Anchored // without ID
		names  []string        // documents that name the versions written
		refuse record.Code
		index  int
	}{
		"two new records": {
			batch: []record.Version{version("p", "study", "a", "b"), version("p", "letter", "c")},
			want:  []record.Outcome{created, created, created},
			event: record.Anchored{Versions: 2, Created: 3},
			names: []string{"a", "c"},
		},
		"redelivered": {
			before: [][]record.Version{{version("p", "study", "a", "b")}},
			batch:  []record.Version{version("p", "study", "a", "b")},
			want:   []record.Outcome{existing, existing},
			event:  record.Anchored{Existing: 2},
		},
		"redelivered, sealed again": {
			before: [][]record.Version{{version("p", "study", "a")}},
			batch:  []record.Version{resealed},
			want:   []record.Outcome{conflict},
			event:  record.Anchored{Conflict: 1},
		},
		"a later version": {
			before: [][]record.Version{{version("p", "study", "a")}},
			batch:  []record.Version{version("p", "study", "b")},
			want:   []record.Outcome{created},
			event:  record.Anchored{Versions: 1, Created: 1},
			names:  []string{"b"},
		},
		"two versions of a record at once": {
			batch: []record.Version{version("p", "study", "a"), version("p", "study", "b")},
			want:  []record.Outcome{created, created},
			event: record.Anchored{Versions: 2, Created: 2},
			names: []string{"a", "b"},
		},
		"some known: named by the first that is new": {
			before: [][]record.Version{{version("p", "study", "a")}},
			batch:  []record.Version{version("p", "study", "a", "b", "c")},
			want:   []record.Outcome{existing, created, created},
			event:  record.Anchored{Versions: 1, Created: 2, Existing: 1},
			names:  []string{"b"},
		},
		"known in another record": {
			before: [][]record.Version{{version("p", "study", "a")}},
			batch:  []record.Version{version("p", "letter", "a")},
			want:   []record.Outcome{existing},
			event:  record.Anchored{Existing: 1},
		},
		"the same record of another patient": {
			before: [][]record.Version{{version("p", "study", "a")}},
			batch:  []record.Version{version("q", "study", "b")},
			want:   []record.Outcome{created},
			event:  record.Anchored{Versions: 1, Created: 1},
			names:  []string{"b"},
		},
		"erased": {
			state: map[string][]byte{record.DocumentKey(tag("a")): tombstone},
			batch: []record.Version{version("p", "study", "a")},
			want:  []record.Outcome{erased},
			event: record.Anchored{Erased: 1},
		},
		"one of each": {
			before: [][]record.Version{{version("p", "study", "a", "b")}},
			state:  map[string][]byte{record.DocumentKey(tag("c")): tombstone},
			batch:  []record.Version{mixed},
			want:   []record.Outcome{erased, conflict, existing, created},
			event:  record.Anchored{Versions: 1, Created: 1, Existing: 1, Conflict: 1, Erased: 1},
			names:  []string{"d"},
		},
		"sealed again, as the institution holds it": {
			before: [][]record.Version{{version("p", "study", "a")}},
			state:  map[string][]byte{holdingKey("StMaryMSP", "a"): holding("sealed again")},
			batch:  []record.Version{resealed},
			want:   []record.Outcome{existing},
			event:  record.Anchored{Existing: 1},
		},
		"sealed again, and the institution holds a third copy": {
			before: [][]record.Version{{version("p", "study", "a")}},
			state:  map[string][]byte{holdingKey("StMaryMSP", "a"): holding("a third time")},
			batch:  []record.Version{resealed},
			want:   []record.Outcome{conflict},
			event:  record.Anchored{Conflict: 1},
		},
		"sealed again, as another institution holds it": {
			before: [][]record.Version{{version("p", "study", "a")}},
			state:  map[string][]byte{holdingKey("OtherMSP", "a"): holding("sealed again")},
			batch:  []record.Version{resealed},
			want:   []record.Outcome{conflict},
			event:  record.Anchored{Conflict: 1},
		},
		"the institution's copy is erased, another's is not": {
			before: [][]record.Version{{version("p", "study", "a")}},
			state:  map[string][]byte{holdingKey("StMaryMSP", "a"): tombstone},
			batch:  []record.Version{resealed},
			want:   []record.Outcome{erased},
			event:  record.Anchored{Erased: 1},
		},
		"another's copy is erased, the institution's is not": {
			state: map[string][]byte{
				record.DocumentKey(tag("a")): tombstone, holdingKey("StMaryMSP", "a"): holding("sealed again"),
			},
			batch: []record.Version{resealed},
			want:  []record.Outcome{existing},
			event: record.Anchored{Existing: 1},
		},
		"a patient of another institution": {
			batch:  []record.Version{version("p", "letter", "c"), stranger},
			refuse: record.Forbidden, index: 1,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t)
			for _, batch := range test.before {
				if !l.commit(l.endorse(appliance(t), transient(t, batch...), record.AnchorFunction)) {
					t.Fatal("a batch before is refused")
				}
			}
			for key, value := range test.state {
				l.state[key] = stateValue{value, l.height}
			}
			tx := l.endorse(appliance(t), transient(t, test.batch...), record.AnchorFunction)
			refused := refusalOf(t, tx)
			if test.refuse != "" {
				if refused == nil || refused.Code != test.refuse || refused.Index != test.index {
					t.Fatalf("got %v, want %s about version %d", refused, test.refuse, test.index)
				}
				if len(tx.writes) > 0 {
					t.Error("a refused transaction writes")
				}
				return
			}
			if refused != nil {
				t.Fatal(refused)
			}
			checkResult(t, tx, test.want, test.event)
			checkNames(t, tx, test.names)
			if !l.commit(tx) {
				t.Error("the transaction does not commit")
			}
		})
	}
}

// checkResult compares response, event and the number of writes: one for each document and version created, and one
// for the anchoring if there are any.
func checkResult(t *testing.T, tx *transaction, want []record.Outcome, event record.Anchored) {
	t.Helper()
	result, err := record.DecodeResult(tx.response.GetPayload())
	if err != nil || !slices.Equal(result.Outcomes, want) {
		t.Errorf("got %v, %v, want %v", result.Outcomes, err, want)
	}
	id, err := record.ParseTxID(tx.id)
	if err != nil {
		t.Fatal(err)
	}
	event.ID = id.AnchoringID()
	if got, err := record.DecodeAnchored(tx.eventData); err != nil || got != event || tx.event != record.AnchoredEvent {
		t.Errorf("event %s %+v, %v, want %+v", tx.event, got, err, event)
	}
	writes := event.Created + event.Versions
	if writes > 0 {
		writes++
	}
	if len(tx.writes) != writes || tx.ranged || tx.paged {
		t.Errorf("%d writes, want %d; range read: %t", len(tx.writes), writes, tx.ranged || tx.paged)
	}
}

// checkNames compares the versions written with the documents that must name them.
func checkNames(t *testing.T, tx *transaction, want []string) {
	t.Helper()
	var got []record.Tag
	for key := range tx.writes {
		if record.IsVersionKey(key) {
			_, _, name, err := record.ParseVersionKey(key)
			if err != nil {
				t.Error(err)
			}
			got = append(got, name)
		}
	}
	for _, d := range want {
		if !slices.Contains(got, tag(d)) {
			t.Errorf("no version is named by %s", d)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d versions, want %d", len(got), len(want))
	}
}

func TestAnchorRefuses(t *testing.T) {
	good := transient(t, version("p", "study", "a"))
	tests := map[string]struct {
		caller    []byte
		transient map[string][]byte
		want      record.Code
	}{
		"a doctor":           {caller(t, "StMaryMSP", map[string]string{record.RoleAttribute: "doctor"}), good, record.Forbidden},
		"no role":            {caller(t, "StMaryMSP", map[string]string{"hf.Type": "client"}), good, record.Forbidden},
		"no attributes":      {caller(t, "StMaryMSP", nil), good, record.Forbidden},
		"role in other case": {caller(t, "StMaryMSP", map[string]string{record.RoleAttribute: "Appliance"}), good, record.Forbidden},
		"no certificate":     {[]byte("nobody"), good, record.Forbidden},
		"no batch":           {appliance(t), nil, record.BadRequest},
		"batch elsewhere":    {appliance(t), map[string][]byte{"other": good[record.BatchField]}, record.BadRequest},
		"not a batch":        {appliance(t), map[string][]byte{record.BatchField: []byte("{}")}, record.BadRequest},
		"empty":              {appliance(t), map[string][]byte{record.BatchField: nil}, record.BadRequest},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			tx := newLedger(t).endorse(test.caller, test.transient, record.AnchorFunction)
			if refused := refusalOf(t, tx); refused == nil || refused.Code != test.want || len(tx.writes) > 0 {
				t.Errorf("got %v and %d writes, want %s", refused, len(tx.writes), test.want)
			}
		})
	}
}

// TestAnchoringConflict runs two transactions whose IDs share the first 8 bytes.
func TestAnchoringConflict(t *testing.T) {
	l := newLedger(t)
	id := fmt.Sprintf("%064x", 1)
	l.commit(l.endorseAs(id, appliance(t), transient(t, version("p", "study", "a")), record.AnchorFunction))
	twin := fmt.Sprintf("%064x", 2)
	tx := l.endorseAs(twin, appliance(t), transient(t, version("p", "study", "b")), record.AnchorFunction)
	if refused := refusalOf(t, tx); refused == nil || refused.Code != record.AnchoringConflict {
		t.Errorf("got %v, want %s", refused, record.AnchoringConflict)
	}
}

// TestConcurrent endorses two transactions against the same state: one of them must become invalid when they concern
// the same document, and neither otherwise: two that add to one record do not.
func TestConcurrent(t *testing.T) {
	tests := map[string]struct {
		first, second record.Version
		both          bool
	}{
		"same document":     {version("p", "study", "a"), version("p", "letter", "a"), false},
		"overlapping":       {version("p", "study", "a", "b"), version("p", "study", "b", "c"), false},
		"same record":       {version("p", "study", "a"), version("p", "study", "b"), true},
		"different records": {version("p", "study", "a"), version("p", "letter", "b"), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t)
			first := l.endorse(appliance(t), transient(t, test.first), record.AnchorFunction)
			second := l.endorse(appliance(t), transient(t, test.second), record.AnchorFunction)
			if !l.commit(first) || l.commit(second) != test.both {
				t.Errorf("want both valid: %t", test.both)
			}
		})
	}
}

// TestDeterministic endorses the same transaction as two peers would.
func TestDeterministic(t *testing.T) {
	id := fmt.Sprintf("%064x", 7)
	batch := transient(t, version("p", "study", "a", "b", "c"), version("p", "letter", "d"))
	who := appliance(t)
	first := newLedger(t).endorseAs(id, who, batch, record.AnchorFunction)
	for range 50 {
		again := newLedger(t).endorseAs(id, who, batch, record.AnchorFunction)
		if !maps.EqualFunc(first.writes, again.writes, bytes.Equal) || !maps.Equal(first.reads, again.reads) ||
			!bytes.Equal(first.response.GetPayload(), again.response.GetPayload()) ||
			!bytes.Equal(first.eventData, again.eventData) {
			t.Fatal("two endorsements differ")
		}
	}
}

// TestAnyOrder delivers overlapping batches repeatedly, in any order, some endorsed before others are committed. In the end
// each document is there once, in one version that is named by its first; and nothing that was written has changed.
func TestAnyOrder(t *testing.T) {
	who := appliance(t)
	rapid.Check(t, func(rt *rapid.T) {
		l := newLedger(t)
		records := []string{"study", "letter", "lab"}
		want := map[string]bool{}
		frozen := map[string][]byte{}
		var waiting []*transaction
		settle := func() {
			for _, tx := range waiting {
				l.commit(tx)
			}
			waiting = nil
			for key, value := range frozen {
				if !bytes.Equal(l.state[key].value, value) {
					rt.Fatalf("%s was rewritten", key)
				}
			}
			for key, v := range l.state {
				frozen[key] = v.value
			}
		}
		for range rapid.IntRange(1, 20).Draw(rt, "deliveries") {
			rec := rapid.SampledFrom(records).Draw(rt, "record")
			// A document belongs to one record, as its study UID says.
			numbers := rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 1, 5, rapid.ID[int]).Draw(rt, "documents")
			var documents []string
			for _, n := range numbers {
				documents = append(documents, fmt.Sprintf("%s-%d", rec, n))
				want[documents[len(documents)-1]] = true
			}
			if rapid.Bool().Draw(rt, "concurrent") {
				waiting = append(waiting, l.endorse(who, transient(t, version("p", rec, documents...)), record.AnchorFunction))
				continue
			}
			settle()
			deliver(rt, t, l, who, version("p", rec, documents...))
		}
		settle()
		for _, rec := range records { // what was lost to a conflict is delivered again
			var documents []string
			for _, d := range slices.Sorted(maps.Keys(want)) {
				if strings.HasPrefix(d, rec) {
					documents = append(documents, d)
				}
			}
			if len(documents) > 0 {
				deliver(rt, t, l, who, version("p", rec, documents...))
			}
		}
		checkState(rt, t, l, records, want)
	})
}

// deliver anchors a version against the newest state: nothing is in its way.
func deliver(rt *rapid.T, t *testing.T, l *fakeLedger, who []byte, v record.Version) {
	tx := l.endorse(who, transient(t, v), record.AnchorFunction)
	if refused := refusalOf(t, tx); refused != nil || !l.commit(tx) {
		rt.Fatalf("a delivery is refused: %v", refused)
	}
}

func checkState(rt *rapid.T, t *testing.T, l *fakeLedger, records []string, want map[string]bool) {
	seen := map[record.Tag]bool{}
	for _, rec := range records {
		versions, refused := query[[]record.AnchoredVersion](t, l, record.RecordFunction, reference("p").String(), tag(rec).String())
		if refused != nil && refused.Code != record.NotFound {
			rt.Fatal(refused)
		}
		for _, v := range versions {
			if _, found := l.state[record.VersionKey(v.Patient, v.Record, v.Documents[0].Tag)]; !found {
				rt.Fatalf("%+v is not under the name of its first document", v)
			}
			for _, d := range v.Documents {
				if seen[d.Tag] {
					rt.Fatalf("%v is in two versions", d.Tag)
				}
				seen[d.Tag] = true
			}
		}
	}
	for d := range want {
		if !seen[tag(d)] {
			rt.Fatalf("%s is missing", d)
		}
	}
	if len(seen) != len(want) {
		rt.Fatalf("%d documents, want %d", len(seen), len(want))
	}
}
