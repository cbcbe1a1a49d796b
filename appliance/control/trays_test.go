package control_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// trays remember what they are asked.
type trays struct {
	query   control.TrayQuery
	shown   control.ItemQuery
	retried control.ItemQuery
	decided control.TrayDecision
}

func (t *trays) InTrays(_ context.Context, q control.TrayQuery) ([]control.TrayItem, error) {
	t.query = q
	return []control.TrayItem{{Item: document.ItemID{1}, Tray: document.TrayConflict}}, nil
}

func (t *trays) InTray(_ context.Context, q control.ItemQuery) (control.TrayView, error) {
	t.shown = q
	return control.TrayView{
		TrayItem: control.TrayItem{Item: q.Item, Record: record.Tag{8}}, Path: "/p",
		Contradicts: &control.Contradicted{
			Document: record.Tag{3}, Record: record.Tag{9}, Delivered: control.Delivered{Item: document.ItemID{4}},
		},
	}, nil
}

func (t *trays) Retry(_ context.Context, q control.ItemQuery) (control.TrayItem, error) {
	t.retried = q
	return control.TrayItem{Item: q.Item, State: document.Queued}, nil
}

func (t *trays) Decide(_ context.Context, d control.TrayDecision) (control.TrayItem, error) {
	t.decided = d
	return control.TrayItem{Item: d.Item, State: document.Discarded}, nil
}

func TestTraysCross(t *testing.T) {
	a := &appliance{}
	client := control.NewClient(serve(t, a))
	q := control.TrayQuery{Tray: document.TrayConflict, Reason: document.ReasonPixelsChanged}
	if items, err := client.InTrays(t.Context(), q); err != nil || len(items) != 1 || items[0].Tray != document.TrayConflict || a.query != q {
		t.Errorf("InTrays = %+v, %v; asked %+v", items, err, a.query)
	}
	one := control.ItemQuery{Item: document.ItemID{7}}
	v, err := client.InTray(t.Context(), one)
	if err != nil || v.Item != one.Item || v.Path != "/p" || v.Contradicts.Item != (document.ItemID{4}) || a.shown != one ||
		v.Record != (record.Tag{8}) || v.Contradicts.Record != (record.Tag{9}) {
		t.Errorf("InTray = %+v, %v; asked %+v", v, err, a.shown)
	}
	if item, err := client.Retry(t.Context(), one); err != nil || item.State != document.Queued || a.retried != one {
		t.Errorf("Retry = %+v, %v; asked %+v", item, err, a.retried)
	}
	d := aDecision()
	d.Signature = []byte{1, 2}
	if item, err := client.Decide(t.Context(), d); err != nil || item.State != document.Discarded || !reflect.DeepEqual(a.decided, d) {
		t.Errorf("Decide = %+v, %v; asked %+v", item, err, a.decided)
	}
	if !bytes.Equal(a.decided.Message("c", d.By), d.Message("c", d.By)) {
		t.Error("what was signed is not what arrives")
	}
}

func aDecision() control.TrayDecision {
	return control.TrayDecision{
		Item: document.ItemID{7}, Action: document.ActionAssign, Kind: record.KindLetter,
		Patient: document.PatientID{Issuer: document.NHS, Identifier: "9990000018"}, Words: "she said so",
		By: record.ParticipantID{5}, At: time.Date(2027, 3, 1, 9, 30, 0, 123456789, time.UTC),
	}
}

// A signature is for one decision at one appliance alone: whatever else changes, it is another message. The form is fixed by a
// digest, because both programs must make the same.
func TestASignatureIsForOneDecisionAlone(t *testing.T) {
	appliance := record.ParticipantID{9}
	message := aDecision().Message("channel", appliance)
	digest := sha256.Sum256(message)
	if got, want := hex.EncodeToString(digest[:8]), "0f32702878a6e2d5"; got != want {
		t.Errorf("the message's digest begins with %s, want %s", got, want)
	}
	if other := aDecision().Message("channel", record.ParticipantID{8}); bytes.Equal(other, message) {
		t.Error("it is the same for another appliance")
	}
	if other := aDecision().Message("channe", appliance); bytes.Equal(other, message) {
		t.Error("it is the same for another channel")
	}
	for name, change := range map[string]func(*control.TrayDecision){
		"item":       func(d *control.TrayDecision) { d.Item[15]++ },
		"action":     func(d *control.TrayDecision) { d.Action = document.ActionRelease },
		"issuer":     func(d *control.TrayDecision) { d.Patient.Issuer = "NH" },
		"identifier": func(d *control.TrayDecision) { d.Patient.Identifier = "9990000026" },
		"a shifted border": func(d *control.TrayDecision) {
			d.Patient.Issuer, d.Patient.Identifier = "NHS9", "990000018"
		},
		"kind":  func(d *control.TrayDecision) { d.Kind = record.KindOther },
		"words": func(d *control.TrayDecision) { d.Words = "he said so" },
		"who":   func(d *control.TrayDecision) { d.By[0]++ },
		"when":  func(d *control.TrayDecision) { d.At = d.At.Add(1) },
	} {
		d := aDecision()
		change(&d)
		if bytes.Equal(d.Message("channel", appliance), message) {
			t.Errorf("%s: the same message", name)
		}
	}
}

func TestADecisionSaysWhatItNeeds(t *testing.T) {
	patient := document.PatientID{Issuer: document.NHS, Identifier: "9990000018"}
	for name, test := range map[string]struct {
		d  control.TrayDecision
		ok bool
	}{
		"assign":                {control.TrayDecision{Action: document.ActionAssign, Patient: patient}, true},
		"assign to nobody":      {control.TrayDecision{Action: document.ActionAssign}, false},
		"assign without issuer": {control.TrayDecision{Action: document.ActionAssign, Patient: document.PatientID{Identifier: "1"}}, false},
		"release":               {control.TrayDecision{Action: document.ActionRelease}, true},
		"release for somebody":  {control.TrayDecision{Action: document.ActionRelease, Patient: patient}, false},
		"release as a letter":   {control.TrayDecision{Action: document.ActionRelease, Kind: record.KindLetter}, false},
		"propose":               {control.TrayDecision{Action: document.ActionPropose, Words: "a test image"}, true},
		"propose without words": {control.TrayDecision{Action: document.ActionPropose}, false},
		"confirm":               {control.TrayDecision{Action: document.ActionDiscard}, true},
		"something else":        {control.TrayDecision{Action: "burn"}, false},
	} {
		if err := test.d.Validate(); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTraysAreCountedWithWhatIsAnchored(t *testing.T) {
	got := control.Items{
		Quarantined: map[document.Reason]int64{document.ReasonNoPatient: 2, document.ReasonTruncated: 0, document.ReasonErased: 1},
		Review:      map[document.Reason]int64{document.ReasonPixelsChanged: 3},
	}.Trays()
	want := map[document.Tray]map[document.Reason]int64{
		document.TrayUnassigned: {document.ReasonNoPatient: 2},
		document.TrayConflict:   {document.ReasonPixelsChanged: 3},
		document.TrayQuarantine: {document.ReasonErased: 1},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
