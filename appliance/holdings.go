package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/reading"
	"github.com/medanchor/medanchor/release"
	"github.com/medanchor/medanchor/vault/ipfs"
	"github.com/medanchor/medanchor/vault/seal"
)

// holdings are the documents that this hospital holds, as the Releaser and readings see them.
type holdings struct{ *App }

// carrier is the item that carries a document, if what it holds is what the ledger has of this institution. The index says
// so, and not the item's state: that is settled some time after the block, and says nothing of an erasure.
func (h holdings) carrier(tag record.Tag) (item document.Item, found bool, err error) {
	item, found, err = h.state.Carrier(tag)
	if err != nil || !found {
		return item, false, err
	}
	held, err := history{h.index}.heldBy(h.institution(), tag)
	return item, !held.IsZero() && held == item.CID, err
}

// Held implements release.Vault.
func (h holdings) Held(tag record.Tag) (held release.Held, found bool, err error) {
	item, found, err := h.carrier(tag)
	if err != nil || !found {
		return held, false, err
	}
	key, err := h.fileKey(item)
	if err != nil {
		return held, false, err
	}
	metadata, err := json.Marshal(document.Describe(item))
	return release.Held{CID: item.CID, FileKey: key, Metadata: metadata}, err == nil, err
}

func (h holdings) fileKey(item document.Item) (seal.FileKey, error) {
	header, err := h.state.Header(item.ID)
	if err != nil {
		return seal.FileKey{}, err
	}
	return h.vault.FileKey(header)
}

// Copies implements release.Vault.
func (h holdings) Copies(f func(record.Tag, record.Reference, record.Tag) bool) error {
	return h.state.Copies(func(item document.Item) bool { return f(item.Tag, item.Patient, item.Record) })
}

// Secret implements release.Vault.
func (h holdings) Secret(patient record.Reference) ([32]byte, bool, error) {
	return h.state.Secret(patient)
}

// readable are the holdings as readings see them: their own, and others' by the keys that were released.
type readable struct{ holdings }

// Held implements reading.Content.
func (r readable) Held(_ context.Context, tag record.Tag) (d reading.Document, found bool, err error) {
	item, found, err := r.carrier(tag)
	if err != nil || !found {
		return d, false, err
	}
	key, err := r.fileKey(item)
	if err != nil {
		return d, false, err
	}
	secret, err := r.secretOf(item)
	if err != nil {
		return d, false, err
	}
	return reading.Document{
		Description: document.Describe(item),
		Open:        func(ctx context.Context) (reading.Plain, error) { return r.open(ctx, item, key) },
		Verify:      func(digest document.Digest) bool { return record.DocumentTag(secret, 0, digest) == item.Tag },
	}, true, nil
}

// secretOf gives the secret that keys an item's tag: the patient's own, or for a copy the linked one's.
func (h holdings) secretOf(item document.Item) ([32]byte, error) {
	find := h.state.Secret
	if item.Copy != nil {
		find = h.state.LinkedSecret
	}
	secret, found, err := find(item.Patient)
	if err == nil && !found {
		err = fmt.Errorf("the secret of the patient of item %s is missing: restore state.db from its backup", item.ID)
	}
	return secret, err
}

// open opens an item's plaintext. A damaged block is repaired from another hospital, if one has it.
func (h holdings) open(ctx context.Context, item document.Item, key seal.FileKey) (reading.Plain, error) {
	plain, err := h.openOnce(ctx, item, key)
	if err == nil || !damaged(err) {
		return plain, err
	}
	if repairErr := h.repair(ctx, item.CID, err); repairErr != nil {
		return nil, errors.Join(err, repairErr)
	}
	return h.openOnce(ctx, item, key)
}

func (h holdings) openOnce(ctx context.Context, item document.Item, key seal.FileKey) (reading.Plain, error) {
	payload, err := h.node.Get(ctx, item.CID)
	if err != nil {
		return nil, err
	}
	size, err := payload.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(err, payload.Close())
	}
	blocks := &repairing{ctx: ctx, of: h, cid: item.CID, payload: payload}
	return openPlain(key, blocks, size)
}

func damaged(err error) bool {
	return errors.Is(err, ipfs.ErrCorrupt) || errors.Is(err, ipfs.ErrMissing)
}

// repair mends a payload's blocks from other hospitals, and reports the damage either way.
func (h holdings) repair(ctx context.Context, cid record.CID, found error) error {
	h.metrics.damaged.Inc()
	h.log.Error("a stored document is damaged: is the disk failing?", "cid", cid, "err", found)
	sources, err := history{h.index}.others(h.institution())
	if err != nil {
		return err
	}
	n, err := h.node.Repair(ctx, cid, sources)
	if err != nil {
		h.log.Error("the damage could not be mended: restore the block from a backup", "cid", cid, "err", err)
		return fmt.Errorf("%w: %w", reading.ErrUnavailable, err)
	}
	h.metrics.repaired.Add(float64(n))
	h.log.Warn("the damage was mended with another hospital's blocks", "cid", cid, "blocks", n)
	return nil
}

// repairing reads a payload at any place, and mends it where a block turns out to be damaged.
type repairing struct {
	ctx context.Context // of the request: io.ReaderAt takes none
	of  holdings
	cid record.CID

	mu      sync.Mutex
	payload io.ReadSeekCloser
	mended  bool
}

// ReadAt implements io.ReaderAt.
func (r *repairing) ReadAt(p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.readAt(p, off)
	if err == nil || !damaged(err) || r.mended {
		return n, err
	}
	r.mended = true
	if repairErr := r.of.repair(r.ctx, r.cid, err); repairErr != nil {
		return n, errors.Join(err, repairErr)
	}
	payload, openErr := r.of.node.Get(r.ctx, r.cid)
	if openErr != nil {
		return n, errors.Join(err, openErr)
	}
	closeErr := r.payload.Close()
	r.payload = payload
	n, err = r.readAt(p, off)
	return n, errors.Join(err, closeErr)
}

func (r *repairing) readAt(p []byte, off int64) (int, error) {
	if _, err := r.payload.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(r.payload, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// Close implements io.Closer.
func (r *repairing) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.payload.Close()
}

// Remote implements reading.Content.
func (r readable) Remote(ctx context.Context, p reading.Payload, key [16]byte, size int64) (reading.Plain, error) {
	source, err := history{r.index}.source(p.Institution)
	if err != nil {
		return nil, err
	}
	if len(source.Addresses) == 0 {
		return nil, fmt.Errorf("%w: %s has registered no address of its IPFS node: it should (medanchor institution update "+
			"--address)", reading.ErrUnavailable, source.Name)
	}
	payload, err := r.node.Fetch(ctx, p.CID, []ipfs.Source{source})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", reading.ErrUnavailable, err)
	}
	plain, err := openPlain(key, payload, payload.Size())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", reading.ErrUnavailable, err)
	}
	if plain.Size() != size {
		return nil, errors.Join(fmt.Errorf("%w: it has %d bytes, and its description says %d", reading.ErrUnavailable, plain.Size(),
			size), plain.Close())
	}
	return plain, nil
}

// payload is sealed content at any place.
type payload interface {
	io.ReaderAt
	io.Closer
}

// openPlain opens a payload of size bytes, which it closes if it cannot.
func openPlain(key seal.FileKey, p payload, size int64) (reading.Plain, error) {
	content, plainSize, err := seal.OpenAt(key, p, size)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return &plain{content, p, plainSize}, nil
}

// plain is the plaintext of a payload.
type plain struct {
	content io.ReaderAt
	io.Closer
	size int64
}

// ReadAt implements io.ReaderAt. What cannot be read is reading.ErrUnavailable: who asks may try another holder.
func (p *plain) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.content.ReadAt(b, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", reading.ErrUnavailable, err)
	}
	return n, err
}

// Size implements reading.Plain.
func (p *plain) Size() int64 { return p.size }
