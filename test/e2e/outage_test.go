package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/test/netns"
)

// TestLedgerAway: while the ledger is away, files are taken in and acknowledged; when it is back, the queue drains by itself.
func TestLedgerAway(t *testing.T) {
	type act = func(*devnet.Node, context.Context) error
	on := func(nodes func(s *site, n *devnet.Network) []*devnet.Node, do act) func(*testing.T, *site, *devnet.Network) {
		return func(t *testing.T, s *site, n *devnet.Network) {
			t.Helper()
			for _, node := range nodes(s, n) {
				if err := do(node, t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	both := func(s *site, n *devnet.Network) []*devnet.Node { return []*devnet.Node{n.Orderer.Node, s.member.Peer} }
	peer := func(s *site, _ *devnet.Network) []*devnet.Node { return []*devnet.Node{s.member.Peer} }
	others := func(_ *site, n *devnet.Network) []*devnet.Node { return []*devnet.Node{n.Members[1].Peer} } // of a majority of two
	orderer := func(_ *site, n *devnet.Network) []*devnet.Node { return []*devnet.Node{n.Orderer.Node} }
	for _, tt := range []struct {
		name      string
		down, up  func(*testing.T, *site, *devnet.Network)
		restarted bool // the daemon too, meanwhile
		seed      uint64
	}{
		{"peer and orderer stopped", on(both, (*devnet.Node).Stop), on(both, (*devnet.Node).Start), false, 31},
		{"orderer stopped", on(orderer, (*devnet.Node).Stop), on(orderer, (*devnet.Node).Start), false, 32},
		{"the other hospital's peer stopped", on(others, (*devnet.Node).Stop), on(others, (*devnet.Node).Start), false, 35},
		{"peer stopped and daemon restarted", on(peer, (*devnet.Node).Kill), on(peer, (*devnet.Node).Start), true, 33},
		{"peer frozen", on(peer, (*devnet.Node).Freeze), on(peer, (*devnet.Node).Thaw), false, 34},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := devnettest.Exclusive(t)
			manifest, dir := generate(t, tt.seed)
			name := manifest.Hospitals[0]
			want := manifest.Counts(name)
			s := newSite(t, n, 0)
			from := s.height()
			s.start()
			s.dropTree(os.DirFS(filepath.Join(dir, name, "dicom")), s.DICOM)
			s.await("intake is under way", func(c control.Status) bool { return c.Items.Received > 0 })

			tt.down(t, s, n)
			s.dropTree(os.DirFS(filepath.Join(dir, name, "documents")), s.Documents)
			poll(t, "all files are acknowledged", func() bool { return s.done() == want.Files },
				func() string { return fmt.Sprintf("%d of %d", s.done(), want.Files) })
			if tt.restarted {
				s.stop()
				s.start()
			}
			away := s.await("the daemon says that the ledger is away", func(c control.Status) bool { return c.Ledger.Away != "" })
			if away.Items.Received != int64(want.Files) || away.Items.Waiting == 0 {
				t.Errorf("while the ledger is away: %+v, want all %d received, some waiting", away.Items, want.Files)
			}
			t.Logf("%d of %d wait while the ledger is away: %s", away.Items.Waiting, want.Files, away.Ledger.Away)

			tt.up(t, s, n)
			items := s.awaitSettled(want.Files).Items
			c := s.chainSince(from)
			s.reconcile(want, items, len(c.documents))
			s.checkFiles(manifest, dir, name, c)
		})
	}
}

// done counts the files that are acknowledged.
func (s *site) done() int {
	s.t.Helper()
	return filesIn(s.t, filepath.Join(s.DICOM, "done")) + filesIn(s.t, filepath.Join(s.Documents, "done"))
}

// TestLinkToThePeerCut: the appliance is on a machine of its own, and the link from there to its peer is cut and restored.
func TestLinkToThePeerCut(t *testing.T) {
	host := netns.New(t).Host(t, 1)
	n := devnettest.Exclusive(t)
	manifest, dir := generate(t, 36)
	name := manifest.Hospitals[0]
	want := manifest.Counts(name)
	s := newSite(t, n, 0)
	s.Machine = host
	s.Config.IPFS.Listen = fmt.Sprintf("/ip4/%s/tcp/4001", host.Address)
	if err := s.WriteConfig(); err != nil {
		t.Fatal(err)
	}
	link := host.Forward(t, s.member.Peer.Address)
	from := s.height()
	s.start()
	s.dropTree(os.DirFS(filepath.Join(dir, name, "dicom")), s.DICOM)
	s.await("a document is anchored", func(c control.Status) bool { return c.Items.Anchored > 0 })

	link.Cut()
	s.dropTree(os.DirFS(filepath.Join(dir, name, "documents")), s.Documents)
	poll(t, "all files are acknowledged", func() bool { return s.done() == want.Files },
		func() string { return fmt.Sprintf("%d of %d", s.done(), want.Files) })
	s.await("the daemon says that the ledger is away", func(c control.Status) bool {
		return c.Ledger.Away != "" && c.Items.Waiting > 0
	})

	if err := link.Restore(); err != nil {
		t.Fatal(err)
	}
	items := s.awaitSettled(want.Files).Items
	c := s.chainSince(from)
	s.reconcile(want, items, len(c.documents))
	s.checkFiles(manifest, dir, name, c)
}
