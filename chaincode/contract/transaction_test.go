package contract_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

// TestDenialIsOneEntry: who is refused for lack of a right leaves one entry in the patient's audit, and nothing else.
func TestDenialIsOneEntry(t *testing.T) {
	w := newWorld(t)
	q := record.Deceased{Patient: w.reference}
	before := len(w.audit(w.reference))
	_, refused, tx := w.transact(w.b.staff, record.DeceasedFunction, q, note(w.b.doctor.id))
	if refused == nil || refused.Code != record.Forbidden {
		t.Fatalf("another hospital's staff: %v", refused)
	}
	if len(tx.writes) != 1 || len(tx.private) != 0 {
		t.Errorf("a denial writes %d keys and %d sealed notes, want 1 and 0", len(tx.writes), len(tx.private))
	}
	if n := len(w.audit(w.reference)); n != before+1 {
		t.Errorf("a denial adds %d audit entries, want 1", n-before)
	}
	w.wantAudit(w.reference, record.AuditEntry{Action: record.ActDeceased, Denied: true, Actor: w.b.staff.id})
	if e, err := record.DecodeActed(tx.eventData); err != nil || tx.event != record.ActedEvent || !e.Denied ||
		e.Action != record.ActDeceased {
		t.Errorf("event %q: %+v, %v", tx.event, e, err)
	}
}

// TestDenialOfStrangers: whom the ledger does not know is in the audit by their member.
func TestDenialOfStrangers(t *testing.T) {
	w := newWorld(t)
	stranger := newPerson(t, "ForeignMSP", record.StaffRole, record.NewParticipantID("ForeignMSP", w.random()))
	w.refuse(record.Forbidden, stranger, record.DeceasedFunction, record.Deceased{Patient: w.reference})
	foreign := record.InstitutionID("ForeignMSP").Institution()
	for _, e := range w.audit(w.reference) {
		if e.Denied && (!e.Actor.IsZero() || e.Member != foreign) {
			t.Errorf("the stranger's attempt is by %s of %s", e.Actor, e.Member)
		}
	}
	w.wantAudit(w.reference, record.AuditEntry{Action: record.ActDeceased, Denied: true})
}

// TestOtherRefusalsLeaveNothing: an error is an error, and what is about no patient has no audit to stand in.
func TestOtherRefusalsLeaveNothing(t *testing.T) {
	w := newWorld(t)
	for name, test := range map[string]struct {
		by       *person
		function string
		request  any
		code     record.Code
	}{
		"about no patient": {
			w.a.doctor, record.SuspendFunction, record.Suspension{Participant: w.a.locum.id}, record.Forbidden,
		},
		"there already": {
			w.a.staff, record.DeceasedFunction, record.Deceased{Patient: w.reference, Alive: true}, record.Exists,
		},
		"not there": {w.a.staff, record.DeceasedFunction, record.Deceased{Patient: w.newReference(w.a)}, record.NotFound},
		"malformed": {w.a.staff, record.DeceasedFunction, record.Deceased{}, record.BadRequest},
		"malformed, and by somebody without the right": {
			w.b.staff, record.DeceasedFunction, record.Deceased{}, record.BadRequest,
		},
	} {
		_, refused, tx := w.transact(test.by, test.function, test.request, note(w.a.doctor.id))
		if refused == nil || refused.Code != test.code || tx.response.GetStatus() == shim.OK {
			t.Errorf("%s: got %v, want an error %s", name, refused, test.code)
		}
		if len(tx.writes)+len(tx.private) != 0 || tx.event != "" {
			t.Errorf("%s: writes %d keys and %d notes, and has the event %q", name, len(tx.writes), len(tx.private), tx.event)
		}
	}
}

func TestSuccessIsTold(t *testing.T) {
	w := newWorld(t)
	answer, _, tx := w.transact(w.a.staff, record.DeceasedFunction, record.Deceased{Patient: w.reference})
	id, err := record.ParseTxID(tx.id)
	if err != nil {
		t.Fatal(err)
	}
	if answer.ID != id.ID() {
		t.Errorf("answers the ID %s of transaction %s", answer.ID, tx.id)
	}
	e, err := record.DecodeActed(tx.eventData)
	want := record.Acted{ID: id.ID(), Action: record.ActDeceased}
	if err != nil || tx.event != record.ActedEvent || e != want {
		t.Errorf("event %q: %+v, %v, want %+v", tx.event, e, err, want)
	}
	for _, e := range w.audit(w.reference) {
		if e.ID != answer.ID {
			continue
		}
		if e.Member != w.a.institution.id.Institution() || e.Actor != w.a.staff.id || !e.Time.Equal(w.now()) ||
			e.Number != 0 {
			t.Errorf("audit entry %+v", e)
		}
		return
	}
	t.Error("the audit has no entry of the transaction")
}

// TestRequestsAreStrict: what is not exactly a request is refused before anything is asked of the ledger.
func TestRequestsAreStrict(t *testing.T) {
	w := newWorld(t)
	good := fmt.Sprintf(`{"patient":%q}`, w.reference)
	for name, test := range map[string]struct {
		text string
		ok   bool
	}{
		"as it should be":      {good, true},
		"with space around it": {" " + good + "\n", true},
		"an unknown field":     {good[:len(good)-1] + `,"name":"x"}`, false},
		"trailing text":        {good + "x", false},
		"a second request":     {good + good, false},
		"cut off":              {good[:len(good)-1], false},
		"a list":               {"[" + good + "]", false},
		"null":                 {"null", false},
		"empty":                {"", false},
		"no JSON":              {"patient", false},
		"of another type":      {`{"patient":1}`, false},
		"a reference too long": {fmt.Sprintf(`{"patient":%q}`, w.reference.String()+"A"), false},
		"at the limit":         {good + strings.Repeat(" ", record.MaxRequestBytes-len(good)), true},
		"over the limit":       {good + strings.Repeat(" ", record.MaxRequestBytes-len(good)+1), false},
	} {
		tx := w.ledger.endorse(w.a.staff.creator, nil, record.DeceasedFunction, test.text)
		refused := refusalOf(t, tx)
		if test.ok != (refused == nil) || refused != nil && refused.Code != record.BadRequest {
			t.Errorf("%s: %v", name, refused)
		}
		if !test.ok && len(tx.reads)+len(tx.writes) > 0 {
			t.Errorf("%s: reads %d keys and writes %d", name, len(tx.reads), len(tx.writes))
		}
	}
}

func TestSealedNotes(t *testing.T) {
	w := newWorld(t)
	const least = 1120 + 16 // HPKE's own
	sized := func(bytes ...int) (notes []record.SealedNote) {
		for i, n := range bytes {
			notes = append(notes, record.SealedNote{Recipient: record.ParticipantID{1, byte(i)}, Ciphertext: make([]byte, n)})
		}
		return notes
	}
	many := sized(least, least, least, least, least, least, least, least, least)
	for name, test := range map[string]struct {
		notes []record.SealedNote
		ok    bool
	}{
		"one":                     {sized(1200), true},
		"the shortest":            {sized(least), true},
		"shorter than HPKE gives": {sized(least - 1), false},
		"the longest":             {sized(record.MaxNoteBytes), true},
		"too long":                {sized(record.MaxNoteBytes + 1), false},
		"as many as may be":       {many[:record.MaxNotes], true},
		"too many":                {many[:record.MaxNotes+1], false},
		"to nobody":               {[]record.SealedNote{note(record.ParticipantID{})}, false},
		"two to one":              {[]record.SealedNote{note(w.patient.id), note(w.patient.id)}, false},
	} {
		w := w.copy(t)
		answer, refused, tx := w.transact(w.a.staff, record.DeceasedFunction, record.Deceased{Patient: w.reference},
			test.notes...)
		if !test.ok {
			if refused == nil || refused.Code != record.BadRequest || len(tx.private)+len(tx.writes) > 0 {
				t.Errorf("%s: %v, %d notes and %d keys are written", name, refused, len(tx.private), len(tx.writes))
			}
			continue
		}
		if refused != nil || len(tx.private) != len(test.notes) {
			t.Errorf("%s: %v, %d notes are kept", name, refused, len(tx.private))
		}
		for _, n := range test.notes {
			kept := w.ledger.private[record.MembersCollection+"/"+record.SealedKey(answer.ID, n.Recipient)]
			if string(kept) != string(n.Ciphertext) {
				t.Errorf("%s: %d bytes are kept of %d", name, len(kept), len(n.Ciphertext))
			}
		}
	}
}

func TestSealedNotesAreStrict(t *testing.T) {
	w := newWorld(t)
	wire, err := json.Marshal([]record.SealedNote{note(w.patient.id)})
	if err != nil {
		t.Fatal(err)
	}
	request, err := json.Marshal(record.Deceased{Patient: w.reference})
	if err != nil {
		t.Fatal(err)
	}
	for name, sealed := range map[string]string{
		"empty": "", "no list": "{}", "trailing text": string(wire) + "x", "an unknown field": `[{"plain":"x"}]`,
		"over the limit": string(wire) + strings.Repeat(" ", record.MaxNotes*2*record.MaxNoteBytes),
	} {
		tx := w.ledger.endorse(w.a.staff.creator, map[string][]byte{record.SealedField: []byte(sealed)},
			record.DeceasedFunction, string(request))
		if refused := refusalOf(t, tx); refused == nil || refused.Code != record.BadRequest || len(tx.writes) > 0 {
			t.Errorf("%s: %v", name, refused)
		}
	}
}

// TestOtherSchema: a value of a newer schema is not guessed at, neither by a transaction nor by a query.
func TestOtherSchema(t *testing.T) {
	w := newWorld(t)
	key := record.PatientKey(w.reference)
	good := w.ledger.state[key]
	for name, value := range map[string]string{
		"newer":            strings.Replace(string(good.value), `"v":1`, `"v":2`, 1),
		"no version":       strings.Replace(string(good.value), `"v":1`, `"v":0`, 1),
		"an unknown field": `{"colour":"blue",` + string(good.value[1:]),
		"no JSON":          "patient",
	} {
		w := w.copy(t)
		w.ledger.state[key] = stateValue{[]byte(value), good.height}
		w.refuse(record.Internal, w.a.staff, record.DeceasedFunction, record.Deceased{Patient: w.reference})
		if _, refused := ask[record.Patient](w, w.a.staff, record.PatientFunction, w.reference.String()); refused == nil ||
			refused.Code != record.Internal {
			t.Errorf("%s: the query gives %v", name, refused)
		}
	}
	w.ledger.state[key] = good
	caller := record.ParticipantKey(w.a.staff.id)
	w.ledger.state[caller] = stateValue{
		[]byte(strings.Replace(string(w.ledger.state[caller].value), `"v":1`, `"v":2`, 1)), w.ledger.height,
	}
	w.refuse(record.Internal, w.a.staff, record.DeceasedFunction, record.Deceased{Patient: w.reference})
}

// TestBindingAndParticipantAgree: a binding that the participant does not confirm gives no right.
func TestBindingAndParticipantAgree(t *testing.T) {
	w := newWorld(t)
	intruder := newPerson(t, w.b.mspID, record.StaffRole, w.a.staff.id)
	w.store(record.BindingKey(record.FingerprintOf(intruder.mspID, intruder.spki)), record.Binding{
		V: record.SchemaVersion, Participant: w.a.staff.id,
	})
	w.refuse(record.Internal, intruder, record.DeceasedFunction, record.Deceased{Patient: w.reference})
}
