package ipfs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/ipld/merkledag"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Get opens a stored payload for reading. It reads this repository only, and never waits for another: a block that is
// not here is ErrMissing, one that is damaged ErrCorrupt, from Get for a payload of one block and for the tree above
// the leaves, from Read for a leaf. It holds one leaf in memory. The reader ends with ctx; the caller must Close it.
//
// Kubo's own reader is not used because it hides why a leaf could not be read.
func (n *Node) Get(ctx context.Context, c record.CID) (io.ReadSeekCloser, error) {
	r := &reader{ctx: ctx, node: n, at: -1}
	root := toCID(c)
	if root.Type() == cid.Raw {
		if err := r.loadSingle(root); err != nil {
			return nil, err
		}
		return r, nil
	}
	var err error
	r.tree, err = outlineOf(root, func(c cid.Cid) ([]*ipld.Link, error) { return n.links(ctx, c) })
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Has says whether all blocks of a payload are in the repository. It does not read the leaves: Get does, and verifies
// them.
func (n *Node) Has(ctx context.Context, c record.CID) (bool, error) {
	return n.hasTree(ctx, toCID(c))
}

func (n *Node) hasTree(ctx context.Context, c cid.Cid) (bool, error) {
	if ok, err := n.blocks.Has(ctx, c); err != nil || !ok {
		return false, err
	}
	children, err := n.links(ctx, c)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrMissing) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, child := range children {
		if ok, err := n.hasTree(ctx, child.Cid); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// links gives the children of a block; raw blocks have none, and are not read.
func (n *Node) links(ctx context.Context, c cid.Cid) ([]*ipld.Link, error) {
	if c.Type() == cid.Raw {
		return nil, nil
	}
	block, err := n.blocks.Get(ctx, c)
	if err != nil {
		return nil, blockError(c, err)
	}
	return linksOf(block)
}

func linksOf(block blocks.Block) ([]*ipld.Link, error) {
	nd, err := merkledag.DecodeProtobufBlock(block)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", block.Cid(), err)
	}
	return nd.Links(), nil
}

// reader reads the leaves of a payload one after the other.
type reader struct {
	ctx    context.Context // of the Get: io.Reader takes none
	node   *Node
	tree   outline
	offset int64

	at   int // the leaf that is in data; -1 for none
	data []byte
}

// loadSingle reads the only block of a payload.
func (r *reader) loadSingle(root cid.Cid) error {
	r.tree = singleLeaf(root, 0)
	if err := r.load(0); err != nil {
		return err
	}
	r.tree = singleLeaf(root, len(r.data))
	return nil
}

func (r *reader) load(leaf int) error {
	id := r.tree.leaves[leaf]
	block, err := r.node.blocks.Get(r.ctx, id)
	if err != nil {
		return blockError(id, err)
	}
	r.at, r.data = leaf, block.RawData()
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	if r.offset >= r.tree.size() {
		return 0, io.EOF
	}
	leaf := r.tree.at(r.offset)
	if leaf != r.at {
		if err := r.load(leaf); err != nil {
			return 0, err
		}
	}
	if err := r.tree.check(leaf, r.data); err != nil {
		return 0, err
	}
	n := copy(p, r.data[r.offset-r.tree.start(leaf):])
	r.offset += int64(n)
	return n, nil
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	to, err := r.tree.seek(r.offset, offset, whence)
	if err != nil {
		return 0, err
	}
	r.offset = to
	return to, nil
}

func (r *reader) Close() error {
	r.data, r.at = nil, -1
	return nil
}

// blockError tells the two errors of a repository that lost something from all others.
func blockError(c cid.Cid, err error) error {
	switch {
	case ipld.IsNotFound(err):
		return fmt.Errorf("read %s: %w", c, ErrMissing)
	case errors.Is(err, blockstore.ErrHashMismatch):
		return fmt.Errorf("read %s: %w", c, ErrCorrupt)
	default:
		return fmt.Errorf("read %s: %w", c, err)
	}
}
