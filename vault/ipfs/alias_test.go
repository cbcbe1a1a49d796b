package ipfs

import (
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
)

// A record that is filed anew has other CIDs over the same bytes.
func TestAnAliasReadsTheSameBytes(t *testing.T) {
	o := newOptions(t)
	n := open(t, o)
	for i, size := range []int64{1, 1000, chunkSize, chunkSize + 1, 5*chunkSize + 7} {
		seed := byte(i + 1)
		payload, err := n.Import(t.Context(), random(seed, size))
		must(t, err)
		_, err = n.Store(t.Context(), []*Payload{payload})
		must(t, err)
		before, err := n.Blocks(t.Context())
		must(t, err)
		cids := map[record.CID]bool{payload.CID: true}
		for range 2 {
			alias, err := n.Alias(t.Context(), payload.CID)
			must(t, err)
			if cids[alias.CID] || alias.Size != size {
				t.Errorf("size %d: the alias %s of %d bytes is no new one", size, alias.CID, alias.Size)
			}
			cids[alias.CID] = true
			_, err = n.Store(t.Context(), []*Payload{alias})
			must(t, err)
		}
		after, err := n.Blocks(t.Context())
		must(t, err)
		if after-before != 4 { // each alias and its group have a root
			t.Errorf("size %d: %d blocks came, want 4", size, after-before)
		}
		for cid := range cids {
			assertReads(t, n, cid, seed, size)
		}
	}
}

func TestAnAliasOfWhatIsMissing(t *testing.T) {
	n := open(t, newOptions(t))
	for _, codec := range []byte{0x55, 0x70} {
		if _, err := n.Alias(t.Context(), record.CID{codec, 1}); err == nil {
			t.Errorf("codec %x: an alias of nothing", codec)
		}
	}
}
