package ledger

import (
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
)

func TestZZFrozen(t *testing.T) {
	n := devnettest.Exclusive(t)
	c := connect(t, member(t, n, n.Members[0], record.ApplianceRole))
	h, _ := c.Height(t.Context())
	var at time.Time
	for b, err := range c.Blocks(t.Context(), 0) {
		if err == nil && b.Number == h-1 {
			at = time.Now()
			if err := n.Members[0].Peer.Freeze(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			t.Logf("after %s: %v retryable %t", time.Since(at), err, Retryable(err))
		}
	}
}
