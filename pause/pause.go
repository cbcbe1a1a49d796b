// Package pause says how long to wait before the next attempt at something that failed: ever longer, up to a bound.
package pause

import "time"

// Growing is a pause that doubles from First up to Last. The zero value of the rest is ready for use; it is for one goroutine.
type Growing struct {
	First, Last time.Duration
	next        time.Duration
}

// Next gives the pause before the next attempt.
func (g *Growing) Next() time.Duration {
	now := max(g.next, g.First)
	g.next = min(2*now, g.Last)
	return now
}

// Reset begins anew, after an attempt that went well.
func (g *Growing) Reset() { g.next = 0 }
