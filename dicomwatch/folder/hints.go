package folder

import (
	"github.com/fsnotify/fsnotify"
)

// hints says that something in the watched directories may have changed. It is allowed to miss things.
type hints struct {
	c       chan struct{}
	watcher *fsnotify.Watcher
	done    chan struct{}
}

// newHints watches dir. Where the system cannot, the hints that it returns are silent.
func newHints(dir string) (*hints, error) {
	h := &hints{c: make(chan struct{}, 1), done: make(chan struct{})}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		close(h.done)
		return h, err
	}
	h.watcher = watcher
	go h.run()
	return h, watcher.Add(dir)
}

func (h *hints) run() {
	defer close(h.done)
	for {
		select {
		case _, ok := <-h.watcher.Events:
			if !ok {
				return
			}
		case _, ok := <-h.watcher.Errors: // an overflow, say: look
			if !ok {
				return
			}
		}
		select {
		case h.c <- struct{}{}:
		default:
		}
	}
}

// watch adds a directory. What cannot be watched is found by scanning.
func (h *hints) watch(dir string) {
	if h.watcher != nil {
		_ = h.watcher.Add(dir)
	}
}

func (h *hints) close() {
	if h.watcher != nil {
		_ = h.watcher.Close()
	}
	<-h.done
}
