package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// FileKey is age's: it opens one payload, with or without its header.
type FileKey [16]byte

// FileKey takes the file key out of a header.
func (s Sealer) FileKey(header []byte) (key FileKey, err error) {
	plain, err := age.DecryptHeader(header, s.identity)
	if err != nil {
		return key, fmt.Errorf("open header: %w", err)
	}
	if copy(key[:], plain) != len(key) || len(plain) != len(key) {
		return key, errors.New("open header: not a file key of age v1")
	}
	return key, nil
}

// OpenAt decrypts a payload of size bytes at any place, with its file key alone. What it gives has been verified, chunk by
// chunk; the last chunk is read at once, so that one that was cut short is refused here. plain has plainSize bytes.
func OpenAt(key FileKey, payload io.ReaderAt, size int64) (plain io.ReaderAt, plainSize int64, err error) {
	header, err := injectedHeader(key)
	if err != nil {
		return nil, 0, err
	}
	file := &behind{header: header, payload: payload}
	plain, plainSize, err = age.DecryptReaderAt(file, int64(len(header))+size, age.NewInjectedFileKeyIdentity(key[:]))
	if err != nil {
		return nil, 0, fmt.Errorf("open sealed file: %w", err)
	}
	return plain, plainSize, nil
}

// PlaintextSize is the size of what is sealed in a payload of size bytes: a nonce, and a tag for each chunk of 64 KiB.
func PlaintextSize(size int64) int64 {
	const nonce, chunk, tag = 16, 64 << 10, 16
	body := size - nonce
	chunks := max(1, (body+chunk+tag-1)/(chunk+tag))
	return body - chunks*tag
}

// injectedHeader is the shortest header that age takes for a file key: one stanza, which nobody can unwrap, and the MAC
// (https://age-encryption.org/v1, "Header MAC").
func injectedHeader(key FileKey) ([]byte, error) {
	const text = "age-encryption.org/v1\n-> medanchor-file-key\n\n---"
	macKey, err := hkdf.Key(sha256.New, key[:], nil, "header", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive header key: %w", err)
	}
	mac := hmac.New(sha256.New, macKey)
	mac.Write([]byte(text))
	return []byte(text + " " + base64.RawStdEncoding.EncodeToString(mac.Sum(nil)) + "\n"), nil
}

// behind reads a payload behind a header.
type behind struct {
	header  []byte
	payload io.ReaderAt
}

// ReadAt implements io.ReaderAt.
func (b *behind) ReadAt(p []byte, off int64) (n int, err error) {
	if off < int64(len(b.header)) {
		n, err = bytes.NewReader(b.header).ReadAt(p, off)
		if n == len(p) || !errors.Is(err, io.EOF) {
			return n, err
		}
	}
	m, err := b.payload.ReadAt(p[n:], off+int64(n)-int64(len(b.header)))
	return n + m, err
}
