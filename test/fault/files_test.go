package fault

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/test/hospital"
	"github.com/medanchor/medanchor/test/synth"
)

// site is the hospital's name in the manifests.
const site = "north"

// file is one file that is, or will be, dropped.
type file struct {
	synth.File
	source string // where it waits
	door   string // the drop folder
	rel    string // where it will be, inside the drop folder
	// document names what it is a delivery of: files with the same one are one document, or one content in quarantine.
	document string
	digest   document.Digest
	original *file // of a duplicate or a variant: the other file
	// attempts is how often it was sent by C-STORE, answers how often that was answered with success.
	attempts, answers int
}

// target is where the file is dropped, done where it ends.
func (f *file) target() string { return filepath.Join(f.door, f.rel) }
func (f *file) done() string   { return filepath.Join(f.door, "done", f.rel) }

// supply makes files, wave after wave, and drops them.
type supply struct {
	seed     uint64
	dir      string
	hospital *hospital.Hospital
	random   *rand.Rand
	waves    int
	waiting  []*file
	dropped  []*file
	sent     []*file // by C-STORE
	isIn     map[*file]bool
}

func newSupply(h *hospital.Hospital, seed uint64) *supply {
	return &supply{
		seed: seed, dir: filepath.Join(h.Dir, "supply"), hospital: h,
		random: rand.New(rand.NewPCG(seed, 0)), isIn: make(map[*file]bool),
	}
}

// wave makes 56 files of all kinds. Each third wave has a file of 10 MB, which is spilled in several writes.
func (s *supply) wave(t *testing.T) {
	t.Helper()
	o := synth.Options{
		Seed: s.seed*1000 + uint64(s.waves), Dir: filepath.Join(s.dir, fmt.Sprintf("wave-%d", s.waves)),
		Hospitals: []string{site}, People: 2, Shared: 1,
		Shrink: 8, CT: 20, MR: 6, Frames: 20, Letters: 8, Largest: 3 << 20,
	}
	if s.waves%3 == 0 {
		o.Frames = 2600
	}
	manifest, err := synth.Generate(o)
	if err != nil {
		t.Fatal(err)
	}
	byPath := make(map[string]*file)
	first := len(s.waiting)
	for _, f := range manifest.Files {
		made, err := s.file(o.Dir, f)
		if err != nil {
			t.Fatal(err)
		}
		byPath[f.Path] = made
		s.waiting = append(s.waiting, made)
	}
	for _, f := range byPath {
		f.original = byPath[f.Original+f.VariantOf] // one of them is empty
	}
	fresh := s.waiting[first:]
	s.random.Shuffle(len(fresh), func(i, j int) { fresh[i], fresh[j] = fresh[j], fresh[i] })
	s.waves++
}

func (s *supply) file(dir string, f synth.File) (*file, error) {
	made := &file{File: f, source: filepath.Join(dir, filepath.FromSlash(f.Path))}
	content, err := os.ReadFile(made.source)
	if err != nil {
		return nil, err
	}
	made.digest = sha256.Sum256(content[f.Offset:])
	rel := strings.TrimPrefix(f.Path, site+"/")
	// A documents folder begins with the NHS number, which is another in each wave.
	if within, ok := strings.CutPrefix(rel, "documents/"); ok {
		made.door, made.rel = s.hospital.Documents, within
	} else {
		made.door = s.hospital.DICOM
		made.rel = path.Join(fmt.Sprintf("wave-%d", s.waves), strings.TrimPrefix(rel, "dicom/"))
	}
	made.document = fmt.Sprintf("%s %x", f.NHS, made.digest)
	if f.Outcome == synth.Quarantined {
		made.document = "quarantine " + f.SHA256
	}
	return made, nil
}

// dropSome drops n files with the outcome.
func (s *supply) dropSome(t *testing.T, outcome synth.Outcome, n int) {
	t.Helper()
	for range n {
		i := s.find(outcome)
		if i < 0 {
			s.wave(t)
			i = s.find(outcome)
		}
		s.drop(t, s.waiting[i])
	}
}

// dropNewStudy drops the first instance of a study: one that was called stable before is not called so again.
func (s *supply) dropNewStudy(t *testing.T) {
	t.Helper()
	known := len(s.waiting)
	s.wave(t)
	fresh := s.waiting[known:]
	s.drop(t, fresh[slices.IndexFunc(fresh, sendable)])
}

// find gives the first that waits with the outcome. What repeats a file that was sent, and not answered, may be the first to arrive.
func (s *supply) find(outcome synth.Outcome) int {
	return slices.IndexFunc(s.waiting, func(f *file) bool {
		return f.Outcome == outcome && (f.original == nil || f.original.answers > 0 || !slices.Contains(s.sent, f.original))
	})
}

// dropUpTo drops files of all kinds until n are dropped, or one more.
func (s *supply) dropUpTo(t *testing.T, n int) {
	t.Helper()
	for len(s.dropped) < n {
		if len(s.waiting) == 0 {
			s.wave(t)
		}
		s.drop(t, s.waiting[0])
	}
}

// drop renames the file into its drop folder, after the one that it repeats or is a variant of.
func (s *supply) drop(t *testing.T, f *file) {
	t.Helper()
	if s.isIn[f] {
		return
	}
	if f.original != nil {
		s.drop(t, f.original)
	}
	if err := os.MkdirAll(filepath.Dir(f.target()), 0o700); err != nil {
		t.Fatal(err)
	}
	if exists(t, f.target()) {
		t.Fatalf("%s is there already: choose another seed", f.rel)
	}
	if err := os.Rename(f.source, f.target()); err != nil {
		t.Fatal(err)
	}
	s.isIn[f] = true
	s.dropped = append(s.dropped, f)
	s.waiting = slices.DeleteFunc(s.waiting, func(w *file) bool { return w == f })
}
