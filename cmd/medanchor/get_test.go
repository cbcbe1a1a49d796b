package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ledger/wallet"
	"github.com/medanchor/medanchor/reading"
)

// ward is a hospital's reading service, whose ledger is what a test says, and a doctor of it, whose own peer is always away.
type ward struct {
	url      string
	identity string // folder
	doctor   record.Participant
	name     record.RecordName
	contents map[record.Tag][]byte
	served   map[record.Tag][]byte // what comes instead
	access   record.Access
	away     error
	stated   []document.Emergency
}

func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{
		identity: t.TempDir(), access: record.Access{Allowed: true, Basis: record.BasisGrant},
		name: record.RecordName{Patient: record.NewReference("TestMSP", [10]byte{1}), Record: record.Tag{2}},
		contents: map[record.Tag][]byte{
			{3}: []byte("Dear colleague, thank you for seeing this patient."), {4}: bytes.Repeat([]byte("x"), 100_000),
		},
		served: make(map[record.Tag][]byte),
	}
	w.enrol(t)
	listener := httptest.NewServer(reading.New(reading.Options{
		Institution: record.InstitutionID("TestMSP").Institution(), Appliance: record.NewParticipantID("TestMSP", [10]byte{9}),
		Channel: "medanchor", Ledger: w, Index: w, Content: w, Journal: w, Log: slog.New(slog.DiscardHandler),
	}).Handler())
	t.Cleanup(listener.Close)
	w.url = listener.URL
	return w
}

// enrol makes the doctor's wallet, as medanchor enroll would.
func (w *ward) enrol(t *testing.T) {
	t.Helper()
	who := wallet.Identity{
		Participant: record.NewParticipantID("TestMSP", [10]byte{1}), Role: record.DoctorRole, MSPID: "TestMSP",
		Peer: "127.0.0.1:1", CA: "127.0.0.1:1", Channel: "medanchor", Chaincode: "medanchor",
	}
	raw, err := json.Marshal(who)
	if err := errors.Join(err, writeIdentity(w.identity, time.Now().Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	certificate, err := os.ReadFile(filepath.Join(w.identity, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"identity.json": raw, "tls-ca.pem": certificate} {
		if err := os.WriteFile(filepath.Join(w.identity, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	block, _ := pem.Decode(certificate)
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	w.doctor = record.Participant{
		ID: who.Participant, Role: who.Role, MSPID: who.MSPID, Status: record.Active, SigningKey: parsed.RawSubjectPublicKeyInfo,
		Key: record.FingerprintOf(who.MSPID, parsed.RawSubjectPublicKeyInfo),
	}
}

func (w *ward) Access(_ context.Context, attempts []record.AccessAttempt) ([]record.Access, error) {
	accesses := make([]record.Access, len(attempts))
	for i := range accesses {
		accesses[i] = w.access
	}
	return accesses, w.away
}

func (w *ward) CheckAccess(context.Context, record.ParticipantID, record.RecordName, record.Tag) (record.Access, error) {
	return w.access, w.away
}

func (w *ward) LateEmergency(context.Context, document.Emergency) error { return w.away }

func (w *ward) Participant(id record.ParticipantID) (record.Participant, bool, error) {
	if id != w.doctor.ID {
		return record.Participant{}, false, nil
	}
	return w.doctor, true, nil
}

func (w *ward) Versions(name record.RecordName) (versions []record.AnchoredVersion, err error) {
	if name != w.name {
		return nil, nil
	}
	for tag := range w.contents {
		v := record.AnchoredVersion{Version: record.Version{Patient: name.Patient, Record: name.Record, Kind: record.KindLetter}}
		v.Documents = []record.Document{{Tag: tag}}
		versions = append(versions, v)
	}
	return versions, nil
}

func (w *ward) Status(record.RecordName) (s record.RecordStatus, err error) { return s, nil }

func (w *ward) Payloads(record.Tag) ([]reading.Payload, error) { return []reading.Payload{{}}, nil }

func (w *ward) Relation(record.Reference, record.ParticipantID) (r record.Relation, err error) {
	return r, nil
}

func (w *ward) LedgerTime() (t time.Time, err error) { return t, nil }

func (w *ward) Held(_ context.Context, tag record.Tag) (d reading.Document, found bool, err error) {
	content, found := w.contents[tag]
	if content == nil {
		return d, false, nil
	}
	served, other := w.served[tag]
	if !other {
		served = content
	}
	d.Description = document.Description{
		Size: int64(len(content)), Digest: sha256.Sum256(content), Metadata: document.Metadata{Format: document.FormatText},
	}
	d.Open = func(context.Context) (reading.Plain, error) { return plainOf{bytes.NewReader(served)}, nil }
	d.Verify = func(document.Digest) bool { return true } // a hospital that is not honest
	return d, found, nil
}

func (w *ward) Remote(context.Context, reading.Payload, [16]byte, int64) (reading.Plain, error) {
	return nil, reading.ErrUnavailable
}

func (w *ward) AddEmergency(e document.Emergency) error {
	w.stated = append(w.stated, e)
	return nil
}

func (w *ward) Emergencies() ([]document.Emergency, error) { return w.stated, nil }

func (w *ward) ForgetEmergency(record.ID) error { return nil }

type plainOf struct{ *bytes.Reader }

func (plainOf) Close() error { return nil }

// get runs medanchor get for the ward's record, with more arguments.
func (w *ward) get(t *testing.T, more ...string) (code int, out, says string) {
	t.Helper()
	var o, e bytes.Buffer
	args := []string{
		"get", "--identity", w.identity, "--patient", w.name.Patient.String(), "--record", w.name.Record.String(),
		"--appliance", w.url, "--wait", "0s",
	}
	code = execute(t.Context(), append(args, more...), &o, &e)
	return code, o.String(), e.String()
}

func TestARecordIsReadIntoAFolder(t *testing.T) {
	w, folder := newWard(t), filepath.Join(t.TempDir(), "new", "folder")
	code, out, says := w.get(t, "-o", folder, "--json")
	var files []got
	if err := json.Unmarshal([]byte(out), &files); code != exitOK || err != nil || len(files) != len(w.contents) {
		t.Fatalf("exit code %d, %q, %q, %v", code, out, says, err)
	}
	for _, f := range files {
		content, err := os.ReadFile(f.File)
		if err != nil || !bytes.Equal(content, w.contents[f.Document]) || f.Bytes != int64(len(content)) {
			t.Errorf("%+v: %d bytes, %v", f, len(content), err)
		}
		if info, err := os.Stat(f.File); err != nil || info.Mode().Perm() != 0o600 || f.File != filepath.Join(folder, f.Document.String()+".txt") {
			t.Errorf("%s: %v, %v", f.File, info.Mode(), err)
		}
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
	// What is there is not written over.
	if code, _, says := w.get(t, "-o", folder); code != exitError || !strings.Contains(says, "file exists") {
		t.Errorf("again: exit code %d, %q", code, says)
	}
}

func TestOneDocumentIsReadToAFileOrToStandardOutput(t *testing.T) {
	w := newWard(t)
	code, out, says := w.get(t, "--document", record.Tag{3}.String())
	if code != exitOK || out != string(w.contents[record.Tag{3}]) || says != "" {
		t.Errorf("exit code %d, %q, %q", code, out, says)
	}
	file := filepath.Join(t.TempDir(), "letter")
	code, out, _ = w.get(t, "--document", record.Tag{4}.String(), "-o", file)
	if content, err := os.ReadFile(file); code != exitOK || out != "" || err != nil || !bytes.Equal(content, w.contents[record.Tag{4}]) {
		t.Errorf("exit code %d, %q, %d bytes, %v", code, out, len(content), err)
	}
	code, _, says = w.get(t, "--document", record.Tag{5}.String(), "-o", file+"2")
	if code != exitNotFound || !strings.Contains(says, "the record has no such document for you") {
		t.Errorf("a document of none: exit code %d, %q", code, says)
	}
}

// What comes is held against its description, whatever the hospital says; and of what is wrong no file is left.
func TestWhatIsNotTheDocumentIsNotKept(t *testing.T) {
	w := newWard(t)
	content := w.contents[record.Tag{4}]
	w.served[record.Tag{4}] = append(bytes.Clone(content[:len(content)-1]), 'y')
	file := filepath.Join(t.TempDir(), "letter")
	code, _, says := w.get(t, "--document", record.Tag{4}.String(), "-o", file)
	if code != exitError || !strings.Contains(says, errOther.Error()) {
		t.Errorf("exit code %d, %q", code, says)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file is left: %v", err)
	}
}

func TestGetHasItsExitCodes(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*ward)
		more   []string
		code   int
		says   string
	}{
		"denied":            {func(w *ward) { w.access = record.Access{Reason: record.DeniedNoBasis} }, nil, exitRefused, "ask the patient for access"},
		"withdrawn":         {func(w *ward) { w.access = record.Access{Reason: record.DeniedWithdrawn} }, nil, exitRefused, "withdrawn: filed in error"},
		"suspended":         {func(w *ward) { w.doctor.Status = record.Suspended }, nil, exitRefused, "the participant is suspended"},
		"unknown":           {func(w *ward) { w.doctor.ID[15]++ }, nil, exitRefused, "the ledger knows no such participant"},
		"no such record":    {func(w *ward) { w.name.Record[1]++ }, []string{"--record", record.Tag{77}.String()}, exitNotFound, "no such record"},
		"no holder":         {func(w *ward) { w.contents = map[record.Tag][]byte{{3}: nil} }, nil, exitAway, "no keys of it were released to you yet"},
		"away":              {func(w *ward) { w.away = reading.ErrAway }, nil, exitAway, "in an emergency give the reason"},
		"out of order":      {func(w *ward) { w.away = errors.New("the peer is not to be trusted") }, nil, exitError, "not to be trusted"},
		"another hospital":  {nil, []string{"--hospital", record.InstitutionID("OtherMSP").String()}, exitError, "is the appliance of another hospital"},
		"the same hospital": {nil, []string{"--hospital", record.InstitutionID("TestMSP").String()}, exitOK, ""},
		"not https":         {nil, []string{"--appliance", "ftp://127.0.0.1"}, exitError, "unsupported protocol scheme"},
		"nobody listens":    {nil, []string{"--appliance", "http://127.0.0.1:1"}, exitAway, "the appliance is not running"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t)
			if test.change != nil {
				test.change(w)
			}
			folder := filepath.Join(t.TempDir(), "out")
			code, _, says := w.get(t, append([]string{"-o", folder}, test.more...)...)
			if code != test.code || !strings.Contains(says, test.says) {
				t.Errorf("exit code %d, want %d; says %q, want %q", code, test.code, says, test.says)
			}
			if _, err := os.Stat(folder); code != exitOK && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a folder is made for nothing: %v", err)
			}
		})
	}
}

// The ledger is away: the statement goes to the appliance, signed, with its reason.
func TestInAnEmergencyTheStatementIsSigned(t *testing.T) {
	w := newWard(t)
	w.away = reading.ErrAway
	code, out, says := w.get(t, "--document", record.Tag{3}.String(), "--emergency", "--reason", "unconscious", "--name", "Dr A")
	if code != exitOK || out != string(w.contents[record.Tag{3}]) {
		t.Fatalf("exit code %d, %q, %q", code, out, says)
	}
	if len(w.stated) != 1 {
		t.Fatalf("stated: %+v", w.stated)
	}
	e, reason := w.stated[0], sha256.Sum256([]byte("unconscious"))
	if e.Patient != w.name.Patient || e.Record != w.name.Record || e.Participant != w.doctor.ID || e.ID.IsZero() ||
		!bytes.Equal(e.Reason, reason[:]) || e.Text != "unconscious" || e.Name != "Dr A" || e.Time.Nanosecond() != 0 {
		t.Errorf("stated: %+v", e)
	}
	if _, _, says := w.get(t, "--document", record.Tag{3}.String(), "--emergency", "--reason", "again"); len(w.stated) != 2 ||
		w.stated[1].ID == e.ID {
		t.Errorf("a second emergency: %+v, %q", w.stated, says)
	}
}

func TestMissingDocumentsAreCounted(t *testing.T) {
	w := newWard(t)
	w.contents[record.Tag{5}] = nil // nobody has it
	code, _, says := w.get(t, "-o", filepath.Join(t.TempDir(), "out"))
	if code != exitOK || !strings.Contains(says, "1 more documents of the record cannot be opened") {
		t.Errorf("exit code %d, %q", code, says)
	}
}

// describe has a content read that is described as another, or as it is.
func describe(content []byte, of document.Description) *described {
	return &described{content: bytes.NewReader(content), of: of, hash: sha256.New()}
}

func TestAContentIsHeldAgainstItsDescription(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 1000)
	of := func(offset, size int, digest [32]byte) document.Description {
		return document.Description{
			Size: int64(size), Digest: digest, Metadata: document.Metadata{DatasetOffset: int64(offset)},
		}
	}
	for name, test := range map[string]struct {
		of    document.Description
		right bool
	}{
		"as described":        {of(0, len(content), sha256.Sum256(content)), true},
		"from an offset on":   {of(200, len(content), sha256.Sum256(content[200:])), true},
		"from its end on":     {of(len(content), len(content), sha256.Sum256(nil)), true},
		"longer":              {of(0, len(content)-1, sha256.Sum256(content)), false},
		"shorter":             {of(0, len(content)+1, sha256.Sum256(content)), false},
		"another digest":      {of(0, len(content), sha256.Sum256(content[1:])), false},
		"of the whole, but..": {of(200, len(content), sha256.Sum256(content)), false},
	} {
		for _, chop := range []func(io.Reader) io.Reader{
			func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader,
		} {
			d := describe(nil, test.of)
			d.content = chop(bytes.NewReader(content))
			read, err := io.ReadAll(d)
			if !bytes.Equal(read, content) || test.right != (err == nil) || !test.right && !errors.Is(err, errOther) {
				t.Errorf("%s: %d bytes, %v", name, len(read), err)
			}
		}
	}
	broken := describe(nil, of(0, 3, sha256.Sum256([]byte("abc"))))
	broken.content = io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := io.ReadAll(broken); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a content that breaks off: %v", err)
	}
	if _, err := io.ReadAll(describe(nil, of(0, 0, sha256.Sum256(nil)))); err != nil {
		t.Errorf("an empty document: %v", err)
	}
}

// A file is written whole, or not at all, and never over another.
func TestAFileIsWrittenWholeOrNotAtAll(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	half := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(errOther))
	if err := writeWhole(file, half); !errors.Is(err, errOther) {
		t.Errorf("half of it: %v", err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half of it is left: %v", err)
	}
	if err := writeWhole(file, strings.NewReader("whole")); err != nil {
		t.Fatal(err)
	}
	if err := writeWhole(file, strings.NewReader("other")); !errors.Is(err, os.ErrExist) {
		t.Errorf("over another: %v", err)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "whole" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestAFileIsCalledByItsFormat(t *testing.T) {
	for format, want := range map[document.Format]string{
		document.FormatDICOM: ".dcm", document.FormatPDF: ".pdf", document.FormatText: ".txt", document.FormatUnknown: ".bin", "": ".bin",
	} {
		if got := extension(format); got != want {
			t.Errorf("%q: %s, want %s", format, got, want)
		}
	}
}

func TestErrorsOfReadingHaveTheirExitCodes(t *testing.T) {
	for kind, want := range map[error]int{
		reading.ErrDenied: exitRefused, reading.ErrLogin: exitRefused, reading.ErrNotFound: exitNotFound,
		reading.ErrBadRequest: exitUsage, reading.ErrAway: exitAway, reading.ErrUnavailable: exitAway,
	} {
		err := fmt.Errorf("open: %w: more", kind)
		if got := exitCode(err); got != want {
			t.Errorf("%v: exit code %d, want %d", err, got, want)
		}
		if got := message(err); got != err.Error() {
			t.Errorf("%v is told as %q", err, got)
		}
	}
}
