package spool_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/medanchor/medanchor/document"
)

// At the reserve an object is refused: before it comes, while it comes, and before it counts.
func TestNoObjectIsTakenAtTheReserve(t *testing.T) {
	full := fmt.Errorf("%w: make room", document.ErrNoRoom)
	var pending []int64
	room := func(int64) error { return nil }
	o := options(t)
	o.Room = func(n int64) error {
		pending = append(pending, n)
		return room(n)
	}
	s := start(t, o, &pipeline{})

	room = func(int64) error { return full }
	if _, err := s.Create(sent); !errors.Is(err, full) {
		t.Errorf("Create = %v", err)
	}
	for _, limit := range []int64{20 << 20, 39 << 20} { // half way, and in Commit
		room = func(n int64) error {
			if n > limit {
				return full
			}
			return nil
		}
		if err := send(t.Context(), s, content(1, 39<<20)); !errors.Is(err, full) {
			t.Errorf("send = %v", err)
		}
		if n, size := s.Waiting(); n != 0 || size != 0 || len(files(t, o.Path)) != 0 {
			t.Errorf("left: %d objects, %d bytes, %v", n, size, files(t, o.Path))
		}
	}
	if s.Err() != nil {
		t.Errorf("that the disk is at its reserve is not the spool's to say: %v", s.Err())
	}

	room = func(int64) error { return nil }
	if err := send(t.Context(), s, content(1, 1000)); err != nil {
		t.Fatal(err)
	}
	pending = nil
	in, err := s.Create(sent)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Discard() }()
	if len(pending) != 1 || pending[0] < 1000 || pending[0] > 3000 {
		t.Errorf("asked for %d bytes, with an object of 1000 waiting", pending)
	}
}

// A pipeline that does not keep up slows the senders; one that stands refuses them.
func TestABacklogSlowsAndThenRefuses(t *testing.T) {
	o := options(t)
	o.MaxBytes = 250_000
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Int64
		slow.Store(int64(10 * time.Second))
		p := &pipeline{take: func(document.Delivery) error {
			time.Sleep(time.Duration(slow.Load())) // of synctest's clock
			return nil
		}}
		s := start(t, o, p)
		stop := run(t.Context(), s)
		began := time.Now()
		took := func(n int) time.Duration {
			if err := send(t.Context(), s, content(n, 100_000)); err != nil {
				t.Errorf("object %d: %v", n, err)
			}
			return time.Since(began)
		}
		for n, want := range []time.Duration{0, 0, 0, 10 * time.Second, 20 * time.Second} {
			if at := took(n); at != want {
				t.Errorf("object %d is taken after %s, want %s", n, at, want)
			}
		}

		slow.Store(int64(time.Hour))
		time.Sleep(10 * time.Second) // the one under way ends; the next takes an hour
		if err := send(t.Context(), s, content(5, 100_000)); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		if err := send(t.Context(), s, content(6, 100_000)); !errors.Is(err, document.ErrNoRoom) || time.Since(before) != 30*time.Second {
			t.Errorf("after %s: %v", time.Since(before), err)
		}
		before = time.Now()
		if _, err := s.Create(sent); !errors.Is(err, document.ErrNoRoom) || time.Since(before) != 0 {
			t.Errorf("the next: after %s: %v", time.Since(before), err)
		}

		slow.Store(0)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if err := send(t.Context(), s, content(7, 100_000)); err != nil {
			t.Errorf("once it is drained: %v", err)
		}
		synctest.Wait()
		if err := stop(); err != nil || len(p.contents()) != 7 {
			t.Errorf("%d objects, %v", len(p.contents()), err)
		}
	})
}

// Commit ends with its context while it waits: the object is not taken.
func TestCommitEndsWithItsContext(t *testing.T) {
	o := options(t)
	o.MaxBytes = 1
	s := start(t, o, &pipeline{})
	if err := send(t.Context(), s, content(1, 100)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := send(ctx, s, content(2, 100)); !errors.Is(err, context.Canceled) {
		t.Errorf("send = %v", err)
	}
	if n, _ := s.Waiting(); n != 1 || len(files(t, o.Path)) != 1 {
		t.Errorf("%d objects wait, files %v", n, files(t, o.Path))
	}
}
