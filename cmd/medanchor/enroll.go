package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/wallet"
)

func (c *cli) enrollCommand() *cobra.Command {
	var dir, code string
	cmd := &cobra.Command{
		Use: "enroll", Short: "Make your identity, with the code that your institution gave you", Args: exactly(0),
		Long: "Makes your keys here, has your institution's certificate authority certify the one that you sign with, keeps all in a\n" +
			"new folder, and joins the ledger. The keys never leave the folder: keep a copy of it in a safe place.\n\n" +
			"A code is good for one enrolment. Where joining did not come about, because the ledger was away, say, go on without\n" +
			"the code: medanchor enroll --identity DIR.",
	}
	cmd.Flags().StringVar(&dir, "identity", "", "the folder of your identity; with a code, it must not exist yet")
	cmd.Flags().StringVar(&code, "code", "",
		"the code; @FILE reads it from a file, - from standard input: arguments are seen by everybody on the machine")
	before(cmd, func(context.Context) error {
		if dir == "" {
			return &usageError{errors.New("no folder is named: give --identity DIR, where your identity will be kept")}
		}
		return nil
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("code") {
			if err := enroll(cmd, code, dir); err != nil {
				return err
			}
		}
		return c.join(cmd.Context(), dir)
	}
	return cmd
}

// enroll makes the identity of a code.
func enroll(cmd *cobra.Command, given, dir string) error {
	text, err := codeText(cmd, given)
	if err != nil {
		return err
	}
	code, err := wallet.ParseCode(text)
	if err != nil {
		return &usageError{err}
	}
	_, err = wallet.Enroll(cmd.Context(), code, dir)
	return err
}

// codeText gives the text of a code: it stands in a file, on standard input, or there.
func codeText(cmd *cobra.Command, given string) (string, error) {
	name, isFile := strings.CutPrefix(given, "@")
	if !isFile {
		err := standardInput(cmd, &given)
		return given, err
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxInput))
	return string(b), err
}

// enrolled is who somebody became.
type enrolled struct {
	Participant record.ParticipantID `json:"participant"`
	Role        record.Role          `json:"role"`
	MSPID       string               `json:"msp_id"`
	Identity    string               `json:"identity"` // the folder
	Joined      bool                 `json:"joined"`
}

// join makes an enrolled participant one of the ledger's. An institution registers itself instead.
func (c *cli) join(ctx context.Context, dir string) error {
	me, err := connect(ctx, dir)
	if err != nil {
		return err
	}
	defer me.Close() //nolint:errcheck // nothing is lost by it
	w := me.wallet
	e := enrolled{w.Participant, w.Role, w.MSPID, dir, w.Role != record.InstitutionRole}
	if e.Joined {
		if err := wallet.Join(ctx, w, me.Client); err != nil {
			return fmt.Errorf("you are enrolled, but have not joined the ledger: %w: "+
				"to go on from there, medanchor enroll --identity %s", err, dir)
		}
	}
	return c.print(e, func() error {
		next := "joined the ledger"
		if !e.Joined {
			next = "next: medanchor institution register --identity " + dir + " --name NAME"
		}
		_, err := fmt.Fprintf(c.out, "participant %s, %s of %s\nidentity in %s: its keys are nowhere else, keep a copy safe\n%s\n",
			e.Participant, e.Role, e.MSPID, dir, next)
		return err
	})
}
