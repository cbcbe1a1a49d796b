package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/sealed"
)

func (c *cli) appointmentCommand() *cobra.Command {
	return group("appointment", "Propose and answer appointments of doctors and patients", c.appointmentPropose(),
		c.appointmentChange("accept", "Accept what the other side proposed", record.AcceptAppointmentFunction),
		c.appointmentChange("decline", "Decline what the other side proposed", record.DeclineAppointmentFunction),
		c.appointmentChange("cancel", "Cancel an appointment or a proposal", record.CancelAppointmentFunction),
		c.appointmentChange("complete", "Say that it took place, for the doctor", record.CompleteAppointmentFunction),
		c.appointmentList())
}

func (c *cli) appointmentPropose() *cobra.Command {
	var q record.AppointmentProposal
	var note sealed.Note
	cmd := checked(c.as("propose", "Propose an appointment, for the patient or for the doctor",
		func(ctx context.Context, me *person) error {
			notes, err := me.tellBoth(ctx, q, note)
			if err != nil {
				return err
			}
			return c.act(ctx, me, record.ProposeAppointmentFunction, q, notes...)
		}), &q)
	c.patientFlags(cmd, &q.Patient)
	textFlag(cmd, &q.Doctor, "doctor", "ID", "the doctor")
	timeFlag(cmd, &q.Start, "start", "at a quarter of an hour")
	minutes := cmd.Flags().Int("minutes", 15, "how long: a multiple of 15")
	cmd.Flags().StringVar(&note.Text, "details", "", "sealed to doctor and patient; - reads standard input")
	cmd.Flags().StringVar(&note.Name, "name", "", "your name, sealed likewise")
	before(cmd, func(context.Context) error {
		if *minutes%15 != 0 {
			return &usageError{errors.New("appointments take multiples of 15 minutes")}
		}
		q.Slots = *minutes / 15
		return standardInput(cmd, &note.Text)
	})
	return cmd
}

// tellBoth seals the details to both sides: who proposed reads them again too.
func (me *person) tellBoth(ctx context.Context, q record.AppointmentProposal, n sealed.Note) ([]record.SealedNote, error) {
	side, err := me.patientSide(ctx, q.Patient)
	if err != nil {
		return nil, err
	}
	return me.sealToAll(ctx, sealed.Appointment, q.Patient, append(side, q.Doctor), n)
}

// appointmentChange makes a command about one appointment.
func (c *cli) appointmentChange(use, short, function string) *cobra.Command {
	var id record.ID
	var in diary
	cmd := c.as(use, short, func(ctx context.Context, me *person) error {
		a, err := me.findAppointment(ctx, in, id)
		if err != nil {
			return err
		}
		return c.act(ctx, me, function, record.AppointmentName{Doctor: a.Doctor, Patient: a.Patient, Start: a.Start, ID: a.ID})
	})
	textFlag(cmd, &id, "appointment", "ID", "the appointment, as appointment list shows it")
	in.flags(cmd)
	before(cmd, func(context.Context) error {
		if id.IsZero() {
			return &usageError{errors.New("no appointment is named: give --appointment, see medanchor appointment list")}
		}
		return nil
	})
	return cmd
}

// diary says whose appointments are meant: a patient's, else a doctor's, else the caller's own as a doctor.
type diary struct {
	patient record.Reference
	doctor  record.ParticipantID
}

func (d *diary) flags(cmd *cobra.Command) {
	textFlag(cmd, &d.patient, "patient", "REF", "look in this patient's diary")
	textFlag(cmd, &d.doctor, "doctor", "ID", "look in this doctor's diary; without either, in your own as a doctor")
}

// appointments gives all that stand in a diary, by start.
func (me *person) appointments(ctx context.Context, in diary) ([]record.Appointment, error) {
	return everyPage(func(bookmark string) ([]record.Appointment, string, error) {
		var page record.AppointmentPage
		var err error
		switch {
		case !in.patient.IsZero():
			page, err = me.PatientAppointments(ctx, in.patient, pageSize, bookmark)
		case !in.doctor.IsZero():
			page, err = me.DoctorAppointments(ctx, in.doctor, pageSize, bookmark)
		default:
			page, err = me.DoctorAppointments(ctx, me.wallet.Participant, pageSize, bookmark)
		}
		return page.Appointments, page.Bookmark, err
	})
}

func (me *person) findAppointment(ctx context.Context, in diary, id record.ID) (record.Appointment, error) {
	all, err := me.appointments(ctx, in)
	if err != nil {
		return record.Appointment{}, err
	}
	i := slices.IndexFunc(all, func(a record.Appointment) bool { return a.ID == id })
	if i < 0 {
		return record.Appointment{}, fmt.Errorf("%w: no such appointment in this diary", ledger.ErrNotFound)
	}
	return all[i], nil
}

// booked is an appointment with its details, as far as they are sealed to the reader.
type booked struct {
	record.Appointment
	Details string `json:"details,omitempty"`
	Name    string `json:"name,omitempty"` // of who proposed it
}

func (c *cli) appointmentList() *cobra.Command {
	var in diary
	cmd := c.as("list", "List appointments, with the details that are sealed to you",
		func(ctx context.Context, me *person) error {
			all, err := me.appointments(ctx, in)
			if err != nil {
				return err
			}
			opened := make([]booked, 0, len(all))
			for _, a := range all {
				note, err := me.details(ctx, a)
				if err != nil {
					return err
				}
				opened = append(opened, booked{a, note.Text, note.Name})
			}
			return c.print(opened, func() error { return c.showAppointments(ctx, newDirectory(me), opened) })
		})
	in.flags(cmd)
	return cmd
}

// details opens the note to the caller about an appointment. Who sealed it is who signed the proposal, as the audit has it.
func (me *person) details(ctx context.Context, a record.Appointment) (sealed.Note, error) {
	proposal, err := me.Entry(ctx, a.Patient, a.ID, 0)
	if errors.Is(err, ledger.ErrNotFound) {
		return sealed.Note{}, nil
	}
	if err != nil {
		return sealed.Note{}, err
	}
	return me.note(ctx, sealed.Appointment, a.Patient, proposal.Actor, a.ID)
}

func (c *cli) showAppointments(ctx context.Context, people *directory, all []booked) error {
	rows := make([]string, 0, len(all))
	for _, a := range all {
		doctor, err := people.identify(ctx, a.Doctor)
		if err != nil {
			return err
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%d min\t%s\t%s\t%s\t%s\t%s", a.ID, when(a.Start),
			a.Slots*int(record.SlotLength/time.Minute), doctor, a.Patient, a.State, side(a), printable(a.Details)))
	}
	return table(c.out, "APPOINTMENT\tSTART\tLENGTH\tDOCTOR\tPATIENT\tSTATE\tPROPOSED BY\tDETAILS", rows)
}

// side says who proposed an appointment.
func side(a booked) string {
	of := "patient"
	if a.ByDoctor {
		of = "doctor"
	}
	if a.Name != "" {
		return of + "'s side (" + printable(a.Name) + ")"
	}
	return of + "'s side"
}
