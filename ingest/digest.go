package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"

	"lukechampine.com/blake3"

	"github.com/medanchor/medanchor/document"
)

// digester hashes what is read through it, and remembers the source's error, so that a file that cannot be read is told from
// storage that failed.
type digester struct {
	src    io.Reader
	digest behind
	pixels behind
	ctx    context.Context
	err    error
	read   int64
}

// behind hashes what stands behind the first skip bytes.
type behind struct {
	hash.Hash
	skip int64
}

func (b behind) write(p []byte, read int64) {
	b.Write(p[min(max(b.skip-read, 0), int64(len(p))):])
}

// newDigester reads an item's content from the beginning, with its offsets known.
func newDigester(ctx context.Context, src io.ReaderAt, item *document.Item) *digester {
	d := &digester{
		src: io.NewSectionReader(src, 0, item.Size), ctx: ctx,
		digest: behind{sha256.New(), item.Metadata.DatasetOffset},
		pixels: behind{blake3.New(len(document.Digest{}), nil), item.Metadata.PixelOffset},
	}
	if item.Metadata.PixelOffset == 0 {
		d.pixels.skip = item.Size
	}
	return d
}

func (d *digester) Read(b []byte) (int, error) {
	if err := d.ctx.Err(); err != nil {
		d.err = err
		return 0, err
	}
	n, err := d.src.Read(b)
	d.digest.write(b[:n], d.read)
	d.pixels.write(b[:n], d.read)
	d.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		d.err = err
	}
	return n, err
}

// sum gives the item the hashes of what was read.
func (d *digester) sum(item *document.Item) {
	d.digest.Sum(item.Digest[:0])
	item.Pixels = document.Digest{}
	if item.Metadata.PixelOffset > 0 {
		d.pixels.Sum(item.Pixels[:0])
	}
}
