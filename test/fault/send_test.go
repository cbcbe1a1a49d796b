package fault

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/test/dcmtk"
	"github.com/medanchor/medanchor/test/hospital"
	"github.com/medanchor/medanchor/test/synth"
)

const (
	// storescu is dcmtk's C-STORE sender.
	storescu = "storescu"
	// networkDoor is the door of what comes by C-STORE.
	networkDoor = "c-store"
	// answeredLine is what storescu says, if asked, of each object that was answered with success.
	answeredLine = "Received Store Response (Success)"
)

// canSend says whether there is a sender.
func canSend() bool {
	_, err := exec.LookPath(storescu)
	return err == nil
}

// toSend takes n new documents out of what waits to be dropped. Each second one comes by both doors in the end.
func (s *supply) toSend(t *testing.T, n int) (files []*file) {
	t.Helper()
	for range n {
		i := slices.IndexFunc(s.waiting, sendable)
		if i < 0 {
			s.wave(t)
			i = slices.IndexFunc(s.waiting, sendable)
		}
		f := s.waiting[i]
		s.waiting = slices.Delete(s.waiting, i, i+1)
		s.isIn[f] = true
		s.sent = append(s.sent, f)
		files = append(files, f)
		if len(s.sent)%2 == 0 {
			again := *f
			again.Outcome, again.original, again.source = synth.Duplicate, f, f.source+".again"
			if err := os.Link(f.source, again.source); err != nil {
				t.Fatal(err)
			}
			s.waiting = append(s.waiting, &again)
		}
	}
	return files
}

// sendable says whether a file is a new document that storescu sends as it is: others are of transfer syntaxes that it does not
// propose by itself, and would be encoded anew.
func sendable(f *file) bool {
	return strings.Contains(f.Path, "/ct/") && f.Outcome == synth.Anchored && f.original == nil
}

// send sends files over one association, once the receiver listens, and notes which were answered with success.
func (c *campaign) send(ctx context.Context, files []*file) error {
	address, err := c.receiver(ctx)
	if err != nil {
		return err
	}
	var paths []string
	for _, f := range files {
		paths = append(paths, f.source)
		f.attempts++
	}
	output, err := dcmtk.StoreSCU(ctx, dcmtk.Peer{Address: address, Calling: hospital.Modality, Called: c.Config.DICOM.AETitle},
		paths, "-v")
	for _, f := range files[:strings.Count(output, answeredLine)] { // one after the other
		f.answers++
	}
	return err
}

// receiver waits until the daemon listens for senders.
func (c *campaign) receiver(ctx context.Context) (address string, err error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if status, err := c.Client().Status(ctx); err == nil && status.DICOM.Address != "" {
			return status.DICOM.Address, nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-tick.C:
		}
	}
}

// sendUntil sends files while the daemon runs. What it returns waits for the end of that.
func (c *campaign) sendUntil(ctx context.Context, p *hospital.Process, files []*file) (wait func()) {
	if len(files) == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_ = c.send(ctx, files) // what was not answered is sent again in the end
	}()
	return func() {
		<-p.Exited()
		// What was answered may still be on its way to the sender; then the connection ends.
		select {
		case <-sent:
		case <-time.After(sendTimeout):
		}
		cancel()
		<-sent
	}
}

// sendWhile sends files for as long as the daemon runs.
func (c *campaign) sendWhile(ctx context.Context, p *hospital.Process, files []*file) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.Exited():
			cancel()
		case <-ctx.Done():
		}
	}()
	_ = c.send(ctx, files) // what was not answered is sent again in the end
}

// sendTimeout is for a sender to notice that its receiver is gone.
const sendTimeout = time.Second

// sendAgain sends what was not answered with success, as a device does.
func (c *campaign) sendAgain(t *testing.T) {
	t.Helper()
	var again []*file
	for _, f := range c.supply.sent {
		if f.answers == 0 {
			again = append(again, f)
		}
	}
	if len(again) == 0 {
		return
	}
	if err := c.send(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	for _, f := range again {
		if f.answers == 0 {
			t.Fatalf("%s was sent again, and not answered with success", f.rel)
		}
	}
}

// spooled are the names of the objects in the spool of a daemon that has ended.
func (c *campaign) spooled(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(c.Config.Data, spoolFolder))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// inspectSpool finds at least as many objects in the spool or taken from it as were answered with success, and none that was
// taken twice.
func (c *campaign) inspectSpool(t *testing.T, items map[string][]document.Item) {
	t.Helper()
	durable, answers := make(map[string]bool), 0
	for _, name := range c.spooled(t) {
		durable[name] = true
	}
	for _, taken := range items {
		if taken[0].Door != networkDoor {
			continue
		}
		durable[taken[0].Path] = true
		if len(taken) > 1 {
			t.Errorf("an object was taken from the spool %d times", len(taken))
		}
	}
	for _, f := range c.supply.sent {
		answers += f.answers
	}
	if len(durable) < answers {
		t.Errorf("%d objects were answered with success, %d are durable", answers, len(durable))
	}
}
