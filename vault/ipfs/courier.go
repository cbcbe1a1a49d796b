package ipfs

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ipfs/boxo/bitswap/client/traceability"
	"github.com/ipfs/boxo/exchange"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// courier fetches blocks from sources: from the first that it reaches, and from the next where that one lacks a block
// or stalls. All its blocks come through one bitswap session. It stores nothing.
//
// A bitswap session asks every peer that is connected, says nothing of the answers, and waits for ever. So the courier
// connects and disconnects the peers, hears their answers through the tap, and keeps the time.
type courier struct {
	node    *Node
	ctx     context.Context
	cancel  context.CancelCauseFunc
	wake    chan struct{}    // has run look at what changed
	all     sync.WaitGroup   // its goroutines
	session exchange.Fetcher // run's own; made with the first block that is asked for
	// remoteOnly has it not look for blocks in the repository.
	remoteOnly bool

	mu        sync.Mutex
	ended     bool        // nothing is taken any more
	suppliers []*supplier // in the order in which they are tried
	wants     map[cid.Cid]*want
	numbered  uint64
	progress  time.Time            // when the last block came, or the wait for one began
	strangers map[peer.ID]struct{} // offered a block, and are no active supplier
	excused   bool                 // strangers were sent away since the last block
}

// want is a block that is wanted. Data and err are there once done is closed.
type want struct {
	id   cid.Cid
	done chan struct{}
	data []byte
	err  error

	// Guarded by the courier's lock.
	remote   bool // it is not here
	number   uint64
	asked    bool                // of the session
	lacks    map[*supplier]error // who does not send it, and why
	probed   map[*supplier]bool  // who was asked whether it has it
	demanded map[*supplier]bool  // who was asked for it past the session
}

// newCourier starts a courier. It ends with ctx; the caller must close it.
func (n *Node) newCourier(ctx context.Context, sources []Source, remoteOnly bool) (*courier, error) {
	c := &courier{
		node:       n,
		remoteOnly: remoteOnly,
		wake:       make(chan struct{}, 1),
		wants:      make(map[cid.Cid]*want),
		strangers:  make(map[peer.ID]struct{}),
	}
	for _, s := range sources {
		c.suppliers = append(c.suppliers, s.suppliers()...)
	}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	if err := n.tap.add(c); err != nil {
		c.cancel(err)
		return nil, err
	}
	c.all.Go(c.run)
	return c, nil
}

// close ends the courier, and waits for it. What is still wanted, or is later, fails with the cause.
func (c *courier) close(cause error) {
	c.cancel(cause)
	c.all.Wait()
	c.node.tap.remove(c)
}

// err says why the courier ended; nil while it has not.
func (c *courier) err() error {
	if c.ctx.Err() == nil {
		return nil
	}
	return context.Cause(c.ctx)
}

func (c *courier) signal() {
	select {
	case c.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// want asks for a block, and does not wait for it. Blocks come in the order in which they are wanted, more or less.
func (c *courier) want(id cid.Cid) *want {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w, ok := c.wants[id]; ok {
		return w
	}
	w := &want{
		id:       id,
		done:     make(chan struct{}),
		lacks:    make(map[*supplier]error),
		probed:   make(map[*supplier]bool),
		demanded: make(map[*supplier]bool),
	}
	switch {
	case c.ended:
		w.settle(nil, context.Cause(c.ctx))
		return w
	case isEmpty(id):
		w.settle(nil, nil) // bitswap never sends the empty block
		return w
	}
	c.wants[id] = w
	c.numbered++
	w.number = c.numbered
	if here, err := c.node.blocks.Has(c.ctx, id); err == nil && here && !c.remoteOnly {
		c.all.Go(func() { c.look(w) })
	} else {
		c.seek(w)
	}
	return w
}

// look takes a block from the repository, if it is intact there.
func (c *courier) look(w *want) {
	b, err := c.node.blocks.Get(c.ctx, w.id)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.wants[w.id] != w: // settled
	case err == nil:
		delete(c.wants, w.id)
		w.settle(b.RawData(), nil)
	default:
		c.seek(w)
	}
}

// seek has a block asked for. The caller holds the lock.
func (c *courier) seek(w *want) {
	w.remote = true
	c.signal()
}

// receive waits for a block from the session.
func (c *courier) receive(from <-chan blocks.Block) {
	for b := range from {
		c.accept(b)
	}
}

// accept takes a block from the session. Its CID is what Bitswap computed from its bytes as they came (boxo,
// bitswap/message, newMessageFromProto): other bytes have another, which nobody wants. TestFetchGoesOnWithTheNextSource holds
// it to that, with peers that send other bytes; and what the blocks hold is authenticated by age.
func (c *courier) accept(b blocks.Block) {
	id, data := b.Cid(), b.RawData()
	var from peer.ID
	if traced, ok := b.(traceability.Block); ok {
		from = traced.From
		c.node.tap.delivered(from)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w, ok := c.wants[id]
	if !ok {
		return
	}
	delete(c.wants, id)
	c.progress, c.excused = time.Now(), false
	for _, s := range c.suppliers {
		if s.at.ID == from {
			s.known, s.losses, s.heard = true, 0, c.progress
		}
	}
	w.settle(data, nil)
}

// answered hears what a peer said about blocks.
func (c *courier) answered(from peer.ID, haves, lacks []cid.Cid) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.suppliers, func(s *supplier) bool { return s.active && s.at.ID == from })
	for _, id := range haves {
		if w, ok := c.wants[id]; !ok || !w.remote {
			continue
		}
		if i >= 0 {
			c.suppliers[i].known = true
		} else {
			c.strangers[from] = struct{}{}
		}
	}
	if i < 0 {
		return
	}
	for _, id := range lacks {
		if w, ok := c.wants[id]; ok && w.lacks[c.suppliers[i]] == nil {
			w.lacks[c.suppliers[i]] = errLacks
			c.signal()
		}
	}
}

// get waits for a block that was asked for.
func (w *want) get() ([]byte, error) {
	<-w.done // the courier settles all wants at its end
	return w.data, w.err
}

func (w *want) settle(data []byte, err error) {
	w.data, w.err = data, err
	close(w.done)
}
