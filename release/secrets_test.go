package release_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// appliance makes another hospital's appliance active.
func (w *world) appliance(mspID string, n byte) record.ParticipantID {
	return w.join(record.NewParticipantID(mspID, [10]byte{n}), record.ApplianceRole)
}

// linked makes a patient of North's, with a secret, who is linked to a hospital.
func (w *world) linked(n byte, mspID string) (own, other record.Reference) {
	own, other = w.patient(north, n), w.patient(mspID, n)
	w.secret[own] = [32]byte{n, 7}
	w.link(own, other)
	return own, other
}

func TestASecretIsHandedOverOnceToEachApplianceOfALink(t *testing.T) {
	inWorld(t, func(w *world) {
		w.appliance(north, 1)
		w.appliance(south, 2)
		w.appliance(east, 3)
		unlinked := w.patient(north, 9)
		w.secret[unlinked] = [32]byte{9}
		w.wantCalls(t)
		w.linked(1, south)
		w.wantCalls(t, "hand over to 2")
		w.pass(time.Hour)
		w.restart(t)
		w.wantCalls(t)
		w.appliance(south, 4) // a new one needs it too
		w.wantCalls(t, "hand over to 4")
		w.appliance(south, 4) // their key was replaced, and they had it
		w.restart(t)
		w.wantCalls(t)
	})
}

// Not every entry about an appliance in the patient's audit is a hand-over to it.
func TestWhatWasNoHandOverDoesNotCountAsOne(t *testing.T) {
	for _, e := range []record.AuditEntry{{Action: record.ActHandOver, Denied: true}, {Action: record.ActAccess}} {
		inWorld(t, func(w *world) {
			own := w.patient(north, 1)
			e.Patient, e.Subject, e.Time = own, w.appliance(south, 2), time.Now().UTC().Truncate(time.Second)
			w.put(map[string]any{record.AuditKey(own, record.ID{1}, 0): e.Encode()})
			w.linked(1, south)
			w.wantCalls(t, "hand over to 2")
		})
	}
}

// Two references at one hospital are linked to one here: its appliance needs the secret once. What North does not know, it
// does not give.
func TestTwoLinksToAHospitalAreOneHandOver(t *testing.T) {
	inWorld(t, func(w *world) {
		own := w.patient(north, 1)
		w.link(own, w.patient(south, 1))
		w.link(own, w.patient(south, 2))
		w.appliance(south, 2)
		w.wantCalls(t)
		w.secret[own] = [32]byte{1, 7}
		w.restart(t)
		w.wantCalls(t, "hand over to 2")
		w.restart(t)
		w.wantCalls(t)
	})
}

func TestNoSecretGoesWhereItDoesNotBelong(t *testing.T) {
	for name, test := range map[string]func(*world){
		"a link that was undone": func(w *world) {
			own, other := w.linked(1, south)
			w.unlink(own, other)
			w.calls = nil
			w.appliance(south, 2)
		},
		"another hospital's patient": func(w *world) {
			w.appliance(south, 2)
			p, q := w.patient(east, 1), w.patient(south, 1)
			w.secret[p] = [32]byte{1}
			w.link(p, q)
		},
		"a merge inside this hospital": func(w *world) {
			w.appliance(north, 2)
			p, q := w.patient(north, 1), w.patient(north, 2)
			w.secret[p], w.secret[q] = [32]byte{1}, [32]byte{2}
			w.link(p, q)
		},
		"a suspended appliance": func(w *world) {
			w.change(w.appliance(south, 2), func(p *record.Participant) { p.Status = record.Suspended })
			w.linked(1, south)
		},
		"an appliance without a key": func(w *world) {
			w.change(w.appliance(south, 2), func(p *record.Participant) { p.EncryptionKey = nil })
			w.linked(1, south)
		},
		"a doctor": func(w *world) {
			w.doctor(south, 2)
			w.linked(1, south)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				test(w)
				w.restart(t)
				w.wantCalls(t)
			})
		})
	}
}

// The ledger is away, or the key of one appliance is not to be used: the others get the secret, and that one when it can.
func TestOneApplianceDoesNotHoldUpTheOthers(t *testing.T) {
	inWorld(t, func(w *world) {
		for n, mspID := range []string{south, south, east} {
			w.appliance(mspID, byte(2+n))
		}
		bad := true
		w.fail = func(op string, who record.ParticipantID) error {
			if bad && op == "hand over" && who == record.NewParticipantID(south, [10]byte{2}) {
				return errors.New("not vouched for")
			}
			return nil
		}
		own, _ := w.linked(1, south)
		w.link(own, w.patient(east, 1))
		w.pass(time.Minute)
		count := make(map[string]int)
		for _, call := range w.calls {
			count[call]++
		}
		if count["hand over to 3"] != 1 || count["hand over to 4"] != 1 {
			t.Errorf("North did %v", count)
		}
		w.calls, bad = nil, false
		w.pass(15 * time.Second)
		w.wantCalls(t, "hand over to 2")
	})
}

// One appliance is refused for ever, and the ledger cannot be reached for another: that one is tried for ever, and the first is
// not.
func TestARefusedApplianceDoesNotHideOneThatWaits(t *testing.T) {
	for _, refused := range []byte{2, 3} {
		inWorld(t, func(w *world) {
			away := true
			w.fail = func(op string, who record.ParticipantID) error {
				switch {
				case op != "hand over":
					return nil
				case who[6] == refused:
					return record.Errorf(record.WrongState, "no")
				case away:
					return errInjected
				}
				return nil
			}
			w.appliance(south, 2)
			w.appliance(south, 3)
			w.linked(1, south)
			w.pass(time.Hour)
			w.calls, away = nil, false
			w.pass(15 * time.Second)
			done := slices.DeleteFunc(w.calls, func(call string) bool { return call == "hand over refused" })
			if len(done) != 1 {
				t.Errorf("North did %v", done)
			}
		})
	}
}

// A patient's link has their releases looked at too, and a hand-over that fails takes nothing from them.
func TestAFailedHandOverTakesNoRelease(t *testing.T) {
	inWorld(t, func(w *world) {
		w.appliance(south, 2)
		doctor := w.doctor(south, 1)
		w.fail = func(op string, _ record.ParticipantID) error {
			if op == "hand over" {
				return record.Errorf(record.Forbidden, "no")
			}
			return nil
		}
		own, other := w.linked(1, south)
		w.anchor(version(own, 1, record.KindLetter, 1))
		w.grant(other, doctor, all())
		w.wantReleased(t, numbers{doctor: {1}})
		w.calls = nil
		w.pass(time.Hour)
		w.wantCalls(t)
	})
}
