package contract_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

func attempt(reader *person, v record.Version) record.AccessAttempt {
	return record.AccessAttempt{
		Participant: reader.id, Patient: v.Patient, Record: v.Record, Version: v.Name(), Session: record.ID{7},
	}
}

func attempts(a ...record.AccessAttempt) record.Accesses { return record.Accesses{Accesses: a} }

// result gives the result of an answer.
func result[T any](w *world, answer record.Answer) (v T) {
	w.t.Helper()
	text, err := json.Marshal(answer.Result)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func TestAccess(t *testing.T) {
	w := newWorld(t)
	letter, other := w.letter(w.a, w.reference, "letter"), w.letter(w.a, w.register(w.a, nil), "other")
	w.grants(w.patient, w.b.doctor, w.reference, record.Read, letters())

	answer := w.must(w.a.appliance, record.AccessFunction,
		attempts(attempt(w.b.doctor, letter), attempt(w.b.doctor, other), attempt(w.patient, letter)))
	var bases []record.Basis
	var allowed []bool
	for _, a := range result[[]record.Access](w, answer) {
		bases, allowed = append(bases, a.Basis), append(allowed, a.Allowed)
	}
	if !slices.Equal(bases, []record.Basis{record.BasisGrant, record.NoBasis, record.BasisPatient}) ||
		!slices.Equal(allowed, []bool{true, false, true}) {
		t.Errorf("decided %v by %v", allowed, bases)
	}
	for _, want := range []record.AuditEntry{
		{Patient: w.reference, Action: record.ActAccess, Basis: record.BasisGrant, Subject: w.b.doctor.id, Record: letter.Record, Until: w.now().AddDate(0, 1, 0)},
		{Patient: other.Patient, Action: record.ActAccess, Denied: true, Subject: w.b.doctor.id, Record: other.Record},
		{Patient: w.reference, Action: record.ActAccess, Basis: record.BasisPatient, Subject: w.patient.id, Record: letter.Record},
	} {
		want.Actor, want.About = w.a.appliance.id, record.ID{7}
		w.wantAudit(want.Patient, want)
	}
}

// TestAccessIsReported: by the reader or their appliance, or by the patient's.
func TestAccessIsReported(t *testing.T) {
	base := newWorld(t)
	letter := base.letter(base.a, base.reference, "letter")
	mine := attempt(base.b.doctor, letter)
	for name, test := range map[string]struct {
		by     *person
		q      record.Accesses
		refuse record.Code
	}{
		"by the reader":                {base.b.doctor, attempts(mine), ""},
		"by the reader's appliance":    {base.b.appliance, attempts(mine), ""},
		"by the patient's appliance":   {base.a.appliance, attempts(mine), ""},
		"by another appliance":         {base.c.appliance, attempts(mine), record.Forbidden},
		"by another doctor":            {base.b.locum, attempts(mine), record.Forbidden},
		"by the patient":               {base.patient, attempts(mine), record.Forbidden},
		"by staff":                     {base.a.staff, attempts(mine), record.Forbidden},
		"one that is not the reader's": {base.b.doctor, attempts(mine, attempt(base.b.locum, letter)), record.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			w := base.copy(t)
			if test.refuse == "" {
				w.must(test.by, record.AccessFunction, test.q)
				return
			}
			w.refuse(test.refuse, test.by, record.AccessFunction, test.q)
		})
	}
	t.Run("of a version there is not", func(t *testing.T) {
		w, q := base.copy(t), mine
		q.Version = tag("another")
		w.refuse(record.NotFound, w.b.doctor, record.AccessFunction, attempts(q))
		q = mine
		q.Patient = w.register(w.a, nil)
		w.refuse(record.NotFound, w.b.doctor, record.AccessFunction, attempts(mine, q))
	})
	t.Run("of who is suspended", func(t *testing.T) {
		w := base.copy(t)
		w.must(w.b.institution, record.SuspendFunction, record.Suspension{Participant: w.b.doctor.id})
		w.refuse(record.Forbidden, w.b.doctor, record.AccessFunction, attempts(mine))
		w.must(w.b.appliance, record.AccessFunction, attempts(mine))
		w.wantAudit(w.reference, record.AuditEntry{
			Action: record.ActAccess, Denied: true, Actor: w.b.appliance.id, Subject: w.b.doctor.id, Record: letter.Record,
		})
	})
}

// auditLines gives all of a list, by pages of two.
func (w *world) auditLines(by *person, function, of string) (lines []record.AuditLine, refused *record.Error) {
	w.t.Helper()
	bookmark := ""
	for {
		page, refused := ask[record.AuditPage](w, by, function, of, "2", bookmark)
		if refused != nil {
			return nil, refused
		}
		lines, bookmark = append(lines, page.Entries...), page.Bookmark
		if bookmark == "" {
			return lines, nil
		}
	}
}

func TestAuditList(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	w.represent(w.representative, record.ParentAuthority, record.Scope{Records: []record.Tag{letter.Record}})
	w.must(w.b.doctor, record.AccessFunction, attempts(attempt(w.b.doctor, letter)))
	w.refuse(record.Forbidden, w.b.staff, record.SuperviseFunction,
		record.SupervisionChange{Patient: w.reference, Participant: w.b.doctor.id})
	stranger := newPerson(t, w.c.mspID, record.DoctorRole, w.newID(w.c)) // whom the ledger does not know
	w.refuse(record.Forbidden, stranger, record.RequestFunction, w.request(w.now().AddDate(0, 1, 0)))

	for _, by := range []*person{w.patient, w.a.institution, w.a.staff, w.a.appliance} {
		lines, refused := w.auditLines(by, record.AuditFunction, w.reference.String())
		if want := len(w.audit(w.reference)); refused != nil || len(lines) != want || want < 5 {
			t.Errorf("%s sees %d entries of %d, %v", by.role, len(lines), want, refused)
		}
	}
	lines, _ := w.auditLines(w.patient, record.AuditFunction, w.reference.String())
	line := func(fits func(record.AuditLine) bool) record.AuditLine {
		i := slices.IndexFunc(lines, fits)
		if i < 0 {
			t.Fatalf("not in the audit: %+v", lines)
		}
		return lines[i]
	}
	read := line(func(l record.AuditLine) bool { return l.Action == record.ActAccess })
	if read.ActorRole != record.DoctorRole || read.ActorInstitution != w.b.mspID || read.SubjectRole != record.DoctorRole ||
		read.SubjectInstitution != w.b.mspID || !read.Denied {
		t.Errorf("line %+v", read)
	}
	unknown := line(func(l record.AuditLine) bool { return l.Action == record.ActRequest })
	if !unknown.Actor.IsZero() || unknown.ActorRole != "" || unknown.ActorInstitution != w.c.mspID || !unknown.Denied {
		t.Errorf("line %+v", unknown)
	}

	lines, refused := w.auditLines(w.representative, record.AuditFunction, w.reference.String())
	if refused != nil || len(lines) != 1 || lines[0].Record != letter.Record {
		t.Errorf("who represents for a record sees %+v, %v", lines, refused)
	}
	for _, by := range []*person{w.a.doctor, w.b.doctor, w.b.institution, w.b.staff, w.b.appliance, stranger} {
		if _, refused := w.auditLines(by, record.AuditFunction, w.reference.String()); refused == nil ||
			refused.Code != record.Forbidden {
			t.Errorf("%s of %s: %v", by.role, by.mspID, refused)
		}
	}
}

func TestAuditListInstitution(t *testing.T) {
	w := newWorld(t)
	lines, refused := w.auditLines(w.a.staff, record.InstitutionAuditFunction, w.a.institution.id.String())
	if refused != nil {
		t.Fatal(refused)
	}
	for what, fits := range map[string]func(record.AuditLine) bool{
		"of itself":     func(l record.AuditLine) bool { return l.Action == record.ActRegisterInstitution },
		"of a patient":  func(l record.AuditLine) bool { return l.Action == record.ActRegisterPatient },
		"of its people": func(l record.AuditLine) bool { return l.Action == record.ActJoin && l.Actor == w.a.doctor.id },
	} {
		if !slices.ContainsFunc(lines, fits) {
			t.Errorf("no entry %s", what)
		}
	}
	if slices.ContainsFunc(lines, func(l record.AuditLine) bool { return l.Patient.Institution() != w.a.institution.id.Institution() }) {
		t.Error("an entry of another institution")
	}
	for _, by := range []*person{w.a.doctor, w.patient, w.b.institution, w.b.staff} {
		_, refused := w.auditLines(by, record.InstitutionAuditFunction, w.a.institution.id.String())
		if refused == nil || refused.Code != record.Forbidden {
			t.Errorf("%s of %s: %v", by.role, by.mspID, refused)
		}
	}
}

func TestAuditEntry(t *testing.T) {
	w := newWorld(t)
	want := w.audit(w.reference)[0]
	for name, test := range map[string]struct {
		patient, id, number string
		code                record.Code
	}{
		"there":        {want.Patient.String(), want.ID.String(), strconv.Itoa(int(want.Number)), ""},
		"no number":    {want.Patient.String(), want.ID.String(), "255", record.NotFound},
		"too large":    {want.Patient.String(), want.ID.String(), "256", record.BadRequest},
		"negative":     {want.Patient.String(), want.ID.String(), "-1", record.BadRequest},
		"not a number": {want.Patient.String(), want.ID.String(), "x", record.BadRequest},
		"bad ID":       {want.Patient.String(), "x", "0", record.BadRequest},
		"bad patient":  {"x", want.ID.String(), "0", record.BadRequest},
	} {
		e, refused := ask[record.AuditEntry](w, w.b.doctor, record.EntryFunction, test.patient, test.id, test.number)
		if refused != nil && refused.Code != test.code || refused == nil && (test.code != "" || e != want) {
			t.Errorf("%s: %+v, %v", name, e, refused)
		}
	}
}

func TestSealedNote(t *testing.T) {
	w := newWorld(t)
	c := w.emergency(w.a, w.b.doctor, w.reference)
	n, refused := ask[record.SealedNote](w, w.a.institution, record.SealedNoteFunction, c.Request.String(),
		w.a.institution.id.String())
	if want := note(w.a.institution.id); refused != nil || n.Recipient != want.Recipient ||
		!slices.Equal(n.Ciphertext, want.Ciphertext) {
		t.Errorf("note to %s of %d bytes, %v", n.Recipient, len(n.Ciphertext), refused)
	}
	for name, test := range map[string]struct {
		id, recipient string
		code          record.Code
	}{
		"to another":    {c.Request.String(), w.patient.id.String(), record.NotFound},
		"bad ID":        {"x", w.patient.id.String(), record.BadRequest},
		"bad recipient": {c.Request.String(), "x", record.BadRequest},
	} {
		if _, refused := ask[record.SealedNote](w, w.patient, record.SealedNoteFunction, test.id, test.recipient); refused == nil ||
			refused.Code != test.code {
			t.Errorf("%s: %v", name, refused)
		}
	}
}

func TestRelations(t *testing.T) {
	w := newWorld(t)
	w.represent(w.representative, record.ParentAuthority, letters())
	w.asks(w.b.doctor, w.reference, record.Read, everything())
	w.asks(w.b.doctor, w.reference, record.Read, letters())
	w.asks(w.c.doctor, w.reference, record.Write, everything())
	count := func(by *person, pageSize string) (people, grants int, refused *record.Error) {
		bookmark := ""
		for {
			page, refused := ask[record.RelationPage](w, by, record.RelationsFunction, w.reference.String(), pageSize, bookmark)
			if refused != nil {
				return 0, 0, refused
			}
			for _, r := range page.Relations {
				people, grants = people+1, grants+len(r.Grants)
			}
			if bookmark = page.Bookmark; bookmark == "" {
				return people, grants, nil
			}
		}
	}
	for _, test := range []struct {
		by             *person
		people, grants int
	}{
		{w.patient, 2, 3},
		{w.a.institution, 2, 3},
		{w.a.staff, 2, 3},
		{w.a.appliance, 2, 3},
		{w.representative, 1, 1},
		{w.b.doctor, 1, 2},
		{w.c.doctor, 1, 1},
	} {
		for _, size := range []string{"1", "10"} {
			if people, grants, refused := count(test.by, size); people != test.people || grants != test.grants || refused != nil {
				t.Errorf("%s of %s sees %d grants of %d people, %v", test.by.role, test.by.mspID, grants, people, refused)
			}
		}
	}
	for _, by := range []*person{w.a.doctor, w.b.institution, w.b.appliance} {
		if _, _, refused := count(by, "1"); refused == nil || refused.Code != record.Forbidden {
			t.Errorf("%s of %s: %v", by.role, by.mspID, refused)
		}
	}
	w.must(w.a.institution, record.SuspendFunction, record.Suspension{Participant: w.patient.id})
	if _, _, refused := count(w.patient, "1"); refused == nil || refused.Code != record.Forbidden {
		t.Errorf("the patient, suspended: %v", refused)
	}
}

func TestSupervisors(t *testing.T) {
	w := newWorld(t)
	of := func(by *person, r record.Reference) (record.Supervision, *record.Error) {
		return ask[record.Supervision](w, by, record.SupervisorsFunction, r.String())
	}
	if s, refused := of(w.patient, w.reference); refused != nil || len(s.Supervisors) != 0 || s.Patient != w.reference {
		t.Errorf("of nobody: %+v, %v", s, refused)
	}
	w.team(w.a, w.a.doctor, w.reference, time.Time{})
	for _, by := range []*person{w.patient, w.a.institution, w.a.staff, w.a.appliance, w.a.doctor} {
		if s, refused := of(by, w.reference); refused != nil || len(s.Supervisors) != 1 {
			t.Errorf("%s: %+v, %v", by.role, s, refused)
		}
	}
	for _, by := range []*person{w.a.locum, w.b.doctor, w.b.institution} {
		if _, refused := of(by, w.reference); refused == nil || refused.Code != record.Forbidden {
			t.Errorf("%s of %s: %v", by.role, by.mspID, refused)
		}
	}
}
