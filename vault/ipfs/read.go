package ipfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/ipld/merkledag"
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
	if err := r.addTree(&ipld.Link{Cid: toCID(c)}); err != nil {
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
	nd, err := merkledag.DecodeProtobufBlock(block)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", c, err)
	}
	return nd.Links(), nil
}

// reader reads the leaves of a payload one after the other.
type reader struct {
	ctx    context.Context // of the Get: io.Reader takes none
	node   *Node
	leaves []cid.Cid
	ends   []int64 // of each leaf, as an offset in the payload
	offset int64

	at   int // the leaf that is in data; -1 for none
	data []byte
}

// addTree appends the leaves under a link, from the left to the right.
func (r *reader) addTree(l *ipld.Link) error {
	if l.Cid.Type() == cid.Raw {
		return r.addLeaf(l)
	}
	children, err := r.node.links(r.ctx, l.Cid)
	if err != nil {
		return err
	}
	for _, child := range children {
		if err := r.addTree(child); err != nil {
			return err
		}
	}
	return nil
}

// addLeaf appends a leaf. The link to one says how long it is; a payload's only block has no link to it, and is read.
func (r *reader) addLeaf(l *ipld.Link) error {
	r.leaves = append(r.leaves, l.Cid)
	size := int64(l.Size) //nolint:gosec // at most the 1 MiB of a block, and checked against it
	if len(r.ends) == 0 && size == 0 {
		if err := r.load(0); err != nil {
			return err
		}
		size = int64(len(r.data))
	}
	r.ends = append(r.ends, r.size()+size)
	return nil
}

func (r *reader) size() int64 {
	if len(r.ends) == 0 {
		return 0
	}
	return r.ends[len(r.ends)-1]
}

func (r *reader) load(leaf int) error {
	id := r.leaves[leaf]
	block, err := r.node.blocks.Get(r.ctx, id)
	if err != nil {
		return blockError(id, err)
	}
	r.at, r.data = leaf, block.RawData()
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	if r.offset >= r.size() {
		return 0, io.EOF
	}
	leaf := sort.Search(len(r.ends), func(i int) bool { return r.ends[i] > r.offset })
	if leaf != r.at {
		if err := r.load(leaf); err != nil {
			return 0, err
		}
	}
	start := int64(0)
	if leaf > 0 {
		start = r.ends[leaf-1]
	}
	if int64(len(r.data)) != r.ends[leaf]-start {
		return 0, fmt.Errorf("read %s: its link names another length: %w", r.leaves[leaf], ErrCorrupt)
	}
	n := copy(p, r.data[r.offset-start:])
	r.offset += int64(n)
	return n, nil
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.size()
	}
	if offset < 0 {
		return 0, errors.New("seek payload: before its start")
	}
	r.offset = offset
	return offset, nil
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
