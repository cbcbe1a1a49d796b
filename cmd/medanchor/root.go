package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/appliance"
	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/reading"
)

// The exit codes. They are documented in the root command's help and docs/operations.md.
const (
	exitOK       = 0
	exitError    = 1
	exitUsage    = 2
	exitMismatch = 3
	exitNotFound = 4
	exitAway     = 5
	exitRefused  = 6
)

const help = `medanchor takes in a hospital's documents, keeps them encrypted, and anchors them on the consortium's ledger.

Exit codes:
  0  done; verify: everything matches
  1  an error
  2  wrong usage, or a configuration that is not valid
  3  verify: does not match, is not anchored, still waits or is quarantined
  4  there is no such item, document, patient, participant or request
  5  the ledger cannot be asked now, the appliance is not running, no holder can give a document now, or another
     transaction was first: try again
  6  the ledger's rules, or the appliance's, refuse it; get, access check: denied`

// The errors that decide the exit code, beside those of package control.
var (
	errUsage    = errors.New("usage")
	errMismatch = errors.New("does not match")
	errDenied   = errors.New("denied")
)

// cli is what the commands share.
type cli struct {
	out        io.Writer
	errOut     io.Writer
	configPath string
	json       bool
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, out, errOut io.Writer) int {
	c := &cli{out: out, errOut: errOut}
	root := &cobra.Command{
		Use: "medanchor", Short: "One hospital's medanchor appliance", Long: help,
		SilenceErrors: true, SilenceUsage: true, Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&c.configPath, "config", "/etc/medanchor/medanchor.yaml", "configuration file")
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	//nolint:contextcheck // cobra hands the context to each command as it runs
	root.AddCommand(c.initCommand(), c.runCommand(), c.configCommand(), c.statusCommand(), c.verifyCommand(),
		c.getCommand(), c.recordsCommand(), c.trayCommand(), c.recoveryKeyCommand(), c.versionCommand())
	//nolint:contextcheck // as above
	root.AddCommand(c.patientCommand(), c.teamCommand(), c.superviseCommand(), c.accessCommand(), c.recordCommand(), c.refileCommand(),
		c.erasureCommand(), c.decisionCommand(), c.assistCommand(), c.appointmentCommand(), c.auditCommand())
	//nolint:contextcheck // as above
	root.AddCommand(c.institutionCommand(), c.participantCommand(), c.enrollCommand(), c.keyCommand())
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errMismatch) && !errors.Is(err, errDenied) {
		fmt.Fprintln(errOut, "medanchor:", message(err))
	}
	return exitCode(err)
}

// message is err without the marks that decide the exit code.
func message(err error) string {
	if usage, ok := errors.AsType[*usageError](err); ok {
		return usage.err.Error()
	}
	if refused, ok := errors.AsType[*record.Error](err); ok {
		if refused.Code == record.Internal {
			return err.Error()
		}
		return refused.Message
	}
	if invalid, ok := errors.AsType[*ledger.InvalidError](err); ok {
		return invalid.Error() + ": nothing was changed, try again"
	}
	sent, ok := errors.AsType[*ledger.TransactionError](err)
	switch {
	case ok && sent.Phase != ledger.Endorse:
		return err.Error() + ": it may have been carried out all the same, look before you try again"
	case ledger.Retryable(err):
		return err.Error() + ": nothing was changed, try again later"
	}
	return err.Error()
}

// usageError is a command line or configuration that is not valid.
type usageError struct{ err error }

func (e *usageError) Error() string   { return e.err.Error() }
func (e *usageError) Unwrap() []error { return []error{errUsage, e.err} }

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errMismatch):
		return exitMismatch
	case errors.Is(err, control.ErrNotFound), errors.Is(err, ledger.ErrNotFound), errors.Is(err, reading.ErrNotFound):
		return exitNotFound
	case errors.Is(err, errUsage), errors.Is(err, control.ErrBadRequest), errors.Is(err, reading.ErrBadRequest):
		return exitUsage
	case errors.Is(err, errDenied), errors.Is(err, control.ErrRefused), errors.Is(err, reading.ErrDenied), errors.Is(err, reading.ErrLogin):
		return exitRefused
	case errors.Is(err, control.ErrBusy), errors.Is(err, reading.ErrAway), errors.Is(err, reading.ErrUnavailable):
		return exitAway
	}
	if refused, ok := errors.AsType[*record.Error](err); ok {
		return exitOfRefusal(refused.Code)
	}
	if errors.Is(err, control.ErrLedgerAway) || errors.Is(err, control.ErrNotRunning) || ledger.Retryable(err) {
		return exitAway
	}
	return exitError
}

// exitOfRefusal is the exit code of what the contract refused.
func exitOfRefusal(code record.Code) int {
	switch code {
	case record.BadRequest:
		return exitUsage
	case record.NotFound:
		return exitNotFound
	case record.Forbidden, record.Exists, record.WrongState, record.Held:
		return exitRefused
	default:
		return exitError
	}
}

// knownCommand refuses what is left for a command that only has others below it: a name that is no command's.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("unknown command %q: see %s --help", args[0], cmd.CommandPath())}
	}
	return nil
}

// exactly is cobra.ExactArgs with our kind of error.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(n)(cmd, args); err != nil {
			return &usageError{fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())}
		}
		return nil
	}
}

// config reads the configuration that --config names.
func (c *cli) config() (appliance.Config, error) {
	config, err := appliance.LoadConfig(c.configPath)
	if err != nil {
		return config, &usageError{err}
	}
	return config, nil
}

// client reaches the appliance that runs on the configured data folder.
func (c *cli) client() (*control.Client, error) {
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	return control.NewClient(config.Data), nil
}

// print shows value as JSON with --json, and by show without.
func (c *cli) print(value any, show func() error) error {
	if !c.json {
		return show()
	}
	encoder := json.NewEncoder(c.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
