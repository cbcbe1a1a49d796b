package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance"
	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/test/dcmtk"
	"github.com/medanchor/medanchor/test/synth"
)

// TestACrowdOfDevices: 64 associations of dcmtk at once, which are all that there are. Half of them send, a quarter stop for ever,
// a quarter are killed within an object. One more of either device is turned away, those that behave go through, the others are
// ended, and nothing is left of them: neither places, nor descriptors, nor files in the spool.
func TestACrowdOfDevices(t *testing.T) {
	dcmtk.Need(t, "storescu", "echoscu")
	const well, ill, other = 32, 16, "CT2"
	s := newSite(t, devnettest.Exclusive(t), 0)
	d := &s.Config.DICOM
	d.MaxAssociations, d.Idle = well+2*ill, 30*time.Second
	d.Senders = append(d.Senders, appliance.SenderConfig{AETitle: other, Addresses: []string{"127.0.0.0/8"}})
	if err := s.WriteConfig(); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.sends(s.images(80, 2, 100<<10)...)
	s.awaitSettled(2)
	s.metric("medanchor_dicom_cut_total") // over a connection that stays open
	descriptors := s.descriptors()

	files, large := s.images(81, 40, 256<<10), s.images(82, 1, 256<<20) // before anybody waits
	bad := s.modality()
	bad.Calling = other
	good := s.crowd(well, s.modality(), files)
	s.open(well)
	signal(t, good, syscall.SIGSTOP) // until all are there
	idle := s.crowd(ill, bad, files)
	s.open(well + ill)
	signal(t, idle, syscall.SIGSTOP)
	s.await("what they have sent is out of the spool", func(c control.Status) bool { return c.DICOM.Spooled == 0 })
	begun := s.spooling()
	killed := s.crowd(ill, bad, large)
	s.open(well + 2*ill)
	poll(t, "each of those that will be killed is within an object", func() bool { return s.spooling() >= begun+ill },
		func() string { return fmt.Sprintf("%d are", s.spooling()-begun) })
	for _, peer := range []dcmtk.Peer{s.modality(), bad} {
		if _, err := dcmtk.EchoSCU(t.Context(), peer); err == nil {
			t.Errorf("one more of %s is admitted", peer.Calling)
		}
	}
	signal(t, killed, syscall.SIGKILL)
	signal(t, good, syscall.SIGCONT)
	for _, sender := range good {
		if err := sender.Wait(); err != nil {
			t.Error(err)
		}
	}

	last := s.await("all associations end, and what was answered is anchored", func(c control.Status) bool {
		return c.DICOM.Associations == 0 && c.DICOM.Spooled == 0 && c.Items.Waiting == 0
	})
	if i := last.Items; i.Received != int64(last.DICOM.Stored) || i.Anchored != 2+int64(len(files)) || i.Anchored+i.Duplicates != i.Received {
		t.Errorf("%d objects were answered, and %+v", last.DICOM.Stored, i)
	}
	if n := s.metric(`medanchor_dicom_ended_total{end="idle"}`); n != ill {
		t.Errorf("%v associations ended because they were idle, want %d", n, ill)
	}
	if n := s.metric("medanchor_dicom_cut_total"); n < ill {
		t.Errorf("%v were cut within an object, want those that were killed", n)
	}
	if left := s.spooling(); left > 0 {
		t.Errorf("%d files are left in the spool", left)
	}
	poll(t, "the daemon has no more descriptors open than before", func() bool { return s.descriptors() <= descriptors },
		func() string { return fmt.Sprintf("%d, and before %d", s.descriptors(), descriptors) })
}

// crowd begins n associations that send the files.
func (s *site) crowd(n int, peer dcmtk.Peer, files []string) []*dcmtk.Sender {
	s.t.Helper()
	senders := make([]*dcmtk.Sender, n)
	var begun sync.WaitGroup
	for i := range senders {
		begun.Go(func() {
			var err error
			if senders[i], err = dcmtk.StartStoreSCU(s.t.Context(), peer, files); err != nil {
				s.t.Error(err)
			}
		})
	}
	begun.Wait()
	if s.t.Failed() {
		s.t.FailNow()
	}
	return senders
}

func signal(t *testing.T, senders []*dcmtk.Sender, sig os.Signal) {
	t.Helper()
	for _, s := range senders {
		if err := s.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
}

// open waits until so many associations are open.
func (s *site) open(n int) {
	s.t.Helper()
	s.await(fmt.Sprintf("%d associations are open", n), func(c control.Status) bool { return c.DICOM.Associations == n })
}

// images are the files of n images of one patient, each of about so many bytes.
func (s *site) images(seed uint64, n, size int) (files []string) {
	s.t.Helper()
	dir := s.t.TempDir()
	manifest, err := synth.Many(dir, seed, "a", n, size)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range manifest.Files {
		files = append(files, filepath.Join(dir, filepath.FromSlash(f.Path)))
	}
	return files
}

// spooling is how many objects are in the spool's folder, with those that are on their way.
func (s *site) spooling() int { return filesIn(s.t, filepath.Join(s.Config.Data, "spool")) }

// descriptors is how many the daemon has open.
func (s *site) descriptors() int {
	s.t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.process.PID()))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(open)
}
