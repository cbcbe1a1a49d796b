package e2e

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/vault/ipfs"
)

// withoutTheSwarmKey: a node with another swarm key than the consortium's gets nothing, not even a connection.
func (w *ward) withoutTheSwarmKey(p *prey) {
	stranger, _ := openNode(w.t, w.t.TempDir(), ipfs.NewSwarmKey())
	ctx, cancel := context.WithTimeout(w.t.Context(), readWithin)
	defer cancel()
	payload, err := stranger.Fetch(ctx, p.doctors[0].cid, []ipfs.Source{w.a.source()})
	if err == nil {
		payload.Close()
		w.t.Fatal("a payload is sent to a stranger")
	}
	if !errors.Is(err, ipfs.ErrUnavailable) || !strings.Contains(err.Error(), w.a.member.Name+": connect") {
		w.t.Errorf("%v, want that it cannot connect", err)
	}
}

// ciphertext takes a payload from A's node as any member of the consortium may.
func ciphertext(t *testing.T, node *ipfs.Node, from ipfs.Source, p paper) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readWithin)
	defer cancel()
	payload, err := node.Fetch(ctx, p.cid, []ipfs.Source{from})
	if err != nil {
		t.Fatal(err)
	}
	defer payload.Close()
	sealed, err := io.ReadAll(payload)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// liar: a peer of the swarm that is registered as A's has other bytes for every block. They are never served. Alone it is left
// with a clear error; with A's own node beside it, that is read from.
func (w *ward) liar(p *prey) {
	lying := lyingPeer(w.t, w.swarm)
	for _, tt := range []struct {
		name      string
		addresses []string
		code      int
		paper     paper
		says      string
	}{
		{"alone", lying, exitAway, p.doctors[0], w.a.member.Title + ": sent no block in time"},
		{"beside the holder", append(lying, w.a.status().Reading.Swarm...), exitOK, p.doctors[1], p.doctors[1].tag.String()},
	} {
		w.announce(w.a, w.b, tt.addresses...)
		began := time.Now()
		said := w.gets(w.doctor, w.b, tt.code, tt.paper)
		if took := time.Since(began); took > readWithin || !strings.Contains(said, tt.says) {
			w.t.Errorf("%s: after %s it says %q, want %q", tt.name, took, said, tt.says)
		}
	}
}
