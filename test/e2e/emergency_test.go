package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/test/story"
)

// TestEmergencyWithoutTheLedger: a doctor of the hospital reads a local record while the ledger is away, for a reason; it is
// on the ledger once, later, and waits for review. Nothing else opens, and says soon what to do.
func TestEmergencyWithoutTheLedger(t *testing.T) {
	n := devnettest.Network(t)
	p := newPair(t, n)
	s := p.begin(t, n, story.Options{Slices: 1, Late: 1, Size: 10 << 10, Seed: 51})
	for _, step := range s.Steps()[:2] { // a patient with a study and a report
		if err := step.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	local, office := enrol(t, n, p.a.member, record.DoctorRole), enrol(t, n, p.a.member, record.StaffRole)
	local.machine, s.Doctor.At = p.a.Machine, p.b.place()
	remote := &someone{t: t, program: p.b.medanchor, identity: s.Doctor.Identity, id: s.Doctor.ID, machine: p.b.Machine}
	poll(t, "the hospital has seen its doctor", func() bool {
		return strings.Contains(local.runs(exitRefused, get(s, p.a), "", "-o", t.TempDir()), "no right")
	}, func() string { return "" })

	p.toA.Cut()
	p.toB.Cut()
	began := time.Now()
	hasRow(t, local.runs(exitAway, get(s, p.a), "", "-o", t.TempDir()), "ledger cannot be asked", "--emergency")
	hasRow(t, remote.runs(exitAway, get(s, p.b)+" --emergency", "", "-o", t.TempDir(), "--reason", "collapsed"),
		"another hospital's")
	if took := time.Since(began); took > time.Minute {
		t.Errorf("two refusals took %s", took)
	}
	target := t.TempDir()
	hasRow(t, local.runs(exitOK, get(s, p.a)+" --emergency", "", "-o", target, "--reason", "collapsed, no history", "--name",
		"Dr Ash"), ".pdf")
	if filesIn(t, target) != 1 {
		t.Error("the record did not open in an emergency")
	}

	p.a.kill() // what was recorded survives
	for _, line := range []interface{ Restore() error }{p.toA, p.toB} {
		if err := line.Restore(); err != nil {
			t.Fatal(err)
		}
	}
	p.a.start()
	list := "access list --patient " + s.Reference.String()
	poll(t, "the emergency is on the ledger", func() bool {
		return strings.Contains(office.runs(exitOK, list, ""), "break-glass")
	}, func() string { return office.runs(exitOK, list, "") })
	if once := strings.Count(office.runs(exitOK, list, ""), "break-glass"); once != 1 {
		t.Errorf("the emergency is there %d times", once)
	}
	patient := &someone{t: t, program: p.a.medanchor, identity: s.Patient.Identity, id: s.Patient.ID}
	patient.sees("audit list --patient "+s.Reference.String(), "late-emergency", "break-glass", s.Report.String())
	institution := enrol(t, n, p.a.member, record.InstitutionRole)
	hasRow(t, institution.runs(exitOK, list, ""), "break-glass, not reviewed", "collapsed, no history", "Dr Ash")
	request := strings.Fields(strings.Split(institution.runs(exitOK, list, ""), "\n")[1])[0]
	office.does("access review --justified --patient "+s.Reference.String()+" --request "+request, "")
	office.sees(list, "break-glass, justified")
}

// get is the command by which a story's report is read at a hospital.
func get(s *story.Story, at *site) string {
	return "get --patient " + s.Reference.String() + " --record " + s.Report.String() + " --wait 1s --appliance " +
		at.status().Reading.URL
}
