package ipfs

import "slices"

const (
	// maxAhead is how many leaves are asked for ahead of the one that is read.
	maxAhead = 24
	// keepLeaves is how many of the leaves read last are kept, the current one included.
	keepLeaves = 3
)

// window holds some leaves of a payload: those read last, and while it is read from the left to the right, those ahead.
// It asks for more the longer that goes on, and for none after a jump.
type window struct {
	courier *courier
	tree    outline
	held    map[int]*want
	used    []int // the latest last
	ahead   int
	current []byte // of the leaf used last; nil if it was not had
}

// leaf gives a leaf's bytes, which the caller must not change.
func (w *window) leaf(i int) ([]byte, error) {
	if w.current != nil && w.last() == i {
		return w.current, nil
	}
	w.current = nil
	w.move(i)
	data, err := w.held[i].get()
	if err != nil {
		delete(w.held, i) // asked for again, if read again
		return nil, err
	}
	if err := w.tree.check(i, data); err != nil {
		return nil, err
	}
	w.current = data
	return data, nil
}

// last is the leaf used last; -1 for none.
func (w *window) last() int {
	if len(w.used) == 0 {
		return -1
	}
	return w.used[len(w.used)-1]
}

// move makes a leaf the current one.
func (w *window) move(i int) {
	switch i {
	case w.last():
	case w.last() + 1:
		w.ahead = min(max(2*w.ahead, 2), maxAhead)
	default:
		w.ahead = 0
	}
	w.used = append(slices.DeleteFunc(w.used, func(u int) bool { return u == i }), i)
	w.used = w.used[max(len(w.used)-keepLeaves, 0):]

	end := min(i+w.ahead+1, len(w.tree.leaves))
	for held := range w.held {
		if (held < i || held >= end) && !slices.Contains(w.used, held) {
			delete(w.held, held) // if it is still on its way, it comes and is dropped
		}
	}
	for ; i < end; i++ {
		if w.held[i] == nil {
			w.held[i] = w.courier.want(w.tree.leaves[i])
		}
	}
}
