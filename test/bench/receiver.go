package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/medanchor/medanchor/test/hospital"
)

// receiverTimeout bounds a receiver's start.
const receiverTimeout = 30 * time.Second

// receiver is a program that takes DICOM objects, on this machine.
type receiver struct {
	name          string // first part of the figures' names
	aeTitle, port string
	process       *hospital.Process
}

// startOrthanc starts Orthanc with its defaults, which has four threads for associations and syncs each file it stores
// (SyncStorageArea); without its web server.
func startOrthanc(ctx context.Context, dir string) (*receiver, error) {
	path, err := program("Orthanc", "orthanc")
	if err != nil {
		return nil, err
	}
	dir, port, err := place(ctx, dir, "orthanc")
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	storage, settings := filepath.Join(dir, "storage"), filepath.Join(dir, "orthanc.json")
	raw, err := json.Marshal(map[string]any{
		"StorageDirectory": storage, "IndexDirectory": storage, "StorageCompression": false,
		"DicomAet": "ORTHANC", "DicomPort": number, "HttpServerEnabled": false,
	})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(settings, raw, 0o600); err != nil {
		return nil, err
	}
	return startReceiver(ctx, receiver{name: "cstore.orthanc", aeTitle: "ORTHANC", port: port}, dir, path, settings)
}

// startStoreSCP starts dcmtk's storescp, with the largest PDUs that it can take. It writes what it receives, and syncs
// nothing.
func startStoreSCP(ctx context.Context, dir string) (*receiver, error) {
	return startDCMTK(ctx, dir, "cstore.storescp")
}

// startSink starts a storescp that drops what it receives.
func startSink(ctx context.Context, dir string) (*receiver, error) {
	return startDCMTK(ctx, dir, "cstore.sender", "--ignore")
}

func startDCMTK(ctx context.Context, dir, name string, args ...string) (*receiver, error) {
	path, err := program("storescp", "dcmtk")
	if err != nil {
		return nil, err
	}
	dir, port, err := place(ctx, dir, name)
	if err != nil {
		return nil, err
	}
	args = append(args, "--fork", "--aetitle", "STORESCP", "--max-pdu", "131072", "--output-directory", dir, port)
	return startReceiver(ctx, receiver{name: name, aeTitle: "STORESCP", port: port}, dir, path, args...)
}

// place gives a receiver a folder and a free port.
func place(ctx context.Context, parent, name string) (dir, port string, err error) {
	dir = filepath.Join(parent, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", "", err
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	_, port, err = net.SplitHostPort(l.Addr().String())
	return dir, port, errors.Join(err, l.Close())
}

// startReceiver starts the program, which logs in dir, and waits until it answers.
func startReceiver(ctx context.Context, r receiver, dir, program string, args ...string) (*receiver, error) {
	h := hospital.Hospital{Dir: dir} // so that it runs as medanchor does, and ends with this process
	var err error
	if r.process, err = h.Start(program, args, []string{"TCP_NODELAY=1"}); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	if err := r.await(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for %s (see %s): %w", program, h.Log(), err), r.process.Kill())
	}
	return &r, nil
}

// await waits until the receiver answers a C-ECHO.
func (r *receiver) await(ctx context.Context) error {
	echoscu, err := program("echoscu", "dcmtk")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, receiverTimeout)
	defer cancel()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		out, err := exec.CommandContext(ctx, echoscu, "--call", r.aeTitle, "127.0.0.1", r.port).CombinedOutput()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", ctx.Err(), out)
		case <-r.process.Exited():
			return fmt.Errorf("it ended: %w", errors.Join(r.process.Err()))
		case <-poll.C:
		}
	}
}
