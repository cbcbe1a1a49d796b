package spool

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/medanchor/medanchor/document"
)

const (
	// firstPause is how long an object that was handed back waits before it is offered again. The pause doubles each time.
	firstPause = time.Second
	maxPause   = time.Minute
)

// Run offers what waits until ctx ends, and returns nil then. Any other error is fatal: an fsync failed, and nothing more may
// be acknowledged by this process.
func (s *Spool) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var loops sync.WaitGroup
	loops.Go(func() { s.offer(ctx) })
	loops.Go(func() { s.mind(ctx) })
	select {
	case <-ctx.Done():
	case <-s.failed:
		cancel()
	}
	loops.Wait()
	return s.fatalErr()
}

// offer hands objects to the pipeline, one at a time.
func (s *Spool) offer(ctx context.Context) {
	for ctx.Err() == nil {
		o, pause := s.next(time.Now())
		if o == nil {
			s.rest(ctx, pause)
			continue
		}
		if err := s.intake.Submit(ctx, s.delivery(o)); err != nil {
			s.handBack(o, err)
		}
	}
}

// rest returns after a pause, when something new may be offered, or when ctx ends.
func (s *Spool) rest(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-s.wake:
	}
}

// next takes the object that is to be offered now; if there is none, it says how long there will be none.
func (s *Spool) next(now time.Time) (o *object, pause time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pause = maxPause
	if len(s.later) > 0 {
		pause = s.later[0].due.Sub(now)
	}
	switch {
	case pause <= 0:
		o, s.later = s.later[0], s.later[1:]
	case len(s.ready) > 0 && s.lull(now) > 0:
		return nil, min(pause, s.lull(now))
	case len(s.ready) > 0:
		o, s.ready = s.ready[0], s.ready[1:]
	default:
		return nil, pause
	}
	o.offered = true
	return o, 0
}

// lull is how long the senders have the machine for themselves: until for a while no object has begun, or become
// durable, unless too much waits, or for too long. The caller holds s.mu.
func (s *Spool) lull(now time.Time) time.Duration {
	waits := now.Sub(s.ready[0].ready)
	if s.bytes >= s.LullBytes || waits >= s.LullAge {
		return 0
	}
	return min(s.Lull-now.Sub(s.came), s.LullAge-waits)
}

// arrived notes that an object begins, or becomes durable; one that is given up is no sign of more. The caller holds s.mu.
func (s *Spool) arrived() { s.came = time.Now() }

// enqueue has an object offered, after those that are there.
func (s *Spool) enqueue(o *object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[o.name] = o
	delete(s.arriving, o.name)
	o.ready = time.Now()
	s.arrived()
	s.ready = append(s.ready, o)
	s.bytes += o.fileSize
	if s.bytes > s.MaxBytes && s.full.IsZero() {
		s.full = time.Now()
	}
	s.hint()
}

// handBack has an object offered again: at once if the pipeline only stops, else after a pause that grows.
func (s *Spool) handBack(o *object, reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects[o.name] != o || !o.offered {
		return
	}
	o.offered = false
	if errors.Is(reason, context.Canceled) {
		s.ready = slices.Insert(s.ready, 0, o)
		s.hint()
		return
	}
	if o.held == nil {
		s.Log.Warn("an object stays in the spool, and is tried again", "door", s.Name, "sender", o.from, "name", o.name, "reason", reason)
	}
	o.held = reason
	o.due = time.Now().Add(min(firstPause<<min(o.tries, 30), maxPause))
	o.tries++
	at, _ := slices.BinarySearchFunc(s.later, o.due, func(l *object, due time.Time) int { return l.due.Compare(due) })
	s.later = slices.Insert(s.later, at, o)
	s.hint()
}

// hint wakes offer.
func (s *Spool) hint() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// mind looks after the directory.
func (s *Spool) mind(ctx context.Context) {
	ticker := time.NewTicker(s.Recheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.tidy()
		}
	}
}

// tidy removes what could not be removed, and looks at the directory: whether it is there, whether it can be written to again,
// and what is in it, if it was gone or holds what could not be opened.
func (s *Spool) tidy() {
	s.mu.Lock()
	litter := maps.Clone(s.litter)
	again, trouble := s.gone != nil || len(s.aside) > 0, s.trouble != nil
	s.mu.Unlock()
	for name, h := range litter {
		s.remove(h, name)
	}
	if again || s.present(s.current()) != nil {
		_ = s.revisit() // it says so itself
	}
	if trouble {
		s.probe()
	}
}

// probe writes a file of zeros and removes it, to see whether what objects could not be written with is over. One that a stop
// leaves has no head, and goes as what is torn does.
func (s *Spool) probe() {
	h, name := s.current(), document.NewItemID(time.Now()).String()
	f, err := h.Open(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return
	}
	_, err = f.Write(make([]byte, writeSize))
	err = errors.Join(err, f.Close())
	s.remove(h, name)
	if err == nil {
		s.written()
	}
}

// written forgets what objects could not be written with: one was.
func (s *Spool) written() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble != nil {
		s.Log.Info("the spool can be written to again", "door", s.Name)
		s.trouble = nil
	}
}
