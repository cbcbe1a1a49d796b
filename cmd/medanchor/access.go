package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/sealed"
)

func (c *cli) accessCommand() *cobra.Command {
	return group("access", "Ask for access to a history, and decide on it",
		c.accessRequest(), c.accessApprove(),
		c.accessChoice("reject", "Refuse a request, as the patient or who represents them", record.RejectFunction),
		c.accessChoice("revoke", "Take access back, as the patient or who represents them", record.RevokeFunction),
		c.accessRelinquish(), c.accessRefer(), c.accessBreakGlass(), c.accessReview(), c.accessList(), c.accessCheck())
}

func (c *cli) accessRequest() *cobra.Command {
	q := record.AccessRequest{Mode: record.Read}
	var note sealed.Note
	cmd := checked(c.as("request", "Ask a patient for access, as a doctor", func(ctx context.Context, me *person) error {
		notes, err := me.tellPatient(ctx, sealed.AccessRequest, q.Patient, note)
		if err != nil {
			return err
		}
		return c.act(ctx, me, record.RequestFunction, q, notes...)
	}), &q)
	c.patientFlags(cmd, &q.Patient)
	modeFlag(cmd, &q.Mode)
	scopeFlags(cmd, &q.Scope)
	purposeFlag(cmd, &q.Purpose)
	untilFlag(cmd, &q.Until, "the end that you ask for")
	noteFlags(cmd, &note, "the patient and who represents them")
	return cmd
}

var errNobodyToTell = errors.New("nobody on the ledger can open a note for this patient: leave out --reason and --name, " +
	"and have the patient's hospital ask them")

// tellPatient seals a note to who decides for a patient.
func (me *person) tellPatient(ctx context.Context, purpose sealed.Purpose, patient record.Reference, n sealed.Note,
) ([]record.SealedNote, error) {
	if n == (sealed.Note{}) {
		return nil, nil
	}
	side, err := me.patientSide(ctx, patient)
	if err != nil {
		return nil, err
	}
	if len(side) == 0 {
		return nil, errNobodyToTell
	}
	return me.sealToAll(ctx, purpose, patient, side, n)
}

func (c *cli) accessApprove() *cobra.Command {
	var q record.Approval
	var narrower record.Scope
	cmd := c.as("approve", "Approve a request, as the patient or who represents them",
		func(ctx context.Context, me *person) (err error) {
			if q.Participant, err = me.asker(ctx, q.Patient, q.Participant, q.Request); err != nil {
				return err
			}
			return c.act(ctx, me, record.ApproveFunction, q)
		})
	c.choiceFlags(cmd, &q.Patient, &q.Participant, &q.Request)
	narrowerFlags(cmd, &q, &narrower)
	return cmd
}

// narrowerFlags adds the flags by which less is approved than was asked for.
func narrowerFlags(cmd *cobra.Command, q *record.Approval, scope *record.Scope) {
	scopeFlags(cmd, scope)
	untilFlag(cmd, &q.Until, "an earlier end than what was asked for")
	before(cmd, func(context.Context) error {
		if scope.All || len(scope.Kinds)+len(scope.Records) > 0 {
			q.Scope = scope
		}
		return nil
	})
}

// accessChoice makes a command of the patient's about one request or grant.
func (c *cli) accessChoice(use, short, function string) *cobra.Command {
	var q record.Choice
	cmd := c.as(use, short, func(ctx context.Context, me *person) (err error) {
		if q.Participant, err = me.asker(ctx, q.Patient, q.Participant, q.Request); err != nil {
			return err
		}
		return c.act(ctx, me, function, q)
	})
	c.choiceFlags(cmd, &q.Patient, &q.Participant, &q.Request)
	return cmd
}

func (c *cli) accessRelinquish() *cobra.Command {
	var q record.Choice
	cmd := c.as("relinquish", "Give access back that you have, or a request that waits",
		func(ctx context.Context, me *person) error {
			q.Participant = me.wallet.Participant
			return c.act(ctx, me, record.RelinquishFunction, q)
		})
	c.patientFlags(cmd, &q.Patient)
	textFlag(cmd, &q.Request, "request", "ID", "the request, as access request gave it")
	return cmd
}

func (c *cli) accessRefer() *cobra.Command {
	var q record.Referral
	cmd := c.writes("refer", "Pass records of your institution on to a doctor elsewhere, for direct care",
		record.ReferFunction, &q)
	c.patientFlags(cmd, &q.Patient)
	textFlag(cmd, &q.Participant, "participant", "ID", "the doctor")
	scopeFlags(cmd, &q.Scope)
	purposeFlag(cmd, &q.Purpose)
	untilFlag(cmd, &q.Until, "the end of the referral")
	return cmd
}

func (c *cli) accessBreakGlass() *cobra.Command {
	var q record.Emergency
	var note sealed.Note
	cmd := checked(c.as("break-glass", "Read in an emergency, for four hours, without asking",
		func(ctx context.Context, me *person) error {
			notes, err := me.emergencyNotes(ctx, q.Patient, note)
			if err != nil {
				return err
			}
			return c.act(ctx, me, record.BreakGlassFunction, q, notes...)
		}), &q)
	cmd.Long = "The patient sees it, and the institution that holds the records reviews it: both read your name, the\n" +
		"institution your reason. A reason must be given."
	c.patientFlags(cmd, &q.Patient)
	scopeFlags(cmd, &q.Scope)
	noteFlags(cmd, &note, "the institution that holds the records")
	before(cmd, func(context.Context) error {
		if note.Text == "" {
			return &usageError{errors.New("no reason is given: say with --reason why the records are needed at once")}
		}
		return nil
	})
	return cmd
}

// emergencyNotes seals the reason and the name to the institution that holds the records, and the name to the patient's
// side. That these cannot be told must not be in the way of an emergency.
func (me *person) emergencyNotes(ctx context.Context, patient record.Reference, n sealed.Note,
) ([]record.SealedNote, error) {
	holder, err := me.Institution(ctx, patient.Institution())
	if err != nil {
		return nil, err
	}
	reason, err := me.seal(ctx, sealed.BreakGlass, patient, holder.ID, n)
	if err != nil {
		return nil, err
	}
	names, err := me.tellPatient(ctx, sealed.BreakGlass, patient, sealed.Note{Name: n.Name})
	if err != nil {
		return []record.SealedNote{reason}, nil //nolint:nilerr // the institution has both, and the patient sees the use
	}
	return append(names, reason), nil
}

func (c *cli) accessReview() *cobra.Command {
	var q record.Review
	cmd := c.as("review", "Say whether a use of break-glass was justified, for the institution that holds the records",
		func(ctx context.Context, me *person) (err error) {
			if q.Participant, err = me.asker(ctx, q.Patient, q.Participant, q.Request); err != nil {
				return err
			}
			return c.act(ctx, me, record.ReviewFunction, q)
		})
	c.choiceFlags(cmd, &q.Patient, &q.Participant, &q.Request)
	cmd.Flags().BoolVar(&q.Justified, "justified", false, "it was")
	unjustified := cmd.Flags().Bool("unjustified", false, "it was not")
	before(cmd, func(context.Context) error {
		if q.Justified == *unjustified {
			return &usageError{errors.New("give --justified or --unjustified")}
		}
		return nil
	})
	return cmd
}

func (c *cli) accessCheck() *cobra.Command {
	var name record.RecordName
	var version record.Tag
	var participant record.ParticipantID
	mode := record.Read
	cmd := checked(c.as("check", "Ask whether a participant may read or write a record, by which right, until when",
		func(ctx context.Context, me *person) error {
			if participant.IsZero() {
				participant = me.wallet.Participant
			}
			access, err := me.CheckAccess(ctx, participant, name, version, mode)
			if err != nil {
				return err
			}
			if err := c.print(access, func() error { return c.showAccess(access) }); err != nil {
				return err
			}
			if !access.Allowed {
				return errDenied
			}
			return nil
		}), &name)
	c.recordFlags(cmd, &name)
	textFlag(cmd, &version, "version", "TAG", "any version of the record: rights to its kind count then")
	textFlag(cmd, &participant, "participant", "ID", "who; none: yourself")
	modeFlag(cmd, &mode)
	return cmd
}

func (c *cli) showAccess(a record.Access) error {
	if !a.Allowed {
		_, err := fmt.Fprintf(c.out, "denied: %s\n", a.Reason.Explain())
		return err
	}
	_, err := fmt.Fprintf(c.out, "allowed: %s, until %s\n", a.Basis, orOpen(a.Until))
	return err
}

func orOpen(t time.Time) string {
	if t.IsZero() {
		return "something changes"
	}
	return when(t)
}

// choiceFlags adds the flags that name a request of somebody to a patient.
func (c *cli) choiceFlags(cmd *cobra.Command, patient *record.Reference, participant *record.ParticipantID,
	request *record.ID,
) {
	c.patientFlags(cmd, patient)
	textFlag(cmd, request, "request", "ID", "the request, as access list shows it")
	textFlag(cmd, participant, "participant", "ID", "who asked; none: found by the request")
}

func modeFlag(cmd *cobra.Command, mode *record.Mode) {
	cmd.Flags().StringVar((*string)(mode), "mode", string(*mode), "read or write")
}

func purposeFlag(cmd *cobra.Command, purpose *record.Purpose) {
	cmd.Flags().StringVar((*string)(purpose), "purpose", string(record.Treatment),
		"treatment, second-opinion, continuity-of-care, administration or research")
}
