package reading

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/pause"
)

// The pauses between attempts to record emergencies.
const (
	recordFirst = time.Second
	recordLast  = 30 * time.Second
)

// withoutLedger is what is left when the ledger is away: an emergency, for a record of this hospital.
func (s *Server) withoutLedger(who *session, q OpenRequest, away error) (*reading, error) {
	here := s.Institution
	switch {
	case q.Patient.Institution() != here:
		return nil, fmt.Errorf("%w, and the record is another hospital's, whose keys come over the ledger: ask that hospital "+
			"directly (%w)", ErrAway, away)
	case q.Emergency == nil:
		return nil, fmt.Errorf("%w, so nothing is read as a routine: in an emergency give the reason (medanchor get --emergency "+
			"--reason …): it is recorded, and reviewed later (%w)", ErrAway, away)
	case who.reader.Role != record.DoctorRole || who.reader.ID.Institution() != here:
		return nil, fmt.Errorf("%w: while the ledger is away, only doctors of this hospital read in an emergency", ErrDenied)
	}
	return s.breakGlass(who, q)
}

// breakGlass opens a record in an emergency. The statement and the reason are durable when it returns.
func (s *Server) breakGlass(who *session, q OpenRequest) (*reading, error) {
	e := *q.Emergency
	reason := sha256.Sum256([]byte(e.Text))
	now := s.Now()
	switch {
	case e.Text == "":
		return nil, fmt.Errorf("%w: no reason is given: say why the record is needed at once", ErrBadRequest)
	case !bytes.Equal(e.Reason, reason[:]) || e.Patient != q.Patient || e.Record != q.Record || e.Participant != who.reader.ID:
		return nil, fmt.Errorf("%w: the statement is about something else", ErrBadRequest)
	case now.Sub(e.Time).Abs() > record.ClockSkew:
		return nil, fmt.Errorf("%w: the statement is of %s, and the clock here says %s: set your clock, and try again",
			ErrBadRequest, e.Time.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case !Signed(who.reader, e.Message(), e.Signature):
		return nil, fmt.Errorf("%w: the statement is not signed with your key", ErrDenied)
	}
	if err := s.excluded(q.RecordName, who.reader.ID); err != nil {
		return nil, err
	}
	if err := (record.LateEmergency{EmergencyStatement: e.EmergencyStatement, Signature: e.Signature}).Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	relation, err := s.Index.Relation(e.Patient, e.Participant)
	if err != nil {
		return nil, err
	}
	if g, used := grantOf(relation, e.ID); used && !became(g, e) {
		return nil, fmt.Errorf("%w: the statement's ID is another right's: state it anew", ErrBadRequest)
	}
	e.SigningKey = who.reader.SigningKey
	if err := s.Journal.AddEmergency(e); err != nil {
		return nil, fmt.Errorf("record the emergency: %w", err)
	}
	s.Log.Warn("a record was opened in an emergency while the ledger is away", "reader", who.reader.ID, "emergency", e.ID)
	return &reading{
		name: q.RecordName, emergency: &e, checked: now, documents: make(map[record.Tag]Document),
		wrong: make(map[record.Tag]bool),
	}, nil
}

// grantOf gives the grant with an ID.
func grantOf(relation record.Relation, id record.ID) (g record.Grant, found bool) {
	i := slices.IndexFunc(relation.Grants, func(g record.Grant) bool { return g.ID == id })
	if i < 0 {
		return g, false
	}
	return relation.Grants[i], true
}

// became says whether a grant is what an emergency became on the ledger.
func became(g record.Grant, e document.Emergency) bool {
	return g.Late && g.Asked.Unix() == e.Time.Unix() && g.Scope.Equal(record.Scope{Records: []record.Tag{e.Record}})
}

// recorded says whether an emergency is on the ledger, as far as this hospital has seen. That the contract knows its ID is
// not enough: the ID is the doctor's choice, and may be that of another.
func (s *Server) recorded(e document.Emergency) (bool, error) {
	relation, err := s.Index.Relation(e.Patient, e.Participant)
	g, found := grantOf(relation, e.ID)
	return found && became(g, e), err
}

// excluded refuses what nobody reads, and a reader who was suspended since, as far as this hospital has seen.
func (s *Server) excluded(name record.RecordName, reader record.ParticipantID) error {
	status, err := s.Index.Status(name)
	if err != nil {
		return err
	}
	denied := record.Denial("")
	switch {
	case !status.Withdrawn.IsZero():
		denied = record.DeniedWithdrawn
	case status.Erasure == record.ErasureDone:
		denied = record.DeniedErased
	}
	p, _, err := s.Index.Participant(reader)
	if err != nil {
		return err
	}
	if p.Status != record.Active {
		denied = record.DeniedSuspended
	}
	if denied != "" {
		return fmt.Errorf("%w: %s", ErrDenied, denied.Explain())
	}
	return nil
}

// checkEmergency says whether an emergency reading may go on.
func (s *Server) checkEmergency(who *session, r *reading) error {
	if s.Now().After(r.emergency.Time.Add(record.BreakGlassTime)) {
		return fmt.Errorf("%w: the emergency is over: read with the patient's consent, or state another", ErrDenied)
	}
	if err := s.checkKey(who); err != nil {
		return err
	}
	return s.excluded(r.name, who.reader.ID)
}

// Record brings emergencies to the ledger, once it is back, until ctx ends. An error of the journal is fatal and
// returned.
func (s *Server) Record(ctx context.Context) error {
	retries := pause.Growing{First: recordFirst, Last: recordLast}
	for {
		left, err := s.recordAll(ctx)
		if err != nil {
			return err
		}
		if left == 0 {
			retries.Reset()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retries.Next()):
		}
	}
}

// recordAll records what waits. Left is how much still does.
func (s *Server) recordAll(ctx context.Context) (left int, err error) {
	waiting, err := s.Journal.Emergencies()
	if err != nil {
		return 0, err
	}
	for _, e := range waiting {
		err := s.Ledger.LateEmergency(ctx, e)
		refused, isRefusal := errors.AsType[*record.Error](err)
		done := err == nil
		if isRefusal && refused.Code == record.Exists {
			var failed error
			if done, failed = s.recorded(e); failed != nil {
				return left, failed
			}
		}
		if done {
			if err := s.Journal.ForgetEmergency(e.ID); err != nil {
				return left, err
			}
			s.Log.Info("an emergency is on the ledger, and waits for review", "emergency", e.ID)
			continue
		}
		left++
		level := slog.LevelDebug
		if isRefusal {
			level = slog.LevelError
		}
		s.Log.Log(ctx, level, "an emergency is not on the ledger yet: it is kept, and tried again", "emergency", e.ID, "err", err)
	}
	return left, nil
}
