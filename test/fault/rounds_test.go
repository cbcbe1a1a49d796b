package fault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/test/hospital"
	"github.com/medanchor/medanchor/test/synth"
)

// The bounds of a round.
const (
	hookTimeout     = 30 * time.Second // for the step to come
	survivorTimeout = 5 * time.Second  // for the group to be gone
	settleTimeout   = 2 * time.Minute  // for everything to be accounted for
)

// steps are those at which daemons are killed: all, where there is a sender to take the first two.
func steps() []document.Step {
	return slices.DeleteFunc(document.Steps(), func(s document.Step) bool {
		return (s == document.StepSpooled || s == document.StepAnswered) && !canSend()
	})
}

// plan gives n kills in a random order: as many at each step, and as many from outside. A third of those at a step fall some
// time after it, so that they hit what lies between the steps: a transaction that is committed, but not settled; a source that
// is moved, but whose claim is there.
func plan(random *rand.Rand, n int) []kill {
	kills, steps := make([]kill, n), steps()
	for i := range kills {
		k, at, turn := &kills[i], i%(len(steps)+1), i/(len(steps)+1)
		if at == len(steps) {
			k.After = time.Duration(random.Int64N(int64(time.Second)))
			continue
		}
		*k = kill{Step: steps[at], Nth: 1}
		if eachTakes(k.Step) {
			k.Nth += random.Int32N(3)
		}
		if turn%3 == 1 {
			k.After = time.Duration(random.Int64N(int64(400 * time.Millisecond)))
		}
	}
	random.Shuffle(n, func(i, j int) { kills[i], kills[j] = kills[j], kills[i] })
	return kills
}

// eachTakes says whether each new document takes the step, by itself.
func eachTakes(s document.Step) bool {
	return !slices.Contains([]document.Step{
		document.StepDuplicate, document.StepQuarantined, document.StepForgotten, document.StepCommitted, document.StepStable,
	}, s)
}

// campaign is a hospital, what was dropped in it, and what was seen of its daemons.
type campaign struct {
	*hospital.Hospital
	network *devnet.Network
	began   uint64 // the channel's height at the start
	supply  *supply
	kills   map[document.Step]int // at the step itself
	later   map[document.Step]int // some time after it
	outside int
	// afterDeath, if set, brings back what the daemon's end took away, before it is looked at.
	afterDeath func(*testing.T)
	// seen proves that the kills hit what the design protects.
	seen struct {
		unacknowledged int // files that were durable and still at their door when their daemon died
		swept          int // blocks without an owner, removed after a kill
		resubmitted    int // items that stood in a journalled transaction when their daemon died
		unanswered     int // objects that were durable, and of which the sender was not told
	}
}

// round brings files in, starts a daemon, and has it killed.
func (c *campaign) round(t *testing.T, k kill) {
	t.Helper()
	size, timeout := c.logSize(t), k.After
	var toSend []*file
	if k.Step != "" {
		toSend = c.feed(t, k)
		timeout += hookTimeout
	}
	p := c.start(t, order{Kill: k})
	waitForSender := c.sendUntil(t.Context(), p, toSend)
	if k.Step == "" {
		c.supply.dropSome(t, synth.Anchored, 2) // while it starts
	}
	c.awaitEnd(t, p, k, timeout)
	waitForSender()
	c.diedByKill(t, p)
	if c.afterDeath != nil {
		c.afterDeath(t)
	}
	log := c.logFrom(t, size)
	c.seen.swept += swept(t, log)
	switch hooked := bytes.Contains(log, []byte(killedLine)); {
	case k.Step == "":
		c.outside++
	case !hooked:
		t.Fatalf("no item took the step in %s", timeout)
	case k.After > 0:
		c.later[k.Step]++
	default:
		c.kills[k.Step]++
	}
	c.inspectCorpse(t)
}

// awaitEnd kills the daemon if it does not come to its end by itself in time.
func (c *campaign) awaitEnd(t *testing.T, p *hospital.Process, k kill, timeout time.Duration) {
	t.Helper()
	limit := time.After(timeout)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.Exited():
			return
		case <-limit:
			if k.Cut != "" {
				if err := powerCut(k.Cut); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Kill(); err != nil {
				t.Fatal(err)
			}
			return
		case <-tick.C:
			// A claim is forgotten with the next commit after its source is gone.
			if k.Step == document.StepForgotten && c.atDoor(t) == 0 {
				c.supply.dropSome(t, synth.Anchored, 1)
			}
		}
	}
}

// feed brings in what lets the kill come: at least Nth new documents, or one of the kind that the step is for. What it returns
// is to be sent once the daemon runs.
func (c *campaign) feed(t *testing.T, k kill) (toSend []*file) {
	t.Helper()
	switch k.Step {
	case document.StepDuplicate:
		c.supply.dropSome(t, synth.Duplicate, 1)
	case document.StepQuarantined:
		c.supply.dropSome(t, synth.Quarantined, 1)
	case document.StepForgotten:
		c.supply.dropSome(t, synth.Anchored, 1)
	case document.StepStable:
		c.supply.dropNewStudy(t)
	case document.StepSpooled, document.StepAnswered:
		return c.supply.toSend(t, int(k.Nth))
	default:
		if canSend() && c.supply.random.IntN(2) == 0 {
			return c.supply.toSend(t, int(k.Nth))
		}
		c.supply.dropSome(t, synth.Anchored, int(k.Nth))
	}
	return nil
}

func (c *campaign) start(t *testing.T, o order) *hospital.Process {
	t.Helper()
	o.Config = c.ConfigPath
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Start(self, nil, []string{daemonEnv + "=" + string(text)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() }) // has ended, unless the test failed
	return p
}

// diedByKill fails if the daemon ended by itself, or if a process of its group outlives it.
func (c *campaign) diedByKill(t *testing.T, p *hospital.Process) {
	t.Helper()
	exit, ok := errors.AsType[*exec.ExitError](p.Err())
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the daemon ended by itself: %v", p.Err())
	}
	poll(t, survivorTimeout, "end of the daemon's process group", func() bool {
		return !groupLives(t, p.PID())
	})
}

// exitCode is how a process ended, as the shell has it; -1 for one that was killed.
func exitCode(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return 0
}

// groupLives says whether a process of the group runs. Those that have ended may wait long for the init process to take
// note of it (state Z, proc_pid_stat(5)).
func groupLives(t *testing.T, group int) bool {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // ended since
		}
		var state string
		var parent, its int
		_, err = fmt.Sscan(string(stat[bytes.LastIndexByte(stat, ')')+1:]), &state, &parent, &its)
		if err != nil {
			t.Fatalf("read %s: %v", file, err)
		}
		if its == group && state != "Z" && state != "X" {
			return true
		}
	}
	return false
}

// settle lets a daemon run until it has swept and everything that was dropped is accounted for.
func (c *campaign) settle(t *testing.T) {
	t.Helper()
	size, sweeps := c.logSize(t), c.unclean(t)
	c.whileUp(t, func() {
		c.sendAgain(t)
		poll(t, settleTimeout, "everything to be accounted for", func() bool {
			// The doors first: what has left them is counted.
			if c.atDoor(t) > 0 || sweeps && !bytes.Contains(c.logFrom(t, size), []byte(sweptMessage)) {
				return false
			}
			status, err := c.Client().Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return status.DICOM.Spooled == 0 && status.Items.Waiting == 0
		})
		c.awaitStable(t)
	})
	c.seen.swept += swept(t, c.logFrom(t, size))
}

// awaitStable waits until the ledger was told of each study that it is stable, if that is to come soon.
func (c *campaign) awaitStable(t *testing.T) {
	t.Helper()
	if c.Config.Studies.Quiet > settleTimeout/2 {
		return
	}
	poll(t, settleTimeout, "all studies to be stable", func() bool {
		records, err := c.Client().Records(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		chain := readChain(t, c.network, c.began)
		return !slices.ContainsFunc(records, func(r control.Record) bool {
			return r.Kind == record.KindImaging && r.Member == c.Config.Ledger.MSPID && chain.mine[r.Record] && !chain.stable[r.Record]
		})
	})
}

// unclean says that the last daemon did not end in order: the next one sweeps.
func (c *campaign) unclean(t *testing.T) bool {
	t.Helper()
	return !exists(t, filepath.Join(c.Config.Data, cleanFile))
}

// whileUp runs a daemon for as long as f takes, and stops it in order.
func (c *campaign) whileUp(t *testing.T, f func()) {
	t.Helper()
	p := c.start(t, order{})
	if err := c.WaitReady(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	f()
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
}

// atDoor counts the files that are in the drop folders.
func (c *campaign) atDoor(t *testing.T) (n int) {
	t.Helper()
	for _, f := range c.supply.dropped {
		if exists(t, f.target()) {
			n++
		}
	}
	return n
}

func (c *campaign) logSize(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(c.Log())
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func (c *campaign) logFrom(t *testing.T, offset int64) []byte {
	t.Helper()
	log, err := os.ReadFile(c.Log())
	if err != nil {
		t.Fatal(err)
	}
	return log[offset:]
}

// What the appliance logs after a sweep, and after one that the disk did not let it do.
const (
	sweptMessage    = "swept after an unclean stop"
	notSweptMessage = "orphaned blocks are left"
)

// swept gives how many blocks the daemon removed, by its log.
func swept(t *testing.T, log []byte) (n int) {
	t.Helper()
	for line := range bytes.Lines(log) {
		var entry struct {
			Message string `json:"msg"`
			Blocks  int    `json:"orphaned_blocks"`
		}
		if !bytes.Contains(line, []byte(sweptMessage)) {
			continue
		}
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatalf("read log: %v", err)
		}
		n += entry.Blocks
	}
	return n
}

// poll waits until done, looking often.
func poll(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			t.Fatalf("%s did not come in %s", what, limit)
		case <-tick.C:
		}
	}
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// report is the table of kills.
func (c *campaign) report() string {
	var b strings.Builder
	total := c.outside
	fmt.Fprintf(&b, "%-12s %7s %7s\n", "kills at", "at once", "later")
	for _, s := range steps() {
		fmt.Fprintf(&b, "%-12s %7d %7d\n", s, c.kills[s], c.later[s])
		total += c.kills[s] + c.later[s]
	}
	fmt.Fprintf(&b, "%-12s %7d\n%-12s %7d\n", "any time", c.outside, "all", total)
	sent, answers := len(c.supply.sent), 0
	for _, f := range c.supply.sent {
		answers += f.answers
	}
	fmt.Fprintf(&b, "%d objects sent, %d answers, %d objects durable whose sender had no answer\n", sent, answers, c.seen.unanswered)
	fmt.Fprintf(&b, "when they fell: %d files durable and still at their door, %d items in a transaction not settled, "+
		"%d blocks without an owner\n", c.seen.unacknowledged, c.seen.resubmitted, c.seen.swept)
	return b.String()
}
