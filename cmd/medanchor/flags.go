package main

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ledger/sealed"
)

// text is a flag that reads itself, such as a reference.
type text struct {
	encoding.TextUnmarshaler
	given string
	kind  string // as the help calls it
}

func (t *text) String() string { return t.given }
func (t *text) Type() string   { return t.kind }

func (t *text) Set(s string) error {
	t.given = s
	return t.UnmarshalText([]byte(s))
}

// textFlag adds a flag that reads itself.
func textFlag(cmd *cobra.Command, to encoding.TextUnmarshaler, name, kind, usage string) {
	cmd.Flags().Var(&text{TextUnmarshaler: to, kind: kind}, name, usage)
}

// texts is a flag of several, one after the other or separated by commas.
type texts[T any, P interface {
	*T
	encoding.TextUnmarshaler
}] struct {
	to   *[]T
	kind string
}

func (t *texts[T, P]) String() string { return "" }
func (t *texts[T, P]) Type() string   { return t.kind }

func (t *texts[T, P]) Set(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		var v T
		if err := P(&v).UnmarshalText([]byte(part)); err != nil {
			return err
		}
		*t.to = append(*t.to, v)
	}
	return nil
}

// tagsFlag adds a flag of several tags.
func tagsFlag(cmd *cobra.Command, to *[]record.Tag, name, usage string) {
	cmd.Flags().Var(&texts[record.Tag, *record.Tag]{to, "TAG"}, name, usage)
}

// instant is a time of day or a day.
type instant struct {
	to    *time.Time
	given string
	// endOfDay is set where a day alone means all of it.
	endOfDay bool
}

func (i *instant) String() string { return i.given }

func (i *instant) Type() string {
	if i.endOfDay {
		return "DATE"
	}
	return "TIME"
}

var errInstant = errors.New("want a date such as 2027-03-01, a local time such as 2027-03-01T09:30, " +
	"or RFC 3339 such as 2027-03-01T09:30:00Z")

func (i *instant) Set(s string) error {
	i.given = s
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		*i.to = t.UTC()
		return nil
	}
	if t, err := time.ParseInLocation("2006-01-02T15:04", s, time.Local); err == nil {
		*i.to = t.UTC()
		return nil
	}
	day, err := time.ParseInLocation(time.DateOnly, s, time.Local)
	if err != nil || !i.endOfDay {
		return errInstant
	}
	*i.to = day.AddDate(0, 0, 1).UTC()
	return nil
}

// untilFlag adds --until. A day alone is included.
func untilFlag(cmd *cobra.Command, to *time.Time, usage string) {
	cmd.Flags().Var(&instant{to: to, endOfDay: true}, "until", usage+": a day, which is included, or RFC 3339")
}

// timeFlag adds a flag of a time of day.
func timeFlag(cmd *cobra.Command, to *time.Time, name, usage string) {
	cmd.Flags().Var(&instant{to: to}, name, usage+": local such as 2027-03-01T09:30, or RFC 3339")
}

// scopeFlags adds --all, --kind and --record.
func scopeFlags(cmd *cobra.Command, to *record.Scope) {
	cmd.Flags().BoolVar(&to.All, "all", false, "all of the history, and what joins it")
	cmd.Flags().Var(&texts[record.Kind, *record.Kind]{&to.Kinds, "KIND"}, "kind",
		"records of a kind: imaging, prescription, lab-result, treatment-list, letter, other")
	tagsFlag(cmd, &to.Records, "record", "a record")
}

// recordFlags adds the flags that name a record of a patient.
func (c *cli) recordFlags(cmd *cobra.Command, to *record.RecordName) {
	c.patientFlags(cmd, &to.Patient)
	textFlag(cmd, &to.Record, "record", "TAG", "the record")
}

// patientFlags adds the flags that name a patient: by reference, or at the hospital's own appliance by identifier.
func (c *cli) patientFlags(cmd *cobra.Command, to *record.Reference) {
	textFlag(cmd, to, "patient", "REF", "the patient's reference")
	var id document.PatientID
	identifierFlags(cmd, &id)
	before(cmd, func(ctx context.Context) (err error) {
		identified := id != document.PatientID{}
		switch {
		case identified == !to.IsZero():
			return &usageError{errors.New("name the patient: by --patient, or by --issuer and --id at their hospital")}
		case identified:
			*to, err = c.reference(ctx, id, false)
		}
		return err
	})
}

func identifierFlags(cmd *cobra.Command, id *document.PatientID) {
	cmd.Flags().StringVar(&id.Issuer, "issuer", "", "who issued --id, such as NHS; default: the appliance's")
	cmd.Flags().StringVar(&id.Identifier, "id", "",
		"the patient's identifier, which this hospital's appliance must know; - reads it from standard input")
	before(cmd, func(context.Context) error { return standardInput(cmd, &id.Identifier) })
}

// reference asks this hospital's appliance whose reference an identifier is; with register it makes one.
func (c *cli) reference(ctx context.Context, id document.PatientID, register bool) (record.Reference, error) {
	client, err := c.client()
	if err != nil {
		return record.Reference{}, err
	}
	return client.Patient(ctx, control.PatientQuery{PatientID: id, Register: register})
}

// noteFlags adds --reason and --name, which become a sealed note.
func noteFlags(cmd *cobra.Command, note *sealed.Note, reader string) {
	cmd.Flags().StringVar(&note.Text, "reason", "", "why, in your words, sealed to "+reader+"; - reads standard input")
	cmd.Flags().StringVar(&note.Name, "name", "", "your name, sealed likewise")
	before(cmd, func(context.Context) error { return standardInput(cmd, &note.Text) })
}

// maxInput is the most that is read from standard input, in bytes.
const maxInput = 64 << 10

// standardInput replaces "-" by what stands on standard input: arguments are seen by everybody on the machine.
func standardInput(cmd *cobra.Command, value *string) error {
	if *value != "-" {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxInput))
	if err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	*value = strings.TrimSpace(string(b))
	return nil
}

// before adds what is to be found out or checked when the flags are read, after what was added before.
func before(cmd *cobra.Command, f func(context.Context) error) {
	earlier := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if earlier != nil {
			if err := earlier(cmd, args); err != nil {
				return err
			}
		}
		return f(cmd.Context())
	}
}
