package contract_test

import (
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

func TestRegisterPatient(t *testing.T) {
	w := newWorld(t)
	invited := record.NewParticipantID(w.b.mspID, w.random())
	w.must(w.b.staff, record.InviteFunction, record.Invite{Participant: invited, Role: record.PatientRole})
	suspended := w.enrol(w.b, record.PatientRole)
	w.must(w.b.institution, record.SuspendFunction, record.Suspension{Participant: suspended.id})
	withoutKey := w.register(w.a, nil)
	unknown := record.NewParticipantID(w.a.mspID, w.random())

	tests := map[string]struct {
		by          *person
		patient     record.Reference
		participant record.ParticipantID
		refuse      record.Code
	}{
		"again":                             {w.a.staff, withoutKey, record.ParticipantID{}, record.Exists},
		"replace the participant":           {w.a.staff, w.reference, invited, record.Exists},
		"by another institution":            {w.b.staff, withoutKey, invited, record.Forbidden},
		"by an appliance":                   {w.a.appliance, withoutKey, invited, record.Forbidden},
		"unknown to another institution":    {w.b.staff, w.newReference(w.a), invited, record.Forbidden},
		"with an unknown participant":       {w.a.staff, withoutKey, unknown, record.NotFound},
		"with a doctor":                     {w.a.staff, withoutKey, w.a.doctor.id, record.BadRequest},
		"with a suspended participant":      {w.a.staff, withoutKey, suspended.id, record.WrongState},
		"with another institution's":        {w.a.institution, w.newReference(w.a), w.enrol(w.c, record.PatientRole).id, ""},
		"a participant who is invited only": {w.a.staff, withoutKey, invited, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := w.copy(t)
			q := record.PatientRegistration{Patient: test.patient, Participant: test.participant}
			if test.refuse != "" {
				w.refuse(test.refuse, test.by, record.RegisterPatientFunction, q)
				return
			}
			w.must(test.by, record.RegisterPatientFunction, q)
			if p := w.patientOf(test.patient); p.Participant != test.participant || p.Reference != test.patient {
				t.Errorf("registered %+v", p)
			}
			w.wantAudit(test.patient, record.AuditEntry{
				Action: record.ActRegisterPatient, Basis: record.BasisInstitution, Actor: test.by.id, Subject: test.participant,
			})
		})
	}
}

func TestListPatients(t *testing.T) {
	w := newWorld(t)
	w.register(w.a, nil)
	w.register(w.b, nil)
	got := 0
	for bookmark := ""; ; {
		page, refused := ask[record.PatientPage](w, w.c.appliance, record.PatientsFunction, w.a.institution.id.String(), "1",
			bookmark)
		if refused != nil {
			t.Fatal(refused)
		}
		for _, p := range page.Patients {
			got++
			if p.Reference.Institution() != w.a.institution.id.Institution() {
				t.Errorf("lists %s, which is another institution's", p.Reference)
			}
		}
		if bookmark = page.Bookmark; bookmark == "" {
			break
		}
	}
	if got != 2 {
		t.Errorf("lists %d patients, want 2", got)
	}
	if _, refused := ask[record.Patient](w, w.c.doctor, record.PatientFunction, w.newReference(w.a).String()); refused == nil ||
		refused.Code != record.NotFound {
		t.Errorf("an unregistered patient: %v", refused)
	}
}

func TestSetDeceased(t *testing.T) {
	w := newWorld(t)
	dead, alive := record.Deceased{Patient: w.reference}, record.Deceased{Patient: w.reference, Alive: true}
	w.refuse(record.Exists, w.a.staff, record.DeceasedFunction, alive)
	w.refuse(record.Forbidden, w.b.staff, record.DeceasedFunction, dead)
	w.refuse(record.Forbidden, w.patient, record.DeceasedFunction, dead)
	w.refuse(record.NotFound, w.a.staff, record.DeceasedFunction, record.Deceased{Patient: w.newReference(w.a)})

	w.must(w.a.staff, record.DeceasedFunction, dead)
	if p := w.patientOf(w.reference); !p.Deceased.Equal(w.now()) {
		t.Errorf("deceased at %s", p.Deceased)
	}
	w.refuse(record.Exists, w.a.staff, record.DeceasedFunction, dead)

	w.must(w.a.institution, record.DeceasedFunction, alive)
	if p := w.patientOf(w.reference); !p.Deceased.IsZero() {
		t.Errorf("deceased at %s, though it was taken back", p.Deceased)
	}
}

func TestRepresent(t *testing.T) {
	w := newWorld(t)
	evidence := w.letter(w.a, w.reference, "evidence")
	relative := w.enrol(w.b, record.PatientRole)
	suspended := w.enrol(w.a, record.RepresentativeRole)
	w.must(w.a.institution, record.SuspendFunction, record.Suspension{Participant: suspended.id})
	good := record.Representation{
		Patient: w.reference, Participant: w.representative.id, Authority: record.AttorneyAuthority,
		Evidence: evidence.Name(), Until: w.now().AddDate(1, 0, 0), Scope: record.Scope{All: true},
	}
	tests := map[string]struct {
		by     *person // default: staff
		change func(*record.Representation)
		refuse record.Code
	}{
		"by a relative who is a patient": {change: func(q *record.Representation) { q.Participant = relative.id }},
		"for the longest time":           {change: func(q *record.Representation) { q.Until = w.now().AddDate(30, 0, 0) }},
		"for longer": {
			change: func(q *record.Representation) { q.Until = w.now().AddDate(30, 0, 1) }, refuse: record.BadRequest,
		},
		"for as long as clocks may differ": {
			change: func(q *record.Representation) { q.Until = w.now().Add(record.ClockSkew) }, refuse: record.BadRequest,
		},
		"by another institution": {by: w.b.staff, refuse: record.Forbidden},
		"by the patient":         {by: w.patient, refuse: record.Forbidden},
		"by the representative":  {by: w.representative, refuse: record.Forbidden},
		"by a doctor": {
			change: func(q *record.Representation) { q.Participant = w.a.doctor.id }, refuse: record.BadRequest,
		},
		"by themselves": {
			change: func(q *record.Representation) { q.Participant = w.patient.id }, refuse: record.BadRequest,
		},
		"by somebody suspended": {
			change: func(q *record.Representation) { q.Participant = suspended.id }, refuse: record.WrongState,
		},
		"by somebody unknown": {
			change: func(q *record.Representation) { q.Participant[15]++ }, refuse: record.NotFound,
		},
		"without evidence on the ledger": {
			change: func(q *record.Representation) { q.Evidence[0]++ }, refuse: record.NotFound,
		},
		"for somebody unknown": {
			change: func(q *record.Representation) { q.Patient = w.newReference(w.a) }, refuse: record.NotFound,
		},
		"by an executor of a living patient": {
			change: func(q *record.Representation) { q.Authority = record.ExecutorAuthority }, refuse: record.WrongState,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w, q, by := w.copy(t), good, w.a.staff
			if test.change != nil {
				test.change(&q)
			}
			if test.by != nil {
				by = test.by
			}
			if test.refuse != "" {
				w.refuse(test.refuse, by, record.RepresentFunction, q)
				return
			}
			w.must(by, record.RepresentFunction, q)
			w.wantAudit(q.Patient, record.AuditEntry{
				Action: record.ActRepresent, Basis: record.BasisInstitution, Actor: by.id, Subject: q.Participant, Until: q.Until,
			})
			r := w.patientOf(q.Patient).Representatives[0]
			if r.Participant != q.Participant || r.Authority != q.Authority || r.Evidence != q.Evidence ||
				!r.Until.Equal(q.Until) || !r.Scope.All {
				t.Errorf("represented by %+v", r)
			}
		})
	}
}

func TestRepresentWithErasedEvidence(t *testing.T) {
	w := newWorld(t)
	evidence := w.letter(w.a, w.reference, "evidence")
	w.erase(w.a, evidence)
	w.refuse(record.WrongState, w.a.staff, record.RepresentFunction, record.Representation{
		Patient: w.reference, Participant: w.representative.id, Authority: record.ParentAuthority,
		Evidence: evidence.Name(), Until: w.now().AddDate(1, 0, 0), Scope: record.Scope{All: true},
	})
}

func TestRepresentAgainReplaces(t *testing.T) {
	w := newWorld(t)
	w.represent(w.representative, record.ParentAuthority, record.Scope{All: true})
	w.represent(w.representative, record.GuardianAuthority, record.Scope{Kinds: []record.Kind{record.KindLetter}})
	got := w.patientOf(w.reference).Representatives
	if len(got) != 1 || got[0].Authority != record.GuardianAuthority {
		t.Errorf("represented by %+v", got)
	}
}

// TestMaxRepresentatives also shows that those whose authority is over give way.
func TestMaxRepresentatives(t *testing.T) {
	w := newWorld(t)
	for range record.MaxRepresentatives {
		w.represent(w.enrol(w.a, record.RepresentativeRole), record.NominatedBy, record.Scope{All: true})
	}
	q := record.Representation{
		Patient: w.reference, Participant: w.representative.id, Authority: record.NominatedBy,
		Evidence: w.letter(w.a, w.reference, "evidence").Name(), Until: w.now().AddDate(5, 0, 0),
		Scope: record.Scope{All: true},
	}
	w.refuse(record.WrongState, w.a.staff, record.RepresentFunction, q)
	w.advance(2 * 366 * 24 * time.Hour)
	w.must(w.a.staff, record.RepresentFunction, q)
	if got := w.patientOf(w.reference).Representatives; len(got) != 1 {
		t.Errorf("%d representatives, want the new one only", len(got))
	}
}

func TestRepresentTheDeceased(t *testing.T) {
	w := newWorld(t)
	w.represent(w.representative, record.AttorneyAuthority, record.Scope{All: true})
	w.must(w.a.staff, record.DeceasedFunction, record.Deceased{Patient: w.reference})
	executor := w.enrol(w.a, record.RepresentativeRole)
	q := record.Representation{
		Patient: w.reference, Participant: executor.id, Authority: record.ParentAuthority,
		Evidence: w.letter(w.a, w.reference, "will").Name(), Until: w.now().AddDate(1, 0, 0), Scope: record.Scope{All: true},
	}
	w.refuse(record.WrongState, w.a.staff, record.RepresentFunction, q)
	q.Authority = record.ExecutorAuthority
	w.must(w.a.staff, record.RepresentFunction, q)

	asked := record.RecordName{Patient: w.reference, Record: tag("study")}
	w.refuse(record.Forbidden, w.patient, record.RequestErasureFunction, asked)
	w.refuse(record.Forbidden, w.representative, record.RequestErasureFunction, asked)
	w.must(executor, record.RequestErasureFunction, asked)
}

func TestEndRepresentation(t *testing.T) {
	base := newWorld(t)
	base.represent(base.representative, record.ParentAuthority, record.Scope{All: true})
	other := base.enrol(base.a, record.RepresentativeRole)
	base.represent(other, record.ParentAuthority, record.Scope{All: true})
	stranger := base.enrol(base.a, record.PatientRole)
	q := record.RepresentationEnd{Patient: base.reference, Participant: base.representative.id}
	nobody := record.RepresentationEnd{Patient: base.newReference(base.a), Participant: base.representative.id}

	for name, test := range map[string]struct {
		by    *person
		basis record.Basis
	}{
		"by the office":         {base.a.staff, record.BasisInstitution},
		"by the patient":        {base.patient, record.BasisPatient},
		"by the representative": {base.representative, record.BasisRepresentative},
	} {
		t.Run(name, func(t *testing.T) {
			w := base.copy(t)
			w.must(test.by, record.EndRepresentationFunction, q)
			w.wantAudit(q.Patient, record.AuditEntry{
				Action: record.ActEndRepresentation, Basis: test.basis, Actor: test.by.id, Subject: q.Participant,
			})
			if got := w.patientOf(q.Patient).Representatives; len(got) != 1 || got[0].Participant != other.id {
				t.Errorf("left are %+v", got)
			}
			w.refuse(record.NotFound, w.a.staff, record.EndRepresentationFunction, q)
			w.refuse(record.Forbidden, w.representative, record.EndRepresentationFunction, q)
		})
	}
	for _, by := range []*person{other, stranger, base.b.staff, base.a.doctor, base.a.appliance} {
		base.refuse(record.Forbidden, by, record.EndRepresentationFunction, q)
		base.refuse(record.Forbidden, by, record.EndRepresentationFunction, nobody)
	}
}

// TestScopeOfRepresentative is of a right that a representative has in a part of the history only.
func TestScopeOfRepresentative(t *testing.T) {
	w := newWorld(t)
	w.represent(w.representative, record.ParentAuthority, record.Scope{Records: []record.Tag{tag("study")}})
	inScope := record.RecordName{Patient: w.reference, Record: tag("study")}
	w.refuse(record.Forbidden, w.representative, record.RequestErasureFunction,
		record.RecordName{Patient: w.reference, Record: tag("letter")})
	w.advance(366*24*time.Hour - record.ClockSkew)
	w.refuse(record.Forbidden, w.representative, record.RequestErasureFunction, inScope)
	w.represent(w.representative, record.ParentAuthority, record.Scope{Records: []record.Tag{inScope.Record}})
	w.must(w.representative, record.RequestErasureFunction, inScope)
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActRequestErasure, Basis: record.BasisRepresentative, Actor: w.representative.id, Record: inScope.Record,
	})
}

// TestPatientRefusalsSayWhatToDo reads the texts of some refusals, for people read them.
func TestPatientRefusalsSayWhatToDo(t *testing.T) {
	w := newWorld(t)
	_, refused := w.do(w.a.staff, record.RegisterPatientFunction,
		record.PatientRegistration{Patient: w.reference, Participant: w.enrol(w.a, record.PatientRole).id})
	if refused == nil || !strings.Contains(refused.Message, "a decision of two people replaces it") {
		t.Errorf("refused with %v", refused)
	}
}
