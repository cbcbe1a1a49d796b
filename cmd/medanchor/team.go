package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/medanchor/medanchor/chaincode/record"
)

func (c *cli) teamCommand() *cobra.Command {
	return group("team", "Say who is in a team, and when", c.teamSet(), c.teamShow())
}

func (c *cli) teamSet() *cobra.Command {
	var team record.Team
	var file string
	var members []record.ParticipantID
	cmd := c.as("set", "Make a team of your institution, or replace one", func(ctx context.Context, me *person) error {
		if team.ID.IsZero() {
			var random [10]byte
			rand.Read(random[:]) // never fails (crypto/rand)
			team.ID = record.NewParticipantID(me.wallet.MSPID, random)
		}
		acted, err := me.Act(ctx, record.SetTeamFunction, team, nil)
		if err != nil {
			return err
		}
		return c.report(acted, team.ID)
	})
	cmd.Long = "Members are always on duty. With shifts they are in a JSON file:\n" +
		`  [{"participant": "ID", "shifts": [{"from": "2027-03-01T08:00:00Z", "until": "2027-03-01T20:00:00Z"}]}]`
	textFlag(cmd, &team.ID, "team", "ID", "the team to replace; none: a new one")
	cmd.Flags().Var(&texts[record.ParticipantID, *record.ParticipantID]{&members, "ID"}, "member", "a member")
	cmd.Flags().StringVar(&file, "members-file", "", "members with shifts, as JSON")
	before(cmd, func(context.Context) error {
		for _, id := range members {
			team.Members = append(team.Members, record.TeamMember{Participant: id})
		}
		return readMembers(file, &team.Members)
	})
	return cmd
}

// readMembers adds the members in a file to those that are there.
func readMembers(file string, members *[]record.TeamMember) error {
	if file == "" {
		return nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var more []record.TeamMember
	if err := json.Unmarshal(b, &more); err != nil {
		return &usageError{fmt.Errorf("read %s: %w", file, err)}
	}
	*members = append(*members, more...)
	return nil
}

func (c *cli) teamShow() *cobra.Command {
	var id record.ParticipantID
	cmd := c.as("show", "Show a team's members and shifts", func(ctx context.Context, me *person) error {
		team, err := me.Team(ctx, id)
		if err != nil {
			return err
		}
		var rows []string
		for _, m := range team.Members {
			if len(m.Shifts) == 0 {
				rows = append(rows, fmt.Sprintf("%s\talways\t", m.Participant))
			}
			for _, s := range m.Shifts {
				rows = append(rows, fmt.Sprintf("%s\t%s\t%s", m.Participant, when(s.From), when(s.Until)))
			}
		}
		return c.print(team, func() error { return table(c.out, "MEMBER\tFROM\tUNTIL", rows) })
	})
	textFlag(cmd, &id, "team", "ID", "the team")
	return cmd
}

func (c *cli) superviseCommand() *cobra.Command {
	return group("supervise", "Say which doctors and teams of your institution read a patient's records",
		c.supervision("add", "Put a patient under a doctor's or team's supervision", record.SuperviseFunction),
		c.supervision("end", "End a supervision", record.EndSupervisionFunction), c.superviseList())
}

// supervision makes a command about one supervisor of a patient.
func (c *cli) supervision(use, short, function string) *cobra.Command {
	var q record.SupervisionChange
	cmd := c.writes(use, short, function, &q)
	c.patientFlags(cmd, &q.Patient)
	textFlag(cmd, &q.Participant, "participant", "ID", "the doctor")
	textFlag(cmd, &q.Team, "team", "ID", "the team")
	if function == record.SuperviseFunction {
		untilFlag(cmd, &q.Until, "its end; without, until it is ended")
	}
	return cmd
}

func (c *cli) superviseList() *cobra.Command {
	var patient record.Reference
	cmd := c.as("list", "List who supervises a patient", func(ctx context.Context, me *person) error {
		s, err := me.Supervisors(ctx, patient)
		if err != nil {
			return err
		}
		var rows []string
		for _, by := range s.Supervisors {
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s", orNone(by.Participant), orNone(by.Team), when(by.Since),
				when(by.Until)))
		}
		return c.print(s, func() error { return table(c.out, "DOCTOR\tTEAM\tSINCE\tUNTIL", rows) })
	})
	c.patientFlags(cmd, &patient)
	return cmd
}
