package fault

import (
	"bufio"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAClockThatIsMoved moves the daemon's clock back and forth while files come in, also so far that the peers' certificates
// are of another time. The kernel stamps the files by its own clock meanwhile, as a file server does.
func TestAClockThatIsMoved(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("only on amd64 is it known how to move a process's clock")
	}
	c := newCampaign(t, 12)
	clock := filepath.Join(c.Dir, "clock")
	setClock(t, clock, 0)
	s := &service{campaign: c, p: c.start(t, order{Clock: clock})}
	if err := c.WaitReady(t.Context(), s.p); err != nil {
		t.Fatal(err)
	}
	const month = 30 * 24 * time.Hour
	for i, by := range []time.Duration{time.Minute, -time.Minute, time.Hour, -time.Hour, month, -month, 0} {
		setClock(t, clock, by)
		c.supply.dropUpTo(t, (i+1)*6)
		if canSend() {
			if err := c.send(t.Context(), c.supply.toSend(t, 1)); err != nil {
				t.Fatalf("send with the clock moved by %s: %v", by, err)
			}
		}
		s.await(t, fmt.Sprintf("files to be taken in with the clock moved by %s", by), func() bool { return c.atDoor(t) == 0 })
	}
	s.await(t, "everything to be accounted for", func() bool { return c.accounted(t) })
	if s.ended > 0 {
		t.Errorf("the daemon ended %d times for the sake of its clock", s.ended)
	}
	s.stop(t)
	if first, last := c.received(t); last.Sub(first) < month {
		t.Errorf("the files came in from %s to %s: the daemon's clock was not moved", first, last)
	}
	c.settle(t)
	c.judge(t)
}

// received is when the first and the last item came, by the clock of a daemon that has ended.
func (c *campaign) received(t *testing.T) (first, last time.Time) {
	t.Helper()
	for _, taken := range c.items(t) {
		at := taken[0].Received
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	return first, last
}

// setClock says how far a daemon's clock is moved: seconds in a file that it maps.
func setClock(t *testing.T, path string, by time.Duration) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(by/time.Second)), 0)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// followClock has this process's real-time clock moved by what stands in the file, at any time: it replaces the function by which
// the kernel gives the time without a system call (vdso(7)). The monotonic clock is left alone, as when a clock is set.
func followClock(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	moved, err := unix.MmapPtr(int(file.Fd()), 0, nil, 8, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	memory, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer memory.Close()
	at, err := clockFunction(memory)
	if err != nil {
		return fmt.Errorf("find the clock: %w", err)
	}
	code := []byte{
		0xb8, unix.SYS_CLOCK_GETTIME, 0, 0, 0, // mov eax, clock_gettime
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi: CLOCK_REALTIME is 0
		0x75, 0x10, // jne ret
		0x48, 0xb9, // mov rcx, moved
	}
	code = binary.LittleEndian.AppendUint64(code, uint64(uintptr(moved)))
	code = append(code,
		0x48, 0x8b, 0x09, // mov rcx, [rcx]
		0x48, 0x01, 0x0e, // add [rsi], rcx: the seconds
		0xc3) // ret
	_, err = memory.WriteAt(code, at)
	return err
}

// clockFunction is where clock_gettime is in this process's memory.
func clockFunction(memory io.ReaderAt) (int64, error) {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	defer maps.Close()
	var start, end int64
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		if strings.HasSuffix(lines.Text(), "[vdso]") {
			if _, err := fmt.Sscanf(lines.Text(), "%x-%x", &start, &end); err != nil {
				return 0, err
			}
		}
	}
	image, err := elf.NewFile(io.NewSectionReader(memory, start, end-start))
	if err != nil {
		return 0, err
	}
	symbols, err := image.DynamicSymbols()
	if err != nil {
		return 0, err
	}
	for _, s := range symbols {
		if s.Name == "__vdso_clock_gettime" {
			return start + int64(s.Value), nil
		}
	}
	return 0, errors.New("the kernel gives none")
}
