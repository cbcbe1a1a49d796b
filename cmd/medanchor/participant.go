package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/wallet"
)

func (c *cli) participantCommand() *cobra.Command {
	return group("participant", "Add people and appliances to your institution; list and suspend them",
		c.participantAdd(), c.participantList(),
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
		"it over in person. One that was lost or used up is not made again: add the participant once more."
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
