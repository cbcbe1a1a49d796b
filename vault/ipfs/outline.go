package ipfs

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

const (
	// maxDepth is how many levels of nodes a payload has at most above its leaves: enough for 5 TiB.
	maxDepth = 3
	// maxLeaves bounds the memory that the outline of another hospital's payload takes: 1 TiB has so many leaves.
	maxLeaves = 1 << 20
)

// errLayout says that a tree is not laid out as Import lays it out.
var errLayout = errors.New("not the tree of a payload")

// outline says which leaf of a payload holds which of its bytes.
type outline struct {
	leaves []cid.Cid
	ends   []int64 // of each leaf, as an offset in the payload
}

// outlineOf walks the tree under a root node, from the left to the right. It refuses a tree that Import does not make,
// so that nobody can make a small tree that links more than memory holds.
func outlineOf(root cid.Cid, links func(cid.Cid) ([]*ipld.Link, error)) (outline, error) {
	var o outline
	err := o.addNode(root, maxDepth, links)
	return o, err
}

// singleLeaf is the outline of a payload of one block: there is no link that says how long it is.
func singleLeaf(leaf cid.Cid, size int) outline {
	return outline{leaves: []cid.Cid{leaf}, ends: []int64{int64(size)}}
}

func (o *outline) addNode(node cid.Cid, depth int, links func(cid.Cid) ([]*ipld.Link, error)) error {
	if depth == 0 {
		return fmt.Errorf("walk %s: more than %d levels: %w", node, maxDepth, errLayout)
	}
	children, err := links(node)
	if err != nil {
		return err
	}
	if len(children) > maxLinks {
		return fmt.Errorf("walk %s: more than %d links: %w", node, maxLinks, errLayout)
	}
	for _, child := range children {
		if _, err := fromCID(child.Cid); err != nil {
			return err
		}
		if child.Cid.Type() == cid.Raw {
			err = o.addLeaf(child)
		} else {
			err = o.addNode(child.Cid, depth-1, links)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addLeaf appends a leaf. The link to it says how long it is.
func (o *outline) addLeaf(l *ipld.Link) error {
	if l.Size > chunkSize {
		return fmt.Errorf("walk to %s: a leaf of %d bytes: %w", l.Cid, l.Size, errLayout)
	}
	if len(o.leaves) == maxLeaves {
		return fmt.Errorf("walk to %s: more than %d leaves: %w", l.Cid, maxLeaves, errLayout)
	}
	o.ends = append(o.ends, o.size()+int64(l.Size))
	o.leaves = append(o.leaves, l.Cid)
	return nil
}

// size of the payload, in bytes.
func (o *outline) size() int64 {
	if len(o.ends) == 0 {
		return 0
	}
	return o.ends[len(o.ends)-1]
}

// at finds the leaf that holds the byte at an offset before the end.
func (o *outline) at(offset int64) int {
	return sort.Search(len(o.ends), func(i int) bool { return o.ends[i] > offset })
}

// start is the offset of a leaf in the payload.
func (o *outline) start(leaf int) int64 {
	if leaf == 0 {
		return 0
	}
	return o.ends[leaf-1]
}

// check says whether a leaf is as long as the link to it says.
func (o *outline) check(leaf int, data []byte) error {
	if int64(len(data)) != o.ends[leaf]-o.start(leaf) {
		return fmt.Errorf("read %s: its link names another length: %w", o.leaves[leaf], ErrCorrupt)
	}
	return nil
}

// seek gives the offset that io.Seeker's arguments mean.
func (o *outline) seek(current, offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += current
	case io.SeekEnd:
		offset += o.size()
	}
	if offset < 0 {
		return 0, errors.New("seek payload: before its start")
	}
	return offset, nil
}
