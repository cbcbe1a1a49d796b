package ingest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest"
)

// world is everything around a pipeline, in memory, with faults to inject.
type world struct {
	mu        sync.Mutex
	items     []document.Item
	claims    map[document.Claim]document.ItemID
	patients  map[document.PatientID]document.Patient
	stored    map[record.CID]bool
	discarded int
	groups    []int // entries of each commit
	acked     map[document.Claim]bool
	released  map[document.Claim]error
	steps     []document.Step

	files    map[string]*source
	metadata map[string]document.Metadata // by content

	linked    map[record.Reference][]document.Linked
	elsewhere []record.AnchoredVersion // under linked references

	storeErr  error
	commitErr error
	gate      chan struct{} // if set, each inspection takes one from it
	blind     bool          // inspections do not read
	telling   chan struct{} // if set, doors wait for it to be closed before they dispose of what is acknowledged
	settled   chan struct{}
}

func newWorld() *world {
	return &world{
		claims:   make(map[document.Claim]document.ItemID),
		patients: make(map[document.PatientID]document.Patient),
		stored:   make(map[record.CID]bool),
		acked:    make(map[document.Claim]bool),
		released: make(map[document.Claim]error),
		files:    make(map[string]*source),
		metadata: make(map[string]document.Metadata),
		settled:  make(chan struct{}, 1000),
	}
}

func (w *world) options() ingest.Options {
	return ingest.Options{
		Inspector: w, Sealer: sealer{}, Blocks: w, Known: w, Patients: w, Elsewhere: w, Journal: w,
		Log: slog.New(slog.DiscardHandler), Rules: document.PatientRules{Issuer: "default"}, Workers: 4,
		Trace: func(s document.Step) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.steps = append(w.steps, s)
		},
	}
}

// drop puts a file at the door and returns its delivery. A person of "" is a file that says nothing of whose it is.
func (w *world) drop(path, content, person string) document.Delivery {
	claim := document.Claim{Door: "door", Path: path, Size: int64(len(content))}
	w.files[path] = &source{Reader: bytes.NewReader([]byte(content))}
	d := document.Delivery{Claim: claim, Door: w, Kind: record.KindLetter}
	if person != "" {
		d.Patient = document.PatientID{Issuer: "nhs", Identifier: person}
	}
	return d
}

// dropSafely is drop while a pipeline runs.
func (w *world) dropSafely(path, content, person string) document.Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.drop(path, content, person)
}

// run has a pipeline take the deliveries, and returns when each is acknowledged or released, or the pipeline failed.
func (w *world) run(t *testing.T, deliveries ...document.Delivery) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	p := ingest.New(w.options())
	failed := make(chan error, 1)
	go func() { failed <- p.Run(ctx) }()
	go func() {
		for _, d := range deliveries {
			if p.Submit(ctx, d) != nil {
				return
			}
		}
	}()
	for range deliveries {
		select {
		case <-w.settled:
		case err := <-failed:
			return err
		case <-ctx.Done():
			t.Fatal("not every delivery was settled in time")
		}
	}
	cancel()
	return <-failed
}

// Linked implements ingest.Patients.
func (w *world) Linked(own record.Reference) ([]document.Linked, error) { return w.linked[own], nil }

// Find implements ingest.Elsewhere.
func (w *world) Find(_, reference record.Reference, tag record.Tag) (record.AnchoredVersion, bool, error) {
	for _, v := range w.elsewhere {
		if v.Patient == reference && slices.ContainsFunc(v.Documents, func(d record.Document) bool { return d.Tag == tag }) {
			return v, true, nil
		}
	}
	return record.AnchoredVersion{}, false, nil
}

func (w *world) inState(s document.State) (items []document.Item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, item := range w.items {
		if item.State == s {
			items = append(items, item)
		}
	}
	return items
}

// taken is how many groups are durable, and how many files are acknowledged.
func (w *world) taken() (groups, acked int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.groups), len(w.acked)
}

// source is an open file in memory.
type source struct {
	*bytes.Reader
	changed error
	readErr error
	reads   int
}

func (s *source) ReadAt(b []byte, off int64) (int, error) {
	if s.readErr != nil {
		return 0, s.readErr
	}
	s.reads++
	return s.Reader.ReadAt(b, off)
}
func (s *source) Close() error     { return nil }
func (s *source) Unchanged() error { return s.changed }

func (w *world) Open(c document.Claim) (document.File, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files[c.Path], nil
}

func (w *world) Acknowledge(_ context.Context, claims []document.Claim) ([]document.Claim, error) {
	if w.telling != nil {
		<-w.telling
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range claims {
		if _, ok := w.claims[c]; !ok {
			panic("acknowledged before it was durable")
		}
		w.acked[c] = true
		w.settled <- struct{}{}
	}
	return claims, nil
}

func (w *world) Release(c document.Claim, reason error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.released[c] = reason
	w.settled <- struct{}{}
}

// Inspect gives the metadata planted for a content; without, a text.
func (w *world) Inspect(_ context.Context, src io.ReaderAt, size int64) (document.Metadata, error) {
	if w.blind {
		return document.Metadata{Format: document.FormatText}, nil
	}
	content, err := io.ReadAll(io.NewSectionReader(src, 0, size))
	if err != nil {
		return document.Metadata{}, err
	}
	if w.gate != nil {
		<-w.gate
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if m, ok := w.metadata[string(content)]; ok {
		return m, nil
	}
	return document.Metadata{Format: document.FormatText}, nil
}

// sealer "encrypts" with a counter in front, so that the same content never gives the same payload.
type sealer struct{}

func (sealer) Seal(src io.Reader) ([]byte, io.Reader, error) {
	nonce := document.NewItemID(time.Now())
	return []byte("header"), io.MultiReader(bytes.NewReader(nonce[:]), src), nil
}

type payload struct {
	w   *world
	cid record.CID
}

func (p payload) Root() record.CID { return p.cid }
func (p payload) Discard(context.Context) error {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.w.discarded++
	return nil
}

func (w *world) Import(_ context.Context, r io.Reader) (ingest.Payload, error) {
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(content)
	return payload{w, record.CID(append([]byte{0x55}, digest[:]...))}, nil
}

func (w *world) Store(_ context.Context, payloads []ingest.Payload) (record.CID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.storeErr != nil {
		return record.CID{}, w.storeErr
	}
	for _, p := range payloads {
		w.stored[p.Root()] = true
	}
	return record.CID{0x70, byte(len(w.stored))}, nil
}

func (w *world) Has(_ context.Context, c record.CID) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stored[c], nil
}

func (w *world) Claimed(c document.Claim) (document.ItemID, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id, ok := w.claims[c]
	return id, ok, nil
}

func (w *world) search(match func(document.Item) bool) (document.Item, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.items, match)
	if i < 0 {
		return document.Item{}, false, nil
	}
	return w.items[i], true, nil
}

func (w *world) Carrier(tag record.Tag) (document.Item, bool, error) {
	return w.search(func(i document.Item) bool {
		return i.Tag == tag && (i.State == document.Queued || i.State == document.Anchored)
	})
}

func (w *world) Quarantined(d document.Digest, p document.PatientID) (document.Item, bool, error) {
	return w.search(func(i document.Item) bool {
		return i.State == document.Quarantined && i.Digest == d && i.Metadata.Patient == p
	})
}

func (w *world) Instance(patient record.Reference, uid string) (record.Tag, bool, error) {
	item, found, err := w.search(func(i document.Item) bool {
		return i.Patient == patient && i.Metadata.InstanceUID == uid && i.State == document.Queued
	})
	return item.Tag, found, err
}

func (w *world) Patient(id document.PatientID) (document.Patient, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.patients[id]
	if !ok {
		n := byte(len(w.patients) + 1)
		p = document.Patient{Reference: record.Reference{n}, Secret: [32]byte{n}}
		w.patients[id] = p
	}
	return p, nil
}

func (w *world) Commit(c document.Commit) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.commitErr != nil {
		return w.commitErr
	}
	if len(c.Entries) > 0 {
		w.groups = append(w.groups, len(c.Entries))
	}
	for _, e := range c.Entries {
		w.items = append(w.items, e.Item)
		w.claims[e.Claim] = e.Item.ID
		if e.Header != nil && !w.stored[e.Item.CID] {
			return fmt.Errorf("item %s is committed before its blocks are stored", e.Item.ID)
		}
	}
	for _, claim := range c.Forget {
		delete(w.claims, claim)
	}
	return nil
}

func (w *world) Reconsider(item document.Item) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.items {
		if w.items[i].ID == item.ID {
			w.items[i] = item
		}
	}
	return w.commitErr
}

func (w *world) Pending(limit int) (items []document.Item, err error) {
	items = w.inState(document.Queued)
	return items[:min(limit, len(items))], nil
}

func (w *world) Submitting(document.Submission) error { return nil }

func (w *world) Settle(receipts []document.Receipt) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range receipts {
		for i := range w.items {
			if w.items[i].ID == r.ID {
				w.items[i].State, w.items[i].Reason, w.items[i].TxID = r.State, r.Reason, r.TxID
				w.items[i].Block = r.Block
			}
		}
	}
	for range receipts {
		w.settled <- struct{}{}
	}
	return nil
}

var errInjected = errors.New("injected")
