package reading

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/medanchor/medanchor/document"
)

// eitherOf is a document that several ways lead to: where one fails, also half-way, the next is taken. What all of them
// give is verified.
func eitherOf(ways []Document) Document {
	if len(ways) == 1 {
		return ways[0]
	}
	d := ways[0]
	d.Open = func(ctx context.Context) (Plain, error) {
		p := &either{ctx: ctx, ways: ways}
		return p, p.next(nil)
	}
	d.Verify = func(digest document.Digest) bool { return ways[0].Verify(digest) }
	return d
}

// checked is a document whose content has the size that its description says. Of one that is empty there is nothing to
// verify while it is read, so that is done as it is opened.
func checked(d Document) Document {
	open := d.Open
	d.Open = func(ctx context.Context) (Plain, error) {
		plain, err := open(ctx)
		if err != nil {
			return nil, err
		}
		switch {
		case plain.Size() != d.Size:
			err = fmt.Errorf("%w: it has %d bytes, and its description says %d", ErrUnavailable, plain.Size(), d.Size)
		case d.Size == 0 && !d.Verify(sha256.Sum256(nil)):
			err = errWhole
		default:
			return plain, nil
		}
		return nil, errors.Join(err, plain.Close())
	}
	return d
}

// either reads by the first way that works.
type either struct {
	ctx  context.Context // of the request: io.ReaderAt takes none
	ways []Document      // that were not tried
	now  Plain
}

// next opens the next way. Failed is why the one before it was left.
func (e *either) next(failed error) error {
	if e.now != nil {
		failed = errors.Join(failed, e.now.Close())
		e.now = nil
	}
	for len(e.ways) > 0 && e.ctx.Err() == nil {
		way := e.ways[0]
		e.ways = e.ways[1:]
		plain, err := way.Open(e.ctx)
		if err == nil {
			e.now = plain
			return nil
		}
		failed = errors.Join(failed, err)
	}
	return errors.Join(failed, e.ctx.Err())
}

// ReadAt implements io.ReaderAt. It is not for concurrent use.
func (e *either) ReadAt(p []byte, off int64) (n int, err error) {
	for e.now != nil {
		m, err := e.now.ReadAt(p[n:], off+int64(n))
		n += m
		// A way that ends early fails, whatever it calls that.
		if err == nil || n == len(p) || errors.Is(err, io.EOF) && off+int64(n) >= e.now.Size() {
			return n, err
		}
		if err := e.next(err); err != nil {
			return n, err
		}
	}
	return n, ErrUnavailable
}

// Size implements Plain.
func (e *either) Size() int64 {
	if e.now == nil {
		return 0
	}
	return e.now.Size()
}

// Close implements Plain.
func (e *either) Close() error {
	if e.now == nil {
		return nil
	}
	return e.now.Close()
}

// guarded reads a document for as long as check lets it. Read from the beginning to the end, the whole is verified before
// its last bytes are given. It is for one request, and not for concurrent use.
type guarded struct {
	plain  Plain
	size   int64
	check  func() error
	verify func(document.Digest) bool

	offset int64
	hash   hash.Hash // of the first bytes, as many as were hashed
	skip   int64     // how much of the beginning does not count
	hashed int64
}

func newGuarded(plain Plain, d Document, check func() error) *guarded {
	return &guarded{
		plain: plain, size: plain.Size(), check: check, verify: d.Verify, hash: sha256.New(), skip: d.Metadata.DatasetOffset,
	}
}

// errWhole says that each part of a document was in order, and the whole is another document.
var errWhole = fmt.Errorf("%w: the content is not the document's: its digest differs", ErrUnavailable)

// Read implements io.Reader.
func (g *guarded) Read(p []byte) (int, error) {
	if g.offset >= g.size {
		return 0, io.EOF
	}
	if err := g.check(); err != nil {
		return 0, err
	}
	p = p[:min(int64(len(p)), g.size-g.offset)]
	n, err := g.plain.ReadAt(p, g.offset)
	if n < len(p) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, fmt.Errorf("read document: %w", err)
	}
	if err := g.check(); err != nil { // reading may have taken its time
		return 0, err
	}
	if err := g.account(p); err != nil {
		return 0, err
	}
	g.offset += int64(n)
	return n, nil
}

// account verifies the whole once its end is read.
func (g *guarded) account(p []byte) error {
	if g.hashed != g.offset {
		return nil // a part: each chunk was verified
	}
	g.hash.Write(p[min(max(g.skip-g.offset, 0), int64(len(p))):])
	g.hashed += int64(len(p))
	if g.hashed == g.size && !g.verify(document.Digest(g.hash.Sum(nil))) {
		return errWhole
	}
	return nil
}

// Seek implements io.Seeker.
func (g *guarded) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += g.offset
	case io.SeekEnd:
		offset += g.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	g.offset = offset
	return offset, nil
}
