package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

func TestWhatBecameOfAnItem(t *testing.T) {
	tag, patient := record.Tag{1}, record.Reference{2}
	for want, item := range map[string]control.TrayItem{
		"kept in tray quarantine: " + document.ReasonTruncated.Explain(): {
			State: document.Quarantined, Tray: document.TrayQuarantine, Reason: document.ReasonTruncated,
		},
		"a duplicate: item 07000000-0000-0000-0000-000000000000 has the same content": {
			State: document.Duplicate, First: document.ItemID{7},
		},
		"discarded: its key is destroyed": {State: document.Discarded},
		"anchored as document " + tag.String() + " of patient " + patient.String(): {
			State: document.Anchored, Document: tag, Patient: patient,
		},
		"queued as document " + tag.String() + " of patient " + patient.String() + ": anchored once the ledger takes it": {
			State: document.Submitted, Document: tag, Patient: patient,
		},
		"anchored as document " + tag.String() + " of patient " + patient.String() + "; in tray conflict: " +
			document.ReasonPixelsChanged.Explain(): {
			State: document.Anchored, Document: tag, Patient: patient, Tray: document.TrayConflict, Reason: document.ReasonPixelsChanged,
		},
	} {
		if got := outcome(item); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestARefusalOfTheAppliancesHasItsExitCode(t *testing.T) {
	for err, want := range map[error]int{control.ErrRefused: exitRefused, control.ErrBusy: exitAway} {
		if got := exitCode(fmt.Errorf("%w: for a reason", err)); got != want {
			t.Errorf("%v: exit code %d, want %d", err, got, want)
		}
	}
}

// aView has all that an item can have.
func aView() control.TrayView {
	at := time.Date(2027, 3, 1, 9, 30, 0, 0, time.UTC)
	return control.TrayView{
		TrayItem: control.TrayItem{
			Item: document.ItemID{1}, State: document.Quarantined, Tray: document.TrayConflict, Reason: document.ReasonLedgerConflict,
			Received: at, Door: "drop", Department: "radiology", Size: 1234, Format: document.FormatPDF, Proposed: true,
		},
		Path: "/drop/a\x1b[2Jb.pdf", From: "CT1", Explanation: document.ReasonLedgerConflict.Explain(), Variant: document.VariantReencoded,
		Metadata: document.Metadata{
			Format: document.FormatPDF, Patient: document.PatientID{Issuer: "here", Identifier: "12"}, PatientName: "Ex^Ample",
			BirthDate: "19700101", Description: "a letter", Modality: "CT", Time: at, Pages: 3, StudyUID: "2.25.1", SeriesUID: "2.25.2",
			InstanceUID: "2.25.3", TransferSyntaxUID: "1.2.840.10008.1.2", Numbers: []string{"9990000018"}, Detail: "at byte 7",
			Text: "first line\nsecond\x07 line\n",
		},
		Contradicts: &control.Contradicted{
			Document: record.Tag{3}, Record: record.Tag{9},
			Delivered: control.Delivered{Item: document.ItemID{4}, Received: at, Door: "drop", Path: "/drop/other.pdf"},
			Metadata:  document.Metadata{PatientName: "Other^Name", Description: "another letter"},
		},
		Also: []control.Delivered{{Item: document.ItemID{5}, Received: at, Door: "drop", Path: "/drop/once more.pdf"}},
		Decisions: []document.Decision{{
			By: record.ParticipantID{6}, Action: document.ActionPropose, About: document.ReasonLedgerConflict, Words: "it is old", At: at,
		}},
	}
}

// A person decides by what is shown: all of it is, and none of it drives their terminal.
func TestAnItemIsShownWhole(t *testing.T) {
	var out bytes.Buffer
	if err := showItem(&out, aView()); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, row := range []string{
		"item 01000000-0000-0000-0000-000000000000", "outcome kept in tray conflict: the ledger holds the same document", "detail at byte 7",
		"door drop", "path /drop/a\ufffd[2Jb.pdf", "sender CT1", "department radiology", "size 1234 bytes", "format pdf", "patient 12 of here",
		"name Ex^Ample", "born 19700101", "description a letter", "modality CT", "time 2027-03-01T09:30:00Z", "pages 3", "study 2.25.1",
		"series 2.25.2", "instance 2.25.3", "transfer syntax 1.2.840.10008.1.2", "variant re-encoded",
		"suggestion the text has the NHS number 9990000018: whose it is, and whether the file is about them, is for you to say",
		"contradicts document " + record.Tag{3}.String(), "its record " + record.Tag{9}.String(), "its item 04000000-0000-0000-0000-000000000000", "as /drop/other.pdf",
		"its name Other^Name", "its description another letter", "also came 05000000-0000-0000-0000-000000000000", "as /drop/once more.pdf",
		"propose-discard by " + record.ParticipantID{6}.String() + ", about ledger-conflict: it is old",
		"proposed to discard it: a second person confirms", "  | first line", "  | second\ufffd line",
	} {
		if !hasWords(text, row) {
			t.Errorf("%q is not shown:\n%s", row, text)
		}
	}
	if strings.ContainsAny(text, "\x1b\x07") {
		t.Error("a file's text drives the terminal")
	}
}

// hasWords says whether a row has these words, however wide the columns are.
func hasWords(text, words string) bool {
	for line := range strings.Lines(text) {
		if strings.Contains(strings.Join(strings.Fields(line), " "), strings.Join(strings.Fields(words), " ")) {
			return true
		}
	}
	return false
}

// Who compares two pictures finds both by their records.
func TestAnAnchoredItemIsShownWithItsRecord(t *testing.T) {
	v := aView()
	v.State, v.Reason, v.Document, v.Record = document.Anchored, document.ReasonPixelsChanged, record.Tag{2}, record.Tag{8}
	var out bytes.Buffer
	if err := showItem(&out, v); err != nil || !hasWords(out.String(), "record "+record.Tag{8}.String()) {
		t.Errorf("%v:\n%s", err, out.String())
	}
}

// An item that names nobody has no issuer either, though its door gives it one.
func TestNobodyIsOfNoIssuer(t *testing.T) {
	v := aView()
	v.Metadata.Patient.Identifier = ""
	var out bytes.Buffer
	if err := showItem(&out, v); err != nil || hasWords(out.String(), "of here") {
		t.Errorf("%v:\n%s", err, out.String())
	}
}

func TestADecisionIsShownWithItsReasonIfItHasOne(t *testing.T) {
	v := aView()
	v.Decisions[0].Words = ""
	var out bytes.Buffer
	if err := showItem(&out, v); err != nil || !hasWords(out.String(), "about ledger-conflict") || hasWords(out.String(), "ledger-conflict:") {
		t.Errorf("%v:\n%s", err, out.String())
	}
}

func TestAConflictWithTheLedgerAlone(t *testing.T) {
	v := aView()
	v.Contradicts = &control.Contradicted{Document: record.Tag{3}}
	var out bytes.Buffer
	if err := showItem(&out, v); err != nil || !hasWords(out.String(), "its item none here: the ledger has other sealed bytes") {
		t.Errorf("%v:\n%s", err, out.String())
	}
}

func TestTheListHasNoNames(t *testing.T) {
	var out bytes.Buffer
	if err := listTrays(&out, []control.TrayItem{aView().TrayItem}); err != nil {
		t.Fatal(err)
	}
	if !hasWords(out.String(), "01000000-0000-0000-0000-000000000000 conflict ledger-conflict (discard proposed)") ||
		!hasWords(out.String(), "drop radiology 1234 pdf") {
		t.Errorf("shown as\n%s", out.String())
	}
}

func TestAStatusHasALineForEachTray(t *testing.T) {
	var out bytes.Buffer
	showTrays(&out, control.Items{
		Quarantined: map[document.Reason]int64{document.ReasonNoPatient: 2, document.ReasonPlaceholder: 1},
		Review:      map[document.Reason]int64{document.ReasonPixelsChanged: 4}, Discarded: 5,
	})
	for _, row := range []string{
		"unassigned 3", "2 no-patient: " + document.ReasonNoPatient.Explain(), "1 placeholder: ", "conflict 4", "4 pixels-changed: ",
		"quarantine 0", "discarded 5",
	} {
		if !hasWords(out.String(), row) {
			t.Errorf("no row %q:\n%s", row, out.String())
		}
	}
}
