package ipfs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"

	"github.com/medanchor/medanchor/chaincode/record"
)

// ErrUnavailable says that no source could be had a block from: each was out of reach, sent nothing in time, or lacks
// it. The error says which, by the sources' names. Trying again later may help.
var ErrUnavailable = errors.New("no hospital sent it")

// unavailableError says of each source why it was no help.
type unavailableError struct {
	id      cid.Cid
	names   []string
	reasons []error
}

func (e *unavailableError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "fetch %s: %s", e.id, ErrUnavailable)
	for i, reason := range e.reasons {
		// libp2p's errors have a line for each address.
		fmt.Fprintf(&b, "; %s: %s", e.names[i], strings.Join(strings.Fields(reason.Error()), " "))
	}
	if len(e.reasons) == 0 {
		b.WriteString("; no source is known")
	}
	return b.String()
}

// Unwrap gives ErrUnavailable and the reasons.
func (e *unavailableError) Unwrap() []error { return append([]error{ErrUnavailable}, e.reasons...) }

// Fetch opens a payload that is not here for reading. It connects to the sources in turn, and goes on with the next when
// one is out of reach, sends nothing for Options.Patience, or lacks a block; also later, while the payload is read. It
// returns when it has the tree above the leaves. If no source is left it fails with ErrUnavailable, as Read does then;
// the sources are tried again only by another Fetch.
//
// Nothing is stored; blocks that are in the repository, and intact, are taken from there. Every block is checked against
// its CID. The reader takes about 30 MiB of memory at most, whatever the payload's size. It ends with ctx; the caller
// must Close it.
func (n *Node) Fetch(ctx context.Context, c record.CID, sources []Source) (*Remote, error) {
	courier, err := n.newCourier(ctx, sources, false)
	if err != nil {
		return nil, fmt.Errorf("fetch payload: %w", err)
	}
	r, err := openRemote(courier, toCID(c))
	if err != nil {
		courier.close(err)
		return nil, fmt.Errorf("fetch payload: %w", err)
	}
	return r, nil
}

func openRemote(c *courier, root cid.Cid) (*Remote, error) {
	if root.Type() == cid.Raw {
		w := c.want(root)
		data, err := w.get()
		if err != nil {
			return nil, err
		}
		tree := singleLeaf(root, len(data))
		return newRemote(c, tree, w), nil
	}
	tree, err := outlineOf(root, c.links())
	if err != nil {
		return nil, err
	}
	return newRemote(c, tree), nil
}

// links gives a function that fetches nodes for their links. Once it has one, it asks for all nodes below.
func (c *courier) links() func(cid.Cid) ([]*ipld.Link, error) {
	wanted := make(map[cid.Cid]*want)
	want := func(id cid.Cid) *want {
		if wanted[id] == nil {
			wanted[id] = c.want(id)
		}
		return wanted[id]
	}
	return func(id cid.Cid) ([]*ipld.Link, error) {
		data, err := want(id).get()
		if err != nil {
			return nil, err
		}
		delete(wanted, id)
		b, err := blocks.NewBlockWithCid(data, id)
		if err != nil {
			return nil, err
		}
		children, err := linksOf(b)
		if err != nil {
			return nil, err
		}
		for _, child := range children[:min(len(children), maxLinks)] {
			if _, err := fromCID(child.Cid); err == nil && child.Cid.Type() == cid.DagProtobuf {
				want(child.Cid)
			}
		}
		return children, nil
	}
}

// isEmpty says whether a CID is that of the empty block.
func isEmpty(id cid.Cid) bool {
	d, ok := digestOf(id)
	return ok && d == sha256.Sum256(nil)
}
