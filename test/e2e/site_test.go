package e2e

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/test/hospital"
	"github.com/medanchor/medanchor/test/synth"
)

func TestMain(m *testing.M) { os.Exit(devnettest.Main(m)) }

const (
	pollEvery   = 20 * time.Millisecond
	awaitAtMost = 5 * time.Minute // what takes as long hangs
)

// site is a hospital of the network, with a real daemon.
type site struct {
	*hospital.Hospital
	t         *testing.T
	medanchor string
	env       []string // of the daemon, beside the test's own
	member    *devnet.Member
	other     *ledger.Client // to the other hospital's peer, as that hospital
	process   *hospital.Process
	dropped   int // how many times files were dropped
}

// newSite sets up a hospital of a network member. Its daemon does not run yet; it ends with the test.
func newSite(t *testing.T, n *devnet.Network, index int) *site {
	t.Helper()
	return newSiteOn(t, n, index, hospital.Options{})
}

// newSiteOn is newSite with options, but for the folder and the inspector.
func newSiteOn(t *testing.T, n *devnet.Network, index int, o hospital.Options) *site {
	t.Helper()
	medanchor, inspector := hospital.Programs(t)
	member, other := n.Members[index], n.Members[(index+1)%len(n.Members)]
	o.Dir, o.Inspector = shortDir(t), inspector
	h, err := hospital.New(t.Context(), n, member, o)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Hospital: h, t: t, medanchor: medanchor, member: member, other: connect(t, n, other)}
	t.Cleanup(func() {
		if s.process != nil {
			s.kill()
		}
		if t.Failed() {
			t.Logf("%s: the end of the daemon's log:\n%s", member.Name, tail(h.Log()))
		}
	})
	return s
}

// shortDir is a folder of the test.
func shortDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "h")
}

// logged says whether the daemon's log has a text.
func (s *site) logged(text string) bool {
	s.t.Helper()
	return bytes.Contains(s.log(), []byte(text))
}

// log is all that the daemon logged.
func (s *site) log() []byte {
	s.t.Helper()
	log, err := os.ReadFile(s.Log())
	if err != nil {
		s.t.Fatal(err)
	}
	return log
}

func tail(path string) []byte {
	const most = 3000
	text, _ := os.ReadFile(path) // for a person to read: nothing is judged by it
	return text[max(0, len(text)-most):]
}

// connect asks a member's peer as that member.
func connect(t *testing.T, n *devnet.Network, m *devnet.Member) *ledger.Client {
	t.Helper()
	client, err := hospital.Connect(t.Context(), n, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

// start starts the daemon and waits until it answers.
func (s *site) start() {
	s.t.Helper()
	p, err := s.Start(s.medanchor, []string{"run", "--config", s.ConfigPath}, s.env)
	if err != nil {
		s.t.Fatal(err)
	}
	s.process = p
	if err := s.WaitReady(s.t.Context(), p); err != nil {
		s.t.Fatal(err)
	}
}

// stop ends the daemon in order.
func (s *site) stop() {
	s.t.Helper()
	if err := s.process.Stop(); err != nil {
		s.t.Fatalf("stop the daemon: %v", err)
	}
	s.process = nil
}

// kill ends the daemon's process group with SIGKILL.
func (s *site) kill() {
	s.t.Helper()
	if err := s.process.Kill(); err != nil {
		s.t.Errorf("kill the daemon: %v", err)
	}
	s.process = nil
}

func (s *site) status() control.Status {
	s.t.Helper()
	status, err := s.Client().Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return status
}

// await polls the daemon until its status is as wanted.
func (s *site) await(what string, wanted func(control.Status) bool) control.Status {
	s.t.Helper()
	var last control.Status
	poll(s.t, what, func() bool {
		select {
		case <-s.process.Exited():
			s.t.Fatalf("wait until %s: the daemon ended: %v", what, s.process.Err())
		default:
		}
		last = s.status()
		return wanted(last)
	}, func() string {
		return fmt.Sprintf("%+v, ledger away: %q, held: %v", last.Items, last.Ledger.Away, last.Held)
	})
	return last
}

// awaitSettled waits until this many files were received, and none waits for the ledger.
func (s *site) awaitSettled(files int) control.Status {
	s.t.Helper()
	return s.await(fmt.Sprintf("%d files are settled", files), func(c control.Status) bool {
		return c.Items.Received >= int64(files) && c.Items.Waiting == 0
	})
}

// poll waits until done is true.
func poll(t *testing.T, what string, done func() bool, last func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), awaitAtMost)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("wait until %s: %v: %s", what, ctx.Err(), last())
		case <-tick.C:
		}
	}
}

// dropTree copies a tree beside a drop folder, and renames what is in it into place.
func (s *site) dropTree(tree fs.FS, into string) {
	s.t.Helper()
	s.dropped++
	staged := filepath.Join(s.Dir, "drop", fmt.Sprintf("staged-%d", s.dropped))
	if err := os.CopyFS(staged, tree); err != nil {
		s.t.Fatal(err)
	}
	entries, err := os.ReadDir(staged)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(staged, e.Name()), filepath.Join(into, e.Name())); err != nil {
			s.t.Fatal(err)
		}
	}
}

// dropManifest drops a generated hospital's files.
func (s *site) dropManifest(dir, name string) {
	s.t.Helper()
	s.dropTree(os.DirFS(filepath.Join(dir, name, "dicom")), s.DICOM)
	s.dropTree(os.DirFS(filepath.Join(dir, name, "documents")), s.Documents)
}

// dropFile drops one file at a path inside a drop folder, whose parent is made.
func (s *site) dropFile(folder, rel string, content []byte) {
	s.t.Helper()
	s.dropped++
	target, staged := filepath.Join(folder, rel), filepath.Join(s.Dir, fmt.Sprintf("staged-%d", s.dropped))
	for _, err := range []error{
		os.MkdirAll(filepath.Dir(target), 0o700), os.WriteFile(staged, content, 0o600), os.Rename(staged, target),
	} {
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// chain is what the other hospital's peer has from this hospital's member.
type chain struct {
	documents map[record.Tag]record.Document
	versions  map[record.Tag]record.AnchoredVersion // by document
	txs       map[record.Tag]record.TxID            // by document
}

// height is the other peer's.
func (s *site) height() uint64 {
	s.t.Helper()
	height, err := s.other.Height(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return height
}

// chainSince reads the blocks from the other hospital's peer, from a number on and as far as this hospital's own peer
// knows them.
func (s *site) chainSince(from uint64) chain {
	s.t.Helper()
	c := chain{map[record.Tag]record.Document{}, map[record.Tag]record.AnchoredVersion{}, map[record.Tag]record.TxID{}}
	anchorings := make(map[record.AnchoringID]record.Anchoring)
	to := max(s.status().Ledger.Height, from)
	if to == from {
		return c
	}
	for block, err := range s.other.Blocks(s.t.Context(), from) {
		if err != nil {
			s.t.Fatal(err)
		}
		nouns, err := hospital.NounsOf(block)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, a := range nouns.Anchorings {
			anchorings[a.ID] = a
		}
		for _, v := range nouns.Versions {
			for _, d := range v.Documents {
				c.versions[d.Tag] = v
			}
		}
		for _, d := range nouns.Documents {
			if a := anchorings[d.Anchoring]; a.MSPID == s.member.MSPID {
				c.documents[d.Tag], c.txs[d.Tag] = d.Document, a.TxID
			}
		}
		if block.Number+1 >= to {
			break
		}
	}
	return c
}

// verify asks the daemon about content.
func (s *site) verify(d document.Digest) []control.Verdict {
	s.t.Helper()
	verdicts, err := s.Client().Verify(s.t.Context(), control.VerifyRequest{Content: &control.Content{Digest: d}})
	if err != nil {
		s.t.Fatal(err)
	}
	return verdicts
}

// stored opens what the hospital has stored by now, to be read back without the daemon. It is closed with the test.
func (s *site) stored() *hospital.Stored {
	s.t.Helper()
	stored, err := s.OpenStored()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { stored.Close() })
	return stored
}

// get reads an item back in plaintext.
func (s *site) get(stored *hospital.Stored, id document.ItemID) []byte {
	s.t.Helper()
	content, err := stored.Get(id)
	if err != nil {
		s.t.Fatalf("get %s: %v", id, err)
	}
	return content
}

// records lists the hospital's own records.
func (s *site) records() []control.Record {
	s.t.Helper()
	records, err := s.Client().Records(s.t.Context(), false)
	if err != nil {
		s.t.Fatal(err)
	}
	return records
}

// reconcile compares the daemon's counts with the generator's, and with the ledger's.
func (s *site) reconcile(want synth.Counts, items control.Items, anchored int) {
	s.t.Helper()
	same := func(what string, got, want int64) {
		s.t.Helper()
		if got != want {
			s.t.Errorf("%s: %d %s, want %d", s.member.Name, got, what, want)
		}
	}
	same("received", items.Received, int64(want.Files))
	same("bytes", items.Bytes, want.Bytes)
	same("anchored by the other hospital's peer", int64(anchored), int64(want.Anchored))
	same("anchored", items.Anchored, int64(want.Anchored))
	same("duplicates", items.Duplicates, int64(want.Duplicates))
	same("variants", items.Variants, int64(want.Variants))
	same("waiting", items.Waiting, 0)
	quarantined := int64(0)
	for reason, n := range items.Quarantined {
		same("quarantined as "+string(reason), n, int64(want.Quarantined[reason]))
		quarantined += n
	}
	same("in all", items.Anchored+items.Duplicates+items.Waiting+quarantined, items.Received)
}

// checkFiles compares each generated file with what became of it: the ledger's word by way of the other hospital's peer,
// and its bytes as they are read back.
func (s *site) checkFiles(m synth.Manifest, dir, name string, c chain) {
	s.t.Helper()
	stored, patients := s.stored(), make(map[string]record.Reference)
	firsts := make(map[string]int)                                   // documents that are no variant, by the file whose variants they and it are
	digests, copies := make(map[string]string), make(map[string]int) // of files, by path; of deliveries, by the first file
	owners := make(map[string]map[string]bool)                       // of content: files of the same content for several people are several documents
	for _, f := range m.Files {
		digests[f.Path] = f.SHA256
		if f.Hospital == name {
			copies[cmp.Or(f.Original, f.Path)]++
		}
		if f.Hospital == name && f.Outcome == synth.Anchored {
			if owners[f.SHA256] == nil {
				owners[f.SHA256] = make(map[string]bool)
			}
			owners[f.SHA256][f.NHS] = true
		}
	}
	for _, f := range m.Files {
		if f.Hospital != name {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
		if err != nil {
			s.t.Fatal(err)
		}
		verdicts := s.verify(sha256.Sum256(content[f.Offset:]))
		if want := max(1, len(owners[f.SHA256])); len(verdicts) != want {
			s.t.Errorf("%s: %d verdicts, want %d", f.Path, len(verdicts), want)
			continue
		}
		for _, v := range verdicts {
			s.checkVerdict(f, v, c)
			if f.Outcome == synth.Anchored {
				firsts[cmp.Or(f.VariantOf, f.Path)] += first(c.documents[v.Document])
			}
			back := s.get(stored, v.Item)
			offset := int64(0)
			if copies[cmp.Or(f.Original, f.Path)] > 1 {
				offset = f.Offset // the first of its kind may have come in another file meta group
			}
			if !bytes.HasSuffix(back, content[offset:]) || (offset == 0 && len(back) != len(content)) {
				s.t.Errorf("%s (%s) does not read back byte-identical", f.Path, f.Outcome)
			}
			if len(verdicts) > 1 || v.Patient.IsZero() {
				continue
			}
			if known, ok := patients[f.NHS]; ok && known != v.Patient {
				s.t.Errorf("%s is filed under two patients", f.Path)
			}
			patients[f.NHS] = v.Patient
		}
	}
	for original, n := range firsts {
		if n != max(1, len(owners[digests[original]])) { // whichever came first
			s.t.Errorf("of %s and its variants %d are no variant", original, n)
		}
	}
	distinct := make(map[record.Reference]bool)
	for _, p := range patients {
		distinct[p] = true
	}
	if len(distinct) != len(patients) {
		s.t.Errorf("%d people share %d patients", len(patients), len(distinct))
	}
}

// first is 1 for what is no variant.
func first(d record.Document) int {
	if d.VariantOf.IsZero() {
		return 1
	}
	return 0
}

func (s *site) checkVerdict(f synth.File, v control.Verdict, c chain) {
	s.t.Helper()
	if f.Outcome == synth.Quarantined {
		if v.Finding != control.FindingQuarantined || v.Explanation != f.Reason.Explain() {
			s.t.Errorf("%s: %s (%s), want quarantined: %s", f.Path, v.Finding, v.Explanation, f.Reason.Explain())
		}
		return
	}
	if v.Finding != control.FindingOK || v.Member != s.member.MSPID || v.TxID == "" || v.Time.IsZero() {
		s.t.Errorf("%s: %+v", f.Path, v)
	}
	d, ok := c.documents[v.Document]
	if !ok || d.CID != v.CID || c.txs[v.Document].String() != v.TxID || c.versions[v.Document].Patient != v.Patient {
		s.t.Errorf("%s: the other hospital's peer has %+v, the daemon says %+v", f.Path, d, v)
	}
}

// filesIn counts the files below a folder.
func filesIn(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil && !e.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// generate makes the small set of files for two hospitals.
func generate(t *testing.T, seed uint64) (synth.Manifest, string) {
	t.Helper()
	dir := t.TempDir()
	m, err := synth.Generate(synth.Small(dir, seed))
	if err != nil {
		t.Fatal(err)
	}
	return m, dir
}
