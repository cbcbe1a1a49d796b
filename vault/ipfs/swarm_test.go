package ipfs

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/boxo/bitswap"
	"github.com/ipfs/boxo/bitswap/message"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/boxo/blockstore"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/medanchor/medanchor/chaincode/record"
)

// patience is what the nodes of tests have with each other: long beside a read on one machine, short beside a test.
const patience = 2 * time.Second

// consortium makes places for nodes of one private swarm.
func consortium(t testing.TB, nodes int) []Options {
	t.Helper()
	all := make([]Options, nodes)
	for i := range all {
		all[i] = newOptions(t)
		all[i].Patience = patience
		all[i].SwarmKeyFile = all[0].SwarmKeyFile
	}
	return all
}

func sourceOf(name string, n *Node) Source { return Source{Name: name, Addresses: n.Addresses()} }

// unreachable is a source that nobody listens at.
func unreachable(t testing.TB) Source {
	t.Helper()
	n := open(t, newOptions(t))
	s := sourceOf("unreachable", n)
	must(t, n.Close())
	return s
}

// foreignHost is a peer of a swarm that is no node of medanchor.
func foreignHost(t testing.TB, o Options) host.Host {
	t.Helper()
	key, err := os.ReadFile(o.SwarmKeyFile)
	must(t, err)
	psk, err := pnet.DecodeV1PSK(bytes.NewReader(key))
	must(t, err)
	h, err := libp2p.New(libp2p.PrivateNetwork(psk), libp2p.NoTransports, libp2p.Transport(tcp.NewTCPTransport),
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay())
	must(t, err)
	t.Cleanup(func() { must(t, h.Close()) })
	return h
}

func sourceOfHost(t testing.TB, name string, h host.Host) Source {
	t.Helper()
	addresses, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()})
	must(t, err)
	s := Source{Name: name}
	for _, a := range addresses {
		s.Addresses = append(s.Addresses, a.String())
	}
	return s
}

// server is a bitswap server on the blocks of a node, but for what get does to them.
func server(t testing.TB, o Options, name string, n *Node, get func(context.Context, cid.Cid) (blocks.Block, error)) Source {
	t.Helper()
	h := foreignHost(t, o)
	b := bitswap.New(context.WithoutCancel(t.Context()), bsnet.NewFromIpfsHost(h), nil, meddling{n.blocks, get})
	t.Cleanup(func() { must(t, b.Close()) })
	return sourceOfHost(t, name, h)
}

type meddling struct {
	blockstore.Blockstore
	get func(context.Context, cid.Cid) (blocks.Block, error)
}

func (m meddling) Get(ctx context.Context, c cid.Cid) (blocks.Block, error) { return m.get(ctx, c) }

// boaster says that it has every block, and sends none.
func boaster(t testing.TB, o Options) (Source, host.Host) {
	t.Helper()
	h := foreignHost(t, o)
	h.SetStreamHandler(bsnet.ProtocolBitswap, func(s network.Stream) {
		defer s.Close()
		for {
			in, _, err := message.FromNet(s)
			if err != nil {
				return
			}
			out := message.New(false)
			for _, e := range in.Wantlist() {
				out.AddHave(e.Cid)
			}
			reply, err := h.NewStream(t.Context(), s.Conn().RemotePeer(), bsnet.ProtocolBitswap)
			if err != nil {
				return
			}
			_ = out.ToNetV1(reply)
			_ = reply.Close()
		}
	})
	return sourceOfHost(t, "boaster", h), h
}

// leaf gives the CID of one of a payload's leaves.
func leaf(t testing.TB, n *Node, c record.CID, i int) record.CID {
	t.Helper()
	links, err := n.links(t.Context(), toCID(c))
	must(t, err)
	id, err := fromCID(links[i].Cid)
	must(t, err)
	return id
}

// soon fails a test that waits longer than three sources and their second tries may take.
func soon(t testing.TB, began time.Time) {
	t.Helper()
	if took := time.Since(began); took > 12*patience {
		t.Errorf("took %s", took)
	}
}

// assertNoCouriers fails if a goroutine of a courier is left.
func assertNoCouriers(t testing.TB) {
	t.Helper()
	var left string
	for range 1000 { // one that has ended may not be gone at once
		if left = courierStack(); left == "" {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("a goroutine is left:\n%s", left)
}

func courierStack() string {
	stacks := make([]byte, 16<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "(*courier)") {
			return stack
		}
	}
	return ""
}
