package ipfs

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/ipld/merkledag"
	blocks "github.com/ipfs/go-block-format"
	ipld "github.com/ipfs/go-ipld-format"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Store makes a group of payloads durable and pins them: when it returns, every block and the pin are synced to disk.
// The root names the group; Sweep asks for it. Two groups may be stored at the same time.
//
// After an error it is unknown what of the group is on disk: the process must not go on to acknowledge anything, and a
// Sweep after the restart removes what nobody knows.
func (n *Node) Store(ctx context.Context, payloads []*Payload) (record.CID, error) {
	root, err := groupRoot(payloads)
	if err != nil {
		return record.CID{}, fmt.Errorf("store payloads: %w", err)
	}
	group := []blocks.Block{root}
	for _, p := range payloads {
		group = append(group, p.held...)
	}
	written := cidsOf(group)
	n.unpinned.add(written)
	if err := n.blocks.PutMany(ctx, group); err != nil {
		return record.CID{}, fmt.Errorf("store payloads: write blocks: %w", err)
	}
	if err := n.kubo.Repo.Datastore().Sync(ctx, blockstore.BlockPrefix); err != nil {
		return record.CID{}, fmt.Errorf("store payloads: sync blocks: %w", err)
	}
	id, err := fromCID(root.Cid())
	if err != nil {
		return record.CID{}, fmt.Errorf("store payloads: %w", err)
	}
	if err := n.pin(ctx, id); err != nil {
		return record.CID{}, fmt.Errorf("store payloads: pin: %w", err)
	}
	n.unpinned.remove(written)
	for _, p := range payloads {
		n.unpinned.remove(p.spilled)
		p.held, p.spilled = nil, nil
	}
	return id, nil
}

// groupRoot links the payloads. The links have no names: the order is the caller's.
func groupRoot(payloads []*Payload) (*merkledag.ProtoNode, error) {
	if len(payloads) == 0 {
		return nil, errors.New("no payloads")
	}
	root := new(merkledag.ProtoNode)
	if err := root.SetCidBuilder(merkledag.V1CidPrefix()); err != nil {
		return nil, err
	}
	for _, p := range payloads {
		if err := root.AddRawLink("", &ipld.Link{Cid: toCID(p.CID), Size: p.tree}); err != nil {
			return nil, err
		}
	}
	return root, nil
}
