package release_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// numbers are the documents that are released to each reader.
type numbers = map[record.ParticipantID][]int

func TestAGrantReleasesWhatIsInItsScopeAndHeldHere(t *testing.T) {
	for name, test := range map[string]struct {
		scope  record.Scope
		change func(*record.Grant)
		want   []int
	}{
		"all":              {scope: all(), want: []int{1, 2, 3, 4}},
		"a kind":           {scope: record.Scope{Kinds: []record.Kind{record.KindLetter}}, want: []int{3, 4}},
		"a record":         {scope: record.Scope{Records: []record.Tag{{0xee, 1}}}, want: []int{1, 2, 3}},
		"another kind":     {scope: record.Scope{Kinds: []record.Kind{record.KindLabResult}}},
		"to write":         {scope: all(), change: func(g *record.Grant) { g.Mode = record.Write }},
		"asked for only":   {scope: all(), change: func(g *record.Grant) { g.State = record.Requested }},
		"relinquished":     {scope: all(), change: func(g *record.Grant) { g.State = record.Relinquished }},
		"over":             {scope: all(), change: until(-time.Hour)},
		"over in a minute": {scope: all(), change: until(time.Minute)}, // what ends, ends two minutes early
		"a referral":       {scope: all(), change: basis(record.BasisReferral), want: []int{1, 2, 3, 4}},
		"an emergency":     {scope: all(), change: basis(record.BasisBreakGlass), want: []int{1, 2, 3, 4}},
		// Who is in charge at another hospital reads the copies there.
		"a supervision": {scope: all(), change: basis(record.BasisSupervision)},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p, doctor := w.patient(north, 1), w.doctor(south, 1)
				w.anchor(version(p, 1, record.KindImaging, 1, 2), version(p, 1, record.KindLetter, 3), version(p, 2, record.KindLetter, 4))
				w.anchorElsewhere(version(p, 1, record.KindImaging, 5), version(p, 3, record.KindLetter, 6))
				w.anchor(version(w.patient(north, 2), 4, record.KindLetter, 7))
				if test.change == nil {
					test.change = func(*record.Grant) {}
				}
				w.grant(p, doctor, test.scope, test.change)
				want := numbers{doctor: test.want}
				if test.want == nil {
					want = numbers{}
				}
				w.wantReleased(t, want)
			})
		})
	}
}

func basis(b record.Basis) func(*record.Grant) { return func(g *record.Grant) { g.Basis = b } }

func TestWhatJoinsTheScopeLaterIsReleasedAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(south, 1)
		w.anchor(version(p, 1, record.KindImaging, 1, 2), version(p, 3, record.KindImaging, 7))
		w.grant(p, doctor, record.Scope{Kinds: []record.Kind{record.KindImaging}})
		w.wantCalls(t, "release 3")
		w.asked = 0
		w.anchor(version(p, 1, record.KindImaging, 3), version(p, 1, record.KindLetter, 4), version(p, 2, record.KindImaging, 5, 6))
		w.wantCalls(t, "release 3")
		w.wantReleased(t, numbers{doctor: {1, 2, 3, 5, 6, 7}})
		if w.asked != 3 { // once for each kind in each record that has something new
			t.Errorf("the ledger was asked %d times", w.asked)
		}
	})
}

// Another hospital anchored it; North got the same file later.
func TestACopyThatIsHeldLaterIsReleased(t *testing.T) {
	inWorld(t, func(w *world) {
		p, own, doctor := w.patient(south, 1), w.patient(north, 1), w.doctor(east, 1)
		w.link(p, own)
		w.anchorElsewhere(version(p, 1, record.KindLetter, 1, 2))
		w.grant(p, doctor, all())
		w.wantReleased(t, numbers{})
		w.mu.Lock()
		w.held[tag(1)], w.copies[tag(1)] = holding(tag(1)), place{p, record.Tag{0xee, 1}}
		w.mu.Unlock()
		copied := record.StoredHolding{CID: holding(tag(1)).CID}.Encode()
		w.put(map[string]any{record.HoldingKey(prefix(south), tag(1)): copied})
		w.wantReleased(t, numbers{}) // another hospital's copy is not this one's
		w.put(map[string]any{record.HoldingKey(prefix(north), tag(1)): copied})
		w.wantReleased(t, numbers{doctor: {1}})
	})
}

func TestNothingIsReleasedTwice(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(south, 1)
		w.anchor(version(p, 1, record.KindLetter, 1))
		w.grant(p, doctor, all(), until(24*time.Hour))
		w.wantCalls(t, "release 1")
		w.pass(time.Hour)
		w.releaser.Kick()
		w.settle()
		w.put(map[string]any{record.PatientKey(p): record.Patient{V: record.SchemaVersion, Reference: p}}) // has all looked at
		w.restart(t)
		w.grant(p, doctor, all()) // of two rights the first counts
		w.wantCalls(t)
		w.wantReleased(t, numbers{doctor: {1}})
		if n := w.releaser.Waiting(); n != 0 {
			t.Errorf("%d patients wait", n)
		}
	})
}

// The process dies when its transaction is committed, and the index has not seen it. The next one waits for the index.
func TestACrashAfterTheCommitReleasesNothingTwice(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(south, 1)
		w.anchor(version(p, 1, record.KindLetter, 1, 2))
		w.fallsBehind("release")
		w.grant(p, doctor, all())
		w.wantCalls(t, "release 2")
		w.restart(t)
		w.pass(time.Hour)
		w.wantCalls(t)
		w.catchUp()
		w.pass(time.Minute)
		w.wantCalls(t)
		w.keys = 2 // the first process did not live to count
		w.wantReleased(t, numbers{doctor: {1, 2}})
		w.revoke(p, doctor)
		w.wantCalls(t, "end 1")
	})
}

// An index that was deleted is rebuilt block by block: nothing that it shows on the way is acted on, however long the ledger is
// away.
func TestAnIndexThatIsRebuiltShowsThePast(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(south, 1)
		w.appliance(south, 2)
		own, _ := w.linked(3, south)
		w.anchor(version(p, 1, record.KindLetter, 1), version(own, 2, record.KindLetter, 2))
		w.grant(p, doctor, all())
		w.grant(own, doctor, all())
		w.revoke(own, doctor)
		w.calls = nil
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		w.index = newIndex()
		away := true
		w.fail = func(string, record.ParticipantID) error {
			if away {
				return errInjected
			}
			return nil
		}
		w.start()
		for n := range w.blocks {
			w.pass(time.Minute)
			away = n < len(w.blocks)/2
			w.mu.Lock()
			w.index.apply(w.blocks[:n+1])
			w.mu.Unlock()
			w.releaser.Kick()
		}
		w.pass(time.Minute)
		w.wantCalls(t)
		w.wantReleased(t, numbers{doctor: {1}})
		w.revoke(p, doctor)
		w.wantReleased(t, numbers{})
	})
}

// The answer to a release is lost: it was committed, and the index shows it.
func TestALostAnswerIsNotAskedForAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(south, 1)
		w.anchor(version(p, 1, record.KindLetter, 1))
		w.lose = func(string) error { return errInjected }
		w.grant(p, doctor, all())
		w.lose = nil
		w.pass(time.Minute)
		w.wantCalls(t, "release 1")
	})
}

// In each case one of two readers' rights to a record ends, and nothing of the others'.
func TestAReleaseEndsWithTheRight(t *testing.T) {
	var (
		p, linked     = reference(north, 1), reference(south, 2)
		one, two      = record.NewParticipantID(south, [10]byte{1}), record.NewParticipantID(south, [10]byte{2})
		guardian      = record.NewParticipantID(east, [10]byte{9})
		nothing       = numbers{two: {1, 2, 3}}
		everybody     = numbers{one: {3}, two: {3}}
		withdraw      = func(s *record.RecordStatus) { s.Withdrawn = time.Now() }
		erase         = func(s *record.RecordStatus) { s.Erasure = record.ErasureDone }
		noReferrals   = &record.Institution{Name: "North", NoReferrals: true}
		suspend       = func(p *record.Participant) { p.Status = record.Suspended }
		withoutKey    = func(p *record.Participant) { p.EncryptionKey = nil }
		byTheGuardian = func(g *record.Grant) { g.DecidedBy = []record.ParticipantID{guardian} }
	)
	for name, test := range map[string]struct {
		right func(*record.Grant)
		under record.Reference // of the first reader's grant, if it is not the record's own
		end   func(*world)
		want  numbers
	}{
		"revoked":                  {end: func(w *world) { w.revoke(p, one) }, want: nothing},
		"expired by the own clock": {right: until(time.Hour), end: func(w *world) { w.pass(58*time.Minute + 20*time.Second) }, want: nothing},
		// Its clock is a transaction's timestamp, which peers let be off; what North serves by ends by North's clock.
		"expired, and the contract's clock is behind": {
			right: until(time.Hour),
			end: func(w *world) {
				w.late = 10 * time.Minute
				w.pass(58*time.Minute + 20*time.Second)
			},
			want: nothing,
		},
		"suspended":            {end: func(w *world) { w.change(one, suspend) }, want: nothing},
		"without a key":        {end: func(w *world) { w.change(one, withoutKey) }, want: nothing},
		"withdrawn":            {end: func(w *world) { w.became(p, 1, withdraw) }, want: everybody},
		"erased":               {end: func(w *world) { w.became(p, 1, erase) }, want: everybody},
		"unlinked":             {under: linked, end: func(w *world) { w.unlink(p, linked) }, want: nothing},
		"revoked under a link": {under: linked, end: func(w *world) { w.revoke(linked, one) }, want: nothing},
		"no referrals any more": {
			right: basis(record.BasisReferral),
			end: func(w *world) {
				w.change(record.InstitutionID(north), func(p *record.Participant) { p.Institution = noReferrals })
			},
			want: nothing,
		},
		// The contract counts what a representative of another hospital decided until two people there replace their key.
		"who approved it is another now": {
			right: byTheGuardian,
			end: func(w *world) {
				w.void = func(g record.Grant) bool { return len(g.DecidedBy) > 0 }
				w.change(guardian, func(p *record.Participant) { p.Rebound++ })
			},
			want: nothing,
		},
		"neither held nor on the ledger any more": {
			end: func(w *world) {
				delete(w.held, tag(1))
				delete(w.held, tag(2))
				w.became(p, 1, func(*record.RecordStatus) {})
			},
			want: everybody,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.patient(north, 1)
				w.patient(south, 2)
				w.link(p, linked)
				w.doctor(south, 1)
				w.doctor(south, 2)
				w.join(guardian, record.RepresentativeRole)
				w.anchor(version(p, 1, record.KindLetter, 1, 2), version(p, 2, record.KindLetter, 3))
				if test.right == nil {
					test.right = func(*record.Grant) {}
				}
				under := test.under
				if (under == record.Reference{}) {
					under = p
				}
				w.grant(under, one, all(), test.right)
				w.grant(p, two, all())
				w.wantReleased(t, numbers{one: {1, 2, 3}, two: {1, 2, 3}})
				test.end(w)
				w.wantReleased(t, test.want)
			})
		})
	}
}

// A referral of another hospital's patient gives North's copies too, until that hospital switches referrals off.
func TestAnotherHospitalsReferralsEndToo(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(south, 1), w.doctor(east, 1)
		w.anchor(version(p, 1, record.KindLetter, 1))
		w.grant(p, doctor, all(), basis(record.BasisReferral))
		w.wantReleased(t, numbers{doctor: {1}})
		w.change(record.InstitutionID(south), func(p *record.Participant) {
			p.Institution = &record.Institution{Name: "South", NoReferrals: true}
		})
		w.wantReleased(t, numbers{})
	})
}

// A release is of several records. One of them is withdrawn: the release ends, and the others are released again. So it is when
// the withdrawal was the error.
func TestAWithdrawnRecordLeavesTheOthersReleased(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(south, 1)
		w.anchor(version(p, 1, record.KindLetter, 1), version(p, 2, record.KindLetter, 2), version(p, 3, record.KindLetter, 3))
		w.grant(p, doctor, all())
		w.wantCalls(t, "release 3")
		w.became(p, 2, func(s *record.RecordStatus) { s.Withdrawn = time.Now() })
		w.wantCalls(t, "end 1", "release 2")
		w.wantReleased(t, numbers{doctor: {1, 3}})
		w.became(p, 2, func(*record.RecordStatus) {})
		w.wantCalls(t, "release 1")
		w.wantReleased(t, numbers{doctor: {1, 2, 3}})
	})
}

func TestAReplacedKeyGetsItsOwnRelease(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(south, 1)
		w.anchor(version(p, 1, record.KindLetter, 1, 2))
		w.grant(p, doctor, all())
		w.anchor(version(p, 2, record.KindLetter, 3))
		w.wantCalls(t, "release 2", "release 1")
		w.change(doctor, func(p *record.Participant) { p.EncryptionKey = []byte("second key") })
		w.wantCalls(t, "end 2", "release 3")
		w.wantReleased(t, numbers{doctor: {1, 2, 3}})
	})
}

func TestASuspendedReaderWhoIsBackGetsTheKeysAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(south, 1)
		w.anchor(version(p, 1, record.KindLetter, 1))
		w.grant(p, doctor, all())
		w.change(doctor, func(p *record.Participant) { p.Status = record.Suspended })
		w.wantReleased(t, numbers{})
		w.change(doctor, func(p *record.Participant) { p.Status = record.Active })
		w.wantReleased(t, numbers{doctor: {1}})
	})
}

// A right gives way to another: what is released says which right it was, and its end, so it is released anew.
func TestAReleaseFollowsTheRightThatCounts(t *testing.T) {
	for name, test := range map[string]struct {
		first func(*record.Grant)
		end   func(w *world, first *record.Grant)
	}{
		"the first is over":    {until(time.Hour), func(w *world, _ *record.Grant) { w.pass(time.Hour) }},
		"the first is revoked": {until(48 * time.Hour), func(_ *world, first *record.Grant) { first.State = record.Revoked }},
		"it ends earlier":      {until(48 * time.Hour), func(_ *world, first *record.Grant) { first.Until = first.Until.Add(-time.Hour) }},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p, doctor := w.patient(north, 1), w.doctor(south, 1)
				w.anchor(version(p, 1, record.KindLetter, 1))
				w.grant(p, doctor, all(), test.first)
				w.grant(p, doctor, all(), until(48*time.Hour))
				w.wantCalls(t, "release 1")
				relation, _ := find[record.Relation](w, record.RelationKey(p, doctor))
				test.end(w, &relation.Grants[0])
				w.put(map[string]any{record.RelationKey(p, doctor): relation})
				w.wantCalls(t, "end 1", "release 1")
				w.wantReleased(t, numbers{doctor: {1}})
			})
		})
	}
}

// An institution may have several appliances, and one may have lost what it held. What was released of that stays as long as it is
// due, and the institution has it on the ledger.
func TestWhatAnotherApplianceHoldsStaysReleased(t *testing.T) {
	document := record.StoredDocument{CID: holding(tag(1)).CID}.Encode()
	copied := record.StoredHolding{CID: holding(tag(1)).CID}.Encode()
	for name, test := range map[string]struct {
		ledger map[string]any
		end    func(*world, record.Reference, record.ParticipantID)
		want   []int
	}{
		"anchored":       {ledger: map[string]any{record.DocumentKey(tag(1)): document}, want: []int{1, 2}},
		"held as a copy": {ledger: map[string]any{record.HoldingKey(prefix(north), tag(1)): copied}, want: []int{1, 2}},
		"of nobody":      {want: []int{2}},
		"erased":         {ledger: map[string]any{record.DocumentKey(tag(1)): record.StoredDocument{}.Encode()}, want: []int{2}},
		"an erased copy": {ledger: map[string]any{record.HoldingKey(prefix(north), tag(1)): record.StoredHolding{}.Encode()}, want: []int{2}},
		"another's copy": {ledger: map[string]any{record.HoldingKey(prefix(east), tag(1)): copied}, want: []int{2}},
		"due no more": {
			ledger: map[string]any{record.DocumentKey(tag(1)): document},
			end:    func(w *world, p record.Reference, doctor record.ParticipantID) { w.revoke(p, doctor) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p, doctor := w.patient(north, 1), w.doctor(south, 1)
				w.anchor(version(p, 1, record.KindLetter, 1))
				w.grant(p, doctor, all())
				w.anchor(version(p, 2, record.KindLetter, 2))
				w.put(test.ledger)
				w.mu.Lock()
				delete(w.held, tag(1))
				w.mu.Unlock()
				w.restart(t)
				w.became(p, 1, func(*record.RecordStatus) {}) // has all looked at
				if test.end != nil {
					test.end(w, p, doctor)
				}
				want := numbers{}
				if test.want != nil {
					want[doctor] = test.want
				}
				w.wantReleased(t, want)
			})
		})
	}
}

// Of one patient's documents two hospitals hold copies: each ends what it released itself.
func TestAnotherHospitalsReleasesAreItsOwn(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(south, 1)
		w.anchor(version(p, 1, record.KindLetter, 1))
		theirs := record.StoredRelease{Institution: prefix(east), Documents: []record.Tag{tag(1)}}.Encode()
		w.put(map[string]any{record.ReleaseKey(p, doctor, record.ID{1}): theirs})
		w.grant(p, doctor, all())
		w.wantCalls(t, "release 1")
		w.revoke(p, doctor)
		w.wantCalls(t, "end 1")
		w.wantReleased(t, numbers{})
	})
}

func TestManyReleasesEndInSeveralTransactions(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(south, 1)
		w.grant(p, doctor, all())
		for n := range record.MaxEndedReleases + 1 {
			w.anchor(version(p, 1, record.KindLetter, n))
		}
		w.calls = nil
		w.revoke(p, doctor)
		w.wantCalls(t, "end 100", "end 1")
		w.wantReleased(t, numbers{})
	})
}

// The same, when it is a new document that has the release looked at: what else was in it must not be forgotten.
func TestWhatEndsForANewDocumentIsReleasedWhole(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(south, 1)
		w.anchor(version(p, 1, record.KindLetter, 1), version(p, 2, record.KindLetter, 2))
		w.grant(p, doctor, all(), until(time.Hour+10*time.Second)) // ends between two looks at the clock
		w.grant(p, doctor, all(), until(48*time.Hour))
		w.pass(58*time.Minute + 9*time.Second)
		w.wantCalls(t, "release 2")
		w.pass(2 * time.Second)
		w.anchor(version(p, 1, record.KindLetter, 3))
		w.pass(time.Minute)
		w.wantReleased(t, numbers{doctor: {1, 2, 3}})
	})
}

func TestReadersOfThisHospitalNeedNoKeys(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(north, 1)
		w.anchor(version(p, 1, record.KindLetter, 1))
		w.grant(p, doctor, all())
		w.wantCalls(t)
	})
}

// A grant reaches over a link in both directions, and over one link only.
func TestAGrantReachesOverALink(t *testing.T) {
	inWorld(t, func(w *world) {
		here, there, beyond := w.patient(north, 1), w.patient(south, 1), w.patient(east, 1)
		doctor, other := w.doctor(south, 1), w.doctor(east, 2)
		w.anchor(version(here, 1, record.KindLetter, 1))
		w.grant(there, doctor, all())
		w.grant(beyond, other, all())
		w.wantReleased(t, numbers{})
		w.link(here, there)
		w.link(there, beyond)
		w.wantReleased(t, numbers{doctor: {1}})
		w.anchor(version(here, 1, record.KindLetter, 2))
		w.wantReleased(t, numbers{doctor: {1, 2}})
		w.grant(there, other, all())
		w.wantReleased(t, numbers{doctor: {1, 2}, other: {1, 2}})
	})
}

// A process that was down finds what changed meanwhile, whatever it was.
func TestWhatChangedWhileItWasDownIsMadeUpFor(t *testing.T) {
	inWorld(t, func(w *world) {
		p, q, linked := w.patient(north, 1), w.patient(north, 2), w.patient(south, 1)
		one, two := w.doctor(south, 1), w.doctor(south, 2)
		w.link(q, linked)
		w.secret[q] = [32]byte{7}
		w.anchor(version(p, 1, record.KindLetter, 1), version(q, 2, record.KindLetter, 2))
		w.grant(p, one, all())
		w.wantReleased(t, numbers{one: {1}})
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		w.revoke(p, one)
		w.grant(linked, two, all())
		w.join(record.NewParticipantID(south, [10]byte{8}), record.ApplianceRole)
		w.calls = nil
		w.start()
		w.settle()
		w.wantReleased(t, numbers{two: {2}})
	})
}

// A release to somebody with whom the patient has nothing to do any more is found by itself.
func TestAReleaseWithoutARelationEnds(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(south, 1)
		w.anchor(version(p, 1, record.KindLetter, 1))
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		ours := record.StoredRelease{Institution: prefix(north), Documents: []record.Tag{tag(1)}}.Encode()
		w.put(map[string]any{record.ReleaseKey(p, doctor, record.ID{1}): ours})
		w.start()
		w.settle()
		w.wantCalls(t, "end 1")
	})
}

func TestAReleaseIsCutToWhatTheContractTakes(t *testing.T) {
	t.Run("documents", func(t *testing.T) {
		inWorld(t, func(w *world) {
			p, doctor := w.patient(north, 1), w.doctor(south, 1)
			var study []int
			for n := range 2*record.MaxReleaseDocuments + 1 {
				study = append(study, n)
			}
			w.anchor(version(p, 1, record.KindImaging, study...))
			w.grant(p, doctor, all())
			w.wantCalls(t, "release 500", "release 500", "release 1")
			w.wantReleased(t, numbers{doctor: study})
		})
	})
	t.Run("records", func(t *testing.T) {
		inWorld(t, func(w *world) {
			p, doctor := w.patient(north, 1), w.doctor(south, 1)
			var versions []record.AnchoredVersion
			for n := range record.MaxReleaseRecords + 1 {
				versions = append(versions, version(p, byte(n), record.KindLetter, n))
			}
			w.anchor(versions...)
			w.grant(p, doctor, all())
			w.wantCalls(t, "release 200", "release 1")
		})
	})
	t.Run("metadata", func(t *testing.T) {
		inWorld(t, func(w *world) {
			p, doctor := w.patient(north, 1), w.doctor(south, 1)
			for n := range 5 { // three of them fit exactly
				w.held[tag(n)] = long(tag(n), (record.MaxReleaseMetadata-1024)/3-1)
			}
			w.anchor(version(p, 1, record.KindLetter, 0, 1, 2, 3, 4))
			w.grant(p, doctor, all())
			w.wantCalls(t, "release 3", "release 2")
		})
	})
	// One that fits nowhere must not hold up the others.
	t.Run("metadata of one document that is too long", func(t *testing.T) {
		inWorld(t, func(w *world) {
			p, doctor := w.patient(north, 1), w.doctor(south, 1)
			w.held[tag(1)] = long(tag(1), record.MaxReleaseMetadata)
			w.anchor(version(p, 1, record.KindLetter, 0, 1, 2))
			w.grant(p, doctor, all())
			w.wantReleased(t, numbers{doctor: {0, 2}})
		})
	})
}

func TestALedgerThatIsAwayIsAskedAgain(t *testing.T) {
	for _, op := range []string{"check", "release", "end"} {
		t.Run(op, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p, q := w.patient(north, 1), w.patient(north, 2)
				one, two := w.doctor(south, 1), w.doctor(south, 2)
				w.anchor(version(p, 1, record.KindLetter, 1), version(q, 2, record.KindLetter, 2))
				w.grant(p, two, all())
				away := true
				w.fail = func(what string, who record.ParticipantID) error {
					if away && what == op && who == two {
						return errInjected
					}
					return nil
				}
				w.revoke(p, two)
				w.grant(q, two, all())
				w.grant(p, one, all())
				w.grant(q, one, all())
				w.pass(time.Hour)
				if w.asked > 2000 { // of 2 patients and 2 readers, each 15 s, and when the clock is looked at
					t.Errorf("in an hour the ledger was asked %d times", w.asked)
				}
				if n, want := w.releaser.Waiting(), map[string]int64{"check": 2, "release": 1, "end": 1}[op]; n != want {
					t.Errorf("%d patients wait, want %d", n, want)
				}
				away = false
				w.pass(15 * time.Second)
				w.wantReleased(t, numbers{one: {1, 2}, two: {2}})
			})
		})
	}
}

// Patients wait for the ledger by themselves: what cannot be done for one is done for the others.
func TestOnePatientDoesNotHoldUpAnother(t *testing.T) {
	inWorld(t, func(w *world) {
		one, two := w.doctor(south, 1), w.doctor(south, 2)
		w.fail = func(_ string, who record.ParticipantID) error {
			if who == one {
				return errInjected
			}
			return nil
		}
		for n := range 8 {
			p := w.patient(north, byte(n))
			w.anchor(version(p, byte(n), record.KindLetter, n))
			w.grant(p, []record.ParticipantID{one, two}[n%2], all())
		}
		w.wantReleased(t, numbers{two: {1, 3, 5, 7}})
	})
}

// What the contract refuses for good is not asked for again until something changes.
func TestARefusalIsTakenForAnAnswer(t *testing.T) {
	for _, code := range []record.Code{record.Forbidden, record.BadRequest} {
		inWorld(t, func(w *world) {
			p, doctor := w.patient(north, 1), w.doctor(south, 1)
			w.anchor(version(p, 1, record.KindLetter, 1))
			refuse := true
			w.fail = func(op string, _ record.ParticipantID) error {
				if refuse && op == "release" {
					return record.Errorf(code, "no")
				}
				return nil
			}
			w.grant(p, doctor, all())
			w.pass(24 * time.Hour)
			w.wantCalls(t, "release refused")
			if n := w.releaser.Waiting(); n != 0 {
				t.Errorf("%d patients wait", n)
			}
			refuse = false
			w.anchor(version(p, 1, record.KindLetter, 2))
			w.wantReleased(t, numbers{doctor: {1, 2}})
		})
	}
}

// A majority endorses. The peer of another member may be some blocks behind, and refuse what it does not know yet: that passes.
func TestARefusalByAPeerThatIsBehindPasses(t *testing.T) {
	for _, code := range []record.Code{record.NotFound, record.WrongState} {
		inWorld(t, func(w *world) {
			p, doctor := w.patient(north, 1), w.doctor(south, 1)
			w.anchor(version(p, 1, record.KindLetter, 1))
			behind := time.Now().Add(2 * time.Second)
			w.fail = func(op string, _ record.ParticipantID) error {
				if op == "release" && time.Now().Before(behind) {
					return record.Errorf(code, "no such version")
				}
				return nil
			}
			w.grant(p, doctor, all())
			w.pass(10 * time.Second)
			w.wantReleased(t, numbers{doctor: {1}})
			// The time that the ledger is away does not count.
			w.anchor(version(p, 1, record.KindLetter, 3))
			w.wantReleased(t, numbers{doctor: {1, 3}})
			began := time.Now()
			w.fail = func(op string, _ record.ParticipantID) error {
				switch since := time.Since(began); {
				case since > time.Second && since < time.Hour:
					return errInjected
				case op == "release" && since < time.Hour+25*time.Second:
					return record.Errorf(code, "no such version")
				}
				return nil
			}
			w.anchor(version(p, 1, record.KindLetter, 4))
			w.pass(time.Hour + time.Minute)
			w.wantReleased(t, numbers{doctor: {1, 3, 4}})
			// For ever it is not asked.
			w.fail = func(op string, _ record.ParticipantID) error {
				if op == "release" {
					return record.Errorf(code, "no such version")
				}
				return nil
			}
			w.calls = nil
			w.anchor(version(p, 1, record.KindLetter, 2))
			w.pass(24 * time.Hour)
			if n := len(w.calls); n < 2 || n > 10 {
				t.Errorf("what is refused was asked for %d times", n)
			}
		})
	}
}

// While the hospital's appliance is suspended, the contract refuses it everything: that is made up for when it is back.
func TestWhatASuspendedApplianceCouldNotDoIsMadeUpFor(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor, own := w.patient(north, 1), w.doctor(south, 1), w.appliance(north, 7)
		w.anchor(version(p, 1, record.KindLetter, 1))
		w.change(own, func(p *record.Participant) { p.Status = record.Suspended })
		w.fail = func(op string, _ record.ParticipantID) error {
			if op == "release" {
				return record.Errorf(record.Forbidden, "the appliance is suspended")
			}
			return nil
		}
		w.grant(p, doctor, all())
		w.pass(time.Hour)
		w.wantReleased(t, numbers{})
		w.fail = nil
		w.change(own, func(p *record.Participant) { p.Status = record.Active })
		w.wantReleased(t, numbers{doctor: {1}})
	})
}

// What is new on the ledger is a reason to ask again, for as long as for anything.
func TestWhatIsNewIsAskedForAnew(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(south, 1)
		w.anchor(version(p, 1, record.KindLetter, 1))
		w.fail = func(op string, _ record.ParticipantID) error {
			if op == "release" {
				return record.Errorf(record.NotFound, "no such version")
			}
			return nil
		}
		w.grant(p, doctor, all())
		w.pass(25 * time.Second)
		w.anchor(version(p, 1, record.KindLetter, 2))
		w.pass(20 * time.Second)
		w.fail = nil
		w.pass(15 * time.Second)
		w.wantReleased(t, numbers{doctor: {1, 2}})
	})
}

// What the contract cannot read now, or whose ID collides, has to be sent again, for as long as it takes.
func TestAFaultOfThePeerIsNoAnswer(t *testing.T) {
	for _, code := range []record.Code{record.Internal, record.AnchoringConflict} {
		inWorld(t, func(w *world) {
			p, doctor := w.patient(north, 1), w.doctor(south, 1)
			w.anchor(version(p, 1, record.KindLetter, 1))
			w.fail = func(op string, _ record.ParticipantID) error {
				if op == "release" {
					return record.Errorf(code, "no")
				}
				return nil
			}
			w.grant(p, doctor, all())
			w.pass(24 * time.Hour)
			w.fail = nil
			w.pass(15 * time.Second)
			w.wantReleased(t, numbers{doctor: {1}})
		})
	}
}

// What is refused to one reader by a peer that is behind leaves the patient's other readers, and hand-overs, as they are.
func TestAPeerThatIsBehindHoldsUpNobodyElse(t *testing.T) {
	inWorld(t, func(w *world) {
		doctors := []record.ParticipantID{w.doctor(south, 1), w.doctor(south, 2), w.doctor(south, 3)}
		w.appliance(south, 9)
		w.fail = func(op string, who record.ParticipantID) error {
			if op == "release" && who == doctors[0] {
				return record.Errorf(record.NotFound, "no such version")
			}
			return nil
		}
		p := w.patient(north, 1)
		w.anchor(version(p, 1, record.KindLetter, 1))
		w.secret[p] = [32]byte{1}
		for _, d := range doctors {
			w.grant(p, d, all())
		}
		w.link(p, w.patient(south, 1))
		w.wantReleased(t, numbers{doctors[1]: {1}, doctors[2]: {1}})
		if !slices.Contains(w.calls, "hand over to 9") {
			t.Errorf("North did %v", w.calls)
		}
	})
}

// One right, or one batch, that is refused leaves a reader the others.
func TestARefusalOfSomeLeavesTheOthers(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctor := w.patient(north, 1), w.doctor(south, 1)
		var versions []record.AnchoredVersion
		for n := range 6 {
			versions = append(versions, version(p, byte(n), record.KindLetter, n))
		}
		refused := 0
		w.fail = func(op string, _ record.ParticipantID) error {
			if op != "release" || refused > 0 {
				return nil
			}
			refused++
			return record.Errorf(record.Forbidden, "no")
		}
		for n := range 6 {
			w.grant(p, doctor, record.Scope{Records: []record.Tag{{0xee, byte(n)}}})
		}
		w.anchor(versions...)
		if n := len(w.released()); n != 5 {
			t.Errorf("%d of 6 documents are released; North did %v", n, w.calls)
		}
	})
}

// A reader whose key on the ledger is not to be used gets nothing, until it is another. Others go on.
func TestAKeyThatCannotBeSealedToHarmsNobodyElse(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.patient(north, 1)
		doctors := []record.ParticipantID{w.doctor(south, 1), w.doctor(south, 2), w.doctor(south, 3)}
		w.anchor(version(p, 1, record.KindLetter, 1))
		bad := true
		w.fail = func(op string, who record.ParticipantID) error {
			if bad && op == "seal" && who == doctors[1] {
				return errors.New("not vouched for")
			}
			return nil
		}
		for _, d := range doctors {
			w.grant(p, d, all())
		}
		w.pass(time.Hour)
		w.wantCalls(t, "release 1", "release 1")
		w.wantReleased(t, numbers{doctors[0]: {1}, doctors[2]: {1}})
		bad = false
		w.change(doctors[1], func(p *record.Participant) { p.EncryptionKey = []byte("one that is vouched for") })
		w.wantReleased(t, numbers{doctors[0]: {1}, doctors[1]: {1}, doctors[2]: {1}})
	})
}

// While North waits for its index to show what was done, another block comes: it is looked at at once.
func TestABlockThatComesMeanwhileIsNotOverlooked(t *testing.T) {
	inWorld(t, func(w *world) {
		p, one, two := w.patient(north, 1), w.doctor(south, 1), w.doctor(south, 2)
		w.anchor(version(p, 1, record.KindLetter, 1))
		w.fallsBehind("release")
		w.grant(p, one, all())
		w.grant(p, two, all())
		w.wantCalls(t, "release 1")
		w.catchUp() // both blocks at once, and one kick
		w.wantCalls(t, "release 1")
		w.wantReleased(t, numbers{one: {1}, two: {1}})
	})
}

// A patient who waits for the ledger is tried again, but not before the index shows what was done.
func TestWhatTheIndexDoesNotShowYetIsNotDoneAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		p, doctors := w.patient(north, 1), []record.ParticipantID{w.doctor(south, 1), w.doctor(south, 2), w.doctor(south, 3)}
		w.behind = true
		for _, d := range doctors {
			w.grant(p, d, all())
		}
		w.anchor(version(p, 1, record.KindLetter, 1))
		w.catchUp()
		w.wantReleased(t, numbers{doctors[0]: {1}, doctors[1]: {1}, doctors[2]: {1}})
		w.calls = nil
		w.fail = func(op string, who record.ParticipantID) error {
			w.behind = w.behind || op == "release"
			if op == "release" && who == doctors[2] {
				return errInjected
			}
			return nil
		}
		w.anchor(version(p, 1, record.KindLetter, 2))
		w.pass(10 * time.Second)
		w.catchUp()
		w.wantReleased(t, numbers{doctors[0]: {1, 2}, doctors[1]: {1, 2}, doctors[2]: {1, 2}})
	})
}

// An index that stays behind is not waited for without end.
func TestAnIndexThatStaysBehindHoldsUpNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		p, q, doctor := w.patient(north, 1), w.patient(north, 2), w.doctor(south, 1)
		w.anchor(version(p, 1, record.KindLetter, 1), version(q, 2, record.KindLetter, 2))
		w.fallsBehind("release")
		w.grant(p, doctor, all())
		w.pass(time.Minute)
		w.wantCalls(t, "release 1")
		w.catchUp()
		w.grant(q, doctor, all())
		w.wantReleased(t, numbers{doctor: {1, 2}})
	})
}

// An error of the index or of what is held ends the process, which knows nothing then.
func TestAnErrorOfStorageIsFatal(t *testing.T) {
	for name, breaks := range map[string]func(*world){
		"index": func(w *world) { w.index.err = errInjected },
		"vault": func(w *world) { w.faulty = errInjected },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				p, doctor := w.patient(north, 1), w.doctor(south, 1)
				w.anchor(version(p, 1, record.KindLetter, 1))
				breaks(w)
				w.grant(p, doctor, all())
				if err := w.stop(); !errors.Is(err, errInjected) {
					t.Errorf("Run: %v", err)
				}
				w.stop = func() error { return nil }
			})
		})
	}
}
