package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/wallet"
)

func (c *cli) participantCommand() *cobra.Command {
	return group("participant", "Add people and appliances to your institution; list and suspend them; help them to a new key",
		c.participantAdd(), c.participantRenew(), c.participantList(), c.participantShow(),
		c.suspension("suspend", "Take all rights from a participant, until they are reinstated", record.SuspendFunction),
		c.suspension("reinstate", "Give a suspended participant their rights back", record.ReinstateFunction))
}

func (c *cli) participantAdd() *cobra.Command {
	var role record.Role
	var out codeOutput
	cmd := c.as("add", "Add a participant, and give the code with which they enrol", func(ctx context.Context, me *person) error {
		code, err := wallet.Admit(ctx, me.wallet, me.Client, role)
		if err != nil {
			return err
		}
		return c.give(code, out)
	})
	cmd.Long = "Registers a new participant at your institution's certificate authority, invites them to the ledger, and prints a\n" +
		"code. It takes the institution's own identity. The code makes whoever uses it first that participant, once: hand\n" +
		"it over in person. One that was lost or used up is replaced by participant renew."
	cmd.Flags().StringVar((*string)(&role), "role", "", "patient, representative, doctor, staff or appliance")
	out.flags(cmd)
	before(cmd, func(context.Context) error {
		if !role.Valid() || role == record.InstitutionRole {
			return &usageError{fmt.Errorf("the role %q cannot be given: choose patient, representative, doctor, staff or appliance",
				role)}
		}
		return nil
	})
	return cmd
}

func (c *cli) participantRenew() *cobra.Command {
	var q record.Suspension
	var out codeOutput
	short := "Give a participant who lost their key or code a new code"
	cmd := checked(c.as("renew", short, func(ctx context.Context, me *person) error {
		code, err := wallet.Renew(ctx, me.wallet, me.Client, q.Participant)
		if err != nil {
			return err
		}
		return c.give(code, out)
	}), &q)
	cmd.Long = "It takes the institution's own identity. The code before is dead. Who has not joined yet joins with the new one.\n" +
		"Who has a key already gets another one by it, without rights: medanchor enroll prints a request then, which two\n" +
		"people of the institution carry out, see medanchor decision propose-rebind. Suspend a participant whose key was\n" +
		"stolen."
	textFlag(cmd, &q.Participant, "participant", "ID", "the participant")
	out.flags(cmd)
	return cmd
}

func (c *cli) participantShow() *cobra.Command {
	var q record.Suspension
	cmd := checked(c.as("show", "Show a participant, of any institution", func(ctx context.Context, me *person) error {
		p, err := me.Participant(ctx, q.Participant)
		if err != nil {
			return err
		}
		institution, err := newDirectory(me).institution(ctx, p.ID.Institution())
		if err != nil {
			return err
		}
		return c.print(p, func() error { return showParticipant(c.out, p, institution) })
	}), &q)
	textFlag(cmd, &q.Participant, "participant", "ID", "the participant")
	return cmd
}

func showParticipant(out io.Writer, p record.Participant, institution string) error {
	key := "none yet"
	if !p.Key.IsZero() {
		key = p.Key.String()
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "participant\t%s\nrole\t%s\ninstitution\t%s\nstatus\t%s since %s\nkey\t%s\n",
		p.ID, p.Role, printable(institution), p.Status, when(p.Since), key)
	return w.Flush()
}

func (c *cli) participantList() *cobra.Command {
	return c.as("list", "List the participants of your institution", func(ctx context.Context, me *person) error {
		institution := record.InstitutionID(me.wallet.MSPID)
		all, err := everyPage(func(bookmark string) ([]record.Participant, string, error) {
			page, err := me.Participants(ctx, institution, pageSize, bookmark)
			return page.Participants, page.Bookmark, err
		})
		if err != nil {
			return err
		}
		var rows []string
		for _, p := range all {
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s", p.ID, p.Role, p.Status, when(p.Since)))
		}
		return c.print(all, func() error { return table(c.out, "PARTICIPANT\tROLE\tSTATUS\tSINCE", rows) })
	})
}

// suspension makes a command about one participant's status.
func (c *cli) suspension(use, short, function string) *cobra.Command {
	var q record.Suspension
	cmd := c.writes(use, short, function, &q)
	textFlag(cmd, &q.Participant, "participant", "ID", "the participant")
	return cmd
}
