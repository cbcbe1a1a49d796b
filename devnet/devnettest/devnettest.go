// Package devnettest gives tests a real Fabric network: one per test run, not per test.
//
// A package that needs one says so in its TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(devnettest.Main(m)) }
//
// and its tests call [Network]. Under devnet exec, all packages of the run use the network in $MEDANCHOR_DEVNET; else
// each test process starts its own at the first use, and Main ends it. With -short such tests are skipped.
//
// A test that stops, freezes or kills nodes calls [Exclusive] instead: then no other test of the run, in whatever process,
// uses the network at the same time, and afterwards all nodes are brought back.
package devnettest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/internal/flock"
)

// restoreTimeout bounds bringing the nodes back after an exclusive test.
const restoreTimeout = time.Minute

// current is the network of this test process. Tests have no other way to share what TestMain looks after.
var current struct {
	inMain bool // Main is there to end the network

	mu      sync.Mutex
	network *devnet.Network
	err     error
}

// Main runs the tests and ends the network that they started, if any. It returns the exit code for os.Exit.
func Main(m *testing.M) (code int) {
	current.inMain = true
	defer func() {
		if err := end(); err != nil {
			fmt.Fprintln(os.Stderr, "devnettest:", err)
			code = max(code, 1)
		}
	}()
	return m.Run()
}

// end ends the network of this process.
func end() error {
	current.mu.Lock()
	defer current.mu.Unlock()
	if current.network == nil {
		return nil
	}
	return current.network.Close()
}

// Network returns the network of the test run, which other tests use at the same time. The test must leave its nodes alone.
func Network(tb testing.TB) *devnet.Network {
	tb.Helper()
	return use(tb, flock.Shared)
}

// Exclusive waits until no other test uses the network, and returns it. The test may stop, kill and freeze nodes. When it
// ends, all nodes are brought back, then others may use the network again. A test that holds the network from [Network]
// would wait for itself.
func Exclusive(tb testing.TB) *devnet.Network {
	tb.Helper()
	network := use(tb, flock.Exclusive)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), restoreTimeout)
		defer cancel()
		if err := network.Restore(ctx); err != nil {
			tb.Errorf("restore the network after the test: %v", err)
		}
	})
	return network
}

// Own starts a network for this test alone, of so many hospitals, and ends it with the test.
func Own(tb testing.TB, hospitals int) *devnet.Network {
	tb.Helper()
	if testing.Short() {
		tb.Skip("starts a Fabric network: run without -short")
	}
	network, err := devnet.Start(tb.Context(), devnet.Options{Hospitals: hospitals, Log: tb.Output()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := network.Close(); err != nil {
			tb.Error(err)
		}
	})
	return network
}

// use finds the network and holds its lock until the test ends.
func use(tb testing.TB, how flock.How) *devnet.Network {
	tb.Helper()
	if testing.Short() {
		tb.Skip("needs a Fabric network: run without -short")
	}
	network, err := find(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	lock, err := flock.Acquire(tb.Context(), filepath.Join(network.Dir, "tests.lock"), how)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := lock.Close(); err != nil {
			tb.Error(err)
		}
	})
	return network
}

// find attaches to the run's network, or starts one. What happened at the first use holds for the whole process.
func find(ctx context.Context) (*devnet.Network, error) {
	if !current.inMain {
		return nil, errors.New("nobody would end the network: call devnettest.Main in the package's TestMain")
	}
	current.mu.Lock()
	defer current.mu.Unlock()
	if current.network != nil || current.err != nil {
		return current.network, current.err
	}
	if dir := os.Getenv(devnet.DirEnv); dir != "" {
		current.network, current.err = devnet.Attach(dir)
	} else {
		current.network, current.err = devnet.Start(ctx, devnet.Options{Log: os.Stderr})
	}
	return current.network, current.err
}
