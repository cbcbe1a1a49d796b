package ipfs

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ipfs/go-cid"
)

const (
	// idle is when a courier looks again that waits for nothing.
	idle = time.Hour
	// maxPatience is how many times the patience a courier waits for a supplier that serves others meanwhile.
	maxPatience = 4
	// lateness is the part of the patience after which a block is demanded: a third.
	lateness = 3
)

// run keeps each want with a supplier that may have it, until the courier ends. It alone connects and disconnects.
func (c *courier) run() {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for c.ctx.Err() == nil {
		c.noteLosses()
		c.noteStall()
		c.cover()
		c.ask()
		timer.Reset(c.untilStall())
		select {
		case <-c.wake:
		case <-timer.C:
		case <-c.ctx.Done():
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for id, w := range c.wants {
		delete(c.wants, id)
		w.settle(nil, context.Cause(c.ctx))
	}
}

// noteLosses finds suppliers that are connected no more. Each is connected to once more, and again after it has sent a
// block.
func (c *courier) noteLosses() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.suppliers {
		if !s.active || c.node.connected(s.at.ID) {
			continue
		}
		c.leave(s)
		if s.losses++; s.losses > 1 {
			s.failed = errLost
		}
	}
}

// noteStall leaves a supplier when no block has come for too long.
func (c *courier) noteStall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.waiting() || !c.stalled() {
		return
	}
	c.progress = time.Now()
	// Bitswap may be waiting for somebody else who offered the block, so the suppliers are not blamed yet.
	if len(c.strangers) > 0 && !c.excused {
		for p := range c.strangers {
			c.node.disconnect(p)
		}
		clear(c.strangers)
		c.excused = true
		return
	}
	s := c.slowest()
	if s == nil {
		return
	}
	c.node.disconnect(s.at.ID)
	c.leave(s)
	if !s.fresh {
		return // the connection may have been dead for long: it is made again
	}
	for _, w := range c.wants {
		if w.remote && w.lacks[s] == nil {
			w.lacks[s] = errStalled
		}
	}
	if s.strikes++; s.heard.IsZero() || s.strikes == maxStrikes {
		s.failed = errStalled
	}
}

// waiting says whether a block is asked for. The caller holds the lock, as for all below that do not take it.
func (c *courier) waiting() bool {
	for _, w := range c.wants {
		if w.asked {
			return true
		}
	}
	return false
}

// stalled says whether it is too long since a block came. A supplier that serves other couriers is working, and is
// given longer.
func (c *courier) stalled() bool {
	now, patience := time.Now(), c.node.patience
	since := now.Sub(c.progress)
	if since < patience {
		return false
	}
	for _, s := range c.suppliers {
		if s.active && now.Sub(c.node.tap.lastHeard(s.at.ID)) < patience && since < maxPatience*patience {
			return false
		}
	}
	return true
}

// slowest gives the active supplier that has been silent longest of those that should have sent something.
func (c *courier) slowest() *supplier {
	var slowest *supplier
	for _, s := range c.suppliers {
		if s.active && c.owes(s) && (slowest == nil || s.heard.Before(slowest.heard)) {
			slowest = s
		}
	}
	return slowest
}

func (c *courier) owes(s *supplier) bool {
	for _, w := range c.wants {
		if w.asked && w.lacks[s] == nil {
			return true
		}
	}
	return false
}

// leave counts on a supplier no more until it is connected to again.
func (c *courier) leave(s *supplier) {
	s.active, s.known = false, false
	for _, w := range c.wants {
		delete(w.probed, s)
		delete(w.demanded, s)
	}
}

// cover connects suppliers until each want has one that may have it, and gives up the wants for which there is none.
func (c *courier) cover() {
	for c.ctx.Err() == nil {
		s := c.missing()
		if s == nil {
			return
		}
		fresh, err := c.node.connect(c.ctx, s.at)
		c.mu.Lock()
		if err != nil {
			s.failed = err
		} else {
			s.active, s.fresh = true, s.fresh || fresh
			delete(c.strangers, s.at.ID)
			c.progress = time.Now()
		}
		c.mu.Unlock()
	}
}

// missing gives the supplier to connect to next; nil if none is needed.
func (c *courier) missing() *supplier {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, w := range c.wants {
		if !w.remote || c.covered(w) {
			continue
		}
		if s := c.next(w); s != nil {
			return s
		}
		delete(c.wants, id)
		w.settle(nil, c.unavailable(w))
	}
	return nil
}

func (c *courier) covered(w *want) bool {
	return slices.ContainsFunc(c.suppliers, func(s *supplier) bool { return s.active && w.lacks[s] == nil })
}

func (c *courier) next(w *want) *supplier {
	for _, s := range c.suppliers {
		if !s.active && s.failed == nil && w.lacks[s] == nil {
			return s
		}
	}
	return nil
}

func (c *courier) unavailable(w *want) error {
	e := &unavailableError{id: w.id}
	for _, s := range c.suppliers {
		reason := s.failed
		if reason == nil {
			reason = w.lacks[s]
		}
		e.names, e.reasons = append(e.names, s.name), append(e.reasons, reason)
	}
	return e
}

// ask asks the session for the wants that it does not know, and suppliers for what bitswap does not ask them.
func (c *courier) ask() {
	fresh, letters := c.unasked()
	if len(fresh) > 0 && c.session == nil {
		c.session = c.node.exchange.NewSession(c.ctx)
	}
	for _, id := range fresh {
		from, err := c.session.GetBlocks(c.ctx, []cid.Cid{id})
		if err != nil {
			return // the session has ended with ctx
		}
		c.all.Go(func() { c.receive(from) })
	}
	for s, l := range letters {
		c.all.Go(func() { c.node.send(c.ctx, s.at.ID, l) })
	}
}

// unasked takes down as asked what it gives.
func (c *courier) unasked() (fresh []cid.Cid, letters map[*supplier]letter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.waiting() {
		c.progress = time.Now() // the wait begins now
	}
	late := c.late()
	letters = make(map[*supplier]letter)
	for i, w := range c.remoteWants() {
		if !w.asked {
			w.asked = true
			fresh = append(fresh, w.id)
		}
		// Of the late ones the oldest only: if all is merely slow, what is demanded comes twice.
		if len(w.lacks) > 0 || late && i == 0 {
			c.demand(w, letters)
		} else {
			c.probe(w, letters)
		}
	}
	return fresh, letters
}

// remoteWants gives the wants that are not here, the oldest first.
func (c *courier) remoteWants() []*want {
	var wants []*want
	for _, w := range c.wants {
		if w.remote {
			wants = append(wants, w)
		}
	}
	slices.SortFunc(wants, func(a, b *want) int { return cmp.Compare(a.number, b.number) })
	return wants
}

// probe has suppliers asked whether they have a block. Bitswap asks a peer that has not answered yet in a way that a no
// is not answered.
func (c *courier) probe(w *want, letters map[*supplier]letter) {
	for _, s := range c.suppliers {
		if s.active && !s.known && !w.probed[s] {
			w.probed[s] = true
			l := letters[s]
			l.have = append(l.have, w.id)
			letters[s] = l
		}
	}
}

// demand has a supplier asked for a block past bitswap, which does not do so itself in two cases: when the peer that it
// asked first has said that it has the block, and then that it lacks it (that is how a corrupt block is answered); and
// when it has asked for a block again before the peer has taken down that it was sent (when two readers want it).
func (c *courier) demand(w *want, letters map[*supplier]letter) {
	for _, s := range c.suppliers {
		if !s.active || w.lacks[s] != nil {
			continue
		}
		if !w.demanded[s] {
			w.demanded[s] = true
			l := letters[s]
			l.block = append(l.block, w.id)
			letters[s] = l
		}
		return
	}
}

// late says whether it is time for demands.
func (c *courier) late() bool {
	return c.waiting() && time.Since(c.progress) >= c.node.patience/lateness
}

// untilStall says when to look again, if nothing happens before.
func (c *courier) untilStall() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.waiting() {
		return idle
	}
	wait := c.node.patience
	if !c.late() {
		wait /= lateness
	}
	// Not at once, when a supplier that serves others is given longer.
	return max(time.Until(c.progress.Add(wait)), c.node.patience/10, time.Millisecond)
}
