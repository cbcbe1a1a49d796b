package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet/devnettest"
)

// TestAStudyBecomesStable: after a quiet time the ledger says that a study is stable, for everybody. What comes later joins it,
// and is marked as late there; the study stays stable since the first time.
func TestAStudyBecomesStable(t *testing.T) {
	n := devnettest.Exclusive(t)
	s := newSite(t, n, 0)
	s.Config.Studies.Quiet = 5 * time.Second
	if err := s.WriteConfig(); err != nil {
		t.Fatal(err)
	}
	from := s.height()
	s.start()
	const early, late = 6, 2
	_, instances := study(t, early+late)
	for i, content := range instances[:early] {
		s.dropFile(s.DICOM, fmt.Sprintf("early-%d.dcm", i), content)
	}
	s.awaitSettled(early)
	var name record.RecordName
	for _, v := range s.chainSince(from).versions {
		name = record.RecordName{Patient: v.Patient, Record: v.Record}
	}
	stable := func() time.Time {
		status, err := s.other.Status(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return status.Stable
	}
	if since := stable(); !since.IsZero() {
		t.Fatalf("the study is stable since %s, before its quiet time is over", since)
	}
	poll(t, "the study is stable", func() bool { return !stable().IsZero() }, func() string { return "it is open" })
	since := stable()

	s.kill() // what is stable stays so
	s.start()
	for i, content := range instances[early:] {
		s.dropFile(s.DICOM, fmt.Sprintf("late-%d.dcm", i), content)
	}
	s.awaitSettled(early + late)
	c, found := s.chainSince(from), 0
	for tag, v := range c.versions {
		if v.Record != name.Record {
			t.Errorf("document %s is in record %s, want %s", tag, v.Record, name.Record)
		}
		if v.Late {
			found++
		}
	}
	if len(c.versions) != early+late || found != late {
		t.Errorf("%d documents, %d of them late; want %d and %d", len(c.versions), found, early+late, late)
	}
	if again := stable(); !again.Equal(since) {
		t.Errorf("stable since %s, and before since %s", again, since)
	}
}
