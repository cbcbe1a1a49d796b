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
	// half of it. What its source takes to be read does not count.
	Timeout time.Duration
	// SourceTimeout bounds that, in all; 0 means 5 minutes. A read that does not return is not ended.
	SourceTimeout time.Duration
}

// Pool reads metadata in sandboxed children. It is safe for concurrent use.
type Pool struct {
	options  Options
	children chan *child // one entry for each; nil where one is to be started
	// slow has room for all of them but one: what may take long leaves that for DICOM and texts, which are read at once.
	slow     chan struct{}
	openings sync.Pool

	closing sync.Once
	closed  chan struct{}
}

// New makes a pool and starts its first child, so that a program that cannot run shows at once. The caller closes it.
func New(ctx context.Context, o Options) (*Pool, error) {
	if o.Children <= 0 {
		o.Children = runtime.GOMAXPROCS(0)
	}
	if o.Timeout <= 0 {
		o.Timeout = 20 * time.Second
	}
	if o.SourceTimeout <= 0 {
		o.SourceTimeout = 5 * time.Minute
	}
	first, err := start(ctx, o.Program, startTimeout)
	if err != nil {
		return nil, err
	}
	p := &Pool{
		options: o, children: make(chan *child, o.Children), slow: make(chan struct{}, max(1, o.Children-1)),
		openings: sync.Pool{New: func() any { return new(wire.Opening) }}, closed: make(chan struct{}),
	}
	p.children <- first
	for range o.Children - 1 {
		p.children <- nil
	}
	return p, nil
}

// Close ends every child and waits for them; it waits for files that are being read.
func (p *Pool) Close() error {
	p.closing.Do(func() {
		close(p.closed)
		for range p.options.Children {
			if c := <-p.children; c != nil {
				c.end()
			}
		}
	})
	return nil
}

// Inspect reads the metadata of a file of the given size. It never fails because of what is in the file: a file that
// cannot be read, or on which a child dies, gives Metadata with a Problem. An error means that the program cannot be
// started, that src could not be read or not in time, that ctx ended or that the pool is closed; trying again may then help.
func (p *Pool) Inspect(ctx context.Context, src io.ReaderAt, size int64) (document.Metadata, error) {
	opening := p.openings.Get().(*wire.Opening)
	defer p.openings.Put(opening)
	j := &job{src: src, size: size, opening: opening, child: p.options.Timeout, source: p.options.SourceTimeout}
	head := opening.Head(size)
	if n, _, err := j.read(head, 0); n < len(head) {
		return document.Metadata{}, fmt.Errorf("read file to inspect: %w", err)
	}
	format := wire.Sniff(head, size)
	// A child that dies on a file may have died of one parser's fault: its successor tries without that parser.
	var last error
	for _, mode := range []wire.Mode{wire.Full, wire.Careful} {
		m, err := p.attempt(ctx, j, mode, format)
		switch {
		case err == nil:
			return m, nil
		case isFault(err), isLate(err) && last != nil:
			last = err
		case isLate(err):
			return document.Metadata{}, fmt.Errorf("start inspector %s: %w", p.options.Program, errSlow)
		default:
			return document.Metadata{}, err
		}
		if format == document.FormatPDF && isLate(err) {
			break // the parser that takes its time is in both modes
		}
	}
	return document.Metadata{
		Format:  format,
		Problem: document.ReasonInspectFailed,
		Detail:  wire.Text(describe(last).Error()),
	}, nil
}

// attempt has a child read the file, as soon as one is free for files of its kind.
func (p *Pool) attempt(ctx context.Context, j *job, mode wire.Mode, format document.Format) (m document.Metadata, err error) {
	if format == document.FormatPDF || mode == wire.Careful { // of a text, and of what is unknown, the head is all that is read
		select {
		case <-p.closed:
			return m, ErrClosed
		case <-ctx.Done():
			return m, ctx.Err()
		case p.slow <- struct{}{}:
			defer func() { <-p.slow }()
		}
	}
	c, err := p.take(ctx)
	if err != nil {
		return m, err
	}
	defer func() { p.children <- c.orNil() }()
	j.begin(mode)
	defer j.end()
	c, m, err = p.give(ctx, c, j)
	return m, err
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
	case c := <-p.children:
		return c, nil
	}
}

// give gives the job to a child, or to a new one where there is none or it has died while it was idle.
func (p *Pool) give(ctx context.Context, c *child, j *job) (*child, document.Metadata, error) {
	limit := func() time.Duration { return min(p.options.Timeout/2, time.Until(j.until)) }
	if c != nil {
		if m, err := c.inspect(ctx, j, limit()); !errors.Is(err, syscall.EPIPE) {
			return c, m, err
		}
	}
	c, err := start(ctx, p.options.Program, min(startTimeout, time.Until(j.until)))
	if err != nil {
		return nil, document.Metadata{}, err
	}
	m, err := c.inspect(ctx, j, limit())
	if errors.Is(err, syscall.EPIPE) {
		err = &fault{describe(err)}
	}
	return c, m, err
}
