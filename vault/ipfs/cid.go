package ipfs

import (
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"github.com/medanchor/medanchor/chaincode/record"
)

// digest is the SHA-256 of a block, which names it in the repository whatever its codec.
type digest [sha256.Size]byte

func toCID(c record.CID) cid.Cid {
	hash, err := multihash.Encode(c[1:], multihash.SHA2_256)
	if err != nil {
		panic(err) // the length and function are constants that multihash knows
	}
	return cid.NewCidV1(uint64(c[0]), hash)
}

func fromCID(c cid.Cid) (record.CID, error) {
	d, ok := digestOf(c)
	codec := c.Type()
	if !ok || (codec != cid.Raw && codec != cid.DagProtobuf) {
		return record.CID{}, fmt.Errorf("use %s: not a CID that medanchor makes", c)
	}
	return record.CID(append([]byte{byte(codec)}, d[:]...)), nil
}

// digestOf gives the digest in a CID; false if its hash is not SHA-256.
func digestOf(c cid.Cid) (digest, bool) {
	hash, err := multihash.Decode(c.Hash())
	if err != nil || hash.Code != multihash.SHA2_256 || hash.Length != sha256.Size {
		return digest{}, false
	}
	return digest(hash.Digest), true
}

// registry is a set of blocks, safe for concurrent use.
type registry struct {
	mu  sync.Mutex
	set map[digest]struct{}
}

func (r *registry) add(cids []cid.Cid) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set == nil {
		r.set = make(map[digest]struct{})
	}
	for _, c := range cids {
		if d, ok := digestOf(c); ok {
			r.set[d] = struct{}{}
		}
	}
}

func (r *registry) remove(cids []cid.Cid) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range cids {
		if d, ok := digestOf(c); ok {
			delete(r.set, d)
		}
	}
}

func (r *registry) has(d digest) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.set[d]
	return ok
}
