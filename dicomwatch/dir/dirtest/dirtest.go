// Package dirtest makes the calls of a dir.FS fail, one at a time, so that a test meets every failure that a disk has at every
// place where the code reaches for it.
//
// A test runs once in peace and asks for the Counts of calls; it then runs once for each of Sites, with that call failing.
package dirtest

import (
	"maps"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch/dir"
)

// Call is a kind of call.
type Call string

// The calls: of a directory, then of an open file.
const (
	OpenDir Call = "open directory" // Disk.Open
	Create  Call = "create"         // FS.Open with O_CREATE
	Open    Call = "open"
	Stat    Call = "stat"
	List    Call = "list"
	Rename  Call = "rename"
	Remove  Call = "remove"
	MakeDir Call = "make directory"
	SyncDir Call = "sync directory"

	Read     Call = "read"
	Write    Call = "write"
	StatFile Call = "stat file"
	Sync     Call = "sync"
	Close    Call = "close"
)

// Calls are all kinds.
func Calls() []Call {
	return []Call{
		OpenDir, Create, Open, Stat, List, Rename, Remove, MakeDir, SyncDir,
		Read, Write, StatFile, Sync, Close,
	}
}

// Fault is a call that is to fail.
type Fault struct {
	Call Call
	N    int   // the N-th call of its kind from now on; the first is 1
	Err  error // what it fails with
	// Done says that the call is carried out all the same: what failed may have happened. Half of a Write is carried out.
	Done bool
	// Stays says that all later calls of this kind fail as well, until Heal.
	Stays bool
}

// Disk makes calls fail. The zero value is a disk in peace. It is safe for concurrent use.
type Disk struct {
	mu     sync.Mutex
	counts map[Call]int
	faults []Fault // N is of all calls since the beginning here
	fired  int
}

// Open opens the directory at path, as dir.Open does.
func (d *Disk) Open(path string) (dir.FS, error) {
	f := d.call(OpenDir)
	if f.refused() {
		return nil, f.Err
	}
	root, err := dir.Open(path)
	if err != nil {
		return nil, err
	}
	if f.Err != nil {
		_ = root.Close()
		return nil, f.Err
	}
	return d.Wrap(root), nil
}

// Wrap gives a directory whose calls are this disk's.
func (d *Disk) Wrap(under dir.FS) dir.FS { return &directory{under, d} }

// Fail has a call fail.
func (d *Disk) Fail(f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f.N += d.counts[f.Call]
	d.faults = append(d.faults, f)
}

// Heal ends all faults.
func (d *Disk) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = nil
}

// Fired is how many calls failed by a Fault.
func (d *Disk) Fired() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fired
}

// Counts is how many calls there were of each kind.
func (d *Disk) Counts() map[Call]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.counts)
}

// Sites gives a fault for each call that was counted: without and with the call carried out, as this kind of call fails on
// Linux.
func Sites(counts map[Call]int) []Fault {
	var sites []Fault
	for _, call := range Calls() {
		for n := range counts[call] {
			for _, err := range errorsOf(call) {
				sites = append(sites, Fault{Call: call, N: n + 1, Err: err}, Fault{Call: call, N: n + 1, Err: err, Done: true})
			}
		}
	}
	return sites
}

func errorsOf(call Call) []error {
	if slices.Contains([]Call{Create, Write, Sync, SyncDir, MakeDir, Rename}, call) {
		return []error{unix.ENOSPC, unix.EIO}
	}
	return []error{unix.EIO}
}

// call counts a call, and gives the fault that it is to fail with.
func (d *Disk) call(call Call) Fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counts == nil {
		d.counts = make(map[Call]int)
	}
	d.counts[call]++
	n := d.counts[call]
	for _, f := range d.faults {
		if f.Call == call && (f.N == n || f.Stays && n > f.N) {
			d.fired++
			return f
		}
	}
	return Fault{}
}

// refused says that the call fails, and is not carried out.
func (f Fault) refused() bool { return f.Err != nil && !f.Done }

// do carries out a call that gives an error only.
func (d *Disk) do(call Call, carryOut func() error) error {
	f := d.call(call)
	if f.refused() {
		return f.Err
	}
	if err := carryOut(); err != nil {
		return err
	}
	return f.Err
}
