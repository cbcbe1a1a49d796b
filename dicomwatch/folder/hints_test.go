package folder_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/folder"
)

// What the kernel had no room to notify is found by the scan that this leads to.
func TestAnOverflowLeadsToAScan(t *testing.T) {
	o := options(t)
	o.Rescan = time.Hour
	f, in := startFolder(t, o)
	eventually(t, "the first scan", func() bool { return f.Scans() > 0 })
	f.Deafen()
	write(t, filepath.Join(o.Path, "sub", "a.dcm"), "x")
	in.quiet(t)
	f.Overflow()
	in.next(t)
}

// More hints than are kept lead to a scan too.
func TestACopyOfManyFilesIsTakenWhole(t *testing.T) {
	o := options(t)
	o.Rescan, o.Disposal = time.Hour, folder.Keep
	p := newPipeline(o.Path)
	f, _ := p.through(t, o)
	eventually(t, "the first scan", func() bool { return f.Scans() > 0 })
	for i := range 5000 {
		write(t, filepath.Join(o.Path, fmt.Sprintf("s%d", i%7), fmt.Sprintf("%04d.dcm", i)), "END")
	}
	eventually(t, "all are taken", func() bool { return len(p.items()) == 5000 })
}

// buffer is written by the folder's goroutine.
type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *buffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

func TestTooManyFoldersToWatchAreToldOnce(t *testing.T) {
	var log buffer
	o := options(t)
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	f, in := startFolder(t, o)
	f.TooManyFolders()
	f.TooManyFolders()
	if n := strings.Count(log.text(), "fs.inotify.max_user_watches"); n != 1 {
		t.Errorf("told %d times: %s", n, log.text())
	}
	write(t, filepath.Join(o.Path, "a.dcm"), "x")
	in.next(t)
}
