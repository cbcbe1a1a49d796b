package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/state"
	"github.com/medanchor/medanchor/test/mutate"
	"github.com/medanchor/medanchor/vault/seal"
)

// mutationsEnv names the environment variable that says how many broken files TestBrokenFiles drops.
const mutationsEnv = "MEDANCHOR_MUTATIONS"

// What the processes may hold at their peak (VmHWM).
const (
	daemonMemory    = 300 << 20
	inspectorMemory = 256 << 20
)

// TestBrokenFiles: whatever is wrong with a file, the daemon lives on within its memory, the inspectors within theirs, and the
// file is kept, byte for byte, once.
func TestBrokenFiles(t *testing.T) {
	n := 400
	if text := os.Getenv(mutationsEnv); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s=%s: want a number", mutationsEnv, text)
		}
	}
	s := newSite(t, devnettest.Exclusive(t), 0)
	s.start()
	pid := s.process.PID()
	staged := filepath.Join(s.Dir, "drop", "staged")
	kinds := make(map[mutate.Kind]int)
	for f := range mutate.Files(5, n) {
		kinds[f.Kind]++
		path := filepath.Join(staged, "9990000018", f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	began, worst := time.Now(), 0
	if err := os.Rename(filepath.Join(staged, "9990000018"), filepath.Join(s.Documents, "9990000018")); err != nil {
		t.Fatal(err)
	}
	last, lastAt := int64(0), time.Now()
	for done := false; !done; {
		status := s.await("some more are settled", func(c control.Status) bool {
			worst = max(worst, s.inspectorsPeak())
			return c.Items.Received > last || c.Items.Received == int64(n) && c.Items.Waiting == 0
		})
		longest := time.Since(lastAt)
		if longest > 30*time.Second {
			t.Errorf("nothing was taken in for %s", longest)
		}
		last, lastAt = status.Items.Received, time.Now()
		done = last == int64(n) && status.Items.Waiting == 0
	}
	peak := peakOf(t, pid)
	t.Logf("%d files in %s: %v; peak %d MB, of an inspector %d MB", n, time.Since(began).Round(time.Second), kinds, peak>>20, worst>>20)
	if peak > daemonMemory || worst > inspectorMemory {
		t.Errorf("the daemon held %d MB, an inspector %d MB", peak>>20, worst>>20)
	}
	if s.process.PID() != pid {
		t.Error("the daemon is another one now")
	}
	status := s.status()
	s.stop()
	s.everyFileOnce(n, status.Items)
}

// everyFileOnce compares what is kept, file by file, with what was dropped.
func (s *site) everyFileOnce(n int, items control.Items) {
	s.t.Helper()
	vault, err := seal.Load(s.Config.Vault.KeyFile, s.Config.Data, s.Config.Vault.RecoveryRecipient)
	if err != nil {
		s.t.Fatal(err)
	}
	db, err := state.Open(filepath.Join(s.Config.Data, "state.db"), vault, s.Config.Ledger.MSPID)
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	stored, seen := s.stored(), make(map[string]bool)
	counted := make(map[document.State]int64)
	err = db.Items(func(item document.Item) bool {
		counted[item.State]++
		rel, err := filepath.Rel(s.Documents, item.Path)
		if err != nil || seen[rel] {
			s.t.Errorf("%s: taken twice, or from elsewhere (%v)", filepath.Base(item.Path), err)
			return false
		}
		seen[rel] = true
		content, err := os.ReadFile(filepath.Join(s.Documents, "done", rel))
		if err != nil {
			s.t.Errorf("a source that is durable is not in done/: %v", err)
			return false
		}
		if item.State == document.Duplicate {
			return true
		}
		if back := s.get(stored, item.ID); !bytes.Equal(back, content) {
			s.t.Errorf("%s does not read back", filepath.Base(rel))
		}
		return true
	})
	if err != nil {
		s.t.Fatal(err)
	}
	quarantined := int64(0)
	for _, q := range items.Quarantined {
		quarantined += q
	}
	if len(seen) != n || counted[document.Quarantined] != quarantined || counted[document.Anchored] != items.Anchored ||
		counted[document.Duplicate] != items.Duplicates {
		s.t.Errorf("%d files, %v kept; counted as %+v", len(seen), counted, items)
	}
	s.t.Logf("%v, quarantined as %v", counted, items.Quarantined)
}

// inspectorsPeak is the most that a running inspector held, in bytes.
func (s *site) inspectorsPeak() (peak int) {
	s.t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, dir := range dirs {
		if parent(dir) == s.process.PID() {
			held, _ := highWater(dir) // it may have ended since
			peak = max(peak, held)
		}
	}
	return peak
}

func peakOf(t *testing.T, pid int) int {
	t.Helper()
	peak, err := highWater(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		t.Fatal(err)
	}
	return peak
}

// highWater is the peak resident size of a process, in bytes (proc_pid_status(5), VmHWM).
func highWater(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kilobytes int
	_, err = fmt.Sscan(rest, &kilobytes)
	return kilobytes << 10, err
}
