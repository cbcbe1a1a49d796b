package e2e

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/test/synth"
)

const (
	largeSize    = 2_000_000_000
	memoryBudget = 100_000_000 // above the idle appliance, PSS of all its processes
)

// Memory does not grow with a file's size.
func TestALargeFileTakesLittleMemory(t *testing.T) {
	network := devnettest.Network(t)
	s := newSite(t, network, 0)
	s.start()
	large := filepath.Join(s.Dir, "large.dcm")
	writeLargeDICOM(t, large)
	idle := s.pss()

	if err := os.Rename(large, filepath.Join(s.DICOM, "large.dcm")); err != nil {
		t.Fatal(err)
	}
	began, peak := time.Now(), 0
	s.await("the large file is anchored", func(c control.Status) bool {
		peak = max(peak, s.pss())
		return c.Items.Anchored == 1
	})
	t.Logf("idle %d MB, peak %d MB above it, %d MB/s until anchored", idle/1e6, (peak-idle)/1e6,
		int(largeSize/1e6/time.Since(began).Seconds()))
	if peak-idle > memoryBudget {
		t.Errorf("%d MB above idle, at most %d", (peak-idle)/1e6, memoryBudget/1_000_000)
	}
}

// TestARemoteReadingTakesLittleMemory: neither does it grow with what is read, where that is held or where it is read.
func TestARemoteReadingTakesLittleMemory(t *testing.T) {
	const size, nhs = 500_000_000, "9990001146"
	n := devnettest.Network(t)
	p := newPair(t, n)
	patient, doctor := enrol(t, n, p.a.member, record.PatientRole), enrol(t, n, p.b.member, record.DoctorRole)
	office := enrol(t, n, p.a.member, record.StaffRole)
	doctor.machine = p.b.Machine
	reference := p.a.registered(office, nhs, patient.id)
	text := filepath.Join(p.a.Dir, "large.txt")
	writeLargeText(t, text, size)
	if err := errors.Join(os.MkdirAll(filepath.Join(p.a.Documents, nhs), 0o700),
		os.Rename(text, filepath.Join(p.a.Documents, nhs, "large.txt"))); err != nil {
		t.Fatal(err)
	}
	p.a.awaitSettled(1)
	of := " --patient " + reference.String()
	request, _ := doctor.does("access request --all --until "+time.Now().AddDate(0, 1, 0).Format(time.DateOnly)+of, "")
	patient.does("access approve --request "+request+of, "")

	idleA, idleB, peakA, peakB := p.a.pss(), p.b.pss(), 0, 0
	target := filepath.Join(t.TempDir(), "record")
	read := make(chan string, 1)
	began := time.Now()
	go func() {
		read <- doctor.runs(exitOK, "get --wait 60s --record "+p.a.recordsOf(reference)[0].Record.String()+of+" --appliance "+
			p.b.status().Reading.URL, "", "-o", target)
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for done := false; !done; {
		select {
		case <-read:
			done = true
		case <-tick.C:
			peakA, peakB = max(peakA, p.a.pss()), max(peakB, p.b.pss())
		}
	}
	t.Logf("%d MB/s; above idle: %d MB where it is held, %d MB where it is read", int(size/1e6/time.Since(began).Seconds()),
		(peakA-idleA)/1e6, (peakB-idleB)/1e6)
	if most := max(peakA-idleA, peakB-idleB); most > memoryBudget {
		t.Errorf("%d MB above idle, at most %d", most/1e6, memoryBudget/1_000_000)
	}
	if got := treeSize(t, target); got != size {
		t.Errorf("%d bytes were read, want %d", got, size)
	}
}

// writeLargeText writes lines of text.
func writeLargeText(t *testing.T, path string, size int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	for left := size; left > 0; {
		line := fmt.Sprintf("%d bytes of this are left, and nobody in it exists.\n", left)
		n, err := w.WriteString(line[:min(left, len(line))])
		if err != nil {
			t.Fatal(err)
		}
		left -= n
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// writeLargeDICOM makes a valid instance of largeSize bytes: a small one, whose pixel data is drawn out with noise.
func writeLargeDICOM(t *testing.T, path string) {
	t.Helper()
	dir := t.TempDir()
	manifest, err := synth.Many(dir, 7, "large", 1, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	small, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(manifest.Files[0].Path)))
	if err != nil {
		t.Fatal(err)
	}
	const header = 12 // tag, VR, two reserved bytes, length of 32 bits (PS3.5 §7.1.2)
	at := bytes.LastIndex(small, []byte("\xe0\x7f\x10\x00OW\x00\x00"))
	if at < 0 {
		t.Fatal("the generated file has no explicit pixel data")
	}
	pixels := at + header
	binary.LittleEndian.PutUint32(small[at+header-4:], uint32(largeSize-pixels))

	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	if _, err := w.Write(small[:pixels]); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 1<<20)
	source := rand.NewChaCha8([32]byte{1})
	for left := largeSize - pixels; left > 0; {
		_, _ = source.Read(noise) // never fails (math/rand/v2)
		n, err := w.Write(noise[:min(left, len(noise))])
		if err != nil {
			t.Fatal(err)
		}
		left -= n
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// pss is the proportional set size of the daemon and its children, in bytes.
func (s *site) pss() (total int) {
	s.t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, dir := range processes {
		if pid := s.process.PID(); filepath.Base(dir) == strconv.Itoa(pid) || parent(dir) == pid {
			total += pssOf(dir)
		}
	}
	return total
}

// parent is a process's parent, 0 if it is gone.
func parent(dir string) int {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0
	}
	// pid (name) state ppid: the name may hold anything.
	var state string
	var ppid int
	_, err = fmt.Sscan(string(stat[bytes.LastIndexByte(stat, ')')+1:]), &state, &ppid)
	if err != nil {
		return 0
	}
	return ppid
}

// pssOf is a process's, 0 if it is gone.
func pssOf(dir string) int {
	rollup, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(rollup)) {
		var kilobytes int
		if _, err := fmt.Sscanf(line, "Pss: %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	return 0
}
