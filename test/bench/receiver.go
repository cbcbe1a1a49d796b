package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/medanchor/medanchor/test/dcmtk"
	"github.com/medanchor/medanchor/test/hospital"
)

// receiverTimeout bounds a receiver's start.
const receiverTimeout = 30 * time.Second

// receiver is a program that takes DICOM objects, on this machine.
type receiver struct {
	name string // first part of the figures' names
	peer dcmtk.Peer
	stop func() error
	// settle, if there is something to wait for, waits until what was answered has gone the whole way.
	settle func(ctx context.Context) error
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
	return startReceiver(ctx, "cstore.orthanc", toLoopback("ORTHANC", port), dir, path, settings)
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
	return startReceiver(ctx, name, toLoopback("STORESCP", port), dir, path, args...)
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

func toLoopback(aeTitle, port string) dcmtk.Peer {
	return dcmtk.Peer{Address: net.JoinHostPort("127.0.0.1", port), Calling: "BENCH", Called: aeTitle}
}

// startReceiver starts the program, which logs in dir, and waits until it answers.
func startReceiver(ctx context.Context, name string, peer dcmtk.Peer, dir, program string, args ...string) (*receiver, error) {
	h := hospital.Hospital{Dir: dir} // so that it runs as medanchor does, and ends with this process
	process, err := h.Start(program, args, []string{"TCP_NODELAY=1"})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	if err := awaitEcho(ctx, peer, process); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for %s (see %s): %w", program, h.Log(), err), process.Kill())
	}
	return &receiver{name: name, peer: peer, stop: process.Kill}, nil
}

// awaitEcho waits until the receiver answers a C-ECHO.
func awaitEcho(ctx context.Context, peer dcmtk.Peer, process *hospital.Process) error {
	ctx, cancel := context.WithTimeout(ctx, receiverTimeout)
	defer cancel()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		_, err := dcmtk.EchoSCU(ctx, peer)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-process.Exited():
			return fmt.Errorf("it ended: %w", errors.Join(err, process.Err()))
		case <-poll.C:
		}
	}
}

// startAppliance starts medanchor as it is in a hospital.
func startAppliance(ctx context.Context, b *bench, dir string) (*receiver, error) {
	network, err := b.fabric(ctx)
	if err != nil {
		return nil, err
	}
	h, err := hospital.New(ctx, network, network.Members[0], hospital.Options{
		Dir: filepath.Join(dir, "hospital"), Inspector: filepath.Join(b.bin, "medanchor-inspect"),
	})
	if err != nil {
		return nil, err
	}
	daemon, err := h.Run(ctx, filepath.Join(b.bin, "medanchor"))
	if err != nil {
		return nil, err
	}
	status, err := h.Client().Status(ctx)
	if err != nil {
		return nil, errors.Join(err, daemon.Stop())
	}
	return &receiver{
		name: "intake.cstore",
		peer: dcmtk.Peer{Address: status.DICOM.Address, Calling: hospital.Modality, Called: status.DICOM.AETitle},
		stop: daemon.Stop,
		settle: func(ctx context.Context) error {
			return poll(ctx, func() (bool, error) {
				status, err := h.Client().Status(ctx)
				return status.DICOM.Spooled == 0, err
			})
		},
	}, nil
}
