package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/sealed"
)

// asked is a request or grant with who asked, and what they told the reader.
type asked struct {
	Patient record.Reference `json:"patient"`
	Who     identified       `json:"who"`
	Reason  string           `json:"reason,omitempty"`
	record.Grant
}

func (c *cli) accessList() *cobra.Command {
	var patient record.Reference
	cmd := c.as("list", "List who asked for access to a history, and what became of it",
		func(ctx context.Context, me *person) error {
			all, err := me.everyAsked(ctx, patient, newDirectory(me))
			if err != nil {
				return err
			}
			return c.print(all, func() error { return c.showAsked(all) })
		})
	c.patientFlags(cmd, &patient)
	return cmd
}

// everyAsked gives all requests and grants of a patient, by time, with the notes to the caller opened. It adds the names
// that were disclosed to the directory.
func (me *person) everyAsked(ctx context.Context, patient record.Reference, people *directory) ([]asked, error) {
	relations, err := me.everyRelation(ctx, patient)
	if err != nil {
		return nil, err
	}
	all := []asked{}
	for _, r := range relations {
		for _, g := range r.Grants {
			a, err := me.openAsked(ctx, r, g, people)
			if err != nil {
				return nil, err
			}
			all = append(all, a)
		}
	}
	slices.SortStableFunc(all, func(a, b asked) int { return a.Asked.Compare(b.Asked) })
	return all, nil
}

func (me *person) everyRelation(ctx context.Context, patient record.Reference) ([]record.Relation, error) {
	return everyPage(func(bookmark string) ([]record.Relation, string, error) {
		page, err := me.Relations(ctx, patient, pageSize, bookmark)
		return page.Relations, page.Bookmark, err
	})
}

func (me *person) openAsked(ctx context.Context, r record.Relation, g record.Grant, people *directory) (asked, error) {
	purpose := sealed.AccessRequest
	if g.Basis == record.BasisBreakGlass {
		purpose = sealed.BreakGlass
	}
	note, err := me.note(ctx, purpose, r.Patient, r.Participant, g.ID)
	if err == nil && note == (sealed.Note{}) && g.Basis == record.BasisBreakGlass {
		note, err = me.lateNote(ctx, r.Patient, g.ID)
	}
	if err != nil {
		return asked{}, err
	}
	if note.Name != "" {
		people.names[r.Participant] = note.Name
	}
	who, err := people.identify(ctx, r.Participant)
	return asked{r.Patient, who, note.Text, g}, err
}

// lateNote opens the note about an emergency that was while the ledger was away: the appliance recorded it later, in a
// transaction of its own, of which the audit tells. Who may not see that has no such note.
func (me *person) lateNote(ctx context.Context, patient record.Reference, emergency record.ID) (sealed.Note, error) {
	entries, err := everyPage(func(bookmark string) ([]record.AuditLine, string, error) {
		page, err := me.Audit(ctx, patient, pageSize, bookmark)
		return page.Entries, page.Bookmark, err
	})
	if refused, ok := errors.AsType[*record.Error](err); ok && refused.Code == record.Forbidden {
		return sealed.Note{}, nil
	}
	for _, e := range entries {
		if e.Action == record.ActLateEmergency && e.About == emergency {
			return me.note(ctx, sealed.BreakGlass, patient, e.Actor, e.ID)
		}
	}
	return sealed.Note{}, err
}

func (c *cli) showAsked(all []asked) error {
	rows := make([]string, 0, len(all))
	for _, a := range all {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", a.ID, when(a.Asked), a.Who, a.Mode,
			scope(a.Scope), a.Purpose, standing(a.Grant, time.Now()), when(a.Until), printable(a.Reason)))
	}
	return table(c.out, "REQUEST\tASKED\tWHO\tMODE\tSCOPE\tPURPOSE\tSTATE\tUNTIL\tREASON", rows)
}

// standing says where a grant stands now.
func standing(g record.Grant, now time.Time) string {
	state := string(g.State)
	switch {
	case record.Over(g.Until, now) && (g.State == record.Requested || g.State == record.Approved):
		state = "expired"
	case g.State == record.Approved && g.Basis != record.BasisGrant:
		state = g.Basis.String()
	}
	switch {
	case g.Basis != record.BasisBreakGlass:
		return state
	case g.Reviewed.IsZero():
		return state + ", not reviewed"
	case g.Justified:
		return state + ", justified"
	}
	return state + ", not justified"
}

// asker gives who made a request to a patient, if they are not known.
func (me *person) asker(ctx context.Context, patient record.Reference, known record.ParticipantID, request record.ID,
) (record.ParticipantID, error) {
	if !known.IsZero() || request.IsZero() {
		return known, nil
	}
	relations, err := me.everyRelation(ctx, patient)
	if err != nil {
		return known, err
	}
	for _, r := range relations {
		if slices.ContainsFunc(r.Grants, func(g record.Grant) bool { return g.ID == request }) {
			return r.Participant, nil
		}
	}
	return known, fmt.Errorf("%w: the patient has no such request: see medanchor access list", ledger.ErrNotFound)
}
