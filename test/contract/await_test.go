package contract

import (
	"testing"

	"github.com/medanchor/medanchor/devnet/devnettest"
)

// A peer that has not even the block before the one that is waited for refuses to stream from there on. It is waited for all the
// same: the other member's often is so far behind.
func TestABlockThatIsFarOffIsWaitedFor(t *testing.T) {
	n := devnettest.Exclusive(t)
	a := openHouse(t, n, n.Members[0])
	height, err := a.clerk.Height(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const ahead = 3
	waited := make(chan error, 1)
	go func() { waited <- a.clerk.Await(t.Context(), height+ahead) }()
	for range ahead + 1 {
		if _, err := a.Patient(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
}
