package ingest_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest"
	"github.com/medanchor/medanchor/state"
	"github.com/medanchor/medanchor/test/sealtest"
)

// nhs is a patient by a person's or a folder's word.
func nhs(number string) document.PatientID {
	return document.PatientID{Issuer: "nhs", Identifier: number}
}

// canonical is how patients of nhs are compared.
func canonical(number string) document.PatientID {
	return document.PatientID{Issuer: document.NHS, Identifier: number}
}

// truncated is what is read of an image that ends early.
func truncated(patient string) document.Metadata {
	m := dicom(patient, "2.25.1", "2.25.2")
	m.Problem, m.Patient.Issuer = document.ReasonTruncated, "nhs"
	return m
}

// kept has a pipeline take a content that it cannot anchor, and gives the item.
func (w *world) kept(t *testing.T, content, person string) document.Item {
	t.Helper()
	if err := w.run(t, w.drop("/kept "+content, content, person)); err != nil {
		t.Fatal(err)
	}
	items := w.inState(document.Quarantined)
	if len(items) == 0 {
		t.Fatalf("%q is not kept back", content)
	}
	return items[len(items)-1]
}

// again has another look at an item with this content.
func (w *world) again(t *testing.T, item document.Item, content string, change func(*ingest.Reconsideration)) (document.Item, error) {
	t.Helper()
	r := ingest.Reconsideration{Item: item, Content: strings.NewReader(content)}
	if change != nil {
		change(&r)
	}
	return ingest.New(w.options()).Reconsider(t.Context(), r)
}

func TestAPersonSaysWhoseItIs(t *testing.T) {
	person := nhs("9990000018")
	assigned := func(r *ingest.Reconsideration) { r.Patient, r.Release = person, true }
	nobody := func(problem document.Reason) document.Metadata {
		return document.Metadata{Format: document.FormatDICOM, StudyUID: "2.25.1", InstanceUID: "2.25.2", Problem: problem}
	}
	placeholder := dicom("UNKNOWN", "2.25.1", "2.25.2")
	misread := dicom("9990000019", "2.25.1", "2.25.2") // its check digit is wrong
	misread.Patient.Issuer = "nhs"
	for name, m := range map[string]document.Metadata{
		"a text":                {Format: document.FormatText},
		"an image of nobody":    nobody(""),
		"a placeholder":         placeholder,
		"a number that is none": misread,
		"what ends early":       nobody(document.ReasonTruncated),
		"what nobody can read":  {Format: document.FormatUnknown, Problem: document.ReasonNotUnderstood},
		"what is too large":     {Format: document.FormatPDF, Problem: document.ReasonTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.metadata["x"] = m
			item := w.kept(t, "x", "")
			got, err := w.again(t, item, "x", assigned)
			if err != nil || got.State != document.Queued || got.Reason != "" || got.Metadata.Patient != canonical(person.Identifier) {
				t.Fatalf("it is %s (%s) of %+v, %v", got.State, got.Reason, got.Metadata.Patient, err)
			}
			patient, _ := w.Patient(canonical(person.Identifier))
			if got.Patient != patient.Reference || got.Tag != record.DocumentTag(patient.Secret, 0, got.Digest) {
				t.Errorf("it is document %s of %s", got.Tag, got.Patient)
			}
			if got.ID != item.ID || got.CID != item.CID || got.Received != item.Received || got.Path != item.Path {
				t.Errorf("it is another item: %+v, was %+v", got, item)
			}
			if queued := w.inState(document.Queued); len(queued) != 1 || queued[0].ID != item.ID {
				t.Errorf("%d items are queued durably", len(queued))
			}
			if last := w.steps[len(w.steps)-1]; last != document.StepQueued {
				t.Errorf("the last step is %s", last)
			}
		})
	}
}

func TestAPersonSaysWhatItIs(t *testing.T) {
	w := newWorld()
	item := w.kept(t, "x", "")
	letter := func(r *ingest.Reconsideration) { r.Patient, r.Rule.Kind = nhs("9990000018"), record.KindLabResult }
	if got, err := w.again(t, item, "x", letter); err != nil || got.Kind != record.KindLabResult {
		t.Errorf("by its door's rule it is of kind %s, %v", got.Kind, err)
	}
	w = newWorld()
	item = w.kept(t, "x", "")
	got, err := w.again(t, item, "x", func(r *ingest.Reconsideration) { letter(r); r.Kind = record.KindPrescription })
	if err != nil || got.Kind != record.KindPrescription {
		t.Errorf("by a person's word it is of kind %s, %v", got.Kind, err)
	}
}

// The kind is the version's, which other instances of the study are in: a grant for letters must not open them.
func TestDICOMIsImagingWhateverAPersonSays(t *testing.T) {
	for kind, want := range map[record.Kind]error{record.KindLetter: ingest.ErrKind, record.KindImaging: nil, 0: nil} {
		w := newWorld()
		w.metadata["x"] = dicom("", "2.25.1", "2.25.2")
		item := w.kept(t, "x", "")
		got, err := w.again(t, item, "x", func(r *ingest.Reconsideration) { r.Patient, r.Kind, r.Release = nhs("9990000018"), kind, true })
		if !errors.Is(err, want) || err == nil && got.Kind != record.KindImaging {
			t.Errorf("kind %s: it is of kind %s, %v", kind, got.Kind, err)
		}
	}
}

// Who is named wrongly is refiled, which everybody sees: a person's word does not go over what the file or its door say.
func TestAPersonsWordDoesNotGoOverWhatTheFileSays(t *testing.T) {
	for name, test := range map[string]struct {
		metadata document.Metadata
		rule     string // whose it is by the door's rule of today
		word     string
		err      error
	}{
		"an image says otherwise":  {truncated("9990000018"), "", "9990000026", ingest.ErrNamed},
		"an image says the same":   {truncated("9990000018"), "", "9990000018", nil},
		"the door says otherwise":  {document.Metadata{Format: document.FormatText}, "9990000018", "9990000026", ingest.ErrNamed},
		"the door says the same":   {document.Metadata{Format: document.FormatText}, "9990000018", "9990000018", nil},
		"the door says nobody":     {document.Metadata{Format: document.FormatText}, "UNKNOWN", "9990000018", nil},
		"the door, of an image":    {dicom("", "2.25.1", "2.25.2"), "9990000018", "9990000026", nil},
		"a placeholder is no word": {document.Metadata{Format: document.FormatText}, "", "UNKNOWN", ingest.ErrNobody},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.metadata["x"] = test.metadata
			item := w.kept(t, "x", "")
			got, err := w.again(t, item, "x", func(r *ingest.Reconsideration) {
				r.Patient, r.Release = nhs(test.word), true
				if test.rule != "" {
					r.Rule.Patient = nhs(test.rule)
				}
			})
			if !errors.Is(err, test.err) {
				t.Fatalf("%v, want %v", err, test.err)
			}
			if err == nil && (got.State != document.Queued || got.Metadata.Patient != canonical(test.word)) {
				t.Errorf("it is %s of %+v", got.State, got.Metadata.Patient)
			}
			if err != nil && (got.State != document.Quarantined || len(w.inState(document.Quarantined)) != 1) {
				t.Errorf("it is %s: a refusal changes nothing", got.State)
			}
		})
	}
}

func TestAPersonReleasesWhatIsKeptBack(t *testing.T) {
	w := newWorld()
	w.metadata["x"] = truncated("9990000018")
	item := w.kept(t, "x", "")
	release := func(r *ingest.Reconsideration) { r.Release = true }
	if got, err := w.again(t, item, "x", nil); err != nil || got.State != document.Quarantined || got.Reason != document.ReasonTruncated {
		t.Fatalf("without their word it is %s (%s), %v", got.State, got.Reason, err)
	}
	got, err := w.again(t, item, "x", release)
	if err != nil || got.State != document.Queued || got.Metadata.Problem != document.ReasonTruncated || got.Kind != record.KindImaging {
		t.Fatalf("it is %s (%s), %v", got.State, got.Metadata.Problem, err)
	}

	w = newWorld()
	w.metadata["x"] = truncated("")
	item = w.kept(t, "x", "")
	if got, err := w.again(t, item, "x", release); !errors.Is(err, ingest.ErrNobody) || got.State != document.Quarantined {
		t.Errorf("of nobody it is %s, %v", got.State, err)
	}
}

// The person saw whose it is. What rules make of it since is another matter, at which they have not looked.
func TestARuleThatChangedDoesNotReleaseForAnother(t *testing.T) {
	w := newWorld()
	w.metadata["x"] = document.Metadata{Format: document.FormatPDF, Problem: document.ReasonTooLarge}
	item := w.kept(t, "x", "9990000018")
	release := func(person string) func(*ingest.Reconsideration) {
		return func(r *ingest.Reconsideration) { r.Release, r.Rule.Patient = true, nhs(person) }
	}
	if got, err := w.again(t, item, "x", release("9990000026")); !errors.Is(err, ingest.ErrOther) || got.State != document.Quarantined {
		t.Errorf("it is %s of %+v, %v", got.State, got.Metadata.Patient, err)
	}
	if got, err := w.again(t, item, "x", release("9990000018")); err != nil || got.State != document.Queued {
		t.Errorf("it is %s, %v", got.State, err)
	}
}

func TestARetryFollowsTodaysRulesAndProgram(t *testing.T) {
	t.Run("the rule finds the patient now", func(t *testing.T) {
		w := newWorld()
		item := w.kept(t, "x", "")
		got, err := w.again(t, item, "x", func(r *ingest.Reconsideration) { r.Rule.Patient = nhs("9990000018") })
		if err != nil || got.State != document.Queued {
			t.Errorf("it is %s (%s), %v", got.State, got.Reason, err)
		}
	})
	t.Run("the door takes it now", func(t *testing.T) {
		w := newWorld()
		d := w.drop("/x", "x", "9990000018")
		d.Accepts = []document.Format{document.FormatPDF}
		if err := w.run(t, d); err != nil {
			t.Fatal(err)
		}
		item := w.inState(document.Quarantined)[0]
		rule := document.Delivery{Patient: nhs("9990000018"), Accepts: []document.Format{document.FormatPDF}}
		if got, err := w.again(t, item, "x", func(r *ingest.Reconsideration) { r.Rule = rule }); err != nil ||
			got.Reason != document.ReasonNotAccepted {
			t.Errorf("by the same rule it is %s (%s), %v", got.State, got.Reason, err)
		}
		rule.Accepts = nil
		if got, err := w.again(t, item, "x", func(r *ingest.Reconsideration) { r.Rule = rule }); err != nil || got.State != document.Queued {
			t.Errorf("it is %s (%s), %v", got.State, got.Reason, err)
		}
	})
	t.Run("the program reads it now", func(t *testing.T) {
		w := newWorld()
		w.metadata["META:dataset"] = document.Metadata{Format: document.FormatUnknown, Problem: document.ReasonNotUnderstood}
		item := w.kept(t, "META:dataset", "")
		m := dicom("9990000018", "2.25.1", "2.25.2")
		m.DatasetOffset = int64(len("META:"))
		w.metadata["META:dataset"] = m
		got, err := w.again(t, item, "META:dataset", nil)
		if err != nil || got.State != document.Queued || got.Digest == item.Digest || got.Kind != record.KindImaging {
			t.Fatalf("it is %s (%s) of kind %s, %v", got.State, got.Reason, got.Kind, err)
		}
		w.metadata["ATEM:dataset"] = m
		if err := w.run(t, w.drop("/other meta", "ATEM:dataset", "")); err != nil {
			t.Fatal(err)
		}
		if duplicates := w.inState(document.Duplicate); len(duplicates) != 1 || duplicates[0].First != item.ID {
			t.Errorf("the same dataset in another file is no duplicate: its digest is not today's")
		}
	})
	t.Run("it waits for another reason now", func(t *testing.T) {
		w := newWorld()
		item := w.kept(t, "x", "")
		got, err := w.again(t, item, "x", func(r *ingest.Reconsideration) { r.Rule.Patient = nhs("UNKNOWN") })
		if err != nil || got.State != document.Quarantined || got.Reason != document.ReasonPlaceholder || !got.Tag.IsZero() {
			t.Errorf("it is %s (%s), %v", got.State, got.Reason, err)
		}
		if last := w.steps[len(w.steps)-1]; last != document.StepQuarantined {
			t.Errorf("the last step is %s", last)
		}
	})
}

func TestWhatWasAnchoredMeanwhileIsADuplicate(t *testing.T) {
	w := newWorld()
	item := w.kept(t, "x", "")
	if err := w.run(t, w.drop("/sent again", "x", "9990000018")); err != nil {
		t.Fatal(err)
	}
	first := w.inState(document.Queued)[0]
	assigned := func(r *ingest.Reconsideration) { r.Patient, r.Release = nhs("9990000018"), true }

	w.stored[first.CID] = false
	if got, err := w.again(t, item, "x", assigned); err == nil || got.State != document.Quarantined ||
		!strings.Contains(err.Error(), "has lost blocks") {
		t.Fatalf("its bytes are given up for a damaged copy: %s, %v", got.State, err)
	}
	w.stored[first.CID] = true
	got, err := w.again(t, item, "x", assigned)
	if err != nil || got.State != document.Duplicate || got.First != first.ID || !got.CID.IsZero() {
		t.Errorf("it is %s of %s, %v", got.State, got.First, err)
	}
}

func TestWhatIsReleasedMayContradict(t *testing.T) {
	w := newWorld()
	whole := dicom("9990000018", "2.25.1", "2.25.2")
	whole.Patient.Issuer, whole.PixelOffset = "nhs", 1
	half := truncated("9990000018")
	half.PixelOffset = 1
	w.metadata["a whole image"], w.metadata["a half"] = whole, half
	if err := w.run(t, w.drop("/whole", "a whole image", "")); err != nil {
		t.Fatal(err)
	}
	item := w.kept(t, "a half", "")
	got, err := w.again(t, item, "a half", func(r *ingest.Reconsideration) { r.Release = true })
	if err != nil || got.State != document.Queued || got.Variant != document.VariantPixelsChanged ||
		got.VariantOf != w.inState(document.Queued)[0].Tag || got.Tray() != document.TrayConflict {
		t.Errorf("it is %s, a variant (%s) of %s in tray %q, %v", got.State, got.Variant, got.VariantOf, got.Tray(), err)
	}
}

func TestOnlyWhatIsQuarantinedIsLookedAtAgain(t *testing.T) {
	w := newWorld()
	for _, s := range []document.State{document.Queued, document.Submitted, document.Anchored, document.Duplicate, document.Discarded} {
		if _, err := w.again(t, document.Item{State: s}, "", nil); !errors.Is(err, document.ErrNotQuarantined) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// What cannot be read, or not be made durable, leaves all as it was.
func TestAFaultLeavesAnItemInItsTray(t *testing.T) {
	assigned := func(r *ingest.Reconsideration) { r.Patient, r.Release = nhs("9990000018"), true }
	for name, test := range map[string]struct {
		content string
		fault   func(*world)
	}{
		"its bytes are short":       {"", func(*world) {}},
		"its bytes are unreadable":  {"x", func(w *world) { w.files["/kept x"].readErr = errInjected }},
		"state.db does not take it": {"x", func(w *world) { w.commitErr = errInjected }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			item := w.kept(t, "x", "")
			test.fault(w)
			got, err := w.again(t, item, test.content, func(r *ingest.Reconsideration) {
				assigned(r)
				if test.content != "" {
					r.Content = w.files["/kept x"]
				}
			})
			if err == nil || got.State != document.Quarantined {
				t.Errorf("it is %s, %v", got.State, err)
			}
		})
	}
}

// holding stores nothing until it is told to.
type holding struct {
	*world
	entered, gate chan struct{}
	once          sync.Once
}

func (h *holding) Store(ctx context.Context, payloads []ingest.Payload) (record.CID, error) {
	h.once.Do(func() { close(h.entered) })
	<-h.gate
	return h.world.Store(ctx, payloads)
}

// The same content is being stored: which of the two is the first is not known before that is durable.
func TestTheSameContentIsJustBeingTakenIn(t *testing.T) {
	w := newWorld()
	item := w.kept(t, "x", "")
	h := &holding{world: w, entered: make(chan struct{}), gate: make(chan struct{})}
	o := w.options()
	o.Blocks = h
	p := ingest.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	if err := p.Submit(ctx, w.drop("/sent again", "x", "9990000018")); err != nil {
		t.Fatal(err)
	}
	<-h.entered
	r := ingest.Reconsideration{Item: item, Content: strings.NewReader("x"), Patient: nhs("9990000018"), Release: true}
	if got, err := p.Reconsider(ctx, r); !errors.Is(err, ingest.ErrInFlight) || got.State != document.Quarantined {
		t.Errorf("it is %s, %v", got.State, err)
	}
	other := r
	other.Patient = nhs("9990000026") // their document is another
	if got, err := p.Reconsider(ctx, other); err != nil || got.State != document.Queued {
		t.Errorf("for another patient it is %s, %v", got.State, err)
	}
	close(h.gate)
	<-w.settled
	if got, err := p.Reconsider(ctx, r); err != nil || got.State != document.Duplicate {
		t.Errorf("once that is durable it is %s, %v", got.State, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A delivery that was taken for a duplicate is not durable yet: were its first given up now, nobody would have seen that it came.
func TestNothingIsGivenUpWhileItIsRepeated(t *testing.T) {
	w := newWorld()
	w.metadata["x"] = document.Metadata{Format: document.FormatPDF, Problem: document.ReasonEncrypted}
	item := w.kept(t, "x", "9990000018")
	h := &holding{world: w, entered: make(chan struct{}), gate: make(chan struct{})}
	o := w.options()
	o.Blocks, o.Workers = h, 1
	p := ingest.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	// The first of the two is stored, which is held up: the duplicate waits behind it.
	for _, d := range []document.Delivery{w.drop("/another", "another", ""), w.drop("/once more", "x", "9990000018")} {
		if err := p.Submit(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	<-h.entered
	given := 0
	up := func() error { given++; return nil }
	tick, late := time.NewTicker(time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for err := p.GiveUp(item.ID, up); !errors.Is(err, ingest.ErrInFlight); err = p.GiveUp(item.ID, up) {
		select {
		case <-tick.C: // the duplicate is not told to be one yet
		case <-late:
			t.Fatalf("it is never repeated: %v", err)
		}
	}
	close(h.gate)
	<-w.settled
	<-w.settled
	given = 0
	if err := p.GiveUp(item.ID, up); err != nil || given != 1 {
		t.Errorf("once it is durable: %v, given up %d times", err, given)
	}
	if err := p.GiveUp(item.ID, func() error { return errInjected }); !errors.Is(err, errInjected) {
		t.Errorf("an error of it: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// realState is a real state.db, with a world around it.
func realState(t *testing.T) (*state.DB, ingest.Options, *world) {
	t.Helper()
	db, err := state.Open(filepath.Join(t.TempDir(), "state.db"), sealtest.New(t), "NorthMSP")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := newWorld()
	o := w.options()
	o.Known, o.Patients, o.Journal = db, db, db
	return db, o, w
}

// refused puts an item into state.db that the ledger then refuses.
func refused(t *testing.T, db *state.DB, item document.Item, why document.Reason) document.Item {
	t.Helper()
	item.State, item.CID = document.Queued, record.CID{0x55, 1}
	for _, err := range []error{
		db.Commit(document.Commit{Entries: []document.Entry{{Item: item, Header: []byte("header")}}}),
		db.Settle([]document.Receipt{{ID: item.ID, State: document.Quarantined, Reason: why}}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	item, err := db.Item(item.ID)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

// What the ledger refused carries its document, and is the first of its instance: it is neither its own duplicate nor its own
// variant.
func TestWhatTheLedgerRefusedAsksAgain(t *testing.T) {
	db, o, w := realState(t)
	w.metadata["x"] = dicom("9990000018", "2.25.1", "2.25.2")
	p := ingest.New(o)
	first, err := db.Patient(document.PatientID{Issuer: "default", Identifier: "9990000018"})
	if err != nil {
		t.Fatal(err)
	}
	item := document.Item{
		ID: document.ItemID{1}, Size: 1, Digest: sha256.Sum256([]byte("x")), Patient: first.Reference, Metadata: w.metadata["x"],
		Kind: record.KindImaging,
	}
	item.Metadata.Patient.Issuer = "default"
	item.Tag = record.DocumentTag(first.Secret, 0, item.Digest)
	item.Record = record.RecordTag(first.Secret, ingest.RecordName(item))
	item = refused(t, db, item, document.ReasonLedgerConflict)
	got, err := p.Reconsider(t.Context(), ingest.Reconsideration{Item: item, Content: strings.NewReader("x")})
	if err != nil || got.State != document.Queued || got.Tag != item.Tag || !got.VariantOf.IsZero() || got.CID != item.CID {
		t.Errorf("it is %s, document %s, a variant of %s, %v", got.State, got.Tag, got.VariantOf, err)
	}
	if pending, err := db.Pending(9); err != nil || len(pending) != 1 {
		t.Errorf("%d items are pending, %v", len(pending), err)
	}
}

// A copy whose link has ended is no copy any more: it is the hospital's own patient's.
func TestACopyWhoseLinkHasEndedBecomesOwn(t *testing.T) {
	db, o, _ := realState(t)
	own, err := db.Patient(canonical("9990000018"))
	if err != nil {
		t.Fatal(err)
	}
	linked := record.Reference{7}
	item := document.Item{
		ID: document.ItemID{1}, Size: 1, Digest: sha256.Sum256([]byte("x")), Patient: linked, Tag: record.Tag{5}, Record: record.Tag{6},
		Kind: record.KindLetter, Copy: &document.Copy{Own: own.Reference, Version: record.Tag{5}},
		Metadata: document.Metadata{Format: document.FormatText, Patient: canonical("9990000018")},
	}
	item = refused(t, db, item, document.ReasonUnlinked)
	got, err := ingest.New(o).Reconsider(t.Context(), ingest.Reconsideration{
		Item: item, Content: strings.NewReader("x"), Rule: document.Delivery{Patient: nhs("9990000018"), Kind: record.KindLetter},
	})
	if err != nil || got.State != document.Queued || got.Copy != nil || got.Patient != own.Reference ||
		got.Tag != record.DocumentTag(own.Secret, 0, got.Digest) {
		t.Errorf("it is %s of %s, a copy: %t, %v", got.State, got.Patient, got.Copy != nil, err)
	}
	if _, found, err := db.Carrier(item.Tag); err != nil || found {
		t.Errorf("it still carries the other's document: %v", err)
	}
	copies := 0
	if err := db.Copies(func(document.Item) bool { copies++; return true }); err != nil || copies != 0 {
		t.Errorf("%d copies are left, %v", copies, err)
	}
}
