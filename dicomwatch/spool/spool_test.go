package spool_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/medanchor/medanchor/document"
)

const chunk = 64 << 10 // of STREAM

func TestObjectsReachThePipelineAndLeave(t *testing.T) {
	o := options(t)
	synctest.Test(t, func(t *testing.T) {
		steps := make(chan document.Step, 100)
		o.Trace = func(s document.Step) { steps <- s }
		var got []document.Delivery
		p := &pipeline{take: func(d document.Delivery) error {
			got = append(got, d)
			return nil
		}}
		s := start(t, o, p)
		stop := run(t.Context(), s)

		var want []string
		for n, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 1_000_000} {
			want = append(want, string(content(n, size)))
			if err := send(t.Context(), s, content(n, size)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if first, last := <-steps, <-steps; first != document.StepSpooled || last != document.StepDisposed || len(steps) != 0 {
				t.Errorf("steps: %s, %s and %d more", first, last, len(steps))
			}
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(p.contents(), want) {
			t.Error("the pipeline has something else than was sent")
		}
		for _, d := range got {
			c := d.Claim
			if d.Door != s || d.Department != "radiology" || d.Issuer != "TRUST-A" || d.From != "CT_SCANNER_7" || d.Growing ||
				c.Door != "dicom" || c.ModTime.IsZero() || c.ModTime != c.ChangeTime {
				t.Errorf("delivery: %+v", d)
			}
			if _, err := document.ParseItemID(c.Path); err != nil || !s.Disposed(c.Path) {
				t.Errorf("claim %s: %v; disposed: %t", c.Path, err, s.Disposed(c.Path))
			}
		}
		if n, size := s.Waiting(); n != 0 || size != 0 || len(files(t, o.Path)) != 0 || s.Err() != nil || p.gone != len(want) {
			t.Errorf("left: %d objects, %d bytes, %v, Err %v, %d gone", n, size, files(t, o.Path), s.Err(), p.gone)
		}
	})
}

func TestNothingPersonalIsInClear(t *testing.T) {
	o := options(t)
	s := start(t, o, &pipeline{})
	if err := send(t.Context(), s, content(1, 200_000)); err != nil {
		t.Fatal(err)
	}
	names := files(t, o.Path)
	if len(names) != 1 {
		t.Fatalf("files: %v", names)
	}
	file, err := os.ReadFile(filepath.Join(o.Path, names[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, clear := range []string{"Erika", "1964-08-12", "2.25.", "CT_SCANNER", "192.0.2", "TRUST-A", "radiology", "1.2.840"} {
		if bytes.Contains(file, []byte(clear)) || strings.Contains(names[0], clear) {
			t.Errorf("%s is in clear", clear)
		}
	}
	if info, err := os.Stat(filepath.Join(o.Path, names[0])); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(o.Path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the folder: %v, %v", info.Mode(), err)
	}
}

// What was acknowledged to its sender waits over a restart: offered once, in order, under the same claim.
func TestARestartOffersWhatWaits(t *testing.T) {
	o := options(t)
	synctest.Test(t, func(t *testing.T) {
		stuck := &pipeline{take: func(document.Delivery) error { return errors.New("not now") }}
		before := start(t, o, stuck)
		var want []string
		for n := range 5 {
			want = append(want, string(content(n, 50_000)))
			if err := send(t.Context(), before, content(n, 50_000)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		offered := make(map[document.Claim]bool)
		stuck.take = func(d document.Delivery) error {
			offered[d.Claim] = true
			return errors.New("not now")
		}
		stop := run(t.Context(), before)
		synctest.Wait()
		if err := stop(); err != nil || len(offered) != 5 {
			t.Fatalf("offered %d, %v", len(offered), err)
		}

		p := &pipeline{}
		after := start(t, o, p)
		if n, size := after.Waiting(); n != 5 || size < 250_000 {
			t.Errorf("waiting: %d objects, %d bytes", n, size)
		}
		stop = run(t.Context(), after)
		synctest.Wait()
		if err := stop(); err != nil || !slices.Equal(p.contents(), want) {
			t.Errorf("after the restart: %d objects, %v", len(p.contents()), err)
		}
		for _, c := range p.order {
			if !offered[c] {
				t.Errorf("the claim is another: %+v", c)
			}
		}
	})
}

// Objects are offered one at a time: Submit is the back-pressure.
func TestSubmitHoldsBackTheNext(t *testing.T) {
	o := options(t)
	synctest.Test(t, func(t *testing.T) {
		busy := make(chan struct{})
		taken := 0
		p := &pipeline{take: func(document.Delivery) error {
			taken++
			<-busy
			return nil
		}}
		s := start(t, o, p)
		stop := run(t.Context(), s)
		for n := range 3 {
			if err := send(t.Context(), s, content(n, 100)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n, _ := s.Waiting(); taken != 1 || n != 3 {
			t.Errorf("%d taken, %d wait", taken, n)
		}
		close(busy)
		synctest.Wait()
		if err := stop(); err != nil || taken != 3 {
			t.Errorf("%d taken, %v", taken, err)
		}
	})
}

func TestADiscardedObjectLeavesNothing(t *testing.T) {
	o := options(t)
	s := start(t, o, &pipeline{})
	in, err := s.Create(sent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(make([]byte, 300_000)); err != nil {
		t.Fatal(err)
	}
	if n, size := s.Waiting(); n != 0 || size < 256<<10 {
		t.Errorf("on its way in: %d objects, %d bytes", n, size)
	}
	if err := errors.Join(in.Discard(), in.Discard()); err != nil {
		t.Fatal(err)
	}
	if n, size := s.Waiting(); n != 0 || size != 0 || len(files(t, o.Path)) != 0 {
		t.Errorf("left: %d objects, %d bytes, %v", n, size, files(t, o.Path))
	}
	if err := in.Commit(t.Context()); err == nil {
		t.Error("a discarded object was committed")
	}
	if _, err := in.Write([]byte("late")); err == nil {
		t.Error("a discarded object was written to")
	}
}

func TestDiscardAfterCommitDoesNothing(t *testing.T) {
	s := start(t, options(t), &pipeline{})
	in, err := s.Create(sent)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(in.Commit(t.Context()), in.Discard()); err != nil {
		t.Fatal(err)
	}
	if err := in.Commit(t.Context()); err == nil {
		t.Error("committed twice")
	}
	if _, err := in.Write([]byte("late")); err == nil {
		t.Error("a committed object was written to")
	}
	if n, _ := s.Waiting(); n != 1 {
		t.Errorf("%d objects wait", n)
	}
}

// A large object takes no more memory than a small one.
func TestMemoryDoesNotGrowWithTheObject(t *testing.T) {
	s := start(t, options(t), &pipeline{})
	in, err := s.Create(sent)
	if err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, 16<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 4096 {
		if _, err := in.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if err := in.Discard(); err != nil {
		t.Fatal(err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
		t.Errorf("64 MiB took %d KiB of memory", grown>>10)
	}
}

// A delivery that is held is offered again after pauses that grow, and does not hold up the others.
func TestWhatIsHandedBackIsOfferedAgain(t *testing.T) {
	o := options(t)
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		var taken atomic.Bool
		p := &pipeline{take: func(d document.Delivery) error {
			if d.Claim.Size != 100 || taken.Load() {
				return nil
			}
			at = append(at, time.Since(began))
			return errors.New("the inspector is away")
		}}
		s := start(t, o, p)
		stop := run(t.Context(), s)
		for n, size := range []int{100, 200} {
			if err := send(t.Context(), s, content(n, size)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		want := []time.Duration{0, 1, 3, 7, 15, 31, 63, 123, 183}
		for i := range want {
			want[i] *= time.Second
		}
		if !slices.Equal(at, want) {
			t.Errorf("offered at %v", at)
		}
		if len(p.contents()) != 1 {
			t.Error("the other object was held up")
		}
		if err := s.Err(); err == nil || !strings.Contains(err.Error(), "the inspector is away") {
			t.Errorf("Err = %v", err)
		}
		taken.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := stop(); err != nil || len(p.contents()) != 2 || s.Err() != nil {
			t.Errorf("%d objects, %v; Err = %v", len(p.contents()), err, s.Err())
		}
	})
}

// A pipeline that stops hands back what it has: that is nobody's fault.
func TestWhatAStopHandsBackIsNotHeld(t *testing.T) {
	o := options(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, o, &pipeline{take: func(document.Delivery) error { return context.Canceled }})
		if err := send(t.Context(), s, content(1, 100)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Run(ctx); err != nil || s.Err() != nil {
			t.Errorf("Run = %v, Err = %v", err, s.Err())
		}
	})
}

// After a crash the pipeline may acknowledge what was removed before it.
func TestAcknowledgeCanBeRepeated(t *testing.T) {
	o := options(t)
	synctest.Test(t, func(t *testing.T) {
		p := &pipeline{}
		s := start(t, o, p)
		stop := run(t.Context(), s)
		if err := send(t.Context(), s, content(1, 100)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if gone, err := s.Acknowledge(t.Context(), p.order); err != nil || len(gone) != 1 {
			t.Errorf("Acknowledge = %v, %v", gone, err)
		}
		if _, err := s.Open(p.order[0]); !errors.Is(err, document.ErrChanged) {
			t.Errorf("Open = %v", err)
		}
		s.Release(p.order[0], errors.New("late"))
		foreign := document.Claim{Door: "dicom", Path: "../state.db"}
		if gone, err := s.Acknowledge(t.Context(), []document.Claim{foreign}); err == nil || len(gone) != 0 {
			t.Errorf("a claim of another door: %v, %v", gone, err)
		}
		if err := stop(); err != nil || s.Err() != nil {
			t.Errorf("Run = %v, Err = %v", err, s.Err())
		}
	})
}
