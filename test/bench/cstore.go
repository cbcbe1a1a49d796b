package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// sending is how dcmtk's storescu sends the files of one run.
type sending struct {
	name         string // last part of the figures' names
	associations int    // at once, each with an equal part of the files
	files        int
	// noDelay turns Nagle's algorithm off at the sender. dcmtk as Debian builds it leaves it on: then most PDUs wait for
	// an acknowledgement, which a receiver without TCP_QUICKACK delays by 40 ms.
	noDelay bool
}

func sendings() []sending {
	return []sending{
		{name: "1", associations: 1, files: intakeFiles, noDelay: true},
		{name: "8", associations: 8, files: intakeFiles, noDelay: true},
		{name: "nagle", associations: 1, files: 200},
	}
}

// cstore compares receivers of DICOM objects (C-STORE, PS3.7 §9.1.1), each fed by storescu: medanchor, which seals what it
// receives into its spool and syncs it, and takes it through the pipeline meanwhile and afterwards; Orthanc, which indexes
// the objects and syncs each file; storescp, which writes them and leaves it to the kernel when they reach the disk; and
// storescp that drops what it receives, which is how fast the sender can be.
func cstore() comparison {
	return comparison{
		unit: "files/s",
		pairs: [][2]string{
			{"intake.cstore.1", "cstore.orthanc.1"},
			{"intake.cstore.8", "cstore.orthanc.8"},
			{"intake.cstore.nagle", "cstore.orthanc.nagle"},
			{"intake.cstore.1", "cstore.storescp.1"},
			{"intake.cstore.8", "cstore.storescp.8"},
			{"intake.cstore.1", "raw-fsync"},
			{"intake.cstore.8", "raw-fsync"},
			{"intake.cstore.1.queued", "cstore.orthanc.1"},
			{"intake.cstore.8.queued", "cstore.orthanc.8"},
			{"cstore.storescp.1", "cstore.sender.1"},
			{"cstore.storescp.8", "cstore.sender.8"},
		},
		open: func(ctx context.Context, b *bench, dir string) ([]contender, func() error, error) {
			w := &cstoreWork{material: material{dir}}
			if err := w.open(ctx, b); err != nil {
				return nil, nil, errors.Join(err, w.close())
			}
			var contenders []contender
			for _, s := range sendings() {
				for _, r := range w.receivers {
					contenders = append(contenders, w.store(r, s))
				}
			}
			return append(contenders, w.rawFsync), w.close, nil
		},
	}
}

// cstoreWork is what the contenders share.
type cstoreWork struct {
	material
	storescu  string
	receivers []*receiver
}

func (w *cstoreWork) open(ctx context.Context, b *bench) (err error) {
	if w.storescu, err = program("storescu", "dcmtk"); err != nil {
		return err
	}
	appliance := func(ctx context.Context, dir string) (*receiver, error) { return startAppliance(ctx, b, dir) }
	for _, start := range []func(ctx context.Context, dir string) (*receiver, error){
		startOrthanc, startStoreSCP, startSink, appliance,
	} {
		r, err := start(ctx, w.dir)
		if err != nil {
			return err
		}
		w.receivers = append(w.receivers, r)
	}
	return nil
}

func (w *cstoreWork) close() (err error) {
	for _, r := range w.receivers {
		err = errors.Join(err, r.stop())
	}
	return err
}

// store sends the files to a receiver, and times until it has answered for the last of them; and, if it has more to do
// with them, until that is done.
func (w *cstoreWork) store(r *receiver, s sending) contender {
	name := r.name + "." + s.name
	return func(ctx context.Context, round int) (map[string]float64, error) {
		files, err := w.files(name, round, s.files)
		if err != nil {
			return nil, err
		}
		parts, err := split(files, s.associations)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		senders, inTime := errgroup.WithContext(ctx)
		for _, part := range parts {
			senders.Go(func() error { return w.send(inTime, r, part, s) })
		}
		if err := senders.Wait(); err != nil {
			return nil, fmt.Errorf("send to %s: %w", r.name, err)
		}
		figures := map[string]float64{name: float64(s.files) / time.Since(began).Seconds()}
		if r.settle != nil {
			if err := r.settle(ctx); err != nil {
				return nil, fmt.Errorf("wait for %s: %w", r.name, err)
			}
			figures[name+".queued"] = float64(s.files) / time.Since(began).Seconds()
		}
		return figures, os.RemoveAll(files)
	}
}

// send sends the files of one folder over one association. All must be stored: the exit code alone does not say so.
func (w *cstoreWork) send(ctx context.Context, r *receiver, folder string, s sending) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(r.peer.Address)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, w.storescu, "--verbose", "--aetitle", r.peer.Calling, "--call", r.peer.Called, host, port,
		"--scan-directories", folder)
	noDelay := "TCP_NODELAY=0"
	if s.noDelay {
		noDelay = "TCP_NODELAY=1"
	}
	cmd.Env = append(os.Environ(), noDelay)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("storescu: %w\n%s", err, out)
	}
	if stored := bytes.Count(out, []byte("Received Store Response (Success)")); stored != len(entries) {
		return fmt.Errorf("storescu: %d of %d files were stored\n%s", stored, len(entries), out)
	}
	return nil
}

// split moves the files below dir into n folders of equal size.
func split(dir string, n int) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		return nil, err
	}
	parts := make([]string, n)
	for i := range parts {
		parts[i] = filepath.Join(dir, fmt.Sprint("part-", i))
		if err := os.Mkdir(parts[i], 0o700); err != nil {
			return nil, err
		}
	}
	for i, path := range paths {
		if err := os.Rename(path, filepath.Join(parts[i%n], filepath.Base(path))); err != nil {
			return nil, err
		}
	}
	return parts, nil
}
