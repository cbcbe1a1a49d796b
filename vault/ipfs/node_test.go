package ipfs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs/kubo/core/corerepo"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/medanchor/medanchor/chaincode/record"
)

// A place for a node, so that a test can stop it and start it again.
func newOptions(t testing.TB) Options {
	t.Helper()
	dir := t.TempDir()
	key := filepath.Join(dir, "swarm.key")
	must(t, os.WriteFile(key, NewSwarmKey(), 0o600))
	return Options{Repo: filepath.Join(dir, "ipfs"), SwarmKeyFile: key}
}

func open(t testing.TB, o Options) *Node {
	t.Helper()
	n, err := Open(context.WithoutCancel(t.Context()), o)
	must(t, err)
	t.Cleanup(func() { must(t, n.Close()) })
	return n
}

// reopen stops a node and starts it again on the same repository.
func reopen(t testing.TB, n *Node, o Options) *Node {
	t.Helper()
	must(t, n.Close())
	return open(t, o)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// random gives n bytes that are the same for a seed, without holding them.
func random(seed byte, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

func imported(t testing.TB, n *Node, seed byte, size int64) *Payload {
	t.Helper()
	p, err := n.Import(t.Context(), random(seed, size))
	must(t, err)
	return p
}

func stored(t testing.TB, n *Node, payloads ...*Payload) record.CID {
	t.Helper()
	root, err := n.Store(t.Context(), payloads)
	must(t, err)
	return root
}

func blocksIn(t testing.TB, n *Node) int {
	t.Helper()
	count, err := n.Blocks(t.Context())
	must(t, err)
	return count
}

func assertReads(t testing.TB, n *Node, c record.CID, seed byte, size int64) {
	t.Helper()
	want, err := io.ReadAll(random(seed, size))
	must(t, err)
	r, err := n.Get(t.Context(), c)
	must(t, err)
	defer r.Close()
	got, err := io.ReadAll(r)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("payload of %d bytes read back as %d other bytes", size, len(got))
	}
}

func TestOpenTwice(t *testing.T) {
	o := newOptions(t)
	n := open(t, o)
	if _, err := Open(t.Context(), o); !errors.Is(err, ErrInUse) {
		t.Errorf("second open: %v, want ErrInUse", err)
	}
	p := imported(t, n, 1, 1000)
	stored(t, n, p)
	n = reopen(t, n, o)
	assertReads(t, n, p.CID, 1, 1000)
}

func TestFailedStartReleasesRepo(t *testing.T) {
	o := newOptions(t)
	o.Listen = []string{"/ip4/192.0.2.1/tcp/4001"} // not an address of this machine (RFC 5737)
	if _, err := Open(t.Context(), o); err == nil {
		t.Fatal("listened on an address that is not here")
	}
	o.Listen = nil
	n := open(t, o)
	stored(t, n, imported(t, n, 1, 10))
}

func TestSwarmKeyRefused(t *testing.T) {
	o := newOptions(t)
	for name, spoil := range map[string]func(){
		"not a key": func() { must(t, os.WriteFile(o.SwarmKeyFile, []byte("key"), 0o600)) },
		"cut short": func() { must(t, os.WriteFile(o.SwarmKeyFile, NewSwarmKey()[:60], 0o600)) },
		"empty":     func() { must(t, os.WriteFile(o.SwarmKeyFile, nil, 0o600)) },
		"missing":   func() { must(t, os.Remove(o.SwarmKeyFile)) },
	} {
		spoil()
		if _, err := Open(t.Context(), o); !errors.Is(err, ErrSwarmKey) {
			t.Errorf("%s: %v, want ErrSwarmKey", name, err)
		}
		if _, err := os.Stat(o.Repo); err == nil {
			t.Errorf("%s: a repository was made all the same", name)
		}
		must(t, os.WriteFile(o.SwarmKeyFile, NewSwarmKey(), 0o600))
	}
}

// A crash in the middle of making the repository leaves a folder that is not taken for one.
func TestHalfMadeRepo(t *testing.T) {
	o := newOptions(t)
	must(t, os.MkdirAll(filepath.Join(o.Repo+".new", "blocks"), 0o700))
	must(t, os.WriteFile(filepath.Join(o.Repo+".new", "config"), []byte("{"), 0o600))
	n := open(t, o)
	stored(t, n, imported(t, n, 1, 10))
	if _, err := os.Stat(o.Repo + ".new"); err == nil {
		t.Error("the half-made folder is still there")
	}
}

func TestSettingsDriftIsCorrected(t *testing.T) {
	o := newOptions(t)
	n := open(t, o)
	id := n.kubo.Identity
	must(t, n.Close())

	file := filepath.Join(o.Repo, "config")
	want, err := os.ReadFile(file)
	must(t, err)
	drifted := string(want)
	for from, to := range map[string]string{
		`"sync": true`:       `"sync": false`,
		`"HashOnRead": true`: `"HashOnRead": false`,
		`"Bootstrap": []`:    `"Bootstrap": ["/ip4/127.0.0.1/tcp/1/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN"]`,
		`"API": null`:        `"API": "/ip4/0.0.0.0/tcp/5001"`,
	} {
		if !strings.Contains(drifted, from) {
			t.Fatalf("the settings do not say %s:\n%s", from, want)
		}
		drifted = strings.Replace(drifted, from, to, 1)
	}
	must(t, os.WriteFile(file, []byte(drifted), 0o600))
	must(t, os.WriteFile(filepath.Join(o.Repo, "swarm.key"), NewSwarmKey(), 0o600))

	n = open(t, o)
	if n.kubo.Identity != id {
		t.Error("the node's identity changed")
	}
	got, err := os.ReadFile(file)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("settings are\n%s\nwant\n%s", got, want)
	}
	inRepo, err := os.ReadFile(filepath.Join(o.Repo, "swarm.key"))
	must(t, err)
	inFile, err := os.ReadFile(o.SwarmKeyFile)
	must(t, err)
	if !bytes.Equal(inRepo, inFile) {
		t.Error("the repository kept another swarm key")
	}
}

// The layout on disk cannot be corrected, only refused.
func TestForeignLayoutIsRefused(t *testing.T) {
	o := newOptions(t)
	must(t, open(t, o).Close())
	spec := filepath.Join(o.Repo, "datastore_spec")
	text, err := os.ReadFile(spec)
	must(t, err)
	foreign := strings.Replace(string(text), "next-to-last/1", "next-to-last/2", 1)
	must(t, os.WriteFile(spec, []byte(foreign), 0o600))
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "a folder of its own") {
		t.Errorf("got %v, want a refusal that says what to do", err)
	}
}

func TestPrivateSwarm(t *testing.T) {
	o := newOptions(t)
	first := open(t, o)
	sameKey := newOptions(t)
	sameKey.SwarmKeyFile = o.SwarmKeyFile
	member, stranger := open(t, sameKey), open(t, newOptions(t))

	at := peer.AddrInfo{ID: first.kubo.Identity, Addrs: first.kubo.PeerHost.Addrs()}
	if err := member.kubo.PeerHost.Connect(t.Context(), at); err != nil {
		t.Errorf("member with the swarm key: %v", err)
	}
	if err := stranger.kubo.PeerHost.Connect(t.Context(), at); err == nil {
		t.Error("a node with another swarm key connected")
	}

	p := imported(t, first, 3, 3<<20)
	stored(t, first, p)
	block, err := member.kubo.Exchange.GetBlock(t.Context(), toCID(p.CID))
	must(t, err)
	if len(block.RawData()) == 0 {
		t.Error("a member got an empty block")
	}
}

// Stock "ipfs repo gc" keeps what is stored, and would take what is not.
func TestGarbageCollection(t *testing.T) {
	o := newOptions(t)
	n := open(t, o)
	small, large := imported(t, n, 1, 500_000), imported(t, n, 2, 5<<20+1)
	stored(t, n, small, large)
	kept := blocksIn(t, n)
	imported(t, n, 3, 3<<20) // spilled, never stored
	if blocksIn(t, n) != kept+4 {
		t.Errorf("%d blocks, want %d", blocksIn(t, n), kept+4)
	}

	n = reopen(t, n, o)
	must(t, corerepo.GarbageCollect(n.kubo, t.Context()))
	if got := blocksIn(t, n); got != kept {
		t.Errorf("%d blocks after gc, want %d", got, kept)
	}
	assertReads(t, n, small.CID, 1, 500_000)
	assertReads(t, n, large.CID, 2, 5<<20+1)
}
