package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipfs/boxo/exchange"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/kubo/core"
	"github.com/ipfs/kubo/core/node/libp2p"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/medanchor/medanchor/chaincode/record"
)

// fetcher is a plain Kubo node in the hospitals' swarm, with the very settings of the vault's.
type fetcher struct{ node *core.IpfsNode }

func openFetcher(ctx context.Context, dir, swarmKey string) (*fetcher, error) {
	repo, err := openRepo(ctx, dir, swarmKey)
	if err != nil {
		return nil, err
	}
	node, err := core.NewNode(ctx, &core.BuildCfg{Online: true, Permanent: true, Routing: libp2p.NilRouterOption, Repo: repo})
	if err != nil {
		return nil, errors.Join(err, repo.Close())
	}
	return &fetcher{node}, nil
}

func (f *fetcher) close() error { return f.node.Close() }

// fetch gets all blocks of a payload in one bitswap session, all wanted at once, and drops them. It gives their size.
func (f *fetcher) fetch(ctx context.Context, holder []string, payload record.CID) (size int64, err error) {
	for _, address := range holder {
		info, err := peer.AddrInfoFromString(address)
		if err != nil {
			return 0, err
		}
		if err := f.node.PeerHost.Connect(ctx, *info); err != nil {
			return 0, err
		}
	}
	sessions, ok := f.node.Exchange.(exchange.SessionExchange)
	if !ok {
		return 0, fmt.Errorf("the exchange has no sessions: %T", f.node.Exchange)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	session := sessions.NewSession(ctx)
	root, err := cid.Decode(payload.String())
	if err != nil {
		return 0, err
	}
	return walk(ctx, session, []cid.Cid{root})
}

// walk gets blocks, and all that they link.
func walk(ctx context.Context, session exchange.Fetcher, wanted []cid.Cid) (size int64, err error) {
	for len(wanted) > 0 {
		blocks, err := session.GetBlocks(ctx, wanted)
		if err != nil {
			return size, err
		}
		got := 0
		var below []cid.Cid
		for b := range blocks {
			got++
			if b.Cid().Type() == cid.Raw {
				size += int64(len(b.RawData()))
				continue
			}
			node, err := merkledag.DecodeProtobufBlock(b)
			if err != nil {
				return size, err
			}
			for _, l := range node.Links() {
				below = append(below, l.Cid)
			}
		}
		if got != len(wanted) {
			return size, fmt.Errorf("got %d of %d blocks", got, len(wanted))
		}
		wanted = below
	}
	return size, nil
}
