package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// batch is one group commit.
type batch struct {
	items  []*prepared
	bytes  int64
	stored chan stored // one value, once the blocks are durable
}

type stored struct {
	root record.CID
	err  error
}

func (b *batch) full() bool { return len(b.items) >= groupItems || b.bytes >= groupBytes }

// gather cuts what the workers prepare into groups, and has up to groupsInFlight of them store their blocks at once.
// It ends when all workers are gone; after an error it stops them, and receives on so that none waits for it.
func (p *Pipeline) gather(ctx context.Context, stop func(), in <-chan *prepared, order chan<- *batch) error {
	var failed error
	for b := p.fill(in); b != nil; b = p.fill(in) {
		if failed == nil {
			failed = p.resolve(ctx, b)
		}
		if failed != nil {
			p.failed.Store(true)
			stop()
			<-p.slots
			continue
		}
		go p.store(ctx, b)
		order <- b // commitInOrder receives until order is closed
	}
	return failed
}

// fill returns the next group, with a slot to store it; nil once the workers are gone. It lingers for what is in the workers'
// hands, and on for as long as no slot is free: each group costs the disk the same, however many items are in it.
func (p *Pipeline) fill(in <-chan *prepared) *batch {
	first, ok := <-in
	if !ok {
		return nil
	}
	b := &batch{items: []*prepared{first}, bytes: first.item.Size, stored: make(chan stored, 1)}
	began, linger := time.Now(), time.NewTicker(groupLinger)
	defer linger.Stop()
	var slot chan<- struct{}
	for {
		if b.full() {
			in, slot = nil, p.slots
		}
		select {
		case it, ok := <-in:
			if !ok {
				in, slot = nil, p.slots
				continue
			}
			b.items = append(b.items, it)
			b.bytes += it.item.Size
		case <-linger.C:
			if p.inHand.Load() == 0 || time.Since(began) >= groupWait {
				slot = p.slots
			}
		case slot <- struct{}{}:
			return b
		}
	}
}

// resolve tells, for each item of the group, whether it is the first of its kind, a variant or a duplicate of what is
// durable or in an earlier place of a group in flight.
func (p *Pipeline) resolve(ctx context.Context, b *batch) error {
	p.deciding.Lock()
	defer p.deciding.Unlock()
	kept := b.items[:0]
	for _, it := range b.items {
		err := p.resolveItem(ctx, it)
		if held, ok := errors.AsType[*heldError](err); ok {
			p.handBack(it.delivery, held.reason)
			continue
		}
		if err != nil {
			return err
		}
		kept = append(kept, it)
	}
	b.items = kept
	return nil
}

func (p *Pipeline) resolveItem(ctx context.Context, it *prepared) error {
	if it.claimed {
		return nil
	}
	first, err := p.first(ctx, it)
	if err != nil {
		return errors.Join(err, it.payload.Discard(ctx))
	}
	if first != (document.ItemID{}) {
		it.item.State, it.item.Reason, it.item.First = document.Duplicate, "", first
		it.item.CID, it.header = record.CID{}, nil
		p.inFlight.addRepeat(first)
		return it.payload.Discard(ctx)
	}
	if it.item.Reason != "" {
		it.item.State = document.Quarantined
		p.inFlight.addContent(&it.item)
		return nil
	}
	it.item.State = document.Queued
	if it.item.Copy == nil { // what a copy is a variant of, its first holder said
		if err := p.relate(&it.item); err != nil {
			return err
		}
	}
	p.inFlight.addDocument(&it.item)
	return nil
}

// first returns the item that has the same content already: zero if this one is the first. In flight is asked before
// what is durable, because groups move from the one to the other.
func (p *Pipeline) first(ctx context.Context, it *prepared) (document.ItemID, error) {
	if p.onlyItsPlaceTells(&it.item) {
		return document.ItemID{}, nil
	}
	if id, ok := p.inFlight.first(&it.item); ok {
		return id, nil
	}
	first, found, err := p.durable(&it.item)
	if err != nil || !found {
		return document.ItemID{}, err
	}
	return first.ID, p.whole(ctx, &first)
}

// onlyItsPlaceTells says whether nothing but where a file was found can tell yet whose it is: the same bytes elsewhere may be
// somebody else's, and stay for a person, or for a better rule.
func (p *Pipeline) onlyItsPlaceTells(item *document.Item) bool {
	if item.Reason == "" || item.Metadata.Format == document.FormatDICOM {
		return false
	}
	_, nobody := p.Rules.Check(item.Metadata.Patient)
	return nobody != ""
}

// whole is nil if an item's blocks are there; a heldError if some are not.
func (p *Pipeline) whole(ctx context.Context, item *document.Item) error {
	whole, err := p.Blocks.Has(ctx, item.CID)
	if err == nil && !whole {
		err = &heldError{fmt.Errorf("its first copy, item %s, has lost blocks: restore them from a backup or another holder", item.ID)}
	}
	return err
}

// durable returns the item that keeps the content of this one: the carrier of its document, or, where this one cannot be
// anchored, the one in quarantine.
func (p *Pipeline) durable(item *document.Item) (first document.Item, found bool, err error) {
	if item.Reason != "" {
		return p.Known.Quarantined(item.Digest, item.Metadata.Patient)
	}
	return p.Known.Carrier(item.Tag)
}

// store makes the group's blocks durable, and frees its slot.
func (p *Pipeline) store(ctx context.Context, b *batch) {
	defer func() { <-p.slots }()
	var payloads []Payload
	for _, it := range b.items {
		if it.header != nil {
			payloads = append(payloads, it.payload)
		}
	}
	if len(payloads) == 0 {
		b.stored <- stored{}
		return
	}
	root, err := p.Blocks.Store(ctx, payloads)
	if err != nil {
		err = fmt.Errorf("store %d payloads: %w", len(payloads), err)
	}
	b.stored <- stored{root, err}
}

// commitInOrder makes groups durable in the order in which they were cut, and passes them on. After an error it stops the
// workers and passes on nothing more; it waits for the groups that store their blocks.
func (p *Pipeline) commitInOrder(stop func(), order <-chan *batch, committed chan<- *batch) error {
	var failed error
	for b := range order {
		s := <-b.stored
		if failed != nil || p.failed.Load() {
			continue
		}
		if failed = p.commit(b, s, p.takeForget()); failed != nil {
			p.failed.Store(true)
			stop()
			continue
		}
		committed <- b // acknowledge receives until committed is closed
	}
	return failed
}

const (
	// groupsToTell is how many groups may wait for a door that is slow to dispose of its files. It is also how many deliveries
	// such a door may not have heard of, so that no group waits to be waiting.
	groupsToTell = 1024
	// tellAfterStop is how long doors are still told once the pipeline is to end. What is not told by then is found claimed by
	// the next run, and acknowledged again.
	tellAfterStop = 10 * time.Second
)

// acknowledge tells the doors of the groups that are durable, each door in order and by itself: one whose disk is slow holds up
// neither the others nor the next commit. When all are told, it makes durable what they forgot.
func (p *Pipeline) acknowledge(ctx context.Context, committed <-chan *batch) error {
	telling, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	unhook := context.AfterFunc(ctx, func() { time.AfterFunc(tellAfterStop, giveUp) })
	defer unhook()
	groups := make(map[document.Door]chan []document.Claim)
	var doors sync.WaitGroup
	for b := range committed {
		for door, claims := range b.claims() {
			if groups[door] == nil {
				its := make(chan []document.Claim, groupsToTell)
				groups[door] = its
				doors.Go(func() { p.tell(telling, door, its) })
			}
			groups[door] <- claims
		}
	}
	for _, g := range groups {
		close(g)
	}
	doors.Wait()
	if forget := p.takeForget(); !p.failed.Load() && len(forget) > 0 {
		return p.commit(&batch{}, stored{}, forget)
	}
	return nil
}

// tell tells one door of its groups, until ctx ends. After an error of the pipeline it tells nothing more.
func (p *Pipeline) tell(ctx context.Context, door document.Door, groups <-chan []document.Claim) {
	for claims := range groups {
		if p.failed.Load() || ctx.Err() != nil {
			continue
		}
		gone, err := door.Acknowledge(context.WithoutCancel(ctx), claims)
		if err != nil {
			// The claims stay: what is still there is found claimed, and acknowledged again; of the rest the sweep forgets them.
			p.Log.Error("acknowledge at the door: the files are safe, and are tried again", "err", err)
		}
		p.mu.Lock()
		p.forget = append(p.forget, gone...)
		p.mu.Unlock()
		for _, c := range claims {
			<-p.shares.of(c.Door).untold
		}
	}
}

// claims are those of a group, by their doors.
func (b *batch) claims() map[document.Door][]document.Claim {
	claims := make(map[document.Door][]document.Claim)
	for _, it := range b.items {
		claims[it.delivery.Door] = append(claims[it.delivery.Door], it.delivery.Claim)
	}
	return claims
}

func (p *Pipeline) commit(b *batch, s stored, forget []document.Claim) error {
	if s.err != nil {
		return s.err
	}
	c := document.Commit{Root: s.root, Forget: forget}
	queued := 0
	for _, it := range b.items {
		if it.claimed {
			continue
		}
		c.Entries = append(c.Entries, document.Entry{Item: it.item, Claim: it.delivery.Claim, Header: it.header})
		if it.header != nil {
			p.Trace(document.StepStored)
		}
		if it.item.State == document.Queued {
			queued++
		}
	}
	if len(c.Entries) == 0 && len(c.Forget) == 0 {
		return nil
	}
	if err := p.Journal.Commit(c); err != nil {
		return err
	}
	for range c.Forget {
		p.Trace(document.StepForgotten)
	}
	for i := range c.Entries {
		p.Trace(c.Entries[i].Item.State.Taken())
		p.inFlight.remove(&c.Entries[i].Item)
		p.logEntry(&c.Entries[i].Item)
	}
	if queued > 0 {
		p.Queued()
	}
	return nil
}

func (p *Pipeline) logEntry(item *document.Item) {
	if item.State == document.Quarantined {
		p.Log.Warn("item quarantined: its bytes are kept sealed",
			"item", item.ID, "door", item.Door, "reason", item.Reason)
		return
	}
	p.Log.Debug("item durable", "item", item.ID, "door", item.Door, "state", item.State)
}

func (p *Pipeline) takeForget() []document.Claim {
	p.mu.Lock()
	defer p.mu.Unlock()
	forget := p.forget
	p.forget = nil
	return forget
}
