package ipfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/ipfs/boxo/files"
	"github.com/ipfs/kubo/core/coreapi"
	"github.com/ipfs/kubo/core/coreiface/options"
)

const mib = 1 << 20

// The reference is Kubo's own importer, as "ipfs add" calls it.
func TestCIDIsThatOfStockAdd(t *testing.T) {
	n := open(t, newOptions(t))
	stock, err := coreapi.NewCoreAPI(n.kubo)
	must(t, err)
	for i, size := range []int64{
		0, 1, mib - 1, mib, mib + 1, 174 * mib, 174*mib + 1, 175 * mib, 250_000_000,
	} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			if size > 100*mib && testing.Short() {
				t.Skip("writes a gigabyte in all")
			}
			seed := byte(i + 1)
			p := imported(t, n, seed, size)
			if p.Size != size {
				t.Errorf("size is %d", p.Size)
			}
			file := files.NewReaderFile(random(seed, size))
			want, err := stock.Unixfs().Add(t.Context(), file, options.Unixfs.CidVersion(1), options.Unixfs.RawLeaves(true),
				options.Unixfs.Chunker("size-1048576"), options.Unixfs.HashOnly(true), options.Unixfs.Pin(false, ""))
			must(t, err)
			if got := toCID(p.CID); !got.Equals(want.RootCid()) {
				t.Errorf("CID is %s, stock gives %s", got, want.RootCid())
			}
			must(t, p.Discard(t.Context()))
		})
	}
}

// The same by a real add: of what it wrote, an import brings no block that is not there, but for the group's root.
func TestBlocksAreThoseOfStockAdd(t *testing.T) {
	n := open(t, newOptions(t))
	stock, err := coreapi.NewCoreAPI(n.kubo)
	must(t, err)
	const large, small = 180 * mib, 1000 // the large one has two levels of nodes
	for seed, size := range map[byte]int64{1: large, 2: small} {
		_, err := stock.Unixfs().Add(t.Context(), files.NewReaderFile(random(seed, size)), options.Unixfs.CidVersion(1),
			options.Unixfs.RawLeaves(true), options.Unixfs.Chunker("size-1048576"), options.Unixfs.Pin(false, ""))
		must(t, err)
	}
	before := blocksIn(t, n)
	stored(t, n, imported(t, n, 1, large), imported(t, n, 2, small))
	if after := blocksIn(t, n); after != before+1 {
		t.Errorf("import brought %d blocks, want the root", after-before)
	}
}

func TestImportFailedLeavesNothing(t *testing.T) {
	n := open(t, newOptions(t))
	before := blocksIn(t, n)
	broken := errors.New("disk gone")
	for name, c := range map[string]struct {
		size int64
		err  error
	}{
		"at once":          {0, broken},
		"first block":      {1000, broken},
		"after spilling":   {30*mib + 5, broken},
		"unexpected end":   {1000, io.ErrUnexpectedEOF},
		"at a block's end": {2 * mib, io.ErrUnexpectedEOF},
	} {
		_, err := n.Import(t.Context(), io.MultiReader(random(1, c.size), iotest.ErrReader(c.err)))
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want the reader's error", name, err)
		}
		if after := blocksIn(t, n); after != before {
			t.Errorf("%s: left %d blocks", name, after-before)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var read int
	stopping := &everyMiB{Reader: random(1, 40*mib), call: func() {
		if read++; read == 20 {
			cancel()
		}
	}}
	if _, err := n.Import(ctx, stopping); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if after := blocksIn(t, n); after != before {
		t.Errorf("canceled: left %d blocks", after-before)
	}
	if len(n.unpinned.set) != 0 {
		t.Errorf("%d blocks are still registered", len(n.unpinned.set))
	}
}

// everyMiB calls each time another MiB has been read.
type everyMiB struct {
	io.Reader
	n    int64
	call func()
}

func (e *everyMiB) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if (e.n+int64(n))/mib > e.n/mib {
		e.call()
	}
	e.n += int64(n)
	return n, err
}

func TestDiscard(t *testing.T) {
	n := open(t, newOptions(t))
	before := blocksIn(t, n)
	large := imported(t, n, 1, 20*mib)
	if got := blocksIn(t, n); got != before+21 {
		t.Errorf("a large payload wrote %d blocks, want 21", got-before)
	}
	small := imported(t, n, 2, 1000)
	if got := blocksIn(t, n); got != before+21 {
		t.Error("a small payload was written before it was stored")
	}
	for _, p := range []*Payload{large, small} {
		must(t, p.Discard(t.Context()))
	}
	if got := blocksIn(t, n); got != before {
		t.Errorf("discard left %d blocks", got-before)
	}

	kept := imported(t, n, 3, 2*mib)
	stored(t, n, kept)
	must(t, kept.Discard(t.Context()))
	assertReads(t, n, kept.CID, 3, 2*mib)
}

func TestMemoryDoesNotGrowWithSize(t *testing.T) {
	n := open(t, newOptions(t))
	var peak uint64
	sample := func() {
		runtime.GC() // garbage is not what grows
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	}
	sample()
	before := peak
	const size = 300 * mib
	p, err := n.Import(t.Context(), &everyMiB{Reader: random(1, size), call: sample})
	must(t, err)
	stored(t, n, p)
	if grown := peak - before; grown > 80*mib {
		t.Errorf("the heap grew by %d MiB for a payload of %d MiB", grown/mib, size/mib)
	}
}

func TestSeek(t *testing.T) {
	n := open(t, newOptions(t))
	const size = 3*mib + 10
	want, err := io.ReadAll(random(1, size))
	must(t, err)
	p := imported(t, n, 1, size)
	stored(t, n, p)
	r, err := n.Get(t.Context(), p.CID)
	must(t, err)
	defer r.Close()
	for _, at := range []int64{2*mib - 5, 0, size - 7, mib} {
		_, err := r.Seek(at, io.SeekStart)
		must(t, err)
		got := make([]byte, min(100, size-at))
		_, err = io.ReadFull(r, got)
		must(t, err)
		if !bytes.Equal(got, want[at:at+int64(len(got))]) {
			t.Errorf("other bytes at %d", at)
		}
	}
}
