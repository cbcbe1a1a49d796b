package record_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// FuzzDecodeRequest reads any text as every kind of request. What is accepted can be written, is then accepted again, and
// is the same; what is refused is the client's fault.
func FuzzDecodeRequest(f *testing.F) {
	for _, text := range requestTexts(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		decodeAs[record.InstitutionRegistration](t, text)
		decodeAs[record.InstitutionUpdate](t, text)
		decodeAs[record.Invite](t, text)
		decodeAs[record.Join](t, text)
		decodeAs[record.Rotation](t, text)
		decodeAs[record.Suspension](t, text)
		decodeAs[record.Team](t, text)
		decodeAs[record.PatientRegistration](t, text)
		decodeAs[record.Deceased](t, text)
		decodeAs[record.Link](t, text)
		decodeAs[record.Representation](t, text)
		decodeAs[record.RepresentationEnd](t, text)
		decodeAs[record.AccessRequest](t, text)
		decodeAs[record.Approval](t, text)
		decodeAs[record.Choice](t, text)
		decodeAs[record.Referral](t, text)
		decodeAs[record.Emergency](t, text)
		decodeAs[record.Review](t, text)
		decodeAs[record.SupervisionChange](t, text)
		decodeAs[record.Correction](t, text)
		decodeAs[record.StableRecords](t, text)
		decodeAs[record.Copies](t, text)
		decodeAs[record.RecordName](t, text)
		decodeAs[record.LegalHoldChange](t, text)
		decodeAs[record.Accesses](t, text)
		decodeAs[record.Proposal](t, text)
		decodeAs[record.DecisionName](t, text)
		decodeAs[record.AppointmentProposal](t, text)
		decodeAs[record.AppointmentName](t, text)
		decodeAs[record.Release](t, text)
		decodeAs[record.ReleaseEnd](t, text)
		decodeAs[record.HandOver](t, text)
		decodeAs[record.LateEmergency](t, text)
	})
}

func decodeAs[Q record.Request](t *testing.T, text string) {
	t.Helper()
	q, err := record.DecodeRequest[Q](text)
	if err != nil {
		if refused, ok := errors.AsType[*record.Error](err); !ok || refused.Code != record.BadRequest {
			t.Errorf("%T %q: refused with %v, want %s", q, text, err, record.BadRequest)
		}
		return
	}
	written, err := json.Marshal(q)
	if err != nil {
		t.Fatalf("%T %q: accepted, and cannot be written: %v", q, text, err)
	}
	if len(written) > record.MaxRequestBytes {
		return // JSON may write a text longer than the client did
	}
	again, err := record.DecodeRequest[Q](string(written))
	if err != nil {
		t.Fatalf("%T %q: accepted, and refused as %s: %v", q, text, written, err)
	}
	rewritten, err := json.Marshal(again)
	if err != nil || !bytes.Equal(rewritten, written) {
		t.Errorf("%T: %s is written back as %s, %v", q, written, rewritten, err)
	}
}

// requestTexts are requests with something of everything, and what is nearly one.
func requestTexts(f *testing.F) []string {
	f.Helper()
	patient, participant := fill[record.Reference](1), fill[record.ParticipantID](2)
	until := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	scope := record.Scope{Kinds: []record.Kind{record.KindLetter}, Records: []record.Tag{fill[record.Tag](3)}}
	name := record.RecordName{Patient: patient, Record: fill[record.Tag](3)}
	key, signature := make([]byte, record.EncryptionKeySize), []byte{1}
	rotation := record.Rotation{NewKey: []byte{1}, Proof: []byte{1}, EncryptionKey: key, Signature: signature}
	approval := record.Approval{
		Patient: patient, Participant: participant, Request: record.ID{1}, Scope: &scope, Until: until,
	}
	requests := []record.Request{
		record.InstitutionRegistration{
			Institution: record.Institution{
				Name: "St Mary's", Addresses: []string{"/ip4/203.0.113.7/tcp/4001"},
				Retention: []record.Retention{{Kind: record.KindLetter, Years: 8}},
			},
			EncryptionKey: key, Signature: signature,
		},
		record.Invite{Participant: participant, Role: record.DoctorRole},
		rotation,
		record.Team{ID: participant, Members: []record.TeamMember{{
			Participant: participant, Shifts: []record.Shift{{From: until.Add(-time.Hour), Until: until}},
		}}},
		record.PatientRegistration{Patient: patient, Participant: participant},
		record.Deceased{Patient: patient, Alive: true},
		record.Link{Patient: patient, To: fill[record.Reference](4)},
		record.Representation{
			Patient: patient, Participant: participant, Authority: record.ParentAuthority,
			Evidence: fill[record.Tag](5), Until: until, Scope: scope,
		},
		record.AccessRequest{Patient: patient, Mode: record.Write, Scope: scope, Purpose: record.Treatment, Until: until},
		approval,
		record.Referral{
			Patient: patient, Participant: participant, Scope: scope, Purpose: record.Continuity, Until: until,
		},
		record.Review{Patient: patient, Participant: participant, Request: record.ID{1}, Justified: true},
		record.SupervisionChange{Patient: patient, Team: participant, Until: until},
		record.StableRecords{Records: []record.RecordName{name}},
		record.Copies{Patient: patient, Of: fill[record.Reference](4), Copies: []record.Copy{{
			Record: name.Record, Version: fill[record.Tag](5), Tag: fill[record.Tag](6), CID: cid(0x55, 1),
		}}},
		record.LegalHoldChange{RecordName: name, Reason: record.Litigation},
		record.Accesses{Accesses: []record.AccessAttempt{{
			Participant: participant, Patient: patient, Record: name.Record, Version: fill[record.Tag](5), Session: record.ID{1},
		}}},
		record.Proposal{Rebind: &record.LostKey{Participant: participant, Rotation: rotation}},
		record.Proposal{Assist: &record.AssistedChoice{
			Approval: approval, Decision: record.Approved, Form: fill[record.Tag](5), Reason: record.NoKey,
		}},
		record.Proposal{BindPatient: &record.PatientRegistration{Patient: patient, Participant: participant}},
		record.Proposal{Erase: &record.Erasure{RecordName: name, Versions: []record.Tag{fill[record.Tag](5)}}},
		record.Proposal{RefuseErasure: &record.ErasureRefusal{RecordName: name, Reason: record.RefusedByRetention}},
		record.AppointmentProposal{Doctor: participant, Patient: patient, Start: until, Slots: 2},
		record.AppointmentName{Doctor: participant, Patient: patient, Start: until, ID: record.ID{1}},
		released(),
		record.ReleaseEnd{Patient: patient, Releases: []record.ReleaseName{{Recipient: participant, ID: record.ID{1}}}},
		record.HandOver{Patient: patient, To: fill[record.Reference](4), Recipient: participant},
		record.LateEmergency{EmergencyStatement: statement(), Signature: signature, SigningKey: []byte{1}},
	}
	texts := []string{
		"", "null", "{}", "[]", `""`, "{} {}", `{"patient":null}`, `{"v":2}`, "\xff", `{"until":"0000-01-01T00:00:00Z"}`,
		`{"until":"10000-01-01T00:00:00Z"}`, `{"years":1e400}`, `{"slots":-1}`,
	}
	for _, q := range requests {
		text, err := json.Marshal(q)
		if err != nil {
			f.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

// FuzzDecodeNotes checks that accepted notes are within the limits, and stay accepted.
func FuzzDecodeNotes(f *testing.F) {
	wire, err := json.Marshal([]record.SealedNote{
		{Recipient: fill[record.ParticipantID](1), Ciphertext: make([]byte, 1136)},
		{Recipient: fill[record.ParticipantID](2), Ciphertext: make([]byte, 1137)},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	f.Add([]byte("null"))
	f.Add([]byte("[null]"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		notes, err := record.DecodeNotes(wire)
		if err != nil {
			if refused, ok := errors.AsType[*record.Error](err); !ok || refused.Code != record.BadRequest {
				t.Errorf("refused with %v, want %s", err, record.BadRequest)
			}
			return
		}
		written, err := json.Marshal(notes)
		if err != nil {
			t.Fatal(err)
		}
		again, err := record.DecodeNotes(written)
		if err != nil || len(notes) > record.MaxNotes || !reflect.DeepEqual(again, notes) {
			t.Errorf("%d notes are read back as %d, %v", len(notes), len(again), err)
		}
	})
}

// FuzzDecodeAuditEntry checks that an entry has one value and one key, and an event one form.
func FuzzDecodeAuditEntry(f *testing.F) {
	full := record.AuditEntry{
		Patient: fill[record.Reference](1), ID: record.ID{2}, Number: 3, Action: record.ActApprove, Denied: true,
		Basis: record.BasisPatient, Member: record.InstitutionPrefix{4}, Actor: fill[record.ParticipantID](5),
		Time: time.Date(2026, 11, 22, 18, 30, 0, 0, time.UTC), Subject: fill[record.ParticipantID](6),
		Record: fill[record.Tag](7), About: record.ID{8}, Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	f.Add(record.AuditKey(full.Patient, full.ID, full.Number), full.Encode())
	f.Add(record.AuditKey(full.Patient, full.ID, 255), record.AuditEntry{Action: record.ActJoin, Time: full.Time}.Encode())
	f.Add("", record.Acted{ID: record.ID{1}, Action: record.ActJoin, Denied: true}.Encode())
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		if e, err := record.DecodeAuditEntry(key, value); err == nil {
			if again := record.AuditKey(e.Patient, e.ID, e.Number); again != key {
				t.Errorf("key %q is written back as %q", key, again)
			}
			if again := e.Encode(); !bytes.Equal(again, value) {
				t.Errorf("%x is written back as %x", value, again)
			}
			if _, err := json.Marshal(e); err != nil {
				t.Errorf("%x cannot be told: %v", value, err)
			}
		}
		if event, err := record.DecodeActed(value); err == nil && !bytes.Equal(event.Encode(), value) {
			t.Errorf("event %x is written back as %x", value, event.Encode())
		}
	})
}
