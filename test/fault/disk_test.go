package fault

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// diskSize is how large the disks are that tests have for themselves, in bytes. What is not written takes no room.
const diskSize = 640 << 20

// disk is a file system of its own for one of a hospital's folders: ext4 in a file, which turns read-only when it finds an error.
type disk struct{ image, at string }

// newDisk moves a folder to a disk of its own. The test is skipped where it may not mount one.
func newDisk(t *testing.T, c *campaign, at string) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("to mount a file system wants root")
	}
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("mkfs.ext4 is not installed: apt-get install e2fsprogs")
	}
	d := &disk{image: filepath.Join(c.Dir, filepath.Base(at)+".ext4"), at: at}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, diskSize); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", "-m", "0", d.image).CombinedOutput(); err != nil {
		t.Fatalf("make a file system: %v\n%s", err, out)
	}
	before := at + ".before"
	if err := errors.Join(os.Rename(at, before), os.Mkdir(at, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := d.mount(t); err != nil {
		t.Skipf("no leave to mount a file system: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	if err := errors.Join(os.Remove(filepath.Join(at, "lost+found")), os.CopyFS(at, os.DirFS(before))); err != nil {
		t.Fatal(err)
	}
	d.sync(t)
	return d
}

// sync makes everything durable that is on the disk.
func (d *disk) sync(t *testing.T) {
	t.Helper()
	root, err := os.Open(d.at)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := unix.Syncfs(int(root.Fd())); err != nil {
		t.Fatal(err)
	}
}

// mount looks for what to repair, and mounts the disk.
func (d *disk) mount(t *testing.T) error {
	t.Helper()
	for _, command := range [][]string{
		{"e2fsck", "-p", d.image},
		{"mount", "-o", "loop,errors=remount-ro", d.image, d.at},
	} {
		out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && command[0] == "e2fsck" && exit.ExitCode() == 1 {
			continue // errors were repaired: e2fsck(8)
		}
		if err != nil {
			return fmt.Errorf("%s: %w: %s", command[0], err, out)
		}
	}
	return nil
}

// again unmounts the disk, once nobody uses it, and mounts it anew.
func (d *disk) again(t *testing.T) {
	t.Helper()
	poll(t, survivorTimeout, "the end of the disk's use", func() bool { return unix.Unmount(d.at, 0) == nil })
	if err := d.mount(t); err != nil {
		t.Fatal(err)
	}
}

// breaks has the file system find an error, by which it turns read-only.
func (d *disk) breaks(t *testing.T) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if fields[1] != d.at {
			continue
		}
		trigger := filepath.Join("/sys/fs/ext4", filepath.Base(fields[0]), "trigger_fs_error")
		if err := os.WriteFile(trigger, []byte("1"), 0o200); err != nil {
			t.Skipf("this kernel does not let file systems break: %v", err)
		}
		return
	}
	t.Fatalf("%s is not mounted", d.at)
}

// readOnly remounts the disk.
func (d *disk) readOnly(t *testing.T, yes bool) {
	t.Helper()
	flags := uintptr(unix.MS_REMOUNT)
	if yes {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount("", d.at, "", flags, ""); err != nil {
		t.Fatal(err)
	}
}

// fill takes room on the disk until so many bytes are left. It returns what frees it.
func (d *disk) fill(t *testing.T, left int64) (free func()) {
	t.Helper()
	path := filepath.Join(d.at, "ballast")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var space unix.Statfs_t
	if err := unix.Statfs(d.at, &space); err != nil {
		t.Fatal(err)
	}
	// What the file system needs for itself is not known: it may be less.
	for size := int64(space.Bavail)*space.Bsize - left; size > 0; size -= 1 << 20 {
		if unix.Fallocate(int(file.Fd()), 0, 0, size) == nil {
			break
		}
	}
	for left == 0 {
		if _, err := file.Seek(0, io.SeekEnd); err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(make([]byte, space.Bsize)); err != nil {
			break
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// powerCut has the file system at dir forget what was not made durable, and fail from there on (FS_IOC_SHUTDOWN).
func powerCut(dir string) error {
	const shutdown, withoutFlush = 0x8004587d, 2
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	flags := uint32(withoutFlush)
	if err := ioctl(int(file.Fd()), shutdown, &flags); err != nil {
		return fmt.Errorf("cut the power of %s: %w", dir, err)
	}
	return nil
}

// signalGroup sends a signal to the daemon with all that it started.
func signalGroup(t *testing.T, group int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(-group, s); err != nil {
		t.Fatal(err)
	}
}
