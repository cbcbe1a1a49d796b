package fault

import (
	"testing"
	"time"

	"github.com/medanchor/medanchor/test/hospital"
)

// service keeps a daemon running, as a service manager does: one that ends with an error is started again.
type service struct {
	*campaign
	p     *hospital.Process
	ended int // how often it did
}

func newService(t *testing.T, c *campaign) *service {
	t.Helper()
	s := &service{campaign: c, p: c.start(t, order{})}
	if err := c.WaitReady(t.Context(), s.p); err != nil {
		t.Fatal(err)
	}
	return s
}

// await waits until done, and keeps the daemon running meanwhile.
func (s *service) await(t *testing.T, what string, done func() bool) {
	t.Helper()
	poll(t, settleTimeout, what, func() bool {
		select {
		case <-s.p.Exited():
			if code := exitCode(s.p.Err()); code != 1 {
				t.Fatalf("the daemon ended otherwise than by its own decision: %v", s.p.Err())
			}
			s.ended++
			s.p = s.start(t, order{})
		default:
		}
		return done()
	})
}

// stop ends the service.
func (s *service) stop(t *testing.T) {
	t.Helper()
	_ = s.p.Stop() // it may be about to end with an error
}

// accounted says that nothing waits any more, as far as the daemon tells.
func (c *campaign) accounted(t *testing.T) bool {
	t.Helper()
	if c.atDoor(t) > 0 {
		return false
	}
	status, err := c.Client().Status(t.Context())
	return err == nil && status.Items.Waiting == 0 && status.DICOM.Spooled == 0 && status.Ledger.Indexed == status.Ledger.Height
}

// watched is how long something must not happen.
const watched = time.Second

// staysAtDoor fails if a file leaves its door meanwhile, or one that is sent is answered with success.
func (s *service) staysAtDoor(t *testing.T, n int) {
	t.Helper()
	over := time.After(watched)
	s.await(t, "some time", func() bool {
		if got := s.atDoor(t); got != n {
			t.Fatalf("%d files are at their doors, want %d", got, n)
		}
		select {
		case <-over:
			return true
		default:
			return false
		}
	})
}
