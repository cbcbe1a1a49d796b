package ipfs

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	dshelp "github.com/ipfs/boxo/datastore/dshelp"
	"golang.org/x/sync/errgroup"

	"github.com/medanchor/medanchor/chaincode/record"
)

func TestTwoGroupsInFlight(t *testing.T) {
	o := newOptions(t)
	n := open(t, o)
	const groups, each = 6, 20
	var cids [groups][each]record.CID
	var roots [groups]record.CID
	var g errgroup.Group
	g.SetLimit(2)
	for i := range groups {
		g.Go(func() error {
			var payloads []*Payload
			for j := range each {
				p, err := n.Import(t.Context(), random(byte(i*each+j), int64(1000*(i+1)+j)))
				if err != nil {
					return err
				}
				cids[i][j] = p.CID
				payloads = append(payloads, p)
			}
			var err error
			roots[i], err = n.Store(t.Context(), payloads)
			return err
		})
	}
	must(t, g.Wait())
	if len(n.unpinned.set) != 0 {
		t.Errorf("%d blocks are still registered as unpinned", len(n.unpinned.set))
	}

	n = reopen(t, n, o)
	if len(n.opened) != groups {
		t.Errorf("%d groups are pinned, want %d", len(n.opened), groups)
	}
	for i := range groups {
		for j := range each {
			assertReads(t, n, cids[i][j], byte(i*each+j), int64(1000*(i+1)+j))
		}
	}
}

func TestStoreNothing(t *testing.T) {
	n := open(t, newOptions(t))
	if _, err := n.Store(t.Context(), nil); err == nil {
		t.Error("stored an empty group")
	}
}

func TestMissingAndCorrupt(t *testing.T) {
	o := newOptions(t)
	n := open(t, o)
	small, large := imported(t, n, 1, 1000), imported(t, n, 2, 3*mib)
	stored(t, n, small, large)
	leaf := func(i int) string {
		links, err := n.links(t.Context(), toCID(large.CID))
		must(t, err)
		c, err := fromCID(links[i].Cid)
		must(t, err)
		return blockFile(t, o, c)
	}
	for _, c := range []record.CID{small.CID, large.CID} {
		if ok, err := n.Has(t.Context(), c); err != nil || !ok {
			t.Errorf("Has = %v, %v", ok, err)
		}
	}

	corrupt := func(file string) { must(t, os.WriteFile(file, []byte("rot"), 0o600)) }
	empty := func(file string) { must(t, os.Truncate(file, 0)) }
	remove := func(file string) { must(t, os.Remove(file)) }
	for _, c := range []struct {
		name   string
		damage func(string)
		file   string
		cid    record.CID
		want   error
		has    bool
	}{
		{"corrupt block", corrupt, blockFile(t, o, small.CID), small.CID, ErrCorrupt, true},
		{"empty block", empty, blockFile(t, o, small.CID), small.CID, ErrCorrupt, true},
		{"missing block", remove, blockFile(t, o, small.CID), small.CID, ErrMissing, false},
		{"corrupt leaf", corrupt, leaf(1), large.CID, ErrCorrupt, true},
		{"missing leaf", remove, leaf(1), large.CID, ErrMissing, false},
		{"corrupt node", corrupt, blockFile(t, o, large.CID), large.CID, ErrCorrupt, false},
		{"missing node", remove, blockFile(t, o, large.CID), large.CID, ErrMissing, false},
	} {
		c.damage(c.file)
		if ok, err := n.Has(t.Context(), c.cid); err != nil || ok != c.has {
			t.Errorf("%s: Has = %v, %v", c.name, ok, err)
		}
		r, err := n.Get(t.Context(), c.cid)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
			must(t, r.Close())
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func pathOf(o Options, c record.CID) string {
	name := strings.TrimPrefix(dshelp.MultihashToDsKey(toCID(c).Hash()).String(), "/")
	return filepath.Join(o.Repo, "blocks", name[len(name)-2:len(name)-1], name+".data")
}

// blockFile finds the file of a block.
func blockFile(t *testing.T, o Options, c record.CID) string {
	t.Helper()
	file := pathOf(o, c)
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("find block: %v", err)
	}
	return file
}

func TestSweep(t *testing.T) {
	o := newOptions(t)
	n := open(t, o)
	known := imported(t, n, 1, 2*mib)
	keep := stored(t, n, known)
	before := blocksIn(t, n)
	unknown := imported(t, n, 2, 2*mib)
	stored(t, n, unknown)    // 3 blocks and a root
	imported(t, n, 3, 2*mib) // 3 blocks, never stored: the process was killed
	n = reopen(t, n, o)

	removed, err := n.Sweep(t.Context(), func(root record.CID) bool { return root == keep })
	must(t, err)
	if removed != 7 {
		t.Errorf("removed %d blocks, want 7", removed)
	}
	if got := blocksIn(t, n); got != before {
		t.Errorf("%d blocks are left, want %d", got, before)
	}
	assertReads(t, n, known.CID, 1, 2*mib)
	if ok, err := n.Has(t.Context(), unknown.CID); err != nil || ok {
		t.Errorf("the unknown payload: Has = %v, %v", ok, err)
	}

	n = reopen(t, n, o)
	if len(n.opened) != 1 || n.opened[0] != keep {
		t.Errorf("%d pins are left, want the one that is known", len(n.opened))
	}
	if removed, err := n.Sweep(t.Context(), func(record.CID) bool { return true }); err != nil || removed != 0 {
		t.Errorf("second sweep removed %d, %v", removed, err)
	}
	assertReads(t, n, known.CID, 1, 2*mib)
}

// What cannot be walked might link anything: nothing is removed then.
func TestSweepStopsAtDamage(t *testing.T) {
	o := newOptions(t)
	n := open(t, o)
	p := imported(t, n, 1, 3*mib)
	stored(t, n, p)
	must(t, os.Remove(blockFile(t, o, p.CID)))
	before := blocksIn(t, n)
	n = reopen(t, n, o)
	if _, err := n.Sweep(t.Context(), func(record.CID) bool { return true }); !errors.Is(err, ErrMissing) {
		t.Errorf("got %v, want ErrMissing", err)
	}
	if got := blocksIn(t, n); got != before {
		t.Errorf("%d of %d blocks are left", got, before)
	}
}

// Intake goes on during a sweep. Nobody knows the groups that it stores yet, and the sweep must not take them.
func TestSweepBesideIntake(t *testing.T) {
	o := newOptions(t)
	n := open(t, o)
	for i := range 5 {
		stored(t, n, imported(t, n, byte(i), 2*mib))
	}
	n = reopen(t, n, o)

	var swept atomic.Bool
	var g errgroup.Group
	var payloads [2][]*Payload
	for worker := range 2 {
		g.Go(func() error {
			for i := 0; !swept.Load() || i < 3; i++ {
				seed := byte(100 + 50*worker + i%50)
				p, err := n.Import(t.Context(), io.MultiReader(random(seed, 9*mib), random(byte(i), int64(i))))
				if err != nil {
					return err
				}
				if _, err := n.Store(t.Context(), []*Payload{p}); err != nil {
					return err
				}
				payloads[worker] = append(payloads[worker], p)
			}
			return nil
		})
	}
	for range 5 {
		_, err := n.Sweep(t.Context(), func(record.CID) bool { return false })
		must(t, err)
	}
	swept.Store(true)
	must(t, g.Wait())
	for _, p := range append(payloads[0], payloads[1]...) {
		if ok, err := n.Has(t.Context(), p.CID); err != nil || !ok {
			t.Fatalf("a payload stored during the sweep: Has = %v, %v", ok, err)
		}
	}
	t.Logf("%d payloads stored during 5 sweeps", len(payloads[0])+len(payloads[1]))
}

// The baseline is what a careful program does with one file: create, write, fsync, rename, fsync the folder. Interleave
// runs (-count) to compare them.
func BenchmarkStore(b *testing.B) {
	const size, group = 524 << 10, 64
	random := rand.NewChaCha8([32]byte{1})
	b.Run("raw", func(b *testing.B) {
		dir := b.TempDir()
		data := make([]byte, size)
		b.SetBytes(size)
		for i := 0; b.Loop(); i++ {
			_, _ = random.Read(data)
			must(b, writeFile(filepath.Join(dir, strconv.Itoa(i)), data))
		}
	})
	for _, inFlight := range []int{1, 2} {
		b.Run(fmt.Sprintf("groups-%d-in-flight", inFlight), func(b *testing.B) {
			n := open(b, newOptions(b))
			var g errgroup.Group
			g.SetLimit(inFlight)
			var payloads []*Payload
			store := func() {
				full := payloads
				payloads = nil
				g.Go(func() error {
					_, err := n.Store(b.Context(), full)
					return err
				})
			}
			b.SetBytes(size)
			for b.Loop() {
				p, err := n.Import(b.Context(), io.LimitReader(random, size))
				must(b, err)
				if payloads = append(payloads, p); len(payloads) == group {
					store()
				}
			}
			must(b, g.Wait())
		})
	}
}

func writeFile(path string, data []byte) error {
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	return syncFile(filepath.Dir(path))
}
