package hospital

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/state"
	"github.com/medanchor/medanchor/vault/seal"
)

// Stored reads what a hospital has stored without the appliance, which may run meanwhile: from the data folder, with the
// recovery identity and a stock age, as docs/vault-format.md has it. It knows the items that there were when it was
// opened.
type Stored struct {
	dir        string // holds the copy of state.db
	state      *state.DB
	blocks     blocks
	identities []age.Identity
}

// OpenStored reads the recovery identity and copies state.db, which should be at rest: one copy serves many reads.
func (h *Hospital) OpenStored() (*Stored, error) {
	s, err := h.openStored()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open what %s has stored: %w", h.Dir, err), s.Close())
	}
	return s, nil
}

// openStored also gives what was opened before an error.
func (h *Hospital) openStored() (s *Stored, err error) {
	s = &Stored{blocks: blocks(filepath.Join(h.Config.Data, "ipfs", "blocks"))}
	if s.dir, err = os.MkdirTemp("", "stored-"); err != nil {
		return s, err
	}
	recovery, err := os.ReadFile(h.Recovery)
	if err != nil {
		return s, err
	}
	if s.identities, err = age.ParseIdentities(bytes.NewReader(recovery)); err != nil {
		return s, err
	}
	keys := filepath.Join(s.dir, "vault.key")
	if err := s.decryptEscrow(h.Config.Data, keys); err != nil {
		return s, fmt.Errorf("recover the key file: %w", err)
	}
	vault, err := seal.Load(keys, h.Config.Data, h.Config.Vault.RecoveryRecipient)
	if err != nil {
		return s, err
	}
	db := filepath.Join(s.dir, "state.db")
	if err := snapshot(filepath.Join(h.Config.Data, "state.db"), db); err != nil {
		return s, err
	}
	s.state, err = state.Open(db, vault, h.Config.Ledger.MSPID)
	return s, err
}

// decryptEscrow writes the key file.
func (s *Stored) decryptEscrow(data, path string) error {
	escrow, err := os.Open(filepath.Join(data, "escrow.age"))
	if err != nil {
		return err
	}
	defer escrow.Close()
	plain, err := age.Decrypt(escrow, s.identities...)
	if err != nil {
		return err
	}
	keys, err := io.ReadAll(plain)
	if err != nil {
		return err
	}
	return os.WriteFile(path, keys, 0o400)
}

// Close removes the copy.
func (s *Stored) Close() error {
	var err error
	if s.state != nil {
		err = s.state.Close()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Open opens an item's bytes in plaintext; for a duplicate, those of the item that carries the document. Each block and
// each chunk is checked as it is read.
func (s *Stored) Open(id document.ItemID) (io.Reader, error) {
	item, err := s.state.Item(id)
	if err == nil && item.State == document.Duplicate {
		item, err = s.state.Item(item.First)
	}
	if err != nil {
		return nil, err
	}
	header, err := s.state.Header(item.ID)
	if err != nil {
		return nil, err
	}
	payload, err := s.blocks.open(item.CID)
	if err != nil {
		return nil, err
	}
	return age.Decrypt(io.MultiReader(bytes.NewReader(header), payload), s.identities...)
}

// Get is [Stored.Open], and reads all.
func (s *Stored) Get(id document.ItemID) ([]byte, error) {
	plain, err := s.Open(id)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(plain)
}

// Document is [Stored.Get] of the item that carries a document.
func (s *Stored) Document(tag record.Tag) ([]byte, error) {
	item, found, err := s.state.Carrier(tag)
	if err == nil && !found {
		err = fmt.Errorf("document %s: %w", tag, state.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return s.Get(item.ID)
}
