package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
)

func TestEachErrorHasItsExitCodeAndSentence(t *testing.T) {
	failed := func(err error) error {
		return &ledger.TransactionError{Phase: ledger.Endorse, TxID: record.TxID{1}, Err: err}
	}
	for name, test := range map[string]struct {
		err  error
		code int
		says string
	}{
		"forbidden":   {failed(record.Errorf(record.Forbidden, "ask it")), exitRefused, "ask it"},
		"on the wire": {fmt.Errorf("ask f: %w", record.Errorf(record.WrongState, "moved on")), exitRefused, "moved on"},
		"exists":      {record.Errorf(record.Exists, "there already"), exitRefused, "there already"},
		"held":        {record.Errorf(record.Held, "a legal hold stands"), exitRefused, "a legal hold stands"},
		"request":     {record.Errorf(record.BadRequest, "no patient is named"), exitUsage, "no patient is named"},
		"not found": {
			fmt.Errorf("%w: %w", ledger.ErrNotFound, record.Errorf(record.NotFound, "no such team")), exitNotFound,
			"no such team",
		},
		"newer schema": {record.Errorf(record.Internal, "upgrade"), exitError, "INTERNAL: upgrade"},
		"conflict": {
			failed(&ledger.InvalidError{Code: 11}), exitAway,
			"the channel marked it invalid (MVCC_READ_CONFLICT): nothing was changed, try again",
		},
		"away": {
			failed(status.Error(codes.Unavailable, "refused")), exitAway,
			failed(status.Error(codes.Unavailable, "refused")).Error() + ": nothing was changed, try again later",
		},
		"unknown": {
			&ledger.TransactionError{Phase: ledger.Commit, Err: context.DeadlineExceeded}, exitAway,
			(&ledger.TransactionError{Phase: ledger.Commit, Err: context.DeadlineExceeded}).Error() +
				": it may have been carried out all the same, look before you try again",
		},
		"not running": {control.ErrNotRunning, exitAway, control.ErrNotRunning.Error()},
		"usage":       {&usageError{errors.New("give one")}, exitUsage, "give one"},
		"other":       {errors.New("disk full"), exitError, "disk full"},
	} {
		if got := exitCode(test.err); got != test.code {
			t.Errorf("%s: exit code %d, want %d", name, got, test.code)
		}
		if got := message(test.err); got != test.says {
			t.Errorf("%s: says %q, want %q", name, got, test.says)
		}
	}
}

func TestADayIsIncluded(t *testing.T) {
	local := time.Local
	time.Local = time.FixedZone("test", 2*60*60)
	t.Cleanup(func() { time.Local = local })
	for _, test := range []struct {
		given    string
		endOfDay bool
		want     string // empty: refused
	}{
		{"2027-03-01", true, "2027-03-01T22:00:00Z"},
		{"2027-03-01T12:00:00Z", true, "2027-03-01T12:00:00Z"},
		{"2027-03-01T12:00:00+02:00", false, "2027-03-01T10:00:00Z"},
		{"2027-03-01T09:30", false, "2027-03-01T07:30:00Z"},
		{"2027-03-01", false, ""},
		{"1 March", true, ""},
		{"", true, ""},
	} {
		var got time.Time
		err := (&instant{to: &got, endOfDay: test.endOfDay}).Set(test.given)
		if test.want == "" {
			if !errors.Is(err, errInstant) {
				t.Errorf("%q: %v, %v", test.given, got, err)
			}
			continue
		}
		if err != nil || got.Format(time.RFC3339) != test.want {
			t.Errorf("%q is %s, %v, want %s", test.given, got.Format(time.RFC3339), err, test.want)
		}
	}
}

func TestAScopeIsReadFromItsFlags(t *testing.T) {
	tags := []record.Tag{{1}, {2}}
	var got record.Scope
	cmd := &cobra.Command{}
	scopeFlags(cmd, &got)
	args := []string{"--kind", "letter,imaging", "--kind=other", "--record", tags[0].String(), "--record", tags[1].String()}
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	want := record.Scope{
		Kinds: []record.Kind{record.KindLetter, record.KindImaging, record.KindOther}, Records: tags,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	if shown := scope(got); shown != "AQAAAAAAAAAAAAAAAAAAAA,AgAAAAAAAAAAAAAAAAAAAA,imaging,letter,other" {
		t.Errorf("shown as %s", shown)
	}
	if err := cmd.ParseFlags([]string{"--kind", "novel"}); err == nil {
		t.Error("an unknown kind is taken")
	}
}

func TestAGrantIsShownAsItStandsNow(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	later, reviewed := now.Add(time.Hour), now.Add(-time.Hour)
	for want, g := range map[string]record.Grant{
		"requested":                  {State: record.Requested, Basis: record.BasisGrant, Until: later},
		"approved":                   {State: record.Approved, Basis: record.BasisGrant, Until: later},
		"expired":                    {State: record.Approved, Basis: record.BasisGrant, Until: now},
		"revoked":                    {State: record.Revoked, Basis: record.BasisGrant, Until: now},
		"referral":                   {State: record.Approved, Basis: record.BasisReferral, Until: later},
		"break-glass, not reviewed":  {State: record.Approved, Basis: record.BasisBreakGlass, Until: later},
		"expired, not reviewed":      {State: record.Approved, Basis: record.BasisBreakGlass, Until: now},
		"break-glass, not justified": {State: record.Approved, Basis: record.BasisBreakGlass, Until: later, Reviewed: reviewed},
		"revoked, justified":         {State: record.Revoked, Basis: record.BasisBreakGlass, Reviewed: reviewed, Justified: true},
	} {
		if got := standing(g, now); got != want {
			t.Errorf("%+v is shown as %q, want %q", g, got, want)
		}
	}
}

func TestWhatBecameOfARecord(t *testing.T) {
	at := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	for want, s := range map[string]record.RecordStatus{
		"open":   {},
		"stable": {Stable: at},
		"stable; withdrawn: filed in error; erasure requested": {
			Stable: at, Withdrawn: at, Erasure: record.ErasureRequested,
		},
		"open; legal hold: litigation; erasure refused: legal-hold": {
			Holds: []record.LegalHold{{Reason: record.Litigation}}, Erasure: record.ErasureRefused,
			Refusal: record.RefusedByHold,
		},
		"open; erased": {Erasure: record.ErasureDone},
	} {
		if got := fate(s); got != want {
			t.Errorf("shown as %q, want %q", got, want)
		}
	}
}

// What another participant wrote must neither drive the reader's terminal nor break out of its cell.
func TestOthersTextCannotDriveTheTerminal(t *testing.T) {
	who := identified{Role: record.DoctorRole, Institution: "St\tMary's", Name: "A\x1b[2J\nb\u202ec\u0000"}
	if got, want := who.String(), "doctor, St Mary's (A\ufffd[2J b\ufffdc\ufffd)"; got != want {
		t.Errorf("shown as %q, want %q", got, want)
	}
	if got := (identified{ID: record.ParticipantID{1}, Institution: "AQAAAAAA"}).String(); got != "unknown, AQAAAAAA" {
		t.Errorf("somebody whom the ledger does not know is shown as %q", got)
	}
	if got := (identified{}).String(); got != "-" {
		t.Errorf("nobody is shown as %q", got)
	}
}

func TestEveryPageIsAskedFor(t *testing.T) {
	pages := map[string][]int{"": {1, 2}, "b": {}, "c": {3}}
	next := map[string]string{"": "b", "b": "c"}
	got, err := everyPage(func(bookmark string) ([]int, string, error) { return pages[bookmark], next[bookmark], nil })
	if err != nil || fmt.Sprint(got) != "[1 2 3]" {
		t.Errorf("%v, %v", got, err)
	}
	away := errors.New("away")
	if _, err := everyPage(func(bookmark string) ([]int, string, error) {
		if bookmark == "b" {
			return nil, "", away
		}
		return []int{1}, "b", nil
	}); !errors.Is(err, away) {
		t.Errorf("an error of a later page: %v", err)
	}
}
