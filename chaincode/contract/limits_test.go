package contract_test

import (
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// limit is one of the schema's limits. The call is accepted with as many as it allows, and refused with one more.
type limit struct {
	most int
	code record.Code // of the refusal
	call func(w *world, n int) *record.Error
}

func limits() map[string]limit {
	return map[string]limit{
		"MaxRequestBytes": {record.MaxRequestBytes, record.BadRequest, func(w *world, n int) *record.Error {
			text := string(mustJSON(w.t, record.Deceased{Patient: w.reference}))
			text += strings.Repeat(" ", n-len(text))
			return refusalOf(w.t, w.ledger.endorse(w.a.staff.creator, nil, record.DeceasedFunction, text))
		}},
		"MaxNotes": {record.MaxNotes, record.BadRequest, func(w *world, n int) *record.Error {
			notes := []record.SealedNote{note(w.a.institution.id)}
			for i := range n - 1 {
				notes = append(notes, note(record.ParticipantID{byte(i + 1)}))
			}
			return w.breakGlass(w.a.doctor, notes...)
		}},
		"MaxNoteBytes": {record.MaxNoteBytes, record.BadRequest, func(w *world, n int) *record.Error {
			return w.breakGlass(w.a.doctor, record.SealedNote{Recipient: w.a.institution.id, Ciphertext: make([]byte, n)})
		}},
		"MaxPageSize":       {record.MaxPageSize, record.BadRequest, pages},
		"MaxNameBytes":      institutionLimit(record.MaxNameBytes, func(n int) record.Institution { return record.Institution{Name: strings.Repeat("a", n)} }),
		"MaxAddresses":      institutionLimit(record.MaxAddresses, func(n int) record.Institution { return addresses(n, 20) }),
		"MaxAddressBytes":   institutionLimit(record.MaxAddressBytes, func(n int) record.Institution { return addresses(1, n) }),
		"MaxRetentionYears": institutionLimit(record.MaxRetentionYears, retention),
		"MaxTeamMembers": {record.MaxTeamMembers, record.BadRequest, func(w *world, n int) *record.Error {
			q := record.Team{ID: teamOf(w.a.mspID)}
			for range n {
				q.Members = append(q.Members, record.TeamMember{Participant: w.enrol(w.a, record.DoctorRole).id})
			}
			return w.try(w.a.staff, record.SetTeamFunction, q)
		}},
		"MaxShifts": {record.MaxShifts, record.BadRequest, func(w *world, n int) *record.Error {
			member := record.TeamMember{Participant: w.a.doctor.id}
			for i := range n {
				from := w.now().AddDate(0, 0, i)
				member.Shifts = append(member.Shifts, record.Shift{From: from, Until: from.Add(time.Hour)})
			}
			return w.try(w.a.staff, record.SetTeamFunction,
				record.Team{ID: teamOf(w.a.mspID), Members: []record.TeamMember{member}})
		}},
		"MaxLinks": {record.MaxLinks, record.WrongState, func(w *world, n int) *record.Error {
			return times(n, func(int) *record.Error {
				return w.try(w.a.staff, record.MergeFunction, record.Link{Patient: w.reference, To: w.register(w.a, nil)})
			})
		}},
		"MaxRepresentatives": {record.MaxRepresentatives, record.WrongState, func(w *world, n int) *record.Error {
			return times(n, func(int) *record.Error {
				return w.representFor(w.enrol(w.a, record.RepresentativeRole), w.now().AddDate(1, 0, 0))
			})
		}},
		"MaxRepresentationYears": {record.MaxRepresentationYears, record.BadRequest, func(w *world, n int) *record.Error {
			return w.representFor(w.representative, w.now().AddDate(n, 0, 0))
		}},
		"MaxScopeRecords": {record.MaxScopeRecords, record.BadRequest, func(w *world, n int) *record.Error {
			var scope record.Scope
			for i := range n {
				scope.Records = append(scope.Records, tag(fmt.Sprint(i)))
			}
			return w.requestFor(scope, time.Hour)
		}},
		"MaxGrants": {record.MaxGrants, record.WrongState, func(w *world, n int) *record.Error {
			return times(n, func(i int) *record.Error {
				return w.requestFor(record.Scope{Records: []record.Tag{tag(fmt.Sprint(i))}}, time.Hour)
			})
		}},
		"MaxGrantTime": {int(record.MaxGrantTime / time.Second), record.BadRequest, func(w *world, n int) *record.Error {
			return w.requestFor(record.Scope{All: true}, time.Duration(n)*time.Second)
		}},
		"MaxSupervisors": {record.MaxSupervisors, record.WrongState, func(w *world, n int) *record.Error {
			return times(n, func(int) *record.Error {
				return w.try(w.a.staff, record.SuperviseFunction,
					record.SupervisionChange{Patient: w.reference, Participant: w.enrol(w.a, record.DoctorRole).id})
			})
		}},
		"MaxTeamsOfPatient": {record.MaxTeamsOfPatient, record.WrongState, func(w *world, n int) *record.Error {
			return times(n, func(int) *record.Error {
				team := record.Team{ID: record.NewParticipantID(w.a.mspID, w.random())}
				w.must(w.a.staff, record.SetTeamFunction, team)
				return w.try(w.a.staff, record.SuperviseFunction, record.SupervisionChange{Patient: w.reference, Team: team.ID})
			})
		}},
		"MaxReferralTime": {int(record.MaxReferralTime / time.Second), record.BadRequest, func(w *world, n int) *record.Error {
			return w.try(w.a.staff, record.ReferFunction, record.Referral{
				Patient: w.reference, Participant: w.b.doctor.id, Scope: record.Scope{All: true}, Purpose: record.Treatment,
				Until: w.now().Add(time.Duration(n) * time.Second),
			})
		}},
		"MaxOpenGlass": {record.MaxOpenGlass, record.WrongState, func(w *world, n int) *record.Error {
			return times(n, func(i int) *record.Error {
				scope := record.Scope{Records: []record.Tag{tag(fmt.Sprint(i))}}
				return w.try(w.b.doctor, record.BreakGlassFunction, record.Emergency{Patient: w.reference, Scope: scope},
					note(w.a.institution.id))
			})
		}},
		"MaxSlots": {record.MaxSlots, record.BadRequest, func(w *world, n int) *record.Error {
			return w.bookFor(w.now().AddDate(0, 0, 1).Truncate(record.SlotLength), n)
		}},
		"MaxAhead": {int(record.MaxAhead / record.SlotLength), record.BadRequest, func(w *world, n int) *record.Error {
			return w.bookFor(w.now().Add(time.Duration(n-1)*record.SlotLength), 1) // ends n slots ahead
		}},
		"MaxStable": {record.MaxStable, record.BadRequest, func(w *world, n int) *record.Error {
			var q record.StableRecords
			for i := range n {
				q.Records = append(q.Records, record.RecordName{Patient: w.reference, Record: tag(fmt.Sprint(i))})
			}
			return w.try(w.a.appliance, record.StableFunction, q)
		}},
		"MaxCopies":           {record.MaxCopies, record.BadRequest, copies},
		"MaxHolders":          {record.MaxHolders, record.WrongState, holders},
		"MaxAccesses":         {record.MaxAccesses, record.BadRequest, accesses},
		"MaxErasure":          {record.MaxErasure, record.BadRequest, func(w *world, n int) *record.Error { return w.eraseAll(n, 1) }},
		"MaxErasureDocuments": {record.MaxErasureDocuments, record.BadRequest, eraseDocuments},
		"MaxReleaseDocuments": {record.MaxReleaseDocuments, record.BadRequest, func(w *world, n int) *record.Error {
			return w.releaseMany(1, n, 0)
		}},
		"MaxReleaseRecords": {record.MaxReleaseRecords, record.BadRequest, func(w *world, n int) *record.Error {
			return w.releaseMany(n, 1, 0)
		}},
		"MaxReleaseMetadata": {record.MaxReleaseMetadata, record.BadRequest, func(w *world, n int) *record.Error {
			return w.releaseMany(1, 1, n)
		}},
		"MaxEndedReleases": {record.MaxEndedReleases, record.BadRequest, func(w *world, n int) *record.Error {
			end := record.ReleaseEnd{Patient: w.reference}
			for i := range n {
				end.Releases = append(end.Releases, record.ReleaseName{Recipient: w.patient.id, ID: record.ID{1, byte(i)}})
			}
			return w.try(w.a.appliance, record.EndReleaseFunction, end)
		}},
		"MaxLateEmergency": {int(record.MaxLateEmergency / time.Second), record.BadRequest, func(w *world, n int) *record.Error {
			return w.record(w.a, at(-time.Duration(n)*time.Second)(w))
		}},
		"MaxOpenLate": {record.MaxOpenLate, record.WrongState, func(w *world, n int) *record.Error {
			return times(n, func(i int) *record.Error {
				return w.record(w.a, w.late(w.a.doctor, w.reference, tag(fmt.Sprint(i))))
			})
		}},
		"MaxVersions": {record.MaxVersions, record.BadRequest, func(w *world, n int) *record.Error {
			return w.anchorMany(n, 1)
		}},
		"MaxDocuments": {record.MaxDocuments, record.BadRequest, func(w *world, n int) *record.Error {
			return w.anchorMany(1, n)
		}},
		"MaxBatchBytes": {record.MaxBatchBytes, record.BadRequest, largestBatch},
		"MaxMSPID":      {record.MaxMSPID, record.Internal, longMember},
	}
}

// TestLimits calls with as many as each limit allows, and with one more; and fails for a limit of the schema that it
// does not know.
func TestLimits(t *testing.T) {
	whole := newWorld(t)
	known := limits()
	for _, name := range limitsOfSchema(t) {
		l, found := known[name]
		if !found {
			t.Errorf("no test of the limit %s", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			if refused := l.call(whole.copy(t), l.most); refused != nil {
				t.Errorf("%d: %v", l.most, refused)
			}
			if refused := l.call(whole.copy(t), l.most+1); refused == nil || refused.Code != l.code {
				t.Errorf("%d: got %v, want %s", l.most+1, refused, l.code)
			}
		})
	}
}

// limitsOfSchema are the constants of package record whose names begin with Max.
func limitsOfSchema(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("../record/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if values, ok := n.(*ast.ValueSpec); ok {
				for _, constant := range values.Names {
					if strings.HasPrefix(constant.Name, "Max") {
						names = append(names, constant.Name)
					}
				}
			}
			return true
		})
	}
	if len(names) == 0 {
		t.Fatal("no limits found")
	}
	return names
}

// try is do, for who wants to know the refusal only.
func (w *world) try(p *person, function string, request any, notes ...record.SealedNote) *record.Error {
	w.t.Helper()
	_, refused := w.do(p, function, request, notes...)
	return refused
}

// times calls n times, and gives the last refusal; an earlier one if there is any.
func times(n int, call func(i int) *record.Error) *record.Error {
	for i := range n {
		if refused := call(i); refused != nil {
			return refused
		}
	}
	return nil
}

func (w *world) breakGlass(doctor *person, notes ...record.SealedNote) *record.Error {
	return w.try(doctor, record.BreakGlassFunction,
		record.Emergency{Patient: w.reference, Scope: record.Scope{All: true}}, notes...)
}

func (w *world) requestFor(scope record.Scope, d time.Duration) *record.Error {
	return w.try(w.b.doctor, record.RequestFunction, record.AccessRequest{
		Patient: w.reference, Mode: record.Read, Scope: scope, Purpose: record.Treatment, Until: w.now().Add(d),
	})
}

func (w *world) representFor(p *person, until time.Time) *record.Error {
	if len(w.ledger.state[record.DocumentKey(tag("evidence"))].value) == 0 {
		w.letter(w.a, w.reference, "evidence")
	}
	return w.try(w.a.staff, record.RepresentFunction, record.Representation{
		Patient: w.reference, Participant: p.id, Authority: record.ParentAuthority, Evidence: tag("evidence"),
		Until: until, Scope: record.Scope{All: true},
	})
}

func (w *world) bookFor(start time.Time, slots int) *record.Error {
	return w.try(w.patient, record.ProposeAppointmentFunction, record.AppointmentProposal{
		Doctor: w.a.doctor.id, Patient: w.reference, Start: start, Slots: slots,
	})
}

func institutionLimit(most int, with func(n int) record.Institution) limit {
	return limit{most, record.BadRequest, func(w *world, n int) *record.Error {
		return w.try(w.a.institution, record.UpdateInstitutionFunction, record.InstitutionUpdate{Institution: with(n)})
	}}
}

func addresses(n, size int) record.Institution {
	i := record.Institution{Name: "A hospital"}
	for range n {
		i.Addresses = append(i.Addresses, "/"+strings.Repeat("a", size-1))
	}
	return i
}

func retention(years int) record.Institution {
	return record.Institution{Name: "A hospital", Retention: []record.Retention{{Kind: record.KindOther, Years: years}}}
}

// pages asks for a page of every list. All of them keep to the limit.
func pages(w *world, n int) (refused *record.Error) {
	patient, institution := w.reference.String(), w.a.institution.id.String()
	accepted := 0
	for _, list := range [][]string{
		{record.ListFunction, patient},
		{record.ListInstitutionFunction, institution},
		{record.ParticipantsFunction, institution},
		{record.PatientsFunction, institution},
		{record.RelationsFunction, patient},
		{record.ReleasesFunction, patient, w.a.doctor.id.String()},
		{record.AuditFunction, patient},
		{record.InstitutionAuditFunction, institution},
		{record.PatientAppointmentsFunction, patient},
		{record.DoctorAppointmentsFunction, w.a.doctor.id.String()},
	} {
		tx := w.ledger.endorse(w.a.institution.creator, nil, append(list, fmt.Sprint(n), "")...)
		if r := refusalOf(w.t, tx); r != nil {
			refused = r
		} else {
			accepted++
		}
	}
	if refused != nil && accepted > 0 {
		w.t.Errorf("%d lists give pages of %d", accepted, n)
	}
	return refused
}

func copies(w *world, n int) *record.Error {
	theirs := w.register(w.b, nil)
	link := record.Link{Patient: w.reference, To: theirs}
	w.must(w.a.staff, record.LinkFunction, link)
	w.must(w.b.staff, record.LinkFunction, link)
	v := w.many("study", n)
	w.anchor(w.a, v)
	q := record.Copies{Patient: theirs, Of: w.reference}
	for _, d := range v.Documents {
		q.Copies = append(q.Copies, record.Copy{Record: v.Record, Version: v.Name(), Tag: d.Tag, CID: content("copy")})
	}
	return w.try(w.b.appliance, record.HoldCopyFunction, q)
}

// holders has as many institutions hold copies of a record, of which the last one says so.
func holders(w *world, n int) *record.Error {
	v := w.letter(w.a, w.reference, "letter")
	status := record.RecordStatus{V: record.SchemaVersion, Patient: v.Patient, Record: v.Record}
	for i := range n - 1 {
		status.Holders = append(status.Holders, record.InstitutionPrefix{1, byte(i)})
	}
	w.store(record.StatusKey(v.Patient, v.Record), status)
	theirs := w.register(w.b, w.patient)
	w.must(w.patient, record.LinkFunction, record.Link{Patient: w.reference, To: theirs})
	return w.try(w.b.appliance, record.HoldCopyFunction, allCopies(v, theirs))
}

// releaseMany releases records of as many documents to the patient.
func (w *world) releaseMany(records, documents, metadata int) *record.Error {
	var versions []record.Version
	for i := range records {
		versions = append(versions, w.many(fmt.Sprint("record ", i), documents))
	}
	w.anchor(w.a, versions...)
	sealed := sealedOf(versions...)
	sealed.Metadata = make([]byte, metadata)
	_, refused := w.release(w.a, w.releaseTo(w.patient, record.ID{}), sealed)
	return refused
}

func accesses(w *world, n int) *record.Error {
	v := w.letter(w.a, w.reference, "letter")
	var q record.Accesses
	for i := range n {
		q.Accesses = append(q.Accesses, record.AccessAttempt{
			Participant: w.a.doctor.id, Patient: w.reference, Record: v.Record, Version: v.Name(), Session: record.ID{1, byte(i)},
		})
	}
	return w.try(w.a.appliance, record.AccessFunction, q)
}

// many is a version of a record with as many documents.
func (w *world) many(rec string, n int) record.Version {
	v := record.Version{Patient: w.reference, Record: tag(rec), Kind: record.KindOther}
	for i := range n {
		v.Documents = append(v.Documents, record.Document{Tag: tag(fmt.Sprint(rec, i)), CID: content("x")})
	}
	return v
}

// eraseAll erases a record of versions with as many documents each.
func (w *world) eraseAll(versions, documents int) *record.Error {
	q := record.Erasure{RecordName: record.RecordName{Patient: w.reference, Record: tag("study")}}
	var all []record.Version
	for i := range versions {
		v := w.many(fmt.Sprint("part ", i, " of "), documents)
		v.Record = q.Record
		all, q.Versions = append(all, v), append(q.Versions, v.Name())
	}
	w.anchor(w.a, all...)
	return w.eraseBy(q)
}

func (w *world) eraseBy(q record.Erasure) *record.Error {
	answer, refused := w.do(w.a.staff, record.ProposeFunction, record.Proposal{Erase: &q})
	if refused != nil {
		return refused
	}
	return w.try(w.a.clerk, record.ConfirmFunction, record.DecisionName{Decision: answer.ID})
}

func eraseDocuments(w *world, n int) *record.Error {
	q := record.Erasure{RecordName: record.RecordName{Patient: w.reference, Record: tag("study")}}
	for _, size := range []int{n - 100, 100} {
		v := w.many(fmt.Sprint("of ", size, ": "), size)
		v.Record = q.Record
		w.anchor(w.a, v)
		q.Versions = append(q.Versions, v.Name())
	}
	return w.eraseBy(q)
}

// anchorMany anchors a batch of versions with as many documents each. Batch.Encode would refuse what is too large, so it is
// put together from batches of one version.
func (w *world) anchorMany(versions, documents int) *record.Error {
	wire := binary.AppendUvarint([]byte{1}, uint64(versions))
	for i := range versions {
		v := w.many(fmt.Sprint("record ", i), min(documents, record.MaxDocuments))
		one, err := record.Batch{Versions: []record.Version{v}}.Encode()
		if err != nil {
			w.t.Fatal(err)
		}
		if documents > record.MaxDocuments {
			one = oneMore(one)
		}
		wire = append(wire, one[2:]...)
	}
	return w.anchorWire(wire)
}

func (w *world) anchorWire(wire []byte) *record.Error {
	tx := w.ledger.endorse(w.a.appliance.creator, map[string][]byte{record.BatchField: wire}, record.AnchorFunction)
	return refusalOf(w.t, tx)
}

// oneMore adds a document to the one version of an encoded batch of record.MaxDocuments.
func oneMore(wire []byte) []byte {
	const before = 2 + 16 + 16 + 1 + 3 // the batch's head, and the version's as far as the count
	_, width := binary.Uvarint(wire[before:])
	more := binary.AppendUvarint(append([]byte{}, wire[:before]...), record.MaxDocuments+1)
	more = append(more, wire[before+width:]...)
	more = append(more, make([]byte, 15)...)
	cid := content("one more")
	return append(append(append(more, 1), cid[:]...), 0)
}

// largestBatch anchors the largest batch within the counts, which fits; and one that has a byte too many.
func largestBatch(w *world, n int) *record.Error {
	if n > record.MaxBatchBytes {
		return w.anchorWire(make([]byte, n))
	}
	var b record.Batch
	for i := range record.MaxVersions {
		v := w.many(fmt.Sprint("record ", i), record.MaxDocuments/record.MaxVersions)
		v.Amends, v.Author = tag("amended"), w.a.doctor.id
		for j := range v.Documents {
			v.Documents[j].VariantOf = tag("variant")
		}
		b.Versions = append(b.Versions, v)
	}
	wire, err := b.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.anchorWire(wire)
}

// longMember anchors as a member whose MSP ID has n bytes. It stands in each anchoring.
func longMember(w *world, n int) *record.Error {
	h := &hospital{mspID: strings.Repeat("M", n)}
	h.institution = newPerson(w.t, h.mspID, record.InstitutionRole, record.InstitutionID(h.mspID))
	h.staff = h.institution
	key, signature := h.institution.encryptionKey(w.t)
	w.must(h.institution, record.RegisterInstitutionFunction, record.InstitutionRegistration{
		Institution: record.Institution{Name: "A hospital"}, EncryptionKey: key, Signature: signature,
	})
	h.appliance = w.enrol(h, record.ApplianceRole)
	v := record.Version{Patient: w.register(h, nil), Record: tag("study"), Kind: record.KindOther}
	v.Documents = []record.Document{{Tag: tag("slice"), CID: content("slice")}}
	tx := w.ledger.endorse(h.appliance.creator, transient(w.t, v), record.AnchorFunction)
	return refusalOf(w.t, tx)
}
