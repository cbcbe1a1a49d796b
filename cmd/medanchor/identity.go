package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/wallet"
)

// pageSize is how many entries of a list are asked for at once.
const pageSize = 200

// person is the participant who runs a command, connected to the ledger.
type person struct {
	*ledger.Client
	wallet *wallet.Wallet
}

// connect opens the identity in a folder. Nothing is sent yet.
func connect(ctx context.Context, dir string) (*person, error) {
	w, err := wallet.Open(dir)
	if err != nil {
		return nil, err
	}
	client, err := ledger.Connect(ctx, w.LedgerOptions())
	if err != nil {
		return nil, err
	}
	return &person{client, w}, nil
}

// as makes a command that a participant runs under their own identity.
func (c *cli) as(use, short string, run func(context.Context, *person) error) *cobra.Command {
	var dir string
	cmd := &cobra.Command{Use: use, Short: short, Args: exactly(0)}
	identityFlag(cmd, &dir)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		me, err := connect(cmd.Context(), dir)
		if err != nil {
			return err
		}
		if me.wallet.Rotating() {
			fmt.Fprintf(cmd.ErrOrStderr(), "a rotation of these keys has not ended: medanchor key rotate --identity %s goes on\n", dir)
		}
		return errors.Join(run(cmd.Context(), me), me.Close())
	}
	return cmd
}

// identityFlag adds --identity, which must be given.
func identityFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "identity", "", "your identity: the folder that medanchor enroll made")
	before(cmd, func(context.Context) error {
		if *dir == "" {
			return &usageError{errors.New("no identity is named: give --identity DIR, the folder that medanchor enroll made")}
		}
		return nil
	})
}

// writes makes a command that has the contract carry out a request. The caller adds the flags that fill it in.
func (c *cli) writes(use, short, function string, q record.Request) *cobra.Command {
	return checked(c.as(use, short, func(ctx context.Context, me *person) error {
		return c.act(ctx, me, function, q)
	}), q)
}

// checked refuses a request that the contract would refuse whoever asks, before anything is opened or sent.
func checked(cmd *cobra.Command, q record.Request) *cobra.Command {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := q.Validate(); err != nil {
			return err
		}
		return run(cmd, args)
	}
	return cmd
}

// done is what a transaction did.
type done struct {
	ID     record.ID   `json:"id"` // of what it made
	Block  uint64      `json:"block"`
	TxID   record.TxID `json:"tx_id"`
	Result any         `json:"result,omitempty"`
}

// act has the contract carry out a request, and shows what it did.
func (c *cli) act(ctx context.Context, me *person, function string, q record.Request, notes ...record.SealedNote) error {
	var result any
	acted, err := me.Act(ctx, function, q, &result, notes...)
	if err != nil {
		return err
	}
	return c.report(acted, result)
}

// report shows what a transaction did, and its result, if there is one.
func (c *cli) report(acted ledger.Acted, result any) error {
	d := done{acted.ID, acted.Block, acted.TxID, result}
	return c.print(d, func() error {
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "id\t%s\nblock\t%d\ntransaction\t%s\n", d.ID, d.Block, d.TxID)
		if result != nil {
			fmt.Fprintf(w, "result\t%v\n", result)
		}
		return w.Flush()
	})
}

// group gathers the commands about one noun.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

// everyPage gives the entries of all pages of a list.
func everyPage[E any](page func(bookmark string) ([]E, string, error)) (all []E, err error) {
	for bookmark := ""; ; {
		entries, next, err := page(bookmark)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
		if next == "" {
			return all, nil
		}
		bookmark = next
	}
}

// table writes rows below a header, in columns.
func table(out io.Writer, header string, rows []string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	for _, row := range rows {
		fmt.Fprintln(w, row)
	}
	return w.Flush()
}

// when shows a time to the minute, by the local clock; "-" if there is none.
func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}
