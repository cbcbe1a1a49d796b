package appliance_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/appliance"
)

// An init that fails leaves nothing that the next one would refuse.
func TestInitThatFailsCanBeRepeated(t *testing.T) {
	dir := t.TempDir()
	recipient, err := appliance.NewRecoveryKey(filepath.Join(dir, "recovery.key"))
	if err != nil {
		t.Fatal(err)
	}
	c := appliance.Config{
		Data:  filepath.Join(dir, "data"),
		Vault: appliance.VaultConfig{KeyFile: filepath.Join(dir, "keys", "vault.key"), RecoveryRecipient: recipient},
		// No file system takes a name as long as this.
		IPFS: appliance.IPFSConfig{SwarmKeyFile: filepath.Join(dir, "keys", strings.Repeat("x", 300))},
	}
	if err := appliance.Init(c); err == nil {
		t.Fatal("a swarm key that cannot be made is no error")
	}
	if _, err := os.Stat(c.Vault.KeyFile); !os.IsNotExist(err) {
		t.Fatalf("a vault key was left behind (%v)", err)
	}
	c.IPFS.SwarmKeyFile = filepath.Join(dir, "keys", "swarm.key")
	if err := appliance.Init(c); err != nil {
		t.Fatalf("init again: %v", err)
	}
}
