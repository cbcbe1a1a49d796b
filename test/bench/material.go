package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/test/synth"
)

// The work of one run of intake: as many CT slices as a few large studies have.
const (
	intakeFiles = 1_000
	intakeSize  = 524 << 10
)

// material makes what the contenders of a comparison take in, in a folder of theirs.
type material struct{ dir string }

// files makes n files for one run, which no other run has, and leaves nothing of that to be written while it is timed.
func (m material) files(contender string, round, n int) (dir string, err error) {
	dir = filepath.Join(m.dir, "files", fmt.Sprintf("%s-%d", contender, round))
	seed := uint64(round + 1)
	if _, err := synth.Many(dir, seed, contender, n, intakeSize); err != nil {
		return "", err
	}
	unix.Sync()
	return filepath.Join(dir, contender, "dicom"), nil
}

// list is the same, as paths.
func (m material) list(contender string, round, n int) ([]string, error) {
	files, err := m.files(contender, round, n)
	if err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(files, "*", "*"))
}

// rawFsync copies each file durably, one after the other: create, write, fsync, rename, fsync of the folder.
func (m material) rawFsync(_ context.Context, round int) (map[string]float64, error) {
	paths, err := m.list("raw", round, intakeFiles)
	if err != nil {
		return nil, err
	}
	target := filepath.Join(m.dir, "raw", fmt.Sprint(round))
	if err := os.MkdirAll(target, 0o700); err != nil {
		return nil, err
	}
	folder, err := os.Open(target)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	began := time.Now()
	for i, path := range paths {
		if err := copyDurably(path, filepath.Join(target, fmt.Sprint(i)), folder); err != nil {
			return nil, err
		}
	}
	return map[string]float64{"raw-fsync": intakeFiles / time.Since(began).Seconds()}, nil
}

func copyDurably(from, to string, folder *os.File) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.Create(to + ".tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return errors.Join(os.Rename(to+".tmp", to), folder.Sync())
}
