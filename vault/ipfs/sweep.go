package ipfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ipfs/boxo/blockstore"
	pinner "github.com/ipfs/boxo/pinning/pinner"
	"github.com/ipfs/go-cid"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Sweep removes what an unclean stop left behind: the pins of groups that keep does not know, and the blocks that no
// remaining pin reaches. It returns how many blocks it removed. keep is asked only for groups that were pinned when the
// node opened, so that Import and Store may go on meanwhile. It takes 32 bytes of memory per block in the repository.
//
// A kept group with a missing or corrupt node stops it before a block is removed: what that node links is unknown.
func (n *Node) Sweep(ctx context.Context, keep func(root record.CID) bool) (removed int, err error) {
	if err := n.unpinStale(ctx, keep); err != nil {
		return 0, fmt.Errorf("sweep: %w", err)
	}
	// The order matters. A block that is listed and not registered as unpinned belongs to a pin that stands by now, or
	// to none: the pins are read after the listing.
	candidates, err := n.candidates(ctx)
	if err != nil {
		return 0, fmt.Errorf("sweep: list blocks: %w", err)
	}
	if err := n.spareReachable(ctx, candidates); err != nil {
		return 0, fmt.Errorf("sweep: %w", err)
	}
	for i, d := range candidates.digests {
		if candidates.spared[i] {
			continue
		}
		if err := n.blocks.DeleteBlock(ctx, toCID(record.CID(append([]byte{cid.Raw}, d[:]...)))); err != nil {
			return removed, fmt.Errorf("sweep: delete block: %w", err)
		}
		removed++
	}
	return removed, nil
}

func (n *Node) unpinStale(ctx context.Context, keep func(root record.CID) bool) error {
	for _, root := range n.opened {
		if keep(root) {
			continue
		}
		err := n.kubo.Pinning.Unpin(ctx, toCID(root), true)
		if err != nil && !errors.Is(err, pinner.ErrNotPinned) { // not pinned: by an earlier sweep
			return fmt.Errorf("unpin: %w", err)
		}
	}
	return nil
}

// candidates are blocks that may be removed: sorted, and spared where they turn out to be reachable.
type candidates struct {
	digests []digest
	spared  []bool
}

func (n *Node) candidates(ctx context.Context) (*candidates, error) {
	c := new(candidates)
	err := n.eachBlock(ctx, func(d digest) {
		if !n.unpinned.has(d) {
			c.digests = append(c.digests, d)
		}
	})
	slices.SortFunc(c.digests, compareDigests)
	c.spared = make([]bool, len(c.digests))
	return c, err
}

func (c *candidates) spare(id cid.Cid) {
	d, ok := digestOf(id)
	if !ok {
		return
	}
	if i, found := slices.BinarySearchFunc(c.digests, d, compareDigests); found {
		c.spared[i] = true
	}
}

func compareDigests(a, b digest) int { return bytes.Compare(a[:], b[:]) }

// spareReachable spares what the pins reach, and Kubo's own root folder, which has no pin.
func (n *Node) spareReachable(ctx context.Context, c *candidates) error {
	folder, err := n.kubo.FilesRoot.GetDirectory().GetNode()
	if err != nil {
		return fmt.Errorf("find Kubo's root folder: %w", err)
	}
	c.spare(folder.Cid())

	roots, err := n.roots(ctx)
	if err != nil {
		return fmt.Errorf("list pins: %w", err)
	}
	for _, root := range roots {
		if err := n.spareTree(ctx, c, toCID(root)); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) spareTree(ctx context.Context, c *candidates, id cid.Cid) error {
	c.spare(id)
	children, err := n.links(ctx, id)
	if err != nil {
		return err
	}
	for _, child := range children {
		if err := n.spareTree(ctx, c, child.Cid); err != nil {
			return err
		}
	}
	return nil
}

// eachBlock calls f with every block in the repository, and fails if it could not list them all.
func (n *Node) eachBlock(ctx context.Context, f func(digest)) error {
	lister, ok := n.blocks.(blockstore.AllKeysChanWithErrer)
	if !ok {
		return errors.New("list blocks: the blockstore cannot tell whether a listing is complete")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	keys, finish, err := lister.AllKeysChanWithErr(ctx)
	if err != nil {
		return err
	}
	for key := range keys {
		if d, ok := digestOf(key); ok {
			f(d)
		}
	}
	return finish()
}
