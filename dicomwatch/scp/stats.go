package scp

import (
	"maps"
	"sync"
)

// End is how an association ended.
type End string

// The ends.
const (
	EndReleased End = "released"
	EndAborted  End = "aborted"  // by the peer
	EndLost     End = "lost"     // the connection broke
	EndIdle     End = "idle"     // we aborted it: the peer kept us waiting
	EndViolated End = "violated" // we aborted it: the peer broke the protocol
	EndStopped  End = "stopped"  // we aborted it: the server ends
)

// Ends are all ends.
func Ends() []End { return []End{EndReleased, EndAborted, EndLost, EndIdle, EndViolated, EndStopped} }

// Stats count since the server was made. Maps have only what came up.
type Stats struct {
	Associations int // open now
	Accepted     uint64
	Rejected     map[Rejection]uint64
	Ended        map[End]uint64 // of the accepted
	Turned       uint64         // connections closed at once, because too many were open
	Failed       uint64         // connections that never sent a request, or sent something else; TLS handshakes included
	Echoed       uint64         // C-ECHO
	Stored       uint64         // C-STORE with success
	Refused      map[Status]uint64
	Cut          uint64 // objects whose association ended before they did: discarded
}

// counters are the Stats as they are kept.
type counters struct {
	mu sync.Mutex
	s  Stats
}

func newCounters() *counters {
	return &counters{s: Stats{
		Rejected: make(map[Rejection]uint64), Ended: make(map[End]uint64), Refused: make(map[Status]uint64),
	}}
}

func (c *counters) count(f func(s *Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.s)
}

func (c *counters) snapshot() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.s
	s.Rejected, s.Ended, s.Refused = maps.Clone(s.Rejected), maps.Clone(s.Ended), maps.Clone(s.Refused)
	return s
}
