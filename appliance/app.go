package appliance

import (
	"context"
	"crypto/hpke"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/medanchor/medanchor/appliance/disk"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/dicomwatch/folder"
	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/dicomwatch/spool"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/index"
	"github.com/medanchor/medanchor/ingest"
	"github.com/medanchor/medanchor/ingest/inspect"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/reading"
	"github.com/medanchor/medanchor/release"
	"github.com/medanchor/medanchor/state"
	"github.com/medanchor/medanchor/vault/ipfs"
	"github.com/medanchor/medanchor/vault/seal"
)

// Options are what an App is made from.
type Options struct {
	Config Config
	Log    *slog.Logger
	// Version of the program, as shown in the status.
	Version string
	// Trace, if set, is called at each step of each item, from any goroutine. It must not block. Fault tests use it.
	Trace func(document.Step)
}

// App is one hospital's appliance. Make it with New, then Run it once; a process may hold several.
type App struct {
	config  Config
	log     *slog.Logger
	version string

	vault    *seal.Vault
	state    *state.DB
	index    *index.Index
	node     *ipfs.Node
	ledger   *ledger.Client
	pipeline *ingest.Pipeline
	anchorer *ingest.Anchorer
	studies  *ingest.Stabiliser
	folders  []*folder.Folder
	spool    *spool.Spool
	receiver *scp.Server // nil where none is configured
	guard    *disk.Guard
	releaser *release.Releaser
	readings *reading.Server
	metrics  *metrics

	participant record.ParticipantID // this appliance
	encryption  hpke.PrivateKey      // opens what is sealed to it

	trays sync.Mutex // held while an item in a tray is decided on

	handed    chan struct{} // a secret was handed over to this appliance
	readersAt string        // URL of the reading service, once it listens
	// Where the DICOM receiver listens, once it does; empty for nowhere.
	receivesAt, receivesTLSAt string
	certificates              certificates

	peer  peer // as the follower of its blocks finds it
	clean bool // the last run ended in order
	swept bool // what a run left that did not: set by sweep, read when it has ended
	open  stack
}

// New opens everything. What is wrong with the configuration or the data folder shows here, and changes nothing; a
// ledger that cannot be reached does not: intake goes on without it.
func New(ctx context.Context, o Options) (*App, error) {
	a := &App{config: o.Config, log: o.Log, version: o.Version, metrics: newMetrics(), handed: make(chan struct{}, 1)}
	trace := a.metrics.step
	if o.Trace != nil {
		trace = func(s document.Step) {
			a.metrics.step(s)
			o.Trace(s)
		}
	}
	for _, step := range []func(context.Context) error{a.openStores, a.openLedger} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, a.open.close())
		}
	}
	if err := a.openPipeline(ctx, trace); err != nil {
		return nil, errors.Join(err, a.open.close())
	}
	a.openReadings()
	a.metrics.observe(a)
	return a, nil
}

// openStores opens the vault, the databases and the IPFS node. state.db comes first of what is written: its lock is the
// data folder's.
func (a *App) openStores(ctx context.Context) (err error) {
	c := a.config
	if err := checkData(c.Data); err != nil {
		return err
	}
	if a.vault, err = seal.Load(c.Vault.KeyFile, c.Data, c.Vault.RecoveryRecipient); err != nil {
		return err
	}
	if a.state, err = state.Open(filepath.Join(c.Data, stateFile), a.vault, c.Ledger.MSPID); err != nil {
		return err
	}
	a.open.push(stateFile, a.state.Close)
	if a.clean, err = closedInOrder(c.Data); err != nil {
		return fmt.Errorf("read data folder: %w", err)
	}
	if a.index, err = index.Open(filepath.Join(c.Data, indexFile), a.vault); err != nil {
		return err
	}
	a.open.push(indexFile, a.index.Close)
	// The end of ctx must not close the node: the pipeline still commits what it has read.
	a.node, err = ipfs.Open(context.WithoutCancel(ctx), ipfs.Options{
		Repo: filepath.Join(c.Data, ipfsDir), SwarmKeyFile: c.IPFS.SwarmKeyFile, Listen: []string{c.IPFS.Listen},
	})
	if err != nil {
		return err
	}
	a.open.push("ipfs node", a.node.Close)
	return nil
}

func (a *App) openLedger(ctx context.Context) (err error) {
	if a.ledger, err = ledger.Connect(ctx, ledgerOptions(a.config.Ledger)); err != nil {
		return err
	}
	a.open.push("ledger", a.ledger.Close)
	if a.participant, err = ledger.ParticipantOf(a.config.Ledger.CertificateFile); err != nil {
		return err
	}
	if a.encryption, err = readEncryptionKey(a.config); err != nil {
		return err
	}
	if err := a.certificates.readOwn(a.config.Ledger); err != nil {
		return err
	}
	if err := a.certificates.ledgerTrouble(time.Now()); err != nil {
		// Not fatal: intake goes on and the queue is kept, as while the peer is away.
		a.log.Error("the ledger will refuse this appliance", "err", err)
	}
	return nil
}

// institution is the prefix of this hospital's pseudonyms.
func (a *App) institution() record.InstitutionPrefix {
	return record.InstitutionID(a.config.Ledger.MSPID).Institution()
}

// openReadings makes what gives keys and records to who may read.
func (a *App) openReadings() {
	a.releaser = release.New(release.Options{
		Institution: a.institution(), Ledger: custody{rights{a}}, Index: changes{a.index}, Vault: holdings{a}, Log: a.log,
		Released: a.metrics.releasedKeys,
	})
	a.readings = reading.New(reading.Options{
		Institution: a.institution(), Appliance: a.participant, Channel: a.config.Ledger.Channel,
		Ledger: decisions{rights{a}}, Index: history{a.index}, Content: readable{holdings{a}}, Journal: a.state, Log: a.log,
		Served: a.metrics.reading,
	})
}

func ledgerOptions(c LedgerConfig) ledger.Options {
	return ledger.Options{
		Peer: c.Peer, TLSCAFile: c.TLSCAFile, TLSServerName: c.TLSServerName,
		MSPID: c.MSPID, CertificateFile: c.CertificateFile, KeyFile: c.KeyFile,
		Channel: c.Channel, Chaincode: c.Chaincode,
	}
}

// maxWorkers is how many files are read at once at most, however many processors there are: a large file takes about 20 MiB of
// memory in each.
const maxWorkers = 16

func (a *App) openPipeline(ctx context.Context, trace func(document.Step)) error {
	c := a.config
	pool, err := inspect.New(ctx, inspect.Options{Program: c.Inspect.Program, Children: c.Inspect.Workers})
	if err != nil {
		return err
	}
	a.open.push("inspectors", pool.Close)
	channel := channel{client: a.ledger, last: new(lookedUp)}
	a.anchorer = ingest.NewAnchorer(ingest.AnchorerOptions{
		Ledger: channel, Outbox: a.state, Elsewhere: history{a.index}, Log: a.log, Trace: trace,
	})
	a.studies = ingest.NewStabiliser(ingest.StabiliserOptions{
		Studies: a.state, Ledger: channel, Quiet: c.Studies.Quiet, Log: a.log, Trace: trace,
	})
	a.pipeline = ingest.New(ingest.Options{
		Inspector: pool, Sealer: a.vault, Blocks: blocks{a.node},
		Known: a.state, Patients: a.state, Elsewhere: history{a.index}, Journal: a.state,
		Log: a.log, Rules: c.Patients.rules(), Workers: min(2*runtime.GOMAXPROCS(0), maxWorkers),
		Queued: a.anchorer.Kick, Trace: trace,
	})
	return a.openDoors(trace)
}

// Run works until ctx ends, then closes everything and returns nil. Any other error means that storage failed, or that
// a listener could not be made; what was acknowledged is safe.
func (a *App) Run(ctx context.Context) error {
	err := a.run(ctx)
	if err == nil && (a.clean || a.swept) {
		err = markClosed(a.config.Data)
	}
	return errors.Join(err, a.open.close())
}

func (a *App) run(ctx context.Context) error {
	if err := markOpen(a.config.Data); err != nil {
		return fmt.Errorf("mark data folder as in use: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	if err := a.serve(ctx, group); err != nil {
		return err
	}
	if !a.clean {
		group.Go(func() error { return a.sweep(ctx) })
	}
	group.Go(func() error { return a.state.Wait(ctx) })
	group.Go(func() error { return a.pipeline.Run(ctx) })
	group.Go(func() error { return a.anchorer.Run(ctx) })
	group.Go(func() error { return a.studies.Run(ctx) })
	group.Go(func() error { return a.follow(ctx) })
	group.Go(func() error { return a.releaser.Run(ctx) })
	group.Go(func() error { return a.readings.Record(ctx) })
	group.Go(func() error { return a.receiveSecrets(ctx) })
	for _, f := range a.folders {
		group.Go(func() error { return f.Run(ctx) })
	}
	group.Go(func() error { return a.spool.Run(ctx) })
	a.log.Info("appliance running", "version", a.version, "folders", len(a.folders))
	err := group.Wait()
	a.log.Info("appliance stopped")
	return err
}

// sweep removes what a run that did not end in order left behind: the claims of sources that it disposed of, and the
// blocks that it stored and did not commit. One that is cut short, or without a folder, is done again at the next start.
func (a *App) sweep(ctx context.Context) error {
	away := len(a.folderTrouble()) > 0 // of its files nobody can tell whether they are gone
	claims, err := a.state.ForgetClaims(a.disposed)
	if err != nil {
		return fmt.Errorf("sweep claims: %w", err)
	}
	var unknown error
	removed, err := a.node.Sweep(ctx, func(root record.CID) bool {
		found, err := a.state.HasRoot(root)
		unknown = errors.Join(unknown, err)
		return found || err != nil
	})
	err = errors.Join(err, unknown)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		// Not fatal: removing orphans is not worth the intake. It is tried again at the next start.
		a.log.Error("orphaned blocks are left, and looked for again at the next start: look at the disk, and restore blocks that are damaged", "err", err)
		return nil
	}
	a.swept = !away
	a.log.Info("swept after an unclean stop", "orphaned_blocks", removed, "claims", claims)
	return nil
}

// disposed says whether the source of an item is gone from its door.
func (a *App) disposed(item document.Item) bool {
	if item.Door == networkDoor {
		return a.spool.Disposed(item.Path)
	}
	for _, f := range a.folders {
		if f.Name == item.Door {
			return f.Disposed(item.Path)
		}
	}
	return false // its door is not configured now
}
