package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheSameFileFiftyTimesAtOnceIsOneDocument(t *testing.T) {
	w := newWorld()
	var deliveries []document.Delivery
	for n := range 50 {
		deliveries = append(deliveries, w.drop(fmt.Sprintf("/%d", n), "same", "9990000018"))
	}
	if err := w.run(t, deliveries...); err != nil {
		t.Fatal(err)
	}
	first, duplicates := w.inState(document.Queued), w.inState(document.Duplicate)
	if len(first) != 1 || len(duplicates) != 49 || len(w.acked) != 50 {
		t.Fatalf("%d documents, %d duplicates, %d acknowledged", len(first), len(duplicates), len(w.acked))
	}
	for _, d := range duplicates {
		if d.First != first[0].ID {
			t.Fatalf("a duplicate names %s as the first, not %s", d.First, first[0].ID)
		}
	}
	if len(w.stored) != 1 || w.discarded != 49 {
		t.Fatalf("%d payloads stored, %d discarded", len(w.stored), w.discarded)
	}
}

// A door that is slow to dispose of its files holds up no commit.
func TestAGroupIsCommittedWhileTheDoorIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.telling = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		p := ingest.New(w.options())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		for n := range 3 {
			path := fmt.Sprint(n)
			if err := p.Submit(ctx, w.dropSafely(path, path, "9990000018")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if groups, acked := w.taken(); groups != 3 || acked != 0 {
			t.Errorf("%d groups are durable, and %d files acknowledged", groups, acked)
		}
		close(w.telling)
		cancel()
		if err := <-done; err != nil || len(w.acked) != 3 || len(w.claims) != 0 {
			t.Errorf("%v: %d acknowledged, %d claims kept", err, len(w.acked), len(w.claims))
		}
	})
}

// A commit that fails while a door is being told: what is durable is told, and nothing after it.
func TestNothingIsToldOnceACommitFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.telling = make(chan struct{})
		p := ingest.New(w.options())
		done := make(chan error, 1)
		go func() { done <- p.Run(t.Context()) }()
		for n := range 3 {
			path := fmt.Sprint(n)
			if n == 2 {
				w.mu.Lock()
				w.commitErr = errInjected
				w.mu.Unlock()
			}
			if err := p.Submit(t.Context(), w.dropSafely(path, path, "9990000018")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		close(w.telling)
		if err := <-done; !errors.Is(err, errInjected) {
			t.Errorf("Run returns %v", err)
		}
		if len(w.acked) != 1 || len(w.claims) != 2 {
			t.Errorf("%d are told of, want the one that was being told; %d claims, want both that are durable", len(w.acked), len(w.claims))
		}
		w.commitErr, w.telling = nil, nil
		if err := w.run(t, w.drop("1", "1", "9990000018")); err != nil || len(w.items) != 2 {
			t.Errorf("the next process: %v, %d items", err, len(w.items))
		}
	})
}

// Small reads would have the hashes and the spool's chunks cost several times as much.
func TestAFileIsReadInLargePieces(t *testing.T) {
	w := newWorld()
	w.blind = true
	d := w.drop("/large", strings.Repeat("large ", 1<<18), "9990000018")
	if err := w.run(t, d); err != nil {
		t.Fatal(err)
	}
	if n := w.files["/large"].reads; n > 7 {
		t.Errorf("1.5 MiB took %d reads", n)
	}
}

func TestTheSameBytesForTwoPatientsAreTwoDocuments(t *testing.T) {
	w := newWorld()
	if err := w.run(t, w.drop("/a", "same", "9990000018"), w.drop("/b", "same", "9990000026")); err != nil {
		t.Fatal(err)
	}
	items := w.inState(document.Queued)
	if len(items) != 2 || items[0].Tag == items[1].Tag || items[0].Record == items[1].Record ||
		items[0].CID == items[1].CID {
		t.Fatalf("two patients, but %+v", items)
	}
}

func dicom(patient, study, instance string) document.Metadata {
	return document.Metadata{
		Format: document.FormatDICOM, Patient: document.PatientID{Identifier: patient}, StudyUID: study, InstanceUID: instance,
	}
}

func TestAnotherContentUnderTheSameInstanceUIDIsAVariant(t *testing.T) {
	w := newWorld()
	w.metadata["one"] = dicom("9990000018", "2.25.1", "2.25.2")
	w.metadata["two"] = dicom("9990000018", "2.25.1", "2.25.2")
	w.metadata["of another"] = dicom("9990000026", "2.25.1", "2.25.2")
	for _, content := range []string{"one", "two", "of another"} { // one after the other: which is first must be certain
		if err := w.run(t, w.drop("/"+content, content, "")); err != nil {
			t.Fatal(err)
		}
	}
	items := w.inState(document.Queued)
	if len(items) != 3 || !items[0].VariantOf.IsZero() || items[1].VariantOf != items[0].Tag || !items[2].VariantOf.IsZero() {
		t.Fatalf("variants: %s %s %s", items[0].VariantOf, items[1].VariantOf, items[2].VariantOf)
	}
	if items[0].Record != items[1].Record || items[0].Record == items[2].Record {
		t.Fatal("a study's documents join one record, and each patient has their own")
	}
	if items[0].Kind != record.KindImaging {
		t.Fatalf("DICOM is of kind %s", items[0].Kind)
	}
}

func TestVariantsInOneGroup(t *testing.T) {
	w := newWorld()
	var deliveries []document.Delivery
	for n := range 10 {
		content := fmt.Sprint("content ", n)
		w.metadata[content] = dicom("9990000018", "2.25.1", "2.25.2")
		deliveries = append(deliveries, w.drop(content, content, ""))
	}
	if err := w.run(t, deliveries...); err != nil {
		t.Fatal(err)
	}
	firsts := 0
	for _, item := range w.inState(document.Queued) {
		if item.VariantOf.IsZero() {
			firsts++
		}
	}
	if firsts != 1 {
		t.Fatalf("%d of 10 are the first", firsts)
	}
}

func TestTheDICOMHeaderDecidesNotTheFolder(t *testing.T) {
	w := newWorld()
	w.metadata["x"] = dicom("9990000026", "2.25.1", "2.25.2")
	if err := w.run(t, w.drop("/x", "x", "9990000018")); err != nil {
		t.Fatal(err)
	}
	if got := w.inState(document.Queued)[0].Metadata.Patient; got != (document.PatientID{Issuer: "default", Identifier: "9990000026"}) {
		t.Fatalf("the patient is %+v", got)
	}
}

func TestTheDigestLeavesOutTheFileMetaGroup(t *testing.T) {
	w := newWorld()
	for _, content := range []string{"META-1:dataset", "META-2:dataset"} {
		m := dicom("9990000018", "2.25.1", "2.25.2")
		m.DatasetOffset = int64(len("META-1:"))
		w.metadata[content] = m
	}
	if err := w.run(t, w.drop("/1", "META-1:dataset", ""), w.drop("/2", "META-2:dataset", "")); err != nil {
		t.Fatal(err)
	}
	if len(w.inState(document.Queued)) != 1 || len(w.inState(document.Duplicate)) != 1 {
		t.Fatalf("the same dataset under two file metas: %+v", w.items)
	}
}

func TestWhatCannotBeAnchoredIsKept(t *testing.T) {
	w := newWorld()
	w.metadata["broken"] = document.Metadata{Format: document.FormatPDF, Problem: document.ReasonTruncated}
	if err := w.run(t,
		w.drop("/1", "broken", "9990000018"), w.drop("/2", "broken", "9990000018"), w.drop("/3", "of nobody", "")); err != nil {
		t.Fatal(err)
	}
	kept := w.inState(document.Quarantined)
	if len(kept) != 2 || len(w.inState(document.Duplicate)) != 1 || len(w.stored) != 2 || len(w.acked) != 3 {
		t.Fatalf("kept %d, stored %d, acknowledged %d", len(kept), len(w.stored), len(w.acked))
	}
	for _, item := range kept {
		if item.Reason != document.ReasonTruncated && item.Reason != document.ReasonNoPatient {
			t.Errorf("reason %q", item.Reason)
		}
		if !item.Tag.IsZero() || !item.Patient.IsZero() {
			t.Errorf("a quarantined item is in a history: %+v", item)
		}
	}
}

// TestWhoIsNobodyIsKept: at each door, what names a placeholder or a number that cannot be one is in nobody's history,
// and nothing of it is lost.
func TestWhoIsNobodyIsKept(t *testing.T) {
	nobodies := map[string]document.Reason{
		"":           document.ReasonNoPatient,
		"ID1":        document.ReasonPlaceholder,
		"unknown":    document.ReasonPlaceholder,
		"0000000000": document.ReasonPlaceholder,
		"9999999999": document.ReasonPlaceholder,
		"9990000019": document.ReasonBadIdentifier,
	}
	w := newWorld()
	want := make(map[string]document.Reason) // by path
	var deliveries []document.Delivery
	for identifier, reason := range nobodies {
		image, letter := "image of "+identifier, "letter of "+identifier
		m := dicom(identifier, "2.25.1", "2.25.2")
		m.Patient.Issuer = document.NHS
		w.metadata[image] = m
		deliveries = append(deliveries, w.drop(image, image, "9990000018"), w.drop(letter, letter, identifier))
		want[image], want[letter] = reason, reason
	}
	if err := w.run(t, append(deliveries, w.drop("/known", "known", "9990000018"))...); err != nil {
		t.Fatal(err)
	}
	kept := w.inState(document.Quarantined)
	if len(kept) != 2*len(nobodies) || len(w.inState(document.Queued)) != 1 || len(w.acked) != len(kept)+1 {
		t.Fatalf("%d kept, %d queued, %d acknowledged", len(kept), len(w.inState(document.Queued)), len(w.acked))
	}
	for _, item := range kept {
		if item.Reason != want[item.Path] {
			t.Errorf("%q is kept as %q, want %q", item.Path, item.Reason, want[item.Path])
		}
		if !item.Tag.IsZero() || !item.Patient.IsZero() || !w.stored[item.CID] {
			t.Errorf("%q is in a history, or its bytes are gone", item.Path)
		}
	}
	if len(w.patients) != 1 {
		t.Errorf("%d patients are registered, want the one that is known", len(w.patients))
	}
}

func TestOneNHSNumberAtTwoDoorsIsOnePatient(t *testing.T) {
	w := newWorld()
	m := dicom("999 000 0018", "2.25.1", "2.25.2")
	m.Patient.Issuer = "2.16.840.1.113883.2.1.4.1"
	w.metadata["image"] = m
	if err := w.run(t, w.drop("/image", "image", ""), w.drop("/letter", "letter", "9990000018")); err != nil {
		t.Fatal(err)
	}
	items := w.inState(document.Queued)
	if len(items) != 2 || items[0].Patient != items[1].Patient {
		t.Fatalf("one number, two patients: %+v", w.patients)
	}
}

// A person will assign each: the one of B must not end as a duplicate of that of A.
func TestTheSameQuarantinedBytesForTwoPatientsAreKeptTwice(t *testing.T) {
	w := newWorld()
	w.metadata["locked"] = document.Metadata{Format: document.FormatPDF, Problem: document.ReasonEncrypted}
	if err := w.run(t, w.drop("/a", "locked", "9990000018"), w.drop("/b", "locked", "9990000026")); err != nil {
		t.Fatal(err)
	}
	if err := w.run(t, w.drop("/c", "locked", "9990000026")); err != nil { // now that both are durable
		t.Fatal(err)
	}
	if kept, again := w.inState(document.Quarantined), w.inState(document.Duplicate); len(kept) != 2 || len(again) != 1 {
		t.Fatalf("%d kept, %d duplicates", len(kept), len(again))
	}
}

// The rule that is mended tomorrow, or a person, says whose each is by where it was found: none may end as a duplicate of another's.
func TestTheSameBytesOfNobodyAreKeptAtEachPlace(t *testing.T) {
	for name, m := range map[string]document.Metadata{
		"a text":          {Format: document.FormatText},
		"what is locked":  {Format: document.FormatPDF, Problem: document.ReasonEncrypted},
		"a mere stand-in": {Format: document.FormatText, Text: "UNKNOWN"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.metadata["x"] = m
			if err := w.run(t, w.drop("/p/x", "x", m.Text), w.drop("/q/x", "x", m.Text)); err != nil {
				t.Fatal(err)
			}
			if err := w.run(t, w.drop("/r/x", "x", m.Text)); err != nil { // now that both are durable
				t.Fatal(err)
			}
			kept := w.inState(document.Quarantined)
			if len(kept) != 3 {
				t.Fatalf("%d are kept", len(kept))
			}
			for i, number := range []string{"9990000018", "9990000026"} {
				got, err := w.again(t, kept[i], "x", func(r *ingest.Reconsideration) { r.Patient, r.Release = nhs(number), true })
				if err != nil || got.State != document.Queued {
					t.Errorf("that at %s is %s, %v", kept[i].Path, got.State, err)
				}
			}
		})
	}
	w := newWorld() // whose an image is its header says, wherever it is found
	w.metadata["image"] = dicom("", "2.25.1", "2.25.2")
	if err := w.run(t, w.drop("/p/image", "image", ""), w.drop("/q/image", "image", "")); err != nil {
		t.Fatal(err)
	}
	if kept, again := w.inState(document.Quarantined), w.inState(document.Duplicate); len(kept) != 1 || len(again) != 1 {
		t.Errorf("of an image %d are kept, and %d are duplicates", len(kept), len(again))
	}
}

func TestAFileThatChangesWhileItIsReadStaysAtTheDoor(t *testing.T) {
	w := newWorld()
	d := w.drop("/1", "half", "9990000018")
	w.files["/1"].changed = document.ErrChanged
	if err := w.run(t, d); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(w.released[d.Claim], document.ErrChanged) || len(w.items) != 0 || w.discarded != 1 {
		t.Fatalf("released %v, %d items, %d discarded", w.released[d.Claim], len(w.items), w.discarded)
	}
}

func TestAFileThatShrinksWhileItIsReadStaysAtTheDoor(t *testing.T) {
	w := newWorld()
	d := w.drop("/1", "short", "9990000018")
	d.Claim.Size += 5
	if err := w.run(t, d); err != nil {
		t.Fatal(err)
	}
	if w.released[d.Claim] == nil || len(w.items) != 0 {
		t.Fatalf("released %v, %d items", w.released[d.Claim], len(w.items))
	}
}

func TestASourceThatCannotBeReadConcernsItselfOnly(t *testing.T) {
	w := newWorld()
	bad, good := w.drop("/bad", "bad", "9990000018"), w.drop("/good", "good", "9990000018")
	w.files["/bad"].readErr = errInjected
	if err := w.run(t, bad, good); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(w.released[bad.Claim], errInjected) || !w.acked[good.Claim] {
		t.Fatalf("bad released with %v, good acknowledged: %v", w.released[bad.Claim], w.acked[good.Claim])
	}
}

func TestStorageThatFailsIsFatalAndAcknowledgesNothing(t *testing.T) {
	for name, inject := range map[string]func(*world){
		"store":  func(w *world) { w.storeErr = errInjected },
		"commit": func(w *world) { w.commitErr = errInjected },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			inject(w)
			var deliveries []document.Delivery
			for n := range 200 {
				deliveries = append(deliveries, w.drop(fmt.Sprint("/", n), fmt.Sprint(n), "9990000018"))
			}
			if err := w.run(t, deliveries...); !errors.Is(err, errInjected) {
				t.Fatalf("Run returns %v", err)
			}
			if len(w.acked) != 0 {
				t.Fatalf("%d acknowledged", len(w.acked))
			}
		})
	}
}

func TestARescanAfterACrashOnlyAcknowledges(t *testing.T) {
	w := newWorld()
	d := w.drop("/1", "x", "9990000018")
	w.claims[d.Claim] = document.ItemID{1}
	if err := w.run(t, d); err != nil {
		t.Fatal(err)
	}
	if !w.acked[d.Claim] || len(w.items) != 0 {
		t.Fatalf("acknowledged %v, %d items", w.acked[d.Claim], len(w.items))
	}
	if _, found := w.claims[d.Claim]; found {
		t.Fatal("the claim of a source that is gone was not forgotten")
	}
}

func TestADuplicateOfADamagedFirstStaysAtTheDoor(t *testing.T) {
	for name, problem := range map[string]document.Reason{"anchored": "", "quarantined": document.ReasonTruncated} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.metadata["x"] = document.Metadata{Format: document.FormatPDF, Problem: problem}
			if err := w.run(t, w.drop("/1", "x", "9990000018")); err != nil {
				t.Fatal(err)
			}
			clear(w.stored)
			d := w.drop("/2", "x", "9990000018")
			if err := w.run(t, d); err != nil {
				t.Fatal(err)
			}
			if w.released[d.Claim] == nil || w.acked[d.Claim] {
				t.Fatal("the last good copy was acknowledged away")
			}
		})
	}
}

func TestGroupsAreCommittedTogetherAndBounded(t *testing.T) {
	w := newWorld()
	var deliveries []document.Delivery
	for n := range 1000 {
		deliveries = append(deliveries, w.drop(fmt.Sprint("/", n), fmt.Sprint(n), "9990000018"))
	}
	if err := w.run(t, deliveries...); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range w.groups {
		if n > 64 {
			t.Fatalf("a group of %d", n)
		}
		total += n
	}
	if total != 1000 || len(w.groups) > 200 {
		t.Fatalf("%d items in %d groups", total, len(w.groups))
	}
}
