package record_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

func released() record.Release {
	return record.Release{
		Patient: aPatient(1), Recipient: fill[record.ParticipantID](2), Grant: record.ID{3}, Key: record.KeyIDOf([]byte("key")),
	}
}

// sealedRelease has the documents in versions of one record, of as many documents each.
func sealedRelease(perVersion ...int) record.SealedRelease {
	r := record.SealedRelease{Encapsulated: bytes.Repeat([]byte{0xe0}, record.EncapsulatedKeySize), Metadata: []byte("metadata")}
	n := 0
	for i, documents := range perVersion {
		v := record.ReleasedVersion{Record: fill[record.Tag](0xbb), Version: record.Tag{1, byte(i >> 8), byte(i)}}
		for range documents {
			n++
			v.Documents = append(v.Documents, record.ReleasedDocument{
				Tag: record.Tag{2, byte(n >> 8), byte(n)}, CID: cid(0x55, 0x11),
				SealedKey: [record.SealedKeySize]byte(bytes.Repeat([]byte{0x5e}, record.SealedKeySize)),
			})
		}
		r.Versions = append(r.Versions, v)
	}
	return r
}

func storedRelease() record.StoredRelease {
	return record.StoredRelease{
		Institution: aPatient(1).Institution(), Grant: record.ID{3}, Key: record.KeyID{4},
		Until:     time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC),
		Documents: []record.Tag{fill[record.Tag](1), fill[record.Tag](2)},
	}
}

func TestReleaseRequest(t *testing.T) {
	wantSameJSON(t, released())
	for name, test := range map[string]struct {
		change func(*record.Release)
		valid  bool
	}{
		"by a grant":        {func(*record.Release) {}, true},
		"by another right":  {func(q *record.Release) { q.Grant = record.ID{} }, true},
		"of nobody":         {func(q *record.Release) { q.Patient = record.Reference{} }, false},
		"of an institution": {func(q *record.Release) { q.Patient = record.InstitutionReference(q.Patient.Institution()) }, false},
		"to nobody":         {func(q *record.Release) { q.Recipient = record.ParticipantID{} }, false},
		"to no key":         {func(q *record.Release) { q.Key = record.KeyID{} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			q := released()
			test.change(&q)
			wantValid(t, q, test.valid)
		})
	}
}

func TestReleaseEnd(t *testing.T) {
	names := func(n int) (names []record.ReleaseName) {
		for i := range n {
			names = append(names, record.ReleaseName{Recipient: fill[record.ParticipantID](2), ID: record.ID{1, byte(i)}})
		}
		return names
	}
	wantSameJSON(t, record.ReleaseEnd{Patient: aPatient(1), Releases: names(2)})
	for name, test := range map[string]struct {
		q     record.ReleaseEnd
		valid bool
	}{
		"one":           {record.ReleaseEnd{Patient: aPatient(1), Releases: names(1)}, true},
		"the most":      {record.ReleaseEnd{Patient: aPatient(1), Releases: names(record.MaxEndedReleases)}, true},
		"one more":      {record.ReleaseEnd{Patient: aPatient(1), Releases: names(record.MaxEndedReleases + 1)}, false},
		"none":          {record.ReleaseEnd{Patient: aPatient(1)}, false},
		"of nobody":     {record.ReleaseEnd{Releases: names(1)}, false},
		"one twice":     {record.ReleaseEnd{Patient: aPatient(1), Releases: append(names(2), names(1)...)}, false},
		"to nobody":     {record.ReleaseEnd{Patient: aPatient(1), Releases: []record.ReleaseName{{ID: record.ID{1}}}}, false},
		"without an ID": {record.ReleaseEnd{Patient: aPatient(1), Releases: []record.ReleaseName{{Recipient: fill[record.ParticipantID](2)}}}, false},
	} {
		t.Run(name, func(t *testing.T) { wantValid(t, test.q, test.valid) })
	}
}

func TestSealedRelease(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*record.SealedRelease)
		valid  bool
	}{
		"of two versions":     {func(*record.SealedRelease) {}, true},
		"without metadata":    {func(r *record.SealedRelease) { r.Metadata = []byte{} }, true},
		"the most documents":  {func(r *record.SealedRelease) { *r = sealedRelease(record.MaxReleaseDocuments) }, true},
		"one document more":   {func(r *record.SealedRelease) { *r = sealedRelease(1, record.MaxReleaseDocuments) }, false},
		"the most metadata":   {func(r *record.SealedRelease) { r.Metadata = make([]byte, record.MaxReleaseMetadata) }, true},
		"one byte more":       {func(r *record.SealedRelease) { r.Metadata = make([]byte, record.MaxReleaseMetadata+1) }, false},
		"the most records":    {func(r *record.SealedRelease) { *r = ofRecords(record.MaxReleaseRecords) }, true},
		"one record more":     {func(r *record.SealedRelease) { *r = ofRecords(record.MaxReleaseRecords + 1) }, false},
		"of nothing":          {func(r *record.SealedRelease) { r.Versions = nil }, false},
		"an empty version":    {func(r *record.SealedRelease) { r.Versions[0].Documents = nil }, false},
		"of no record":        {func(r *record.SealedRelease) { r.Versions[0].Record = record.Tag{} }, false},
		"a version twice":     {func(r *record.SealedRelease) { r.Versions[1].Version = r.Versions[0].Version }, false},
		"a document twice":    {func(r *record.SealedRelease) { r.Versions[1].Documents[0] = r.Versions[0].Documents[0] }, false},
		"no tag":              {func(r *record.SealedRelease) { r.Versions[0].Documents[0].Tag = record.Tag{} }, false},
		"no CID":              {func(r *record.SealedRelease) { r.Versions[0].Documents[0].CID = record.CID{} }, false},
		"the largest of all":  {func(r *record.SealedRelease) { *r = largestRelease() }, true},
		"another record also": {func(r *record.SealedRelease) { r.Versions[1].Record = record.Tag{9} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := sealedRelease(2, 1)
			test.change(&r)
			wire := r.Encode()
			got, err := record.DecodeSealedRelease(wire)
			if test.valid != (err == nil) || test.valid != (r.Validate() == nil) {
				t.Fatalf("read: %v; validated: %v", err, r.Validate())
			}
			if refused, ok := errors.AsType[*record.Error](err); err != nil && (!ok || refused.Code != record.BadRequest) {
				t.Errorf("got %v, want %s", err, record.BadRequest)
			}
			if test.valid && !reflect.DeepEqual(got, r) {
				t.Errorf("read back as %+v", got)
			}
		})
	}
	r := sealedRelease(1)
	r.Encapsulated = r.Encapsulated[1:]
	if r.Validate() == nil {
		t.Error("an encapsulated key that is too short is valid")
	}
	if got := ofRecords(3); got.Documents() != 3 || len(got.Records()) != 3 || len(sealedRelease(2, 1).Records()) != 1 {
		t.Errorf("%d documents of %d records", got.Documents(), len(got.Records()))
	}
}

// ofRecords is of one document of as many records.
func ofRecords(n int) record.SealedRelease {
	ones := make([]int, n)
	for i := range ones {
		ones[i] = 1
	}
	r := sealedRelease(ones...)
	for i := range r.Versions {
		r.Versions[i].Record = record.Tag{3, byte(i >> 8), byte(i)}
	}
	return r
}

// largestRelease has the longest encoding: each document in a version of its own.
func largestRelease() record.SealedRelease {
	ones := make([]int, record.MaxReleaseDocuments)
	for i := range ones {
		ones[i] = 1
	}
	r := sealedRelease(ones...)
	r.Metadata = make([]byte, record.MaxReleaseMetadata)
	return r
}

func TestSealedReleaseRefuses(t *testing.T) {
	wire := sealedRelease(1).Encode()
	const count = 1 + record.EncapsulatedKeySize // where the versions are counted
	for name, bent := range map[string][]byte{
		"nothing":          {},
		"cut in its key":   wire[:count-1],
		"cut at its count": wire[:count],
		"cut in a version": wire[:count+40],
		"a longer number":  append(append(bytes.Clone(wire[:count]), 0x81, 0), wire[count+1:]...),
		"2⁶³ versions":     append(bytes.Clone(wire[:count]), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
		"another schema":   append([]byte{2}, wire[1:]...),
		"too long":         make([]byte, 1<<20),
	} {
		if got, err := record.DecodeSealedRelease(bent); err == nil {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
}

func TestStoredRelease(t *testing.T) {
	endless := storedRelease()
	endless.Until, endless.Grant = time.Time{}, record.ID{}
	for name, want := range map[string]record.StoredRelease{"by a grant": storedRelease(), "without end": endless} {
		if got, err := record.DecodeRelease(want.Encode()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read back as %+v, %v", name, got, err)
		}
	}
}

func TestReleaseKeys(t *testing.T) {
	patient, recipient, id := aPatient(1), fill[record.ParticipantID](0xff), record.ID{1}
	key := record.ReleaseKey(patient, recipient, id)
	if r, to, n, err := record.ParseReleaseKey(key); err != nil || r != patient || to != recipient || n != id {
		t.Errorf("parse %s: %s, %s, %s, %v", key, r, to, n, err)
	}
	start, end := record.ReleaseRange(patient, recipient)
	allStart, allEnd := record.PatientReleaseRange(patient)
	if !record.IsReleaseKey(key) || key < start || key >= end || key < allStart || key >= allEnd {
		t.Errorf("%s is not in its ranges", key)
	}
	other := record.ReleaseKey(patient, fill[record.ParticipantID](0xfe), id)
	if other >= start && other < end || other < allStart || other >= allEnd {
		t.Errorf("another's key %s is in the recipient's range, or not in the patient's", other)
	}
	for _, bad := range []string{"", "K", key + "0", key[1:], "U" + key[1:], key[:1] + "+" + key[2:], key[:30] + "+" + key[31:], key[:56] + "+"} {
		if _, _, _, err := record.ParseReleaseKey(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestKeyID(t *testing.T) {
	id := record.KeyIDOf(nil)
	if hex.EncodeToString(id[:]) != "e3b0c44298fc1c14" { // SHA-256 of nothing
		t.Errorf("key ID %x", id)
	}
	var got record.KeyID
	if err := got.UnmarshalText([]byte(id.String())); err != nil || got != id {
		t.Errorf("read back as %s, %v", got, err)
	}
}

func statement() record.EmergencyStatement {
	reason := bytes.Repeat([]byte{0x77}, 32)
	return record.EmergencyStatement{
		Patient: aPatient(1), Participant: fill[record.ParticipantID](2), Record: fill[record.Tag](3), ID: record.ID{4},
		Time: time.Date(2026, 11, 22, 18, 30, 0, 0, time.UTC), Reason: reason,
	}
}

func TestLateEmergency(t *testing.T) {
	good := record.LateEmergency{EmergencyStatement: statement(), Signature: []byte{1}}
	wantSameJSON(t, good)
	for name, test := range map[string]struct {
		change func(*record.LateEmergency)
		valid  bool
	}{
		"with the present key": {func(*record.LateEmergency) {}, true},
		"with an earlier key":  {func(q *record.LateEmergency) { q.SigningKey = make([]byte, 91) }, true},
		"with a long key":      {func(q *record.LateEmergency) { q.SigningKey = make([]byte, 201) }, false},
		"of nobody":            {func(q *record.LateEmergency) { q.Patient = record.Reference{} }, false},
		"by nobody":            {func(q *record.LateEmergency) { q.Participant = record.ParticipantID{} }, false},
		"of no record":         {func(q *record.LateEmergency) { q.Record = record.Tag{} }, false},
		"without an ID":        {func(q *record.LateEmergency) { q.ID = record.ID{} }, false},
		"without a time":       {func(q *record.LateEmergency) { q.Time = time.Time{} }, false},
		"at part of a second":  {func(q *record.LateEmergency) { q.Time = q.Time.Add(1) }, false},
		"in the year 10000":    {func(q *record.LateEmergency) { q.Time = q.Time.AddDate(8000, 0, 0) }, false},
		"without a reason":     {func(q *record.LateEmergency) { q.Reason = nil }, false},
		"a reason in words":    {func(q *record.LateEmergency) { q.Reason = []byte("unconscious") }, false},
		"unsigned":             {func(q *record.LateEmergency) { q.Signature = nil }, false},
		"a long signature":     {func(q *record.LateEmergency) { q.Signature = make([]byte, 81) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			q := good
			test.change(&q)
			wantValid(t, q, test.valid)
		})
	}
}

// TestEmergencyMessage: what is signed says all of the statement.
func TestEmergencyMessage(t *testing.T) {
	seen := map[string]string{}
	for name, change := range map[string]func(*record.EmergencyStatement){
		"as it is":          func(*record.EmergencyStatement) {},
		"another patient":   func(s *record.EmergencyStatement) { s.Patient[15]++ },
		"another doctor":    func(s *record.EmergencyStatement) { s.Participant[15]++ },
		"another record":    func(s *record.EmergencyStatement) { s.Record[15]++ },
		"another ID":        func(s *record.EmergencyStatement) { s.ID[7]++ },
		"a second later":    func(s *record.EmergencyStatement) { s.Time = s.Time.Add(time.Second) },
		"for other reasons": func(s *record.EmergencyStatement) { s.Reason = bytes.Repeat([]byte{0x78}, 32) },
	} {
		s := statement()
		change(&s)
		message := string(s.Message())
		if twin, found := seen[message]; found {
			t.Errorf("%s and %s have the same message", name, twin)
		}
		seen[message] = name
	}
}

func TestHandOver(t *testing.T) {
	good := record.HandOver{Patient: aPatient(1), To: aPatient(2), Recipient: fill[record.ParticipantID](3)}
	wantSameJSON(t, good)
	for name, test := range map[string]struct {
		change func(*record.HandOver)
		valid  bool
	}{
		"as it is":   {func(*record.HandOver) {}, true},
		"of nobody":  {func(q *record.HandOver) { q.Patient = record.Reference{} }, false},
		"for nobody": {func(q *record.HandOver) { q.To = record.Reference{} }, false},
		"to oneself": {func(q *record.HandOver) { q.To = q.Patient }, false},
		"to nobody":  {func(q *record.HandOver) { q.Recipient = record.ParticipantID{} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			q := good
			test.change(&q)
			wantValid(t, q, test.valid)
		})
	}
}
