package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/test/consortium"
	"github.com/medanchor/medanchor/test/hospital"
)

// The exit codes that docs/operations.md promises.
const (
	exitOK      = 0
	exitRefused = 6
)

// someone is a participant who uses the program medanchor under their own identity.
type someone struct {
	t        *testing.T
	program  string
	identity string
	id       record.ParticipantID
	machine  hospital.Machine // on which they run it; nil: the test's
}

// enrol enrols a participant of a member's institution.
func enrol(t *testing.T, n *devnet.Network, m *devnet.Member, role record.Role) *someone {
	t.Helper()
	program, _ := hospital.Programs(t)
	institution, err := consortium.Open(t.Context(), n, m)
	if err != nil {
		t.Fatal(err)
	}
	defer institution.Close()
	if role == record.InstitutionRole {
		return &someone{t: t, program: program, identity: filepath.Join(m.Dir, "institution"), id: institution.ID}
	}
	p, err := institution.Enrol(t.Context(), role)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	return &someone{t: t, program: program, identity: filepath.Join(m.Dir, "people", p.ID.String()), id: p.ID}
}

// runs runs a command line, whose words are separated by spaces, with more arguments that may hold any. It gives what the
// command printed: on standard output, or on standard error if it ended with another code than 0.
func (s *someone) runs(code int, command, input string, more ...string) string {
	s.t.Helper()
	args := append(append(strings.Fields(command), "--identity", s.identity), more...)
	cmd := exec.CommandContext(s.t.Context(), s.program, args...)
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errOut
	run := cmd.Run
	if s.machine != nil {
		run = func() error { return errors.Join(s.machine.Do(cmd.Start), cmd.Wait()) }
	}
	err := run()
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil && code == exitOK:
		return out.String()
	case ended && exit.ExitCode() == code:
		return out.String() + errOut.String()
	}
	s.t.Fatalf("medanchor %s: %v, want exit code %d:\n%s%s", command, err, code, out.String(), errOut.String())
	return ""
}

// does runs a command that must succeed, and gives the ID of what it made, and its result.
func (s *someone) does(command, input string, more ...string) (id, result string) {
	s.t.Helper()
	var done struct {
		ID     string `json:"id"`
		Result string `json:"result"`
	}
	text := s.runs(exitOK, command+" --json", input, more...)
	if err := json.Unmarshal([]byte(text), &done); err != nil {
		s.t.Fatalf("medanchor %s prints %q: %v", command, text, err)
	}
	return done.ID, done.Result
}

// sees runs a command that must succeed, checks that what it prints has all of the words in one row, and gives all of it.
func (s *someone) sees(command string, words ...string) string {
	s.t.Helper()
	text := s.runs(exitOK, command, "")
	hasRow(s.t, text, words...)
	return text
}

// hasRow checks that a table has all of the words in one row.
func hasRow(t *testing.T, table string, words ...string) {
	t.Helper()
	for row := range strings.Lines(table) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(row, w) }) {
			return
		}
	}
	t.Errorf("no row has all of %q:\n%s", words, table)
}

// TestConsentByCommandLine tells how a doctor of one hospital asks a patient of the other, who decides, and sees all of it.
func TestConsentByCommandLine(t *testing.T) {
	n := devnettest.Network(t)
	here, there := n.Members[0], n.Members[1]
	site := newSite(t, n, 0)
	site.start()
	staff, patient := enrol(t, n, here, record.StaffRole), enrol(t, n, here, record.PatientRole)
	institution := enrol(t, n, here, record.InstitutionRole)
	doctor, stranger := enrol(t, n, there, record.DoctorRole), enrol(t, n, there, record.DoctorRole)

	number := "9990000018" // of the range for tests
	_, reference := staff.does("patient register --issuer NHS --id -", number, "--config", site.ConfigPath,
		"--participant", patient.id.String())
	of := " --patient " + reference
	aRecord := " --record " + record.Tag{1}.String()
	staff.sees("patient show --issuer NHS --id "+number+" --config "+site.ConfigPath, "participant", patient.id.String())
	staff.runs(exitRefused, "patient register"+of, "")

	// The doctor asks. Nobody but the patient reads why.
	until := time.Now().AddDate(0, 1, 0).Format(time.DateOnly)
	request, _ := doctor.does("access request --all --reason - --until "+until+of, "second opinion on the CT",
		"--name", "Dr Ada Moss")
	patient.sees("access list"+of, request, "Dr Ada Moss", there.Title, "second opinion on the CT", "requested")
	if text := staff.sees("access list"+of, request, "requested"); strings.Contains(text, "Moss") {
		t.Errorf("the hospital's staff read the note to the patient:\n%s", text)
	}
	doctor.runs(exitRefused, "access check"+of+aRecord, "")

	// Only the patient decides.
	said := stranger.runs(exitRefused, "access approve"+of+" --request "+request+" --participant "+doctor.id.String(), "")
	if !strings.Contains(said, "medanchor: ") || strings.Contains(said, "FORBIDDEN") {
		t.Errorf("a refusal is shown as %q", said)
	}
	patient.does("access approve"+of+" --request "+request, "")
	doctor.sees("access check"+of+aRecord, "allowed: grant")
	stranger.runs(exitRefused, "access check"+of+aRecord, "")
	patient.does("access revoke"+of+" --request "+request, "")
	doctor.runs(exitRefused, "access check"+of+aRecord, "")

	// An emergency: the patient sees who, the institution why.
	glass, _ := stranger.does("access break-glass --all"+of, "", "--reason", "unconscious, no history", "--name", "Dr Ben Oak")
	stranger.sees("access check"+of+aRecord, "allowed: break-glass")
	if text := patient.sees("access list"+of, glass, "Dr Ben Oak", "not reviewed"); strings.Contains(text, "unconscious") {
		t.Errorf("the patient reads what is for the institution:\n%s", text)
	}
	institution.sees("access list"+of, glass, "Dr Ben Oak", "unconscious, no history")
	staff.does("access review --justified"+of+" --request "+glass, "")
	patient.sees("access list"+of, glass, "justified")

	// The audit has all of it, and who was refused.
	audit := patient.runs(exitOK, "audit list"+of, "")
	for _, row := range [][]string{
		{"register-patient", "staff, " + here.Title, "institution"},
		{"request", "doctor, " + there.Title + " (Dr Ada Moss)"},
		{"DENIED approve", "doctor, " + there.Title + " (Dr Ben Oak)", "none"},
		{"approve", "patient, " + here.Title, "Dr Ada Moss"},
		{"revoke", "patient, " + here.Title},
		{"break-glass", "Dr Ben Oak"},
		{"review", "staff, " + here.Title},
	} {
		hasRow(t, audit, row...)
	}
	staff.sees("audit list --institution", reference, "DENIED approve", "doctor, "+there.Title)
	stranger.runs(exitRefused, "audit list"+of, "")
}

// TestCorrectionsByCommandLine tells what a hospital's staff do with a record that came in: put it under supervision,
// withdraw it, and in the end erase it; and how a patient is represented, helped to decide, and met.
func TestCorrectionsByCommandLine(t *testing.T) {
	n := devnettest.Network(t)
	here, there := n.Members[0], n.Members[1]
	site := newSite(t, n, 0)
	site.start()
	site.dropFile(site.Documents, "9990000018/letter.txt", []byte("Dear colleague, this patient does not exist."))
	site.awaitSettled(1)
	institution := enrol(t, n, here, record.InstitutionRole)
	staff, clerk := enrol(t, n, here, record.StaffRole), enrol(t, n, here, record.StaffRole)
	doctor, elsewhere := enrol(t, n, here, record.DoctorRole), enrol(t, n, there, record.DoctorRole)
	patient, daughter := enrol(t, n, here, record.PatientRole), enrol(t, n, here, record.RepresentativeRole)
	_, reference := staff.does("patient register --issuer NHS --id 9990000018 --config "+site.ConfigPath, "",
		"--participant", patient.id.String())
	of := " --patient " + reference

	var records []struct {
		Record   string   `json:"record"`
		Versions []string `json:"versions"`
	}
	listed := doctor.runs(exitOK, "record list --json"+of, "")
	if err := json.Unmarshal([]byte(listed), &records); err != nil || len(records) != 1 || len(records[0].Versions) != 1 {
		t.Fatalf("%s: %v", listed, err)
	}
	the, document := of+" --record "+records[0].Record, records[0].Versions[0]
	until := " --until " + time.Now().AddDate(0, 1, 0).Format(time.DateOnly)

	// Supervision, by name and by team.
	doctor.runs(exitRefused, "access check"+the, "")
	staff.does("supervise add --participant "+doctor.id.String()+of, "")
	doctor.sees("supervise list"+of, doctor.id.String())
	doctor.sees("access check"+the, "allowed: supervision")
	staff.does("supervise end --participant "+doctor.id.String()+of, "")
	doctor.runs(exitRefused, "access check"+the, "")
	_, team := staff.does("team set --member "+doctor.id.String(), "")
	staff.sees("team show --team "+team, doctor.id.String(), "always")
	staff.does("supervise add --team "+team+of+until, "")
	doctor.sees("access check"+the, "allowed: supervision")

	// Filed in error, and taken back.
	staff.does("record withdraw"+the, "")
	hasRow(t, doctor.runs(exitRefused, "access check"+the, ""), "denied: withdrawn: filed in error")
	doctor.sees("record list"+of, records[0].Record, "letter", "withdrawn")
	staff.runs(exitRefused, "record withdraw"+the, "")
	staff.does("record refile"+the, "")
	doctor.sees("record status"+the, "open")

	// Who acts for the patient.
	staff.does("patient represent --authority power-of-attorney --all --participant "+daughter.id.String()+" --evidence "+
		document+of+until, "")
	patient.sees("patient show"+of, "representative", daughter.id.String(), "power-of-attorney")
	request, _ := elsewhere.does("access request --kind letter"+of+until, "", "--reason", "the CT", "--name", "Dr Elm")
	daughter.sees("access list"+of, request, "Dr Elm", "the CT", "letter")
	decision, _ := staff.does("assist reject --because unable --form "+document+" --request "+request+of, "")
	staff.runs(exitRefused, "decision confirm --decision "+decision, "")
	clerk.sees("decision show --decision "+decision, "state", "open")
	clerk.does("decision confirm --decision "+decision, "")
	daughter.sees("access list"+of, request, "rejected")
	daughter.does("patient end-representation --participant "+daughter.id.String()+of, "")
	daughter.runs(exitRefused, "access list"+of, "")

	// They meet.
	start := time.Now().AddDate(0, 0, 2).Truncate(time.Hour).Format(time.RFC3339)
	proposal := "appointment propose --minutes 30 --start " + start + " --doctor " + doctor.id.String() + of
	appointment, _ := doctor.does(proposal, "room 4", "--details", "-")
	patient.sees("appointment list"+of, appointment, "30 min", "proposed", "doctor's side", "room 4")
	patient.runs(exitRefused, proposal, "")
	patient.does("appointment accept --appointment "+appointment+of, "")
	doctor.sees("appointment list", appointment, "accepted", "room 4")
	doctor.does("appointment cancel --appointment "+appointment, "")

	// The end of the record, which takes two.
	patient.does("erasure request"+the, "")
	staff.does("erasure hold --because litigation"+the, "")
	staff.runs(exitRefused, "erasure propose"+the, "")
	staff.runs(exitRefused, "erasure end-hold --because litigation"+the, "")
	institution.does("erasure end-hold --because litigation"+the, "")
	decision, _ = staff.does("erasure propose"+the, "")
	clerk.does("decision confirm --decision "+decision, "")
	doctor.sees("record status"+the, "erased")
	hasRow(t, doctor.runs(exitRefused, "access check"+the, ""), "denied: the record was erased")
	hasRow(t, patient.runs(exitOK, "audit list"+of, ""), "erase", "two-people", records[0].Record)
}
