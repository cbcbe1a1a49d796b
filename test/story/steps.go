package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/test/consortium"
)

// settleTimeout bounds the wait for what goes on by itself.
const settleTimeout = 90 * time.Second

// Step is one step of the story. What goes on by itself may go on while the next begins.
type Step struct {
	Title string
	Run   func(context.Context) error
}

// Steps are the story, in order.
func (s *Story) Steps() []Step {
	a, b := s.A.Member.Title, s.B.Member.Title
	return []Step{
		{"A patient is registered at " + a + ".", s.register},
		{"A CT study and a lab result arrive there, and are anchored.", s.arrive},
		{"A doctor at " + b + " wants to read them, and is refused.", s.refused("no right")},
		{"The doctor asks the patient.", s.ask},
		{"The patient approves. " + a + " releases the keys to the doctor.", s.approve},
		{"The doctor reads at " + b + ": byte for byte what was sent to " + a + ".", s.readAll},
		{"Late slices arrive at " + a + ", and can be read too.", s.arriveLate},
		{"The patient sees who looked.", s.look},
		{"The patient revokes.", s.revoke},
		{"The doctor is refused. The keys are taken from the ledger.", s.end},
	}
}

func (s *Story) register(ctx context.Context) error {
	patient, err := s.A.Client().Patient(ctx, control.PatientQuery{
		PatientID: document.PatientID{Issuer: document.NHS, Identifier: s.person.NHS}, Register: true,
	})
	if err != nil {
		return err
	}
	s.Reference = patient
	_, err = s.acts(ctx, s.Staff, "patient", "register", "--patient", patient.String(), "--participant", s.Patient.ID.String())
	return err
}

func (s *Story) arrive(ctx context.Context) error {
	before, err := s.versions(ctx)
	if err != nil {
		return err
	}
	if err := s.drop(s.files[:s.Slices]); err != nil {
		return err
	}
	report := filepath.Join(s.A.Documents, s.person.NHS, "lab-result.pdf")
	if err := s.place(s.report, report); err != nil {
		return err
	}
	if err := s.anchored(ctx, before+s.Slices+1); err != nil {
		return err
	}
	return s.findRecords(ctx)
}

// findRecords tells the study from the report.
func (s *Story) findRecords(ctx context.Context) error {
	records, err := s.A.Client().Records(ctx, false)
	if err != nil {
		return err
	}
	for _, r := range records {
		switch {
		case r.Patient != s.Reference:
		case r.Kind == record.KindImaging:
			s.Study = r.Record
		default:
			s.Report = r.Record
		}
	}
	if s.Study.IsZero() || s.Report.IsZero() {
		return errors.New("the study or the report is not among the records of the hospital")
	}
	return nil
}

// versions counts the documents of the patient that are anchored.
func (s *Story) versions(ctx context.Context) (n int, err error) {
	records, err := s.A.Client().Records(ctx, false)
	for _, r := range records {
		if r.Patient == s.Reference {
			n += len(r.Documents)
		}
	}
	return n, err
}

// anchored waits until the patient has this many documents on the ledger.
func (s *Story) anchored(ctx context.Context, documents int) error {
	return s.poll(ctx, fmt.Sprintf("%d documents are anchored", documents), func(ctx context.Context) (bool, error) {
		n, err := s.versions(ctx)
		return n >= documents, err
	})
}

// poll waits until done is true.
func (s *Story) poll(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if is, err := done(ctx); err != nil || is {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
}

// drop puts copies of files into the drop folder for DICOM.
func (s *Story) drop(files []string) error {
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if err := s.place(content, filepath.Join(s.A.DICOM, filepath.Base(f))); err != nil {
			return err
		}
	}
	return nil
}

// place puts a file into a drop folder, whole.
func (s *Story) place(content []byte, path string) error {
	staged := filepath.Join(s.A.Dir, "staged-"+filepath.Base(path))
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(staged, content, 0o600), os.Rename(staged, path))
}

// refused has the doctor try to read, and be told why not.
func (s *Story) refused(why string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, text, err := s.read(ctx, s.Doctor, s.Study, exitRefused)
		if err == nil && !strings.Contains(text, why) {
			err = fmt.Errorf("the doctor is refused with %q, which does not say %q", text, why)
		}
		return err
	}
}

func (s *Story) ask(ctx context.Context) (err error) {
	s.Request, err = s.acts(ctx, s.Doctor, "access", "request", "--patient", s.Reference.String(), "--all",
		"--purpose", "second-opinion", "--until", time.Now().AddDate(0, 1, 0).Format(time.DateOnly),
		"--name", "Dr Elm", "--reason", "You asked me for a second opinion on your CT.")
	return err
}

func (s *Story) approve(ctx context.Context) error {
	if _, err := s.command(ctx, s.Patient, exitOK, "access", "list", "--patient", s.Reference.String()); err != nil {
		return err
	}
	_, err := s.acts(ctx, s.Patient, "access", "approve", "--patient", s.Reference.String(), "--request", s.Request.String())
	return err
}

func (s *Story) readAll(ctx context.Context) error {
	if err := s.readStudy(ctx, s.Slices); err != nil {
		return err
	}
	contents, _, err := s.read(ctx, s.Doctor, s.Report, exitOK)
	if err == nil && (len(contents) != 1 || !bytes.Equal(contents[0], s.report)) {
		err = errors.New("the report that was read is not the one that was sent")
	}
	return err
}

// readStudy has the doctor read the study until all of its images are there: keys of what has just joined are on their way.
func (s *Story) readStudy(ctx context.Context, images int) error {
	return s.poll(ctx, fmt.Sprintf("%d images can be read", images), func(ctx context.Context) (bool, error) {
		contents, _, err := s.read(ctx, s.Doctor, s.Study, exitOK)
		if err != nil || len(contents) < images {
			return false, err
		}
		for _, f := range s.files[:images] {
			sent, err := os.ReadFile(f)
			if err != nil {
				return false, err
			}
			if !containsEqual(contents, sent) {
				return false, fmt.Errorf("the image %s was not read byte for byte", filepath.Base(f))
			}
		}
		return true, nil
	})
}

func containsEqual(all [][]byte, one []byte) bool {
	for _, other := range all {
		if bytes.Equal(other, one) {
			return true
		}
	}
	return false
}

func (s *Story) arriveLate(ctx context.Context) error {
	before, err := s.versions(ctx)
	if err != nil {
		return err
	}
	if err := s.drop(s.files[s.Slices:]); err != nil {
		return err
	}
	if err := s.anchored(ctx, before+s.Late); err != nil {
		return err
	}
	return s.readStudy(ctx, s.Slices+s.Late)
}

func (s *Story) look(ctx context.Context) error {
	text, err := s.command(ctx, s.Patient, exitOK, "audit", "list", "--patient", s.Reference.String())
	if err != nil {
		return err
	}
	for _, want := range [][]string{
		{"DENIED access", s.B.Member.Title},
		{"access", "grant", s.Study.String(), "Dr Elm"},
		{"access", "grant", s.Report.String()},
		{"release", "grant", s.Study.String()},
	} {
		if !hasRow(text, want) {
			return fmt.Errorf("the patient's list does not show %q", want)
		}
	}
	return nil
}

// hasRow says whether one row has all of the words.
func hasRow(table string, words []string) bool {
	for row := range strings.Lines(table) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(row, w)
		}
		if all {
			return true
		}
	}
	return false
}

func (s *Story) revoke(ctx context.Context) error {
	_, err := s.acts(ctx, s.Patient, "access", "revoke", "--patient", s.Reference.String(), "--request", s.Request.String())
	return err
}

// end has the doctor be refused, and waits until nothing of theirs is left on the ledger.
func (s *Story) end(ctx context.Context) error {
	if err := s.refused("no right")(ctx); err != nil {
		return err
	}
	institution, err := consortium.Open(ctx, s.Network, s.A.Member)
	if err != nil {
		return err
	}
	defer institution.Close() //nolint:errcheck // what was asked was answered
	return s.poll(ctx, "the keys are taken from the ledger", func(ctx context.Context) (bool, error) {
		page, err := institution.Releases(ctx, s.Reference, s.Doctor.ID, 100, "")
		return len(page.Releases) == 0, err
	})
}
