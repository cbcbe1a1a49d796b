package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// The HKDF labels. They are a disk format: a changed label is a lost vault.
const (
	labelValue  = "medanchor/v1/value"
	labelBlind  = "medanchor/v1/blind-index"
	labelShards = "medanchor/v1/header-shards"
)

// rootSize is the length of the root secret, in bytes.
const rootSize = 32

// valueVersion begins every sealed value, and is authenticated with it.
const valueVersion = 1

// ErrSealed says that a sealed value or header does not open: it was changed, it belongs to another place, or its key
// is gone.
var ErrSealed = errors.New("sealed data does not open")

// Keys seals values and blinds identifiers under keys derived from the root secret. It is safe for concurrent use.
type Keys struct {
	value cipher.AEAD
	blind []byte
}

func newKeys(root []byte) (Keys, error) {
	value, err := deriveAEAD(root, labelValue)
	if err != nil {
		return Keys{}, err
	}
	blind, err := derive(root, labelBlind)
	return Keys{value: value, blind: blind}, err
}

func derive(root []byte, label string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, root, nil, label, chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive key %s: %w", label, err)
	}
	return key, nil
}

func deriveAEAD(root []byte, label string) (cipher.AEAD, error) {
	key, err := derive(root, label)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return chacha20poly1305.NewX(key)
}

// SealValue encrypts a value for one place: it opens only under the same bucket and key.
func (k Keys) SealValue(bucket string, key, plaintext []byte) []byte {
	return sealAEAD(k.value, []byte{valueVersion}, plaintext, valueContext(bucket, key))
}

// OpenValue decrypts what SealValue gave for the same bucket and key; anything else is ErrSealed.
func (k Keys) OpenValue(bucket string, key, sealed []byte) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != valueVersion {
		return nil, fmt.Errorf("open value in %s: %w", bucket, ErrSealed)
	}
	plaintext, err := openAEAD(k.value, sealed[1:], valueContext(bucket, key))
	if err != nil {
		return nil, fmt.Errorf("open value in %s: %w", bucket, err)
	}
	return plaintext, nil
}

// Blind gives a 32-byte keyed hash of parts. The label separates uses: the same identifier blinded for two uses cannot
// be matched.
func (k Keys) Blind(label string, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, k.blind)
	mac.Write(lengthPrefixed(append([][]byte{[]byte(label)}, parts...)...))
	return mac.Sum(nil)
}

func valueContext(bucket string, key []byte) []byte {
	return lengthPrefixed([]byte(bucket), key, []byte{valueVersion})
}

// lengthPrefixed joins parts so that no two lists of parts give the same bytes.
func lengthPrefixed(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = binary.BigEndian.AppendUint64(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}

// sealAEAD gives prefix, a random nonce, then the ciphertext. XChaCha20's 24-byte nonces may be random without a limit
// that matters on the number of values.
func sealAEAD(a cipher.AEAD, prefix, plaintext, context []byte) []byte {
	out := make([]byte, len(prefix)+a.NonceSize(), len(prefix)+a.NonceSize()+len(plaintext)+a.Overhead())
	copy(out, prefix)
	nonce := out[len(prefix):]
	rand.Read(nonce) // never fails (crypto/rand)
	return a.Seal(out, nonce, plaintext, context)
}

func openAEAD(a cipher.AEAD, sealed, context []byte) ([]byte, error) {
	if len(sealed) < a.NonceSize() {
		return nil, ErrSealed
	}
	plaintext, err := a.Open(nil, sealed[:a.NonceSize()], sealed[a.NonceSize():], context)
	if err != nil {
		return nil, ErrSealed
	}
	return plaintext, nil
}
