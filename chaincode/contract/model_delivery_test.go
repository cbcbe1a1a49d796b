package contract_test

import (
	"bytes"
	"fmt"
	"maps"
	"testing"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"pgregory.net/rapid"

	"github.com/medanchor/medanchor/chaincode/record"
)

// TestDeliveries has two hospitals deliver batches that overlap, of a patient whom they share: repeatedly, in one order and in
// another, with some endorsed before others are committed, and delivered again when that made them invalid. All the same, each
// document is there in the end, in its record, and in the hands of each hospital that brought it.
func TestDeliveries(t *testing.T) {
	whole := newWorld(t)
	theirs := whole.register(whole.b, nil)
	link := record.Link{Patient: whole.reference, To: theirs}
	whole.must(whole.a.staff, record.LinkFunction, link)
	whole.must(whole.b.staff, record.LinkFunction, link)
	sources := []source{{whole.a, whole.reference}, {whole.b, theirs}}
	rapid.Check(t, func(rt *rapid.T) {
		var batches []batch
		for range rapid.IntRange(1, 6).Draw(rt, "batches") {
			batches = append(batches, drawBatch(rt, pick(rt, "hospital", sources...)))
		}
		script := drawScript(rt, len(batches))
		first := whole.copy(t).deliver(rt, batches, script)
		again := whole.copy(t).deliver(rt, batches, script)
		if !maps.EqualFunc(first.ledger.state, again.ledger.state, func(a, b stateValue) bool { return bytes.Equal(a.value, b.value) }) {
			rt.Fatal("the same deliveries in the same order end in another state")
		}
		other := whole.copy(t).deliver(rt, batches, drawScript(rt, len(batches)))
		want := map[string]string{}
		for _, b := range batches {
			for _, v := range b.versions {
				for _, d := range v.Documents {
					want[b.from.mspID+" holds "+d.Tag.String()] = v.Record.String() + " " + d.CID.String()
				}
			}
		}
		for _, w := range []*world{first, other} {
			if got := w.held(rt, sources); !maps.Equal(got, want) {
				rt.Fatalf("got %v, want %v", got, want)
			}
		}
	})
}

// source is a hospital and its reference of the patient.
type source struct {
	*hospital
	patient record.Reference
}

type batch struct {
	from     source
	versions []record.Version
}

// drawBatch makes a batch. A document belongs to one record, and each hospital seals it for itself.
func drawBatch(rt *rapid.T, from source) batch {
	b := batch{from: from}
	documents := rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 1, 6, rapid.ID[int]).Draw(rt, "documents")
	for i := range 3 {
		v := record.Version{Patient: from.patient, Record: tag(fmt.Sprint("record ", i)), Kind: record.KindImaging}
		for _, n := range documents {
			if n%3 == i {
				d := fmt.Sprint("document ", n)
				v.Documents = append(v.Documents, record.Document{Tag: tag(d), CID: content(from.mspID + d)})
			}
		}
		if len(v.Documents) > 0 {
			b.versions = append(b.versions, v)
		}
	}
	return b
}

// delivery is one of a batch; others are endorsed before it is committed.
type delivery struct{ batch, others int }

// drawScript has every batch delivered once or more, in any order.
func drawScript(rt *rapid.T, batches int) (script []delivery) {
	var order []int
	for i := range batches {
		for range rapid.IntRange(1, 3).Draw(rt, "times") {
			order = append(order, i)
		}
	}
	for _, i := range rapid.Permutation(order).Draw(rt, "order") {
		script = append(script, delivery{i, rapid.IntRange(0, 3).Draw(rt, "others")})
	}
	return script
}

// flight is a transaction that is endorsed, and will be committed.
type flight struct {
	batch  batch
	tx     *transaction
	others int
}

func (w *world) deliver(rt *rapid.T, batches []batch, script []delivery) *world {
	var flying []flight
	for _, d := range script {
		var still []flight
		for _, f := range flying {
			if f.others--; f.others >= 0 {
				still = append(still, f)
				continue
			}
			w.land(rt, f)
		}
		flying = append(still, flight{batches[d.batch], w.takeOff(rt, batches[d.batch]), d.others})
	}
	for _, f := range flying {
		w.land(rt, f)
	}
	return w
}

func (w *world) takeOff(rt *rapid.T, b batch) *transaction {
	tx := w.ledger.endorse(b.from.appliance.creator, transient(w.t, b.versions...), record.AnchorFunction)
	if tx.response.GetStatus() != shim.OK {
		rt.Fatalf("a delivery is refused: %s", tx.response.GetMessage())
	}
	return tx
}

// land commits a delivery; once more, if what others brought made it invalid. Of what they hold by now, the hospital's copies
// are put on the ledger.
func (w *world) land(rt *rapid.T, f flight) {
	if !w.ledger.commit(f.tx) {
		f.tx = w.takeOff(rt, f.batch)
		if !w.ledger.commit(f.tx) {
			rt.Fatal("a second delivery is invalid too")
		}
	}
	result, err := record.DecodeResult(f.tx.response.GetPayload())
	if err != nil {
		rt.Fatal(err)
	}
	outcomes := result.Outcomes
	for _, v := range f.batch.versions {
		for i, d := range v.Documents {
			if outcomes[i] == record.Conflict {
				w.keepCopy(f.batch.from, d)
			}
		}
		outcomes = outcomes[len(v.Documents):]
	}
}

func (w *world) keepCopy(from source, d record.Document) {
	for _, v := range w.versions() {
		for _, there := range v.Documents {
			if there.Tag == d.Tag {
				w.must(from.appliance, record.HoldCopyFunction, record.Copies{
					Patient: from.patient, Of: v.Patient,
					Copies: []record.Copy{{Record: v.Record, Version: v.Name(), Tag: d.Tag, CID: d.CID}},
				})
			}
		}
	}
}

// versions are all versions on the ledger.
func (w *world) versions() (versions []record.AnchoredVersion) {
	for key, stored := range w.ledger.state {
		if !record.IsVersionKey(key) {
			continue
		}
		v, err := record.DecodeVersion(key, stored.value)
		if err != nil {
			w.t.Fatal(err)
		}
		versions = append(versions, v)
	}
	return versions
}

// held says which hospital holds which document, in which record and under which CID. It fails for a document that is in
// two versions, and for a hospital that holds two.
func (w *world) held(rt *rapid.T, sources []source) map[string]string {
	held, in := map[string]string{}, map[record.Tag]record.Tag{}
	hold := func(mspID string, d record.Tag, cid record.CID) {
		key := mspID + " holds " + d.String()
		if _, twice := held[key]; twice {
			rt.Fatalf("%s twice", key)
		}
		held[key] = in[d].String() + " " + cid.String()
	}
	for _, v := range w.versions() {
		for _, d := range v.Documents {
			if _, twice := in[d.Tag]; twice {
				rt.Fatalf("%s is in two versions", d.Tag)
			}
			in[d.Tag] = v.Record
			anchoring, err := record.DecodeAnchoring(w.ledger.state[record.AnchoringKey(v.Anchoring)].value)
			if err != nil {
				rt.Fatal(err)
			}
			hold(anchoring.MSPID, d.Tag, w.documentOf(d.Tag).CID)
		}
	}
	for d := range in {
		for _, from := range sources {
			key := record.HoldingKey(from.patient.Institution(), d)
			stored, err := record.DecodeHolding(w.ledger.state[key].value)
			if err == nil {
				hold(from.mspID, d, stored.CID)
			}
		}
	}
	return held
}
