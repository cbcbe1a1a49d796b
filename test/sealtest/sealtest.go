// Package sealtest makes vaults for tests.
package sealtest

import (
	"path/filepath"
	"testing"

	"github.com/medanchor/medanchor/vault/seal"
)

// New makes a real vault, its key and its data folder each in a folder of the test's own.
func New(t testing.TB) *seal.Vault {
	t.Helper()
	keys, data := t.TempDir(), t.TempDir()
	_, recipient, err := seal.NewRecoveryIdentity()
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(keys, "vault.key")
	if err := seal.Create(keyFile, data, recipient); err != nil {
		t.Fatal(err)
	}
	vault, err := seal.Load(keyFile, data, recipient)
	if err != nil {
		t.Fatal(err)
	}
	return vault
}
