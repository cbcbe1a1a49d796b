// Package story is why medanchor exists, as people live it: a history that was taken in at one hospital is read at another,
// with the patient's consent and for as long as it lasts, and the patient sees who looked. The demo tells it, and test/e2e
// runs it with faults in between.
//
// Everybody uses the program medanchor on their own machine, under their own identity.
package story

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/test/consortium"
	"github.com/medanchor/medanchor/test/hospital"
	"github.com/medanchor/medanchor/test/synth"
)

// The exit codes of docs/operations.md that the story meets.
const (
	exitOK      = 0
	exitRefused = 6
)

// Options are what a story is told with.
type Options struct {
	// Dir is a folder for the story's files.
	Dir string
	// Program is medanchor.
	Program string
	Network *devnet.Network
	// A is where the history is, B where the doctor is. Their appliances run.
	A, B *Place
	// Slices is how many images the study has at first; Late how many come later. Size is that of each, in bytes.
	Slices, Late, Size int
	// Seed of the generated files.
	Seed uint64
	// Out is told what people do, and what they see.
	Out io.Writer
}

// Place is a hospital with its member of the network.
type Place struct {
	*hospital.Hospital
	Member *devnet.Member
}

// Story is one run of the story. Make it with Begin.
type Story struct {
	Options
	Patient, Staff, Doctor *Person
	// Reference is the patient's at A, once they are registered.
	Reference record.Reference
	// Study and Report are the records at A, once they are anchored.
	Study, Report record.Tag
	Request       record.ID

	person synth.Person
	files  []string // of the study, in order
	report []byte
	reads  int
}

// Person is somebody with an identity, at a hospital.
type Person struct {
	Name     string
	ID       record.ParticipantID
	Identity string // folder
	At       *Place
}

// Begin enrols the people, and makes the files.
func Begin(ctx context.Context, o Options) (s *Story, err error) {
	s = &Story{Options: o}
	if s.Patient, err = s.enrol(ctx, o.A, record.PatientRole, "the patient"); err != nil {
		return nil, err
	}
	if s.Staff, err = s.enrol(ctx, o.A, record.StaffRole, "the office of "+o.A.Member.Title); err != nil {
		return nil, err
	}
	if s.Doctor, err = s.enrol(ctx, o.B, record.DoctorRole, "a doctor at "+o.B.Member.Title); err != nil {
		return nil, err
	}
	return s, s.makeFiles()
}

func (s *Story) enrol(ctx context.Context, at *Place, role record.Role, name string) (*Person, error) {
	institution, err := consortium.Open(ctx, s.Network, at.Member)
	if err != nil {
		return nil, err
	}
	p, err := institution.Enrol(ctx, role)
	if err := errors.Join(err, institution.Close()); err != nil {
		return nil, err
	}
	return &Person{name, p.ID, filepath.Join(at.Member.Dir, "people", p.ID.String()), at}, p.Close()
}

// Announce registers where the nodes of the hospitals are reached, as hospital IT does once: medanchor status shows the
// addresses.
func Announce(ctx context.Context, network *devnet.Network, places ...*Place) error {
	for _, p := range places {
		status, err := p.Client().Status(ctx)
		if err != nil {
			return err
		}
		institution, err := consortium.Open(ctx, network, p.Member)
		if err != nil {
			return err
		}
		q := record.InstitutionUpdate{Institution: record.Institution{Name: p.Member.Title, Addresses: status.Reading.Swarm}}
		_, err = institution.Do(ctx, record.UpdateInstitutionFunction, q, nil)
		if err := errors.Join(err, institution.Close()); err != nil {
			return fmt.Errorf("register the addresses of %s: %w", p.Member.Name, err)
		}
	}
	return nil
}

func (s *Story) makeFiles() error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	dir := filepath.Join(s.Dir, "files")
	manifest, err := synth.Many(dir, s.Seed, "a", s.Slices+s.Late, s.Size)
	if err != nil {
		return err
	}
	s.person = manifest.People[0]
	for _, f := range manifest.Files {
		s.files = append(s.files, filepath.Join(dir, filepath.FromSlash(f.Path)))
	}
	s.report = synth.Letter{
		Title: "Synthetic lab result", Lines: []string{"NHS number " + s.person.NHS, "This person does not exist."}, Pages: 2,
		Time: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
	}.Encode()
	return nil
}

// command runs medanchor as somebody, on their machine, and gives what it printed. Another exit code than the wanted is an
// error.
func (s *Story) command(ctx context.Context, who *Person, code int, args ...string) (string, error) {
	fmt.Fprintf(s.Out, "%s$ medanchor %s\n", who.Name, strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, s.Program, append(args, "--identity", who.Identity)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errOut, time.Second
	err := who.At.Do(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	got := exitOK
	if exit, ended := errors.AsType[*exec.ExitError](err); ended {
		got = exit.ExitCode()
	} else if err != nil {
		return "", err
	}
	text := out.String() + errOut.String()
	if !strings.Contains(strings.Join(args, " "), "--json") || got != exitOK {
		fmt.Fprintf(s.Out, "%s", text)
	}
	if got != code {
		return text, fmt.Errorf("%s: medanchor %s ends with code %d, want %d: %s", who.Name, args[0], got, code, text)
	}
	return text, nil
}

// acts is command for what makes something, and gives its ID.
func (s *Story) acts(ctx context.Context, who *Person, args ...string) (id record.ID, err error) {
	text, err := s.command(ctx, who, exitOK, append(args, "--json")...)
	if err != nil {
		return id, err
	}
	var done struct {
		ID    record.ID `json:"id"`
		Block uint64    `json:"block"`
	}
	if err := json.Unmarshal([]byte(text), &done); err != nil {
		return id, fmt.Errorf("medanchor %s prints %q: %w", args[0], text, err)
	}
	fmt.Fprintf(s.Out, "done, in block %d\n", done.Block)
	return done.ID, nil
}

// read has somebody read a record into a new folder, and gives the files' contents.
func (s *Story) read(ctx context.Context, who *Person, rec record.Tag, code int) (contents [][]byte, text string, err error) {
	s.reads++
	target := filepath.Join(s.Dir, fmt.Sprintf("read-%d", s.reads))
	status, err := who.At.Client().Status(ctx)
	if err != nil {
		return nil, "", err
	}
	text, err = s.command(ctx, who, code, "get", "--patient", s.Reference.String(), "--record", rec.String(), "-o", target,
		"--wait", "60s", "--appliance", status.Reading.URL)
	if err != nil || code != exitOK {
		return nil, text, err
	}
	entries, err := os.ReadDir(target)
	if err != nil {
		return nil, text, err
	}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(target, e.Name()))
		if err != nil {
			return nil, text, err
		}
		contents = append(contents, content)
	}
	return contents, text, nil
}
