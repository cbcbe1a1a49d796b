package fault

import (
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/state"
	"github.com/medanchor/medanchor/vault/ipfs"
	"github.com/medanchor/medanchor/vault/seal"
)

// The data folder, as the appliance lays it out.
const (
	stateFile   = "state.db"
	cleanFile   = "clean" // there while no daemon runs and the last one ended in order
	ipfsFolder  = "ipfs"
	spoolFolder = "spool"
)

// inspectCorpse looks at what a killed daemon left: what must hold at every moment, not only at the end.
func (c *campaign) inspectCorpse(t *testing.T) {
	t.Helper()
	items, failed := c.items(t), t.Failed()
	for _, f := range c.supply.dropped {
		taken, atDoor := len(items[f.target()]), exists(t, f.target())
		switch {
		case taken > 1:
			t.Errorf("%s was taken in %d times", f.rel, taken)
		case taken == 0 && !atDoor:
			t.Errorf("%s left its door before it was durable", f.rel)
		case taken == 1 && atDoor:
			c.seen.unacknowledged++
		case !atDoor && !exists(t, f.done()):
			t.Errorf("%s is neither at its door nor in done/", f.rel)
		}
		for _, item := range items[f.target()] {
			if item.State == document.Submitted {
				c.seen.resubmitted++
			}
		}
	}
	c.inspectSpool(t, items)
	if t.Failed() && !failed {
		t.FailNow()
	}
}

// items reads the state.db of a daemon that has ended, by the path at which each item was found.
func (c *campaign) items(t *testing.T) map[string][]document.Item {
	t.Helper()
	db := c.openState(t)
	defer db.Close()
	items := make(map[string][]document.Item)
	err := db.Items(func(item document.Item) bool {
		items[item.Path] = append(items[item.Path], item)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return items
}

func (c *campaign) openState(t *testing.T) *state.DB {
	t.Helper()
	vault, err := seal.Load(c.Config.Vault.KeyFile, c.Config.Data, c.Config.Vault.RecoveryRecipient)
	if err != nil {
		t.Fatal(err)
	}
	db, err := state.Open(filepath.Join(c.Config.Data, stateFile), vault, c.Config.Ledger.MSPID)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// keys counts the keys in a bucket of state.db.
func (c *campaign) keys(t *testing.T, bucket string) (n int) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(c.Config.Data, stateFile), 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bolt.Tx) error {
		n = tx.Bucket([]byte(bucket)).Stats().KeyN
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// blocks counts the blocks in the IPFS repository of a daemon that has ended.
func (c *campaign) blocks(t *testing.T) int {
	t.Helper()
	node, err := ipfs.Open(t.Context(), ipfs.Options{
		Repo: filepath.Join(c.Config.Data, ipfsFolder), SwarmKeyFile: c.Config.IPFS.SwarmKeyFile,
		Listen: []string{c.Config.IPFS.Listen},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	n, err := node.Blocks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// needed is how many blocks there must be: those of the payloads, one root for each group commit that stored some, and
// Kubo's own empty folder.
func (c *campaign) needed(t *testing.T, items map[string][]document.Item) int {
	t.Helper()
	n := c.keys(t, "roots") + 1
	for _, taken := range items {
		for _, item := range taken {
			if !item.CID.IsZero() {
				n += payloadBlocks(item.Size)
			}
		}
	}
	return n
}

// payloadBlocks is how many blocks the sealed form of size bytes has: an age payload (a nonce of 16 bytes, and a tag of
// 16 for each 64 KiB, at least one; age-encryption.org/v1) in leaves of 1 MiB, below a node where there are several.
func payloadBlocks(size int64) int {
	const age, leaf = 64 << 10, 1 << 20
	sealed := 16 + size + 16*max(1, (size+age-1)/age)
	leaves := int((sealed + leaf - 1) / leaf)
	if leaves == 1 {
		return 1
	}
	return leaves + 1
}
