package e2e

import (
	"bytes"
	"context"
	"testing"

	"github.com/ipfs/boxo/bitswap"                  //nolint:depguard // a peer that lies is none of vault/ipfs
	"github.com/ipfs/boxo/bitswap/network/bsnet"    //nolint:depguard // the same
	"github.com/ipfs/boxo/blockstore"               //nolint:depguard // the same
	blocks "github.com/ipfs/go-block-format"        //nolint:depguard // the same
	"github.com/ipfs/go-cid"                        //nolint:depguard // the same
	"github.com/ipfs/go-datastore"                  //nolint:depguard // the same
	"github.com/libp2p/go-libp2p"                   //nolint:depguard // the same
	"github.com/libp2p/go-libp2p/core/peer"         //nolint:depguard // the same
	"github.com/libp2p/go-libp2p/core/pnet"         //nolint:depguard // the same
	"github.com/libp2p/go-libp2p/p2p/transport/tcp" //nolint:depguard // the same
)

// lyingPeer is a peer of the swarm that has other bytes for every block. It gives its addresses, as they are registered.
func lyingPeer(t *testing.T, swarmKey []byte) (addresses []string) {
	t.Helper()
	key, err := pnet.DecodeV1PSK(bytes.NewReader(swarmKey))
	if err != nil {
		t.Fatal(err)
	}
	host, err := libp2p.New(libp2p.PrivateNetwork(key), libp2p.NoTransports, libp2p.Transport(tcp.NewTCPTransport),
		libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay())
	if err != nil {
		t.Fatal(err)
	}
	server := bitswap.New(context.WithoutCancel(t.Context()), bsnet.NewFromIpfsHost(host), nil,
		lies{blockstore.NewBlockstore(datastore.NewMapDatastore())})
	t.Cleanup(func() {
		server.Close()
		host.Close()
	})
	at, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: host.ID(), Addrs: host.Addrs()})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range at {
		addresses = append(addresses, a.String())
	}
	return addresses
}

// lies is a store that has every block, as other bytes.
type lies struct{ blockstore.Blockstore }

var otherBytes = bytes.Repeat([]byte("other bytes "), 1000)

// Has implements blockstore.Blockstore.
func (lies) Has(context.Context, cid.Cid) (bool, error) { return true, nil }

// GetSize implements blockstore.Blockstore.
func (lies) GetSize(context.Context, cid.Cid) (int, error) { return len(otherBytes), nil }

// Get implements blockstore.Blockstore.
func (lies) Get(_ context.Context, c cid.Cid) (blocks.Block, error) {
	return blocks.NewBlockWithCid(otherBytes, c)
}
