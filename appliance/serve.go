package appliance

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/appliance/control"
)

// The bounds on a client of the listeners.
const (
	readTimeout     = 10 * time.Second
	shutdownTimeout = 5 * time.Second
	askTimeout      = 3 * time.Second // for the ledger's height, in a status
)

// serve opens the control socket and the local listener, and has group serve them until ctx ends.
func (a *App) serve(ctx context.Context, group *errgroup.Group) error {
	commands, err := control.Listen(ctx, a.config.Data)
	if err != nil {
		return err
	}
	var config net.ListenConfig
	local, err := config.Listen(ctx, "tcp", a.config.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for metrics and health: %w: change listen in the configuration", err),
			commands.Close())
	}
	a.log.Info("metrics and health", "url", "http://"+local.Addr().String())
	readers, err := a.listenForReaders(ctx)
	if err != nil {
		return errors.Join(err, commands.Close(), local.Close())
	}
	senders, err := a.listenForSenders(ctx)
	if err != nil {
		return errors.Join(err, commands.Close(), local.Close(), readers.Close())
	}
	serveUntil(ctx, group, commands, control.Handler(a))
	serveUntil(ctx, group, local, a.localHandler())
	serveUntil(ctx, group, readers, a.readings.Handler())
	for _, l := range senders {
		group.Go(func() error { return l.serve(ctx, l.Listener) })
	}
	return nil
}

// listenForReaders opens the listener of the reading service: with TLS where a certificate is configured.
func (a *App) listenForReaders(ctx context.Context) (net.Listener, error) {
	c := a.config.Reading
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for readers: %w: change reading.listen in the configuration", err)
	}
	scheme := "http"
	if c.TLS() {
		pair, err := a.certificates.readReading(c)
		if err != nil {
			return nil, errors.Join(err, listener.Close())
		}
		if err := a.certificates.readingTrouble(time.Now()); err != nil {
			a.log.Error("readers refuse this appliance", "err", err)
		}
		scheme = "https"
		listener = tls.NewListener(listener, &tls.Config{
			Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		})
	}
	a.readersAt = scheme + "://" + listener.Addr().String()
	a.log.Info("reading service", "url", a.readersAt)
	return listener, nil
}

func serveUntil(ctx context.Context, group *errgroup.Group, listener net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: readTimeout}
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		if err := server.Shutdown(bounded); err != nil {
			return server.Close()
		}
		return nil
	})
}

// localHandler serves metrics and health: no personal data.
func (a *App) localHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		// Ready is whether every door is open. A ledger that is away is degraded, and shown, but not a failure.
		ready := a.readiness()
		w.Header().Set("Content-Type", "application/json")
		if !ready.Intake {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(ready)
	})
	return mux
}

func (a *App) readiness() readiness {
	since, away := a.ledgerAway()
	ready := readiness{Intake: true, Ledger: away == nil, Folders: a.folderTrouble()}
	if away != nil {
		ready.LedgerAway, ready.Since = away.Error(), &since
	}
	if len(ready.Folders) > 0 {
		ready.Intake = false
	}
	for _, err := range []error{a.guard.Room(0), a.networkTrouble()} {
		if err != nil {
			ready.Intake, ready.Doors = false, append(ready.Doors, err.Error())
		}
	}
	return ready
}

// ledgerAway is why the ledger cannot be used, and since when: the Anchorer knows while something waits, else the one
// that follows the blocks.
func (a *App) ledgerAway() (since time.Time, reason error) {
	if since, reason := a.anchorer.Away(); reason != nil {
		return since, reason
	}
	return a.peer.away()
}

// readiness is the body of /readyz.
type readiness struct {
	Intake     bool       `json:"intake"`
	Ledger     bool       `json:"ledger"`
	LedgerAway string     `json:"ledger_away,omitempty"`
	Since      *time.Time `json:"since,omitempty"`
	// Folders are those that cannot be read, by name, with the reason.
	Folders map[string]string `json:"folders,omitempty"`
	// Doors says why nothing is taken in at any door, or at that of the network.
	Doors []string `json:"doors,omitempty"`
}

// Status implements control.Appliance.
func (a *App) Status(ctx context.Context) (control.Status, error) {
	counts, err := a.state.Counts()
	if err != nil {
		return control.Status{}, err
	}
	s := control.Status{
		Version: a.version, MSPID: a.config.Ledger.MSPID, Participant: a.participant,
		Items: control.Items{
			Received: counts.Received, Anchored: counts.Anchored, Duplicates: counts.Duplicates,
			Waiting: counts.Waiting, Variants: counts.Variants, Quarantined: counts.Quarantined, Bytes: counts.Bytes,
			Discarded: counts.Discarded, Review: counts.Review,
		},
		Storage: control.Storage{Data: a.config.Data},
		Reading: control.Reading{
			URL: a.readersAt, Certificate: certificateStatus(a.certificates.reading, a.certificates.readingTrouble(time.Now())),
			Swarm: a.node.Addresses(), Releasing: a.releaser.Waiting(),
		},
		Folders: a.folderTrouble(),
		Held:    make(map[string]string),
	}
	if s.Ledger, err = a.ledgerStatus(ctx); err != nil {
		return s, err
	}
	if s.Storage.FreeBytes, err = freeBytes(a.config.Data); err != nil {
		return s, err
	}
	if s.Storage.StateBytes, err = a.state.Size(); err != nil {
		return s, err
	}
	s.DICOM = a.dicomStatus()
	if err := a.guard.Room(0); err != nil {
		s.Storage.Full = err.Error()
	}
	for _, f := range a.folders {
		for path, why := range f.Held() {
			s.Held[f.Path+"/"+path] = why
		}
	}
	return s, nil
}

func (a *App) ledgerStatus(ctx context.Context) (l control.Ledger, err error) {
	if l.Documents, err = a.index.Held(); err != nil {
		return l, err
	}
	if l.Indexed, err = a.index.Next(); err != nil {
		return l, err
	}
	l.Certificate = certificateStatus(a.certificates.ledger, a.certificates.ledgerTrouble(time.Now()))
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if l.Height, err = a.ledger.Height(ctx); err != nil {
		l.Away = err.Error()
		return l, nil
	}
	l.Reachable = true
	if _, away := a.anchorer.Away(); away != nil {
		l.Away = away.Error()
	}
	return l, nil
}

// freeBytes is what an unprivileged process may still write on the file system of dir.
func freeBytes(dir string) (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("read free space: %w", err)
	}
	return fs.Bavail * uint64(fs.Bsize), nil //nolint:gosec // a block size is not negative
}
