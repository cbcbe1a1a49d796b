package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
)

func (c *cli) recordCommand() *cobra.Command {
	return group("record", "List a patient's records, and correct what was filed in error",
		c.correction("withdraw", "Withdraw a record that was filed under the wrong patient", record.WithdrawFunction),
		c.correction("refile", "Take a withdrawal back: it was no error", record.RefileFunction),
		c.recordStatus(), c.recordList())
}

// correction makes a command about one record.
func (c *cli) correction(use, short, function string) *cobra.Command {
	var q record.Correction
	cmd := c.writes(use, short, function, &q)
	c.recordFlags(cmd, &q.RecordName)
	return cmd
}

func (c *cli) recordStatus() *cobra.Command {
	var name record.RecordName
	cmd := checked(c.as("status", "Show what became of a record", func(ctx context.Context, me *person) error {
		s, err := me.Status(ctx, name)
		if err != nil {
			return err
		}
		return c.print(s, func() error {
			_, err := fmt.Fprintln(c.out, fate(s))
			return err
		})
	}), &name)
	c.recordFlags(cmd, &name)
	return cmd
}

// fate says what became of a record.
func fate(s record.RecordStatus) string {
	parts := []string{"open"}
	if !s.Stable.IsZero() {
		parts[0] = "stable"
	}
	if !s.Withdrawn.IsZero() {
		parts = append(parts, "withdrawn: filed in error")
	}
	for _, h := range s.Holds {
		parts = append(parts, "legal hold: "+string(h.Reason))
	}
	switch s.Erasure {
	case record.ErasureDone:
		parts = append(parts, "erased")
	case record.ErasureRequested:
		parts = append(parts, "erasure requested")
	case record.ErasureRefused:
		parts = append(parts, "erasure refused: "+string(s.Refusal))
	}
	return strings.Join(parts, "; ")
}

// listed is a record with what became of it.
type listed struct {
	Record    record.Tag          `json:"record"`
	Kind      record.Kind         `json:"kind"`
	Versions  []record.Tag        `json:"versions"`
	Documents int                 `json:"documents"`
	Status    record.RecordStatus `json:"status"`
	Date      string              `json:"date,omitempty"`
}

func (c *cli) recordList() *cobra.Command {
	var patient record.Reference
	cmd := c.as("list", "List a patient's records, and what became of each", func(ctx context.Context, me *person) error {
		records, err := me.records(ctx, patient)
		if err != nil {
			return err
		}
		rows := make([]string, 0, len(records))
		for _, r := range records {
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%d\t%d\t%s", r.Record, r.Kind, r.Date, r.Documents,
				len(r.Versions), fate(r.Status)))
		}
		return c.print(records, func() error {
			return table(c.out, "RECORD\tKIND\tDATE\tDOCUMENTS\tVERSIONS\tSTATE", rows)
		})
	})
	c.patientFlags(cmd, &patient)
	return cmd
}

// records gives a patient's records. The ledger lists the versions of a record together.
func (me *person) records(ctx context.Context, patient record.Reference) ([]listed, error) {
	versions, err := everyPage(func(bookmark string) ([]record.VersionSummary, string, error) {
		page, err := me.List(ctx, patient, pageSize, bookmark)
		return page.Versions, page.Bookmark, err
	})
	if err != nil {
		return nil, err
	}
	records := []listed{}
	for _, v := range versions {
		if n := len(records); n == 0 || records[n-1].Record != v.Record {
			records = append(records, listed{Record: v.Record, Kind: v.Kind})
		}
		r := &records[len(records)-1]
		r.Versions = append(r.Versions, v.Name)
		r.Documents += v.Documents
		if day := v.Date.Format("2006-01-02"); !v.Date.IsZero() && (r.Date == "" || day < r.Date) {
			r.Date = day
		}
	}
	for i := range records {
		records[i].Status, err = me.Status(ctx, record.RecordName{Patient: patient, Record: records[i].Record})
		if err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (c *cli) erasureCommand() *cobra.Command {
	return group("erasure", "Ask for a record's erasure, forbid it, and decide on it with two people",
		c.erasureRequest(),
		c.legalHold("hold", "Forbid the erasure of a record", record.LegalHoldFunction),
		c.legalHold("end-hold", "End a legal hold, as the institution", record.EndLegalHoldFunction),
		c.erasurePropose(), c.erasureRefuse())
}

func (c *cli) erasureRequest() *cobra.Command {
	var q record.RecordName
	cmd := c.writes("request", "Ask the institution to erase a record, as the patient or who represents them",
		record.RequestErasureFunction, &q)
	c.recordFlags(cmd, &q)
	return cmd
}

// legalHold makes a command about one legal hold.
func (c *cli) legalHold(use, short, function string) *cobra.Command {
	var q record.LegalHoldChange
	cmd := c.writes(use, short, function, &q)
	c.recordFlags(cmd, &q.RecordName)
	cmd.Flags().StringVar((*string)(&q.Reason), "because", "", "litigation, investigation or public-health")
	return cmd
}

func (c *cli) erasurePropose() *cobra.Command {
	var q record.Erasure
	cmd := checked(c.as("propose", "Propose to erase your institution's own holding of a record",
		func(ctx context.Context, me *person) error {
			if len(q.Versions)+len(q.Copies) == 0 {
				var err error
				if q.Versions, err = me.ownVersions(ctx, q.RecordName); err != nil {
					return err
				}
			}
			return c.proposeErasure(ctx, me, q)
		}), &q.RecordName)
	cmd.Long = fmt.Sprintf("Without --version and --copy it names all versions that your institution anchored: in several\n"+
		"proposals if they are more than %d. A second person confirms each with medanchor decision confirm.",
		record.MaxErasure)
	c.recordFlags(cmd, &q.RecordName)
	tagsFlag(cmd, &q.Versions, "version", "a version, by its name")
	tagsFlag(cmd, &q.Copies, "copy", "a document that your institution holds a copy of")
	cmd.Flags().Uint32Var(&q.Generation, "generation", 0, "of the documents: how often they were erased and came again")
	return cmd
}

// proposeErasure proposes it, in as many parts as it takes.
func (c *cli) proposeErasure(ctx context.Context, me *person, q record.Erasure) error {
	versions := q.Versions
	for {
		n := min(len(versions), record.MaxErasure-len(q.Copies))
		if n < 0 {
			return &usageError{fmt.Errorf("%d copies: name at most %d", len(q.Copies), record.MaxErasure)}
		}
		q.Versions, versions = versions[:n], versions[n:]
		if err := c.act(ctx, me, record.ProposeFunction, record.Proposal{Erase: &q}); err != nil || len(versions) == 0 {
			return err
		}
		q.Copies = nil
	}
}

// ownVersions gives the versions of a record that the caller's institution anchored.
func (me *person) ownVersions(ctx context.Context, name record.RecordName) (own []record.Tag, err error) {
	versions, err := me.Record(ctx, name.Patient, name.Record)
	if err != nil {
		return nil, err
	}
	members := map[record.AnchoringID]string{}
	for _, v := range versions {
		if _, known := members[v.Anchoring]; !known {
			anchoring, err := me.Anchoring(ctx, v.Anchoring)
			if err != nil {
				return nil, err
			}
			members[v.Anchoring] = anchoring.MSPID
		}
		if members[v.Anchoring] == me.wallet.MSPID {
			own = append(own, v.Name())
		}
	}
	if len(own) == 0 {
		return nil, fmt.Errorf("%w: your institution anchored no version of this record: name its copies with --copy",
			ledger.ErrNotFound)
	}
	slices.SortFunc(own, func(a, b record.Tag) int { return strings.Compare(a.String(), b.String()) })
	return own, nil
}

func (c *cli) erasureRefuse() *cobra.Command {
	var q record.ErasureRefusal
	proposal := record.Proposal{RefuseErasure: &q}
	cmd := c.writes("refuse", "Propose to refuse a patient's request for erasure", record.ProposeFunction, &proposal)
	c.recordFlags(cmd, &q.RecordName)
	cmd.Flags().StringVar((*string)(&q.Reason), "because", "", "legal-hold, retention or vital-or-public-interest")
	return cmd
}
