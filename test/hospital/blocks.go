package hospital

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ipfs/boxo/ipld/merkledag"

	"github.com/medanchor/medanchor/chaincode/record"
)

// blocks is a folder of IPFS blocks as Kubo's flatfs lays it out (/repo/flatfs/shard/v1/next-to-last/1): a block is the
// file of its multihash in base32, in the folder of that name's last letter but one.
type blocks string

// read gives a block, once its bytes are those that the CID names.
func (b blocks) read(c record.CID) ([]byte, error) {
	multihash := append([]byte{0x12, sha256.Size}, c[1:]...) // SHA2-256, its length
	name := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(multihash)
	block, err := os.ReadFile(filepath.Join(string(b), name[len(name)-2:len(name)-1], name+".data"))
	if err != nil {
		return nil, err
	}
	if sha256.Sum256(block) != [sha256.Size]byte(c[1:]) {
		return nil, fmt.Errorf("block %s: its bytes are not those that its name says", c)
	}
	return block, nil
}

// open gives a payload.
func (b blocks) open(c record.CID) (io.Reader, error) {
	leaves, err := b.leaves(c)
	return &payload{blocks: b, leaves: leaves}, err
}

// raw is the codec of a block that is no node of a tree.
const raw = 0x55

// leaves lists the raw blocks of a payload, from the first to the last: itself, or what the tree links.
func (b blocks) leaves(c record.CID) (leaves []record.CID, err error) {
	if c[0] == raw {
		return []record.CID{c}, nil
	}
	block, err := b.read(c)
	if err != nil {
		return nil, err
	}
	node, err := merkledag.DecodeProtobuf(block)
	if err != nil {
		return nil, fmt.Errorf("block %s: %w", c, err)
	}
	for _, link := range node.Links() {
		var child record.CID
		if err := child.UnmarshalText([]byte(link.Cid.String())); err != nil {
			return nil, fmt.Errorf("block %s links %s: %w", c, link.Cid, err)
		}
		below, err := b.leaves(child)
		if err != nil {
			return nil, err
		}
		leaves = append(leaves, below...)
	}
	return leaves, nil
}

// payload reads leaves one after the other.
type payload struct {
	blocks blocks
	leaves []record.CID // those to be read
	data   []byte       // the rest of the one before
}

func (p *payload) Read(to []byte) (int, error) {
	for len(p.data) == 0 {
		if len(p.leaves) == 0 {
			return 0, io.EOF
		}
		var err error
		if p.data, err = p.blocks.read(p.leaves[0]); err != nil {
			return 0, err
		}
		p.leaves = p.leaves[1:]
	}
	n := copy(to, p.data)
	p.data = p.data[n:]
	return n, nil
}
