package wallet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/medanchor/medanchor/ledger/fabricca"
)

// ErrUsed says that the CA does not take the code's secret.
var ErrUsed = errors.New("the certificate authority does not take the code: it was used before or taken back: " +
	"ask your institution for a new one")

// Enroll makes a wallet of an enrolment code in a folder that does not exist yet: it makes both keys, and has the
// institution's CA certify the one. The folder appears whole or not at all; if this ends in between, the code is used up
// and the institution has to give a new one.
//
// The participant has no rights before they have joined the ledger: see [Join].
func Enroll(ctx context.Context, c Code, dir string) (_ *Wallet, err error) {
	if err := absent(dir); err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	// It is made first: where it cannot be, the code stays good.
	making, err := os.MkdirTemp(filepath.Dir(dir), ".enrolling-") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(making)) }()
	files, err := certified(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	if err := fill(making, files); err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	if err := errors.Join(os.Rename(making, dir), sync(filepath.Dir(dir))); err != nil {
		return nil, fmt.Errorf("enrol: %w", err)
	}
	return Open(dir)
}

func absent(dir string) error {
	switch _, err := os.Lstat(dir); {
	case err == nil:
		return fmt.Errorf("%s is there already: name a folder that is not; to go on with that one, leave the code out", dir)
	case errors.Is(err, os.ErrNotExist):
		return nil
	default:
		return err
	}
}

// certified gives the files of a new wallet.
func certified(ctx context.Context, c Code) (map[string][]byte, error) {
	ca, err := c.ca()
	if err != nil {
		return nil, err
	}
	pair, err := ca.Enrol(ctx, fabricca.Enrolment{ID: c.Participant.String(), Secret: c.Secret})
	if errors.Is(err, fabricca.ErrUnauthorized) {
		return nil, ErrUsed
	}
	if err != nil {
		return nil, err
	}
	return newFiles(c, pair)
}

// newFiles gives the files of a wallet with a certified signing key, and makes its encryption key.
func newFiles(c Code, pair fabricca.KeyPair) (map[string][]byte, error) {
	key, err := KEM().GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("make encryption key: %w", err)
	}
	encryption, err := encryptionPEM(key)
	if err != nil {
		return nil, err
	}
	who, err := json.MarshalIndent(c.Identity, "", "  ")
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		identityFile:    append(who, '\n'),
		certificateFile: pair.Cert,
		keyFile:         pair.Key,
		encryptionFile:  encryption,
		tlsCAFile:       c.tlsRootsPEM(),
	}, nil
}

// fill writes files into a folder, durably.
func fill(dir string, files map[string][]byte) error {
	for name, content := range files {
		if err := writeDurably(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	return sync(dir)
}

func writeDurably(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func sync(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
