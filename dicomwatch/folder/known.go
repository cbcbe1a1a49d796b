package folder

import (
	"container/heap"
	"slices"
	"time"
)

// state is how far a file has come at this door.
type state uint8

const (
	resting state = iota // looked at again when it is due
	queued               // stable: its turn comes
	offered              // handed over, and neither acknowledged nor handed back
	kept                 // acknowledged, and left where it is
)

// file is what is known of one file. There may be very many.
type file struct {
	stamp stamp
	// since when the stamp is known to be the same, by Folder.clock; negative if since before the start.
	since   time.Duration
	due     time.Duration // when a resting file is looked at again
	more    *more         // nil for most
	round   uint32        // the last scan that saw it
	state   state
	tries   uint8 // how often it was handed back
	changed bool  // another stamp was seen while it was offered
	// owed says that it is durable, and that disposing of it failed: it is offered again to be acknowledged again.
	owed bool
	// elsewhere says that it was offered from what the folder was before.
	elsewhere bool
}

// more is what is known of the few files that did not go straight through.
type more struct {
	held    error         // why it was handed back
	lacks   error         // what it waits for by the folder's rules
	sidecar sidecar       // by which it was offered, or which was looked at last
	broken  time.Duration // when its sidecar was found to be broken; 0 if it was not
	marker  stamp         // as it was when it was to go with the file
}

// detail is more, made where it is nil.
func (f *file) detail() *more {
	if f.more == nil {
		f.more = &more{}
	}
	return f.more
}

// handedBack counts a try, and gives it a pause that doubles from the shortest to the longest.
func (f *file) handedBack(shortest, longest time.Duration) time.Duration {
	pause := min(shortest<<f.tries, max(shortest, longest))
	f.tries = min(f.tries+1, 16)
	return pause
}

// table is what is known of all files, by their path inside the folder.
type table struct {
	files map[string]*file
	stems map[string][]string // files by their stem; nil where no sidecar may be shared
	queue queue
	due   dues
}

func newTable(sidecars bool) table {
	t := table{files: make(map[string]*file)}
	if sidecars {
		t.stems = make(map[string][]string)
	}
	return t
}

func (t *table) add(at string, known *file) {
	t.files[at] = known
	if t.stems != nil {
		t.stems[stem(at)] = append(t.stems[stem(at)], at)
	}
}

func (t *table) remove(at string) {
	if t.files[at] == nil {
		return
	}
	delete(t.files, at)
	if t.stems == nil {
		return
	}
	rest := slices.DeleteFunc(t.stems[stem(at)], func(other string) bool { return other == at })
	if len(rest) == 0 {
		delete(t.stems, stem(at))
		return
	}
	t.stems[stem(at)] = rest
}

// rest has a file looked at when it is due.
func (t *table) rest(at string, known *file, due time.Duration) {
	known.state, known.due = resting, due
	heap.Push(&t.due, appointment{due, at})
}

// enqueue lets a file wait for its turn.
func (t *table) enqueue(at string, known *file) {
	known.state = queued
	t.queue.push(at)
}

// nextDue is when the next resting file is due; ok is false if there is none.
func (t *table) nextDue() (due time.Duration, ok bool) {
	for len(t.due) > 0 {
		first := t.due[0]
		if known := t.files[first.at]; known != nil && known.state == resting && known.due == first.due {
			return first.due, true
		}
		heap.Pop(&t.due) // another came in its place
	}
	return 0, false
}

// takeDue gives the files that are due.
func (t *table) takeDue(now time.Duration) (paths []string) {
	for {
		due, ok := t.nextDue()
		if !ok || due > now {
			return paths
		}
		paths = append(paths, t.due[0].at)
		heap.Pop(&t.due)
	}
}

// queue is first in, first out. Paths of files that are not queued any more may be among them.
type queue struct{ in, out []string }

func (q *queue) push(at string) { q.in = append(q.in, at) }

func (q *queue) pop() (at string, ok bool) {
	if len(q.out) == 0 {
		slices.Reverse(q.in)
		q.in, q.out = nil, q.in
	}
	if len(q.out) == 0 {
		return "", false
	}
	last := len(q.out) - 1
	at, q.out[last] = q.out[last], ""
	q.out = q.out[:last]
	if last == 0 {
		q.out = nil
	}
	return at, true
}

func (q *queue) empty() bool { return len(q.in)+len(q.out) == 0 }

// appointment says when a file is due.
type appointment struct {
	due time.Duration
	at  string
}

// dues implements heap.Interface.
type dues []appointment

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].due < d[j].due }
func (d dues) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }

// Push implements heap.Interface.
func (d *dues) Push(x any) { *d = append(*d, x.(appointment)) }

// Pop implements heap.Interface.
func (d *dues) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}
