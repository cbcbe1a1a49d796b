package contract

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hyperledger/fabric-protos-go-apiv2/peer"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/test/consortium"
	"github.com/medanchor/medanchor/test/hospital"
)

// What TestConcurrency does.
const (
	clients      = 32  // half of them of each hospital
	batches      = 5   // of each client
	bookings     = 2   // of each client
	perBatch     = 12  // documents, picked from
	universe     = 240 // documents, of
	perRecord    = 6   // in each record
	slots        = 160 // of the doctor, to book
	maxRetries   = 10
	leastPercent = 99
)

// load is what all clients did: the model of what the ledger must hold.
type load struct {
	doctor record.ParticipantID
	secret [32]byte
	first  record.Slot

	mu                    sync.Mutex
	done, failed, retries int
	anchored              map[record.Tag]bool
	booked                map[record.Slot]bool
}

// TestConcurrency has many clients of two hospitals anchor overlapping batches for one person, who is a patient of both, and
// book one doctor. Nearly all succeed, the others are told why, and the ledger has each document and each slot once.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	n := devnettest.Network(t)
	a, b := hospitals(t, n)
	elsewhere := linked(t, a, b)
	first, _ := record.SlotAt(time.Now().UTC().Truncate(record.SlotLength).Add(24 * time.Hour))
	l := &load{
		doctor: a.doctor.ID, secret: a.secret, first: first, anchored: map[record.Tag]bool{}, booked: map[record.Slot]bool{},
	}
	height, err := a.Height(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	began := time.Now()
	group, ctx := errgroup.WithContext(t.Context())
	for i := range clients {
		c := client{load: l, random: rand.New(rand.NewPCG(23, uint64(i))), patient: a.ref}
		house := a
		if i%2 == 1 {
			house, c.patient = b, elsewhere
		}
		c.sealedBy = house.MSPID
		c.appliance, c.booker = at(t, house.appliance, house.Member), at(t, a.patient, house.Member)
		group.Go(func() error { return c.work(ctx) })
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%d of %d succeeded, with %d retries, in %.1f s", l.done, l.done+l.failed, l.retries, time.Since(began).Seconds())
	if all := clients * (batches + bookings); l.done+l.failed != all || l.done*100 < all*leastPercent {
		t.Errorf("%d succeeded and %d failed, want %d %% of %d", l.done, l.failed, leastPercent, all)
	}
	l.checkDocuments(t, b.appliance, height, l.model(a.MSPID, b.MSPID))
	l.checkSlots(t, a.doctor)
}

// linked registers the first hospital's patient at the second one too, has them link the two, and lets the first hospital's
// doctor treat them there as well.
func linked(t *testing.T, a, b *house) record.Reference {
	t.Helper()
	elsewhere, err := b.Patient(t.Context(), a.patient)
	if err != nil {
		t.Fatal(err)
	}
	do(t, a.patient, record.LinkFunction, record.Link{Patient: a.ref, To: elsewhere})
	request := do(t, a.doctor, record.RequestFunction, asks(elsewhere, time.Hour))
	do(t, a.patient, record.ApproveFunction, record.Approval{Patient: elsewhere, Participant: a.doctor.ID, Request: request})
	return elsewhere
}

// at connects a person to a member's peer once more.
func at(t *testing.T, p *consortium.Person, m *devnet.Member) *ledger.Client {
	t.Helper()
	c, err := p.At(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// client is one of the clients.
type client struct {
	*load
	random    *rand.Rand
	appliance *ledger.Client // of one hospital
	booker    *ledger.Client // the patient, at that hospital's peer
	patient   record.Reference
	sealedBy  string // each hospital seals for itself
}

// work does all that the client does. An error is one that nobody should get.
func (c *client) work(ctx context.Context) error {
	for range batches {
		batch := c.batch()
		err := c.try(func() error {
			_, err := c.appliance.Anchor(ctx, batch)
			return err
		}, func() {
			for _, v := range batch.Versions {
				for _, d := range v.Documents {
					c.anchored[d.Tag] = true
				}
			}
		})
		if err != nil {
			return err
		}
	}
	for range bookings {
		slot := c.first
		err := c.try(func() error {
			slot = c.first + record.Slot(c.random.IntN(slots))
			_, err := c.booker.Act(ctx, record.ProposeAppointmentFunction, record.AppointmentProposal{
				Doctor: c.doctor, Patient: c.patient, Start: slot.Time(), Slots: 1,
			}, nil)
			return err
		}, func() { c.booked[slot] = true })
		if err != nil {
			return err
		}
	}
	return nil
}

// batch picks documents. Each is always in the same record.
func (c *client) batch() record.Batch {
	byRecord := map[int]*record.Version{}
	var b record.Batch
	for _, i := range c.random.Perm(universe)[:perBatch] {
		content := fmt.Sprintf("document %d", i)
		v := byRecord[i/perRecord]
		if v == nil {
			v = &record.Version{
				Patient: c.patient, Record: record.RecordTag(c.secret, fmt.Sprintf("record %d", i/perRecord)),
				Kind: record.KindImaging, Date: day,
			}
			byRecord[i/perRecord] = v
		}
		v.Documents = append(v.Documents, record.Document{
			Tag: record.DocumentTag(c.secret, 0, [32]byte{byte(i), 1}), CID: cid(content + c.sealedBy),
		})
	}
	for _, v := range byRecord {
		b.Versions = append(b.Versions, *v)
	}
	return b
}

// expected is what the ledger may have of a document: its record, and the payload of either hospital.
type expected struct {
	record record.Tag
	cids   []record.CID
}

// model gives what is expected of each document that a batch may have.
func (l *load) model(sealedBy ...string) map[record.Tag]expected {
	all := make(map[record.Tag]expected, universe)
	for i := range universe {
		e := expected{record: record.RecordTag(l.secret, fmt.Sprintf("record %d", i/perRecord))}
		for _, by := range sealedBy {
			e.cids = append(e.cids, cid(fmt.Sprintf("document %d", i)+by))
		}
		all[record.DocumentTag(l.secret, 0, [32]byte{byte(i), 1})] = e
	}
	return all
}

// try does something until it succeeds, which then counts, or was retried too often. It gives an error that is not a clear
// conflict.
func (c *client) try(attempt func() error, count func()) error {
	retries := 0
	err := attempt()
	for ; err != nil && retries < maxRetries; retries++ {
		if !ledger.Retryable(err) && !isTaken(err) {
			return err
		}
		time.Sleep(time.Duration(retries+1) * 25 * time.Millisecond) // peers at different heights come level
		err = attempt()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retries += retries
	if err == nil {
		c.done++
		count()
		return nil
	}
	c.failed++
	invalid, ok := errors.AsType[*ledger.InvalidError](err)
	if isTaken(err) || ok && invalid.Code == peer.TxValidationCode_MVCC_READ_CONFLICT {
		return nil
	}
	return fmt.Errorf("after %d retries, which is no clear conflict: %w", retries, err)
}

// isTaken says whether a slot was another's.
func isTaken(err error) bool {
	refused, ok := errors.AsType[*record.Error](err)
	return ok && refused.Code == record.Exists
}

// checkDocuments reads the chain since a block: each document that was anchored was written once, as one of the hospitals sealed
// it, and is in one version, of its record. No other document of the model is there, unless a client was told that it failed.
func (l *load) checkDocuments(t *testing.T, look *consortium.Person, since uint64, model map[record.Tag]expected) {
	t.Helper()
	height, err := look.Height(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	written, listed := map[record.Tag]int{}, map[record.Tag]int{}
	for block, err := range look.Blocks(t.Context(), since) {
		if err != nil {
			t.Fatal(err)
		}
		nouns, err := hospital.NounsOf(block)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range nouns.Documents {
			written[d.Tag]++
			if e, ours := model[d.Tag]; ours && !slices.Contains(e.cids, d.CID) {
				t.Errorf("document %s has a payload that neither hospital sealed", d.Tag)
			}
		}
		for _, v := range nouns.Versions {
			for _, d := range v.Documents {
				listed[d.Tag]++
				if e, ours := model[d.Tag]; ours && e.record != v.Record {
					t.Errorf("document %s is in the record %s, want %s", d.Tag, v.Record, e.record)
				}
			}
		}
		if block.Number+1 >= height {
			break
		}
	}
	for tag := range l.anchored {
		if written[tag] != 1 || listed[tag] != 1 {
			t.Errorf("document %s was written %d times, in %d versions", tag, written[tag], listed[tag])
		}
	}
	for tag := range model {
		if n := written[tag]; n > 1 || n != listed[tag] || n == 1 && !l.anchored[tag] && l.failed == 0 {
			t.Errorf("document %s was written %d times, in %d versions, and anchored: %t", tag, n, listed[tag], l.anchored[tag])
		}
	}
	if len(l.anchored) < universe*9/10 {
		t.Errorf("%d of %d documents were anchored: the batches do not overlap as they should", len(l.anchored), universe)
	}
}

// checkSlots reads the doctor's appointments: one in each slot that was booked, and no other.
func (l *load) checkSlots(t *testing.T, doctor *consortium.Person) {
	t.Helper()
	page, err := doctor.DoctorAppointments(t.Context(), l.doctor, record.MaxPageSize, "")
	if err != nil {
		t.Fatal(err)
	}
	found := map[record.Slot]int{}
	for _, a := range page.Appointments {
		slot, _ := record.SlotAt(a.Start)
		found[slot]++
	}
	if len(found) != len(l.booked) || len(page.Appointments) != len(l.booked) {
		t.Errorf("%d appointments in %d slots, want %d", len(page.Appointments), len(found), len(l.booked))
	}
	for slot := range l.booked {
		if found[slot] != 1 {
			t.Errorf("%d appointments at %s", found[slot], slot.Time())
		}
	}
}
