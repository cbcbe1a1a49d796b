package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
)

func (c *cli) decisionCommand() *cobra.Command {
	return group("decision", "See, confirm or decline what a colleague of your institution proposed", c.decisionShow(),
		c.decisionRebind(),
		c.decide("confirm", "Confirm a proposal as the second person, which carries it out", record.ConfirmFunction),
		c.decide("decline", "Decline a proposal, or take your own back", record.DeclineFunction))
}

// decide makes a command about one proposal.
func (c *cli) decide(use, short, function string) *cobra.Command {
	var q record.DecisionName
	cmd := c.writes(use, short, function, &q)
	decisionFlag(cmd, &q.Decision)
	return cmd
}

func decisionFlag(cmd *cobra.Command, to *record.ID) {
	textFlag(cmd, to, "decision", "ID", "the proposal, as it was given when it was made")
}

func (c *cli) decisionShow() *cobra.Command {
	var q record.DecisionName
	cmd := checked(c.as("show", "Show a proposal, and what became of it", func(ctx context.Context, me *person) error {
		d, err := me.Decision(ctx, q.Decision)
		if err != nil {
			return err
		}
		return c.print(d, func() error { return c.showDecision(ctx, newDirectory(me), d) })
	}), &q)
	decisionFlag(cmd, &q.Decision)
	return cmd
}

func (c *cli) showDecision(ctx context.Context, people *directory, d record.Decision) error {
	by, err := people.identify(ctx, d.ProposedBy)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "decision\t%s\nstate\t%s\nproposed\t%s by %s, %s\n", d.ID, d.State, when(d.Proposed), d.ProposedBy, by)
	if d.State == record.Open {
		fmt.Fprintf(w, "waits until\t%s\n", when(d.Proposed.Add(record.DecisionTime)))
	} else {
		if by, err = people.identify(ctx, d.DecidedBy); err != nil {
			return err
		}
		fmt.Fprintf(w, "decided\t%s by %s, %s\n", when(d.Decided), d.DecidedBy, by)
	}
	if q := d.Proposal.Rebind; q != nil {
		fmt.Fprintf(w, "new key\t%s\n", record.FingerprintOf(people.me.wallet.MSPID, q.NewKey))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	proposal := json.NewEncoder(c.out)
	proposal.SetIndent("", "  ")
	return proposal.Encode(d.Proposal)
}

func (c *cli) assistCommand() *cobra.Command {
	return group("assist", "Propose what a patient without a key decided on a form; a second person confirms it",
		c.assist("approve", "The patient approves a request", record.Approved),
		c.assist("reject", "The patient rejects a request", record.Rejected),
		c.assist("revoke", "The patient takes access back", record.Revoked))
}

// assist makes a command that proposes a patient's decision on one request.
func (c *cli) assist(use, short string, decision record.GrantState) *cobra.Command {
	q := record.AssistedChoice{Decision: decision}
	var narrower record.Scope
	cmd := c.as(use, short, func(ctx context.Context, me *person) (err error) {
		if q.Participant, err = me.asker(ctx, q.Patient, q.Participant, q.Request); err != nil {
			return err
		}
		return c.act(ctx, me, record.ProposeFunction, record.Proposal{Assist: &q})
	})
	c.choiceFlags(cmd, &q.Patient, &q.Participant, &q.Request)
	textFlag(cmd, &q.Form, "form", "TAG", "the scanned form, a document on the ledger")
	cmd.Flags().StringVar((*string)(&q.Reason), "because", "", "no-key, no-device or unable")
	if decision == record.Approved {
		narrowerFlags(cmd, &q.Approval, &narrower)
	}
	return cmd
}
