package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/appliance"
	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

func (c *cli) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the running appliance at a glance", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			status, err := client.Status(cmd.Context())
			if err != nil {
				return err
			}
			return c.print(status, func() error { return showStatus(c.out, status) })
		},
	}
}

func showStatus(out io.Writer, s control.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "medanchor\t%s, %s\n", s.Version, s.MSPID)
	fmt.Fprintf(w, "received\t%d files, %.1f MB\n", s.Items.Received, float64(s.Items.Bytes)/1e6)
	fmt.Fprintf(w, "anchored\t%d (%d variants, with those waiting)\n", s.Items.Anchored, s.Items.Variants)
	fmt.Fprintf(w, "duplicates\t%d\n", s.Items.Duplicates)
	fmt.Fprintf(w, "waiting\t%d\n", s.Items.Waiting)
	showTrays(w, s.Items)
	if s.Ledger.Away == "" {
		fmt.Fprintf(w, "ledger\treachable, %d blocks, %d indexed\n", s.Ledger.Height, s.Ledger.Indexed)
	} else {
		fmt.Fprintf(w, "ledger\taway; the queue is kept and drains by itself: %s\n", s.Ledger.Away)
	}
	showCertificates(w, s)
	fmt.Fprintf(w, "reading\t%s\n", s.Reading.URL)
	for _, address := range s.Reading.Swarm {
		fmt.Fprintf(w, "swarm\t%s\n", address)
	}
	if s.Reading.Releasing > 0 {
		fmt.Fprintf(w, "releasing\tkeys of %d patients are on their way to readers\n", s.Reading.Releasing)
	}
	showDoors(w, s)
	for _, path := range slices.Sorted(maps.Keys(s.Held)) {
		fmt.Fprintf(w, "held\t%s: %s\n", path, s.Held[path])
	}
	return w.Flush()
}

// showCertificates shows when each ends, or what is wrong with it.
func showCertificates(w io.Writer, s control.Status) {
	for _, c := range []struct {
		of string
		control.Certificate
	}{
		{"the appliance", s.Ledger.Certificate}, {"the DICOM receiver", s.DICOM.Certificate}, {"the reading service", s.Reading.Certificate},
	} {
		switch {
		case c.Trouble != "":
			for trouble := range strings.SplitSeq(c.Trouble, "\n") {
				fmt.Fprintf(w, "certificate\t%s\n", trouble)
			}
		case !c.Expires.IsZero():
			fmt.Fprintf(w, "certificate\tof %s: expires %s\n", c.of, c.Expires.Local().Format(time.DateTime))
		}
	}
}

// showDoors shows what takes files in, and what keeps them from it.
func showDoors(w io.Writer, s control.Status) {
	if d := s.DICOM; d.Address != "" || d.TLSAddress != "" {
		at := d.Address
		if d.TLSAddress != "" {
			at = strings.TrimPrefix(at+", TLS at "+d.TLSAddress, ", ")
		}
		fmt.Fprintf(w, "dicom\t%s at %s: %d associations; since the start %d objects stored, %d refused, %d associations rejected\n",
			d.AETitle, at, d.Associations, d.Stored, d.Refused, d.Rejected)
	}
	if d := s.DICOM; d.Spooled > 0 || d.Trouble != "" {
		fmt.Fprintf(w, "spool\t%d objects, %.1f MB, wait for the vault; %s\n", d.Spooled, float64(d.SpooledBytes)/1e6,
			cmp.Or(d.Trouble, "they are safe"))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Folders)) {
		fmt.Fprintf(w, "folder\t%s: %s\n", name, s.Folders[name])
	}
	fmt.Fprintf(w, "storage\t%.1f GB free at %s\n", float64(s.Storage.FreeBytes)/1e9, s.Storage.Data)
	if s.Storage.Full != "" {
		fmt.Fprintf(w, "storage\tnothing is taken in: %s\n", s.Storage.Full)
	}
}

func (c *cli) recordsCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "records", Short: "List this institution's records on the ledger", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			records, err := client.Records(cmd.Context(), all)
			if err != nil {
				return err
			}
			return c.print(records, func() error { return showRecords(c.out, records) })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "of every member of the channel")
	return cmd
}

func showRecords(out io.Writer, records []control.Record) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PATIENT\tRECORD\tKIND\tDOCUMENTS\tVERSIONS\tMEMBER\tBLOCK\tANCHORED")
	for _, r := range records {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%d\t%s\n", r.Patient, r.Record, r.Kind, len(r.Documents), r.Versions,
			r.Member, r.Block, r.Anchored.Local().Format(time.DateTime))
	}
	return w.Flush()
}

func (c *cli) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "verify FILE|ID", Short: "Prove that a file or a stored document is what was anchored", Args: exactly(1),
		Long: "Recomputes everything from the bytes and asks the ledger. FILE is any file; ID is a document's tag, as records lists\n" +
			"it, or an item's UUID, as logs have it. An argument that has the form of an ID is one: write ./NAME for such a file.",
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := c.config()
			if err != nil {
				return err
			}
			request := control.VerifyRequest{ID: args[0]}
			if !isID(args[0]) {
				content, err := appliance.Examine(cmd.Context(), config, args[0])
				if err != nil {
					return err
				}
				request = control.VerifyRequest{Content: &content}
			}
			verdicts, err := control.NewClient(config.Data).Verify(cmd.Context(), request)
			if err != nil {
				return err
			}
			if err := c.print(verdicts, func() error { return showVerdicts(c.out, verdicts) }); err != nil {
				return err
			}
			return verdictError(verdicts)
		},
	}
}

func isID(s string) bool {
	_, tagErr := record.ParseTag(s)
	_, itemErr := document.ParseItemID(s)
	return tagErr == nil || itemErr == nil
}

// verdictError is nil if every verdict is good.
func verdictError(verdicts []control.Verdict) error {
	for _, v := range verdicts {
		if v.Finding != control.FindingOK {
			return errMismatch
		}
	}
	return nil
}

func showVerdicts(out io.Writer, verdicts []control.Verdict) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, v := range verdicts {
		fmt.Fprintf(w, "%s\t%s\n", headline(v.Finding), v.Explanation)
		if !v.Document.IsZero() {
			fmt.Fprintf(w, "  document\t%s\n  patient\t%s\n", v.Document, v.Patient)
		}
		if v.TxID != "" {
			fmt.Fprintf(w, "  transaction\t%s\n  block\t%d\n  time\t%s\n  member\t%s\n  payload\t%s\n",
				v.TxID, v.Block, v.Time.Local().Format(time.RFC3339), v.Member, v.CID)
		}
	}
	return w.Flush()
}

func headline(f control.Finding) string {
	switch f {
	case control.FindingOK:
		return "OK"
	case control.FindingMismatch:
		return "DOES NOT MATCH"
	case control.FindingNotAnchored:
		return "NOT ANCHORED"
	case control.FindingWaiting:
		return "WAITING"
	case control.FindingQuarantined:
		return "QUARANTINED"
	case control.FindingErased:
		return "ERASED"
	}
	return string(f)
}
