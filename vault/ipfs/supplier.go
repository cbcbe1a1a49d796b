package ipfs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/boxo/bitswap/message"
	pb "github.com/ipfs/boxo/bitswap/message/pb"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
)

// Why a source is left.
var (
	errNoAddress = errors.New("no address is known")
	errSelf      = errors.New("it is this hospital")
	errLacks     = errors.New("lacks the block")
	errStalled   = errors.New("sent no block in time")
	errLost      = errors.New("connection lost")
)

// maxStrikes is how often a supplier that does send blocks may leave others out before it is left for good.
const maxStrikes = 3

// supplier is a peer that may send a courier its blocks. All but name and address is guarded by the courier's lock.
type supplier struct {
	name string
	at   peer.AddrInfo

	failed  error     // why it is asked no more
	active  bool      // connected to, and asked
	fresh   bool      // the connection was made for this courier, not found
	known   bool      // it has answered over this connection, so that bitswap asks it by itself
	losses  int       // connections lost since its last block
	strikes int       // stalls since the courier began
	heard   time.Time // when its last block came; zero for never
}

// connect reaches a peer: over the connection that is there, or a new one.
func (n *Node) connect(ctx context.Context, at peer.AddrInfo) (fresh bool, err error) {
	if at.ID == n.kubo.Identity {
		return false, errSelf
	}
	net := n.kubo.PeerHost.Network()
	if net.Connectedness(at.ID) == network.Connected {
		return false, nil
	}
	// libp2p refuses to dial again soon after a failure, for up to 5 minutes. Here every dial is somebody's read.
	if b, ok := net.(interface{ Backoff() *swarm.DialBackoff }); ok {
		b.Backoff().Clear(at.ID)
	}
	ctx, cancel := context.WithTimeout(ctx, n.patience)
	defer cancel()
	if err := n.kubo.PeerHost.Connect(ctx, at); err != nil {
		return false, fmt.Errorf("connect: %w", err)
	}
	return true, nil
}

func (n *Node) connected(p peer.ID) bool {
	return n.kubo.PeerHost.Network().Connectedness(p) == network.Connected
}

func (n *Node) disconnect(p peer.ID) {
	_ = n.kubo.PeerHost.Network().ClosePeer(p) // what cannot be closed is broken already
}

// letter is what is asked of a peer directly.
type letter struct {
	have  []cid.Cid // does it have these?
	block []cid.Cid // it shall send these
}

// send asks a peer for blocks, as bitswap does, and has a no answered. What comes back goes to bitswap and the tap.
func (n *Node) send(ctx context.Context, p peer.ID, l letter) {
	ctx, cancel := context.WithTimeout(ctx, n.patience)
	defer cancel()
	s, err := n.kubo.PeerHost.NewStream(ctx, p, bsnet.ProtocolBitswap)
	if err != nil {
		return // then it stalls
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer stop()
	msg := message.New(false)
	for _, id := range l.have {
		msg.AddEntry(id, 1, pb.Message_Wantlist_Have, true)
	}
	for _, id := range l.block {
		msg.AddEntry(id, 1, pb.Message_Wantlist_Block, true)
	}
	if err := msg.ToNetV1(s); err != nil {
		_ = s.Reset()
		return
	}
	_ = s.Close() // waits for the handshake, which a peer may owe: then it stalls
}
