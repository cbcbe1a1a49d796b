package release_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/medanchor/medanchor/chaincode/record"
)

// TestWhateverHappensTheReleasesAreTheRights has anything happen, in any order, and much of it while the ledger is away, the
// index is behind or the process dies. Once all is well again, released is what the contract allows of what North holds, no
// more and no less; and then nothing more is done.
func TestWhateverHappensTheReleasesAreTheRights(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 1, 60).Draw(rt, "steps")
		var problem string
		synctest.Test(t, func(*testing.T) { problem = play(steps) })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

// step is one thing that happens; what the numbers mean is its own.
type step struct {
	What    string
	A, B, C int
}

func drawStep(t *rapid.T) step {
	small := rapid.IntRange(0, 5)
	what := rapid.SampledFrom(slices.Sorted(maps.Keys(happenings()))).Draw(t, "what")
	return step{what, small.Draw(t, "a"), small.Draw(t, "b"), small.Draw(t, "c")}
}

// story is a world in which steps happen.
type story struct {
	*world
	patients  []record.Reference
	doctors   []record.ParticipantID
	documents int
	linked    bool
	trouble   bool // there was some after which something may be released twice
}

// play has the steps happen, and says what is wrong afterwards.
func play(steps []step) (problem string) {
	w := newWorld()
	s := &story{
		world:    w,
		patients: []record.Reference{w.patient(north, 1), w.patient(north, 2), w.patient(south, 1)},
		doctors:  []record.ParticipantID{w.doctor(south, 1), w.doctor(east, 1), w.doctor(north, 1)},
	}
	w.start()
	for _, step := range steps {
		happenings()[step.What](s, step)
		w.settle()
	}
	w.lose = nil
	w.catchUp()
	w.pass(2 * time.Minute)
	problem = s.compare()
	w.pass(time.Hour) // what was granted for an hour is over
	problem = cmp.Or(problem, s.compare())
	w.calls = nil
	w.releaser.Kick()
	w.pass(10 * time.Minute)
	if err := w.stop(); err != nil {
		return fmt.Sprintf("Run: %v", err)
	}
	w.start()
	w.settle()
	if err := w.stop(); err != nil {
		return fmt.Sprintf("Run: %v", err)
	}
	switch {
	case problem != "":
		return problem
	case len(w.calls) > 0:
		return fmt.Sprintf("all is settled, and North does %v", w.calls)
	case w.index.nested:
		return "the index was read from within a read of it"
	}
	return ""
}

// compare holds what is released against what the contract allows.
func (s *story) compare() string {
	released := s.released()
	for g := range s.allowed() {
		if n := released[g]; n == 0 || n > 1 && !s.trouble {
			return fmt.Sprintf("%s is released %d times", g, n)
		}
		delete(released, g)
	}
	for g := range released {
		return fmt.Sprintf("%s is released, and not allowed", g)
	}
	if n := s.releaser.Waiting(); n != 0 {
		return fmt.Sprintf("%d patients wait", n)
	}
	return ""
}

// allowed is what the contract allows readers elsewhere of what North holds.
func (s *story) allowed() map[given]bool {
	allowed := make(map[given]bool)
	start, end := record.VersionRange()
	for key, value := range s.state {
		if key < start || key >= end {
			continue
		}
		v := must(record.DecodeVersion(key, value))
		for _, doctor := range s.doctors {
			access := s.access(doctor, record.RecordName{Patient: v.Patient, Record: v.Record}, v.Kind)
			if !access.Allowed || doctor.Institution() == prefix(north) {
				continue
			}
			for _, d := range v.Documents {
				if _, held := s.held[d.Tag]; held {
					allowed[given{v.Patient, doctor, v.Record, d.Tag}] = true
				}
			}
		}
	}
	return allowed
}

func happenings() map[string]func(*story, step) {
	return map[string]func(*story, step){
		"grant":          (*story).granted,
		"grant an hour":  (*story).granted,
		"revoke":         func(s *story, n step) { s.revoke(s.patients[n.A%3], s.doctors[n.B%3]) },
		"anchor":         (*story).anchored,
		"anchor many":    (*story).anchored,
		"rotate":         (*story).rotated,
		"suspend":        func(s *story, n step) { s.setStatus(n.A, record.Suspended) },
		"reinstate":      func(s *story, n step) { s.setStatus(n.A, record.Active) },
		"withdraw":       func(s *story, n step) { s.withdrawn(n, time.Now()) },
		"refile":         func(s *story, n step) { s.withdrawn(n, time.Time{}) },
		"link or unlink": (*story).linkedOrNot,
		"crash":          (*story).crashed,
		"falls behind":   func(s *story, _ step) { s.trouble = true; s.fallsBehind("release") },
		"catches up":     func(s *story, _ step) { s.catchUp() },
		"away": func(s *story, n step) {
			s.fail = func(_ string, who record.ParticipantID) error {
				if n.A%2 == 0 || who == s.doctors[n.B%3] {
					return errInjected
				}
				return nil
			}
		},
		"back": func(s *story, _ step) { s.fail = nil },
		"a peer is behind": func(s *story, n step) {
			left := n.A
			s.fail = func(op string, _ record.ParticipantID) error {
				if left--; op == "release" && left >= 0 {
					return record.Errorf(record.NotFound, "no such version")
				}
				return nil
			}
		},
		"answers are lost": func(s *story, n step) {
			left := n.A
			s.lose = func(string) error {
				if left--; left >= 0 {
					return errInjected
				}
				return nil
			}
			s.trouble = true
		},
		"a minute passes": func(s *story, _ step) { s.pass(time.Minute) },
		"time passes":     func(s *story, n step) { s.pass(time.Duration(1+n.A) * 11 * time.Minute) },
	}
}

// granted gives a doctor all, a kind or a record of a patient, for good or for an hour.
func (s *story) granted(n step) {
	scope := []record.Scope{
		all(), {Kinds: []record.Kind{record.KindLetter}}, {Records: []record.Tag{{0xee, byte(n.C % 2)}}},
	}[n.C%3]
	changes := []func(*record.Grant){basis([]record.Basis{record.BasisGrant, record.BasisReferral}[n.C/3])}
	if n.What != "grant" {
		changes = append(changes, until(time.Hour))
	}
	s.grant(s.patients[n.A%3], s.doctors[n.B%3], scope, changes...)
}

// anchored adds a document, or enough for two releases, to a record, here or elsewhere.
func (s *story) anchored(n step) {
	kind := []record.Kind{record.KindLetter, record.KindImaging}[n.C%2]
	var documents []int
	for range map[string]int{"anchor": 1, "anchor many": record.MaxReleaseDocuments}[n.What] {
		s.documents++
		documents = append(documents, s.documents)
	}
	v := version(s.patients[n.A%3], byte(n.B), kind, documents...)
	if n.C == 5 {
		s.anchorElsewhere(v)
		return
	}
	s.anchor(v)
}

func (s *story) rotated(n step) {
	s.change(s.doctors[n.A%3], func(p *record.Participant) { p.EncryptionKey = append(slices.Clone(p.EncryptionKey), '+') })
}

func (s *story) setStatus(n int, status record.Status) {
	s.change(s.doctors[n%3], func(p *record.Participant) { p.Status = status })
}

func (s *story) withdrawn(n step, at time.Time) {
	s.became(s.patients[n.A%3], byte(n.B), func(status *record.RecordStatus) { status.Withdrawn = at })
}

func (s *story) linkedOrNot(step) {
	if s.linked = !s.linked; s.linked {
		s.link(s.patients[0], s.patients[2])
		return
	}
	s.unlink(s.patients[0], s.patients[2])
}

func (s *story) crashed(step) {
	_ = s.stop()
	s.trouble = true
	s.start()
}
