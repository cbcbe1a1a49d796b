package ipfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
)

// Remote reads a payload from another hospital. It is an io.ReadSeekCloser and an io.ReaderAt; its methods may be called
// concurrently, and Close ends those under way. Reading from the left to the right fetches up to 24 MiB ahead.
type Remote struct {
	courier *courier
	size    int64

	mu     sync.Mutex
	window window
	offset int64 // of Read
}

var (
	_ io.ReadSeekCloser = (*Remote)(nil)
	_ io.ReaderAt       = (*Remote)(nil)
)

// newRemote makes a reader; first are the leaves that are there already.
func newRemote(c *courier, tree outline, first ...*want) *Remote {
	r := &Remote{courier: c, size: tree.size(), window: window{courier: c, tree: tree, held: make(map[int]*want)}}
	for i, w := range first {
		r.window.held[i] = w
	}
	return r
}

// Size gives the payload's size, in bytes.
func (r *Remote) Size() int64 { return r.size }

// Read reads on from where the last Read or Seek ended. An error is ErrUnavailable if no source is left, ErrCorrupt if
// the payload was made wrong, fs.ErrClosed after Close, or that of the context.
func (r *Remote) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.readOnce(p, r.offset)
	r.offset += int64(n)
	return n, err
}

// ReadAt reads len(p) bytes from an offset in the payload, or fewer and an error, which is as for Read.
func (r *Remote) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, errors.New("read payload: before its start")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	total := 0
	for total < len(p) {
		n, err := r.readOnce(p[total:], offset+int64(total))
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// readOnce reads from one leaf.
func (r *Remote) readOnce(p []byte, offset int64) (int, error) {
	if err := r.courier.err(); err != nil {
		return 0, fmt.Errorf("read payload: %w", err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if offset >= r.size {
		return 0, io.EOF
	}
	leaf := r.window.tree.at(offset)
	data, err := r.window.leaf(leaf)
	if err != nil {
		return 0, fmt.Errorf("read payload: %w", err)
	}
	return copy(p, data[offset-r.window.tree.start(leaf):]), nil
}

// Seek sets where the next Read begins.
func (r *Remote) Seek(offset int64, whence int) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to, err := r.window.tree.seek(r.offset, offset, whence)
	if err != nil {
		return 0, err
	}
	r.offset = to
	return to, nil
}

// Close ends the reader. Connections to sources stay, for the next one.
func (r *Remote) Close() error {
	r.courier.close(fs.ErrClosed)
	return nil
}
