package ipfs

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Alias gives a stored payload a second CID: that of a new root over the same leaves, told from any other root by a random
// modification time (UnixFS 1.5). The bytes do not move, and the two CIDs tell nobody that they belong together who does
// not fetch the roots. To be stored by Store.
func (n *Node) Alias(ctx context.Context, c record.CID) (*Payload, error) {
	root, size, err := n.secondRoot(ctx, toCID(c))
	if err != nil {
		return nil, fmt.Errorf("alias %s: %w", c, err)
	}
	id, err := fromCID(root.Cid())
	if err != nil {
		return nil, err
	}
	tree, err := root.Size()
	if err != nil {
		return nil, err
	}
	return &Payload{CID: id, Size: size, node: n, tree: tree, held: []blocks.Block{root}}, nil
}

// secondRoot makes a node with the children of a payload's root; of a payload of one block, with that block as its child.
func (n *Node) secondRoot(ctx context.Context, c cid.Cid) (root *merkledag.ProtoNode, size int64, err error) {
	file := unixfs.NewFSNode(unixfs.TFile)
	file.SetModTime(randomTime())
	var children []*ipld.Link
	if c.Type() == cid.Raw {
		length, err := n.blocks.GetSize(ctx, c)
		if err != nil {
			return nil, 0, blockError(c, err)
		}
		children = []*ipld.Link{{Cid: c, Size: uint64(length)}} //nolint:gosec // not negative
		file.AddBlockSize(uint64(length))                       //nolint:gosec // not negative
	} else {
		old, err := n.fileNode(ctx, c)
		if err != nil {
			return nil, 0, err
		}
		if children, err = n.links(ctx, c); err != nil {
			return nil, 0, err
		}
		for _, s := range old.BlockSizes() {
			file.AddBlockSize(s)
		}
	}
	data, err := file.GetBytes()
	if err != nil {
		return nil, 0, err
	}
	root = merkledag.NodeWithData(data)
	if err := root.SetCidBuilder(merkledag.V1CidPrefix()); err != nil {
		return nil, 0, err
	}
	for _, child := range children {
		if err := root.AddRawLink("", child); err != nil {
			return nil, 0, err
		}
	}
	return root, int64(file.FileSize()), nil //nolint:gosec // a payload's size
}

// fileNode reads the UnixFS part of a node.
func (n *Node) fileNode(ctx context.Context, c cid.Cid) (*unixfs.FSNode, error) {
	block, err := n.blocks.Get(ctx, c)
	if err != nil {
		return nil, blockError(c, err)
	}
	nd, err := merkledag.DecodeProtobufBlock(block)
	if err != nil {
		return nil, err
	}
	proto, ok := nd.(*merkledag.ProtoNode)
	if !ok {
		return nil, errors.New("not a node of a payload")
	}
	return unixfs.FSNodeFromBytes(proto.Data())
}

// randomTime has 62 random bits.
func randomTime() time.Time {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	bits := binary.BigEndian.Uint64(b[:])
	return time.Unix(int64(bits>>32), int64(bits&(1<<30-1))%1e9)
}
