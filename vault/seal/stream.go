package seal

import (
	"bytes"
	"fmt"
	"io"

	"filippo.io/age"
)

// NewFile encrypts what is written to file as a payload on dst, under a fresh file key of its own and without a header: OpenAt
// reads it with that key. It holds one chunk of 64 KiB in memory. Close writes the last chunk, by which OpenAt tells that the
// payload is whole; it does not close dst.
func NewFile(dst io.Writer) (key FileKey, file io.WriteCloser, err error) {
	var beginning bytes.Buffer // age writes a header and the nonce at once
	out := &redirected{&beginning}
	file, err = age.Encrypt(out, (*keeper)(&key))
	if err != nil {
		return FileKey{}, nil, fmt.Errorf("seal file: %w", err)
	}
	header, err := age.ExtractHeader(bytes.NewReader(beginning.Bytes()))
	if err != nil {
		return FileKey{}, nil, fmt.Errorf("leave out header: %w", err)
	}
	nonce := beginning.Bytes()[len(header):]
	if _, err := dst.Write(nonce); err != nil {
		return FileKey{}, nil, fmt.Errorf("seal file: %w", err)
	}
	out.Writer = dst
	return key, file, nil
}

// redirected is a writer whose end can be exchanged.
type redirected struct{ io.Writer }

// keeper is a recipient that keeps the file key, and wraps it for nobody.
type keeper FileKey

// Wrap implements age.Recipient.
func (k *keeper) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	if copy(k[:], fileKey) != len(fileKey) {
		return nil, fmt.Errorf("not a file key of age v1: %d bytes", len(fileKey))
	}
	return []*age.Stanza{{Type: "medanchor-file-key"}}, nil
}
