package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
)

func (c *cli) auditCommand() *cobra.Command {
	return group("audit", "See who did what, or was refused it", c.auditList())
}

// line is a line of the audit with the names that its people disclosed to the reader.
type line struct {
	record.AuditLine
	ActorName   string `json:"actor_name,omitempty"`
	SubjectName string `json:"subject_name,omitempty"`
}

func (l line) who() identified {
	return identified{l.Actor, l.ActorRole, l.ActorInstitution, l.ActorName}
}

func (l line) whom() identified {
	return identified{l.Subject, l.SubjectRole, l.SubjectInstitution, l.SubjectName}
}

func (c *cli) auditList() *cobra.Command {
	var patient record.Reference
	var institution bool
	cmd := c.as("list", "List the audit of a patient, or of your institution and all its patients",
		func(ctx context.Context, me *person) error {
			lines, err := me.lines(ctx, patient)
			if err != nil {
				return err
			}
			return c.print(lines, func() error { return c.showAudit(lines, institution) })
		})
	cmd.Flags().BoolVar(&institution, "institution", false, "of your institution and all its patients")
	textFlag(cmd, &patient, "patient", "REF", "of a patient")
	before(cmd, func(context.Context) error {
		if institution == !patient.IsZero() {
			return &usageError{errors.New("name whose audit: --patient or --institution")}
		}
		return nil
	})
	return cmd
}

// lines gives the audit of a patient, or of the caller's institution if none is named, by time. A patient's has the names
// that were disclosed to the caller with requests and emergencies.
func (me *person) lines(ctx context.Context, patient record.Reference) ([]line, error) {
	people := newDirectory(me)
	page := func(bookmark string) (record.AuditPage, error) {
		return me.InstitutionAudit(ctx, record.InstitutionID(me.wallet.MSPID), pageSize, bookmark)
	}
	if !patient.IsZero() {
		page = func(bookmark string) (record.AuditPage, error) { return me.Audit(ctx, patient, pageSize, bookmark) }
		if _, err := me.everyAsked(ctx, patient, people); err != nil {
			return nil, err
		}
	}
	entries, err := everyPage(func(bookmark string) ([]record.AuditLine, string, error) {
		p, err := page(bookmark)
		return p.Entries, p.Bookmark, err
	})
	lines := make([]line, 0, len(entries))
	for _, e := range entries {
		lines = append(lines, line{e, people.names[e.Actor], people.names[e.Subject]})
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.Time.Compare(b.Time) })
	return lines, err
}

func (c *cli) showAudit(lines []line, institution bool) error {
	header, rows := "WHEN\tWHO\tDID\tBASIS\tWHOM\tRECORD\tABOUT\tUNTIL", make([]string, 0, len(lines))
	if institution {
		header = "PATIENT\t" + header
	}
	for _, l := range lines {
		row := fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s", l.Time.Local().Format(time.DateTime), l.who(),
			deed(l.AuditEntry), l.Basis, l.whom(), orDash(l.Record), orNoID(l.About), when(l.Until))
		if institution {
			row = patientOf(l.Patient) + "\t" + row
		}
		rows = append(rows, row)
	}
	return table(c.out, header, rows)
}

// deed says what was done; of a refused attempt, that too.
func deed(e record.AuditEntry) string {
	if e.Denied {
		return "DENIED " + e.Action.String()
	}
	return e.Action.String()
}

// patientOf shows a reference, but not one that stands for the institution itself.
func patientOf(r record.Reference) string {
	if r == record.InstitutionReference(r.Institution()) {
		return "(institution)"
	}
	return r.String()
}

func orDash(t record.Tag) string {
	if t.IsZero() {
		return "-"
	}
	return t.String()
}

func orNoID(id record.ID) string {
	if id.IsZero() {
		return "-"
	}
	return id.String()
}
