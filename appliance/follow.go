package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/medanchor/medanchor/index"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/pause"
)

// The pauses between attempts to follow the channel's blocks.
const (
	followFirst = 500 * time.Millisecond
	followLast  = 15 * time.Second
)

// follow feeds the index from the channel's blocks until ctx ends. The ledger's absence is waited out; an error of the
// index itself is fatal.
func (a *App) follow(ctx context.Context) error {
	retries := pause.Growing{First: followFirst, Last: followLast}
	for ctx.Err() == nil {
		next, err := a.index.Next()
		if err != nil {
			return fmt.Errorf("read index: %w", err)
		}
		a.checkPeer(ctx, next)
		applied, err := a.followFrom(ctx, next)
		if err != nil {
			return err
		}
		if applied {
			retries.Reset()
		}
		select {
		case <-ctx.Done():
		case <-time.After(retries.Next()):
		}
	}
	return nil
}

// checkPeer asks the peer for its height. An index that knows blocks which the peer does not is told of: the stream would
// wait for them in silence.
func (a *App) checkPeer(ctx context.Context, next uint64) {
	height, err := a.ledger.Height(ctx)
	a.peer.found(err)
	if err != nil || next <= height {
		return
	}
	a.log.Error("the index is ahead of the peer: let the peer catch up; if it was reset, or this is another channel, "+
		"stop medanchor, delete index.db and start again", "next_block", next, "height", height)
}

// peer is whether the hospital's peer answered the last time that it was asked.
type peer struct {
	mu     sync.Mutex
	since  time.Time
	reason error
}

func (p *peer) found(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && p.reason == nil {
		p.since = time.Now()
	}
	p.reason = err
}

func (p *peer) away() (since time.Time, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.since, p.reason
}

// followFrom applies blocks from next on until the stream breaks. applied says whether there was any.
func (a *App) followFrom(ctx context.Context, next uint64) (applied bool, err error) {
	for block, err := range a.ledger.Blocks(ctx, next) {
		if err != nil {
			a.streamBroke(ctx, err)
			return applied, nil
		}
		err = a.index.Apply(indexBlock(block))
		if errors.Is(err, index.ErrUnreadable) {
			a.streamBroke(ctx, err)
			return applied, nil
		}
		if err != nil {
			return applied, err
		}
		applied = true
		a.releaser.Kick()
		if a.handsOver(block) {
			select {
			case a.handed <- struct{}{}:
			default:
			}
		}
	}
	return applied, nil
}

// streamBroke tells of an end of the stream that trying again may not mend, such as a block of a newer schema.
func (a *App) streamBroke(ctx context.Context, err error) {
	level := slog.LevelWarn
	if ledger.Retryable(err) {
		level = slog.LevelDebug
	}
	a.log.Log(ctx, level, "block stream broke: tried again", "err", err)
}

func indexBlock(b ledger.Block) index.Block {
	block := index.Block{Number: b.Number}
	for _, w := range b.Writes {
		block.Writes = append(block.Writes, index.Write(w))
	}
	return block
}
