package record_test

import (
	"slices"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

func TestSlotAt(t *testing.T) {
	for text, want := range map[string]bool{
		"2026-11-22T18:30:00Z":      true,
		"2026-11-22T18:30:00+05:45": true, // a quarter of an hour is one everywhere
		"1970-01-01T00:00:00Z":      true,
		"2026-11-22T18:31:00Z":      false,
		"2026-11-22T18:30:01Z":      false,
		"2026-11-22T18:30:00.5Z":    false,
		"1969-12-31T23:45:00Z":      false,
	} {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		slot, ok := record.SlotAt(at)
		if ok != want || ok && !slot.Time().Equal(at) {
			t.Errorf("%s: slot %d at %s, %t", text, slot, slot.Time(), ok)
		}
	}
}

// TestSlotsSort: keys sort as the slots do, so that a page is in the order of time.
func TestSlotsSort(t *testing.T) {
	doctor, patient := record.ParticipantID{1}, record.Reference{2}
	var slots, diary []string
	for _, s := range []record.Slot{0, 9, 10, 1<<20 + 1, 1 << 31, 1<<32 - 1} {
		slots = append(slots, record.SlotKey(doctor, s))
		diary = append(diary, record.DiaryKey(patient, s, doctor))
	}
	if !slices.IsSorted(slots) || !slices.IsSorted(diary) {
		t.Errorf("out of order: %q, %q", slots, diary)
	}
	inRange := func(keys []string, start, end string) bool {
		return !slices.ContainsFunc(keys, func(k string) bool { return k < start || k >= end })
	}
	if start, end := record.DoctorSlots(doctor); !inRange(slots, start, end) {
		t.Errorf("%q to %q is not the range of %q", start, end, slots)
	}
	if start, end := record.Diary(patient); !inRange(diary, start, end) {
		t.Errorf("%q to %q is not the range of %q", start, end, diary)
	}
}

func TestSlotKeys(t *testing.T) {
	start := time.Date(2026, 11, 22, 18, 30, 0, 0, time.UTC)
	a := record.Appointment{Doctor: record.ParticipantID{1}, Patient: record.Reference{2}, Start: start, Slots: 3}
	first, _ := record.SlotAt(start)
	want := []string{
		record.SlotKey(a.Doctor, first), record.SlotKey(a.Doctor, first+1), record.SlotKey(a.Doctor, first+2),
	}
	if got := a.SlotKeys(); !slices.Equal(got, want) {
		t.Errorf("slots %q, want %q", got, want)
	}
	if got := a.DiaryKey(); got != record.DiaryKey(a.Patient, first, a.Doctor) {
		t.Errorf("diary %q", got)
	}
}

// TestProposalEnds: a proposal is never both answered and free, whatever two clients' clocks say within
// record.ClockSkew.
func TestProposalEnds(t *testing.T) {
	proposed := time.Date(2026, 11, 22, 18, 30, 0, 0, time.UTC)
	end := proposed.Add(record.ProposalTTL)
	for name, test := range map[string]struct {
		state       record.AppointmentState
		now         time.Time
		waits, free bool
	}{
		"new":            {record.AppointmentProposed, proposed, true, false},
		"before its end": {record.AppointmentProposed, end.Add(-record.ClockSkew - time.Second), true, false},
		"at its end":     {record.AppointmentProposed, end.Add(-record.ClockSkew), false, false},
		"after its end":  {record.AppointmentProposed, end, false, true},
		"accepted":       {record.AppointmentAccepted, end, false, false},
		"completed":      {record.AppointmentCompleted, end, false, false},
		"declined":       {record.AppointmentDeclined, proposed, false, true},
		"cancelled":      {record.AppointmentCancelled, proposed, false, true},
		"of a newer one": {"rescheduled", end, false, false},
	} {
		a := record.Appointment{State: test.state, Proposed: proposed}
		if a.Waits(test.now) != test.waits || a.Free(test.now) != test.free {
			t.Errorf("%s: waits %t, free %t", name, a.Waits(test.now), a.Free(test.now))
		}
	}
}

func TestValidateAppointment(t *testing.T) {
	start := time.Date(2026, 11, 22, 18, 30, 0, 0, time.UTC)
	good := record.AppointmentProposal{
		Doctor: record.ParticipantID{1}, Patient: record.Reference{1, 2, 3, 4, 5, 6, 7}, Start: start, Slots: 1,
	}
	for name, change := range map[string]func(*record.AppointmentProposal){
		"":                  func(*record.AppointmentProposal) {},
		"no doctor":         func(q *record.AppointmentProposal) { q.Doctor = record.ParticipantID{} },
		"no patient":        func(q *record.AppointmentProposal) { q.Patient = record.Reference{} },
		"an institution":    func(q *record.AppointmentProposal) { q.Patient = record.Reference{1, 2, 3, 4, 5, 6} },
		"no start":          func(q *record.AppointmentProposal) { q.Start = time.Time{} },
		"not at a quarter":  func(q *record.AppointmentProposal) { q.Start = start.Add(time.Minute) },
		"no slots":          func(q *record.AppointmentProposal) { q.Slots = 0 },
		"fewer than none":   func(q *record.AppointmentProposal) { q.Slots = -1 },
		"too many of slots": func(q *record.AppointmentProposal) { q.Slots = record.MaxSlots + 1 },
	} {
		q := good
		change(&q)
		wantRefused(t, name, q, name != "")
	}
	good.Slots = record.MaxSlots
	wantRefused(t, "as many slots as may be", good, false)

	named := record.AppointmentName{Doctor: good.Doctor, Patient: good.Patient, Start: start, ID: record.ID{1}}
	for name, change := range map[string]func(*record.AppointmentName){
		"":                 func(*record.AppointmentName) {},
		"no doctor":        func(q *record.AppointmentName) { q.Doctor = record.ParticipantID{} },
		"no patient":       func(q *record.AppointmentName) { q.Patient = record.Reference{} },
		"no ID":            func(q *record.AppointmentName) { q.ID = record.ID{} },
		"not at a quarter": func(q *record.AppointmentName) { q.Start = start.Add(time.Second) },
	} {
		q := named
		change(&q)
		wantRefused(t, name, q, name != "")
	}
}
