package contract

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/index"
	"github.com/medanchor/medanchor/ledger"
)

// unsealed keeps values as they are: what the index does with a key is not at stake here.
type unsealed struct{}

func (unsealed) SealValue(_ string, _, plaintext []byte) []byte { return slices.Clone(plaintext) }

func (unsealed) OpenValue(_ string, _, sealed []byte) ([]byte, error) { return sealed, nil }

// TestIndexFromScratch feeds an index live while people act, stops and starts it in between, and rebuilds one from block 0 at
// the other hospital's peer: they are the same.
func TestIndexFromScratch(t *testing.T) {
	t.Parallel()
	n := devnettest.Network(t)
	a, b := hospitals(t, n)
	live := filepath.Join(t.TempDir(), "live.db")

	for range 2 {
		follow(t, live, a.appliance.Client, func() {
			request := do(t, b.doctor, record.RequestFunction, asks(a.ref, time.Hour))
			do(t, a.patient, record.RejectFunction, record.Choice{Patient: a.ref, Participant: b.doctor.ID, Request: request})
		})
		do(t, a.clerk, record.WithdrawFunction, record.Correction{RecordName: a.letter}) // while nobody follows
		do(t, a.clerk, record.RefileFunction, record.Correction{RecordName: a.letter})
	}
	follow(t, live, a.appliance.Client, func() {
		erase := record.Proposal{Erase: &record.Erasure{RecordName: a.letter, Versions: []record.Tag{a.page}}}
		decision := do(t, a.clerk, record.ProposeFunction, erase)
		do(t, a.registrar, record.ConfirmFunction, record.DecisionName{Decision: decision})
	})

	fed := openIndex(t, live)
	last, err := fed.Next()
	if err != nil {
		t.Fatal(err)
	}
	scratch := openIndex(t, filepath.Join(t.TempDir(), "scratch.db"))
	for block, err := range b.appliance.Blocks(t.Context(), 0) {
		if err := errors.Join(err, scratch.Apply(converted(block))); err != nil {
			t.Fatal(err)
		}
		if block.Number+1 == last {
			break
		}
	}
	want, got := contents(t, fed), contents(t, scratch)
	if len(want) == 0 || !slices.EqualFunc(got, want, same) {
		t.Errorf("from scratch there are %d keys, fed live %d, or they differ", len(got), len(want))
	}
	status, found, err := fed.Get(record.StatusKey(a.letter.Patient, a.letter.Record))
	if err != nil || !found || len(status.Value) == 0 {
		t.Errorf("the status of the erased record is not in the index: %+v, %v", status, err)
	}
}

func openIndex(t *testing.T, path string) *index.Index {
	t.Helper()
	x, err := index.Open(path, unsealed{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// follow feeds an index for as long as act takes, and until it has what act left.
func follow(t *testing.T, path string, client *ledger.Client, act func()) {
	t.Helper()
	x, err := index.Open(path, unsealed{})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	next, err := x.Next()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		for block, err := range client.Blocks(ctx, next) {
			if err := errors.Join(err, x.Apply(converted(block))); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	act()
	height, err := client.Height(t.Context())
	if err != nil {
		t.Error(err)
	}
	poll(t, "the index has all blocks", 20*time.Second, func() bool {
		next, err := x.Next()
		return err != nil || next >= height
	})
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func converted(b ledger.Block) index.Block {
	block := index.Block{Number: b.Number}
	for _, w := range b.Writes {
		block.Writes = append(block.Writes, index.Write(w))
	}
	return block
}

// contents gives all that an index holds.
func contents(t *testing.T, x *index.Index) (all []index.Change) {
	t.Helper()
	if err := x.Range("", "\xff", func(c index.Change) bool {
		all = append(all, c)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func same(a, b index.Change) bool {
	return a.Key == b.Key && a.Place == b.Place && a.TxID == b.TxID && a.Time.Equal(b.Time) && a.Deleted == b.Deleted &&
		slices.Equal(a.Value, b.Value)
}
