package reader

import (
	"errors"
	"fmt"
	"io"
)

// errTruncated means that the structure goes on beyond the end of the file.
var errTruncated = errors.New("ends early")

// chunk is how much a view reads at once: the elements of a header are small and lie side by side.
const chunk = 16 << 10

// view reads small pieces of a file, mostly forward, through a buffer.
type view struct {
	src  io.ReaderAt
	size int64

	buf   []byte
	start int64 // where buf stands in the file
	store []byte
}

// bytes gives n bytes at off, valid until the next call.
func (v *view) bytes(off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || off > v.size || int64(n) > v.size-off {
		return nil, errTruncated
	}
	if off < v.start || off+int64(n) > v.start+int64(len(v.buf)) {
		if err := v.load(off, n); err != nil {
			return nil, err
		}
	}
	at := off - v.start
	return v.buf[at : at+int64(n)], nil
}

func (v *view) load(off int64, n int) error {
	want := int(min(int64(max(n, chunk)), v.size-off))
	if cap(v.store) < want {
		v.store = make([]byte, want)
	}
	got, err := v.src.ReadAt(v.store[:want], off)
	v.buf, v.start = v.store[:got], off
	if got < n {
		return fmt.Errorf("read file: %w", err)
	}
	return nil
}
