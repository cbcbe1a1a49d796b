package ipfs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/exchange"
	pinner "github.com/ipfs/boxo/pinning/pinner"
	"github.com/ipfs/kubo/core"
	"github.com/ipfs/kubo/core/node/libp2p"
	"github.com/ipfs/kubo/repo/fsrepo"

	"github.com/medanchor/medanchor/chaincode/record"
)

// What callers branch on.
var (
	// ErrMissing says that a block is not in the repository.
	ErrMissing = errors.New("block is missing")
	// ErrCorrupt says that a block's bytes are not those of its CID. Kubo does not repair it: Repair does, from another
	// hospital.
	ErrCorrupt = errors.New("block is corrupt")
	// ErrInUse says that another process has the repository open.
	ErrInUse = errors.New("IPFS repository is in use")
	// ErrSwarmKey says that the swarm key is missing or not a key: without one the node would join the public network.
	ErrSwarmKey = errors.New("swarm key refused")
)

// stopTimeout bounds Close: what Kubo has not closed by then is left to the end of the process.
const stopTimeout = 10 * time.Second

// defaultPatience is Options.Patience where it is not given.
const defaultPatience = 5 * time.Second

// Options say where a node keeps its blocks and how it is reached.
type Options struct {
	// Repo is the folder of the Kubo repository. It is made on first use; its parent must exist.
	Repo string
	// SwarmKeyFile holds the pre-shared key of the consortium's private swarm (see NewSwarmKey).
	SwarmKeyFile string
	// Listen are the TCP multiaddrs to listen on, such as /ip4/0.0.0.0/tcp/4001; none means 127.0.0.1 on a free port.
	Listen []string
	// Patience bounds how long another hospital may take to be connected to, and to send the next block, before the next
	// one is tried; zero means 5 seconds. A block has 1 MiB: over a link of less than 2 Mbit/s that is too short.
	Patience time.Duration
}

// Node is an embedded Kubo node. It is safe for concurrent use.
type Node struct {
	kubo   *core.IpfsNode
	blocks blockstore.Blockstore
	// exchange is bitswap.
	exchange exchange.SessionExchange
	tap      *tap
	patience time.Duration
	// opened are the roots that were pinned when the node opened: only these can be orphans of an earlier run.
	opened []record.CID
	// unpinned are the blocks on disk, or on their way there, that no pin holds yet because their payload is not stored.
	unpinned registry
}

// Open starts a node on the repository in o.Repo, which it makes on first use and whose settings it brings in line with
// this version's. The caller must Close it. Canceling ctx afterwards closes the node as well.
func Open(ctx context.Context, o Options) (*Node, error) {
	if err := prepareKubo(); err != nil {
		return nil, err
	}
	key, err := readSwarmKey(o.SwarmKeyFile)
	if err != nil {
		return nil, err
	}
	if err := prepareRepo(o, key); err != nil {
		return nil, fmt.Errorf("prepare IPFS repository: %w", err)
	}
	tap := newTap()
	kubo, err := start(tap.within(ctx), o.Repo)
	if err != nil {
		return nil, err
	}
	if kubo.Bitswap == nil {
		return nil, errors.Join(errors.New("start IPFS node: Kubo made no bitswap"), kubo.Close())
	}
	tap.watch(kubo.PeerHost.Network())
	n := &Node{kubo: kubo, blocks: kubo.BaseBlocks, exchange: kubo.Bitswap, tap: tap, patience: o.Patience}
	if n.patience <= 0 {
		n.patience = defaultPatience
	}
	if n.opened, err = n.roots(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("list pins: %w", err), n.Close())
	}
	return n, nil
}

func start(ctx context.Context, path string) (*core.IpfsNode, error) {
	repo, err := fsrepo.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open IPFS repository %s: %w; if it was made by another program, give medanchor a folder "+
			"of its own", path, err)
	}
	kubo, err := core.NewNode(ctx, &core.BuildCfg{
		Online:          true,
		Permanent:       true,
		Routing:         libp2p.NilRouterOption, // the setting Routing.Type is read by Kubo's own daemon only
		Repo:            repo,
		ShutdownTimeout: stopTimeout,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start IPFS node: %w; check the addresses to listen on", err), repo.Close())
	}
	return kubo, nil
}

// Close stops the node. Calls under way fail.
func (n *Node) Close() error {
	n.tap.close()
	if err := n.kubo.Close(); err != nil {
		return fmt.Errorf("stop IPFS node: %w", err)
	}
	return nil
}

// roots lists the roots that are pinned now.
func (n *Node) roots(ctx context.Context) ([]record.CID, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream on an early return
	var roots []record.CID
	for pin := range n.kubo.Pinning.RecursiveKeys(ctx, false) {
		if pin.Err != nil {
			return nil, pin.Err
		}
		root, err := fromCID(pin.Pin.Key)
		if err != nil {
			return nil, err
		}
		roots = append(roots, root)
	}
	return roots, ctx.Err()
}

func (n *Node) pin(ctx context.Context, root record.CID) error {
	return n.kubo.Pinning.PinWithMode(ctx, toCID(root), pinner.Recursive, "")
}

// Blocks counts the blocks in the repository. It lists them all: for tests and diagnosis.
func (n *Node) Blocks(ctx context.Context) (int, error) {
	count := 0
	err := n.eachBlock(ctx, func(digest) { count++ })
	return count, err
}
