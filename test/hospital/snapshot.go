package hospital

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// snapshotTries is how often a database is copied that changes meanwhile.
const snapshotTries = 50

// snapshot copies a database of bbolt that a process has open. The copy is whole if no transaction was committed
// meanwhile: each writes only pages that the one before it does not use, and ends by writing one of the two meta pages,
// with which the file begins.
func snapshot(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	before, after := make([]byte, 2*os.Getpagesize()), make([]byte, 2*os.Getpagesize())
	for range snapshotTries {
		if _, err := source.ReadAt(before, 0); err != nil {
			return err
		}
		if err := copyAll(source, to); err != nil {
			return err
		}
		if _, err := source.ReadAt(after, 0); err != nil {
			return err
		}
		if bytes.Equal(before, after) {
			return nil
		}
	}
	return fmt.Errorf("copy %s: it changed %d times meanwhile: wait until it is at rest", from, snapshotTries)
}

// copyAll writes the file to, new or over.
func copyAll(source *os.File, to string) error {
	if _, err := source.Seek(0, io.SeekStart); err != nil {
		return err
	}
	target, err := os.Create(to)
	if err != nil {
		return err
	}
	defer target.Close()
	_, err = io.Copy(target, source)
	return err
}
