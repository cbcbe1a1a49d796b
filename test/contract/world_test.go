package contract

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/test/consortium"
)

func TestMain(m *testing.M) { os.Exit(devnettest.Main(m)) }

// house is a hospital with people, and a patient who has a record.
type house struct {
	*consortium.Institution
	appliance, doctor, clerk, registrar, patient *consortium.Person // clerk and registrar are staff

	secret [32]byte // of the patient
	ref    record.Reference
	letter record.RecordName // of the patient, anchored
	page   record.Tag        // the letter's one version
}

// openHouse enrols new people at a member's hospital, and anchors the patient's letter.
func openHouse(t *testing.T, n *devnet.Network, m *devnet.Member) *house {
	t.Helper()
	institution, err := consortium.Open(t.Context(), n, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { institution.Close() })
	h := &house{Institution: institution, secret: secret()}
	enrolments, ctx := errgroup.WithContext(t.Context())
	for _, one := range []struct {
		role record.Role
		to   **consortium.Person
	}{
		{record.ApplianceRole, &h.appliance},
		{record.DoctorRole, &h.doctor},
		{record.StaffRole, &h.clerk},
		{record.StaffRole, &h.registrar},
		{record.PatientRole, &h.patient},
	} {
		enrolments.Go(func() (err error) {
			*one.to, err = institution.Enrol(ctx, one.role)
			return err
		})
	}
	if err := enrolments.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*consortium.Person{h.appliance, h.doctor, h.clerk, h.registrar, h.patient} {
		t.Cleanup(func() { p.Close() })
	}
	if h.ref, err = h.Patient(t.Context(), h.patient); err != nil {
		t.Fatal(err)
	}
	h.letter, h.page = h.anchor(t, record.KindLetter, "a letter")
	return h
}

// hospitals opens a house at each of the network's first two members.
func hospitals(t *testing.T, n *devnet.Network) (a, b *house) {
	t.Helper()
	return openHouse(t, n, n.Members[0]), openHouse(t, n, n.Members[1])
}

// enrol enrols one more person at the hospital.
func (h *house) enrol(t *testing.T, role record.Role) *consortium.Person {
	t.Helper()
	p, err := h.Enrol(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// version makes a version with one document of a record of the hospital's patient.
func (h *house) version(kind record.Kind, content string) record.Version {
	digest := sha256.Sum256([]byte(content))
	return record.Version{
		Patient: h.ref, Record: record.RecordTag(h.secret, content), Kind: kind, Date: day,
		Documents: []record.Document{{Tag: record.DocumentTag(h.secret, 0, digest), CID: cid(content)}},
	}
}

// anchor anchors a record of the hospital's patient, with one document of a content.
func (h *house) anchor(t *testing.T, kind record.Kind, content string) (record.RecordName, record.Tag) {
	t.Helper()
	v := h.version(kind, content)
	h.anchorAll(t, v)
	return record.RecordName{Patient: v.Patient, Record: v.Record}, v.Name()
}

// anchorAll anchors versions, all of them new, and waits until every peer has them.
func (h *house) anchorAll(t *testing.T, versions ...record.Version) ledger.Receipt {
	t.Helper()
	receipt, err := h.appliance.Anchor(t.Context(), record.Batch{Versions: versions})
	if err != nil {
		t.Fatal(err)
	}
	for _, outcome := range receipt.Outcomes {
		if outcome != record.Created {
			t.Fatalf("a new document is %s", outcome)
		}
	}
	if err := h.appliance.Await(t.Context(), receipt.Block); err != nil {
		t.Fatal(err)
	}
	return receipt
}

// day is that of all events.
var day = time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)

// secret makes a patient's secret.
func secret() (s [32]byte) {
	rand.Read(s[:]) // never fails (crypto/rand)
	return s
}

// cid is that of a sealed content.
func cid(content string) record.CID {
	sum := sha256.Sum256([]byte("sealed" + content))
	return record.CID(append([]byte{0x55}, sum[:]...))
}

// soon is a time in whole seconds.
func soon(d time.Duration) time.Time { return time.Now().Add(d).UTC().Truncate(time.Second) }

// do runs a function, which must succeed, and gives what it made.
func do(t *testing.T, p *consortium.Person, function string, q record.Request, notes ...record.SealedNote) record.ID {
	t.Helper()
	acted, err := p.Do(t.Context(), function, q, nil, notes...)
	if err != nil {
		t.Fatalf("%s: %v", function, err)
	}
	return acted.ID
}

// refused runs a function, which the contract must refuse with a code.
func refused(t *testing.T, p *consortium.Person, code record.Code, function string, q record.Request,
	notes ...record.SealedNote,
) {
	t.Helper()
	_, err := p.Do(t.Context(), function, q, nil, notes...)
	checkRefused(t, function, err, code)
}

func checkRefused(t *testing.T, function string, err error, code record.Code) {
	t.Helper()
	refusal, ok := errors.AsType[*record.Error](err)
	if !ok || refusal.Code != code {
		t.Errorf("%s: got %v, want %s", function, err, code)
	}
}

// reads checks by which basis a person may read a record of a hospital's patient, as every hospital's peer decides; NoBasis
// if they may not.
func reads(t *testing.T, h *house, reader *consortium.Person, name record.RecordName, version record.Tag, want record.Basis,
) record.Access {
	t.Helper()
	access, err := h.appliance.CheckAccess(t.Context(), reader.ID, name, version, record.Read)
	if err != nil {
		t.Fatal(err)
	}
	if access.Basis != want || access.Allowed != (want != record.NoBasis) {
		t.Errorf("reading: got %+v, want the basis %s", access, want)
	}
	return access
}

// poll asks again and again until it is so; the test fails if it takes too long.
func poll(t *testing.T, what string, within time.Duration, so func() bool) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-deadline:
			t.Fatalf("after %s: not yet: %s", within, what)
		case <-tick.C:
		}
	}
}
