package ipfs

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ipfs/boxo/blockstore"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"golang.org/x/sync/errgroup"

	"github.com/medanchor/medanchor/chaincode/record"
)

// repairers is how many blocks of a payload are read, and if need be fetched, at a time.
const repairers = 4

// Repair reads all blocks of a payload that is stored here, and replaces those that are missing or corrupt by what the
// sources have, durably. It gives the number of blocks that it replaced. A damaged block is written over when the other
// is there and checked, never deleted before; the pins that held it hold it again.
//
// Where no source has a block, the rest is repaired all the same, and the error is ErrUnavailable, for the first such
// block: more can be repaired when more sources are known or reachable. Under a node that is lost nothing can be. Any
// other error ends it.
//
// The payload must be one that Store pinned: of any other, a Sweep removes the blocks again.
func (n *Node) Repair(ctx context.Context, c record.CID, sources []Source) (repaired int, err error) {
	courier, err := n.newCourier(ctx, sources, true)
	if err != nil {
		return 0, fmt.Errorf("repair payload: %w", err)
	}
	defer courier.close(context.Canceled)
	r := &repair{node: n, ctx: ctx, courier: courier}
	r.group.SetLimit(repairers)
	r.tree(toCID(c), maxDepth)
	_ = r.group.Wait() // what went wrong is in r
	if err := errors.Join(r.fatal, r.unavailable); err != nil {
		return r.repaired, fmt.Errorf("repair payload: %w", err)
	}
	return r.repaired, nil
}

// repair is one run over a payload.
type repair struct {
	node    *Node
	ctx     context.Context // of the Repair
	courier *courier
	group   errgroup.Group

	mu       sync.Mutex
	repaired int
	// Of each kind the first: a payload has many blocks.
	unavailable error // goes on with the next block
	fatal       error // ends it: of the disk, or the context
}

// tree repairs a block and all that it links.
func (r *repair) tree(id cid.Cid, depth int) {
	if id.Type() == cid.Raw {
		r.group.Go(func() error {
			_, _ = r.block(id)
			return nil
		})
		return
	}
	b, ok := r.block(id)
	if !ok {
		return
	}
	children, err := linksOf(b)
	if err == nil && (depth == 0 || len(children) > maxLinks) {
		err = fmt.Errorf("walk %s: %w", id, errLayout)
	}
	if err != nil {
		r.note(err)
		return
	}
	for _, child := range children {
		r.tree(child.Cid, depth-1)
	}
}

// block gives an intact block, replaced if it was not; false if there is none.
func (r *repair) block(id cid.Cid) (blocks.Block, bool) {
	if r.ended() {
		return nil, false
	}
	b, err := r.node.blocks.Get(r.ctx, id)
	if err == nil {
		return b, true
	}
	if err = blockError(id, err); errors.Is(err, ErrMissing) || errors.Is(err, ErrCorrupt) {
		b, err = r.replace(id)
	}
	if err != nil {
		r.note(err)
		return nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.repaired++
	return b, true
}

// replace fetches a block and stores it, over what is there.
func (r *repair) replace(id cid.Cid) (blocks.Block, error) {
	data, err := r.courier.want(id).get()
	if err != nil {
		return nil, err
	}
	b, err := blocks.NewBlockWithCid(data, id)
	if err != nil {
		return nil, err
	}
	if err := r.node.blocks.Put(r.ctx, b); err != nil {
		return nil, fmt.Errorf("write %s: %w", id, err)
	}
	if err := r.node.kubo.Repo.Datastore().Sync(r.ctx, blockstore.BlockPrefix); err != nil {
		return nil, fmt.Errorf("sync %s: %w", id, err)
	}
	stored, err := r.node.blocks.Get(r.ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read back what was written: %w", blockError(id, err))
	}
	return stored, nil
}

func (r *repair) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kind := &r.fatal
	if errors.Is(err, ErrUnavailable) {
		kind = &r.unavailable
	}
	if *kind == nil {
		*kind = err
	}
}

func (r *repair) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fatal != nil
}
