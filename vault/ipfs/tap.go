package ipfs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ipfs/boxo/bitswap"
	"github.com/ipfs/boxo/bitswap/client"
	"github.com/ipfs/boxo/bitswap/message"
	"github.com/ipfs/kubo/core"
	"github.com/ipfs/kubo/core/node/helpers"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/fx"
)

// errClosed says that the node was closed while it was asked.
var errClosed = errors.New("IPFS node is closed")

// tap listens to what bitswap receives, and tells the couriers what bitswap keeps to itself: who said that it has a
// block, and who that it lacks it.
type tap struct {
	mu       sync.Mutex
	couriers map[*courier]struct{}
	heard    map[peer.ID]time.Time // when a peer last sent a block that was wanted
	closed   bool
}

// tapKey is where Open puts the tap into the context of the node that it builds.
type tapKey struct{}

// installTap has Kubo give a node's bitswap the tap of the context that the node is built with, and name the sender of
// each block. It concerns all nodes that are built afterwards, so it does nothing to one without a tap.
func installTap() {
	core.RegisterFXOptionFunc(func(info core.FXNodeInfo) ([]fx.Option, error) {
		return append(info.FXOptions, fx.Provide(tapOptions)), nil
	})
}

// tappedBitswap adds to the options that Kubo gives bitswap.
type tappedBitswap struct {
	fx.Out

	Options []bitswap.Option `group:"bitswap-options,flatten"`
}

func tapOptions(ctx helpers.MetricsCtx) tappedBitswap {
	t, ok := ctx.Value(tapKey{}).(*tap)
	if !ok {
		return tappedBitswap{}
	}
	return tappedBitswap{Options: []bitswap.Option{
		bitswap.WithTracer(t),
		bitswap.WithClientOption(client.WithTraceBlock(true)),
	}}
}

func newTap() *tap {
	return &tap{couriers: make(map[*courier]struct{}), heard: make(map[peer.ID]time.Time)}
}

func (t *tap) within(ctx context.Context) context.Context { return context.WithValue(ctx, tapKey{}, t) }

// watch has the couriers look at their connections when one is lost.
func (t *tap) watch(n network.Network) {
	n.Notify(&network.NotifyBundle{DisconnectedF: func(network.Network, network.Conn) {
		for _, c := range t.list() {
			c.signal()
		}
	}})
}

// MessageReceived is called by bitswap, before it looks at the message itself.
func (t *tap) MessageReceived(from peer.ID, m message.BitSwapMessage) {
	couriers := t.list()
	if len(couriers) == 0 {
		return
	}
	haves, lacks := m.Haves(), m.DontHaves()
	if len(haves) == 0 && len(lacks) == 0 {
		return
	}
	for _, c := range couriers {
		c.answered(from, haves, lacks)
	}
}

// MessageSent is not of interest.
func (t *tap) MessageSent(peer.ID, message.BitSwapMessage) {}

func (t *tap) add(c *courier) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errClosed
	}
	t.couriers[c] = struct{}{}
	return nil
}

func (t *tap) remove(c *courier) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.couriers, c)
}

func (t *tap) list() []*courier {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.couriers) == 0 {
		return nil
	}
	couriers := make([]*courier, 0, len(t.couriers))
	for c := range t.couriers {
		couriers = append(couriers, c)
	}
	return couriers
}

// delivered notes that a peer sent somebody here a block.
func (t *tap) delivered(from peer.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard[from] = time.Now()
}

func (t *tap) lastHeard(p peer.ID) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.heard[p]
}

// close ends the couriers.
func (t *tap) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	for _, c := range t.list() {
		c.cancel(errClosed)
	}
}
