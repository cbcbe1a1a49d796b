package dirtest_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch/dir"
	"github.com/medanchor/medanchor/dicomwatch/dir/dirtest"
)

// use makes one call of each kind, and tells which of them failed.
func use(t *testing.T, disk *dirtest.Disk, at string) (failed map[dirtest.Call]error) {
	t.Helper()
	failed = make(map[dirtest.Call]error)
	note := func(call dirtest.Call, err error) {
		if err != nil {
			failed[call] = err
		}
	}
	fs, err := disk.Open(at)
	note(dirtest.OpenDir, err)
	if err != nil {
		return failed
	}
	defer fs.Close()
	note(dirtest.MakeDir, fs.MakeDir("d", 0o700))
	f, err := fs.Open("f", os.O_RDWR|os.O_CREATE, 0o600)
	note(dirtest.Create, err)
	if err == nil {
		useFile(f, note)
	}
	if f, err = fs.Open(".", os.O_RDONLY, 0); err == nil {
		f.Close()
	}
	note(dirtest.Open, err)
	_, err = fs.Stat(".")
	note(dirtest.Stat, err)
	_, err = fs.List(".")
	note(dirtest.List, err)
	note(dirtest.SyncDir, fs.Sync("."))
	note(dirtest.Rename, fs.Rename("f", "g"))
	note(dirtest.Remove, fs.Remove("g"))
	return failed
}

func useFile(f dir.File, note func(dirtest.Call, error)) {
	_, err := f.Write([]byte("12345678"))
	note(dirtest.Write, err)
	_, err = f.ReadAt(make([]byte, 4), 0)
	note(dirtest.Read, err)
	_, err = f.Stat()
	note(dirtest.StatFile, err)
	note(dirtest.Sync, f.Sync())
	note(dirtest.Close, f.Close())
}

func TestEachCallFailsAlone(t *testing.T) {
	var peace dirtest.Disk
	if failed := use(t, &peace, t.TempDir()); len(failed) != 0 {
		t.Fatalf("in peace: %v", failed)
	}
	counts := peace.Counts()
	for _, call := range dirtest.Calls() {
		if counts[call] == 0 {
			t.Errorf("%s was not counted", call)
		}
	}
	for _, fault := range dirtest.Sites(map[dirtest.Call]int{
		dirtest.OpenDir: 1, dirtest.Create: 1, dirtest.Open: 1, dirtest.Stat: 1, dirtest.List: 1, dirtest.SyncDir: 1,
		dirtest.MakeDir: 1, dirtest.Write: 1, dirtest.Read: 1, dirtest.StatFile: 1, dirtest.Sync: 1,
	}) {
		var disk dirtest.Disk
		disk.Fail(fault)
		failed := use(t, &disk, t.TempDir())
		if err := failed[fault.Call]; !errors.Is(err, fault.Err) || disk.Fired() != 1 {
			t.Errorf("%s: %v, fired %d", fault.Call, err, disk.Fired())
		}
	}
}

func TestHalfOfAWriteIsDone(t *testing.T) {
	var disk dirtest.Disk
	disk.Fail(dirtest.Fault{Call: dirtest.Write, N: 1, Err: unix.ENOSPC, Done: true})
	disk.Fail(dirtest.Fault{Call: dirtest.Rename, N: 1, Err: unix.EIO})
	at := t.TempDir()
	use(t, &disk, at)
	if content, err := os.ReadFile(filepath.Join(at, "f")); err != nil || string(content) != "1234" {
		t.Errorf("the file holds %q, %v", content, err)
	}
}

func TestAFaultThatStaysEndsWhenHealed(t *testing.T) {
	var disk dirtest.Disk
	fs, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	disk.Fail(dirtest.Fault{Call: dirtest.SyncDir, N: 2, Err: unix.EIO, Stays: true})
	for i, want := range []error{nil, unix.EIO, unix.EIO} {
		if err := fs.Sync("."); !errors.Is(err, want) {
			t.Errorf("sync %d: %v, want %v", i, err, want)
		}
	}
	disk.Heal()
	if err := fs.Sync("."); err != nil {
		t.Errorf("after Heal: %v", err)
	}
}
