package folder

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

// maxHints bounds the hints that are kept: where there are more, all is scanned.
const maxHints = 4096

// hints collects what may have changed. It is allowed to miss things.
type hints struct {
	root string
	tell func(error) // of what keeps changes from being seen, once
	c    chan struct{}

	mu      sync.Mutex
	paths   map[string]struct{} // inside the folder
	all     bool                // anything may have changed
	told    bool
	watcher *fsnotify.Watcher
	done    chan struct{} // closed when the watcher's events are read to their end
}

func newHints(root string, tell func(error)) *hints {
	return &hints{root: root, tell: tell, c: make(chan struct{}, 1), paths: make(map[string]struct{})}
}

// start watches anew. Where the system cannot, there are no hints but the door's own.
func (h *hints) start() {
	h.stop()
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		h.tellOnce(err)
		return
	}
	done := make(chan struct{})
	h.mu.Lock()
	h.watcher, h.done = watcher, done
	h.mu.Unlock()
	go h.read(watcher.Events, watcher.Errors, done)
}

func (h *hints) stop() {
	h.mu.Lock()
	watcher, done := h.watcher, h.done
	h.watcher, h.done = nil, nil
	h.mu.Unlock()
	if watcher != nil {
		_ = watcher.Close()
		<-done
	}
}

func (h *hints) read(events <-chan fsnotify.Event, errs <-chan error, done chan<- struct{}) {
	defer close(done)
	prefix := strings.TrimSuffix(h.root, "/") + "/"
	for {
		select {
		case event, ok := <-events:
			if !ok {
				return
			}
			if at, below := strings.CutPrefix(event.Name, prefix); below {
				h.add(at)
			} else {
				h.everything() // the folder itself was moved or removed
			}
		case _, ok := <-errs: // an overflow, say
			if !ok {
				return
			}
			h.everything()
		}
	}
}

// watch adds a directory inside the folder. What cannot be watched is found by scanning.
func (h *hints) watch(at string) {
	h.mu.Lock()
	watcher := h.watcher
	h.mu.Unlock()
	if watcher == nil {
		return
	}
	h.watched(watcher.Add(filepath.Join(h.root, at)))
}

// watched tells of a directory that cannot be watched because there are too many. Others are gone, or will be told of by the scan.
func (h *hints) watched(err error) {
	if errors.Is(err, unix.ENOSPC) {
		h.tellOnce(errors.New("there are too many folders to watch: raise fs.inotify.max_user_watches"))
	}
}

func (h *hints) tellOnce(err error) {
	h.mu.Lock()
	told := h.told
	h.told = true
	h.mu.Unlock()
	if !told {
		h.tell(err)
	}
}

// add has one path looked at.
func (h *hints) add(at string) {
	h.mu.Lock()
	if len(h.paths) < maxHints {
		h.paths[at] = struct{}{}
	} else {
		h.all = true
	}
	h.mu.Unlock()
	h.wake()
}

// everything has the whole folder scanned.
func (h *hints) everything() {
	h.mu.Lock()
	h.all = true
	h.mu.Unlock()
	h.wake()
}

// wake ends a wait for hints.
func (h *hints) wake() {
	select {
	case h.c <- struct{}{}:
	default:
	}
}

// take gives the paths that were hinted at since the last call.
func (h *hints) take() map[string]struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	paths := h.paths
	h.paths = make(map[string]struct{})
	return paths
}

// takeAll says whether all is to be scanned.
func (h *hints) takeAll() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all
	h.all = false
	return all
}
