package ipfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/medanchor/medanchor/chaincode/record"
)

func fetched(t testing.TB, n *Node, c record.CID, sources ...Source) *Remote {
	t.Helper()
	r, err := n.Fetch(t.Context(), c, sources)
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	return r
}

func assertFetches(t testing.TB, n *Node, c record.CID, seed byte, size int64, sources ...Source) {
	t.Helper()
	want, err := io.ReadAll(random(seed, size))
	must(t, err)
	r := fetched(t, n, c, sources...)
	if r.Size() != size {
		t.Errorf("size is %d, want %d", r.Size(), size)
	}
	got, err := io.ReadAll(r)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("payload of %d bytes read as %d other bytes", size, len(got))
	}
	must(t, r.Close())
}

func TestAddresses(t *testing.T) {
	o := newOptions(t)
	n := open(t, o)
	addresses := n.Addresses()
	if len(addresses) != 1 || !strings.HasPrefix(addresses[0], "/ip4/127.0.0.1/tcp/") {
		t.Errorf("a node that listens on loopback only has %v", addresses)
	}
	id := n.kubo.Identity
	must(t, n.Close())
	o.Listen = []string{"/ip4/0.0.0.0/tcp/0"}
	n = open(t, o)
	for _, a := range n.Addresses() {
		info, err := peer.AddrInfoFromString(a)
		must(t, err)
		if info.ID != id {
			t.Errorf("%s has another peer ID", a)
		}
		if len(n.Addresses()) > 1 && strings.Contains(a, "127.0.0.1") {
			t.Errorf("loopback among %v", n.Addresses())
		}
	}
}

func TestFetch(t *testing.T) {
	o := consortium(t, 2)
	holder, reader := open(t, o[0]), open(t, o[1])
	before := blocksIn(t, reader)
	for i, size := range []int64{0, 1, 1024, 1025, mib - 1, mib, mib + 1, 20*mib + 12345, 180 * mib} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			p := imported(t, holder, byte(i), size)
			stored(t, holder, p)
			assertFetches(t, reader, p.CID, byte(i), size, sourceOf("holder", holder))
		})
	}
	if after := blocksIn(t, reader); after != before {
		t.Errorf("reading stored %d blocks", after-before)
	}
	assertNoCouriers(t)
}

func TestFetchReadsAnywhere(t *testing.T) {
	o := consortium(t, 2)
	holder, reader := open(t, o[0]), open(t, o[1])
	const size = 20*mib + 777
	want, err := io.ReadAll(random(1, size))
	must(t, err)
	p := imported(t, holder, 1, size)
	stored(t, holder, p)
	r := fetched(t, reader, p.CID, sourceOf("holder", holder))

	choose := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		at := choose.Int64N(size)
		got := make([]byte, choose.IntN(3*mib))
		n, err := r.ReadAt(got, at)
		if full := at+int64(len(got)) <= size; full && err != nil || !full && !errors.Is(err, io.EOF) {
			t.Fatalf("read %d bytes at %d: %d, %v", len(got), at, n, err)
		}
		if !bytes.Equal(got[:n], want[at:at+int64(n)]) {
			t.Fatalf("other bytes at %d", at)
		}
	}
	for _, at := range []int64{size - 1, 0, mib, mib - 1} {
		_, err := r.Seek(at-size, io.SeekEnd)
		must(t, err)
		got := make([]byte, 2)
		n, err := io.ReadFull(r, got)
		if at == size-1 {
			if n != 1 || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("at the end: %d, %v", n, err)
			}
		} else {
			must(t, err)
		}
		if !bytes.Equal(got[:n], want[at:at+int64(n)]) {
			t.Errorf("other bytes at %d", at)
		}
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("sought before the start")
	}
	if n, err := r.ReadAt(make([]byte, 1), size+5); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("past the end: %d, %v", n, err)
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("before the start: %v", err)
	}
}

// Like age's DecryptReaderAt: the last chunk first, then from the left to the right, chunk by chunk.
func TestFetchAsksForEachLeafOnce(t *testing.T) {
	o := consortium(t, 2)
	o[1].Patience = time.Minute // nothing is late here: what is late is asked for again
	holder, reader := open(t, o[0]), open(t, o[1])
	const size, chunk = 20*mib + 777, 64<<10 + 16
	p := imported(t, holder, 1, size)
	stored(t, holder, p)
	var sent atomic.Int64
	counting := server(t, o[0], "counting", holder, func(ctx context.Context, c cid.Cid) (blocks.Block, error) {
		sent.Add(1)
		return holder.blocks.Get(ctx, c)
	})
	r := fetched(t, reader, p.CID, counting)
	buf := make([]byte, chunk)
	_, err := r.ReadAt(buf[:777], size-777)
	must(t, err)
	var got bytes.Buffer
	for at := int64(0); at < size; at += chunk {
		n, err := r.ReadAt(buf[:min(chunk, size-at)], at)
		must(t, err)
		got.Write(buf[:n])
	}
	want, err := io.ReadAll(random(1, size))
	must(t, err)
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("other bytes")
	}
	// 21 leaves, the node above, and the last leaf may be asked for again at the end.
	if n := sent.Load(); n > 23 {
		t.Errorf("the holder sent %d blocks, want 23 at most", n)
	}

	// A jump fetches what is read, and not the leaves that follow.
	sent.Store(0)
	r = fetched(t, reader, p.CID, counting)
	for _, at := range []int64{15, 3, 9} {
		_, err := r.ReadAt(buf, at*mib)
		must(t, err)
	}
	if n := sent.Load(); n != 4 {
		t.Errorf("three jumps took %d blocks, want 4", n)
	}
}

func TestFetchConcurrently(t *testing.T) {
	o := consortium(t, 2)
	holder, reader := open(t, o[0]), open(t, o[1])
	const size = 12*mib + 5
	want, err := io.ReadAll(random(1, size))
	must(t, err)
	p := imported(t, holder, 1, size)
	stored(t, holder, p)
	source := sourceOf("holder", holder)
	shared := fetched(t, reader, p.CID, source)
	var g errgroup.Group
	for i := range 8 {
		g.Go(func() error {
			r := shared
			if i%2 == 0 {
				var err error
				if r, err = reader.Fetch(t.Context(), p.CID, []Source{source}); err != nil {
					return err
				}
				defer r.Close()
			}
			got, err := io.ReadAll(io.NewSectionReader(r, 0, size))
			if err == nil && !bytes.Equal(got, want) {
				err = errors.New("other bytes")
			}
			return err
		})
	}
	must(t, g.Wait())
}

func TestFetchTakesLittleMemory(t *testing.T) {
	o := consortium(t, 2)
	holder, reader := open(t, o[0]), open(t, o[1])
	const size = 300 * mib
	p := imported(t, holder, 1, size)
	stored(t, holder, p)
	r := fetched(t, reader, p.CID, sourceOf("holder", holder))
	var peak uint64
	sample := func() {
		runtime.GC() // what is held, not what is left lying: both nodes are in this process
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	}
	sample()
	before := peak
	n, err := io.Copy(io.Discard, &everyMiB{Reader: r, call: sample})
	must(t, err)
	if n != size {
		t.Errorf("read %d bytes", n)
	}
	if grown := peak - before; grown > 60*mib { // of both nodes
		t.Errorf("the heap grew by %d MiB", grown/mib)
	} else {
		t.Logf("the heap grew by %d MiB", grown/mib)
	}
}

// What is here is not fetched, and a leaf that is damaged here is.
func TestFetchTakesWhatIsHere(t *testing.T) {
	o := consortium(t, 2)
	holder, reader := open(t, o[0]), open(t, o[1])
	for _, n := range []*Node{holder, reader} {
		stored(t, n, imported(t, n, 1, 3*mib))
	}
	p := imported(t, reader, 1, 3*mib)
	assertFetches(t, reader, p.CID, 1, 3*mib) // from nobody
	if len(reader.kubo.PeerHost.Network().Peers()) != 0 {
		t.Error("connected to somebody")
	}
	must(t, os.WriteFile(blockFile(t, o[1], leaf(t, reader, p.CID, 1)), []byte("rot"), 0o600))
	assertFetches(t, reader, p.CID, 1, 3*mib, sourceOf("holder", holder))
	r := fetched(t, reader, p.CID)
	if _, err := io.ReadAll(r); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without a source: %v, want ErrUnavailable", err)
	}
}

func TestFetchReusesConnection(t *testing.T) {
	o := consortium(t, 2)
	holder, reader := open(t, o[0]), open(t, o[1])
	p := imported(t, holder, 1, 3*mib)
	stored(t, holder, p)
	must(t, holder.kubo.PeerHost.Connect(t.Context(), peer.AddrInfo{ID: reader.kubo.Identity, Addrs: reader.kubo.PeerHost.Addrs()}))
	stale := Source{Name: "holder", Addresses: []string{"/ip4/127.0.0.1/tcp/1/p2p/" + holder.kubo.Identity.String()}}
	assertFetches(t, reader, p.CID, 1, 3*mib, stale)
	if n := len(reader.kubo.PeerHost.Network().ConnsToPeer(holder.kubo.Identity)); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// Each of these sources is tried first, and a good one after it.
func TestFetchGoesOnWithTheNextSource(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for sources that stall")
	}
	o := consortium(t, 3)
	holder, reader, other := open(t, o[0]), open(t, o[1]), open(t, o[2])
	const size = 6*mib + 9
	p := imported(t, holder, 1, size)
	stored(t, holder, p)
	boast, _ := boaster(t, o[0])
	deaf := foreignHost(t, o[0]) // it speaks no bitswap
	for _, c := range []struct {
		bad    Source
		reason string
	}{
		{unreachable(t), "connect"},
		{sourceOf("other swarm", open(t, newOptions(t))), "connect"},
		{Source{Name: "no address"}, errNoAddress.Error()},
		{Source{Name: "not an address", Addresses: []string{"http://hospital"}}, "use address"},
		{Source{Name: "no peer ID", Addresses: []string{"/ip4/127.0.0.1/tcp/4001"}}, "use address"},
		{sourceOf("itself", reader), errSelf.Error()},
		{sourceOf("lacking", other), errLacks.Error()},
		{boast, errStalled.Error()},
		{sourceOfHost(t, "deaf", deaf), errStalled.Error()},
		{server(t, o[0], "lying", holder, func(_ context.Context, c cid.Cid) (blocks.Block, error) {
			return blocks.NewBlockWithCid([]byte("other bytes"), c)
		}), errStalled.Error()},
		{server(t, o[0], "half lying", holder, func(ctx context.Context, c cid.Cid) (blocks.Block, error) {
			if c.Type() == cid.Raw {
				return blocks.NewBlockWithCid(make([]byte, mib), c)
			}
			return holder.blocks.Get(ctx, c)
		}), errStalled.Error()},
	} {
		t.Run(c.bad.Name, func(t *testing.T) {
			defer soon(t, time.Now())
			assertFetches(t, reader, p.CID, 1, size, c.bad, sourceOf("holder", holder))
			must(t, reader.kubo.PeerHost.Network().ClosePeer(holder.kubo.Identity))

			r, err := reader.Fetch(t.Context(), p.CID, []Source{c.bad})
			if err == nil {
				_, err = io.ReadAll(r)
				must(t, r.Close())
			}
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), c.bad.Name+": "+c.reason) {
				t.Errorf("alone: %v, want ErrUnavailable and %q", err, c.reason)
			}
		})
	}
	if _, err := reader.Fetch(t.Context(), p.CID, nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("from nobody: %v", err)
	}
	assertNoCouriers(t)
}

// A peer that is no source, and was here first, cannot keep a read from its source.
func TestFetchDespiteABoaster(t *testing.T) {
	o := consortium(t, 2)
	holder, reader := open(t, o[0]), open(t, o[1])
	p := imported(t, holder, 1, 6*mib)
	stored(t, holder, p)
	_, h := boaster(t, o[0])
	defer soon(t, time.Now())
	must(t, h.Connect(t.Context(), peer.AddrInfo{ID: reader.kubo.Identity, Addrs: reader.kubo.PeerHost.Addrs()}))
	assertFetches(t, reader, p.CID, 1, 6*mib, sourceOf("holder", holder))
}

func TestFetchWhenTheHolderIsKilled(t *testing.T) {
	o := consortium(t, 3)
	first, second, reader := open(t, o[0]), open(t, o[1]), open(t, o[2])
	const size = 60 * mib
	for _, n := range []*Node{first, second} {
		stored(t, n, imported(t, n, 1, size))
	}
	p := imported(t, first, 1, size)
	r := fetched(t, reader, p.CID, sourceOf("first", first), sourceOf("second", second))
	if peers := reader.kubo.PeerHost.Network().Peers(); len(peers) != 1 || peers[0] != first.kubo.Identity {
		t.Fatalf("connected to %v, want the first source only", peers)
	}
	defer soon(t, time.Now())
	var got bytes.Buffer
	_, err := io.CopyN(&got, r, 10*mib)
	must(t, err)
	must(t, first.Close())
	_, err = io.Copy(&got, r)
	must(t, err)
	want, err := io.ReadAll(random(1, size))
	must(t, err)
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("other bytes")
	}

	// The last one goes too.
	_, err = r.Seek(20*mib, io.SeekStart)
	must(t, err)
	must(t, second.Close())
	if _, err := io.ReadAll(r); !errors.Is(err, ErrUnavailable) {
		t.Errorf("with both gone: %v, want ErrUnavailable", err)
	}
}

// A source that stops in the middle without closing the connection.
func TestFetchWhenTheHolderHangs(t *testing.T) {
	o := consortium(t, 2)
	holder, reader := open(t, o[0]), open(t, o[1])
	const size = 40 * mib
	p := imported(t, holder, 1, size)
	stored(t, holder, p)
	var sent atomic.Int64
	hanging := server(t, o[0], "hanging", holder, func(ctx context.Context, c cid.Cid) (blocks.Block, error) {
		if sent.Add(1) > 10 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return holder.blocks.Get(ctx, c)
	})
	defer soon(t, time.Now())
	assertFetches(t, reader, p.CID, 1, size, hanging, sourceOf("holder", holder))
}

// Blocks that are damaged at one holder come from the other; the rest comes from the first all the same.
func TestFetchFromDamagedHolders(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			o := consortium(t, 3)
			first, second, reader := open(t, o[0]), open(t, o[1]), open(t, o[2])
			const size = 20 * mib
			var c record.CID
			for _, n := range []*Node{first, second} {
				p := imported(t, n, 1, size)
				stored(t, n, p)
				c = p.CID
			}
			leaves := make([]record.CID, 20)
			for i := range leaves {
				leaves[i] = leaf(t, first, c, i)
			}
			sources := []Source{sourceOf("first", first), sourceOf("second", second)}
			defer soon(t, time.Now())
			damage(t, blockFile(t, o[0], leaves[3]))
			damage(t, blockFile(t, o[1], leaves[5]))
			assertFetches(t, reader, c, 1, size, sources...)
			damage(t, blockFile(t, o[0], c))
			assertFetches(t, reader, c, 1, size, sources...)

			r := fetched(t, reader, c, sources[1])
			n, err := io.Copy(io.Discard, r)
			if n != 5*mib || !errors.Is(err, ErrUnavailable) {
				t.Errorf("from the second alone: %d bytes, %v; want 5 MiB and ErrUnavailable", n, err)
			}
			// What is intact can still be read.
			_, err = r.ReadAt(make([]byte, mib), 7*mib)
			must(t, err)
		})
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	o := consortium(t, 2)
	reader, holder := open(t, o[0]), open(t, o[1])
	boast, _ := boaster(t, o[0])
	p := imported(t, holder, 1, 6*mib)
	stored(t, holder, p)

	ctx, cancel := context.WithTimeout(t.Context(), patience/4)
	defer cancel()
	began := time.Now()
	if _, err := reader.Fetch(ctx, p.CID, []Source{boast, boast}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("fetch: %v, want its context's error", err)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("took %s", took)
	}

	ctx, cancel = context.WithCancel(t.Context())
	r, err := reader.Fetch(ctx, p.CID, []Source{sourceOf("holder", holder)})
	must(t, err)
	defer r.Close()
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("read after cancel: %v", err)
	}

	// Close ends a read that waits.
	hanging := server(t, o[0], "hanging", holder, func(ctx context.Context, c cid.Cid) (blocks.Block, error) {
		if c.Type() == cid.Raw {
			<-ctx.Done()
		}
		return holder.blocks.Get(ctx, c)
	})
	must(t, reader.kubo.PeerHost.Network().ClosePeer(holder.kubo.Identity))
	assertEnds(t, fetched(t, reader, p.CID, hanging), (*Remote).Close, fs.ErrClosed)
	assertEnds(t, fetched(t, reader, p.CID, hanging), func(*Remote) error { return reader.Close() }, errClosed)
	if _, err := reader.Fetch(t.Context(), p.CID, []Source{hanging}); !errors.Is(err, errClosed) {
		t.Errorf("fetch from a closed node: %v", err)
	}
	assertNoCouriers(t)
}

func assertEnds(t *testing.T, r *Remote, end func(*Remote) error, want error) {
	t.Helper()
	result := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(r)
		result <- err
	}()
	must(t, end(r))
	if err := <-result; !errors.Is(err, want) {
		t.Errorf("a read under way: %v, want %v", err, want)
	}
}

// Another hospital's tree may link more than memory holds, or what is no block of a payload.
func TestOutlineRefusesForeignTrees(t *testing.T) {
	raw, node := toCID(record.CID{cid.Raw}), toCID(record.CID{cid.DagProtobuf})
	identity, err := cid.Parse("bafkqaaa")
	must(t, err)
	repeat := func(n int, l ipld.Link) []*ipld.Link {
		links := make([]*ipld.Link, n)
		for i := range links {
			links[i] = &l
		}
		return links
	}
	for name, links := range map[string][]*ipld.Link{
		"too deep":       repeat(1, ipld.Link{Cid: node, Size: mib}),
		"too wide":       repeat(maxLinks+1, ipld.Link{Cid: raw, Size: mib}),
		"leaf too large": repeat(1, ipld.Link{Cid: raw, Size: 2 * mib}),
		"another hash":   repeat(1, ipld.Link{Cid: identity, Size: 1}),
	} {
		if _, err := outlineOf(node, func(cid.Cid) ([]*ipld.Link, error) { return links, nil }); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}

	var levels [maxDepth + 1]cid.Cid
	for i := range levels {
		levels[i] = toCID(record.CID{cid.DagProtobuf, byte(i)})
	}
	levels[maxDepth] = raw
	_, err = outlineOf(levels[0], func(c cid.Cid) ([]*ipld.Link, error) {
		return repeat(maxLinks, ipld.Link{Cid: levels[slices.Index(levels[:], c)+1], Size: mib}), nil
	})
	if !errors.Is(err, errLayout) || !strings.Contains(err.Error(), "leaves") {
		t.Errorf("too many leaves: %v", err)
	}
}

// The baseline is a session that is asked for all leaves at once. They take turns, so that what else the machine does
// concerns both; both nodes are in this process. A payload is read per turn, and b.N counts the turns.
func BenchmarkFetch(b *testing.B) {
	o := consortium(b, 2)
	holder, reader := open(b, o[0]), open(b, o[1])
	const size = 256 * mib
	p := imported(b, holder, 1, size)
	stored(b, holder, p)
	source := sourceOf("holder", holder)
	tree, err := outlineOf(toCID(p.CID), func(c cid.Cid) ([]*ipld.Link, error) { return holder.links(b.Context(), c) })
	must(b, err)
	must(b, fetched(b, reader, p.CID, source).Close()) // connects

	session := func() (n int64) {
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		got, err := reader.exchange.NewSession(ctx).GetBlocks(ctx, tree.leaves)
		must(b, err)
		for block := range got {
			n += int64(len(block.RawData()))
		}
		return n
	}
	remote := func() int64 {
		r := fetched(b, reader, p.CID, source)
		n, err := io.Copy(io.Discard, r)
		must(b, err)
		must(b, r.Close())
		return n
	}
	var took [2]time.Duration
	for b.Loop() {
		for i, read := range []func() int64{session, remote} {
			began := time.Now()
			if n := read(); n != size {
				b.Fatalf("read %d bytes", n)
			}
			took[i] += time.Since(began)
		}
	}
	for i, unit := range []string{"session-MB/s", "remote-MB/s"} {
		b.ReportMetric(float64(b.N)*size/1e6/took[i].Seconds(), unit)
	}
	b.ReportMetric(took[0].Seconds()/took[1].Seconds(), "ratio")
}
