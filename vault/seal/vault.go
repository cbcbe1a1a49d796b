package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"filippo.io/age"
)

// The vault's files in the data folder.
const (
	shardsFile = "shards"     // the header shard keys, wrapped under the root secret
	escrowFile = "escrow.age" // the key file, encrypted to the recovery recipient
	canaryFile = "canary"     // tells a wrong key
)

// canaryMagic begins the canary file; the sealed body names the recipients of this vault.
const canaryMagic = "medanchor canary 1\n"

// What Create and Load tell apart about the data folder.
var (
	ErrExists      = errors.New("vault exists already")
	ErrDataMissing = errors.New("vault file is missing from the data folder")
	ErrDamaged     = errors.New("vault file is damaged")
)

// Vault is everything that medanchor does with keys. It is safe for concurrent use.
type Vault struct {
	Sealer
	Keys
	Headers
}

// Create makes a new vault: the key file, and in the data folder the shard keys, the escrow and the canary. It never
// touches a vault that is there (ErrExists), and removes what it made when it fails. Both folders must exist.
func Create(keyFile, dataDir, recoveryRecipient string) error {
	recovery, err := parseRecovery(recoveryRecipient)
	if err != nil {
		return err
	}
	for _, path := range append(dataFiles(dataDir), keyFile) {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s is there; a new key would make the old data unreadable, so remove nothing and "+
				"start medanchor with the old key, or choose another folder", ErrExists, path)
		}
	}
	s, err := newSecrets()
	if err != nil {
		return err
	}
	defer clear(s.root)
	if err := writeVault(s, recovery, keyFile, dataDir); err != nil {
		return fmt.Errorf("create vault: %w", err)
	}
	return nil
}

func dataFiles(dataDir string) []string {
	return []string{
		filepath.Join(dataDir, shardsFile), filepath.Join(dataDir, escrowFile), filepath.Join(dataDir, canaryFile),
	}
}

// writeVault writes the canary last: without it Load refuses, so that a vault cut short by a crash is never used.
func writeVault(s secrets, recovery *age.HybridRecipient, keyFile, dataDir string) (err error) {
	text := s.encode()
	defer clear(text)
	escrow, err := encryptTo(recovery, text)
	if err != nil {
		return err
	}
	shardKeys, err := encodeShards(s.root, newShardKeys())
	if err != nil {
		return err
	}
	keys, err := newKeys(s.root)
	if err != nil {
		return err
	}
	canary := frame(canaryMagic, keys.SealValue(canaryFile, nil, canaryText(s.identity, recovery)))

	var written []string
	defer func() {
		if err == nil {
			return
		}
		for _, path := range slices.Backward(written) {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	for _, f := range []struct {
		path string
		data []byte
		mode os.FileMode
	}{
		{keyFile, text, 0o400},
		{filepath.Join(dataDir, escrowFile), escrow, 0o600},
		{filepath.Join(dataDir, shardsFile), shardKeys, 0o600},
		{filepath.Join(dataDir, canaryFile), canary, 0o600},
	} {
		if err := createFile(f.path, f.data, f.mode); err != nil {
			return err
		}
		written = append(written, f.path)
	}
	return nil
}

func encryptTo(r age.Recipient, plaintext []byte) ([]byte, error) {
	sealed, err := age.EncryptReader(bytes.NewReader(plaintext), r)
	if err != nil {
		return nil, fmt.Errorf("escrow vault key: %w", err)
	}
	return io.ReadAll(sealed)
}

func canaryText(vault *age.HybridIdentity, recovery *age.HybridRecipient) []byte {
	return []byte(vault.Recipient().String() + "\n" + recovery.String() + "\n")
}

// Load opens the vault that Create made. It refuses a key file that is missing, damaged, readable by others or of
// another vault, a damaged data folder, and a recovery recipient that is not the one the vault was made with: each
// with its sentinel and a sentence on what to do.
func Load(keyFile, dataDir, recoveryRecipient string) (*Vault, error) {
	recovery, err := parseRecovery(recoveryRecipient)
	if err != nil {
		return nil, err
	}
	s, err := readKeyFile(keyFile)
	if err != nil {
		return nil, err
	}
	defer clear(s.root)
	keys, err := newKeys(s.root)
	if err != nil {
		return nil, err
	}
	if err := checkCanary(keys, s.identity, recovery, keyFile, dataDir); err != nil {
		return nil, err
	}
	headers, err := loadHeaders(s.root, dataDir)
	if err != nil {
		return nil, err
	}
	return &Vault{Sealer: Sealer{identity: s.identity, recovery: recovery}, Keys: keys, Headers: headers}, nil
}

func checkCanary(
	keys Keys, identity *age.HybridIdentity, recovery *age.HybridRecipient, keyFile, dataDir string,
) error {
	file, err := readDataFile(dataDir, canaryFile)
	if err != nil {
		return err
	}
	sealed, err := unframe(canaryMagic, file)
	if err != nil {
		return damaged(dataDir, canaryFile, err)
	}
	text, err := keys.OpenValue(canaryFile, nil, sealed)
	wrongVault := err != nil || !bytes.HasPrefix(text, []byte(identity.Recipient().String()+"\n"))
	if wrongVault {
		return fmt.Errorf("%w: %s does not open %s; point the configuration at the key that was made with this data "+
			"folder, or decrypt its escrow.age with the recovery identity", ErrKeyWrong, keyFile, dataDir)
	}
	if !bytes.Equal(text, canaryText(identity, recovery)) {
		return fmt.Errorf("%w: it is not the one this vault was made with, so its holder could not recover the older "+
			"files; set the recovery recipient in the configuration back", ErrRecovery)
	}
	return nil
}

func loadHeaders(root []byte, dataDir string) (Headers, error) {
	file, err := readDataFile(dataDir, shardsFile)
	if err != nil {
		return Headers{}, err
	}
	keys, err := decodeShards(root, file)
	if err != nil {
		return Headers{}, damaged(dataDir, shardsFile, err)
	}
	defer clear(keys)
	headers, err := newHeaders(keys)
	if err != nil {
		return Headers{}, damaged(dataDir, shardsFile, err)
	}
	return headers, nil
}

func readDataFile(dataDir, name string) ([]byte, error) {
	path := filepath.Join(dataDir, name)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: no file %s; restore the data folder from its backup, or, if nothing was ever taken in "+
			"here, remove what is left of it and of the vault key and run 'medanchor init'", ErrDataMissing, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read vault file: %w", err)
	}
	return data, nil
}

func damaged(dataDir, name string, err error) error {
	if !errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return fmt.Errorf("%w: restore %s from its backup", err, filepath.Join(dataDir, name))
}
