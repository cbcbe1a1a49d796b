package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/test/hospital"
)

// More of the exit codes that docs/operations.md promises.
const (
	exitError = 1
	exitAway  = 5
)

// TestEnrolmentByCommandLine tells how a hospital begins, from nothing but its Fabric CA: the administrator of the CA gives
// the institution its code, the institution a doctor theirs, who enrols while the peer is away, and joins later.
func TestEnrolmentByCommandLine(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Fabric network")
	}
	program, _ := hospital.Programs(t)
	dir := t.TempDir()
	n, err := devnet.Start(t.Context(), devnet.Options{Hospitals: 1, Dir: filepath.Join(dir, "net")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	m := n.Members[0]
	at := func(name string) *someone {
		return &someone{t: t, program: program, identity: filepath.Join(dir, name)}
	}

	// The institution.
	its := filepath.Join(dir, "its.code")
	administrator := exec.CommandContext(t.Context(), program, "institution", "code", "--registrar", m.Registrar.Dir,
		"--ca", m.CA.Address, "--peer", m.Peer.Address, "--tls-ca", m.RootCert, "--msp-id", m.MSPID, "--channel", n.Channel, "--out", its)
	if text, err := administrator.CombinedOutput(); err != nil {
		t.Fatalf("make the institution's code: %v\n%s", err, text)
	}
	office := at("office")
	next := office.runs(exitOK, "enroll", "", "--code", "@"+its)
	if want := "next: medanchor institution register --identity " + office.identity; !strings.Contains(next, want) {
		t.Errorf("it says %q, want %q", next, want)
	}
	said := office.runs(exitRefused, "participant add --role doctor", "")
	if !strings.Contains(said, "register the institution") {
		t.Errorf("before it is registered: %s", said)
	}
	for range 2 { // to repeat it does no harm
		office.runs(exitOK, "institution register", "", "--name", "St Mary's", "--retention", "imaging=8")
	}
	office.runs(exitOK, "institution update", "", "--name", "St Mary's Hospital", "--address", "/ip4/203.0.113.7/tcp/4001")

	// The code of a doctor, on standard output and nothing else.
	code := office.runs(exitOK, "participant add --role doctor", "")
	if strings.Count(code, "\n") != 1 || !strings.HasPrefix(code, "medanchor1-") {
		t.Fatalf("standard output is %q, want the code", code)
	}

	// The peer is away: the doctor is enrolled, and joins when it is back.
	if err := m.Peer.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	doctor := at("people/doctor")
	said = doctor.runs(exitAway, "enroll --code -", code)
	if want := "to go on from there, medanchor enroll --identity " + doctor.identity; !strings.Contains(said, want) {
		t.Errorf("it says %q, want %q", said, want)
	}
	if err := m.Peer.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := n.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	var who struct {
		Participant record.ParticipantID
		Joined      bool
	}
	for range 2 { // to repeat it does no harm
		text := doctor.runs(exitOK, "enroll --json", "")
		if err := json.Unmarshal([]byte(text), &who); err != nil || !who.Joined {
			t.Fatalf("enroll prints %s (%v)", text, err)
		}
	}
	office.sees("participant list", who.Participant.String(), "doctor", "active")

	// Whoever finds the code can do nothing with it.
	said = at("people/finder").runs(exitError, "enroll --code -", code)
	if !strings.Contains(said, "it was used before or taken back: ask your institution for a new one") {
		t.Errorf("a code that was used: %s", said)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "people"))
	if err != nil || len(entries) != 1 {
		t.Errorf("people's folders are %v (%v), want the doctor's alone", entries, err)
	}

	// Only the institution adds people, and it can suspend them.
	said = doctor.runs(exitError, "participant add --role patient", "")
	if !strings.Contains(said, "take one that may, such as the institution's own") {
		t.Errorf("a doctor who adds a patient: %s", said)
	}
	office.runs(exitOK, "participant suspend", "", "--participant", who.Participant.String())
	said = doctor.runs(exitRefused, "participant suspend", "", "--participant", who.Participant.String())
	if !strings.Contains(said, "suspended") {
		t.Errorf("a suspended doctor: %s", said)
	}
	office.runs(exitOK, "participant reinstate", "", "--participant", who.Participant.String())
	office.sees("participant list", who.Participant.String(), "active")

	// With new keys the institution still adds people; and when it has lost them, two of those give it others.
	office.runs(exitOK, "key rotate", "")
	staff, clerk := at("people/staff"), at("people/clerk")
	for _, s := range []*someone{staff, clerk} {
		s.runs(exitOK, "enroll --code -", office.runs(exitOK, "participant add --role staff", ""))
	}
	its = filepath.Join(dir, "its.second.code")
	administrator = exec.CommandContext(t.Context(), program, "institution", "code", "--renew", "--registrar", m.Registrar.Dir,
		"--ca", m.CA.Address, "--peer", m.Peer.Address, "--tls-ca", m.RootCert, "--msp-id", m.MSPID, "--channel", n.Channel, "--out", its)
	if text, err := administrator.CombinedOutput(); err != nil {
		t.Fatalf("make the institution's code again: %v\n%s", err, text)
	}
	found := at("office.new")
	decision, _ := staff.does("decision propose-rebind --request -", found.runs(exitOK, "enroll", "", "--code", "@"+its))
	clerk.does("decision confirm --decision "+decision, "")
	found.runs(exitOK, "participant add --role patient", "")
	office.runs(exitRefused, "participant add --role patient", "")
}
