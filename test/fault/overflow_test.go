package fault

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// More changes than the kernel keeps for the daemon to read come while it does not look: it scans, without waiting for the next
// rescan, and takes what it was not told of.
func TestMoreChangesThanTheKernelKeeps(t *testing.T) {
	c := newCampaign(t, 11)
	for i := range c.Config.Folders {
		c.Config.Folders[i].Rescan = time.Hour
	}
	if err := c.WriteConfig(); err != nil {
		t.Fatal(err)
	}
	s := newService(t, c)
	c.supply.dropUpTo(t, 6)
	s.await(t, "the first files to be taken in", func() bool { return c.accounted(t) })

	signalGroup(t, s.p.PID(), syscall.SIGSTOP)
	for _, door := range []string{c.DICOM, c.Documents} {
		overflow(t, door)
	}
	c.supply.dropUpTo(t, 40)
	signalGroup(t, s.p.PID(), syscall.SIGCONT)
	s.await(t, "the files to be taken in", func() bool { return c.accounted(t) })
	s.stop(t)
	c.settle(t)
	c.judge(t)
}

// overflow makes more changes in a folder than are kept (inotify(7)). Each is of another name: equal ones would be one.
func overflow(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Fatal(err)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range limit {
		path := filepath.Join(dir, fmt.Sprintf(".%d", i))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
