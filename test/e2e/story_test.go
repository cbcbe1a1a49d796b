package e2e

import (
	"errors"
	"fmt"
	"testing"

	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/test/hospital"
	"github.com/medanchor/medanchor/test/netns"
	"github.com/medanchor/medanchor/test/story"
	"github.com/medanchor/medanchor/vault/ipfs"
)

// pair are two hospitals, each on a machine of its own: they reach each other by addresses that look public, their own
// peers as if these were on their machines, and nothing else.
type pair struct {
	a, b     *site
	toA, toB *netns.Forwarder // each one's line to its peer
}

// newPair sets up two hospitals of a network. Their daemons run.
func newPair(t *testing.T, n *devnet.Network) *pair {
	t.Helper()
	lan, swarm := netns.New(t), ipfs.NewSwarmKey()
	p := &pair{}
	p.a, p.toA = newRemote(t, n, lan, 0, swarm)
	p.b, p.toB = newRemote(t, n, lan, 1, swarm)
	p.a.start()
	p.b.start()
	if err := story.Announce(t.Context(), n, p.a.place(), p.b.place()); err != nil {
		t.Fatal(err)
	}
	return p
}

// newRemote sets up a hospital on a machine of its own.
func newRemote(t *testing.T, n *devnet.Network, lan *netns.Network, index int, swarm []byte) (*site, *netns.Forwarder) {
	t.Helper()
	host := lan.Host(t, uint8(10*(index+1)))
	s := newSiteOn(t, n, index, hospital.Options{Machine: host, SwarmKey: swarm})
	s.Config.IPFS.Listen = "/ip4/" + host.Address.String() + "/tcp/4001"
	if err := s.WriteConfig(); err != nil {
		t.Fatal(err)
	}
	return s, host.Forward(t, s.member.Peer.Address)
}

func (s *site) place() *story.Place { return &story.Place{Hospital: s.Hospital, Member: s.member} }

// begin begins a story of the pair.
func (p *pair) begin(t *testing.T, n *devnet.Network, o story.Options) *story.Story {
	t.Helper()
	o.Dir, o.Program, o.Network, o.A, o.B = t.TempDir(), p.a.medanchor, n, p.a.place(), p.b.place()
	o.Out = t.Output()
	s, err := story.Begin(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tell runs a story, with something between each two of its steps.
func tell(t *testing.T, s *story.Story, between func()) {
	t.Helper()
	for i, step := range s.Steps() {
		if i > 0 {
			between()
		}
		t.Logf("%d. %s", i+1, step.Title)
		if err := step.Run(t.Context()); err != nil {
			t.Fatalf("%s %v", step.Title, err)
		}
	}
}

// TestTheHistoryFollowsThePatient: why medanchor exists, between hospitals that share nothing but channel and swarm.
func TestTheHistoryFollowsThePatient(t *testing.T) {
	n := devnettest.Network(t)
	p := newPair(t, n)
	tell(t, p.begin(t, n, story.Options{Slices: 5, Late: 3, Size: 600 << 10, Seed: 41}), func() {})
}

// TestTheStoryWithKills: either hospital's daemon may be killed between any two steps.
func TestTheStoryWithKills(t *testing.T) {
	for _, tt := range []struct {
		name string
		who  func(*pair) *site
		seed uint64
	}{
		{"where the history is", func(p *pair) *site { return p.a }, 42},
		{"where the doctor is", func(p *pair) *site { return p.b }, 43},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := devnettest.Network(t)
			p := newPair(t, n)
			tell(t, p.begin(t, n, story.Options{Slices: 3, Late: 3, Size: 100 << 10, Seed: tt.seed}), func() {
				tt.who(p).kill()
				tt.who(p).start()
			})
		})
	}
}

// TestRevocationWithoutTheGranteesPeer: of three hospitals, the doctor's peer is down when the patient revokes. The
// revocation and the end of what was released depend on it no more than anything else does; when it is back, it has
// forgotten the keys too.
func TestRevocationWithoutTheGranteesPeer(t *testing.T) {
	n := devnettest.Own(t, 3)
	p := newPair(t, n)
	s := p.begin(t, n, story.Options{Slices: 2, Late: 1, Size: 10 << 10, Seed: 44})
	steps := s.Steps()
	for _, step := range steps[:6] { // until the doctor has read
		if err := step.Run(t.Context()); err != nil {
			t.Fatalf("%s %v", step.Title, err)
		}
	}
	third, theirs := connect(t, n, n.Members[2]), connect(t, n, p.b.member)
	page, err := third.Releases(t.Context(), s.Reference, s.Doctor.ID, 100, "")
	if err != nil || len(page.Releases) == 0 {
		t.Fatalf("%d releases, %v", len(page.Releases), err)
	}
	sealed := page.Releases[0]
	if _, err := theirs.SealedRelease(t.Context(), s.Reference, s.Doctor.ID, sealed.ID); err != nil {
		t.Fatalf("the doctor's peer has no sealed keys: %v", err)
	}

	if err := p.b.member.Peer.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := steps[8].Run(t.Context()); err != nil {
		t.Fatalf("%s %v", steps[8].Title, err)
	}
	poll(t, "the keys are taken from the ledger", func() bool {
		page, err = third.Releases(t.Context(), s.Reference, s.Doctor.ID, 100, "")
		return err == nil && len(page.Releases) == 0
	}, func() string { return fmt.Sprintf("%d releases, %v", len(page.Releases), err) })
	doctor := &someone{t: t, program: p.b.medanchor, identity: s.Doctor.Identity, id: s.Doctor.ID, machine: p.b.Machine}
	doctor.runs(exitAway, get(s, p.b), "", "-o", t.TempDir())

	if err := p.b.member.Peer.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	poll(t, "the doctor's peer has forgotten the keys", func() bool {
		_, err = theirs.SealedRelease(t.Context(), s.Reference, s.Doctor.ID, sealed.ID)
		return errors.Is(err, ledger.ErrNotFound)
	}, func() string { return fmt.Sprint(err) })
	poll(t, "the doctor is refused", func() bool {
		return steps[9].Run(t.Context()) == nil
	}, func() string { return "" })
}
