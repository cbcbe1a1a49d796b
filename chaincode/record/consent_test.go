package record_test

import (
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

var soon = time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)

func TestValidateAccessRequest(t *testing.T) {
	all := record.Scope{All: true}
	good := record.AccessRequest{Patient: somebody, Mode: record.Read, Scope: all, Purpose: record.Treatment, Until: soon}
	for name, change := range map[string]func(*record.AccessRequest){
		"":            func(*record.AccessRequest) {},
		"no patient":  func(q *record.AccessRequest) { q.Patient = record.Reference{} },
		"no mode":     func(q *record.AccessRequest) { q.Mode = "" },
		"bad mode":    func(q *record.AccessRequest) { q.Mode = "erase" },
		"no scope":    func(q *record.AccessRequest) { q.Scope = record.Scope{} },
		"no purpose":  func(q *record.AccessRequest) { q.Purpose = "" },
		"bad purpose": func(q *record.AccessRequest) { q.Purpose = "to see what there is" },
		"no end":      func(q *record.AccessRequest) { q.Until = time.Time{} },
		"a fraction":  func(q *record.AccessRequest) { q.Until = soon.Add(time.Millisecond) },
	} {
		q := good
		change(&q)
		wantRefused(t, name, q, name != "")
		if name != "no mode" && name != "bad mode" {
			wantRefused(t, name, record.Referral{
				Patient: q.Patient, Participant: record.ParticipantID{1}, Scope: q.Scope, Purpose: q.Purpose, Until: q.Until,
			}, name != "")
		}
	}
	wantRefused(t, "to nobody", record.Referral{
		Patient: somebody, Scope: all, Purpose: record.Treatment, Until: soon,
	}, true)
}

func TestValidateChoices(t *testing.T) {
	good := record.Choice{Patient: somebody, Participant: record.ParticipantID{1}, Request: record.ID{1}}
	for name, change := range map[string]func(*record.Choice){
		"":               func(*record.Choice) {},
		"no patient":     func(q *record.Choice) { q.Patient = record.Reference{} },
		"no participant": func(q *record.Choice) { q.Participant = record.ParticipantID{} },
		"no request":     func(q *record.Choice) { q.Request = record.ID{} },
	} {
		q := good
		change(&q)
		wantRefused(t, name, q, name != "")
		wantRefused(t, name, record.Approval{
			Patient: q.Patient, Participant: q.Participant, Request: q.Request,
		}, name != "")
		wantRefused(t, name, record.Review{
			Patient: q.Patient, Participant: q.Participant, Request: q.Request,
		}, name != "")
	}
	a := record.Approval{Patient: good.Patient, Participant: good.Participant, Request: good.Request, Until: soon}
	wantRefused(t, "narrower", a, false)
	a.Scope = &record.Scope{}
	wantRefused(t, "to nothing", a, true)
}

func TestValidateSupervision(t *testing.T) {
	doctor, team := record.ParticipantID{1}, record.ParticipantID{2}
	for name, q := range map[string]record.SupervisionChange{
		"":           {Patient: somebody, Participant: doctor},
		"no patient": {Participant: doctor},
		"nobody":     {Patient: somebody},
		"both":       {Patient: somebody, Participant: doctor, Team: team},
		"a fraction": {Patient: somebody, Participant: doctor, Until: soon.Add(time.Millisecond)},
	} {
		wantRefused(t, name, q, name != "")
	}
	both := []record.Supervisor{{Participant: doctor}, {Team: team}}
	for i, q := range []record.SupervisionChange{{Patient: somebody, Participant: doctor}, {Patient: somebody, Team: team}} {
		if q.Supervisor() != []record.ParticipantID{doctor, team}[i] || !q.Names(both[i]) || q.Names(both[1-i]) {
			t.Errorf("%+v names %s", q, q.Supervisor())
		}
	}
}

func TestValidateAccesses(t *testing.T) {
	good := record.AccessAttempt{
		Participant: record.ParticipantID{1}, Patient: somebody, Record: record.Tag{1}, Version: record.Tag{2}, Session: record.ID{1},
	}
	for name, change := range map[string]func(*record.AccessAttempt){
		"":           func(*record.AccessAttempt) {},
		"no reader":  func(a *record.AccessAttempt) { a.Participant = record.ParticipantID{} },
		"no patient": func(a *record.AccessAttempt) { a.Patient = record.Reference{} },
		"no record":  func(a *record.AccessAttempt) { a.Record = record.Tag{} },
		"no version": func(a *record.AccessAttempt) { a.Version = record.Tag{} },
		"no session": func(a *record.AccessAttempt) { a.Session = record.ID{} },
	} {
		a := good
		change(&a)
		wantRefused(t, name, record.Accesses{Accesses: []record.AccessAttempt{good, a}}, name != "")
	}
	wantRefused(t, "none", record.Accesses{}, true)
	most := make([]record.AccessAttempt, record.MaxAccesses+1)
	for i := range most {
		most[i] = good
	}
	wantRefused(t, "as many as may be", record.Accesses{Accesses: most[1:]}, false)
	wantRefused(t, "one more", record.Accesses{Accesses: most}, true)
}

// TestGrantLives: what lasts until a time is over so much earlier by a transaction's timestamp as that may be wrong.
func TestGrantLives(t *testing.T) {
	end := soon.Add(-record.ClockSkew)
	for name, test := range map[string]struct {
		grant         record.Grant
		now           time.Time
		live, settled bool
	}{
		"requested":         {record.Grant{State: record.Requested, Until: soon}, end.Add(-time.Second), false, false},
		"requested, over":   {record.Grant{State: record.Requested, Until: soon}, end, false, true},
		"approved":          {record.Grant{State: record.Approved, Until: soon}, end.Add(-time.Second), true, false},
		"approved, over":    {record.Grant{State: record.Approved, Until: soon}, end, false, true},
		"rejected":          {record.Grant{State: record.Rejected, Until: soon}, end.Add(-time.Second), false, true},
		"revoked":           {record.Grant{State: record.Revoked, Until: soon}, end.Add(-time.Second), false, true},
		"relinquished":      {record.Grant{State: record.Relinquished, Until: soon}, end.Add(-time.Second), false, true},
		"emergency, over":   {record.Grant{State: record.Approved, Basis: record.BasisBreakGlass, Until: soon}, end, false, false},
		"emergency, closed": {record.Grant{State: record.Approved, Basis: record.BasisBreakGlass, Until: soon, Reviewed: soon}, end, false, true},
		"late, closed":      {lateGrant(end.Add(-record.MaxLateEmergency - 2*record.ClockSkew)), end, false, true},
		"late, asked again": {lateGrant(end.Add(time.Second - record.MaxLateEmergency - 2*record.ClockSkew)), end, false, false},
	} {
		if live, settled := test.grant.Live(test.now), test.grant.Settled(test.now); live != test.live || settled != test.settled {
			t.Errorf("%s: live %t, settled %t", name, live, settled)
		}
	}
}

// lateGrant is an emergency of a time, recorded late and reviewed.
func lateGrant(at time.Time) record.Grant {
	return record.Grant{
		State: record.Approved, Basis: record.BasisBreakGlass, Asked: at, Until: at.Add(record.BreakGlassTime), Reviewed: at, Late: true,
	}
}

func TestEarlier(t *testing.T) {
	later, never := soon.Add(time.Second), time.Time{}
	for _, test := range [][3]time.Time{{soon, later, soon}, {later, soon, soon}, {never, soon, soon}, {soon, never, soon}, {never, never, never}} {
		if got := record.Earlier(test[0], test[1]); !got.Equal(test[2]) {
			t.Errorf("the earlier of %s and %s: %s", test[0], test[1], got)
		}
	}
}

func TestDenials(t *testing.T) {
	for _, d := range []record.Denial{record.DeniedNoBasis, record.DeniedWithdrawn, record.DeniedErased, record.DeniedSuspended} {
		if d.Explain() == record.Denial("x").Explain() || len(d.Explain()) < 15 {
			t.Errorf("%s: %q", d, d.Explain())
		}
	}
}
