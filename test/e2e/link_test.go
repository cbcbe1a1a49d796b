package e2e

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/document"
)

// registered has a hospital's appliance give a person's reference, and its office put them on the ledger.
func (s *site) registered(office *someone, nhs string, participant record.ParticipantID) record.Reference {
	s.t.Helper()
	reference, err := s.Client().Patient(s.t.Context(), control.PatientQuery{
		PatientID: document.PatientID{Issuer: document.NHS, Identifier: nhs}, Register: true,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	office.does("patient register --patient "+reference.String()+" --participant "+participant.String(), "")
	return reference
}

// recordsOf gives the records of a patient's that the index of a hospital has.
func (s *site) recordsOf(patient record.Reference) (of []control.Record) {
	s.t.Helper()
	all, err := s.Client().Records(s.t.Context(), true)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range all {
		if r.Patient == patient {
			of = append(of, r)
		}
	}
	return of
}

// TestOnePersonTwoHospitals: once a person has linked their references, what both hospitals have is one document with two
// holders. The second one's doctors read it there, and nothing that was not linked is touched.
func TestOnePersonTwoHospitals(t *testing.T) {
	n := devnettest.Network(t)
	p := newPair(t, n)
	const nhs, other = "9990001111", "9990001138"
	var content, more [][]byte
	for _, text := range []string{"the report", "another report"} {
		content = append(content, []byte(text+" of a person who does not exist\n"))
		more = append(more, []byte(text+", which one hospital has\n"))
	}
	officeA, officeB := enrol(t, n, p.a.member, record.StaffRole), enrol(t, n, p.b.member, record.StaffRole)
	patient := enrol(t, n, p.a.member, record.PatientRole)
	doctor := enrol(t, n, p.b.member, record.DoctorRole)
	doctor.machine = p.b.Machine
	atA, atB := p.a.registered(officeA, nhs, patient.id), p.b.registered(officeB, nhs, patient.id)

	p.a.dropFile(p.a.Documents, filepath.Join(nhs, "1.txt"), content[0])
	p.a.dropFile(p.a.Documents, filepath.Join(nhs, "2.txt"), content[1])
	p.a.awaitSettled(2)
	patient.does("patient link --patient "+atA.String()+" --to "+atB.String(), "")
	poll(t, "the secrets are handed over both ways", func() bool {
		return p.a.logged("patient secret received") && p.b.logged("patient secret received")
	}, func() string { return string(tail(p.b.Log())) })
	poll(t, "B has seen A's documents", func() bool { return len(p.b.recordsOf(atA)) == 2 }, func() string { return "" })

	p.b.dropFile(p.b.Documents, filepath.Join(nhs, "1.txt"), content[0])
	p.b.dropFile(p.b.Documents, filepath.Join(nhs, "3.txt"), more[0])
	p.b.dropFile(p.b.Documents, filepath.Join(other, "1.txt"), content[0]) // of somebody else
	status := p.b.awaitSettled(3)
	if status.Items.Anchored != 3 || status.Items.Duplicates != 0 {
		t.Errorf("B has anchored %d, and %d duplicates", status.Items.Anchored, status.Items.Duplicates)
	}
	p.b.dropFile(p.b.Documents, filepath.Join(nhs, "again.txt"), content[0])
	if status := p.b.awaitSettled(4); status.Items.Duplicates != 1 {
		t.Errorf("the copy that came again is no duplicate: %+v", status.Items)
	}
	p.b.awaitIndexed()
	if own := p.b.recordsOf(atB); len(own) != 1 {
		t.Errorf("%d records under the reference at B, want only what A does not have", len(own))
	}
	if there := p.b.recordsOf(atA); len(there) != 2 {
		t.Errorf("%d records under the reference at A, want 2", len(there))
	}
	for _, v := range p.b.verifyFile(content[0]) {
		if v.Finding != control.FindingOK {
			t.Errorf("B's copy: %+v", v)
		}
	}

	// Whom B put in charge of the patient reads B's copy at B; A's other report they do not.
	copied, theirs := p.b.copyAndOther(t, atA)
	read := func(r record.Tag) string {
		return "get --patient " + atA.String() + " --record " + r.String() + " --wait 0s --appliance " + p.b.status().Reading.URL
	}
	doctor.runs(exitRefused, read(copied), "", "-o", t.TempDir())
	officeB.does("supervise add --participant "+doctor.id.String()+" --patient "+atB.String(), "")
	target := t.TempDir()
	doctor.runs(exitOK, read(copied), "", "-o", target)
	files, err := os.ReadDir(target)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files were read, %v", len(files), err)
	}
	if got, err := os.ReadFile(filepath.Join(target, files[0].Name())); err != nil || !bytes.Equal(got, content[0]) {
		t.Errorf("the copy reads %q, %v", got, err)
	}
	doctor.runs(exitRefused, read(theirs), "", "-o", t.TempDir())
	patient.sees("audit list --patient "+atA.String(), "hand-over")
	patient.sees("audit list --patient "+atA.String(), "access", "supervision", copied.String())
}

// verifyFile asks the daemon about a whole file.
func (s *site) verifyFile(content []byte) []control.Verdict {
	s.t.Helper()
	return s.verify(sha256.Sum256(content))
}

// copyAndOther tells the record of which this hospital holds a copy from the one of which it does not.
func (s *site) copyAndOther(t *testing.T, patient record.Reference) (copied, other record.Tag) {
	t.Helper()
	for _, r := range s.recordsOf(patient) {
		if verdicts, err := s.Client().Verify(t.Context(), control.VerifyRequest{ID: r.Documents[0].String()}); err == nil &&
			len(verdicts) == 1 && verdicts[0].Finding == control.FindingOK {
			copied = r.Record
		} else {
			other = r.Record
		}
	}
	return copied, other
}

// TestARecordIsRefiled: a record that was filed under the wrong patient is refused at once with that reason, and is the
// right patient's to read. Nothing on the ledger ties the two together, and the bytes did not move.
func TestARecordIsRefiled(t *testing.T) {
	n := devnettest.Network(t)
	p := newPair(t, n)
	const wrong, right = "9990001146", "9990001154"
	office, doctor := enrol(t, n, p.a.member, record.StaffRole), enrol(t, n, p.a.member, record.DoctorRole)
	office.machine, doctor.machine = p.a.Machine, p.a.Machine
	victim, owner := enrol(t, n, p.a.member, record.PatientRole), enrol(t, n, p.a.member, record.PatientRole)
	of, to := p.a.registered(office, wrong, victim.id), p.a.registered(office, right, owner.id)
	content := bytes.Repeat([]byte("a letter about somebody else\n"), 50_000)
	p.a.dropFile(p.a.Documents, filepath.Join(wrong, "letter.txt"), content)
	p.a.awaitSettled(1)
	p.a.awaitIndexed()
	filed := p.a.recordsOf(of)[0]
	for _, patient := range []record.Reference{of, to} {
		office.does("supervise add --participant "+doctor.id.String()+" --patient "+patient.String(), "")
	}
	read := func(at *site, patient record.Reference, r record.Tag) string {
		return "get --patient " + patient.String() + " --record " + r.String() + " --appliance " + at.status().Reading.URL
	}
	doctor.runs(exitOK, read(p.a, of, filed.Record), "", "-o", t.TempDir())
	blocks := filesIn(t, filepath.Join(p.a.Config.Data, "ipfs", "blocks"))

	hasRow(t, office.runs(exitOK, "refile --config "+p.a.ConfigPath+" --patient "+of.String()+" --record "+
		filed.Record.String()+" --to "+to.String(), ""), "1 documents")
	text := doctor.runs(exitRefused, read(p.a, of, filed.Record), "", "-o", t.TempDir())
	hasRow(t, text, "withdrawn: filed in error")
	poll(t, "the record is the right patient's", func() bool { return len(p.a.recordsOf(to)) == 1 }, func() string { return "" })
	refiled := p.a.recordsOf(to)[0]
	target := t.TempDir()
	doctor.runs(exitOK, read(p.a, to, refiled.Record), "", "-o", target)
	files, err := os.ReadDir(target)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	if got, err := os.ReadFile(filepath.Join(target, files[0].Name())); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the letter reads back differently (%v)", err)
	}
	owner.sees("record list --patient "+to.String(), refiled.Record.String())
	if more := filesIn(t, filepath.Join(p.a.Config.Data, "ipfs", "blocks")) - blocks; more != 2 {
		t.Errorf("%d blocks came, want 2: a second root, and its group's", more)
	}
	before, after := p.a.chainSince(0), refiled.Documents[0]
	if before.documents[filed.Documents[0]].CID == before.documents[after].CID {
		t.Error("the same CID ties the two patients together")
	}
	// To repeat it changes nothing.
	hasRow(t, office.runs(exitOK, "refile --config "+p.a.ConfigPath+" --patient "+of.String()+" --record "+
		filed.Record.String()+" --to "+to.String(), ""), "0 documents")
}
