package e2e

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/medanchor/medanchor/appliance"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/state"
	"github.com/medanchor/medanchor/test/synth"
	"github.com/medanchor/medanchor/vault/ipfs"
	"github.com/medanchor/medanchor/vault/seal"
)

// TestTwoInOneProcess runs the appliances of two hospitals in this process, and stops both while an item is at each step
// of its way: what is begun is finished or not begun, so that the next run completes it, with nothing to sweep.
func TestTwoInOneProcess(t *testing.T) {
	n := devnettest.Exclusive(t)
	const files, size = 6, 40 << 10
	sites := []*site{newSite(t, n, 0), newSite(t, n, 1)}
	from := sites[0].height()
	steps := []document.Step{
		document.StepReceived, document.StepInspected, document.StepSealed, document.StepStored, document.StepQueued, document.StepSubmitted,
		document.StepAnchored,
	}
	want := synth.Counts{}
	for round, step := range steps {
		dir := t.TempDir()
		manifest, err := synth.Many(dir, uint64(round), "both", files, size)
		if err != nil {
			t.Fatal(err)
		}
		counts := manifest.Counts("both")
		want.Files, want.Bytes, want.Anchored = want.Files+counts.Files, want.Bytes+counts.Bytes, want.Anchored+counts.Anchored
		var running errgroup.Group
		for _, s := range sites {
			s.dropTree(os.DirFS(filepath.Join(dir, "both")), filepath.Join(s.DICOM))
			if err := os.Rename(filepath.Join(s.DICOM, "dicom"), filepath.Join(s.DICOM, string(step))); err != nil {
				t.Fatal(err)
			}
			running.Go(func() error { return s.runUntil(step) })
		}
		if err := running.Wait(); err != nil {
			t.Fatalf("stop at %s: %v", step, err)
		}
		for _, s := range sites {
			s.checkClean(step)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running errgroup.Group
	for _, s := range sites {
		running.Go(func() error { return s.run(ctx, nil) })
	}
	for _, s := range sites {
		poll(t, "the daemon in this process answers", func() bool {
			_, err := s.Client().Status(t.Context())
			return err == nil
		}, func() string { return s.member.Name })
		s.process = nil
		poll(t, "all is settled", func() bool {
			c := s.status()
			return c.Items.Received == int64(want.Files) && c.Items.Waiting == 0
		}, func() string { return s.member.Name })
		s.reconcile(want, s.status().Items, len(s.chainSince(from).documents))
	}
	cancel()
	if err := running.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, s := range sites {
		s.checkClean(document.StepAnchored)
	}
	left := ""
	poll(t, "none of the appliances' goroutines is left", func() bool {
		left = ownGoroutines()
		return left == ""
	}, func() string { return left })
}

// ownGoroutines gives the stacks of goroutines that medanchor's packages are in, other than the tests themselves. Those of
// libraries are not judged: a stopped Kubo node leaves some behind.
func ownGoroutines() string {
	all := make([]byte, 4<<20)
	all = all[:runtime.Stack(all, true)]
	var own []string
	for stack := range strings.SplitSeq(string(all), "\n\n") {
		const module = "github.com/medanchor/medanchor/"
		if strings.Contains(stack, module) && !strings.Contains(stack, module+"test/e2e") &&
			!strings.Contains(stack, module+"devnet") {
			own = append(own, stack)
		}
	}
	return strings.Join(own, "\n\n")
}

// run runs the hospital's appliance in this process until ctx ends.
func (s *site) run(ctx context.Context, trace func(document.Step)) error {
	log, err := os.OpenFile(s.Log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	app, err := appliance.New(ctx, appliance.Options{
		Config: s.Config, Log: slog.New(slog.NewTextHandler(log, nil)), Version: "inside", Trace: trace,
	})
	if err != nil {
		return err
	}
	return app.Run(ctx)
}

// runUntil stops the appliance as soon as an item takes the step.
func (s *site) runUntil(step document.Step) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), awaitAtMost)
	defer cancel()
	reached := make(chan struct{}, 1)
	err := s.run(ctx, func(at document.Step) {
		if at == step {
			select {
			case reached <- struct{}{}:
			default:
			}
			cancel()
		}
	})
	if err != nil {
		return err
	}
	select {
	case <-reached:
		return nil
	default:
		return context.DeadlineExceeded
	}
}

// checkClean looks for what a stop in order may not leave: a run that counts as unclean, or blocks that no pin holds.
func (s *site) checkClean(at document.Step) {
	s.t.Helper()
	data := s.Config.Data
	if _, err := os.Stat(filepath.Join(data, "clean")); err != nil {
		s.t.Errorf("after a stop at %s: %v", at, err)
	}
	vault, err := seal.Load(s.Config.Vault.KeyFile, data, s.Config.Vault.RecoveryRecipient)
	if err != nil {
		s.t.Fatal(err)
	}
	db, err := state.Open(filepath.Join(data, "state.db"), vault, s.Config.Ledger.MSPID)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	node, err := ipfs.Open(s.t.Context(), ipfs.Options{Repo: filepath.Join(data, "ipfs"), SwarmKeyFile: s.Config.IPFS.SwarmKeyFile})
	if err != nil {
		s.t.Fatal(err)
	}
	defer node.Close()
	removed, err := node.Sweep(s.t.Context(), func(root record.CID) bool {
		found, err := db.HasRoot(root)
		return found && err == nil
	})
	if err != nil || removed > 0 {
		s.t.Errorf("after a stop at %s: %d orphaned blocks, %v", at, removed, err)
	}
}
