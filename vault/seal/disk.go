package seal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
)

// frame wraps a small file: its magic line, the body, the SHA-256 of both. A torn file is then told from one that was
// made with another key.
func frame(magic string, body []byte) []byte {
	out := append([]byte(magic), body...)
	sum := sha256.Sum256(out)
	return append(out, sum[:]...)
}

func unframe(magic string, file []byte) ([]byte, error) {
	at := len(file) - sha256.Size
	if at < len(magic) || string(file[:len(magic)]) != magic {
		return nil, ErrDamaged
	}
	if sum := sha256.Sum256(file[:at]); !bytes.Equal(sum[:], file[at:]) {
		return nil, ErrDamaged
	}
	return file[len(magic):at], nil
}

// createFile writes and syncs a file that must not exist yet, and leaves none behind when it fails.
func createFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
