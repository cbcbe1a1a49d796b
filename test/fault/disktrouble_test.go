package fault

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/medanchor/medanchor/appliance"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/test/synth"
)

// reserve is kept free in the tests that fill a disk, in bytes. The appliance counts 64 MiB on top, for its databases.
const reserve = 32 << 20

// At the reserve nothing is taken in, and what is sent is not answered with success; the daemon says so, anchors what it has, and
// goes on by itself when there is room.
func TestADiskAtItsReserve(t *testing.T) {
	c := newCampaign(t, 5)
	c.Config.Reserve = appliance.ReserveConfig{Bytes: reserve, Percent: 0.01, InodesPercent: 0.01}
	if err := c.WriteConfig(); err != nil {
		t.Fatal(err)
	}
	d := newDisk(t, c, c.Config.Data)
	s := newService(t, c)
	c.supply.dropUpTo(t, 4)
	s.await(t, "the first files to be taken in", func() bool { return c.accounted(t) })

	free := d.fill(t, reserve/2)
	s.await(t, "the appliance to see that the disk is full", func() bool { return strings.Contains(s.full(t), "kept in reserve") })
	c.supply.dropUpTo(t, 12)
	s.sendInVain(t)
	s.staysAtDoor(t, 8)

	free()
	s.await(t, "intake to go on", func() bool { return s.full(t) == "" && c.accounted(t) })
	if s.ended > 0 {
		t.Errorf("the daemon ended %d times: the reserve is for it to go on", s.ended)
	}
	s.stop(t)
	c.settle(t)
	c.judge(t)
}

// A disk that something else filled to the last block costs no more than the time until there is room.
func TestAFullDisk(t *testing.T) {
	c := newCampaign(t, 6)
	d := newDisk(t, c, c.Config.Data)
	s := newService(t, c)
	c.supply.dropUpTo(t, 4)
	size := c.logSize(t)
	free := d.fill(t, 0)
	c.supply.dropUpTo(t, 12)
	s.sendInVain(t)
	s.await(t, "the appliance to say that the disk is full", func() bool {
		log := c.logFrom(t, size)
		return bytes.Contains(log, []byte("the disk is at its reserve")) || bytes.Contains(log, []byte(syscall.ENOSPC.Error()))
	})
	free()
	s.await(t, "everything to be taken in", func() bool { return c.accounted(t) })
	s.stop(t)
	c.settle(t)
	c.judge(t)
	t.Logf("the daemon ended %d times", s.ended)
}

// A file system that finds an error turns read-only, and is repaired while the daemon is stopped.
func TestADiskThatTurnsReadOnly(t *testing.T) {
	c := newCampaign(t, 7)
	d := newDisk(t, c, c.Config.Data)
	s := newService(t, c)
	c.supply.dropUpTo(t, 4)
	s.await(t, "the first files to be taken in", func() bool { return c.accounted(t) })

	size := c.logSize(t)
	d.breaks(t)
	c.supply.dropUpTo(t, 12)
	s.sendInVain(t)
	s.await(t, "the appliance to say that the disk is read-only", func() bool {
		return s.ended > 0 && bytes.Contains(c.logFrom(t, size), []byte(syscall.EROFS.Error()))
	})
	s.stop(t)
	c.inspectDoors(t, 8)

	d.again(t)
	c.settle(t)
	c.judge(t)
}

// What is durable cannot be moved to done/ while its folder is read-only. It is not taken in again, and moved in the end.
func TestADropFolderThatTurnsReadOnly(t *testing.T) {
	c := newCampaign(t, 8)
	d := newDisk(t, c, filepath.Dir(c.DICOM))
	c.supply.dir = filepath.Join(d.at, "supply") // files are renamed into place
	s := newService(t, c)
	c.supply.dropUpTo(t, 4)
	s.await(t, "the first files to be taken in", func() bool { return c.accounted(t) })

	signalGroup(t, s.p.PID(), syscall.SIGSTOP)
	size := c.logSize(t)
	c.supply.dropUpTo(t, 12)
	d.readOnly(t, true)
	signalGroup(t, s.p.PID(), syscall.SIGCONT)
	s.await(t, "the files to be durable", func() bool {
		status, err := c.Client().Status(t.Context())
		return err == nil && status.Items.Received == int64(len(c.supply.dropped))
	})
	s.staysAtDoor(t, 8)
	if !bytes.Contains(c.logFrom(t, size), []byte(syscall.EROFS.Error())) {
		t.Errorf("the daemon does not say that the folder is read-only:\n%s", c.logFrom(t, size))
	}

	d.readOnly(t, false)
	s.await(t, "the files to leave their doors", func() bool { return c.accounted(t) })
	if s.ended > 0 {
		t.Errorf("the daemon ended %d times for the sake of a door", s.ended)
	}
	s.stop(t)
	c.settle(t)
	c.judge(t)
}

// TestAPowerCut cuts the power of the data disk at every step: what was not made durable is gone. The drop folders are on another
// disk, and what has left them must be there.
func TestAPowerCut(t *testing.T) {
	least := len(steps()) + 1
	cuts := setting(t, "MEDANCHOR_FAULT_CUTS", least, least)
	c := newCampaign(t, 9)
	c.Config.Studies.Quiet = studyQuiet
	if err := c.WriteConfig(); err != nil {
		t.Fatal(err)
	}
	c.afterDeath = newDisk(t, c, c.Config.Data).again
	for i, k := range plan(c.supply.random, cuts) {
		k.Cut = c.Config.Data
		c.numbered(t, i, k)
	}
	c.settle(t)
	c.judge(t)
	t.Logf("power cuts:\n%s", c.report())
}

// The first start makes databases and an IPFS repository. A power cut soon afterwards leaves nothing that cannot be opened.
func TestAPowerCutAfterTheFirstStart(t *testing.T) {
	c := newCampaign(t, 13)
	c.afterDeath = newDisk(t, c, c.Config.Data).again
	c.numbered(t, 0, kill{Step: document.StepQueued, Nth: 1, Cut: c.Config.Data})
	c.settle(t)
	c.judge(t)
}

// When the spool's folder is gone nothing is answered with success, and what was before is not lost; when it is back, all goes on.
func TestTheSpoolFolderIsGone(t *testing.T) {
	if !canSend() {
		t.Skipf("%s is not installed: apt-get install dcmtk", storescu)
	}
	c := newCampaign(t, 10)
	s := newService(t, c)
	if err := c.send(t.Context(), c.supply.toSend(t, 3)); err != nil {
		t.Fatal(err)
	}
	spool := filepath.Join(c.Config.Data, spoolFolder)
	if err := os.Rename(spool, spool+".away"); err != nil {
		t.Fatal(err)
	}
	s.sendInVain(t)
	c.supply.dropSome(t, synth.Anchored, 2) // by the other door all goes on
	s.await(t, "the daemon to say what is wrong, and the other door to go on", func() bool {
		status, err := c.Client().Status(t.Context())
		return err == nil && status.DICOM.Trouble != "" && c.atDoor(t) == 0
	})
	if err := os.Rename(spool+".away", spool); err != nil {
		t.Fatal(err)
	}
	s.await(t, "the daemon to find the folder again", func() bool {
		status, err := c.Client().Status(t.Context())
		return err == nil && status.DICOM.Trouble == ""
	})
	c.sendAgain(t)
	if s.ended > 0 {
		t.Errorf("the daemon ended %d times", s.ended)
	}
	s.stop(t)
	c.settle(t)
	c.judge(t)
}

// full is why nothing is taken in, if the daemon runs and says so.
func (s *service) full(t *testing.T) string {
	t.Helper()
	status, err := s.Client().Status(t.Context())
	if err != nil {
		return ""
	}
	return status.Storage.Full
}

// sendInVain sends objects while none may be answered with success. They are sent again in the end.
func (s *service) sendInVain(t *testing.T) {
	t.Helper()
	if !canSend() {
		return
	}
	files := s.supply.toSend(t, 2)
	s.sendWhile(t.Context(), s.p, files)
	for _, f := range files {
		if f.answers > 0 {
			t.Errorf("%s was answered with success", f.rel)
		}
	}
}

// inspectDoors finds all files at their doors or taken in, n of them at least at their doors.
func (c *campaign) inspectDoors(t *testing.T, n int) {
	t.Helper()
	if got := c.atDoor(t); got < n {
		t.Errorf("%d files are at their doors, want %d: nothing may be taken from them now", got, n)
	}
}
