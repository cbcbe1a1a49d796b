package appliance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// dataFormat is the layout of the data folder that this version writes. One with a higher number is refused.
const dataFormat = 1

// The data folder.
const (
	formatFile = "FORMAT"   // "medanchor data 1": what this folder is
	stateFile  = "state.db" // package state
	indexFile  = "index.db" // package index
	ipfsDir    = "ipfs"     // package vault/ipfs
	spoolDir   = "spool"    // package dicomwatch/spool
	cleanFile  = "clean"    // there while the folder is closed in order: nothing to sweep at the next start
)

const formatPrefix = "medanchor data "

// checkData says whether the folder is one that this version can use.
func checkData(dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, formatFile))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is not a medanchor data folder: make one with medanchor init, or mount the disk it is on", dir)
	}
	if err != nil {
		return fmt.Errorf("read data folder: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(string(raw), formatPrefix)))
	if err != nil {
		return fmt.Errorf("%s in %s is damaged: restore it from a backup", formatFile, dir)
	}
	if n > dataFormat {
		return fmt.Errorf("%s has data format %d, this medanchor knows up to %d: it was written by a newer version; "+
			"install that version", dir, n, dataFormat)
	}
	return nil
}

// writeFormat marks dir as a data folder, durably: the last step of making one.
func writeFormat(dir string) error {
	return writeDurably(filepath.Join(dir, formatFile), fmt.Appendf(nil, "%s%d\n", formatPrefix, dataFormat))
}

// closedInOrder says whether the last run ended in order.
func closedInOrder(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, cleanFile))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// markOpen forgets that the last run ended in order: the folder is in use from now on.
func markOpen(dir string) error {
	if err := os.Remove(filepath.Join(dir, cleanFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return syncDir(dir)
}

func markClosed(dir string) error { return writeDurably(filepath.Join(dir, cleanFile), nil) }

// writeDurably makes a file that is not there yet, and fsyncs it and its folder.
func writeDurably(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
