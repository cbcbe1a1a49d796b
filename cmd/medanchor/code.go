package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/wallet"
)

// codeOutput is where an enrolment code goes.
type codeOutput struct {
	cmd  *cobra.Command
	file string // none: standard output
}

func (o *codeOutput) flags(cmd *cobra.Command) {
	o.cmd = cmd
	cmd.Flags().StringVar(&o.file, "out", "", "file to write the code to, which must not exist; default: standard output")
	before(cmd, func(context.Context) error {
		// Before a code is made that could not be kept.
		if _, err := os.Lstat(o.file); o.file != "" && !errors.Is(err, fs.ErrNotExist) {
			return &usageError{fmt.Errorf("%s is there already: name another file", o.file)}
		}
		return nil
	})
}

// given is an enrolment code that was made.
type given struct {
	Participant record.ParticipantID `json:"participant"`
	Role        record.Role          `json:"role"`
	Code        string               `json:"code,omitempty"`
	File        string               `json:"file,omitempty"`
}

// give hands over an enrolment code. Standard output holds nothing but the code; how to use it is said on standard error.
func (c *cli) give(code wallet.Code, to codeOutput) error {
	g := given{Participant: code.Participant, Role: code.Role, Code: code.String(), File: to.file}
	if g.File != "" {
		if err := writeWhole(g.File, strings.NewReader(g.Code+"\n")); err != nil {
			return err
		}
		g.Code = ""
	}
	return c.print(g, func() error {
		if g.Code != "" {
			fmt.Fprintln(c.out, g.Code)
		}
		source := "-"
		if g.File != "" {
			source = "@" + g.File
		}
		_, err := fmt.Fprintf(to.cmd.ErrOrStderr(), "participant %s, %s\n"+
			"The code is secret and good once: hand it over in person. They make their keys on their own machine with it:\n"+
			"  medanchor enroll --code %s --identity DIR\n", g.Participant, g.Role, source)
		return err
	})
}
