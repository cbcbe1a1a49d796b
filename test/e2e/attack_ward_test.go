package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/sealed"
	"github.com/medanchor/medanchor/ledger/wallet"
	"github.com/medanchor/medanchor/reading"
	"github.com/medanchor/medanchor/test/consortium"
	"github.com/medanchor/medanchor/test/hospital"
	"github.com/medanchor/medanchor/test/story"
	"github.com/medanchor/medanchor/vault/ipfs"
)

// ward is two hospitals on this machine that share a ledger and a swarm: a patient with papers at A, and doctors at B.
type ward struct {
	t     *testing.T
	n     *devnet.Network
	a, b  *site
	swarm []byte // the key

	patient, staff, supervisor *someone // at A
	doctor, colleague, guest   *someone // at B
	number                     string   // the patient's NHS number
	reference                  record.Reference
	of                         string // the flag that names the patient
}

// somePatient is an NHS number of the range for tests.
const somePatient = "9990000018"

// newWard opens both hospitals, for a patient with an NHS number. Their daemons run, and say all that they can in their logs.
func newWard(t *testing.T, n *devnet.Network, number string) *ward {
	t.Helper()
	w := &ward{t: t, n: n, swarm: ipfs.NewSwarmKey(), number: number}
	enrolled := w.enrolAll()
	for i, s := range []**site{&w.a, &w.b} {
		*s = newSiteOn(t, n, i, hospital.Options{SwarmKey: w.swarm})
		temporary := filepath.Join((*s).Dir, "tmp")
		if err := os.Mkdir(temporary, 0o700); err != nil {
			t.Fatal(err)
		}
		(*s).env = []string{"TMPDIR=" + temporary}
		(*s).Config.Log.Level = -4
		if err := (*s).WriteConfig(); err != nil {
			t.Fatal(err)
		}
		(*s).start()
	}
	if err := story.Announce(t.Context(), n, w.a.place(), w.b.place()); err != nil {
		t.Fatal(err)
	}
	enrolled()
	_, reference := w.staff.does("patient register --issuer NHS --id "+number+" --config "+w.a.ConfigPath, "",
		"--participant", w.patient.id.String())
	var err error
	if w.reference, err = record.ParseReference(reference); err != nil {
		t.Fatal(err)
	}
	w.of = " --patient " + reference
	w.staff.does("supervise add --participant "+w.supervisor.id.String()+w.of, "")
	return w
}

// enrolAll enrols the people, all at once, and gives a function that waits for it.
func (w *ward) enrolAll() (enrolled func()) {
	w.t.Helper()
	program, _ := hospital.Programs(w.t)
	here, there := w.n.Members[0], w.n.Members[1]
	var enrolments errgroup.Group
	for _, one := range []struct {
		at   *devnet.Member
		role record.Role
		to   **someone
	}{
		{here, record.PatientRole, &w.patient},
		{here, record.StaffRole, &w.staff},
		{here, record.DoctorRole, &w.supervisor},
		{there, record.DoctorRole, &w.doctor},
		{there, record.DoctorRole, &w.colleague},
		{there, record.DoctorRole, &w.guest},
	} {
		enrolments.Go(func() error {
			institution, err := consortium.Open(w.t.Context(), w.n, one.at)
			if err != nil {
				return err
			}
			defer institution.Close()
			p, err := institution.Enrol(w.t.Context(), one.role)
			if err != nil {
				return err
			}
			*one.to = &someone{t: w.t, program: program, identity: filepath.Join(one.at.Dir, "people", p.ID.String()), id: p.ID}
			return p.Close()
		})
	}
	return func() {
		w.t.Helper()
		if err := enrolments.Wait(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// in is the ward for a test inside the one that opened it. It may not start or stop the daemons.
func (w *ward) in(t *testing.T) *ward {
	inside := *w
	inside.t = t
	for _, s := range []**site{&inside.a, &inside.b} {
		one := **s
		one.t = t
		*s = &one
	}
	for _, p := range []**someone{
		&inside.patient, &inside.staff, &inside.supervisor, &inside.doctor, &inside.colleague, &inside.guest,
	} {
		one := **p
		one.t = t
		*p = &one
	}
	return &inside
}

// paper is a document of the patient's at A, which is a record of its own.
type paper struct {
	record.RecordName
	tag     record.Tag
	cid     record.CID
	content []byte
}

// files drops papers at A, and waits until they are on the ledger.
func (w *ward) files(contents ...[]byte) (papers []paper) {
	w.t.Helper()
	received := int(w.a.status().Items.Received)
	for i, c := range contents {
		w.a.dropFile(w.a.Documents, fmt.Sprintf("%s/paper-%d.txt", w.number, received+i), c)
	}
	w.a.awaitSettled(received + len(contents))
	w.a.awaitIndexed()
	records := w.a.records()
	for _, c := range contents {
		verdicts := w.a.verify(sha256.Sum256(c))
		if len(verdicts) != 1 || verdicts[0].Finding != control.FindingOK {
			w.t.Fatalf("a paper is %+v", verdicts)
		}
		v := verdicts[0]
		i := slices.IndexFunc(records, func(r control.Record) bool { return slices.Contains(r.Documents, v.Document) })
		if i < 0 {
			w.t.Fatalf("document %s is in no record", v.Document)
		}
		papers = append(papers, paper{
			record.RecordName{Patient: records[i].Patient, Record: records[i].Record}, v.Document, v.CID, c,
		})
	}
	return papers
}

// grants has a doctor ask for records, and the patient approve, until a time. It gives the grant.
func (w *ward) grants(to *someone, until time.Time, papers ...paper) record.ID {
	w.t.Helper()
	ask := "access request --purpose second-opinion --until " + until.UTC().Format(time.RFC3339) + w.of
	for _, p := range papers {
		ask += " --record " + p.Record.String()
	}
	request, _ := to.does(ask, "")
	w.patient.does("access approve --request "+request+" --participant "+to.id.String()+w.of, "")
	id, err := record.ParseID(request)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// tomorrow is the end of a grant that lasts longer than the test.
func tomorrow() time.Time { return time.Now().Add(24 * time.Hour) }

// wallet opens somebody's identity.
func (s *someone) wallet() *wallet.Wallet {
	s.t.Helper()
	w, err := wallet.Open(s.identity)
	if err != nil {
		s.t.Fatal(err)
	}
	return w
}

// connect connects somebody to their own peer.
func (s *someone) connect() *ledger.Client { return connectAs(s.t, s.wallet().LedgerOptions()) }

// appliance connects to the hospital's peer under the identity of its appliance.
func (s *site) appliance() *ledger.Client { return connectAs(s.t, s.ledgerOptions()) }

// ledgerOptions connect as the hospital's appliance does.
func (s *site) ledgerOptions() ledger.Options {
	c := s.Config.Ledger
	return ledger.Options{
		Peer: c.Peer, TLSCAFile: c.TLSCAFile, TLSServerName: c.TLSServerName, MSPID: c.MSPID, CertificateFile: c.CertificateFile,
		KeyFile: c.KeyFile, Channel: c.Channel, Chaincode: c.Chaincode,
	}
}

func connectAs(t *testing.T, o ledger.Options) *ledger.Client {
	t.Helper()
	client, err := ledger.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// applianceID is the participant that the hospital's appliance is.
func (s *site) applianceID() record.ParticipantID {
	s.t.Helper()
	id, err := ledger.ParticipantOf(s.Config.Ledger.CertificateFile)
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// dial logs somebody in at a hospital's reading service.
func (s *someone) dial(at *site) (*reading.Client, error) {
	s.t.Helper()
	w := s.wallet()
	return reading.Dial(s.t.Context(), reading.DialOptions{
		URL: at.status().Reading.URL, Institution: at.applianceID().Institution(), Channel: w.Channel, ID: s.id, Reader: w,
	})
}

// login is dial, which must succeed.
func (s *someone) login(at *site) *reading.Client {
	s.t.Helper()
	client, err := s.dial(at)
	if err != nil {
		s.t.Fatal(err)
	}
	return client
}

// release is what a custodian released to somebody, as it stands on the ledger.
type release struct {
	record.ListedRelease
	sealed record.SealedRelease
}

// releases takes everything that was released to a reader from the peer that a client asks.
func (w *ward) releases(ask *ledger.Client, reader record.ParticipantID) (all []release) {
	w.t.Helper()
	page, err := ask.Releases(w.t.Context(), w.reference, reader, record.MaxPageSize, "")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, listed := range page.Releases {
		found, err := ask.SealedRelease(w.t.Context(), listed.Patient, listed.Recipient, listed.ID)
		if err != nil {
			continue // ended just now, or on its way
		}
		all = append(all, release{listed, found})
	}
	return all
}

// standing is releases, of which there must be some.
func (w *ward) standing(ask *ledger.Client, reader record.ParticipantID) []release {
	w.t.Helper()
	all := w.releases(ask, reader)
	if len(all) == 0 {
		w.t.Fatalf("nothing is released to %s", reader)
	}
	return all
}

// released waits until a reader has the keys of papers, and gives them, opened.
func (w *ward) released(to *someone, papers ...paper) (keys []reading.ReleasedKey) {
	w.t.Helper()
	ask, own := to.connect(), to.wallet()
	poll(w.t, "keys are released", func() bool {
		keys = nil
		for _, r := range w.releases(ask, to.id) {
			opened, err := sealed.OpenRelease(sealed.ContextOf(own.Channel, r.ListedRelease), own.EncryptionKey(), r.sealed)
			if err != nil {
				continue // to the key before
			}
			keys = append(keys, readingKeys(w.t, r.ListedRelease, opened)...)
		}
		return !slices.ContainsFunc(papers, func(p paper) bool { return len(keysOf(keys, p)) == 0 })
	}, func() string { return fmt.Sprintf("%d keys of %d papers", len(keys), len(papers)) })
	return keys
}

// readingKeys are opened keys as a reader hands them to their appliance.
func readingKeys(t *testing.T, from record.ListedRelease, opened []sealed.DocumentKey) (keys []reading.ReleasedKey) {
	t.Helper()
	for _, k := range opened {
		key := reading.ReleasedKey{
			Tag: k.Tag, Institution: from.Institution.Institution(), CID: k.CID, FileKey: bytes.Clone(k.FileKey[:]),
		}
		if err := json.Unmarshal(k.Metadata, &key.Description); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// keysOf are those of one paper.
func keysOf(keys []reading.ReleasedKey, p paper) (own []reading.ReleasedKey) {
	for _, k := range keys {
		if k.Tag == p.tag {
			own = append(own, k)
		}
	}
	return own
}

// readWithin bounds each reading: what cannot be had is told soon.
const readWithin = 30 * time.Second

// open opens a paper's record, with keys where it is another hospital's.
func (w *ward) open(reader *reading.Client, p paper, keys ...reading.ReleasedKey) (reading.Opened, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), readWithin)
	defer cancel()
	return reader.Open(ctx, reading.OpenRequest{RecordName: p.RecordName, Keys: keys})
}

// read reads a paper whose record is open. What it gives, also before an error, is the paper's, from its beginning on: other
// bytes fail the test.
func (w *ward) read(reader *reading.Client, p paper) (got []byte, err error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), readWithin)
	defer cancel()
	content, err := reader.Document(ctx, p.RecordName, p.tag, 0)
	if err == nil {
		defer content.Close()
		got, err = io.ReadAll(content)
	}
	if !bytes.HasPrefix(p.content, got) || err == nil && len(got) != len(p.content) {
		w.t.Errorf("%d bytes were served that are not the paper's %d: %v", len(got), len(p.content), err)
	}
	if ctx.Err() != nil {
		w.t.Errorf("a reading has not ended in %s", readWithin)
	}
	return got, err
}

// gets reads a paper's record by the program, which must end with a code; and what it read must be the paper.
func (w *ward) gets(reader *someone, at *site, code int, p paper) (said string) {
	w.t.Helper()
	folder := filepath.Join(w.t.TempDir(), "read")
	said = reader.runs(code, "get --wait 60s --appliance "+at.status().Reading.URL+w.of+" --record "+p.Record.String()+
		" -o "+folder, "")
	var files []treeFile
	if _, err := os.Stat(folder); err == nil {
		files = tree(w.t, folder)
	}
	if (len(files) == 1) != (code == exitOK) {
		w.t.Errorf("%d files were read with exit code %d: %s", len(files), code, said)
	}
	for _, f := range files {
		content, err := os.ReadFile(f.path)
		if err != nil || !bytes.Equal(content, p.content) {
			w.t.Errorf("what was read is not the paper: %d bytes, %v", len(content), err)
		}
	}
	return said
}

// announce registers addresses as those of a hospital's IPFS node, and waits until the other hospital knows.
func (w *ward) announce(at, known *site, addresses ...string) {
	w.t.Helper()
	institution, err := consortium.Open(w.t.Context(), w.n, at.member)
	if err != nil {
		w.t.Fatal(err)
	}
	defer institution.Close()
	acted, err := institution.Do(w.t.Context(), record.UpdateInstitutionFunction, record.InstitutionUpdate{
		Institution: record.Institution{Name: at.member.Title, Addresses: addresses},
	}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	known.await("the addresses are known", func(c control.Status) bool { return c.Ledger.Indexed > acted.Block })
}

// audit gives the patient's audit, as the program lists it to them.
func (w *ward) audit() (lines []record.AuditLine) {
	w.t.Helper()
	text := w.patient.runs(exitOK, "audit list --json"+w.of, "")
	if err := json.Unmarshal([]byte(text), &lines); err != nil {
		w.t.Fatalf("audit list prints %q: %v", text, err)
	}
	return lines
}

// level waits until both hospitals' peers have what either has now: what one has committed is then known at the other.
func (w *ward) level() {
	w.t.Helper()
	most := max(w.a.height(), w.b.height())
	poll(w.t, "both peers have all blocks", func() bool { return min(w.a.height(), w.b.height()) >= most },
		func() string { return fmt.Sprint(most) })
}

// audited checks that the patient's audit has a number of entries like one: of the same action, outcome, actor, subject and
// record, where these are named.
func (w *ward) audited(want int, like record.AuditEntry) {
	w.t.Helper()
	w.level()
	got := 0
	for _, l := range w.audit() {
		same := l.Action == like.Action && l.Denied == like.Denied &&
			(like.Actor.IsZero() || l.Actor == like.Actor) && (like.Subject.IsZero() || l.Subject == like.Subject) &&
			(like.Record.IsZero() || l.Record == like.Record) && (like.About.IsZero() || l.About == like.About)
		if same {
			got++
		}
	}
	if got != want {
		w.t.Errorf("the patient sees %d of %s by %s to %s (denied: %v), want %d", got, like.Action, like.Actor, like.Subject,
			like.Denied, want)
	}
}

// openNode opens an IPFS node in this process that has a swarm key, on the repository in a folder. It is closed by the function
// that it gives, at the latest with the test.
func openNode(t *testing.T, dir string, swarmKey []byte) (node *ipfs.Node, closed func()) {
	t.Helper()
	key := filepath.Join(dir, "swarm.key")
	if err := os.WriteFile(key, swarmKey, 0o600); err != nil {
		t.Fatal(err)
	}
	node, err := ipfs.Open(t.Context(), ipfs.Options{
		Repo: filepath.Join(dir, "ipfs"), SwarmKeyFile: key, Patience: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	closed = sync.OnceFunc(func() {
		if err := node.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(closed)
	return node, closed
}

// source is the hospital's node, as it registered.
func (s *site) source() ipfs.Source {
	return ipfs.Source{Name: s.member.Name, Addresses: s.status().Reading.Swarm}
}
