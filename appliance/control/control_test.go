package control_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// appliance answers what a test plants.
type appliance struct {
	err     error
	content io.Reader
	asked   control.VerifyRequest
	all     bool
	sought  control.PatientQuery
	refiled control.RefileRequest
	trays
}

func (a *appliance) Status(context.Context) (control.Status, error) {
	return control.Status{Version: "1", Items: control.Items{
		Received: 3, Quarantined: map[document.Reason]int64{document.ReasonTruncated: 1},
	}}, a.err
}

func (a *appliance) Records(_ context.Context, all bool) ([]control.Record, error) {
	a.all = all
	return []control.Record{{Member: "A", Kind: record.KindLetter}}, a.err
}

func (a *appliance) Verify(_ context.Context, v control.VerifyRequest) ([]control.Verdict, error) {
	a.asked = v
	return []control.Verdict{{Finding: control.FindingOK}}, a.err
}

func (a *appliance) Get(context.Context, string) (io.ReadCloser, error) {
	if a.err != nil {
		return nil, a.err
	}
	return io.NopCloser(a.content), nil
}

func (a *appliance) Patient(_ context.Context, q control.PatientQuery) (record.Reference, error) {
	a.sought = q
	return record.Reference{7}, a.err
}

func (a *appliance) Refile(_ context.Context, q control.RefileRequest) (control.Refiled, error) {
	a.refiled = q
	return control.Refiled{Documents: 3}, a.err
}

// serve runs an appliance on a data folder whose path is longer than a socket's may be.
func serve(t *testing.T, a *appliance) (data string) {
	t.Helper()
	data = filepath.Join(t.TempDir(), strings.Repeat("a long name/", 12))
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := control.Listen(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: control.Handler(a)} //nolint:gosec // a test has no slow clients
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return data
}

func TestAnswersCross(t *testing.T) {
	a := &appliance{content: strings.NewReader("bytes")}
	client := control.NewClient(serve(t, a))
	status, err := client.Status(t.Context())
	if err != nil || status.Items.Received != 3 || status.Items.Quarantined[document.ReasonTruncated] != 1 {
		t.Errorf("Status = %+v, %v", status, err)
	}
	if records, err := client.Records(t.Context(), true); err != nil || len(records) != 1 || !a.all {
		t.Errorf("Records = %+v, %v; all: %v", records, err, a.all)
	}
	content := &control.Content{Digest: document.Digest{7}}
	if verdicts, err := client.Verify(t.Context(), control.VerifyRequest{Content: content}); err != nil || len(verdicts) != 1 ||
		a.asked.Content.Digest != content.Digest {
		t.Errorf("Verify = %+v, %v; asked %+v", verdicts, err, a.asked)
	}
	q := control.PatientQuery{
		PatientID: document.PatientID{Issuer: document.NHS, Identifier: "9990000018"}, Register: true,
	}
	if r, err := client.Patient(t.Context(), q); err != nil || r != (record.Reference{7}) || a.sought != q {
		t.Errorf("Patient = %s, %v; asked %+v", r, err, a.sought)
	}
	refile := control.RefileRequest{To: record.Reference{9}}
	if r, err := client.Refile(t.Context(), refile); err != nil || r.Documents != 3 || a.refiled != refile {
		t.Errorf("Refile = %+v, %v; asked %+v", r, err, a.refiled)
	}
	got, err := client.Get(t.Context(), "an/odd id")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if b, err := io.ReadAll(got); err != nil || string(b) != "bytes" {
		t.Errorf("Get = %q, %v", b, err)
	}
}

func TestErrorsKeepTheirMeaning(t *testing.T) {
	a := &appliance{}
	client := control.NewClient(serve(t, a))
	for _, sentinel := range []error{
		control.ErrNotFound, control.ErrLedgerAway, control.ErrBadRequest, control.ErrRefused, control.ErrBusy,
	} {
		a.err = fmt.Errorf("about it: %w", sentinel)
		_, err := client.Get(t.Context(), "x")
		if !errors.Is(err, sentinel) || err.Error() != a.err.Error() {
			t.Errorf("%v came back as %v", a.err, err)
		}
	}
	a.err = errors.New("something else")
	if _, err := client.Status(t.Context()); err == nil || err.Error() != "something else" {
		t.Errorf("came back as %v", err)
	}
}

// A document that turns out to be damaged half-way must not look like a shorter whole one.
func TestADocumentThatBreaksOffIsAnError(t *testing.T) {
	broken := io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), &failing{})
	client := control.NewClient(serve(t, &appliance{content: broken}))
	got, err := client.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if n, err := io.Copy(io.Discard, got); err == nil {
		t.Fatalf("%d bytes read without an error", n)
	}
}

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, errors.New("damaged") }

func TestNobodyThere(t *testing.T) {
	if _, err := control.NewClient(t.TempDir()).Status(t.Context()); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
	// A socket that a dead process left behind.
	data := t.TempDir()
	listener, err := control.Listen(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if _, err := control.NewClient(data).Status(t.Context()); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("a dead socket: %v", err)
	}
	again, err := control.Listen(t.Context(), data)
	if err != nil {
		t.Fatalf("a dead socket is in the way: %v", err)
	}
	again.Close()
}

func TestTheSocketIsTheOwnersOnly(t *testing.T) {
	data := t.TempDir()
	listener, err := control.Listen(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	info, err := os.Stat(filepath.Join(data, "control.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
}
