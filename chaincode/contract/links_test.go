package contract_test

import (
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
)

// wantLinked fails the test unless both patients have the link, or neither if the kind is empty.
func (w *world) wantLinked(q record.Link, kind record.LinkKind) {
	w.t.Helper()
	for from, to := range map[record.Reference]record.Reference{q.Patient: q.To, q.To: q.Patient} {
		got := record.LinkKind("")
		for _, l := range w.patientOf(from).Links {
			if l.To == to {
				got = l.Kind
			}
		}
		if got != kind {
			w.t.Errorf("the link is %q, want %q", got, kind)
		}
	}
}

func TestLinkByThePatient(t *testing.T) {
	w := newWorld(t)
	q := record.Link{Patient: w.register(w.b, w.patient), To: w.reference}
	if answer := w.must(w.patient, record.LinkFunction, q); answer.Result != string(record.LinkMade) {
		t.Errorf("answers %v", answer.Result)
	}
	w.wantLinked(q, record.SignedLink)
	for _, r := range []record.Reference{q.Patient, q.To} {
		w.wantAudit(r, record.AuditEntry{Action: record.ActLink, Basis: record.BasisPatient, Actor: w.patient.id})
	}
	w.refuse(record.Exists, w.patient, record.LinkFunction, q)
	w.refuse(record.Exists, w.a.staff, record.LinkFunction, record.Link{Patient: q.To, To: q.Patient})
}

func TestLinkByAPatientOfOneOnly(t *testing.T) {
	w := newWorld(t)
	stranger := w.enrol(w.b, record.PatientRole)
	for name, to := range map[string]record.Reference{
		"another patient's":        w.register(w.b, stranger),
		"a patient's without keys": w.register(w.b, nil),
		"not registered":           w.newReference(w.b),
	} {
		t.Run(name, func(t *testing.T) {
			w := w.copy(t)
			w.refuse(record.Forbidden, w.patient, record.LinkFunction, record.Link{Patient: w.reference, To: to})
			w.refuse(record.Forbidden, w.patient, record.LinkFunction, record.Link{Patient: to, To: w.reference})
			w.refuse(record.Forbidden, w.representative, record.LinkFunction, record.Link{Patient: w.reference, To: to})
		})
	}
}

func TestDeceasedDoNotSignLinks(t *testing.T) {
	w := newWorld(t)
	q := record.Link{Patient: w.register(w.b, w.patient), To: w.reference}
	w.must(w.a.staff, record.DeceasedFunction, record.Deceased{Patient: w.reference})
	w.refuse(record.Forbidden, w.patient, record.LinkFunction, q)
}

func TestLinkByBothInstitutions(t *testing.T) {
	w := newWorld(t)
	q := record.Link{Patient: w.reference, To: w.register(w.b, nil)}
	back := record.Link{Patient: q.To, To: q.Patient}

	if answer := w.must(w.b.staff, record.LinkFunction, q); answer.Result != string(record.LinkProposed) {
		t.Errorf("answers %v", answer.Result)
	}
	w.wantLinked(q, "")
	for _, r := range []record.Reference{q.Patient, q.To} {
		w.wantAudit(r, record.AuditEntry{Action: record.ActPropose, Basis: record.BasisInstitution, Actor: w.b.staff.id})
	}
	w.refuse(record.Exists, w.b.staff, record.LinkFunction, q)
	w.refuse(record.Exists, w.b.institution, record.LinkFunction, back)
	w.refuse(record.Forbidden, w.c.institution, record.LinkFunction, q)
	w.refuse(record.Forbidden, w.a.doctor, record.LinkFunction, q)
	w.refuse(record.Forbidden, w.a.appliance, record.LinkFunction, q)

	if answer := w.must(w.a.institution, record.LinkFunction, back); answer.Result != string(record.LinkMade) {
		t.Errorf("answers %v", answer.Result)
	}
	w.wantLinked(q, record.AgreedLink)
	for _, r := range []record.Reference{q.Patient, q.To} {
		w.wantAudit(r, record.AuditEntry{Action: record.ActLink, Basis: record.BasisInstitution, Actor: w.a.institution.id})
	}
	w.refuse(record.Exists, w.b.staff, record.LinkFunction, q)
}

func TestLinkNeedsRegisteredPatientsOfTwoInstitutions(t *testing.T) {
	w := newWorld(t)
	w.refuse(record.NotFound, w.a.staff, record.LinkFunction, record.Link{Patient: w.reference, To: w.newReference(w.b)})
	w.refuse(record.NotFound, w.a.staff, record.LinkFunction,
		record.Link{Patient: w.newReference(w.a), To: w.register(w.b, nil)})
	w.refuse(record.BadRequest, w.a.staff, record.LinkFunction, record.Link{Patient: w.reference, To: w.register(w.a, nil)})
}

// TestLinkIsToWhoWasProposed shows that an institution cannot put another participant in after it proposed.
func TestLinkIsToWhoWasProposed(t *testing.T) {
	w := newWorld(t)
	q := record.Link{Patient: w.reference, To: w.register(w.b, nil)}
	w.must(w.b.staff, record.LinkFunction, q)
	w.must(w.b.staff, record.RegisterPatientFunction,
		record.PatientRegistration{Patient: q.To, Participant: w.enrol(w.b, record.PatientRole).id})
	w.refuse(record.WrongState, w.a.staff, record.LinkFunction, q)
	w.must(w.a.staff, record.UnlinkFunction, q)
	w.must(w.b.staff, record.LinkFunction, q)
	w.must(w.a.staff, record.LinkFunction, q)
	w.wantLinked(q, record.AgreedLink)
}

func TestMerge(t *testing.T) {
	w := newWorld(t)
	q := record.Link{Patient: w.reference, To: w.register(w.a, nil)}
	elsewhere := record.Link{Patient: w.reference, To: w.register(w.b, w.patient)}
	w.refuse(record.Forbidden, w.patient, record.MergeFunction, q)
	w.refuse(record.Forbidden, w.b.staff, record.MergeFunction, q)
	w.refuse(record.Forbidden, w.a.staff, record.MergeFunction, elsewhere)
	w.refuse(record.Forbidden, w.b.staff, record.MergeFunction, elsewhere)
	w.refuse(record.NotFound, w.a.staff, record.MergeFunction, record.Link{Patient: w.reference, To: w.newReference(w.a)})

	w.must(w.a.staff, record.MergeFunction, q)
	w.wantLinked(q, record.MergeLink)
	for _, r := range []record.Reference{q.Patient, q.To} {
		w.wantAudit(r, record.AuditEntry{Action: record.ActMerge, Basis: record.BasisInstitution, Actor: w.a.staff.id})
	}
	w.refuse(record.Exists, w.a.staff, record.MergeFunction, q)
	w.refuse(record.Forbidden, w.patient, record.UnlinkFunction, q)
	w.must(w.a.staff, record.UnlinkFunction, q)
	w.wantLinked(q, "")
}

func TestUnlink(t *testing.T) {
	base := newWorld(t)
	q := record.Link{Patient: base.reference, To: base.register(base.b, nil)}
	base.must(base.a.staff, record.LinkFunction, q)
	proposed := base.copy(t)
	base.must(base.b.staff, record.LinkFunction, q)
	stranger := base.enrol(base.b, record.PatientRole)

	for name, test := range map[string]struct {
		by    *person
		basis record.Basis
	}{
		"by the patient":            {base.patient, record.BasisPatient},
		"by the one institution":    {base.a.staff, record.BasisInstitution},
		"by the other institution":  {base.b.institution, record.BasisInstitution},
		"by the other one's office": {base.b.staff, record.BasisInstitution},
	} {
		for state, before := range map[string]*world{"link": base, "proposal": proposed} {
			t.Run(name+", "+state, func(t *testing.T) {
				w := before.copy(t)
				w.must(test.by, record.UnlinkFunction, record.Link{Patient: q.To, To: q.Patient})
				w.wantLinked(q, "")
				for _, r := range []record.Reference{q.Patient, q.To} {
					w.wantAudit(r, record.AuditEntry{Action: record.ActUnlink, Basis: test.basis, Actor: test.by.id})
				}
				w.refuse(record.NotFound, test.by, record.UnlinkFunction, q)
				w.must(w.b.staff, record.LinkFunction, q)
				w.wantLinked(q, "") // it is proposed anew: the old proposal does not count
			})
		}
	}
	for _, by := range []*person{stranger, base.representative, base.c.institution, base.b.doctor, base.a.appliance} {
		base.refuse(record.Forbidden, by, record.UnlinkFunction, q)
	}
	base.wantLinked(q, record.AgreedLink)
}

func TestMaxLinks(t *testing.T) {
	w := newWorld(t)
	for range record.MaxLinks {
		w.must(w.a.staff, record.MergeFunction, record.Link{Patient: w.reference, To: w.register(w.a, nil)})
	}
	q := record.Link{Patient: w.register(w.a, nil), To: w.reference}
	w.refuse(record.WrongState, w.a.staff, record.MergeFunction, q)
	w.must(w.a.staff, record.UnlinkFunction, record.Link{Patient: w.reference, To: w.patientOf(w.reference).Links[0].To})
	w.must(w.a.staff, record.MergeFunction, q)
}

// TestLinksAreNotTransitive is of three references, of which only the middle one is linked to both others.
func TestLinksAreNotTransitive(t *testing.T) {
	w := newWorld(t)
	middle, last := w.register(w.b, w.patient), w.register(w.c, w.patient)
	w.must(w.patient, record.LinkFunction, record.Link{Patient: w.reference, To: middle})
	w.must(w.patient, record.LinkFunction, record.Link{Patient: middle, To: last})
	if w.patientOf(w.reference).LinkedTo(last) {
		t.Error("the first is linked to the last")
	}
}

// TestPatientOfALinkedReference is of who acts for a patient without a key: the participant of the reference that both
// institutions linked, as long as they are the one whom both knew.
func TestPatientOfALinkedReference(t *testing.T) {
	base := newWorld(t)
	withoutKey := base.register(base.b, nil)
	q := record.Link{Patient: base.reference, To: withoutKey}
	base.must(base.b.staff, record.LinkFunction, q)
	asked := record.RecordName{Patient: withoutKey, Record: tag("study")}
	base.refuse(record.Forbidden, base.patient, record.RequestErasureFunction, asked)
	base.must(base.a.staff, record.LinkFunction, q)

	t.Run("acts", func(t *testing.T) {
		w := base.copy(t)
		w.must(w.patient, record.RequestErasureFunction, asked)
	})
	t.Run("not once it is unlinked", func(t *testing.T) {
		w := base.copy(t)
		w.must(w.a.staff, record.UnlinkFunction, q)
		w.refuse(record.Forbidden, w.patient, record.RequestErasureFunction, asked)
	})
	t.Run("not once they are deceased", func(t *testing.T) {
		w := base.copy(t)
		w.must(w.a.staff, record.DeceasedFunction, record.Deceased{Patient: w.reference})
		w.refuse(record.Forbidden, w.patient, record.RequestErasureFunction, asked)
	})
	t.Run("nobody whom the other institution puts in later", func(t *testing.T) {
		w := base.copy(t)
		stooge := w.enrol(w.a, record.PatientRole)
		w.decide(w.a, record.Proposal{
			BindPatient: &record.PatientRegistration{Patient: w.reference, Participant: stooge.id},
		})
		w.refuse(record.Forbidden, stooge, record.RequestErasureFunction, asked)
		w.refuse(record.Forbidden, w.patient, record.RequestErasureFunction, asked)
	})
}

// TestSignedLinkLetsNobodyIn shows that a link by the patient's signature gives the participant of the one reference no
// right under the other, should its institution give it another participant.
func TestSignedLinkLetsNobodyIn(t *testing.T) {
	w := newWorld(t)
	there := w.register(w.b, w.patient)
	w.must(w.patient, record.LinkFunction, record.Link{Patient: w.reference, To: there})
	stooge := w.enrol(w.b, record.PatientRole)
	w.decide(w.b, record.Proposal{BindPatient: &record.PatientRegistration{Patient: there, Participant: stooge.id}})
	w.refuse(record.Forbidden, stooge, record.RequestErasureFunction,
		record.RecordName{Patient: w.reference, Record: tag("study")})
}
