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

// errSlow is the machine's fault, not a file's.
var errSlow = errors.New("it was not ready in the time that a file has; this machine is overloaded")

// Options configure a Pool.
type Options struct {
	// Program is the path of medanchor-inspect.
	Program string
	// Children is how many files are read at a time; 0 means one for each processor.
	Children int
	// Timeout bounds the time that one file may take, from when a child is free; 0 means 20 s. Each of the two attempts has
	// half of it.
	Timeout time.Duration
}

// Pool reads metadata in sandboxed children. It is safe for concurrent use.
type Pool struct {
	program string
	timeout time.Duration
	slots   chan *slot // one entry for each child
	size    int

	closing sync.Once
	closed  chan struct{}
}

// slot is the place of one child.
type slot struct {
	child   *child // nil where one is to be started
	opening wire.Opening
}

// New makes a pool and starts its first child, so that a program that cannot run shows at once. The caller closes it.
func New(ctx context.Context, o Options) (*Pool, error) {
	p := &Pool{program: o.Program, timeout: o.Timeout, size: o.Children, closed: make(chan struct{})}
	if p.size <= 0 {
		p.size = runtime.GOMAXPROCS(0)
	}
	if p.timeout <= 0 {
		p.timeout = 20 * time.Second
	}
	first, err := start(ctx, p.program)
	if err != nil {
		return nil, err
	}
	p.slots = make(chan *slot, p.size)
	p.slots <- &slot{child: first}
	for range p.size - 1 {
		p.slots <- &slot{}
	}
	return p, nil
}

// Close ends every child and waits for them; it waits for files that are being read.
func (p *Pool) Close() error {
	p.closing.Do(func() {
		close(p.closed)
		for range p.size {
			if s := <-p.slots; s.child != nil {
				s.child.end()
			}
		}
	})
	return nil
}

// Inspect reads the metadata of a file of the given size. It never fails because of what is in the file: a file that
// cannot be read, or on which a child dies, gives Metadata with a Problem. An error means that the program cannot be
// started, that src could not be read, that ctx ended or that the pool is closed; trying again may then help.
func (p *Pool) Inspect(ctx context.Context, src io.ReaderAt, size int64) (document.Metadata, error) {
	s, err := p.take(ctx)
	if err != nil {
		return document.Metadata{}, err
	}
	defer func() { p.slots <- s }()
	head := s.opening.Head(size)
	if n, err := src.ReadAt(head, 0); n < len(head) {
		return document.Metadata{}, fmt.Errorf("read file to inspect: %w", err)
	}

	bounded, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	// A child that dies on a file may have died of one parser's fault: its successor tries without that parser.
	var last error
	for _, mode := range []wire.Mode{wire.Full, wire.Careful} {
		var m document.Metadata
		m, err = p.attempt(bounded, s, job{src: src, size: size, opening: &s.opening, mode: mode})
		if err == nil {
			return m, nil
		}
		late := bounded.Err() != nil && ctx.Err() == nil
		switch {
		case isFault(err), late && last != nil:
			last = err
		case late:
			return document.Metadata{}, fmt.Errorf("start inspector %s: %w", p.program, errSlow)
		default:
			return document.Metadata{}, err
		}
	}
	return document.Metadata{
		Format:  wire.Sniff(head, size),
		Problem: document.ReasonInspectFailed,
		Detail:  wire.Text(describe(last).Error()),
	}, nil
}

func (p *Pool) take(ctx context.Context) (*slot, error) {
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
	case s := <-p.slots:
		return s, nil
	}
}

// attempt gives the job to the slot's child, or to a new one where there is none or it has died while it was idle.
func (p *Pool) attempt(ctx context.Context, s *slot, j job) (document.Metadata, error) {
	if s.child != nil {
		m, err := s.child.inspect(ctx, j, p.timeout/2)
		if s.child = s.child.orNil(); !errors.Is(err, syscall.EPIPE) {
			return m, err
		}
	}
	c, err := start(ctx, p.program)
	if err != nil {
		return document.Metadata{}, err
	}
	m, err := c.inspect(ctx, j, p.timeout/2)
	if errors.Is(err, syscall.EPIPE) {
		err = &fault{describe(err)}
	}
	s.child = c.orNil()
	return m, err
}
