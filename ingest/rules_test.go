package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest"
)

// What ends early waits at its door for the rest, for as long as the door says that there may be a rest.
func TestWhatEndsEarlyMayStillGrow(t *testing.T) {
	text := strings.Repeat("a", 200)
	for name, c := range map[string]struct {
		metadata document.Metadata
		content  string
		waits    bool
	}{
		"a truncated image": {document.Metadata{Format: document.FormatDICOM, Problem: document.ReasonTruncated}, text, true},
		"an image that ends before its pixels": {document.Metadata{
			Format: document.FormatDICOM, StudyUID: "2.25.1", InstanceUID: "2.25.2", Incomplete: true,
			Patient: document.PatientID{Identifier: "9990000018"},
		}, text, true},
		"too little to be told":      {document.Metadata{Format: document.FormatUnknown, Problem: document.ReasonNotUnderstood}, "", true},
		"enough, and not understood": {document.Metadata{Format: document.FormatUnknown, Problem: document.ReasonNotUnderstood}, text, false},
		"a whole text":               {document.Metadata{Format: document.FormatText}, text, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, growing := range []bool{true, false} {
				w := newWorld()
				w.metadata[c.content] = c.metadata
				d := w.drop("/x", c.content, "9990000018")
				d.Growing = growing
				if err := w.run(t, d); err != nil {
					t.Fatal(err)
				}
				waits := errors.Is(w.released[d.Claim], document.ErrGrowing)
				if waits != (growing && c.waits) || waits == w.acked[d.Claim] {
					t.Errorf("growing %v: released with %v, acknowledged %v", growing, w.released[d.Claim], w.acked[d.Claim])
				}
			}
		})
	}
}

func TestADoorTakesWhatItsRuleAccepts(t *testing.T) {
	w := newWorld()
	w.metadata["letter"] = document.Metadata{Format: document.FormatPDF}
	pdf, note := w.drop("/letter", "letter", "9990000018"), w.drop("/note", "note", "9990000018")
	for _, d := range []*document.Delivery{&pdf, &note} {
		d.Accepts = []document.Format{document.FormatDICOM, document.FormatPDF}
	}
	if err := w.run(t, pdf, note); err != nil {
		t.Fatal(err)
	}
	kept := w.inState(document.Quarantined)
	if len(kept) != 1 || kept[0].Path != "/note" || kept[0].Reason != document.ReasonNotAccepted || len(w.inState(document.Queued)) != 1 {
		t.Fatalf("kept %+v", kept)
	}
}

func TestADoorSaysWhereThingsComeFromAndWhoseIdentifiersTheyBear(t *testing.T) {
	w := newWorld()
	w.metadata["image"] = dicom("4711", "2.25.1", "2.25.2")
	d := w.drop("/image", "image", "")
	d.Department, d.From, d.Issuer = "cardiology", "ECHO1", "old-hospital"
	if err := w.run(t, d); err != nil {
		t.Fatal(err)
	}
	item := w.inState(document.Queued)[0]
	if item.Department != "cardiology" || item.From != "ECHO1" || item.Issuer != "old-hospital" {
		t.Errorf("it comes from %q at %q, with issuer %q", item.From, item.Department, item.Issuer)
	}
	if want := (document.PatientID{Issuer: "old-hospital", Identifier: "4711"}); item.Metadata.Patient != want {
		t.Errorf("it is of %+v", item.Metadata.Patient)
	}
}

// A door with a hundred thousand files does not keep the others waiting: each offers one file at a time, and they take turns.
func TestDoorsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.gate = make(chan struct{}) // each file that is inspected takes one from it
		o := w.options()
		o.Workers = 1
		p := ingest.New(o)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		flood := func(ctx context.Context) {
			for n := 0; p.Submit(ctx, w.dropSafely(fmt.Sprint("/flood/", n), fmt.Sprint(n), "9990000018")) == nil; n++ {
				continue
			}
		}
		go flood(ctx)
		for n := range 5 {
			synctest.Wait() // the worker has a file, and the next one waits
			taken := make(chan struct{})
			go func() {
				defer close(taken)
				if err := p.Submit(ctx, w.dropSafely(fmt.Sprint("/quiet/", n), fmt.Sprint("quiet ", n), "9990000026")); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
			w.gate <- struct{}{} // one of the busy door's goes before it: that which waited first
			w.gate <- struct{}{}
			<-taken
		}
		close(w.gate)
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

// A door whose disk hangs, or whose files take long, keeps no worker from the others.
func TestADoorThatHangsHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, hung := newWorld(), &hangingDoor{world: newWorld(), until: make(chan struct{})}
		p := ingest.New(w.options())
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		for n := range 10 {
			d := w.dropSafely(fmt.Sprint("/hung/", n), fmt.Sprint("hung ", n), "9990000026")
			d.Door, d.Claim.Door = hung, "hung"
			go p.Submit(ctx, d) //nolint:errcheck // most wait until the end
		}
		synctest.Wait()
		w.takesTwenty(t, ctx, p)
		close(hung.until)
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

// takesTwenty has twenty files of a door that is well taken and acknowledged.
func (w *world) takesTwenty(t *testing.T, ctx context.Context, p *ingest.Pipeline) { //nolint:revive // t comes first in tests
	t.Helper()
	for n := range 20 {
		if err := p.Submit(ctx, w.dropSafely(fmt.Sprint("/well/", n), fmt.Sprint("well ", n), "9990000018")); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Minute)
	if _, acked := w.taken(); acked != 20 {
		t.Errorf("%d files of the door that is well are taken", acked)
	}
}

// hangingDoor opens nothing until a channel is closed, and then has lost its files.
type hangingDoor struct {
	*world
	until chan struct{}
}

func (d *hangingDoor) Open(document.Claim) (document.File, error) {
	<-d.until
	return nil, errInjected
}

// A door that takes files, and hangs when they are to be disposed of, fills no queue that the others wait in.
func TestADoorThatCannotBeToldHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		hung := &slowDoor{world: w, until: make(chan struct{})}
		p := ingest.New(w.options())
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		go func() {
			for n := 0; ; n++ {
				d := w.dropSafely(fmt.Sprint("/hung/", n), fmt.Sprint("hung ", n), "9990000026")
				d.Door, d.Claim.Door = hung, "hung"
				if p.Submit(ctx, d) != nil {
					return
				}
				time.Sleep(time.Second) // so that each is a group
			}
		}()
		time.Sleep(time.Hour)
		w.takesTwenty(t, ctx, p)
		close(hung.until)
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

// slowDoor waits, or takes its time, to acknowledge.
type slowDoor struct {
	*world
	until chan struct{} // nil for a second
	told  int
}

func (d *slowDoor) Acknowledge(_ context.Context, claims []document.Claim) ([]document.Claim, error) {
	if d.until != nil {
		<-d.until
	} else {
		time.Sleep(time.Second)
	}
	d.told += len(claims)
	return claims, nil
}

// A stop does not wait for all that a slow door is still to be told: the next run finds it claimed.
func TestAStopDoesNotWaitForASlowDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		slow := &slowDoor{world: w}
		p := ingest.New(w.options())
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		const files = 100
		for n := range files {
			d := w.dropSafely(fmt.Sprint("/", n), fmt.Sprint(n), "9990000018")
			d.Door = slow
			if err := p.Submit(ctx, d); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond) // so that each is a group
		}
		stop()
		began := time.Now()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 12*time.Second || slow.told == files || len(w.claims) != files-slow.told {
			t.Errorf("it took %s; %d of %d are told, %d claims stay", took, slow.told, files, len(w.claims))
		}
	})
}
