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
			"the code: medanchor enroll --identity DIR.\n\n" +
			"If you lost your key and got a new code, it prints a request instead, for two people of your institution: see\n" +
			"medanchor decision propose-rebind.",
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
		return c.join(cmd, dir)
	}
	return cmd
}

// enroll makes the identity of a code.
func enroll(cmd *cobra.Command, given, dir string) error {
	text, err := givenText(cmd, given)
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

// givenText gives a text that stands in a file, on standard input, or there.
func givenText(cmd *cobra.Command, given string) (string, error) {
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
	Key         record.Fingerprint   `json:"key"`               // that they sign with
	Request     string               `json:"request,omitempty"` // to replace the key that the ledger has
}

// join makes an enrolled participant one of the ledger's. An institution registers itself instead; and who has another key
// there asks for its replacement.
func (c *cli) join(cmd *cobra.Command, dir string) error {
	ctx := cmd.Context()
	me, err := connect(ctx, dir)
	if err != nil {
		return err
	}
	defer me.Close() //nolint:errcheck // nothing is lost by it
	w := me.wallet
	e := enrolled{Participant: w.Participant, Role: w.Role, MSPID: w.MSPID, Identity: dir}
	if e.Key, err = w.Fingerprint(); err != nil {
		return err
	}
	lost, err := w.Replaces(ctx, me.Client)
	if err == nil && !lost && w.Role != record.InstitutionRole {
		err = wallet.Join(ctx, w, me.Client)
		e.Joined = err == nil
	}
	if err != nil {
		return fmt.Errorf("you are enrolled, but have not joined the ledger: %w: "+
			"to go on from there, medanchor enroll --identity %s", err, dir)
	}
	if lost {
		return c.ask(cmd, w, e)
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

// ask prints the request to replace a lost key. Standard output holds nothing else; what to do with it is said on standard
// error.
func (c *cli) ask(cmd *cobra.Command, w *wallet.Wallet, e enrolled) (err error) {
	if e.Request, err = w.Request(); err != nil {
		return err
	}
	return c.print(e, func() error {
		fmt.Fprintln(c.out, e.Request)
		_, err := fmt.Fprintf(cmd.ErrOrStderr(), "participant %s, %s of %s\n"+
			"The ledger has another key of yours. Hand this request to your institution, where two people replace it, and tell\n"+
			"them in person that your new key is\n  %s\nOne of them: medanchor decision propose-rebind --request - --identity DIR\n",
			e.Participant, e.Role, e.MSPID, e.Key)
		return err
	})
}
