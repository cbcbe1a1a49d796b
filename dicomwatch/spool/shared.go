package spool

import "sync"

// shared lets all who wait for the same work at once share one run of it: whoever joins before a run begins is served by it.
type shared struct {
	work func() error
	turn chan struct{} // holds one value while a run is under way

	mu   sync.Mutex
	next *round // that can still be joined
}

type round struct {
	done chan struct{}
	err  error
}

func newShared(work func() error) *shared { return &shared{work: work, turn: make(chan struct{}, 1)} }

// do returns what a run of the work gave that began after the call.
func (s *shared) do() error {
	r, leads := s.join()
	if leads {
		s.lead(r)
	}
	<-r.done
	return r.err
}

// join gives the next round. Who comes first leads it.
func (s *shared) join() (r *round, leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next, leads = &round{done: make(chan struct{})}, true
	}
	return s.next, leads
}

func (s *shared) lead(r *round) {
	s.turn <- struct{}{} // meanwhile others join
	s.mu.Lock()
	s.next = nil
	s.mu.Unlock()
	r.err = s.work()
	close(r.done)
	<-s.turn
}
