package fault

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/test/hospital"
)

const (
	// filesPerTenKills makes 500 files for 200 kills.
	filesPerTenKills = 25
	// burst is after how many kills the files catch up with them: several come in at once, and are committed in one group.
	burst = 5
	// studyQuiet has studies called stable while more of their instances come.
	studyQuiet = 300 * time.Millisecond
)

// setting reads a number of at least least from the environment.
func setting(t *testing.T, name string, otherwise, least int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least {
		t.Fatalf("%s=%s: want a number from %d on", name, text, least)
	}
	return n
}

// TestKills kills the daemon at every step, and judges what became of each file.
func TestKills(t *testing.T) {
	least := len(steps()) + 1
	kills := setting(t, "MEDANCHOR_FAULT_KILLS", 2*least, least)
	seed := setting(t, "MEDANCHOR_FAULT_SEED", 1, 0)
	c := newCampaign(t, uint64(seed))
	c.Config.Studies.Quiet = studyQuiet
	if err := c.WriteConfig(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for i, k := range plan(c.supply.random, kills) {
		if i%burst == burst-1 {
			c.supply.dropUpTo(t, (i+1)*filesPerTenKills/10)
		}
		c.numbered(t, i, k)
	}
	killed := time.Since(start)
	c.settle(t)
	c.judge(t)

	t.Logf("seed %d: %d kills in %s while %d files came in\n%s",
		seed, kills, killed.Round(time.Second), len(c.supply.dropped), c.report())
	for _, s := range document.Steps() {
		switch want := kills / (2 * least); {
		case !slices.Contains(steps(), s):
			t.Logf("no kills at %s: %s is not installed (apt-get install dcmtk)", s, storescu)
		case c.kills[s] < max(1, want):
			t.Errorf("%d kills at %s, want at least %d", c.kills[s], s, max(1, want))
		}
	}
	if canSend() && c.seen.unanswered == 0 {
		t.Error("no kill fell between an object's fsync and its answer")
	}
	if c.seen.unacknowledged == 0 || c.seen.resubmitted == 0 {
		t.Error("no kill needed the claims or the journalled transactions: nothing was shown of them")
	}
	if c.seen.swept == 0 && kills >= 200 { // a sweep that is killed before it says what it did is not counted
		t.Error("no kill needed the sweep: nothing was shown of it")
	}
}

// A file that is durable when its daemon dies is acknowledged by the next one, and not taken in again.
func TestAClaimSurvives(t *testing.T) {
	c := newCampaign(t, 1)
	c.round(t, kill{Step: document.StepQueued, Nth: 1})
	if c.seen.unacknowledged == 0 {
		t.Fatal("no file was durable and at its door when the daemon died")
	}
	c.settle(t)
	c.judge(t)
}

// Blocks that were stored and not committed are removed, also when the first sweep after the kill is cut short by an
// orderly stop.
func TestASweepCutShortIsDoneAgain(t *testing.T) {
	c := newCampaign(t, 1)
	c.round(t, kill{Step: document.StepStored, Nth: 1})
	left := c.blocks(t)
	if needed := c.needed(t, c.items(t)); left <= needed {
		t.Fatalf("%d blocks when the daemon died, of which %d are needed: want some without an owner", left, needed)
	}
	app, err := appliance.New(t.Context(), appliance.Options{Config: c.Config, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := app.Run(stopped); err != nil {
		t.Fatal(err)
	}
	if got := c.blocks(t); got != left {
		t.Fatalf("%d blocks after a run that had no time to sweep, want %d", got, left)
	}
	c.settle(t)
	c.judge(t)
}

// A daemon that dies while it makes its databases and its IPFS repository leaves nothing in the way of the next one.
func TestTheFirstStartMayBeKilled(t *testing.T) {
	c := newCampaign(t, 1)
	fresh := c.Config.Data + ".fresh"
	if err := os.Rename(c.Config.Data, fresh); err != nil {
		t.Fatal(err)
	}
	for after := 20 * time.Millisecond; after <= 200*time.Millisecond; after += 20 * time.Millisecond {
		if err := errors.Join(os.RemoveAll(c.Config.Data), os.CopyFS(c.Config.Data, os.DirFS(fresh))); err != nil {
			t.Fatal(err)
		}
		p := c.start(t, order{})
		select {
		case <-p.Exited():
			t.Fatalf("the daemon ended by itself: %v", p.Err())
		case <-time.After(after):
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		c.whileUp(t, func() {})
	}
	c.supply.dropUpTo(t, 1)
	c.whileUp(t, func() {
		poll(t, settleTimeout, "the first file to be taken in", func() bool { return c.atDoor(t) == 0 })
	})
}

// numbered is one round, with what explains and repeats it on a failure.
func (c *campaign) numbered(t *testing.T, i int, k kill) {
	t.Helper()
	start, size := time.Now(), c.logSize(t)
	defer func() {
		if t.Failed() {
			t.Logf("failed: MEDANCHOR_FAULT_SEED=%d, round %d, kill at %s; go test -artifacts keeps %s; the daemon's log:\n%s",
				c.supply.seed, i, k, c.Dir, c.logFrom(t, size))
		}
	}()
	c.round(t, k)
	t.Logf("round %3d: killed at %s (%d ms)", i, k, time.Since(start).Milliseconds())
}

// newCampaign sets up a hospital of the first member. No other test uses the network meanwhile: what they anchor for the
// member would be counted.
func newCampaign(t *testing.T, seed uint64) *campaign {
	t.Helper()
	n := devnettest.Exclusive(t)
	_, inspector := hospital.Programs(t)
	h, err := hospital.New(t.Context(), n, n.Members[0], hospital.Options{
		Dir: filepath.Join(t.ArtifactDir(), "hospital"), Inspector: inspector,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &campaign{
		Hospital: h, network: n, began: height(t, n),
		supply: newSupply(h, seed), kills: map[document.Step]int{}, later: map[document.Step]int{},
	}
	t.Cleanup(func() {
		if t.Failed() {
			log := c.logFrom(t, 0)
			t.Logf("go test -artifacts keeps %s; the daemons' log ends with\n%s", c.Dir, log[max(0, len(log)-logTail):])
		}
	})
	return c
}

// logTail is how much of the log a failure shows, in bytes.
const logTail = 4 << 10

// height is how many blocks of the channel the first member's peer has.
func height(t *testing.T, n *devnet.Network) uint64 {
	t.Helper()
	h, err := connect(t, n, n.Members[0]).Height(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}
