package scp_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/medanchor/medanchor/dicomwatch"
	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/test/dcmtk"
	"github.com/medanchor/medanchor/test/synth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Who talks to whom in these tests.
const (
	ours   = "MEDANCHOR"
	sender = "MODALITY"
)

const ctStorage = "1.2.840.10008.5.1.4.1.1.2"

// spool keeps objects in memory. Its faults are set before it is used.
type spool struct {
	createErr, writeErr, commitErr error
	committing                     chan struct{} // told of each Commit that begins; may be nil
	hold                           chan struct{} // Commit waits until it is closed; may be nil

	mu        sync.Mutex
	committed []*incoming
	open      int // neither committed nor discarded
	most      int // longest that a Write was, bytes
}

type incoming struct {
	s *spool
	dicomwatch.Object
	file bytes.Buffer
	over bool
}

func (s *spool) Create(o dicomwatch.Object) (dicomwatch.Incoming, error) {
	if s.createErr != nil {
		return nil, s.createErr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	return &incoming{s: s, Object: o}, nil
}

func (in *incoming) Write(b []byte) (int, error) {
	if in.s.writeErr != nil && in.file.Len() > 0 { // the header passes, the dataset does not
		return 0, in.s.writeErr
	}
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	in.s.most = max(in.s.most, len(b))
	return in.file.Write(b)
}

func (in *incoming) Commit(ctx context.Context) error {
	if in.s.committing != nil {
		in.s.committing <- struct{}{}
	}
	if in.s.hold != nil {
		select {
		case <-in.s.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if in.s.commitErr != nil {
		return in.s.commitErr
	}
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	in.s.committed = append(in.s.committed, in)
	in.over = true
	in.s.open--
	return nil
}

func (in *incoming) Discard() error {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	if !in.over {
		in.over = true
		in.s.open--
	}
	return nil
}

// wait waits until a Commit begins.
func (s *spool) wait(t *testing.T) {
	t.Helper()
	select {
	case <-s.committing:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is committed")
	}
}

func (s *spool) objects() []*incoming {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.committed
}

// receiver is a server under test.
type receiver struct {
	*scp.Server
	spool   *spool
	address string
	log     *lockedBuffer
	stop    func() // ends the server, and waits
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// local admits sender from this machine.
func local() []scp.Sender {
	return []scp.Sender{{AETitle: sender, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
}

// start runs a server until the test ends. What o leaves out is what most tests want.
func start(t *testing.T, o scp.Options) *receiver {
	t.Helper()
	r := &receiver{log: &lockedBuffer{}}
	if o.Spool == nil {
		o.Spool = &spool{}
	}
	r.spool, _ = o.Spool.(*spool)
	if o.AETitle == "" {
		o.AETitle = ours
	}
	if o.Senders == nil && !o.Open {
		o.Senders = local()
	}
	o.Log = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server, err := scp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Server = server
	r.serve(t, o.TLS)
	return r
}

func (r *receiver) serve(t testing.TB, config *tls.Config) {
	t.Helper()
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() {
		if config != nil {
			done <- r.ServeTLS(ctx, l)
		} else {
			done <- r.Serve(ctx, l)
		}
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the server does not end")
		}
		if r.spool != nil && r.spool.open != 0 {
			t.Errorf("%d objects neither committed nor discarded", r.spool.open)
		}
	})
	t.Cleanup(r.stop)
}

func (r *receiver) peer() dcmtk.Peer {
	return dcmtk.Peer{Address: r.address, Calling: sender, Called: ours}
}

// eventually waits until the counts are as they should be.
func (r *receiver) eventually(t *testing.T, what string, is func(s scp.Stats) bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !is(r.Stats()) {
		select {
		case <-deadline:
			t.Fatalf("%s: %+v\n%s", what, r.Stats(), r.log)
		case <-poll.C:
		}
	}
}

// silent checks that nothing in the log leads to a person.
func (r *receiver) silent(t *testing.T, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(r.log.String(), secret) {
			t.Errorf("the log has %q:\n%s", secret, r.log)
		}
	}
}

// images makes n synthetic CT images of about size bytes.
func images(t *testing.T, n, size int) []string {
	t.Helper()
	return imagesBy(t, 7, n, size)
}

// imagesBy makes other images for each seed.
func imagesBy(t *testing.T, seed uint64, n, size int) []string {
	t.Helper()
	dir := t.TempDir()
	if _, err := synth.Many(dir, seed, "north", n, size); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "north", "dicom", "*", "*.dcm"))
	if err != nil || len(files) != n {
		t.Fatalf("%d files: %v", len(files), err)
	}
	return files
}

// datasetOf is a file without its preamble and its group 0002.
func datasetOf(t *testing.T, file []byte) []byte {
	t.Helper()
	const groupLength = 128 + 4
	if len(file) < groupLength+12 || string(file[128:132]) != "DICM" {
		t.Fatal("no file of PS3.10")
	}
	size := int(file[140]) | int(file[141])<<8 | int(file[142])<<16 | int(file[143])<<24
	return file[groupLength+12+size:]
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func attribute(t *testing.T, file, tag string) string {
	t.Helper()
	value, err := dcmtk.Dump(t.Context(), file, tag)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// same checks that what was committed is, dataset by dataset, what the files hold.
func (r *receiver) same(t *testing.T, files []string) {
	t.Helper()
	want := make(map[string][]byte)
	for _, file := range files {
		want[attribute(t, file, "0008,0018")] = datasetOf(t, read(t, file))
	}
	got := r.spool.objects()
	if len(got) != len(files) {
		t.Fatalf("%d objects of %d", len(got), len(files))
	}
	for _, o := range got {
		if !bytes.Equal(datasetOf(t, o.file.Bytes()), want[o.InstanceUID]) {
			t.Errorf("the dataset of an object in %s is not what was sent", o.TransferSyntaxUID)
		}
		delete(want, o.InstanceUID)
	}
	if len(want) != 0 {
		t.Errorf("%d objects are missing", len(want))
	}
}

func TestEcho(t *testing.T) {
	dcmtk.Need(t, "echoscu")
	r := start(t, scp.Options{})
	if output, err := dcmtk.EchoSCU(t.Context(), r.peer()); err != nil {
		t.Fatal(err, output)
	}
	r.stop()
	if s := r.Stats(); s.Echoed != 1 || s.Accepted != 1 || s.Ended[scp.EndReleased] != 1 || s.Associations != 0 {
		t.Errorf("%+v", s)
	}
}

// The words are dcmtk's, for the codes that it is told.
func TestWhatARejectedSenderReads(t *testing.T) {
	dcmtk.Need(t, "echoscu")
	for name, c := range map[string]struct {
		calling, called string
		want            string
	}{
		"an unknown sender": {"STRANGER", ours, "Reason: Calling AE Title Not Recognized"},
		"another called":    {sender, "OTHER", "Reason: Called AE Title Not Recognized"},
		"one too many":      {sender, ours, "Reason: Local Limit Exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, scp.Options{Limits: scp.Limits{Associations: 1}})
			p := r.dial(t)
			p.open(echo())
			to := dcmtk.Peer{Address: r.address, Calling: c.calling, Called: c.called}
			if output, err := dcmtk.EchoSCU(t.Context(), to); err == nil || !strings.Contains(output, c.want) {
				t.Errorf("%v: %s", err, output)
			}
			p.release()
		})
	}
}

func TestStore(t *testing.T) {
	dcmtk.Need(t, "storescu", "dcmsend", "dcmdump")
	for name, send := range map[string]func(context.Context, dcmtk.Peer, []string, ...string) (string, error){
		"storescu": dcmtk.StoreSCU, "dcmsend": dcmtk.DCMSend,
	} {
		t.Run(name, func(t *testing.T) {
			files := images(t, 5, 600<<10)
			steps := make(chan document.Step, len(files))
			r := start(t, scp.Options{
				Trace: func(s document.Step) { steps <- s },
				Senders: []scp.Sender{{
					AETitle: sender, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
					Department: "radiology", Issuer: "RIS",
				}},
			})
			if output, err := send(t.Context(), r.peer(), files); err != nil {
				t.Fatal(err, output, r.log)
			}
			r.stop()
			r.same(t, files)
			for _, o := range r.spool.objects() {
				want := dicomwatch.Object{
					Calling: sender, Called: ours, Address: "127.0.0.1", Department: "radiology", Issuer: "RIS",
					SOPClassUID: ctStorage, InstanceUID: o.InstanceUID, TransferSyntaxUID: synth.ExplicitLittleEndian,
				}
				if o.Object != want {
					t.Errorf("%+v, want %+v", o.Object, want)
				}
				r.silent(t, o.InstanceUID)
			}
			close(steps)
			answered := 0
			for step := range steps {
				if step != document.StepAnswered {
					t.Errorf("step %q", step)
				}
				answered++
			}
			if s := r.Stats(); s.Stored != 5 || answered != 5 || len(s.Refused) != 0 {
				t.Errorf("%+v, %d answered", s, answered)
			}
			if r.spool.most > 128<<10 {
				t.Errorf("a write of %d bytes is longer than a PDU", r.spool.most)
			}
		})
	}
}

// What dcmtk reads in the file that we made is what we know of the object.
func TestTheFileMetaInformationIsOurs(t *testing.T) {
	dcmtk.Need(t, "storescu", "dcmdump")
	files := images(t, 1, 4<<10)
	r := start(t, scp.Options{})
	if _, err := dcmtk.StoreSCU(t.Context(), r.peer(), files); err != nil {
		t.Fatal(err)
	}
	r.stop()
	o := r.spool.objects()[0]
	kept := filepath.Join(t.TempDir(), "kept.dcm")
	if err := os.WriteFile(kept, o.file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for tag, want := range map[string]string{
		"0002,0002": ctStorage, "0002,0003": o.InstanceUID, "0002,0010": synth.ExplicitLittleEndian,
		"0002,0012": wire.ImplementationClassUID, "0002,0013": wire.ImplementationVersionName,
		"0002,0016": sender, "0002,0017": sender, "0002,0018": ours,
		"0008,0018": o.InstanceUID,
	} {
		if got := attribute(t, kept, tag); got != want {
			t.Errorf("(%s) is %q, want %q", tag, got, want)
		}
	}
}

// statuses counts the responses with a status that a program of dcmtk received, by what it prints with -d.
func statuses(output string, status scp.Status) (n int) {
	for line := range strings.Lines(output) {
		if strings.Contains(line, "DIMSE Status") && strings.Contains(line, ": "+strings.ToLower(status.String())) {
			n++
		}
	}
	return n
}

// Each error of the spool is told to the sender by its status, whenever it comes, and the association goes on.
func TestWhatTheSpoolRefuses(t *testing.T) {
	dcmtk.Need(t, "storescu")
	broken := errors.New("the disk is broken")
	for name, c := range map[string]struct {
		spool  *spool
		status scp.Status
	}{
		"no room to create": {&spool{createErr: document.ErrNoRoom}, scp.StatusNoRoom},
		"no room to write":  {&spool{writeErr: document.ErrNoRoom}, scp.StatusNoRoom},
		"no room to commit": {&spool{commitErr: document.ErrNoRoom}, scp.StatusNoRoom},
		"broken at create":  {&spool{createErr: broken}, scp.StatusFailed},
		"broken at write":   {&spool{writeErr: broken}, scp.StatusFailed},
		"broken at commit":  {&spool{commitErr: broken}, scp.StatusFailed},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, scp.Options{Spool: c.spool, Trace: func(document.Step) { t.Error("answered with success") }})
			output, _ := dcmtk.StoreSCU(t.Context(), r.peer(), images(t, 3, 300<<10), "-d", "--no-halt")
			r.stop()
			if got := statuses(output, c.status); got != 3 {
				t.Errorf("%d of 3 refused with %v:\n%s", got, c.status, output)
			}
			if s := r.Stats(); s.Refused[c.status] != 3 || s.Stored != 0 || s.Accepted != 1 || s.Ended[scp.EndReleased] != 1 {
				t.Errorf("%+v", s)
			}
			if log := r.log.String(); !strings.Contains(log, c.status.String()) || !strings.Contains(log, sender) {
				t.Errorf("the log does not say who was refused what:\n%s", log)
			}
		})
	}
}
