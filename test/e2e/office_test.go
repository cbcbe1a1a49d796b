package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
)

// TestTheOfficeByCommandLine tells what offices, doctors and patients do by commands that other tests do not meet: links
// and merges, who signs for a patient, deaths, shifts, referrals, decisions for who has no key, and what is declined.
func TestTheOfficeByCommandLine(t *testing.T) {
	n := devnettest.Network(t)
	here, there := n.Members[0], n.Members[1]
	site := newSite(t, n, 0)
	site.start()
	site.dropFile(site.Documents, "9990000026/form.txt", []byte("A form that nobody signed: this patient does not exist."))
	site.awaitSettled(1)
	staff, clerk := enrol(t, n, here, record.StaffRole), enrol(t, n, here, record.StaffRole)
	staffThere := enrol(t, n, there, record.StaffRole)
	doctor, elsewhere := enrol(t, n, here, record.DoctorRole), enrol(t, n, there, record.DoctorRole)
	first, second := enrol(t, n, here, record.PatientRole), enrol(t, n, here, record.PatientRole)
	_, reference := staff.does("patient register --issuer NHS --id 9990000026 --config "+site.ConfigPath, "")
	of := " --patient " + reference
	form := site.recordsOf(parseReference(t, reference))[0]
	the := of + " --record " + form.Record.String()
	month := " --until " + time.Now().AddDate(0, 1, 0).Format(time.DateOnly)
	confirmed := func(decision string) { clerk.does("decision confirm --decision "+decision, "") }

	// The patient has no key: the office decides by a form, two people together.
	request, _ := elsewhere.does("access request --all --mode read"+of+month, "")
	decision, _ := staff.does("assist approve --because no-device --form "+form.Documents[0].String()+" --request "+request+of, "")
	clerk.does("decision decline --decision "+decision, "")
	elsewhere.runs(exitRefused, "access check"+the, "")
	decision, _ = staff.does("assist approve --because no-device --form "+form.Documents[0].String()+" --request "+request+of, "")
	confirmed(decision)
	elsewhere.sees("access check"+the, "allowed: grant")
	decision, _ = staff.does("assist revoke --because no-device --form "+form.Documents[0].String()+" --request "+request+of, "")
	confirmed(decision)
	elsewhere.runs(exitRefused, "access check"+the, "")

	// They are given a participant, then another one.
	staff.does("patient register --participant "+first.id.String()+of, "")
	decision, _ = staff.does("patient bind --participant "+second.id.String()+of, "")
	confirmed(decision)
	staff.sees("patient show"+of, "participant", second.id.String())
	second.runs(exitRefused, "access request --mode write --kind letter"+of+month, "") // only doctors ask
	elsewhere.does("access request --mode write --kind letter"+of+month, "")

	// Deaths, and taken back.
	staff.does("patient deceased"+of, "")
	staff.sees("patient list", reference, second.id.String())
	staff.sees("patient show"+of, "deceased")
	staff.does("patient deceased --alive"+of, "")

	// Two references of one person: in one hospital a merge, across two a link by both offices, or by the patient.
	_, twin := staff.does("patient register --issuer Local --id twin-1 --config "+site.ConfigPath+" --participant "+
		second.id.String(), "")
	staff.does("patient merge"+of+" --to "+twin, "")
	staff.sees("patient show"+of, "link", twin, "merge")
	staff.does("patient unlink"+of+" --to "+twin, "")
	abroad := record.NewReference(there.MSPID, [10]byte{byte(time.Now().UnixNano()), 7}).String()
	staffThere.does("patient register --patient "+abroad+" --participant "+second.id.String(), "")
	_, state := staff.does("patient link"+of+" --to "+abroad, "")
	if state != string(record.LinkProposed) {
		t.Errorf("one office alone links: %s", state)
	}
	staffThere.does("patient link --patient "+abroad+" --to "+reference, "")
	second.sees("patient show"+of, "link", abroad, "agreed")
	second.does("patient unlink"+of+" --to "+abroad, "")

	// Shifts: on duty now, and off duty.
	shifts := func(from, until time.Duration) string {
		members := []record.TeamMember{{Participant: doctor.id, Shifts: []record.Shift{{
			From: time.Now().Add(from).UTC().Truncate(time.Second), Until: time.Now().Add(until).UTC().Truncate(time.Second),
		}}}}
		text, err := json.Marshal(members)
		file := filepath.Join(t.TempDir(), "members.json")
		if err == nil {
			err = os.WriteFile(file, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return " --members-file " + file
	}
	_, team := staff.does("team set"+shifts(-time.Hour, time.Hour), "")
	staff.does("supervise add --team "+team+of, "")
	doctor.sees("access check"+the, "allowed: supervision")
	staff.does("team set --team "+team+shifts(time.Hour, 2*time.Hour), "")
	doctor.runs(exitRefused, "access check"+the, "")
	staff.does("supervise end --team "+team+of, "")

	// A referral, which its doctor gives back; and an emergency that was none.
	staff.does("access refer --all --participant "+elsewhere.id.String()+of+month, "")
	elsewhere.sees("access check"+the, "allowed: referral")
	referral := referralOf(t, second, reference)
	elsewhere.does("access relinquish --request "+referral+of, "")
	elsewhere.runs(exitRefused, "access check"+the, "")
	glass, _ := elsewhere.does("access break-glass --all"+of, "", "--reason", "it seemed urgent")
	staff.does("access review --unjustified --request "+glass+of, "")
	second.sees("access list"+of, glass, "not justified")

	// What is declined, and what is refused.
	start := time.Now().AddDate(0, 0, 3).Truncate(time.Hour).Format(time.RFC3339)
	appointment, _ := second.does("appointment propose --minutes 15 --start "+start+" --doctor "+doctor.id.String()+of, "")
	doctor.runs(exitRefused, "appointment complete --appointment "+appointment, "")
	doctor.does("appointment decline --appointment "+appointment, "")
	second.does("erasure request"+the, "")
	decision, _ = staff.does("erasure refuse --because vital-or-public-interest"+the, "")
	confirmed(decision)
	second.sees("record status"+the, "erasure refused")
}

// referralOf gives the ID of a patient's one referral.
func referralOf(t *testing.T, patient *someone, reference string) string {
	t.Helper()
	var all []struct {
		ID    string `json:"id"`
		Basis string `json:"basis"`
	}
	text := patient.runs(exitOK, "access list --json --patient "+reference, "")
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		if g.Basis == record.BasisReferral.String() {
			return g.ID
		}
	}
	t.Fatalf("no referral is listed: %s", text)
	return ""
}

func parseReference(t *testing.T, text string) record.Reference {
	t.Helper()
	r, err := record.ParseReference(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
