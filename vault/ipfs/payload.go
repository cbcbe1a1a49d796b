package ipfs

import (
	"context"
	"errors"
	"fmt"
	"io"

	chunk "github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"

	"github.com/medanchor/medanchor/chaincode/record"
)

const (
	// chunkSize is the size of a leaf, in bytes: --chunker=size-1048576.
	chunkSize = 1 << 20
	// maxLinks is how many children a UnixFS node has at most: Kubo's default for files.
	maxLinks = 174
	// spillSize is how many bytes of a large payload are gathered before they are written, while the next are read.
	spillSize = 8 << 20
)

// Payload is one imported stream. It is stored with others by Store, or given up by Discard.
type Payload struct {
	CID  record.CID
	Size int64 // in bytes

	node    *Node
	tree    uint64         // size of all its blocks, for the link to it
	held    []blocks.Block // the one block of a small payload
	spilled []cid.Cid      // the blocks of a large one, which are on disk already
}

// Import reads r to its end. A payload of one block is held in memory until it is stored; of a larger one the blocks
// are written as they come, so that it takes about 20 MiB of memory whatever its size. An error of r is passed on, and
// leaves nothing behind.
func (n *Node) Import(ctx context.Context, r io.Reader) (*Payload, error) {
	in := &source{Reader: r}
	s := &sink{ctx: ctx, node: n}
	p, err := build(in, s)
	if err != nil {
		// The group being written must be on disk before it can be deleted.
		given := &Payload{node: n, spilled: s.spilled}
		return nil, errors.Join(fmt.Errorf("import payload: %w", err), s.wait(), given.Discard(context.WithoutCancel(ctx)))
	}
	return p, nil
}

func build(in *source, s *sink) (*Payload, error) {
	root, err := layout(in, s)
	if err != nil {
		return nil, err
	}
	if in.err != nil {
		return nil, in.err
	}
	if err := s.finish(); err != nil {
		return nil, err
	}
	id, err := fromCID(root.Cid())
	if err != nil {
		return nil, err
	}
	tree, err := root.Size()
	if err != nil {
		return nil, err
	}
	return &Payload{CID: id, Size: in.n, node: s.node, tree: tree, held: s.group, spilled: s.spilled}, nil
}

// layout builds the balanced tree over r. The builder works from the bottom up, and keeps only the links of the nodes
// that are not complete yet.
func layout(r io.Reader, s *sink) (ipld.Node, error) {
	params := helpers.DagBuilderParams{
		Maxlinks:   maxLinks,
		RawLeaves:  true,
		CidBuilder: merkledag.V1CidPrefix(),
		Dagserv:    s,
	}
	builder, err := params.New(chunk.NewSizeSplitter(r, chunkSize))
	if err != nil {
		return nil, err
	}
	return balanced.Layout(builder)
}

// Discard gives up a payload that was not stored, and deletes what Import wrote of it. On a stored payload it does
// nothing.
func (p *Payload) Discard(ctx context.Context) error {
	var errs []error
	for _, c := range p.spilled {
		errs = append(errs, p.node.blocks.DeleteBlock(ctx, c))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("discard payload: %w", err)
	}
	p.node.unpinned.remove(p.spilled)
	p.held, p.spilled = nil, nil
	return nil
}

// source counts what is read, and remembers how reading failed: the chunker takes an io.ErrUnexpectedEOF of the reader
// for its end.
type source struct {
	io.Reader
	n   int64
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// sink takes the blocks of one payload from the tree builder. While one group of blocks is written, the next is read.
type sink struct {
	ipld.DAGService // nil: the builder only adds

	ctx     context.Context // of the Import; the builder calls Add with a context of its own
	node    *Node
	group   []blocks.Block // not written yet
	size    int            // of group, in bytes
	spilled []cid.Cid      // written, or being written
	writing chan error     // gives the result of the group being written; nil if none is
}

// Add takes a node from the builder.
func (s *sink) Add(_ context.Context, nd ipld.Node) error {
	s.group = append(s.group, nd)
	s.size += len(nd.RawData())
	if s.size < spillSize {
		return nil
	}
	return s.spill()
}

// finish writes what is left of a payload of several blocks.
func (s *sink) finish() error {
	if len(s.spilled) == 0 && len(s.group) == 1 {
		return nil
	}
	if err := s.spill(); err != nil {
		return err
	}
	return s.wait()
}

// spill begins to write the group, once the one before it is written.
func (s *sink) spill() error {
	if err := s.wait(); err != nil {
		return err
	}
	group := s.group
	s.group, s.size = nil, 0

	cids := cidsOf(group)
	s.node.unpinned.add(cids) // before the first block can be listed by a sweep
	s.spilled = append(s.spilled, cids...)

	done := make(chan error, 1)
	s.writing = done
	go func() { done <- s.node.blocks.PutMany(s.ctx, group) }()
	return nil
}

func (s *sink) wait() error {
	if s.writing == nil {
		return nil
	}
	err := <-s.writing
	s.writing = nil
	return err
}

func cidsOf(group []blocks.Block) []cid.Cid {
	cids := make([]cid.Cid, len(group))
	for i, b := range group {
		cids[i] = b.Cid()
	}
	return cids
}
