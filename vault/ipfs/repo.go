package ipfs

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	logging "github.com/ipfs/go-log/v2"
	"github.com/ipfs/kubo/config"
	configfile "github.com/ipfs/kubo/config/serialize"
	"github.com/ipfs/kubo/core/coreiface/options"
	"github.com/ipfs/kubo/plugin"
	"github.com/ipfs/kubo/plugin/plugins/flatfs"
	"github.com/ipfs/kubo/plugin/plugins/levelds"
	"github.com/ipfs/kubo/repo/fsrepo"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/gologshim"
)

// prepareKubo sets up what Kubo keeps once per process: the kinds of datastore (without its plugin loader, which can
// run only once, and brings telemetry), and its logs, which would go to the daemon's standard error.
var prepareKubo = sync.OnceValue(func() error {
	logging.SetupLogging(logging.Config{Level: logging.LevelFatal})
	gologshim.SetDefaultHandler(slog.DiscardHandler)
	installTap()
	for _, p := range append(flatfs.Plugins, levelds.Plugins...) {
		datastore, ok := p.(plugin.PluginDatastore)
		if !ok {
			return fmt.Errorf("register datastore %s: not a datastore", p.Name())
		}
		err := fsrepo.AddDatastoreConfigHandler(datastore.DatastoreTypeName(), datastore.DatastoreConfigParser())
		if err != nil {
			return fmt.Errorf("register datastore %s: %w", p.Name(), err)
		}
	}
	return nil
})

// prepareRepo makes the repository if there is none, and brings the settings and swarm key of one that is there in
// line, unless it is in use.
func prepareRepo(o Options, key []byte) error {
	if err := initRepo(o); err != nil {
		return err
	}
	locked, err := fsrepo.LockedByOtherProcess(o.Repo)
	if err != nil {
		return fmt.Errorf("look at lock: %w", err)
	}
	if locked {
		return fmt.Errorf("%w: %s; stop the other medanchor or ipfs that runs on it", ErrInUse, o.Repo)
	}
	file := filepath.Join(o.Repo, config.DefaultConfigFile)
	current, err := configfile.Load(file)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	if err := rewrite(file, settings(current.Identity, o.Listen)); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	// The key stands in the repository too: whoever runs a stock ipfs on it then stays in the private swarm.
	return os.WriteFile(filepath.Join(o.Repo, "swarm.key"), key, 0o600)
}

// initRepo makes a repository beside its place and renames it there, so that a crash leaves none that is half made.
func initRepo(o Options) error {
	if _, err := os.Stat(o.Repo); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	identity, err := config.CreateIdentity(io.Discard, []options.KeyGenerateOption{options.Key.Type(options.Ed25519Key)})
	if err != nil {
		return fmt.Errorf("make node identity: %w", err)
	}
	fresh := o.Repo + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return err
	}
	if err := fsrepo.Init(fresh, settings(identity, o.Listen)); err != nil {
		return fmt.Errorf("init: %w", err)
	}
	if err := openOnce(fresh); err != nil {
		return fmt.Errorf("make datastores: %w", err)
	}
	if err := syncTree(fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, o.Repo); err != nil {
		return err
	}
	return syncFile(filepath.Dir(o.Repo))
}

// openOnce has Kubo make the files that it makes at the first opening, and does not make durable itself: without them a power cut
// soon afterwards would leave a repository that cannot be opened.
func openOnce(repo string) error {
	opened, err := fsrepo.Open(repo)
	if err != nil {
		return err
	}
	return opened.Close()
}

// rewrite replaces the settings file where it differs.
func rewrite(file string, c *config.Config) error {
	want, err := config.Marshal(c)
	if err != nil {
		return err
	}
	if got, err := os.ReadFile(file); err != nil || bytes.Equal(got, want) {
		return err
	}
	return configfile.WriteConfigFile(file, c)
}

func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncFile(path)
	})
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// NewSwarmKey makes the pre-shared key of a new private swarm, in the form that libp2p and Kubo read
// (/key/swarm/psk/1.0.0/). All members of a consortium use the same one; it is a secret.
func NewSwarmKey() []byte {
	var key [32]byte
	rand.Read(key[:]) // never fails (crypto/rand)
	return []byte("/key/swarm/psk/1.0.0/\n/base16/\n" + hex.EncodeToString(key[:]) + "\n")
}

func readSwarmKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; ask the consortium for its key, or make one for a new consortium", ErrSwarmKey, err)
	}
	if _, err := pnet.DecodeV1PSK(bytes.NewReader(key)); err != nil {
		return nil, fmt.Errorf("%w: %s is not a swarm key; it should begin with /key/swarm/psk/1.0.0/", ErrSwarmKey, path)
	}
	return key, nil
}
