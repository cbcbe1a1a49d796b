package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/wallet"
)

func (c *cli) keyCommand() *cobra.Command {
	return group("key", "Replace the keys of your identity", c.keyRotate())
}

// rotated is who has new keys.
type rotated struct {
	Participant record.ParticipantID `json:"participant"`
	Key         record.Fingerprint   `json:"key"`
	Identity    string               `json:"identity"` // the folder
}

func (c *cli) keyRotate() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "rotate", Short: "Replace both keys of your identity by new ones", Args: exactly(0),
		Long: "Makes new keys here, has your institution's certificate authority certify the one that you sign with, and the\n" +
			"ledger put them in the place of the old ones, which are dead from then on. What was sealed to you before still\n" +
			"opens.\n\n" +
			"Interrupted at any point, or with the ledger away, it goes on when it is run again. Keep a new copy of the folder\n" +
			"afterwards; restart an appliance whose identity it is.",
	}
	identityFlag(cmd, &dir)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		w, err := wallet.Rotate(cmd.Context(), dir)
		if err != nil {
			return err
		}
		key, err := w.Fingerprint()
		if err != nil {
			return err
		}
		r := rotated{w.Participant, key, dir}
		return c.print(r, func() error {
			_, err := fmt.Fprintf(c.out, "participant %s\nnew key %s\nidentity in %s: keep a new copy safe\n",
				r.Participant, r.Key, dir)
			return err
		})
	}
	return cmd
}

// decisionRebind proposes to replace a lost key.
func (c *cli) decisionRebind() *cobra.Command {
	var request string
	var q record.LostKey
	cmd := c.as("propose-rebind", "Propose to replace a lost key, as its owner asks",
		func(ctx context.Context, me *person) error {
			return c.act(ctx, me, record.ProposeFunction, record.Proposal{Rebind: &q})
		})
	cmd.Long = "The request is what medanchor enroll printed for somebody who enrolled again. It holds no secret; but make sure\n" +
		"whose it is: have them tell you the fingerprint of their key in person, and compare it with decision show\n" +
		"before one of you confirms. Their old key is dead from then on."
	cmd.Flags().StringVar(&request, "request", "", "the request; @FILE reads it from a file, - from standard input")
	before(cmd, func(context.Context) error {
		if request == "" {
			return &usageError{errors.New("no request is given: take what medanchor enroll printed for them")}
		}
		text, err := givenText(cmd, request)
		if err != nil {
			return err
		}
		if q, err = wallet.ParseRequest(text); err != nil {
			return &usageError{err}
		}
		return nil
	})
	return cmd
}
