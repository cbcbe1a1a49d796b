package fault

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/test/hospital"
)

// setting reads a number from the environment.
func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s: want a number from 1 on", name, text)
	}
	return n
}

// TestKills kills the daemon at every step, and judges what became of each file.
func TestKills(t *testing.T) {
	kills := setting(t, "MEDANCHOR_FAULT_KILLS", 20)
	seed := setting(t, "MEDANCHOR_FAULT_SEED", 1)
	network := devnettest.Exclusive(t) // what else this member anchored would be counted
	c := newCampaign(t, network, uint64(seed))
	began := height(t, network)

	start := time.Now()
	for i, k := range plan(c.supply.random, kills) {
		c.numbered(t, i, k)
	}
	killed := time.Since(start)
	for len(c.supply.dropped) < kills*5/2 { // 500 for 200 kills
		c.supply.wave(t)
		c.supply.dropAll(t)
	}
	c.settle(t)
	items := c.items(t)
	c.whileUp(t, func() { c.judgePlaintext(t, items) })
	c.judge(t, items, readChain(t, network, network.Members[1], network.Members[0].MSPID, began))

	t.Logf("seed %d: %d kills in %s while %d files came in\n%s",
		seed, kills, killed.Round(time.Second), len(c.supply.dropped), c.report())
	for _, s := range states() {
		if least := kills / 20; c.kills[s] < least {
			t.Errorf("%d kills at %s, want at least %d", c.kills[s], s, least)
		}
	}
	if c.seen.unacknowledged == 0 || c.seen.resubmitted == 0 || c.seen.swept == 0 {
		t.Error("no kill needed the claims, the journalled transactions or the sweep: nothing was shown of them")
	}
}

// numbered is one round, with what repeats it on a failure.
func (c *campaign) numbered(t *testing.T, i int, k kill) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("MEDANCHOR_FAULT_SEED=%d, round %d, kill at %s; go test -artifacts keeps %s", c.supply.seed, i, k, c.Dir)
		}
	}()
	c.round(t, k)
}

// newCampaign sets up a hospital of the first member.
func newCampaign(t *testing.T, n *devnet.Network, seed uint64) *campaign {
	t.Helper()
	_, inspector := hospital.Programs(t)
	h, err := hospital.New(t.Context(), n, n.Members[0], hospital.Options{
		Dir: filepath.Join(t.ArtifactDir(), "hospital"), Inspector: inspector,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &campaign{
		Hospital: h, supply: newSupply(h, seed), kills: map[document.State]int{}, later: map[document.State]int{},
	}
}

// height is how many blocks the channel has.
func height(t *testing.T, n *devnet.Network) uint64 {
	t.Helper()
	h, err := connect(t, n, n.Members[1]).Height(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}
