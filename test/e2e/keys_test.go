package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/test/consortium"
)

// at gives the same participant with another folder of theirs.
func (s *someone) at(identity string) *someone {
	other := *s
	other.identity = identity
	return &other
}

// copied gives the participant with a copy of their folder, as it is now.
func (s *someone) copied() *someone {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "copy")
	if err := os.CopyFS(dir, os.DirFS(s.identity)); err != nil {
		s.t.Fatal(err)
	}
	return s.at(dir)
}

// TestKeysByCommandLine tells what becomes of a patient's keys: they are rotated, once with a crash; then lost, and
// replaced by two people of the hospital.
func TestKeysByCommandLine(t *testing.T) {
	n := devnettest.Network(t)
	here, there := n.Members[0], n.Members[1]
	institution, patient := enrol(t, n, here, record.InstitutionRole), enrol(t, n, here, record.PatientRole)
	staff, clerk := enrol(t, n, here, record.StaffRole), enrol(t, n, here, record.StaffRole)
	doctor := enrol(t, n, there, record.DoctorRole)
	of := " --patient " + consortium.NewReference(here.MSPID).String()
	staff.does("patient register --participant "+patient.id.String()+of, "")
	request := func(reason string) (id string) {
		until := " --until " + time.Now().AddDate(0, 1, 0).Format(time.DateOnly)
		id, _ = doctor.does("access request --kind imaging"+until+of, "", "--reason", reason, "--name", "Dr Ada Moss")
		return id
	}
	early := request("sealed to the first key")

	// Rotation: the old key is dead, what was sealed to it opens.
	before := patient.copied()
	key := keyOf(t, patient, "key rotate")
	patient.sees("access list"+of, early, "sealed to the first key")
	patient.sees("participant show --participant "+patient.id.String(), "key", key)
	before.runs(exitRefused, "access list"+of, "")
	before.runs(exitRefused, "key rotate", "")
	patient.does("access reject --request "+early+of, "")
	late := request("sealed to the second key")
	patient.sees("access list"+of, late, "sealed to the second key")

	// The machine went down when the ledger had the new keys and the folder the old ones.
	if err := os.CopyFS(filepath.Join(before.identity, "next"), os.DirFS(patient.identity)); err != nil {
		t.Fatal(err)
	}
	if said := before.runs(exitRefused, "access list"+of, ""); !strings.Contains(said, "has not ended: medanchor key rotate") {
		t.Errorf("with a rotation that has not ended: %s", said)
	}
	if again := keyOf(t, before, "key rotate"); again != key {
		t.Errorf("the key is %s, want %s", again, key)
	}
	before.sees("access list"+of, early, "sealed to the first key")
	before.sees("access list"+of, late, "sealed to the second key")

	// The key is lost. The new one has no rights before two people have agreed.
	doctor.runs(exitRefused, "participant renew --participant "+patient.id.String(), "")
	code := institution.runs(exitOK, "participant renew --participant "+patient.id.String(), "")
	fresh := patient.at(filepath.Join(t.TempDir(), "fresh"))
	asked := fresh.runs(exitOK, "enroll --code -", code)
	if strings.Count(asked, "\n") != 1 || !strings.HasPrefix(asked, "medanchor-request1-") {
		t.Fatalf("standard output is %q, want the request", asked)
	}
	patient.at(filepath.Join(t.TempDir(), "finder")).runs(exitError, "enroll --code -", code)
	fresh.runs(exitRefused, "access list"+of, "")
	patient.runs(exitRefused, "decision propose-rebind --request -", asked)
	decision, _ := staff.does("decision propose-rebind --request -", asked)
	staff.runs(exitRefused, "decision confirm --decision "+decision, "")
	key = keyOf(t, fresh, "enroll")
	clerk.sees("decision show --decision "+decision, "new key", key)
	clerk.does("decision confirm --decision "+decision, "")
	fresh.sees("access list"+of, late, "requested")
	fresh.sees("enroll", "joined the ledger")
	fresh.sees("participant show --participant "+patient.id.String(), "key", key)
	patient.runs(exitRefused, "access list"+of, "")
	keyOf(t, fresh, "key rotate")
}

// TestLostCode: a new code ends the one before it, and who never joined joins with it as if it were the first.
func TestLostCode(t *testing.T) {
	n := devnettest.Network(t)
	institution := enrol(t, n, n.Members[0], record.InstitutionRole)
	var lost struct{ Participant, Code string }
	added := institution.runs(exitOK, "participant add --role doctor --json", "")
	if err := json.Unmarshal([]byte(added), &lost); err != nil {
		t.Fatal(err)
	}
	code := institution.runs(exitOK, "participant renew --participant "+lost.Participant, "")
	doctor := institution.at(filepath.Join(t.TempDir(), "doctor"))
	doctor.runs(exitError, "enroll --code -", lost.Code)
	if said := doctor.runs(exitOK, "enroll --code -", code); !strings.Contains(said, "joined the ledger") {
		t.Errorf("it says %q", said)
	}
	institution.sees("participant show --participant "+lost.Participant, "role", "doctor")
}

// TestSuspension tells that a suspended participant has no rights, and cannot help themselves by a new key.
func TestSuspension(t *testing.T) {
	n := devnettest.Network(t)
	here := n.Members[0]
	institution, doctor := enrol(t, n, here, record.InstitutionRole), enrol(t, n, here, record.DoctorRole)
	list := "appointment list"
	doctor.runs(exitOK, list, "")
	institution.does("participant suspend --participant "+doctor.id.String(), "")
	doctor.runs(exitRefused, list, "")
	doctor.runs(exitRefused, "key rotate", "")
	institution.sees("participant list", doctor.id.String(), "suspended")
	institution.does("participant reinstate --participant "+doctor.id.String(), "")
	doctor.runs(exitOK, list, "")
	doctor.sees("participant show --participant "+doctor.id.String(), "status", "active")
}

// keyOf runs a command that must succeed, and gives the fingerprint that it prints.
func keyOf(t *testing.T, s *someone, command string) string {
	t.Helper()
	var who struct{ Key string }
	text := s.runs(exitOK, command+" --json", "")
	if err := json.Unmarshal([]byte(text), &who); err != nil || who.Key == "" {
		t.Fatalf("medanchor %s prints %q: %v", command, text, err)
	}
	return who.Key
}
