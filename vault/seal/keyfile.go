package seal

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"filippo.io/age"
)

// What Load tells apart about the key file.
var (
	ErrKeyMissing = errors.New("vault key is missing")
	ErrKeyDamaged = errors.New("vault key is damaged")
	ErrKeyExposed = errors.New("vault key is readable by others")
	ErrKeyWrong   = errors.New("vault key is not the one of this data folder")
)

// secrets is what the key file holds.
type secrets struct {
	root     []byte
	identity *age.HybridIdentity
}

func newSecrets() (secrets, error) {
	identity, err := age.GenerateHybridIdentity()
	if err != nil {
		return secrets{}, fmt.Errorf("make vault identity: %w", err)
	}
	root := make([]byte, rootSize)
	rand.Read(root) // never fails (crypto/rand)
	return secrets{root: root, identity: identity}, nil
}

const (
	keyFileComment = `# medanchor vault key, version 1
#
# Whoever has this file and the data folder can read everything in this vault; without it only the recovery identity
# can. Keep it off the data disk and out of the backups of that disk, with mode 0400. Never edit it, never replace it.
# A copy, encrypted to the recovery identity, is escrow.age in the data folder.
`
	rootField     = "root-secret: "
	identityField = "vault-identity: "
	checkField    = "checksum: "
)

// encode gives the key file's text. Its last line is a checksum of all before it, so that a torn file is seen to be one
// and is not taken for a wrong key.
func (s secrets) encode() []byte {
	text := keyFileComment +
		rootField + hex.EncodeToString(s.root) + "\n" +
		identityField + s.identity.String() + "\n"
	return []byte(text + checkField + checksum(text) + "\n")
}

func checksum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

func parseSecrets(file []byte) (secrets, error) {
	text := string(file)
	at := strings.LastIndex(text, checkField)
	if at < 0 || text[at:] != checkField+checksum(text[:at])+"\n" {
		return secrets{}, errors.New("checksum does not match")
	}
	root, err := hex.DecodeString(field(text, rootField))
	if err != nil || len(root) != rootSize {
		return secrets{}, errors.New("no root secret in it") // the cause would quote the secret
	}
	identity, err := age.ParseHybridIdentity(field(text, identityField))
	if err != nil {
		return secrets{}, errors.New("no post-quantum vault identity in it") // likewise
	}
	return secrets{root: root, identity: identity}, nil
}

// field gives the rest of the first line that begins with name.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSuffix(value, "\n")
		}
	}
	return ""
}

// readKeyFile reads the key file, and refuses one that others can read.
func readKeyFile(path string) (secrets, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return secrets{}, fmt.Errorf("%w: no file %s; put it back from your copy, or decrypt escrow.age in the data "+
			"folder with the recovery identity (docs/vault-format.md)", ErrKeyMissing, path)
	}
	if err != nil {
		return secrets{}, fmt.Errorf("read vault key: %w", err)
	}
	defer f.Close()

	info, err := f.Stat()
	if err != nil {
		return secrets{}, fmt.Errorf("read vault key: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return secrets{}, fmt.Errorf("%w: %s has mode %#o; find out who read it, then 'chmod 0400' it",
			ErrKeyExposed, path, mode)
	}
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(f); err != nil {
		return secrets{}, fmt.Errorf("read vault key: %w", err)
	}
	defer clear(buf.Bytes())
	s, err := parseSecrets(buf.Bytes())
	if err != nil {
		return secrets{}, fmt.Errorf("%w: %s: %w; replace it with your copy, or decrypt escrow.age in the data folder "+
			"with the recovery identity (docs/vault-format.md)", ErrKeyDamaged, path, err)
	}
	return s, nil
}
