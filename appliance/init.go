package appliance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/medanchor/medanchor/vault/ipfs"
	"github.com/medanchor/medanchor/vault/seal"
)

// Init makes the data folder and the keys that the configuration names. It changes nothing where there is a data folder
// or a vault key already.
func Init(c Config) error {
	if _, err := os.Stat(filepath.Join(c.Data, formatFile)); err == nil {
		return fmt.Errorf("%s is a medanchor data folder already: nothing was changed", c.Data)
	}
	if err := emptyOrMissing(c.Data); err != nil {
		return err
	}
	for _, dir := range []string{c.Data, filepath.Dir(c.Vault.KeyFile), filepath.Dir(c.IPFS.SwarmKeyFile)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	// The folder may have been there, made by mkdir or by mounting a disk: nobody else is to look into it.
	if err := os.Chmod(c.Data, 0o700); err != nil { //nolint:gosec // a folder
		return fmt.Errorf("make data folder: %w", err)
	}
	// The swarm key first: when it cannot be made there is no half of a vault yet.
	if err := makeSwarmKey(c.IPFS.SwarmKeyFile); err != nil {
		return err
	}
	if err := seal.Create(c.Vault.KeyFile, c.Data, c.Vault.RecoveryRecipient); err != nil {
		return err
	}
	if err := markClosed(c.Data); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	return writeFormat(c.Data)
}

func emptyOrMissing(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read data folder: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == "lost+found" }) // of a disk that is mounted there
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: name a folder for medanchor alone; nothing was changed", dir)
	}
	return nil
}

// makeSwarmKey makes the key of the private swarm, unless the consortium's is there.
func makeSwarmKey(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return writeDurably(path, ipfs.NewSwarmKey())
}

// NewRecoveryKey makes a recovery identity in a new file of mode 0400, and returns its recipient.
func NewRecoveryKey(path string) (recipient string, err error) {
	identity, recipient, err := seal.NewRecoveryIdentity()
	if err != nil {
		return "", err
	}
	if err := writeDurably(path, identity); err != nil {
		return "", fmt.Errorf("write recovery identity: %w", err)
	}
	return recipient, os.Chmod(path, 0o400)
}
