// Package child is the loop of medanchor-inspect: confine the process, then read file after file for the parent.
package child

import (
	"errors"
	"fmt"
	"io"
	"log"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/medanchor/medanchor/ingest/inspect/reader"
	"github.com/medanchor/medanchor/ingest/inspect/sandbox"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

const (
	// softMemory makes the collector work harder well before sandbox.Memory ends the process.
	softMemory = 160 << 20
	// wornMemory is how much memory the runtime may hold before a successor is wanted: what it holds it keeps, and the next
	// file would have less room.
	wornMemory = 48 << 20
	// needed is the CPU time that one file may take, in seconds: two processors for its share of inspect.Options.Timeout. A child
	// that has less left is not to begin one: the kernel would end it, and the file would pass for hostile.
	needed = 2 * 10
	// maxStack bounds recursion in parsers: overflow ends the process, at a depth that no honest file needs.
	maxStack = 64 << 20
)

// Run confines the process and inspects the files that arrive on in until it ends.
func Run(in io.Reader, out io.Writer) error {
	log.SetOutput(io.Discard) // parsers may log what they read
	debug.SetMemoryLimit(softMemory)
	debug.SetMaxStack(maxStack)
	runtime.GOMAXPROCS(2)
	hello := wire.Hello{Version: wire.Version}
	if err := sandbox.Enter(); err != nil {
		hello.Error = err.Error()
	}
	if err := wire.WriteJSON(out, wire.TypeHello, hello); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	if hello.Error != "" {
		return errors.New(hello.Error)
	}
	c := &child{in: in, out: out}
	for {
		err := c.serve()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// child reads the files that arrive on in.
type child struct {
	in    io.Reader
	out   io.Writer
	store []byte // of a file's first bytes
}

// serve inspects one file.
func (c *child) serve() error {
	f, err := wire.ReadFile(c.in, &c.store)
	if err != nil {
		return err
	}
	src := &remote{in: c.in, out: c.out, size: f.Size, head: f.Head}
	m, busy := reader.Read(src, f.Head, f.Size, f.Mode)
	if src.broken != nil {
		return fmt.Errorf("read from the parent: %w", src.broken)
	}
	return wire.WriteJSON(c.out, wire.TypeAnswer, wire.Answer{Metadata: m, Worn: busy || worn(memory(), sandbox.CPU())})
}

// worn tells whether a successor is wanted, of a process that holds memory (in bytes) and has used cpu (in seconds).
func worn(memory uint64, cpu float64) bool {
	return memory > wornMemory || cpu > sandbox.CPUSeconds-needed
}

// memory gives how much the runtime holds, in bytes.
func memory() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// remote is the parent's file, read over the pipe.
type remote struct {
	in     io.Reader
	out    io.Writer
	size   int64
	head   []byte
	broken error // the pipe itself failed: nothing more can be said
}

// ReadAt implements io.ReaderAt.
func (r *remote) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= r.size {
		return 0, io.EOF
	}
	n := 0
	if off < int64(len(r.head)) {
		n = copy(p, r.head[off:])
	}
	for n < len(p) && off+int64(n) < r.size {
		got, err := r.fetch(p[n:], off+int64(n))
		if err != nil {
			r.broken = err
			return n, err
		}
		if got == 0 {
			return n, io.ErrUnexpectedEOF // the file has shrunk
		}
		n += got
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (r *remote) fetch(p []byte, off int64) (int, error) {
	want := int(min(int64(len(p)), wire.MaxRange, r.size-off))
	if err := wire.WriteRange(r.out, wire.Range{Offset: off, Length: want}); err != nil {
		return 0, err
	}
	b, err := wire.ReadBytes(r.in)
	if err != nil {
		return 0, err
	}
	return copy(p, b), nil
}
