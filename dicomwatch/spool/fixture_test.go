package spool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"filippo.io/age"

	"github.com/medanchor/medanchor/dicomwatch"
	"github.com/medanchor/medanchor/dicomwatch/spool"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/vault/seal"
)

// cipher is the vault's.
type cipher struct{}

func (cipher) NewFile(dst io.Writer) ([16]byte, io.WriteCloser, error) { return seal.NewFile(dst) }

func (cipher) OpenAt(key [16]byte, payload io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
	return seal.OpenAt(key, payload, size)
}

// newVault makes keys of their own.
func newVault(tb testing.TB) *seal.Vault {
	tb.Helper()
	recovery, err := age.GenerateHybridIdentity()
	if err != nil {
		tb.Fatal(err)
	}
	keyFile, data := filepath.Join(tb.TempDir(), "vault.key"), tb.TempDir()
	if err := seal.Create(keyFile, data, recovery.Recipient().String()); err != nil {
		tb.Fatal(err)
	}
	vault, err := seal.Load(keyFile, data, recovery.Recipient().String())
	if err != nil {
		tb.Fatal(err)
	}
	return vault
}

// options are those of a spool in a directory of its own.
func options(tb testing.TB) spool.Options {
	tb.Helper()
	return spool.Options{
		Name: "dicom", Path: filepath.Join(tb.TempDir(), "spool"), Sealer: newVault(tb), Cipher: cipher{},
		Log: slog.New(slog.DiscardHandler), Lull: -1,
	}
}

var sent = dicomwatch.Object{
	Calling: "CT_SCANNER_7", Called: "MEDANCHOR", Address: "192.0.2.7", SOPClassUID: "1.2.840.10008.5.1.4.1.1.2",
	InstanceUID: "2.25.123456789", TransferSyntaxUID: "1.2.840.10008.1.2.1", Department: "radiology", Issuer: "TRUST-A",
}

// send has an object come in.
func send(ctx context.Context, s *spool.Spool, content []byte) error {
	in, err := s.Create(sent)
	if err != nil {
		return err
	}
	for rest := content; len(rest) > 0; {
		n, err := in.Write(rest[:min(len(rest), 16_000)])
		if err != nil {
			return errors.Join(err, in.Discard())
		}
		rest = rest[n:]
	}
	return in.Commit(ctx)
}

// content is that of the n-th object, size bytes long.
func content(n, size int) []byte {
	line := fmt.Appendf(nil, "object %d of Erika Mustermann, born 1964-08-12. ", n)
	return bytes.Repeat(line, size/len(line)+1)[:size]
}

// pipeline is a fake of ingest.Pipeline: it reads what it is given, and keeps it as if it were durable, by claim.
type pipeline struct {
	// take says whether a delivery is taken; if not, it is released with the error. nil takes all.
	take func(document.Delivery) error

	mu      sync.Mutex
	order   []document.Claim
	durable map[document.Claim][]byte
	errs    []error
	gone    int
}

// Submit implements spool.Intake.
func (p *pipeline) Submit(ctx context.Context, d document.Delivery) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.store(d); err != nil {
		d.Door.Release(d.Claim, err)
		return nil
	}
	gone, err := d.Door.Acknowledge(ctx, []document.Claim{d.Claim})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone += len(gone)
	if err != nil {
		p.errs = append(p.errs, err)
	}
	return nil
}

func (p *pipeline) store(d document.Delivery) error {
	p.mu.Lock()
	_, claimed := p.durable[d.Claim]
	p.mu.Unlock()
	if claimed {
		return nil
	}
	if p.take != nil {
		if err := p.take(d); err != nil {
			return err
		}
	}
	content, err := read(d)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.durable == nil {
		p.durable = make(map[document.Claim][]byte)
	}
	p.durable[d.Claim] = content
	p.order = append(p.order, d.Claim)
	return nil
}

// read reads a delivery as the pipeline does.
func read(d document.Delivery) (content []byte, err error) {
	f, err := d.Door.Open(d.Claim)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err = io.ReadAll(io.NewSectionReader(f, 0, d.Claim.Size))
	if err == nil && int64(len(content)) != d.Claim.Size {
		err = fmt.Errorf("%d bytes of %d", len(content), d.Claim.Size)
	}
	return content, errors.Join(err, f.Unchanged())
}

// contents are those of all that is durable, in the order of arrival.
func (p *pipeline) contents() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.order {
		all = append(all, string(p.durable[c]))
	}
	return all
}

// start opens a spool, and closes it with the test.
func start(tb testing.TB, o spool.Options, intake spool.Intake) *spool.Spool {
	tb.Helper()
	s, err := spool.New(o, intake)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// run runs a spool until the function that it gives is called, which gives what Run did.
func run(ctx context.Context, s *spool.Spool) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

// files are the names in a directory.
func files(tb testing.TB, at string) (names []string) {
	tb.Helper()
	entries, err := os.ReadDir(at)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func newSpool(o spool.Options) (*spool.Spool, error) { return spool.New(o, &pipeline{}) }
