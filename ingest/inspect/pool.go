package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

// ErrClosed means that the pool has been closed.
var ErrClosed = errors.New("inspector pool is closed")

// Options configure a Pool.
type Options struct {
	// Program is the path of medanchor-inspect.
	Program string
	// Children is how many files are read at a time; 0 means one for each processor.
	Children int
	// Timeout bounds the time that one attempt at a file may take; 0 means 10 s.
	Timeout time.Duration
}

// Pool reads metadata in sandboxed children. It is safe for concurrent use.
type Pool struct {
	program string
	timeout time.Duration
	slots   chan *child // one entry for each child; nil where one is to be started
	size    int

	closing sync.Once
	closed  chan struct{}
}

// New makes a pool and starts its first child, so that a program that cannot run shows at once. The caller closes it.
func New(ctx context.Context, o Options) (*Pool, error) {
	p := &Pool{program: o.Program, timeout: o.Timeout, size: o.Children, closed: make(chan struct{})}
	if p.size <= 0 {
		p.size = runtime.GOMAXPROCS(0)
	}
	if p.timeout <= 0 {
		p.timeout = 10 * time.Second
	}
	first, err := start(ctx, p.program)
	if err != nil {
		return nil, err
	}
	p.slots = make(chan *child, p.size)
	p.slots <- first
	for range p.size - 1 {
		p.slots <- nil
	}
	return p, nil
}

// Close ends every child and waits for them; it waits for files that are being read.
func (p *Pool) Close() error {
	p.closing.Do(func() {
		close(p.closed)
		for range p.size {
			if c := <-p.slots; c != nil {
				c.end()
			}
		}
	})
	return nil
}

// Inspect reads the metadata of a file of the given size. It never fails because of what is in the file: a file that
// cannot be read, or on which a child dies, gives Metadata with a Problem. An error means that the program cannot be
// started, that src could not be read, that ctx ended or that the pool is closed; trying again may then help.
func (p *Pool) Inspect(ctx context.Context, src io.ReaderAt, size int64) (document.Metadata, error) {
	head := make([]byte, min(size, wire.Head))
	if n, err := src.ReadAt(head, 0); n < len(head) {
		return document.Metadata{}, fmt.Errorf("read file to inspect: %w", err)
	}
	c, err := p.take(ctx)
	if err != nil {
		return document.Metadata{}, err
	}
	defer func() { p.slots <- c }()

	// A child that dies on a file may have died of one parser's fault: its successor tries without that parser.
	var last error
	for _, mode := range []wire.Mode{wire.Full, wire.Careful} {
		var m document.Metadata
		c, m, err = p.attempt(ctx, c, job{src: src, size: size, head: head, mode: mode})
		if err == nil {
			return m, nil
		}
		if !isFault(err) {
			return document.Metadata{}, err
		}
		last = err
	}
	return document.Metadata{
		Format:  wire.Sniff(head, size),
		Problem: document.ReasonInspectFailed,
		Detail:  wire.Text(last.Error()),
	}, nil
}

func (p *Pool) take(ctx context.Context) (*child, error) {
	select {
	case <-p.closed:
		return nil, ErrClosed
	default:
	}
	select {
	case <-p.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	case c := <-p.slots:
		return c, nil
	}
}

// attempt gives the job to c, or to a new child where c is nil or has died while it was idle. It returns the child that
// may be used again, nil if there is none.
func (p *Pool) attempt(ctx context.Context, c *child, j job) (*child, document.Metadata, error) {
	if c != nil {
		m, err := c.inspect(ctx, j, p.timeout)
		if !errors.Is(err, syscall.EPIPE) {
			return c.orNil(), m, err
		}
	}
	c, err := start(ctx, p.program)
	if err != nil {
		return nil, document.Metadata{}, err
	}
	m, err := c.inspect(ctx, j, p.timeout)
	if errors.Is(err, syscall.EPIPE) {
		err = &fault{describe(err)}
	}
	return c.orNil(), m, err
}
