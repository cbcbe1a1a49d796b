package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
)

const refileHelp = `Withdraws a record that was filed under the wrong patient, so that nobody reads it any more, and files its documents under
the right one. To be run by the office, on the appliance. It may be repeated where it broke off.

Nothing on the ledger ties the two patients together. The bytes do not move.`

func (c *cli) refileCommand() *cobra.Command {
	var q control.RefileRequest
	cmd := c.as("refile", "File a record under the right patient", func(ctx context.Context, me *person) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		if _, err := client.Status(ctx); err != nil {
			return err // before anything is withdrawn
		}
		_, err = me.Act(ctx, record.WithdrawFunction, record.Correction{RecordName: q.RecordName}, nil)
		if refused, ok := errors.AsType[*record.Error](err); err != nil && (!ok || refused.Code != record.WrongState) {
			return err
		}
		refiled, err := client.Refile(ctx, q)
		if err != nil {
			return err
		}
		return c.print(refiled, func() error {
			for _, r := range refiled.Records {
				fmt.Fprintf(c.out, "record\t%s\n", r)
			}
			_, err := fmt.Fprintf(c.out, "%d documents are queued for the right patient\n", refiled.Documents)
			return err
		})
	})
	cmd.Long = refileHelp
	c.recordFlags(cmd, &q.RecordName)
	textFlag(cmd, &q.To, "to", "REF", "the right patient's reference")
	before(cmd, func(context.Context) error {
		if q.To.IsZero() {
			return &usageError{errors.New("no right patient is named: give --to REF (medanchor patient register --id … gives it)")}
		}
		return nil
	})
	return cmd
}
