package wallet

import (
	"bytes"
	"context"
	"crypto/hpke"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/fabricca"
)

// The folders of a wallet.
const (
	nextDir    = "next"      // the keys that are to replace the wallet's: a wallet too
	oldDir     = "old"       // earlier encryption keys, numbered from 1
	scratchDir = ".rotating" // what is being made, or done with
)

// node is what a rotation needs of a ledger.Client.
type node interface {
	WhoAmI(ctx context.Context) (record.Participant, error)
	Participant(ctx context.Context, id record.ParticipantID) (record.Participant, error)
	Act(ctx context.Context, function string, request record.Request, result any, notes ...record.SealedNote,
	) (ledger.Acted, error)
	Close() error
}

// Rotate replaces both keys of the wallet in a folder, on the ledger and then there. The earlier encryption key is
// kept, for what was sealed to it.
//
// It can end at any point, and is then repeated: the new keys are kept before the ledger learns of them, and are never
// dropped, since a transaction may be under way. Until then [Wallet.Rotating] says so.
func Rotate(ctx context.Context, dir string) (*Wallet, error) {
	return rotate(ctx, dir, func(w *Wallet) (node, error) { return ledger.Connect(ctx, w.LedgerOptions()) })
}

func rotate(ctx context.Context, dir string, connect func(*Wallet) (node, error)) (*Wallet, error) {
	unlock, err := lock(dir)
	if err != nil {
		return nil, fmt.Errorf("rotate keys: %w", err)
	}
	defer unlock()
	r, err := openRotation(dir, connect)
	if err != nil {
		return nil, fmt.Errorf("rotate keys: %w", err)
	}
	bound, err := r.bound(ctx)
	if err == nil && !bound {
		err = r.bind(ctx)
	}
	switch {
	case err != nil && r.next == nil:
		return nil, fmt.Errorf("rotate keys: %w", err)
	case err != nil:
		return nil, fmt.Errorf("rotate keys: the new ones are kept, to go on with when this is run again: %w", err)
	}
	if err := r.replace(); err != nil {
		return nil, fmt.Errorf("rotate keys: they are replaced on the ledger, but not in %s yet: %w", dir, err)
	}
	return Open(dir)
}

// lock lets one process at a time rotate a wallet.
func lock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open wallet: %w: make one with medanchor enroll", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another process rotates the keys in %s: %w", dir, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// rotation is a wallet whose keys are to be replaced.
type rotation struct {
	wallet  *Wallet
	next    *Wallet // nil: not made yet
	connect func(*Wallet) (node, error)
}

func openRotation(dir string, connect func(*Wallet) (node, error)) (*rotation, error) {
	w, err := Open(dir)
	if err != nil {
		return nil, err
	}
	r := &rotation{wallet: w, connect: connect}
	if w.Rotating() {
		r.next, err = Open(w.path(nextDir))
	}
	return r, err
}

// bound says whether the ledger knows the next keys. It asks under these: the wallet's own may be replaced in part.
func (r *rotation) bound(ctx context.Context) (bool, error) {
	if r.next == nil {
		return false, nil
	}
	client, err := r.connect(r.next)
	if err != nil {
		return false, err
	}
	defer client.Close() //nolint:errcheck // it was only asked
	p, err := client.Participant(ctx, r.wallet.Participant)
	if err != nil {
		return false, err
	}
	key, err := r.next.Fingerprint()
	return p.Key == key, err
}

// bind has the ledger replace the wallet's keys by the next, which it makes if there are none.
func (r *rotation) bind(ctx context.Context) error {
	client, err := r.connect(r.wallet)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // nothing is lost by it
	if r.next == nil {
		if _, err := client.WhoAmI(ctx); err != nil {
			return err // before anything is made
		}
		if r.next, err = r.wallet.makeNext(ctx); err != nil {
			return err
		}
	}
	q, err := r.next.Rotation()
	if err != nil {
		return err
	}
	_, err = client.Act(ctx, record.RotateFunction, q, nil)
	return err
}

// Rotation gives the wallet's keys as the ledger takes them in the place of earlier ones: the signing key proves
// itself, and vouches for the encryption key.
func (w *Wallet) Rotation() (q record.Rotation, err error) {
	if q.NewKey, err = w.SigningKey(); err != nil {
		return q, err
	}
	if q.Proof, err = w.Sign(record.RotationMessage(w.Participant, q.NewKey)); err != nil {
		return q, err
	}
	q.EncryptionKey, q.Signature, err = w.Vouch()
	return q, err
}

// Rotating says whether a rotation has begun and not ended. The wallet's keys may be dead then.
func (w *Wallet) Rotating() bool {
	_, err := os.Lstat(w.path(nextDir))
	return !errors.Is(err, fs.ErrNotExist)
}

// makeNext makes the wallet that replaces this one. It appears whole or not at all.
func (w *Wallet) makeNext(ctx context.Context) (*Wallet, error) {
	authority, err := w.Authority()
	if err != nil {
		return nil, err
	}
	roots, err := w.TLSRoots()
	if err != nil {
		return nil, err
	}
	c := Code{Identity: w.Identity, TLSRoots: roots}
	ca, err := c.ca()
	if err != nil {
		return nil, err
	}
	pair, err := ca.Reenrol(ctx, authority, w.Participant.String())
	if errors.Is(err, fabricca.ErrUnauthorized) {
		return nil, fmt.Errorf("%w: where the certificate ran out or was revoked, ask your institution for a new code", err)
	}
	if err != nil {
		return nil, err
	}
	files, err := newFiles(c, pair)
	if err != nil {
		return nil, err
	}
	scratch := w.path(scratchDir)
	if err := os.RemoveAll(scratch); err != nil {
		return nil, err
	}
	if err := os.Mkdir(scratch, 0o700); err != nil {
		return nil, err
	}
	if err := fill(scratch, files); err != nil {
		return nil, err
	}
	if err := errors.Join(os.Rename(scratch, w.path(nextDir)), sync(w.dir)); err != nil {
		return nil, err
	}
	return Open(w.path(nextDir))
}

// replace puts the next keys into the wallet, file by file. They stay beside it until all are there, so that this can
// be repeated.
func (r *rotation) replace() error {
	w := r.wallet
	if err := w.keepEncryptionKey(r.next.encryption); err != nil {
		return err
	}
	for _, name := range []string{encryptionFile, certificateFile, keyFile} {
		content, err := os.ReadFile(r.next.path(name))
		if err != nil {
			return err
		}
		if err := writeOver(w.path(name), content); err != nil {
			return err
		}
	}
	return w.dropNext()
}

// dropNext ends a rotation. The folder goes by its name first, so that what is left of it is never taken for keys.
func (w *Wallet) dropNext() error {
	scratch := w.path(scratchDir)
	if err := os.RemoveAll(scratch); err != nil {
		return err
	}
	if err := os.Rename(w.path(nextDir), scratch); err != nil {
		return err
	}
	return errors.Join(sync(w.dir), os.RemoveAll(scratch))
}

// keepEncryptionKey keeps the wallet's encryption key among the old ones, before next replaces it; once.
func (w *Wallet) keepEncryptionKey(next hpke.PrivateKey) error {
	if sameKey(w.encryption, next) || len(w.old) > 0 && sameKey(w.encryption, w.old[0]) {
		return nil
	}
	dir := w.path(oldDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	content, err := encryptionPEM(w.encryption)
	if err != nil {
		return err
	}
	return errors.Join(writeOver(w.oldKey(len(w.old)+1), content), sync(w.dir))
}

func sameKey(a, b hpke.PrivateKey) bool {
	return bytes.Equal(a.PublicKey().Bytes(), b.PublicKey().Bytes())
}

// oldKey is the file of the n-th encryption key.
func (w *Wallet) oldKey(n int) string { return filepath.Join(w.dir, oldDir, strconv.Itoa(n)+".key") }

// readOldKeys gives the earlier encryption keys, the newest first.
func (w *Wallet) readOldKeys() (newestFirst []hpke.PrivateKey, err error) {
	for n := 1; ; n++ {
		key, err := ReadEncryptionKey(w.oldKey(n))
		if errors.Is(err, fs.ErrNotExist) {
			return newestFirst, nil
		}
		if err != nil {
			return nil, err
		}
		newestFirst = append([]hpke.PrivateKey{key}, newestFirst...)
	}
}

// ReadEncryptionKey reads the private encryption key in a wallet's file encryption.key.
func ReadEncryptionKey(path string) (hpke.PrivateKey, error) {
	raw, err := readPEM(path, encryptionBlock)
	if err != nil {
		return nil, err
	}
	key, err := KEM().NewPrivateKey(raw)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return key, nil
}

func encryptionPEM(key hpke.PrivateKey) ([]byte, error) {
	private, err := key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("write encryption key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: encryptionBlock, Bytes: private}), nil
}

// writeOver writes a file in the place of another, durably: it is the one or the other at any time.
func writeOver(path string, content []byte) error {
	dir, name := filepath.Split(path)
	making := filepath.Join(dir, "."+name+".new")
	if err := os.Remove(making); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeDurably(making, content); err != nil {
		return err
	}
	return errors.Join(os.Rename(making, path), sync(dir))
}
