package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/appliance"
)

func (c *cli) initCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Make the data folder and the keys that the configuration names", Args: exactly(0),
		Long: "Makes the data folder, the vault's key file, its escrow to the recovery recipient, and the swarm key where it\n" +
			"is missing. It never touches what is there.",
		RunE: func(*cobra.Command, []string) error {
			config, err := c.config()
			if err != nil {
				return err
			}
			if err := appliance.Init(config); err != nil {
				return err
			}
			return c.print(map[string]string{"data": config.Data, "key_file": config.Vault.KeyFile}, func() error {
				_, err := fmt.Fprintf(c.out, "made the data folder %s and the vault key %s\n"+
					"its escrow, for the recovery identity alone, is %s/escrow.age: keep a copy away from this machine\n"+
					"next: medanchor config check, then medanchor run\n", config.Data, config.Vault.KeyFile, config.Data)
				return err
			})
		},
	}
}

func (c *cli) runCommand() *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "Run the appliance until it is told to stop (SIGTERM, Ctrl-C)", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := c.config()
			if err != nil {
				return err
			}
			log := slog.New(logHandler(config.Log, os.Stderr))
			app, err := appliance.New(cmd.Context(), appliance.Options{Config: config, Log: log, Version: version()})
			if err != nil {
				return err
			}
			return app.Run(cmd.Context())
		},
	}
}

func logHandler(config appliance.LogConfig, w io.Writer) slog.Handler {
	options := &slog.HandlerOptions{Level: config.Level}
	if config.Format == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

func (c *cli) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check the configuration, or show an example"}
	cmd.AddCommand(&cobra.Command{
		Use: "check", Short: "Say what is wrong with the configuration and with what it names", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := c.config()
			if err != nil {
				return err
			}
			if err := appliance.Check(cmd.Context(), config); err != nil {
				return &usageError{err}
			}
			return c.print(map[string]bool{"ok": true}, func() error {
				_, err := fmt.Fprintf(c.out, "%s is valid, and what it names is there\n", c.configPath)
				return err
			})
		},
	}, &cobra.Command{
		Use: "example", Short: "Print a configuration with a comment on each key", Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			_, err := c.out.Write(appliance.Example)
			return err
		},
	})
	return cmd
}

func (c *cli) recoveryKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "recovery-key FILE", Short: "Make a recovery identity: on another machine than the appliance", Args: exactly(1),
		Long: "Writes the secret half to FILE, which must not exist, and prints the recipient for vault.recovery_recipient.\n" +
			"Whoever has FILE can read every document of the hospital: keep it offline, in two places.",
		RunE: func(_ *cobra.Command, args []string) error {
			recipient, err := appliance.NewRecoveryKey(args[0])
			if err != nil {
				return err
			}
			return c.print(map[string]string{"recovery_recipient": recipient}, func() error {
				_, err := fmt.Fprintln(c.out, recipient)
				return err
			})
		},
	}
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			return c.print(map[string]string{"version": version()}, func() error {
				_, err := fmt.Fprintln(c.out, "medanchor", version())
				return err
			})
		},
	}
}

// version is the module's version as the Go tool stamped it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
