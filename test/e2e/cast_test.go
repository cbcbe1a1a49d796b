package e2e

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/ledger/sealed"
	"github.com/medanchor/medanchor/test/consortium"
	"github.com/medanchor/medanchor/test/synth"
)

// cast are people of a hospital, whose names we know and the ledger must not.
type cast struct {
	t                                    *testing.T
	office                               *consortium.Institution
	appliance, doctor, staff, second     *consortium.Person
	patient                              *consortium.Person
	reference                            record.Reference
	doctorName, patientName, patientsNHS string
}

// newCast enrols people at a member's hospital.
func newCast(t *testing.T, n *devnet.Network, m *devnet.Member, doctor, patient synth.Person) *cast {
	t.Helper()
	c := &cast{t: t, doctorName: doctor.Name(), patientName: patient.Name(), patientsNHS: patient.NHS}
	var err error
	if c.office, err = consortium.Open(t.Context(), n, m); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.office.Close() })
	enrol := func(role record.Role) *consortium.Person {
		p, err := c.office.Enrol(t.Context(), role)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		return p
	}
	c.appliance, c.doctor, c.patient = enrol(record.ApplianceRole), enrol(record.DoctorRole), enrol(record.PatientRole)
	c.staff, c.second = enrol(record.StaffRole), enrol(record.StaffRole)
	if c.reference, err = c.office.Patient(t.Context(), c.patient); err != nil {
		t.Fatal(err)
	}
	return c
}

// do runs a function of the contract.
func (c *cast) do(p *consortium.Person, function string, q record.Request, notes ...record.SealedNote) record.ID {
	c.t.Helper()
	acted, err := p.Do(c.t.Context(), function, q, nil, notes...)
	if err != nil {
		c.t.Fatalf("%s: %v", function, err)
	}
	return acted.ID
}

// note seals to somebody who it is about, and who writes.
func (c *cast) note(purpose sealed.Purpose, from *consortium.Person, to record.ParticipantID, text, name string) record.SealedNote {
	c.t.Helper()
	recipient, err := from.Participant(c.t.Context(), to)
	if err != nil {
		c.t.Fatal(err)
	}
	note, err := sealed.Seal(sealed.Context{
		Purpose: purpose, Channel: from.Channel, Patient: c.reference, Sender: from.ID, Recipient: to,
	}, recipient, sealed.Note{Text: text, Name: name})
	if err != nil {
		c.t.Fatal(err)
	}
	return note
}

// anchor anchors a letter whose name and content are the patient's own.
func (c *cast) anchor(secret [32]byte) (record.RecordName, record.Tag) {
	c.t.Helper()
	v := record.Version{
		Patient: c.reference, Record: record.RecordTag(secret, c.patientsNHS+c.patientName), Kind: record.KindLetter,
		Documents: []record.Document{{
			Tag: record.DocumentTag(secret, 0, sha256.Sum256([]byte(c.patientName))), CID: record.CID{0x55, 1},
		}},
	}
	receipt, err := c.appliance.Anchor(c.t.Context(), record.Batch{Versions: []record.Version{v}})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.appliance.Await(c.t.Context(), receipt.Block); err != nil {
		c.t.Fatal(err)
	}
	return record.RecordName{Patient: v.Patient, Record: v.Record}, v.Name()
}

// TestNoPersonOnTheLedger: people with known names do one of each that they do on the ledger, and tell each other names
// and identifiers in sealed notes. None of these stands in a certificate, a block, a state, private or history database, or a log
// of the network.
func TestNoPersonOnTheLedger(t *testing.T) {
	n := devnettest.Network(t)
	manifest, _ := generate(t, 31)
	people := manifest.People
	here := newCast(t, n, n.Members[0], people[0], people[1])
	there := newCast(t, n, n.Members[1], people[2], people[3])
	letter, page := here.anchor(sha256.Sum256([]byte("secret of " + t.Name())))
	all := record.Scope{All: true}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	about := here.patientName + ", NHS number " + here.patientsNHS

	ask := func() record.Approval {
		request := here.do(there.doctor, record.RequestFunction, record.AccessRequest{
			Patient: here.reference, Mode: record.Read, Scope: all, Purpose: record.Treatment, Until: until,
		}, here.note(sealed.AccessRequest, there.doctor, here.patient.ID, about, there.doctorName))
		return record.Approval{Patient: here.reference, Participant: there.doctor.ID, Request: request}
	}
	approval := ask()
	here.do(here.patient, record.ApproveFunction, approval)
	here.do(there.appliance, record.AccessFunction, record.Accesses{Accesses: []record.AccessAttempt{{
		Participant: there.doctor.ID, Patient: here.reference, Record: letter.Record, Version: page, Session: record.ID{1},
	}}})
	start := time.Now().UTC().Truncate(record.SlotLength).Add(time.Hour)
	here.do(there.doctor, record.ProposeAppointmentFunction, record.AppointmentProposal{
		Doctor: there.doctor.ID, Patient: here.reference, Start: start, Slots: 1,
	}, here.note(sealed.Appointment, there.doctor, here.patient.ID, about, there.doctorName))
	here.do(here.patient, record.RevokeFunction, record.Choice{
		Patient: here.reference, Participant: there.doctor.ID, Request: approval.Request,
	})
	assisted := here.do(here.staff, record.ProposeFunction, record.Proposal{Assist: &record.AssistedChoice{
		Approval: ask(), Decision: record.Approved, Form: page, Reason: record.NoDevice,
	}})
	here.do(here.second, record.ConfirmFunction, record.DecisionName{Decision: assisted})
	glass := here.do(there.doctor, record.BreakGlassFunction, record.Emergency{Patient: here.reference, Scope: all},
		here.note(sealed.BreakGlass, there.doctor, here.office.ID, about, there.doctorName))
	here.do(here.staff, record.ReviewFunction, record.Review{
		Patient: here.reference, Participant: there.doctor.ID, Request: glass, Justified: true,
	})
	here.do(here.staff, record.SuperviseFunction, record.SupervisionChange{Patient: here.reference, Participant: here.doctor.ID})
	here.do(here.staff, record.RepresentFunction, record.Representation{
		Patient: here.reference, Participant: there.patient.ID, Authority: record.NominatedBy, Evidence: page, Until: until, Scope: all,
	})
	here.do(here.staff, record.LinkFunction, record.Link{Patient: here.reference, To: there.reference})
	here.do(there.staff, record.LinkFunction, record.Link{Patient: here.reference, To: there.reference})
	here.do(here.patient, record.RequestErasureFunction, letter)
	erase := here.do(here.staff, record.ProposeFunction, record.Proposal{
		Erase: &record.Erasure{RecordName: letter, Versions: []record.Tag{page}},
	})
	here.do(here.second, record.ConfirmFunction, record.DecisionName{Decision: erase})

	files := searchTree(t, newSearcher(personalValues(manifest)), n.Dir)
	checkSearched(t, files, n, here.reference.String(), "stateLeveldb", "historyLeveldb", n.Channel)
	checkSearched(t, files, n, record.SealedKey(glass, here.office.ID), "pvtdataStore")
}

// checkSearched looks in the same files and views for what does stand on the ledger: it must be in a file of each of these
// folders of every peer.
func checkSearched(t *testing.T, files []treeFile, n *devnet.Network, text string, folders ...string) {
	t.Helper()
	found := map[string]bool{}
	for _, f := range files {
		if foundText(t, f.path, text) {
			found[owner(n, f.path)+"/"+filepath.Base(filepath.Dir(f.path))] = true
		}
	}
	for _, m := range n.Members {
		for _, folder := range folders {
			if !found[m.Peer.Name+"/"+folder] {
				t.Errorf("%s is not found in %s of %s, but in %v: the search does not reach there", text, folder, m.Peer.Name, found)
			}
		}
	}
}

// foundText says whether a file holds a text, in any of its views.
func foundText(t *testing.T, path, text string) bool {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		return false // it is gone: the network runs
	}
	all, err := views(path, data)
	if err != nil {
		t.Errorf("open %s: %v", path, err)
	}
	return slices.ContainsFunc(all, func(view []byte) bool { return bytes.Contains(view, []byte(text)) })
}

// owner names the peer whose file it is.
func owner(n *devnet.Network, path string) string {
	for _, m := range n.Members {
		if strings.HasPrefix(path, m.Peer.Dir+string(filepath.Separator)) {
			return m.Peer.Name
		}
	}
	return ""
}
