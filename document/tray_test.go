package document_test

import (
	"errors"
	"testing"
	"time"

	"github.com/medanchor/medanchor/document"
)

func TestEveryReasonHasATray(t *testing.T) {
	for _, r := range document.Reasons() {
		kept := document.Item{State: document.Quarantined, Reason: r}
		if kept.Waits() != r || kept.Tray() != r.Tray() || r.Tray() == "" {
			t.Errorf("%s waits for %q in tray %q", r, kept.Waits(), kept.Tray())
		}
	}
	for state, want := range map[document.State]document.Tray{
		document.Queued: document.TrayConflict, document.Anchored: document.TrayConflict, document.Discarded: "",
		document.Quarantined: document.TrayUnassigned,
	} {
		i := document.Item{State: state, Reason: document.ReasonNoPatient, Review: document.ReasonPixelsChanged}
		if got := i.Tray(); got != want {
			t.Errorf("%s: tray %q, want %q", state, got, want)
		}
	}
}

// Each decision is later than the one before, so that none is good twice.
func TestADecisionIsGoodOnce(t *testing.T) {
	i := document.Item{State: document.Quarantined, Reason: document.ReasonTruncated}
	first := document.Decision{Action: document.ActionPropose, At: time.Unix(100, 0)}
	if err := i.Decide(first); err != nil || i.Decisions[0].About != document.ReasonTruncated {
		t.Fatalf("%+v, %v", i.Decisions, err)
	}
	earlier := document.Decision{Action: document.ActionRelease, At: time.Unix(99, 0)}
	for _, d := range []document.Decision{first, earlier} {
		if err := i.Decide(d); !errors.Is(err, document.ErrDecided) || len(i.Decisions) != 1 {
			t.Errorf("at %s: %v, %d decisions", d.At, err, len(i.Decisions))
		}
	}
	before := i // a copy of an item does not share what is decided later
	if err := i.Decide(document.Decision{At: time.Unix(101, 0)}); err != nil {
		t.Fatal(err)
	}
	if err := before.Decide(document.Decision{Action: document.ActionDiscard, At: time.Unix(102, 0)}); err != nil || i.Decisions[1].Action != "" {
		t.Errorf("%+v, %v", i.Decisions, err)
	}
}

func TestAProposalStandsUntilSomethingChanges(t *testing.T) {
	proposed := func(change func(*document.Item)) bool {
		i := document.Item{State: document.Quarantined, Reason: document.ReasonTruncated}
		if err := i.Decide(document.Decision{Action: document.ActionPropose, At: time.Unix(100, 0)}); err != nil {
			t.Fatal(err)
		}
		change(&i)
		_, stands := i.Proposed()
		return stands
	}
	if !proposed(func(*document.Item) {}) {
		t.Error("a proposal does not stand")
	}
	for name, change := range map[string]func(*document.Item){
		"it is queued":   func(i *document.Item) { i.State = document.Queued },
		"another reason": func(i *document.Item) { i.Reason = document.ReasonErased },
		"another decision": func(i *document.Item) {
			i.Decisions = append(i.Decisions, document.Decision{Action: document.ActionRelease})
		},
		"nobody decided at all": func(i *document.Item) { i.Decisions = nil },
	} {
		if proposed(change) {
			t.Errorf("%s: the proposal still stands", name)
		}
	}
}
