package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

func (c *cli) patientCommand() *cobra.Command {
	return group("patient", "Register patients, link their references, and say who acts for them",
		c.patientRegister(), c.patientShow(), c.patientList(),
		c.patientPair("link", "Link two references of one person, as the patient or for one of the institutions",
			record.LinkFunction),
		c.patientPair("unlink", "End a link, or take back the proposal of one", record.UnlinkFunction),
		c.patientPair("merge", "Say that two references of one institution are one person", record.MergeFunction),
		c.patientBind(), c.patientDeceased(), c.patientRepresent(), c.patientEndRepresentation())
}

func (c *cli) patientRegister() *cobra.Command {
	var q record.PatientRegistration
	var id document.PatientID
	cmd := c.as("register", "Register a patient on the ledger, or give one without a key their participant",
		func(ctx context.Context, me *person) error {
			acted, err := me.Act(ctx, record.RegisterPatientFunction, q, nil)
			if err != nil {
				return err
			}
			return c.report(acted, q.Patient)
		})
	cmd.Long = "With --id the running appliance gives the reference, under which it files what it takes in for this patient.\n" +
		"The identifier stays on the appliance."
	textFlag(cmd, &q.Patient, "patient", "REF", "a reference that is known")
	textFlag(cmd, &q.Participant, "participant", "ID", "who signs for the patient; none: a patient without a key")
	identifierFlags(cmd, &id)
	before(cmd, func(ctx context.Context) (err error) {
		identified := id != document.PatientID{}
		switch {
		case identified == !q.Patient.IsZero():
			return &usageError{errors.New("name the patient: by --patient, or by --issuer and --id")}
		case identified:
			q.Patient, err = c.reference(ctx, id, true)
		}
		return err
	})
	return cmd
}

func (c *cli) patientShow() *cobra.Command {
	var patient record.Reference
	cmd := c.as("show", "Show a patient as the ledger knows them: links, who acts for them",
		func(ctx context.Context, me *person) error {
			p, err := me.Patient(ctx, patient)
			if err != nil {
				return err
			}
			return c.print(p, func() error { return c.showPatient(p) })
		})
	c.patientFlags(cmd, &patient)
	return cmd
}

func (c *cli) showPatient(p record.Patient) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "patient\t%s\nregistered\t%s\nparticipant\t%s\n", p.Reference, when(p.Since), orNone(p.Participant))
	if !p.Deceased.IsZero() {
		fmt.Fprintf(w, "deceased\trecorded %s\n", when(p.Deceased))
	}
	for _, l := range p.Links {
		fmt.Fprintf(w, "link\t%s\t%s\tsince %s\n", l.To, l.Kind, when(l.Since))
	}
	for _, r := range p.Representatives {
		fmt.Fprintf(w, "representative\t%s\t%s\tuntil %s\t%s\n", r.Participant, r.Authority, when(r.Until), scope(r.Scope))
	}
	return w.Flush()
}

func (c *cli) patientList() *cobra.Command {
	return c.as("list", "List the patients of your institution that are on the ledger",
		func(ctx context.Context, me *person) error {
			patients, err := everyPage(func(bookmark string) ([]record.Patient, string, error) {
				page, err := me.Patients(ctx, record.InstitutionID(me.wallet.MSPID), pageSize, bookmark)
				return page.Patients, page.Bookmark, err
			})
			if err != nil {
				return err
			}
			rows := make([]string, 0, len(patients))
			for _, p := range patients {
				rows = append(rows, fmt.Sprintf("%s\t%s\t%d\t%d\t%s\t%s", p.Reference, orNone(p.Participant), len(p.Links),
					len(p.Representatives), when(p.Since), when(p.Deceased)))
			}
			return c.print(patients, func() error {
				return table(c.out, "PATIENT\tPARTICIPANT\tLINKS\tREPRESENTATIVES\tREGISTERED\tDECEASED", rows)
			})
		})
}

// patientPair makes a command about two references of one person.
func (c *cli) patientPair(use, short, function string) *cobra.Command {
	var q record.Link
	cmd := c.writes(use, short, function, &q)
	c.patientFlags(cmd, &q.Patient)
	textFlag(cmd, &q.To, "to", "REF", "the other reference")
	return cmd
}

func (c *cli) patientBind() *cobra.Command {
	var q record.PatientRegistration
	proposal := record.Proposal{BindPatient: &q}
	cmd := c.writes("bind", "Propose that another participant, or none, signs for a patient; a second person confirms it",
		record.ProposeFunction, &proposal)
	c.patientFlags(cmd, &q.Patient)
	textFlag(cmd, &q.Participant, "participant", "ID", "who signs from then on; none: a patient without a key")
	return cmd
}

func (c *cli) patientDeceased() *cobra.Command {
	var q record.Deceased
	cmd := c.writes("deceased", "Record that a patient has died", record.DeceasedFunction, &q)
	c.patientFlags(cmd, &q.Patient)
	cmd.Flags().BoolVar(&q.Alive, "alive", false, "take back what was recorded in error")
	return cmd
}

func (c *cli) patientRepresent() *cobra.Command {
	var q record.Representation
	cmd := c.writes("represent", "Record who may act for a patient, by which authority, until when",
		record.RepresentFunction, &q)
	c.patientFlags(cmd, &q.Patient)
	textFlag(cmd, &q.Participant, "participant", "ID", "the representative")
	cmd.Flags().StringVar((*string)(&q.Authority), "authority", "",
		"parent, guardian, power-of-attorney, nominated or executor")
	textFlag(cmd, &q.Evidence, "evidence", "TAG", "the document that shows it, which is on the ledger")
	untilFlag(cmd, &q.Until, "the end of the authority")
	scopeFlags(cmd, &q.Scope)
	return cmd
}

func (c *cli) patientEndRepresentation() *cobra.Command {
	var q record.RepresentationEnd
	cmd := c.writes("end-representation", "Record that somebody no longer acts for a patient",
		record.EndRepresentationFunction, &q)
	c.patientFlags(cmd, &q.Patient)
	textFlag(cmd, &q.Participant, "participant", "ID", "the representative")
	return cmd
}

func orNone(id record.ParticipantID) string {
	if id.IsZero() {
		return "-"
	}
	return id.String()
}

// scope shows what a right covers.
func scope(s record.Scope) string {
	if s.All {
		return "all"
	}
	var parts []string
	for _, k := range s.Kinds {
		parts = append(parts, k.String())
	}
	for _, r := range s.Records {
		parts = append(parts, r.String())
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}
