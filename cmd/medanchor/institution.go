package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/fabricca"
	"github.com/medanchor/medanchor/ledger/wallet"
)

func (c *cli) institutionCommand() *cobra.Command {
	return group("institution", "Make your hospital an institution on the ledger",
		c.institutionCode(), c.institutionRegister(), c.institutionUpdate())
}

func (c *cli) institutionCode() *cobra.Command {
	var registrar, tlsCA string
	var renew bool
	var code wallet.Code
	var out codeOutput
	cmd := &cobra.Command{
		Use: "code", Short: "Make the code with which the institution itself enrols", Args: exactly(0),
		Long: "Run it as the administrator of the hospital's Fabric CA. The institution's identity may then add participants. There is\n" +
			"one institution for each member of the channel. Where it lost its key, --renew gives a new code; two of its staff then\n" +
			"carry out the request that medanchor enroll prints.",
	}
	for _, flag := range []struct {
		to                 *string
		name, value, usage string
	}{
		{&registrar, "registrar", "", "folder with cert.pem and key.pem of an identity that may register others at the CA"},
		{&code.CA, "ca", "", "host:port of the hospital's Fabric CA"},
		{&code.Peer, "peer", "", "host:port of the hospital's peer"},
		{&tlsCA, "tls-ca", "", "PEM file: the certificates below which peer and CA have those of TLS"},
		{&code.MSPID, "msp-id", "", "MSP ID of the hospital"},
		{&code.Channel, "channel", "medanchor", "the channel"},
		{&code.Chaincode, "chaincode", "medanchor", "the name of the chaincode"},
	} {
		cmd.Flags().StringVar(flag.to, flag.name, flag.value, flag.usage)
		before(cmd, func(context.Context) error {
			if *flag.to == "" {
				return &usageError{fmt.Errorf("no --%s is given: %s", flag.name, flag.usage)}
			}
			return nil
		})
	}
	cmd.Flags().BoolVar(&renew, "renew", false, "the institution has enrolled before, and lost its key or its code")
	out.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		authority, err := fabricca.ReadKeyPair(filepath.Join(registrar, "cert.pem"), filepath.Join(registrar, "key.pem"))
		if err != nil {
			return err
		}
		code = wallet.InstitutionCode(code)
		if code.TLSRoots, err = wallet.ReadTLSRoots(tlsCA); err != nil {
			return err
		}
		secret := wallet.RegisterAtCA
		if renew {
			secret = wallet.RenewAtCA
		}
		if code.Secret, err = secret(cmd.Context(), authority, code); err != nil {
			return err
		}
		return c.give(code, out)
	}
	return cmd
}

func (c *cli) institutionRegister() *cobra.Command {
	var q record.InstitutionUpdate
	cmd := checked(c.as("register", "Register the institution on the ledger", func(ctx context.Context, me *person) error {
		if err := wallet.Register(ctx, me.wallet, me.Client, q.Institution); err != nil {
			return err
		}
		p, err := me.Participant(ctx, me.wallet.Participant)
		if err != nil {
			return err
		}
		return c.print(p, func() error {
			_, err := fmt.Fprintf(c.out, "institution %s of %s: %s\n", p.ID, p.MSPID, printable(p.Institution.Name))
			return err
		})
	}), &q)
	cmd.Long = "One that is registered stays as it is: see institution update."
	institutionFlags(cmd, &q.Institution)
	return cmd
}

func (c *cli) institutionUpdate() *cobra.Command {
	var q record.InstitutionUpdate
	cmd := c.writes("update", "Replace all that the institution says of itself", record.UpdateInstitutionFunction, &q)
	institutionFlags(cmd, &q.Institution)
	return cmd
}

func institutionFlags(cmd *cobra.Command, to *record.Institution) {
	cmd.Flags().StringVar(&to.Name, "name", "", "its public name")
	cmd.Flags().StringArrayVar(&to.Addresses, "address", nil, "a multiaddr of its IPFS node; more by repeating it")
	cmd.Flags().Var(&retention{to}, "retention", "how long records of a kind must be kept, such as imaging=8; more by repeating it")
	cmd.Flags().BoolVar(&to.NoReferrals, "no-referrals", false, "let nobody refer its records to others")
}

// retention is a flag of several retention periods.
type retention struct{ of *record.Institution }

func (r *retention) String() string { return "" }
func (r *retention) Type() string   { return "KIND=YEARS" }

func (r *retention) Set(s string) error {
	name, number, _ := strings.Cut(s, "=")
	kind, err := record.ParseKind(name)
	if err != nil {
		return err
	}
	years, err := strconv.Atoi(number)
	if err != nil {
		return errors.New("want a kind and a number of years, such as imaging=8")
	}
	r.of.Retention = append(r.of.Retention, record.Retention{Kind: kind, Years: years})
	return nil
}
