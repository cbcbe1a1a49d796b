package contract_test

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// copy gives the world on a copy of its ledger, for one case of a test.
func (w *world) copy(t testing.TB) *world {
	c, l := *w, *w.ledger
	l.state, l.private = maps.Clone(l.state), maps.Clone(l.private)
	c.t, c.ledger = t, &l
	return &c
}

// stateOf decodes the JSON value under a key of the ledger; zero if there is none.
func stateOf[T any](w *world, key string) (v T) {
	w.t.Helper()
	value := w.ledger.state[key].value
	if len(value) == 0 {
		return v
	}
	if err := json.Unmarshal(value, &v); err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) patientOf(r record.Reference) record.Patient {
	w.t.Helper()
	return stateOf[record.Patient](w, record.PatientKey(r))
}

func (w *world) statusOf(q record.RecordName) record.RecordStatus {
	w.t.Helper()
	return stateOf[record.RecordStatus](w, record.StatusKey(q.Patient, q.Record))
}

// documentOf gives what stands under a document's key.
func (w *world) documentOf(t record.Tag) record.StoredDocument {
	w.t.Helper()
	d, err := record.DecodeDocument(w.ledger.state[record.DocumentKey(t)].value)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// wantAudit fails the test unless the patient's audit has exactly one entry that says what want says.
func (w *world) wantAudit(r record.Reference, want record.AuditEntry) {
	w.t.Helper()
	n := 0
	for _, got := range w.audit(r) {
		if want.About.IsZero() {
			got.About = record.ID{}
		}
		same := got.Action == want.Action && got.Basis == want.Basis && got.Denied == want.Denied && got.Actor == want.Actor &&
			got.Subject == want.Subject && got.Record == want.Record && got.About == want.About && got.Until.Equal(want.Until)
		if same {
			n++
		}
	}
	if n != 1 {
		w.t.Errorf("%d audit entries like %+v, want 1", n, want)
	}
}

// filed anchors a version of a record by a hospital's appliance, with the documents.
func (w *world) filed(h *hospital, v record.Version, documents ...string) record.Version {
	w.t.Helper()
	for _, d := range documents {
		v.Documents = append(v.Documents, record.Document{Tag: tag(d), CID: content(d)})
	}
	w.anchor(h, v)
	return v
}

// letter anchors a record that is one letter. Record and document have the name.
func (w *world) letter(h *hospital, patient record.Reference, name string) record.Version {
	w.t.Helper()
	return w.filed(h, record.Version{
		Patient: patient, Record: tag(name), Kind: record.KindLetter, Date: time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC),
	}, name)
}

// represent has somebody represent the patient for a year.
func (w *world) represent(by *person, authority record.Authority, scope record.Scope) {
	w.t.Helper()
	evidence := tag("evidence")
	if len(w.ledger.state[record.DocumentKey(evidence)].value) == 0 {
		w.letter(w.a, w.reference, "evidence")
	}
	w.must(w.a.staff, record.RepresentFunction, record.Representation{
		Patient: w.reference, Participant: by.id, Authority: authority, Evidence: evidence,
		Until: w.now().AddDate(1, 0, 0), Scope: scope,
	})
}

// decide has two people of the hospital's office decide.
func (w *world) decide(h *hospital, q record.Proposal) record.ID {
	w.t.Helper()
	id := w.must(h.staff, record.ProposeFunction, q).ID
	w.must(h.clerk, record.ConfirmFunction, record.DecisionName{Decision: id})
	return id
}

// erase has two people of the hospital erase a version.
func (w *world) erase(h *hospital, v record.Version) {
	w.t.Helper()
	w.decide(h, record.Proposal{Erase: &record.Erasure{
		RecordName: record.RecordName{Patient: v.Patient, Record: v.Record}, Versions: []record.Tag{v.Name()},
	}})
}
