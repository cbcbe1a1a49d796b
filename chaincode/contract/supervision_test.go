package contract_test

import (
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

func TestSupervise(t *testing.T) {
	base := newWorld(t)
	team := record.Team{ID: record.NewParticipantID(base.a.mspID, base.random())}
	base.must(base.a.staff, record.SetTeamFunction, team)
	theirs := record.Team{ID: record.NewParticipantID(base.b.mspID, base.random())}
	base.must(base.b.staff, record.SetTeamFunction, theirs)
	for name, test := range map[string]struct {
		by          *person
		participant record.ParticipantID
		team        record.ParticipantID
		until       time.Time
		refuse      record.Code
	}{
		"a doctor":              {by: base.a.staff, participant: base.a.doctor.id},
		"a doctor for a time":   {by: base.a.staff, participant: base.a.doctor.id, until: base.now().AddDate(0, 1, 0)},
		"a team":                {by: base.a.institution, team: team.ID},
		"by another":            {by: base.b.staff, participant: base.b.doctor.id, refuse: record.Forbidden},
		"by a doctor":           {by: base.a.doctor, participant: base.a.doctor.id, refuse: record.Forbidden},
		"a doctor of another":   {by: base.a.staff, participant: base.b.doctor.id, refuse: record.Forbidden},
		"a team of another":     {by: base.a.staff, team: theirs.ID, refuse: record.Forbidden},
		"staff":                 {by: base.a.staff, participant: base.a.clerk.id, refuse: record.BadRequest},
		"nobody":                {by: base.a.staff, participant: base.newID(base.a), refuse: record.NotFound},
		"no team":               {by: base.a.staff, team: base.newID(base.a), refuse: record.NotFound},
		"over before it begins": {by: base.a.staff, participant: base.a.doctor.id, until: base.now().Add(record.ClockSkew), refuse: record.BadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			w := base.copy(t)
			q := record.SupervisionChange{
				Patient: w.reference, Participant: test.participant, Team: test.team, Until: test.until,
			}
			if test.refuse != "" {
				w.refuse(test.refuse, test.by, record.SuperviseFunction, q)
				return
			}
			w.must(test.by, record.SuperviseFunction, q)
			w.wantAudit(w.reference, record.AuditEntry{
				Action: record.ActSupervise, Basis: record.BasisInstitution, Actor: test.by.id, Subject: q.Supervisor(),
				Until: test.until,
			})
			q.Until = time.Time{}
			w.must(test.by, record.SuperviseFunction, q) // it changes the end
			s := stateOf[record.Supervision](w, record.SupervisionKey(w.reference)).Supervisors
			if len(s) != 1 || !q.Names(s[0]) || !s[0].Until.IsZero() {
				t.Errorf("supervisors %+v", s)
			}
		})
	}
}

func (w *world) newID(h *hospital) record.ParticipantID {
	return record.NewParticipantID(h.mspID, w.random())
}

func TestEndSupervision(t *testing.T) {
	w := newWorld(t)
	letter := w.letter(w.a, w.reference, "letter")
	w.supervises(w.a, w.a.doctor, w.reference, time.Time{})
	w.supervises(w.a, w.a.locum, w.reference, time.Time{})
	q := record.SupervisionChange{Patient: w.reference, Participant: w.a.doctor.id}
	w.refuse(record.Forbidden, w.a.doctor, record.EndSupervisionFunction, q)
	w.must(w.a.staff, record.EndSupervisionFunction, q)
	w.wantAudit(w.reference, record.AuditEntry{
		Action: record.ActEndSupervision, Basis: record.BasisInstitution, Actor: w.a.staff.id, Subject: w.a.doctor.id,
	})
	w.reads(w.a.doctor, letter, record.NoBasis)
	w.reads(w.a.locum, letter, record.BasisSupervision)
	w.refuse(record.NotFound, w.a.staff, record.EndSupervisionFunction, q)
	w.refuse(record.NotFound, w.a.staff, record.SuperviseFunction,
		record.SupervisionChange{Patient: w.newReference(w.a), Participant: w.a.doctor.id})
}

// TestSupervisorsArePruned: where there are too many, those give way whose time is over.
func TestSupervisorsArePruned(t *testing.T) {
	w := newWorld(t)
	team := func(until time.Time) record.SupervisionChange {
		id := w.newID(w.a)
		w.must(w.a.staff, record.SetTeamFunction, record.Team{ID: id})
		return record.SupervisionChange{Patient: w.reference, Team: id, Until: until}
	}
	for n := range record.MaxTeamsOfPatient {
		until := time.Time{}
		if n == 3 {
			until = w.now().Add(time.Hour)
		}
		w.must(w.a.staff, record.SuperviseFunction, team(until))
	}
	next := team(time.Time{})
	w.refuse(record.WrongState, w.a.staff, record.SuperviseFunction, next)
	w.supervises(w.a, w.a.doctor, w.reference, time.Time{})
	w.advance(time.Hour)
	w.must(w.a.staff, record.SuperviseFunction, next)
	w.refuse(record.WrongState, w.a.staff, record.SuperviseFunction, team(time.Time{}))
}
