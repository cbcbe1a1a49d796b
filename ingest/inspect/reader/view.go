package reader

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
)

var (
	// errTruncated means that the structure goes on beyond the end of the data.
	errTruncated = errors.New("ends early")
	// errTooLong means that a bound was reached before the end of what was to be read.
	errTooLong = errors.New("is too long to read")
	// errCorrupt means that data cannot be inflated.
	errCorrupt = errors.New("cannot be inflated")
)

// shortest is how many bytes the shortest element has.
const shortest = 8

func isPadding(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// source is the data that a scanner walks. Offsets only ever grow.
type source interface {
	// bytes gives n bytes at off, valid until the next call.
	bytes(off int64, n int) ([]byte, error)
	// reach fails with errTruncated if the data ends before off.
	reach(off int64) error
	// more tells whether there is an element at off. Fewer bytes than any has, and all NUL, are padding.
	more(off int64) (bool, error)
	// ending gives the last n bytes, or all, and the end's offset; nil if they cannot be had without all that is before.
	ending(n int) (b []byte, end int64)
}

// How much a view reads at once: the elements of a header are small and lie side by side, those behind a large value may
// be few.
const (
	minChunk = 512 // so that 32,768 fragments can be walked, and the parent is asked no more than wire.MaxAsks times
	maxChunk = 64 << 10
)

// view is a file, of which it reads small pieces through a buffer, and no more than maxHeader bytes altogether: what is
// skipped is not read.
type view struct {
	src  io.ReaderAt
	size int64

	buf   []byte
	start int64 // where buf stands in the file
	store []byte
	chunk int
	read  int64
}

func newView(src io.ReaderAt, size int64) *view {
	return &view{src: src, size: size, chunk: 8 * minChunk}
}

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
	if end := v.start + int64(len(v.buf)); len(v.buf) > 0 && off <= end {
		v.chunk = min(2*v.chunk, maxChunk)
	} else if len(v.buf) > 0 {
		v.chunk = minChunk
	}
	want := int(min(int64(max(n, v.chunk)), v.size-off))
	if v.read += int64(want); v.read > maxHeader {
		return errTooLong
	}
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

func (v *view) reach(off int64) error {
	if off > v.size {
		return errTruncated
	}
	return nil
}

func (v *view) more(off int64) (bool, error) {
	if left := v.size - off; left < shortest {
		b, err := v.bytes(off, int(left))
		return !isPadding(b), err
	}
	return true, nil
}

func (v *view) ending(n int) ([]byte, int64) {
	n = int(min(int64(n), v.size))
	b := make([]byte, n)
	if got, _ := v.src.ReadAt(b, v.size-int64(n)); got < n { // beside the buffer, which the walk still needs
		return nil, 0
	}
	return b, v.size
}

// inflated is a deflated dataset (PS3.5 §A.5), inflated as far as it is walked, and never beyond maxInflate bytes: a few
// kilobytes may become gigabytes.
type inflated struct {
	r   *bufio.Reader
	pos int64
}

func inflate(packed io.Reader) *inflated {
	return &inflated{r: bufio.NewReaderSize(flate.NewReader(bufio.NewReaderSize(packed, maxChunk)), 2*maxValue)}
}

func (f *inflated) bytes(off int64, n int) ([]byte, error) {
	if err := f.reach(off); err != nil {
		return nil, err
	}
	b, err := f.r.Peek(n)
	return b, inflateError(err)
}

func (f *inflated) reach(off int64) error {
	if off > maxInflate {
		return errTooLong
	}
	n, err := f.r.Discard(int(off - f.pos))
	f.pos += int64(n)
	return inflateError(err)
}

func (f *inflated) more(off int64) (bool, error) {
	b, err := f.bytes(off, shortest)
	if errors.Is(err, errEnd) {
		return !isPadding(b), nil
	}
	return err == nil, err
}

func (f *inflated) ending(int) ([]byte, int64) { return nil, 0 }

// finish inflates what has not been walked, and so sees whether it can be, to its end.
func (f *inflated) finish() error {
	err := f.reach(maxInflate)
	switch {
	case errors.Is(err, errEnd):
		return nil
	case err == nil:
		return errTooLong
	default:
		return err
	}
}

// errEnd is errTruncated where the deflated data itself is whole.
var errEnd = fmt.Errorf("dataset: %w", errTruncated)

func inflateError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		return errEnd
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("deflated dataset: %w", errTruncated)
	default:
		return fmt.Errorf("deflated dataset: %w: %w", errCorrupt, err)
	}
}
