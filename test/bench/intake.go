package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/test/hospital"
	"github.com/medanchor/medanchor/test/synth"
)

// The work of one run: as many CT slices as a few large studies have.
const (
	intakeFiles = 1_000
	intakeSize  = 524 << 10
)

// intake compares the whole way of dropped files, in the real daemon, with storing the same files in plain Kubo and with
// the file system itself. medanchor also inspects, digests and encrypts them, and journals them in state.db.
func intake() comparison {
	return comparison{
		unit: "files/s",
		pairs: [][2]string{
			{"intake.queued", "kubo-add-pin"},
			{"intake.queued", "raw-fsync"},
			{"intake.anchored", "kubo-add-pin"},
			{"intake.anchored", "raw-fsync"},
		},
		open: func(ctx context.Context, b *bench, dir string) ([]contender, func() error, error) {
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
			daemon, err := h.Run(ctx, filepath.Join(b.bin, "medanchor"))
			if err != nil {
				return nil, nil, err
			}
			kubo, err := openKubo(ctx, filepath.Join(dir, "kubo"))
			if err != nil {
				return nil, nil, errors.Join(err, daemon.Stop())
			}
			w := &intakeWork{dir: dir, hospital: h, kubo: kubo}
			stop := func() error { return errors.Join(kubo.close(), daemon.Stop()) }
			return []contender{w.medanchor, w.kuboAddPin, w.rawFsync}, stop, nil
		},
	}
}

// intakeWork is what the contenders share.
type intakeWork struct {
	dir      string
	hospital *hospital.Hospital
	kubo     *kubo
}

// files makes the files of one run, which no other run has, and leaves nothing of that to be written while it is timed.
func (w *intakeWork) files(contender string, round int) (dir string, err error) {
	dir = filepath.Join(w.dir, "files", fmt.Sprintf("%s-%d", contender, round))
	seed := uint64(round + 1)
	if _, err := synth.Many(dir, seed, contender, intakeFiles, intakeSize); err != nil {
		return "", err
	}
	unix.Sync()
	return filepath.Join(dir, contender, "dicom"), nil
}

// medanchor drops the files by one rename, and times until all are queued, and until all are anchored.
func (w *intakeWork) medanchor(ctx context.Context, round int) (map[string]float64, error) {
	files, err := w.files("medanchor", round)
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
		"intake.queued":   intakeFiles / queued.Seconds(),
		"intake.anchored": intakeFiles / time.Since(began).Seconds(),
	}, nil
}

// kuboAddPin adds and pins each file in plain Kubo, with as many workers as the pipeline has.
func (w *intakeWork) kuboAddPin(ctx context.Context, round int) (map[string]float64, error) {
	paths, err := w.list("kubo", round)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := w.kubo.addAll(ctx, paths); err != nil {
		return nil, err
	}
	return map[string]float64{"kubo-add-pin": intakeFiles / time.Since(began).Seconds()}, nil
}

// rawFsync copies each file durably, one after the other: create, write, fsync, rename, fsync of the folder.
func (w *intakeWork) rawFsync(_ context.Context, round int) (map[string]float64, error) {
	paths, err := w.list("raw", round)
	if err != nil {
		return nil, err
	}
	target := filepath.Join(w.dir, "raw", fmt.Sprint(round))
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

func (w *intakeWork) list(contender string, round int) ([]string, error) {
	files, err := w.files(contender, round)
	if err != nil {
		return nil, err
	}
	return filepath.Glob(filepath.Join(files, "*", "*"))
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
