package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/medanchor/medanchor/test/hospital"
)

// folder compares the whole way of dropped files, in the real daemon, with what else stores a folder's files, and with the
// file system itself. medanchor also inspects, digests and encrypts them, and journals them in state.db; restic encrypts
// them; Kubo does neither.
func folder() comparison {
	return comparison{
		unit: "files/s",
		pairs: [][2]string{
			{"intake.folder", "restic"},
			{"intake.folder", "ipfs-add"},
			{"intake.folder", "kubo-add-pin"},
			{"intake.folder", "raw-fsync"},
			{"intake.anchored", "restic"},
			{"intake.anchored", "raw-fsync"},
		},
		open: func(ctx context.Context, b *bench, dir string) ([]contender, func() error, error) {
			restic, err := program("restic", "restic")
			if err != nil {
				return nil, nil, err
			}
			network, err := b.fabric(ctx)
			if err != nil {
				return nil, nil, err
			}
			h, err := hospital.New(ctx, network, network.Members[0], hospital.Options{
				Dir: filepath.Join(dir, "hospital"), Inspector: filepath.Join(b.bin, "medanchor-inspect"),
			})
			if err != nil {
				return nil, nil, err
			}
			kubo, err := openKubo(ctx, filepath.Join(dir, "kubo"))
			if err != nil {
				return nil, nil, err
			}
			daemon, err := h.Run(ctx, filepath.Join(b.bin, "medanchor"))
			if err != nil {
				return nil, nil, errors.Join(err, kubo.close())
			}
			w := &folderWork{material: material{dir}, hospital: h, kubo: kubo, resticProgram: restic}
			stop := func() error { return errors.Join(kubo.close(), daemon.Stop()) }
			return []contender{w.medanchor, w.restic, w.ipfsAdd, w.kuboAddPin, w.rawFsync}, stop, nil
		},
	}
}

// folderWork is what the contenders share.
type folderWork struct {
	material
	hospital      *hospital.Hospital
	kubo          *kubo
	resticProgram string
}

// medanchor drops the files by one rename, and times until all are queued, and until all are anchored.
func (w *folderWork) medanchor(ctx context.Context, round int) (map[string]float64, error) {
	files, err := w.files("medanchor", round, intakeFiles)
	if err != nil {
		return nil, err
	}
	client := w.hospital.Client()
	before, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	want := before.Items.Received + intakeFiles
	began := time.Now()
	if err := os.Rename(files, filepath.Join(w.hospital.DICOM, fmt.Sprint(round))); err != nil {
		return nil, err
	}
	var queued time.Duration
	poll := time.NewTicker(50 * time.Millisecond) // each asks the peer for its height as well
	defer poll.Stop()
	for {
		status, err := client.Status(ctx)
		if err != nil {
			return nil, err
		}
		if queued == 0 && status.Items.Received == want {
			queued = time.Since(began)
		}
		if queued != 0 && status.Items.Waiting == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-poll.C:
		}
	}
	return map[string]float64{
		"intake.folder":   intakeFiles / queued.Seconds(),
		"intake.anchored": intakeFiles / time.Since(began).Seconds(),
	}, nil
}

// restic backs the folder up into a fresh repository. Its start, which derives the key of the password, is part of it.
func (w *folderWork) restic(ctx context.Context, round int) (map[string]float64, error) {
	repository := filepath.Join(w.dir, "restic", fmt.Sprint(round))
	run := func(args ...string) error {
		cmd := exec.CommandContext(ctx, w.resticProgram, args...)
		cmd.Env = append(os.Environ(), "RESTIC_REPOSITORY="+repository, "RESTIC_PASSWORD=bench",
			"RESTIC_CACHE_DIR="+filepath.Join(w.dir, "restic", "cache"))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("restic %s: %w\n%s", args[0], err, out)
		}
		return nil
	}
	if err := run("init"); err != nil {
		return nil, err
	}
	files, err := w.files("restic", round, intakeFiles)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := run("backup", files); err != nil {
		return nil, err
	}
	return map[string]float64{"restic": intakeFiles / time.Since(began).Seconds()}, nil
}

// ipfsAdd adds the folder to plain Kubo as a whole, with one pin.
func (w *folderWork) ipfsAdd(ctx context.Context, round int) (map[string]float64, error) {
	files, err := w.files("ipfs-add", round, intakeFiles)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := w.kubo.addFolder(ctx, files); err != nil {
		return nil, err
	}
	return map[string]float64{"ipfs-add": intakeFiles / time.Since(began).Seconds()}, nil
}

// kuboAddPin adds and pins each file in plain Kubo, with as many workers as the pipeline has.
func (w *folderWork) kuboAddPin(ctx context.Context, round int) (map[string]float64, error) {
	paths, err := w.list("kubo", round, intakeFiles)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := w.kubo.addAll(ctx, paths); err != nil {
		return nil, err
	}
	return map[string]float64{"kubo-add-pin": intakeFiles / time.Since(began).Seconds()}, nil
}
