// Command devnet runs a Hyperledger Fabric network of fictitious hospitals on this machine: for people to try things on
// (devnet up), and around a command such as go test (devnet exec). See docs/devnet.md.
//
// It ends with all that it started when it gets SIGINT, SIGTERM or SIGHUP, and when the process that started it ends. To
// outlive that one, start it with nohup.
//
// Exit codes: 0 all went well, 1 an error, which is printed, 2 wrong usage; devnet exec passes on its command's.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/devnet"
)

const (
	exitError = 1
	exitUsage = 2
)

func main() { os.Exit(run(os.Args[1:])) }

// run runs the command line and returns the exit code.
func run(args []string) int {
	ctx, stop, err := untilTold()
	if err != nil {
		fmt.Fprintln(os.Stderr, "devnet:", err)
		return exitError
	}
	defer stop()

	command := newCommand()
	command.SetArgs(args)
	err = command.ExecuteContext(ctx)
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		return exitCode(ended)
	}
	if usage, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintf(os.Stderr, "devnet: %v: see devnet --help\n", usage)
		return exitUsage
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "devnet:", err)
		return exitError
	}
	return 0
}

// usageError is a command line that cannot be understood.
type usageError struct{ error }

// newCommand describes the command line.
func newCommand() *cobra.Command {
	opts := devnet.Options{Log: os.Stderr}
	root := &cobra.Command{
		Use:           "devnet",
		Short:         "A real Hyperledger Fabric network of fictitious hospitals on this machine",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usage(cobra.NoArgs),
		RunE:          func(*cobra.Command, []string) error { return usageError{errors.New("a command is missing")} },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })

	up := &cobra.Command{
		Use:   "up",
		Short: "Start a network and keep it until Ctrl-C",
		Args:  usage(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return up(cmd.Context(), opts) },
	}
	around := &cobra.Command{
		Use:   "exec [flags] -- command [argument...]",
		Short: "Run a command with a network of its own, whose folder is in $" + devnet.DirEnv,
		Args:  usage(cobra.MinimumNArgs(1)),
		RunE:  func(cmd *cobra.Command, args []string) error { return around(cmd.Context(), opts, args) },
	}
	around.Flags().SetInterspersed(false) // flags after the command are the command's
	for _, c := range []*cobra.Command{up, around} {
		c.Flags().IntVar(&opts.Hospitals, "hospitals", devnet.DefaultHospitals, "number of hospitals")
		c.Flags().StringVar(&opts.Dir, "dir", "", "the network's folder, empty or absent; it is kept (default a temporary one)")
	}
	build := &cobra.Command{
		Use:   "build",
		Short: "Build the programs that a network runs",
		Args:  usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := devnet.Build(cmd.Context(), opts)
			return err
		},
	}
	root.AddCommand(up, around, build)
	return root
}

// usage marks the errors of an argument check.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// up runs a network until ctx ends.
func up(ctx context.Context, opts devnet.Options) error {
	network, err := devnet.Start(ctx, opts)
	if err != nil {
		return err
	}
	fmt.Printf("\nchannel %s, chaincode %s, orderer %s\n", network.Channel, network.Chaincode, network.Orderer.Node.Address)
	for _, m := range network.Members {
		fmt.Printf("\n%s (%s)\n  peer  %s\n  CA    https://%s\n  TLS   %s\n  admin %s\n",
			m.Title, m.MSPID, m.Peer.Address, m.CA.Address, m.RootCert, m.Admin.Dir)
	}
	fmt.Printf("\nFor tests: export %s=%s\nCtrl-C ends the network.\n", devnet.DirEnv, network.Dir)
	<-ctx.Done()
	fmt.Fprintf(os.Stderr, "devnet: %v: ending the network\n", context.Cause(ctx))
	return network.Close()
}

// around runs a command with a network.
func around(ctx context.Context, opts devnet.Options, args []string) (err error) {
	if _, err := exec.LookPath(args[0]); err != nil {
		return err // before the network is started in vain
	}
	network, err := devnet.Start(ctx, opts)
	if err != nil {
		return err
	}
	defer func() {
		if closing := network.Close(); err == nil {
			err = closing
		}
	}()

	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), devnet.DirEnv+"="+network.Dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	// Without devnet the command has no network. The signal fires at the end of the spawning thread, so that must stay.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}

// exitCode is that of a shell: a command that a signal ended has 128 and the signal's number.
func exitCode(ended *exec.ExitError) int {
	if status, ok := ended.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return ended.ExitCode()
}

// untilTold makes a context that ends on the signals that end a program, and at the end of the process that started this
// one. The latter is for those that were killed and could not pass anything on; nohup, which ignores SIGHUP, opts out.
func untilTold() (context.Context, func(), error) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if signal.Ignored(syscall.SIGHUP) {
		ctx, stop := signal.NotifyContext(context.Background(), signals...)
		return ctx, stop, nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), append(signals, syscall.SIGHUP)...)
	ctx, forget, err := untilParentEnds(ctx)
	if err != nil {
		stop()
		return nil, nil, err
	}
	return ctx, func() { forget(); stop() }, nil
}
