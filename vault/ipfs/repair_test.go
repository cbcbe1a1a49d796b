package ipfs

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// damages are the ways in which the file of a block goes bad.
var damages = map[string]func(t *testing.T, file string){
	"bit flipped": func(t *testing.T, file string) {
		data, err := os.ReadFile(file)
		must(t, err)
		data[len(data)/2] ^= 4
		must(t, os.WriteFile(file, data, 0o600))
	},
	"truncated": func(t *testing.T, file string) {
		info, err := os.Stat(file)
		must(t, err)
		must(t, os.Truncate(file, info.Size()/2))
	},
	"empty":   func(t *testing.T, file string) { must(t, os.Truncate(file, 0)) },
	"missing": func(t *testing.T, file string) { must(t, os.Remove(file)) },
}

func TestRepair(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a gigabyte")
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			o := consortium(t, 2)
			damaged, holder := open(t, o[0]), open(t, o[1])
			const small, large, huge = 1000, 5*mib + 1, 180 * mib // the huge one has two levels of nodes
			var cids [3]record.CID
			for _, n := range []*Node{damaged, holder} {
				var payloads []*Payload
				for i, size := range []int64{small, large, huge} {
					payloads = append(payloads, imported(t, n, byte(i), size))
					cids[i] = payloads[i].CID
				}
				stored(t, n, payloads...)
			}
			before := blocksIn(t, damaged)
			files := []string{
				blockFile(t, o[0], cids[0]),
				blockFile(t, o[0], leaf(t, damaged, cids[1], 0)),
				blockFile(t, o[0], leaf(t, damaged, cids[1], 5)),
				blockFile(t, o[0], leaf(t, damaged, leaf(t, damaged, cids[2], 1), 2)),
				blockFile(t, o[0], leaf(t, damaged, cids[2], 0)),
				blockFile(t, o[0], cids[2]),
			}
			for _, file := range files {
				damage(t, file)
			}

			sources := []Source{unreachable(t), sourceOf("holder", holder)}
			for i, want := range []int{1, 2, 3} {
				if repaired, err := damaged.Repair(t.Context(), cids[i], sources); err != nil || repaired != want {
					t.Errorf("payload %d: repaired %d, %v; want %d", i, repaired, err, want)
				}
				if repaired, err := damaged.Repair(t.Context(), cids[i], nil); err != nil || repaired != 0 {
					t.Errorf("payload %d, again: repaired %d, %v; want none", i, repaired, err)
				}
			}

			damaged = reopen(t, damaged, o[0])
			// The group's pin holds the blocks: a sweep takes none.
			removed, err := damaged.Sweep(t.Context(), func(record.CID) bool { return true })
			if err != nil || removed != 0 {
				t.Errorf("a sweep removed %d blocks, %v", removed, err)
			}
			if after := blocksIn(t, damaged); after != before {
				t.Errorf("%d blocks, want %d", after, before)
			}
			for i, size := range []int64{small, large, huge} {
				assertReads(t, damaged, cids[i], byte(i), size)
			}
		})
	}
	assertNoCouriers(t)
}

// Neither holder is whole, but together they are; and a block that nobody has is left as it is.
func TestRepairFromDamagedHolders(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			o := consortium(t, 3)
			nodes := []*Node{open(t, o[0]), open(t, o[1]), open(t, o[2])}
			const size = 8 * mib
			var c record.CID
			for _, n := range nodes {
				p := imported(t, n, 1, size)
				stored(t, n, p)
				c = p.CID
			}
			leaves := make([]record.CID, 8)
			for i := range leaves {
				leaves[i] = leaf(t, nodes[0], c, i)
			}
			for node, lost := range [][]int{{1, 2, 3, 4}, {1, 3, 5}, {2, 3}} {
				for _, i := range lost {
					damage(t, blockFile(t, o[node], leaves[i]))
				}
			}
			defer soon(t, time.Now())
			unreadable, err := os.ReadFile(pathOf(o[0], leaves[3]))
			if err != nil && name != "missing" {
				t.Fatal(err)
			}
			sources := []Source{sourceOf("first", nodes[1]), sourceOf("second", nodes[2])}
			repaired, err := nodes[0].Repair(t.Context(), c, sources)
			if repaired != 3 || !errors.Is(err, ErrUnavailable) {
				t.Errorf("repaired %d, %v; want 3 and ErrUnavailable", repaired, err)
			}
			after, err := os.ReadFile(pathOf(o[0], leaves[3]))
			if name == "missing" && err == nil || string(after) != string(unreadable) {
				t.Error("the block that nobody has was touched")
			}

			// A third hospital has it.
			stored(t, nodes[1], imported(t, nodes[1], 1, size))
			if repaired, err := nodes[0].Repair(t.Context(), c, sources); repaired != 1 || err != nil {
				t.Errorf("repaired %d, %v; want 1", repaired, err)
			}
			assertReads(t, nodes[0], c, 1, size)
		})
	}
}

// Under a lost node nothing is known.
func TestRepairWithoutANode(t *testing.T) {
	o := consortium(t, 2)
	n, other := open(t, o[0]), open(t, o[1])
	p := imported(t, n, 1, 3*mib)
	stored(t, n, p)
	must(t, os.Remove(blockFile(t, o[0], leaf(t, n, p.CID, 1))))
	must(t, os.Remove(blockFile(t, o[0], p.CID)))
	repaired, err := n.Repair(t.Context(), p.CID, []Source{sourceOf("lacking", other)})
	if repaired != 0 || !errors.Is(err, ErrUnavailable) {
		t.Errorf("repaired %d, %v; want none and ErrUnavailable", repaired, err)
	}
}
