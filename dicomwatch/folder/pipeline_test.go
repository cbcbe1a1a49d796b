package folder_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/medanchor/medanchor/dicomwatch/folder"
	"github.com/medanchor/medanchor/document"
)

// pipeline takes what a folder offers as ingest.Pipeline does: a claim that it knows is acknowledged again only, and what does
// not end in END, while it grows, is handed back.
type pipeline struct {
	root       string
	deliveries chan document.Delivery

	mu       sync.Mutex
	claims   map[document.Claim]bool
	taken    []string // path, patient and content of each item
	offers   int
	released []error
	failed   []error // of acknowledgements
}

func newPipeline(root string) *pipeline {
	return &pipeline{root: root, deliveries: make(chan document.Delivery), claims: make(map[document.Claim]bool)}
}

// Submit implements folder.Intake.
func (p *pipeline) Submit(ctx context.Context, d document.Delivery) error {
	select {
	case p.deliveries <- d:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pipeline) run(ctx context.Context) {
	for {
		select {
		case d := <-p.deliveries:
			if err := p.take(ctx, d); err != nil {
				d.Door.Release(d.Claim, err)
				p.mu.Lock()
				p.released = append(p.released, err)
				p.mu.Unlock()
			}
		case <-ctx.Done():
			return
		}
	}
}

func (p *pipeline) take(ctx context.Context, d document.Delivery) error {
	p.mu.Lock()
	p.offers++
	known := p.claims[d.Claim]
	p.mu.Unlock()
	if !known {
		item, err := p.read(d)
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.taken, p.claims[d.Claim] = append(p.taken, item), true
		p.mu.Unlock()
	}
	gone, err := d.Door.Acknowledge(ctx, []document.Claim{d.Claim})
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.failed = append(p.failed, err)
	}
	for _, c := range gone {
		delete(p.claims, c)
	}
	return nil
}

func (p *pipeline) read(d document.Delivery) (item string, err error) {
	source, err := d.Door.Open(d.Claim)
	if err != nil {
		return "", err
	}
	defer source.Close()
	content, err := io.ReadAll(io.NewSectionReader(source, 0, d.Claim.Size))
	if err != nil {
		return "", err
	}
	if d.Growing && !strings.HasSuffix(string(content), "END") {
		return "", document.ErrGrowing
	}
	at, err := filepath.Rel(p.root, d.Claim.Path)
	return fmt.Sprintf("%s %s %s", at, d.Patient.Identifier, content), errors.Join(err, source.Unchanged())
}

// items are what was taken so far.
func (p *pipeline) items() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.taken...)
}

// offered is how often anything was offered.
func (p *pipeline) offered() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.offers
}

// known are the claims that are not forgotten.
func (p *pipeline) known() map[document.Claim]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.claims)
}

// handedBack counts what was handed back with this error.
func (p *pipeline) handedBack(reason error) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, err := range p.released {
		if errors.Is(err, reason) {
			n++
		}
	}
	return n
}

// through runs a folder and this pipeline until the test ends, or stop is called.
func (p *pipeline) through(t *testing.T, o folder.Options) (f *folder.Folder, stop func()) {
	t.Helper()
	f, err := folder.New(o, p)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { p.run(ctx) })
	running.Go(func() {
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return f, stop
}
