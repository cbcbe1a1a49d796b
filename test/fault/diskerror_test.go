package fault

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/state"
	"github.com/medanchor/medanchor/test/hospital"
)

const (
	// filesPerFault come in while the disk is to fail.
	filesPerFault = 4
	// lasting is how long a fault lasts that a daemon survives.
	lasting = 500 * time.Millisecond
)

// firstCalls are how many of a kind fail with each error; later ones with one each.
const firstCalls = 6

// sweepEnv, if set, has each call fail, and not only one of each few kinds.
const sweepEnv = "MEDANCHOR_FAULT_EVERY_CALL"

// TestADiskErrorWhileFilesComeIn has the disk fail under each kind of call that the daemon makes while it takes files in.
func TestADiskErrorWhileFilesComeIn(t *testing.T) {
	d := newGated(t, 1)
	for _, f := range d.plan(t, 2, func() { d.takeIn(t, nil) }) {
		d.suffer(t, f, func() string { return d.takeIn(t, &f) })
	}
	d.finish(t)
}

// TestADiskErrorAtTheStart has the disk fail while the daemon opens its databases and cleans up after one that was killed.
func TestADiskErrorAtTheStart(t *testing.T) {
	d := newGated(t, 2)
	for _, f := range d.plan(t, 4, func() { d.restart(t, nil) }) {
		d.suffer(t, f, func() string { return d.restart(t, &f) })
	}
	d.finish(t)
}

// TestADiskErrorWhileItStops has the disk fail while the daemon closes what it has open.
func TestADiskErrorWhileItStops(t *testing.T) {
	d := newGated(t, 3)
	d.stops = true
	for _, f := range d.plan(t, 2, func() { d.stop(t, nil) }) {
		d.suffer(t, f, func() string { return d.stop(t, &f) })
	}
	d.finish(t)
}

// TestAKillBeforeADiskCall kills the daemon between two calls that change what is on disk.
func TestAKillBeforeADiskCall(t *testing.T) {
	d := newGated(t, 4)
	d.killed = true
	for _, f := range d.plan(t, 3, func() { d.takeIn(t, nil) }) {
		d.suffer(t, f, func() string { return d.takeIn(t, &f) })
	}
	d.finish(t)
}

// gated is a campaign whose daemons go through a gate. One that survives a fault meets the next one too.
type gated struct {
	*campaign
	gate   *gate
	p      *hospital.Process // nil if none runs
	killed bool              // the faults are kills
	stops  bool              // the faults fall while the daemon stops
	tried  map[spot]int      // faults, by where they fell
	ends   map[string]int    // what they led to
	table  strings.Builder
}

// newGated sets up a hospital, and takes in the first files: what is made once is made then.
func newGated(t *testing.T, seed uint64) *gated {
	t.Helper()
	c := newCampaign(t, seed)
	d := &gated{campaign: c, gate: newGate(t, c)}
	d.takeIn(t, nil)
	return d
}

// plan looks at what a daemon calls while it does the work, twice, and gives the faults: one at one in so many of the kinds of
// call, or some at each call. Of what came both times each must have failed in the end.
func (d *gated) plan(t *testing.T, oneIn int, work func()) (faults []fault) {
	t.Helper()
	d.tried, d.ends = make(map[spot]int), make(map[string]int)
	var seen [2]map[spot]int
	var spots []spot
	for i := range seen {
		d.up(t)
		d.gate.set(nil)
		work()
		spots, seen[i] = d.gate.counted()
	}
	for i, s := range spots {
		calls := min(seen[0][s], seen[1][s])
		errs := d.errors(s)
		switch {
		case calls == 0 || len(errs) == 0:
		case os.Getenv(sweepEnv) != "":
			d.tried[s] = 0
			for nth := 1; nth <= calls; nth++ {
				for j, err := range errs {
					if nth <= firstCalls || nth%len(errs) == j {
						faults = append(faults, fault{spot: s, nth: nth, err: err, lasting: err != 0 && (nth+j)%2 == 0})
					}
				}
			}
		case i%oneIn == 0:
			d.tried[s] = 0
			k := i / oneIn
			f := fault{spot: s, nth: 1 + k%min(2, calls), err: errs[k%len(errs)]}
			f.lasting = f.err != 0 && k%2 == 1
			faults = append(faults, f)
		}
	}
	return faults
}

// errors are what a call may give: a disk that fails; where it changes something, no room left; and where it is not about what
// was written before, a file system that turned read-only.
func (d *gated) errors(s spot) []syscall.Errno {
	switch {
	case d.killed && s.reads():
		return nil
	case d.killed:
		return []syscall.Errno{0}
	case s.reads():
		return []syscall.Errno{syscall.EIO}
	case s.call == "fsync":
		return []syscall.Errno{syscall.EIO, syscall.ENOSPC}
	}
	return []syscall.Errno{syscall.ENOSPC, syscall.EIO, syscall.EROFS}
}

// attempts is how often it is tried to have a fault fall: what the daemon calls is not always the same.
const attempts = 3

// suffer has a fault fall, and looks at what the daemon made of it.
func (d *gated) suffer(t *testing.T, f fault, work func() string) {
	t.Helper()
	for range attempts {
		d.up(t)
		size := d.logSize(t)
		end := work()
		fell := d.gate.failed() > 0
		d.gate.set(nil)
		if fell {
			d.tried[f.spot]++
			d.ends[end]++
			fmt.Fprintf(&d.table, "%-72s %s\n", f, end)
			d.said(t, f, end, d.logFrom(t, size))
			return
		}
	}
}

// said judges what the daemon said of a fault, and what it left if it ended.
func (d *gated) said(t *testing.T, f fault, end string, log []byte) {
	t.Helper()
	for _, crash := range []string{"panic:", "fatal error:", "goroutine "} {
		if bytes.Contains(log, []byte(crash)) {
			t.Fatalf("%s: the daemon crashed:\n%s", f, log)
		}
	}
	if f.err != 0 && !f.isSaid(log) && !d.mayPassUnsaid(f) {
		t.Errorf("%s: %s, and does not say what is wrong:\n%s", f, end, log)
	}
	if d.p == nil {
		d.inspectCorpse(t)
	}
}

// isSaid says whether the log tells of the fault, in the kernel's words or the appliance's own.
func (f fault) isSaid(log []byte) bool {
	return bytes.Contains(log, []byte(f.err.Error())) || bytes.Contains(log, []byte(state.ErrBroken.Error())) ||
		f.spot.call == "read" && bytes.Contains(log, []byte("invalid database")) || // all that bbolt says of what it cannot read
		f.err == syscall.ENOSPC && bytes.Contains(log, []byte(document.ErrNoRoom.Error())) ||
		f.spot.place == "drop" && bytes.Contains(log, []byte("some of the folder cannot be read")) // the status says why
}

// mayPassUnsaid says that the daemon need not tell of a fault that it survives.
func (d *gated) mayPassUnsaid(f fault) bool {
	switch {
	case d.stops:
		return strings.HasPrefix(f.spot.file, ipfsFolder) // what it was given is durable: Kubo does not tell of the rest
	case f.spot.place == "drop":
		return !f.lasting // the next scan looks again
	case f.spot.file == sizeNote, f.spot.file == databaseLog:
		return true // nothing hangs on them
	case strings.HasPrefix(f.spot.file, ipfsFolder+"/datastore/"):
		return !f.lasting // the pinner's mark that it is at work, by which it looks harder after a crash: Kubo does not tell
	case f.spot.call == "unlink" && !f.lasting:
		return true // os.Remove goes on to rmdir(2), and believes that; what is left is removed at the next start
	case f.spot.call == "unlink":
		return strings.HasPrefix(f.spot.file, ipfsFolder)
	case f.spot.call == "rename":
		return !f.lasting && f.spot.file == ipfsFolder+"/blocks/*" // Kubo tries again
	case f.spot.reads(): // bbolt reads the other of its two first pages, and Kubo only reckons how large it is
		return !f.lasting && (strings.HasSuffix(f.spot.file, ".db") || strings.HasPrefix(f.spot.file, ipfsFolder+"/blocks"))
	}
	return false
}

// The ways in which a daemon takes a fault.
const (
	wentOn = "went on"
	ended  = "ended with an error"
	died   = "was killed"
)

// up starts a daemon through the gate, unless one runs.
func (d *gated) up(t *testing.T) {
	t.Helper()
	if d.p != nil && !d.gone() {
		return
	}
	d.gate.set(nil)
	size, sweeps := d.logSize(t), d.unclean(t)
	d.p = d.start(t, order{Gate: d.gate.name})
	if err := d.WaitReady(t.Context(), d.p); err != nil {
		t.Fatal(err)
	}
	if sweeps {
		d.awaitSweep(t, size)
	}
}

// awaitSweep waits until the daemon has cleaned up after one that did not end in order, or ends.
func (d *gated) awaitSweep(t *testing.T, logSize int64) {
	t.Helper()
	poll(t, hookTimeout, "the sweep, or the daemon's end", func() bool {
		log := d.logFrom(t, logSize)
		return d.gone() || bytes.Contains(log, []byte(sweptMessage)) || bytes.Contains(log, []byte(notSweptMessage))
	})
}

// takeIn drops some files and sends one, and waits until they are accounted for, or the daemon ends.
func (d *gated) takeIn(t *testing.T, f *fault) string {
	t.Helper()
	d.up(t)
	d.gate.set(f)
	d.supply.dropUpTo(t, len(d.supply.dropped)+filesPerFault)
	if canSend() {
		d.sendWhile(t.Context(), d.p, d.supply.toSend(t, 1))
	}
	if f != nil && f.lasting {
		d.outlast(t)
	}
	d.awaitAccounted(t)
	return d.end(t)
}

// awaitAccounted waits until everything is accounted for, or the daemon has ended.
func (d *gated) awaitAccounted(t *testing.T) {
	t.Helper()
	poll(t, settleTimeout, "everything to be accounted for", func() bool {
		return d.gone() || d.accounted(t)
	})
}

// outlast waits for a fault, and for its end.
func (d *gated) outlast(t *testing.T) {
	t.Helper()
	poll(t, settleTimeout, "the fault, or the end of the work", func() bool {
		return d.gone() || d.gate.failed() > 0 || d.accounted(t)
	})
	if d.gate.failed() == 0 {
		return
	}
	select {
	case <-d.p.Exited():
	case <-time.After(lasting):
	}
	d.gate.lift()
}

// restart kills the daemon, and starts one that has to clean up, until it is ready or has ended.
func (d *gated) restart(t *testing.T, f *fault) string {
	t.Helper()
	if err := d.p.Kill(); err != nil {
		t.Fatal(err)
	}
	d.gate.set(f)
	size := d.logSize(t)
	d.p = d.start(t, order{Gate: d.gate.name})
	d.awaitSweep(t, size)
	d.gate.lift()
	d.awaitAccounted(t)
	return d.end(t)
}

// stop stops the daemon in order.
func (d *gated) stop(t *testing.T, f *fault) string {
	t.Helper()
	d.gate.set(f)
	err := d.p.Stop()
	d.p = nil
	if err == nil {
		return wentOn
	}
	return ended
}

func (d *gated) gone() bool {
	select {
	case <-d.p.Exited():
		return true
	default:
		return false
	}
}

// end says what a daemon made of the work. One that is gone may only have ended by its own decision, or by a kill of the gate.
func (d *gated) end(t *testing.T) string {
	t.Helper()
	if !d.gone() {
		return wentOn
	}
	err := d.p.Err()
	d.p = nil
	switch code := exitCode(err); {
	case code == 1:
		return ended
	case code == -1 && d.killed:
		return died
	}
	t.Fatalf("the daemon ended otherwise: %v", err)
	return ""
}

// finish judges what became of everything.
func (d *gated) finish(t *testing.T) {
	t.Helper()
	if d.p != nil && !d.gone() {
		if err := d.p.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	d.settle(t)
	d.judge(t)
	t.Logf("%v\n%s", d.ends, d.table.String())
	for _, s := range slices.SortedFunc(maps.Keys(d.tried), func(a, b spot) int { return strings.Compare(a.String(), b.String()) }) {
		// Kubo writes the note by the clock, and bbolt's files grow in ever larger steps.
		if d.tried[s] == 0 && s.file != sizeNote && s.call != "truncate" {
			t.Errorf("no fault fell at: %s", s)
		}
	}
}
