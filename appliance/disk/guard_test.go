package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/appliance/disk"
	"github.com/medanchor/medanchor/document"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// A fake file system, and what the Guard said of it.
type fake struct {
	space disk.Space
	err   error
	looks int
	log   bytes.Buffer
}

func (f *fake) statfs(string) (disk.Space, error) {
	f.looks++
	return f.space, f.err
}

func (f *fake) guard(o disk.Options) *disk.Guard {
	o.Path, o.Statfs, o.Log = "/data", f.statfs, slog.New(slog.NewTextHandler(&f.log, nil))
	return disk.New(o)
}

func TestTheReserve(t *testing.T) {
	const total = 1000 * gib
	for _, test := range []struct {
		name    string
		options disk.Options
		space   disk.Space
		pending int64
		room    bool
	}{
		{"at the reserve in bytes", disk.Options{ReserveBytes: 10 * gib}, disk.Space{Bytes: total, Free: 10 * gib}, 0, true},
		{"below it", disk.Options{ReserveBytes: 10 * gib}, disk.Space{Bytes: total, Free: 10*gib - 1}, 0, false},
		{"percent are more", disk.Options{ReserveBytes: gib, ReservePercent: 5}, disk.Space{Bytes: total, Free: 50*gib - 1}, 0, false},
		{"at the percent", disk.Options{ReserveBytes: gib, ReservePercent: 5}, disk.Space{Bytes: total, Free: 50 * gib}, 0, true},
		{"bytes are more", disk.Options{ReserveBytes: 60 * gib, ReservePercent: 5}, disk.Space{Bytes: total, Free: 55 * gib}, 0, false},
		{"pending counted", disk.Options{ReserveBytes: gib}, disk.Space{Bytes: total, Free: 3 * gib}, 2*gib + 1, false},
		{"pending fits", disk.Options{ReserveBytes: gib}, disk.Space{Bytes: total, Free: 3 * gib}, 2 * gib, true},
		{
			"pending by the option",
			disk.Options{ReserveBytes: gib, Pending: func() int64 { return 3 * gib }},
			disk.Space{Bytes: total, Free: 3 * gib},
			0, false,
		},
		{
			"the larger pending, once",
			disk.Options{ReserveBytes: gib, Pending: func() int64 { return 2 * gib }},
			disk.Space{Bytes: total, Free: 3 * gib},
			2 * gib, true,
		},
		{
			"growth counted",
			disk.Options{ReserveBytes: gib, Growth: func() int64 { return 2 * gib }},
			disk.Space{Bytes: total, Free: 3*gib - 1},
			0, false,
		},
		{"too few inodes", disk.Options{InodePercent: 5}, disk.Space{Bytes: total, Free: total, Inodes: 1000, FreeInodes: 49}, 0, false},
		{"enough inodes", disk.Options{InodePercent: 5}, disk.Space{Bytes: total, Free: total, Inodes: 1000, FreeInodes: 50}, 0, true},
		{"no fixed number of inodes", disk.Options{InodePercent: 5}, disk.Space{Bytes: total, Free: total}, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := fake{space: test.space}
			err := f.guard(test.options).Room(test.pending)
			if (err == nil) != test.room || (err != nil && !errors.Is(err, document.ErrNoRoom)) {
				t.Fatalf("Room = %v, want room: %t", err, test.room)
			}
			if strings.Contains(f.log.String(), "intake stops") == test.room {
				t.Errorf("log: %s", &f.log)
			}
		})
	}
}

func TestWhatItSays(t *testing.T) {
	f := fake{space: disk.Space{Bytes: 100 * gib, Free: 6 * gib}}
	err := f.guard(disk.Options{ReserveBytes: 5 * gib}).Room(2 * gib)
	const want = "the disk is at its reserve: 6.0 GiB of 100.0 GiB are free on /data, 2.0 GiB of them for what was taken in " +
		"already, and 5.0 GiB are kept in reserve; free 1.2 GiB there, or enlarge the disk, and intake goes on by itself"
	if err == nil || err.Error() != want {
		t.Errorf("Room = %v\nwant %s", err, want)
	}
}

// Intake resumes above the reserve by a margin, so that it does not stop and go with each file; both are said once.
func TestItResumesWithAMargin(t *testing.T) {
	for _, test := range []struct{ reserve, margin int64 }{{gib, 64 * mib}, {100 * gib, 5 * gib}} {
		synctest.Test(t, func(t *testing.T) {
			f := fake{space: disk.Space{Bytes: 1000 * gib}}
			guard := f.guard(disk.Options{ReserveBytes: test.reserve})
			for _, step := range []struct {
				free int64
				room bool
			}{
				{test.reserve, true},
				{test.reserve - 1, false},
				{test.reserve, false},
				{test.reserve + test.margin - 1, false},
				{test.reserve + test.margin, true},
				{test.reserve, true},
				{test.reserve - 1, false},
			} {
				f.space.Free = step.free
				time.Sleep(time.Second) // of synctest's clock: what was seen is stale
				if err := guard.Room(0); (err == nil) != step.room {
					t.Errorf("with %d free: %v", step.free, err)
				}
			}
			stops, resumes := strings.Count(f.log.String(), "intake stops"), strings.Count(f.log.String(), "intake goes on: ")
			if stops != 2 || resumes != 1 {
				t.Errorf("it said %d times that it stops, %d times that it goes on:\n%s", stops, resumes, &f.log)
			}
		})
	}
}

func TestALookIsGoodForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake{space: disk.Space{Bytes: gib, Free: gib}}
		guard := f.guard(disk.Options{})
		for range 1000 {
			if err := guard.Room(0); err != nil {
				t.Fatal(err)
			}
		}
		if f.looks != 1 {
			t.Errorf("%d looks", f.looks)
		}
		time.Sleep(100 * time.Millisecond)
		if err := guard.Room(0); err != nil || f.looks != 2 {
			t.Errorf("after a while: %v, %d looks", err, f.looks)
		}
	})
}

// A disk that is gone is not full: that is said, and nothing is taken in.
func TestADiskThatCannotBeLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fake{err: unix.EIO}
		guard := f.guard(disk.Options{ReserveBytes: gib})
		if err := guard.Room(0); !errors.Is(err, unix.EIO) || errors.Is(err, document.ErrNoRoom) {
			t.Errorf("Room = %v", err)
		}
		f.space, f.err = disk.Space{Bytes: 2 * gib, Free: gib}, nil
		time.Sleep(time.Second)
		if err := guard.Room(0); err != nil { // and needs no margin
			t.Errorf("once it is back: %v", err)
		}
	})
}

// tmpfs is a small file system of its own.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	at := t.TempDir()
	if err := unix.Mount("medanchor-test", at, "tmpfs", 0, options); err != nil {
		t.Skipf("a tmpfs of its own is needed, and mounting one is not permitted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return at
}

// eventually runs until the look at the disk is stale and f says yes.
func eventually(t *testing.T, f func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("not within 10 seconds")
		}
	}
}

func TestOnARealFileSystem(t *testing.T) {
	at := tmpfs(t, "size=128m,nr_inodes=200")
	space, err := disk.Statfs(at)
	if err != nil || space.Bytes != 128*mib || space.Free > space.Bytes || space.Inodes != 200 || space.FreeInodes >= 200 {
		t.Fatalf("Statfs = %+v, %v", space, err)
	}
	guard := disk.New(disk.Options{Path: at, ReserveBytes: 16 * mib, InodePercent: 10, Log: slog.New(slog.DiscardHandler)})
	if err := guard.Room(0); err != nil {
		t.Fatal(err)
	}

	big := filepath.Join(at, "big")
	if err := os.WriteFile(big, make([]byte, 120*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return errors.Is(guard.Room(0), document.ErrNoRoom) })
	if err := os.Truncate(big, 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return guard.Room(0) == nil })

	for i := range 190 {
		if err := os.WriteFile(filepath.Join(at, fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool {
		err = guard.Room(0)
		return errors.Is(err, document.ErrNoRoom)
	})
	if !strings.Contains(err.Error(), "of 200 inodes") {
		t.Errorf("Room = %v", err)
	}
}
