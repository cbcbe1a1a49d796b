package contract_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

var update = flag.Bool("update", false, "write docs/ledger-rights.md")

const rightsFile = "../../docs/ledger-rights.md"

// The columns of the table: who calls. All are of St Mary, where the patient is registered, but for those of "other".
//
// The last six are not a role but the row's rightful caller (the first with "yes") with something wrong: suspended; an
// identity of a CA whose member has no institution; their own key in a certificate without attributes; somebody else, with
// their own key and ID, in a certificate that their CA minted with the rightful caller's role; another key in a
// certificate with their participant ID and role, minted by their member's CA; and the same of another member's CA.
var columns = []string{
	"institution", "staff", "appliance", "supervising doctor", "doctor", "patient", "representative",
	"other institution", "other staff", "other appliance", "other doctor", "other patient",
	"suspended", "foreign CA", "no attributes", "minted role", "minted ID", "minted elsewhere",
}

// The first column of the wrong ones.
const firstWrong = 12

// row is one function with the hand-written expectation for each column: "y" allowed, "-" refused as FORBIDDEN.
type row struct {
	function string
	label    string // tells rows of one function apart
	expect   string // one character for each column; spaces separate groups and count for nothing
	// prepare sets the scene and gives the request for a caller. It is run anew for each column.
	prepare func(s *scene, caller *person) any
	notes   func(s *scene) []record.SealedNote
	// sealed is the release that goes with the request, once the scene is set.
	sealed func(s *scene) record.SealedRelease
	// base is the rightful caller for the wrong columns; default: the first column with "y".
	base func(s *scene) *person
	// raw gives the arguments of a function that takes no JSON request, and its transient data.
	raw func(s *scene, caller *person) ([]string, map[string][]byte)
}

// open marks the functions that ask what every member's peer holds, and need no right.
const open = "yyyyyyy yyyyy yyyyyy"

// scene is the world with what the rows need.
type scene struct {
	*world
	otherPatient *person
	newcomer     *person // a doctor of the patient's hospital, for the institution to suspend
	columns      map[string]*person
	record       record.Tag // of the patient: an anchored letter of document "letter-doc"
	letter       record.Version
}

func newScene(t testing.TB) *scene {
	w := newWorld(t)
	s := &scene{world: w, otherPatient: w.enrol(w.b, record.PatientRole), newcomer: w.enrol(w.a, record.DoctorRole)}
	w.register(w.b, s.otherPatient)
	s.letter = version("", "letter", "letter-doc", "letter-page")
	s.letter.Patient, s.letter.Kind = w.reference, record.KindLetter
	s.record = s.letter.Record
	w.anchor(w.a, s.letter)
	w.must(w.a.staff, record.SuperviseFunction, record.SupervisionChange{Patient: w.reference, Participant: w.a.doctor.id})
	w.must(w.a.staff, record.RepresentFunction, record.Representation{
		Patient: w.reference, Participant: w.representative.id, Authority: record.AttorneyAuthority,
		Evidence: s.letter.Documents[0].Tag, Until: w.now().AddDate(1, 0, 0), Scope: record.Scope{All: true},
	})
	s.columns = map[string]*person{
		"institution": w.a.institution, "staff": w.a.staff, "appliance": w.a.appliance, "supervising doctor": w.a.doctor,
		"doctor": w.a.locum, "patient": w.patient, "representative": w.representative,
		"other institution": w.b.institution, "other staff": w.b.staff, "other appliance": w.b.appliance,
		"other doctor": w.b.doctor, "other patient": s.otherPatient,
	}
	return s
}

// at gives the scene on a copy of its ledger.
func (s *scene) at() *scene {
	w, l := *s.world, *s.ledger
	l.state, l.private = maps.Clone(l.state), maps.Clone(l.private)
	w.ledger = &l
	copied := *s
	copied.world = &w
	return &copied
}

// request makes the other hospital's doctor ask for access.
func (s *scene) request() record.Choice {
	answer := s.must(s.b.doctor, record.RequestFunction, record.AccessRequest{
		Patient: s.reference, Mode: record.Read, Scope: record.Scope{All: true}, Purpose: record.Treatment,
		Until: s.now().AddDate(0, 1, 0),
	})
	return record.Choice{Patient: s.reference, Participant: s.b.doctor.id, Request: answer.ID}
}

// grant has such a request approved.
func (s *scene) grant() record.Choice {
	c := s.request()
	s.must(s.patient, record.ApproveFunction,
		record.Approval{Patient: c.Patient, Participant: c.Participant, Request: c.Request})
	return c
}

// glass has the other hospital's doctor break the glass.
func (s *scene) glass() record.Choice {
	answer := s.must(s.b.doctor, record.BreakGlassFunction,
		record.Emergency{Patient: s.reference, Scope: record.Scope{All: true}}, note(s.a.institution.id))
	return record.Choice{Patient: s.reference, Participant: s.b.doctor.id, Request: answer.ID}
}

// linked registers the patient at the other hospital too, and links both references by both offices.
func (s *scene) linked() record.Link {
	q := record.Link{Patient: s.reference, To: s.register(s.b, nil)}
	s.must(s.a.staff, record.LinkFunction, q)
	s.must(s.b.staff, record.LinkFunction, q)
	return q
}

// propose has the office propose to erase the record.
func (s *scene) propose() record.DecisionName {
	answer := s.must(s.a.clerk, record.ProposeFunction, record.Proposal{Erase: s.erasure()})
	return record.DecisionName{Decision: answer.ID}
}

func (s *scene) erasure() *record.Erasure {
	return &record.Erasure{RecordName: s.name(), Versions: []record.Tag{s.letter.Documents[0].Tag}}
}

func (s *scene) name() record.RecordName {
	return record.RecordName{Patient: s.reference, Record: s.record}
}

// appointment has one side propose an appointment with the supervising doctor.
func (s *scene) appointment(by *person) record.AppointmentName {
	q := s.slot()
	answer := s.must(by, record.ProposeAppointmentFunction, q)
	return record.AppointmentName{Doctor: q.Doctor, Patient: q.Patient, Start: q.Start, ID: answer.ID}
}

func (s *scene) slot() record.AppointmentProposal {
	start := s.now().AddDate(0, 0, 3).Truncate(record.SlotLength)
	return record.AppointmentProposal{Doctor: s.a.doctor.id, Patient: s.reference, Start: start, Slots: 2}
}

// asks makes the arguments of a query.
func asks(arguments func(s *scene) []string) func(*scene, *person) ([]string, map[string][]byte) {
	return func(s *scene, _ *person) ([]string, map[string][]byte) { return arguments(s), nil }
}

// fixed makes a request that is the same for every caller.
func fixed[Q any](request func(s *scene) Q) func(*scene, *person) any {
	return func(s *scene, _ *person) any { return request(s) }
}

func participantRows() []row {
	return []row{
		// A member's first identity becomes its institution, a new member's too. One that its CA minted later is too late.
		{
			function: record.RegisterInstitutionFunction, expect: "------- ----- -y--e-",
			base: func(s *scene) *person { return s.a.institution },
			prepare: func(s *scene, caller *person) any {
				key, signature := caller.encryptionKey(s.t)
				return record.InstitutionRegistration{
					Institution: record.Institution{Name: "Another"}, EncryptionKey: key, Signature: signature,
				}
			},
		},
		{function: record.UpdateInstitutionFunction, expect: "y------ y---- ------", prepare: fixed(func(*scene) any {
			return record.InstitutionUpdate{Institution: record.Institution{Name: "St Mary's"}}
		})},
		{function: record.InviteFunction, label: "a doctor", expect: "y------ ----- ------", prepare: fixed(func(s *scene) any {
			return record.Invite{Participant: record.NewParticipantID(s.a.mspID, s.random()), Role: record.DoctorRole}
		})},
		{function: record.InviteFunction, label: "a patient", expect: "yy----- ----- ------", prepare: fixed(func(s *scene) any {
			return record.Invite{Participant: record.NewParticipantID(s.a.mspID, s.random()), Role: record.PatientRole}
		})},
		// Who has a key is told so. Until the invited joins, their own CA decides whose key it is: it is their institution's.
		{
			function: record.JoinFunction, expect: "eeeeeee eeeee ---ey-",
			base: func(s *scene) *person {
				p := newPerson(s.t, s.a.mspID, record.DoctorRole, record.NewParticipantID(s.a.mspID, s.random()))
				s.must(s.a.institution, record.InviteFunction, record.Invite{Participant: p.id, Role: p.role})
				return p
			},
			prepare: func(s *scene, caller *person) any {
				key, signature := caller.encryptionKey(s.t)
				return record.Join{EncryptionKey: key, Signature: signature}
			},
		},
		{function: record.RotateFunction, expect: "yyyyyyy yyyyy ------", prepare: func(s *scene, caller *person) any {
			next := *caller
			next.key = newKey(s.t)
			spki := publicKey(s.t, next.key)
			key, signature := next.encryptionKey(s.t)
			return record.Rotation{
				NewKey: spki, Proof: next.sign(s.t, record.RotationMessage(caller.id, spki)),
				EncryptionKey: key, Signature: signature,
			}
		}},
		{function: record.SuspendFunction, expect: "y------ ----- ------", prepare: fixed(func(s *scene) any {
			return record.Suspension{Participant: s.newcomer.id}
		})},
		{function: record.ReinstateFunction, expect: "y------ ----- ------", prepare: fixed(func(s *scene) any {
			s.suspend(s.newcomer)
			return record.Suspension{Participant: s.newcomer.id}
		})},
		{function: record.SetTeamFunction, expect: "yy----- ----- ------", prepare: fixed(func(s *scene) any {
			return record.Team{
				ID:      record.NewParticipantID(s.a.mspID, s.random()),
				Members: []record.TeamMember{{Participant: s.a.locum.id}},
			}
		})},
		{function: record.ParticipantFunction, expect: open, raw: asks(func(s *scene) []string {
			return []string{s.patient.id.String()}
		})},
		{function: record.ParticipantsFunction, expect: open, raw: asks(func(s *scene) []string {
			return []string{s.a.institution.id.String(), "10", ""}
		})},
		{function: record.TeamFunction, expect: open, raw: asks(func(s *scene) []string {
			team := record.Team{ID: record.NewParticipantID(s.a.mspID, s.random())}
			s.must(s.a.staff, record.SetTeamFunction, team)
			return []string{team.ID.String()}
		})},
		{function: record.WhoAmIFunction, expect: "yyyyyyy yyyyy ------", raw: asks(func(*scene) []string { return nil })},
	}
}

func patientRows() []row {
	return []row{
		{function: record.RegisterPatientFunction, expect: "yy----- ----- ------", prepare: fixed(func(s *scene) any {
			return record.PatientRegistration{Patient: s.newReference(s.a)}
		})},
		{function: record.DeceasedFunction, expect: "yy----- ----- ------", prepare: fixed(func(s *scene) any {
			return record.Deceased{Patient: s.reference}
		})},
		{
			function: record.LinkFunction, label: "another institution's patient", expect: "yy----- yy--- ------",
			prepare: fixed(func(s *scene) any { return record.Link{Patient: s.reference, To: s.register(s.b, nil)} }),
		},
		{
			function: record.LinkFunction, label: "both references are the patient's", expect: "yy---y- yy--- ------",
			prepare: fixed(func(s *scene) any {
				return record.Link{Patient: s.reference, To: s.register(s.b, s.patient)}
			}),
		},
		{function: record.UnlinkFunction, expect: "yy---y- yy--- ------", prepare: fixed((*scene).linked)},
		{function: record.MergeFunction, expect: "yy----- ----- ------", prepare: fixed(func(s *scene) any {
			return record.Link{Patient: s.reference, To: s.register(s.a, nil)}
		})},
		{function: record.RepresentFunction, expect: "yy----- ----- ------", prepare: fixed(func(s *scene) any {
			return record.Representation{
				Patient: s.reference, Participant: s.enrol(s.a, record.RepresentativeRole).id,
				Authority: record.NominatedBy, Evidence: s.letter.Documents[0].Tag, Until: s.now().AddDate(1, 0, 0),
				Scope: record.Scope{Kinds: []record.Kind{record.KindLetter}},
			}
		})},
		{function: record.EndRepresentationFunction, expect: "yy---yy ----- ------", prepare: fixed(func(s *scene) any {
			return record.RepresentationEnd{Patient: s.reference, Participant: s.representative.id}
		})},
		{
			function: record.HandOverFunction, expect: "--y---- ----- ------",
			prepare: fixed(func(s *scene) any {
				link := s.linked()
				return record.HandOver{Patient: link.Patient, To: link.To, Recipient: s.b.appliance.id}
			}),
			notes: func(s *scene) []record.SealedNote { return []record.SealedNote{note(s.b.appliance.id)} },
		},
		{function: record.PatientFunction, expect: open, raw: asks(func(s *scene) []string {
			return []string{s.reference.String()}
		})},
		{function: record.PatientsFunction, expect: open, raw: asks(func(s *scene) []string {
			return []string{s.a.institution.id.String(), "10", ""}
		})},
	}
}

func recordRows() []row {
	return []row{
		{
			function: record.AnchorFunction, expect: "--y---- ----- ------",
			raw: func(s *scene, _ *person) ([]string, map[string][]byte) {
				v := version("", "study", "slice")
				v.Patient = s.reference
				return nil, transient(s.t, v)
			},
		},
		{function: record.WithdrawFunction, expect: "yy----- ----- ------", prepare: fixed(func(s *scene) any {
			return record.Correction{RecordName: s.name()}
		})},
		{function: record.RefileFunction, expect: "yy----- ----- ------", prepare: fixed(func(s *scene) any {
			s.must(s.a.staff, record.WithdrawFunction, record.Correction{RecordName: s.name()})
			return record.Correction{RecordName: s.name()}
		})},
		{function: record.StableFunction, expect: "--y---- ----- ------", prepare: fixed(func(s *scene) any {
			return record.StableRecords{Records: []record.RecordName{s.name()}}
		})},
		{function: record.HoldCopyFunction, expect: "------- --y-- ------", prepare: fixed(func(s *scene) any {
			link := s.linked()
			return record.Copies{Patient: link.To, Of: link.Patient, Copies: []record.Copy{{
				Record: s.record, Version: s.letter.Documents[0].Tag, Tag: s.letter.Documents[1].Tag, CID: content("a copy"),
			}}}
		})},
		{function: record.DocumentFunction, expect: open, raw: asks(func(s *scene) []string {
			return []string{s.letter.Documents[0].Tag.String()}
		})},
		{function: record.RecordFunction, expect: open, raw: asks(func(s *scene) []string {
			return []string{s.reference.String(), s.record.String()}
		})},
		{function: record.ListFunction, expect: open, raw: asks(func(s *scene) []string {
			return []string{s.reference.String(), "10", ""}
		})},
		{function: record.ListInstitutionFunction, expect: open, raw: asks(func(s *scene) []string {
			return []string{s.a.institution.id.String(), "10", ""}
		})},
		{function: record.AnchoringFunction, expect: open, raw: asks(func(s *scene) []string {
			d, refused := ask[record.AnchoredDocument](s.world, s.patient, record.DocumentFunction,
				s.letter.Documents[0].Tag.String())
			if refused != nil {
				s.t.Fatal(refused)
			}
			return []string{d.Anchoring.ID.String()}
		})},
		{function: record.StatusFunction, expect: open, raw: asks(func(s *scene) []string {
			s.must(s.a.staff, record.WithdrawFunction, record.Correction{RecordName: s.name()})
			return []string{s.reference.String(), s.record.String()}
		})},
	}
}

func consentRows() []row {
	approval := func(s *scene) any {
		c := s.request()
		return record.Approval{Patient: c.Patient, Participant: c.Participant, Request: c.Request}
	}
	supervision := func(s *scene) any {
		return record.SupervisionChange{Patient: s.reference, Participant: s.a.locum.id}
	}
	return []row{
		{function: record.RequestFunction, expect: "---yy-- ---y- ------", prepare: fixed(func(s *scene) any {
			return record.AccessRequest{
				Patient: s.reference, Mode: record.Write, Scope: record.Scope{All: true}, Purpose: record.Treatment,
				Until: s.now().AddDate(0, 1, 0),
			}
		})},
		{function: record.ApproveFunction, expect: "-----yy ----- ------", prepare: fixed(approval)},
		{function: record.RejectFunction, expect: "-----yy ----- ------", prepare: fixed((*scene).request)},
		{function: record.RevokeFunction, expect: "-----yy ----- ------", prepare: fixed((*scene).grant)},
		{function: record.RelinquishFunction, expect: "------- ---y- ------", prepare: fixed((*scene).grant)},
		{function: record.ReferFunction, expect: "yy-y--- ----- ------", prepare: fixed(func(s *scene) any {
			return record.Referral{
				Patient: s.reference, Participant: s.b.doctor.id, Scope: record.Scope{All: true},
				Purpose: record.SecondOpinion, Until: s.now().AddDate(0, 1, 0),
			}
		})},
		{
			function: record.BreakGlassFunction, expect: "---yy-- ---y- ------",
			prepare: fixed(func(s *scene) any {
				return record.Emergency{Patient: s.reference, Scope: record.Scope{All: true}}
			}),
			notes: func(s *scene) []record.SealedNote { return []record.SealedNote{note(s.a.institution.id)} },
		},
		{
			function: record.LateEmergencyFunction, expect: "--y---- ----- ------",
			prepare: fixed(func(s *scene) any { return s.late(s.a.doctor, s.reference, s.record) }),
			notes:   func(s *scene) []record.SealedNote { return []record.SealedNote{note(s.a.institution.id)} },
		},
		{function: record.ReviewFunction, expect: "yy----- ----- ------", prepare: fixed(func(s *scene) any {
			c := s.glass()
			return record.Review{Patient: c.Patient, Participant: c.Participant, Request: c.Request, Justified: true}
		})},
		{function: record.SuperviseFunction, expect: "yy----- ----- ------", prepare: fixed(supervision)},
		{function: record.EndSupervisionFunction, expect: "yy----- ----- ------", prepare: fixed(func(s *scene) any {
			s.must(s.a.staff, record.SuperviseFunction, supervision(s))
			return supervision(s)
		})},
		{function: record.CheckAccessFunction, expect: open, raw: asks(func(s *scene) []string {
			return []string{
				s.patient.id.String(), s.reference.String(), s.record.String(), s.letter.Documents[0].Tag.String(), "read",
			}
		})},
		{function: record.RelationsFunction, expect: "yyy--yy ----- ------", raw: asks(func(s *scene) []string {
			return []string{s.reference.String(), "10", ""}
		})},
		{function: record.SupervisorsFunction, expect: "yyyy-yy ----- ------", raw: asks(func(s *scene) []string {
			return []string{s.reference.String()}
		})},
	}
}

func decisionRows() []row {
	return []row{
		{function: record.ProposeFunction, expect: "yy----- ----- ------", prepare: fixed(func(s *scene) any {
			return record.Proposal{Erase: s.erasure()}
		})},
		{function: record.ConfirmFunction, expect: "yy----- ----- ------", prepare: fixed((*scene).propose)},
		{function: record.DeclineFunction, expect: "yy----- ----- ------", prepare: fixed((*scene).propose)},
		{function: record.DecisionFunction, expect: open, raw: asks(func(s *scene) []string {
			return []string{s.propose().Decision.String()}
		})},
		{function: record.RequestErasureFunction, expect: "-----yy ----- ------", prepare: fixed((*scene).name)},
		{function: record.LegalHoldFunction, expect: "yy----- ----- ------", prepare: fixed(func(s *scene) any {
			return record.LegalHoldChange{RecordName: s.name(), Reason: record.Litigation}
		})},
		{function: record.EndLegalHoldFunction, expect: "y------ ----- ------", prepare: fixed(func(s *scene) any {
			q := record.LegalHoldChange{RecordName: s.name(), Reason: record.Litigation}
			s.must(s.a.staff, record.LegalHoldFunction, q)
			return q
		})},
	}
}

func appointmentRows() []row {
	byPatient := func(s *scene) any { return s.appointment(s.patient) }
	accepted := func(s *scene) record.AppointmentName {
		q := s.appointment(s.patient)
		s.must(s.a.doctor, record.AcceptAppointmentFunction, q)
		return q
	}
	return []row{
		{function: record.ProposeAppointmentFunction, expect: "yy-y-yy ----- ------", prepare: fixed((*scene).slot)},
		{
			function: record.AcceptAppointmentFunction, label: "the patient proposed", expect: "yy-y--- ----- ------",
			prepare: fixed(byPatient),
		},
		{
			function: record.AcceptAppointmentFunction, label: "the doctor proposed", expect: "-----yy ----- ------",
			prepare: fixed(func(s *scene) any { return s.appointment(s.a.doctor) }),
		},
		{function: record.DeclineAppointmentFunction, expect: "yy-y--- ----- ------", prepare: fixed(byPatient)},
		{function: record.CancelAppointmentFunction, expect: "yy-y-yy ----- ------", prepare: fixed(accepted)},
		{function: record.CompleteAppointmentFunction, expect: "yy-y--- ----- ------", prepare: fixed(func(s *scene) any {
			q := accepted(s)
			s.advance(q.Start.Sub(s.now()) + record.SlotLength)
			return q
		})},
		{function: record.AppointmentFunction, expect: open, raw: asks(func(s *scene) []string {
			q := s.appointment(s.patient)
			slot, _ := record.SlotAt(q.Start)
			return []string{q.Doctor.String(), slot.Time().Format("2006-01-02T15:04:05Z07:00")}
		})},
		{function: record.DoctorAppointmentsFunction, expect: "yy-y--- ----- ------", raw: asks(func(s *scene) []string {
			return []string{s.a.doctor.id.String(), "10", ""}
		})},
		{function: record.PatientAppointmentsFunction, expect: "yy---yy ----- ------", raw: asks(func(s *scene) []string {
			return []string{s.reference.String(), "10", ""}
		})},
	}
}

func auditRows() []row {
	return []row{
		{function: record.AccessFunction, expect: "--y---- --yy- ------", prepare: fixed(func(s *scene) any {
			c := s.grant()
			return record.Accesses{Accesses: []record.AccessAttempt{{
				Participant: c.Participant, Patient: c.Patient, Record: s.record, Version: s.letter.Documents[0].Tag,
				Session: record.ID{1},
			}}}
		})},
		{function: record.AuditFunction, expect: "yyy--yy ----- ------", raw: asks(func(s *scene) []string {
			return []string{s.reference.String(), "10", ""}
		})},
		{function: record.InstitutionAuditFunction, expect: "yyy---- ----- ------", raw: asks(func(s *scene) []string {
			return []string{s.a.institution.id.String(), "10", ""}
		})},
		{function: record.EntryFunction, expect: open, raw: asks(func(s *scene) []string {
			e := s.audit(s.reference)[0]
			return []string{e.Patient.String(), e.ID.String(), fmt.Sprint(e.Number)}
		})},
		{function: record.SealedNoteFunction, expect: open, raw: asks(func(s *scene) []string {
			return []string{s.glass().Request.String(), s.a.institution.id.String()}
		})},
	}
}

func releaseRows() []row {
	granted := func(s *scene) any {
		c := s.grant()
		return s.releaseTo(s.b.doctor, c.Request)
	}
	return []row{
		{
			function: record.ReleaseFunction, expect: "--y---- ----- ------", prepare: fixed(granted),
			sealed: func(s *scene) record.SealedRelease { return sealedOf(s.letter) },
		},
		// Each custodian gives what it holds itself.
		{
			function: record.ReleaseFunction, label: "a copy", expect: "------- --y-- ------",
			prepare: fixed(func(s *scene) any {
				link := s.linked()
				s.must(s.b.appliance, record.HoldCopyFunction, allCopies(s.letter, link.To))
				return granted(s)
			}),
			sealed: func(s *scene) record.SealedRelease { return sealedCopies(s.letter) },
		},
		{function: record.EndReleaseFunction, expect: "--y---- ----- ------", prepare: fixed(func(s *scene) any {
			q := s.releaseTo(s.b.doctor, s.grant().Request)
			return endOf(q, s.mustRelease(s.a, q, sealedOf(s.letter)))
		})},
		{function: record.ReleasesFunction, expect: open, raw: asks(func(s *scene) []string {
			return []string{s.reference.String(), s.b.doctor.id.String(), "10", ""}
		})},
		{function: record.SealedReleaseFunction, expect: open, raw: asks(func(s *scene) []string {
			q := s.releaseTo(s.b.doctor, s.grant().Request)
			id := s.mustRelease(s.a, q, sealedOf(s.letter))
			return []string{s.reference.String(), s.b.doctor.id.String(), id.String()}
		})},
	}
}

func allRows() []row {
	return slices.Concat(participantRows(), patientRows(), recordRows(), consentRows(), releaseRows(), decisionRows(),
		appointmentRows(), auditRows())
}

// TestRights calls every function as every role, and holds what happens against the hand-written table.
func TestRights(t *testing.T) {
	s := newScene(t)
	for _, r := range allRows() {
		cells := strings.ReplaceAll(r.expect, " ", "")
		if len(cells) != len(columns) {
			t.Fatalf("%s: %d cells for %d columns", r.function, len(cells), len(columns))
		}
		t.Run(strings.TrimSpace(r.function+" "+r.label), func(t *testing.T) {
			for i, column := range columns {
				if got := r.outcome(t, s, i); got != cells[i] {
					t.Errorf("%s: got %c, want %c", column, got, cells[i])
				}
			}
		})
	}
}

// outcome calls the row's function as the column: y if it was allowed, - if it was refused as FORBIDDEN, e if as EXISTS.
func (r row) outcome(t *testing.T, whole *scene, column int) byte {
	t.Helper()
	s := whole.at()
	s.t = t
	caller := r.caller(s, column)
	refused := r.call(s, caller, columns[column] == "suspended")
	switch {
	case refused == nil:
		return 'y'
	case refused.Code == record.Forbidden:
		return '-'
	case refused.Code == record.Exists:
		return 'e'
	}
	t.Errorf("%s: %v", columns[column], refused)
	return '?'
}

// caller is who stands for the column.
func (r row) caller(s *scene, column int) *person {
	if column < firstWrong {
		return s.columns[columns[column]]
	}
	base := r.rightful(s)
	attributes := map[string]string{
		record.RoleAttribute: string(base.role), record.ParticipantAttribute: base.id.String(),
	}
	switch columns[column] {
	case "suspended":
		return base
	case "foreign CA":
		const foreign = "ForeignMSP"
		id := record.NewParticipantID(foreign, s.random())
		if base.role == record.InstitutionRole {
			id = record.InstitutionID(foreign)
		}
		return newPerson(s.t, foreign, base.role, id)
	case "no attributes":
		return newPersonWith(s.t, base.key, base.mspID, nil, base.role, base.id)
	case "minted role":
		who := s.columns["doctor"]
		if base.role == record.DoctorRole {
			who = s.columns["patient"]
		}
		attributes[record.ParticipantAttribute] = who.id.String()
		return newPersonWith(s.t, who.key, who.mspID, attributes, who.role, who.id)
	case "minted ID":
		return newPersonWith(s.t, newKey(s.t), base.mspID, attributes, base.role, base.id)
	case "minted elsewhere":
		return newPersonWith(s.t, newKey(s.t), s.c.mspID, attributes, base.role, base.id)
	}
	s.t.Fatalf("no such column: %s", columns[column])
	return nil
}

func (r row) rightful(s *scene) *person {
	if r.base != nil {
		return r.base(s)
	}
	i := strings.IndexByte(strings.ReplaceAll(r.expect, " ", ""), 'y')
	return s.columns[columns[i]]
}

// suspend marks a participant as suspended in the ledger's state, for nobody may suspend an institution.
func (s *scene) suspend(p *person) {
	key := record.ParticipantKey(p.id)
	var stored record.Participant
	if err := json.Unmarshal(s.ledger.state[key].value, &stored); err != nil {
		s.t.Fatal(err)
	}
	stored.Status = record.Suspended
	value, err := json.Marshal(stored)
	if err != nil {
		s.t.Fatal(err)
	}
	s.ledger.state[key] = stateValue{value, s.ledger.height}
}

// call runs the row's function. Who is suspended is so once the scene is set, in which they may have a part.
func (r row) call(s *scene, caller *person, suspended bool) *record.Error {
	if r.raw == nil {
		request := r.prepare(s, caller)
		if suspended {
			s.suspend(caller)
		}
		_, refused, _ := s.transactWith(caller, r.function, request, r.transient(s))
		return refused
	}
	arguments, transient := r.raw(s, caller)
	if suspended {
		s.suspend(caller)
	}
	tx := s.ledger.endorse(caller.creator, transient, append([]string{r.function}, arguments...)...)
	return refusalOf(s.t, tx)
}

// transient is what goes with the row's request.
func (r row) transient(s *scene) map[string][]byte {
	switch {
	case r.sealed != nil:
		return map[string][]byte{record.ReleaseField: r.sealed(s).Encode()}
	case r.notes != nil:
		return sealedNotes(s.t, r.notes(s))
	}
	return nil
}

// TestRightsAreComplete fails for a function of the contract that the table does not have.
func TestRightsAreComplete(t *testing.T) {
	l := newLedger(t)
	tx := l.endorse(newPerson(t, "M", record.StaffRole, record.ParticipantID{}).creator, nil,
		"org.hyperledger.fabric:GetMetadata")
	if tx.response.GetStatus() != shim.OK {
		t.Fatal(tx.response.GetMessage())
	}
	var metadata struct {
		Contracts map[string]struct {
			Transactions []struct {
				Name string `json:"name"`
			} `json:"transactions"`
		} `json:"contracts"`
	}
	if err := json.Unmarshal(tx.response.GetPayload(), &metadata); err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{record.AnchorFunction: true} // stands in front of contractapi
	for name, c := range metadata.Contracts {
		for _, f := range c.Transactions {
			if name != "org.hyperledger.fabric" {
				listed[name+":"+f.Name] = true
			}
		}
	}
	inTable := map[string]bool{}
	for _, r := range allRows() {
		inTable[r.function] = true
		if !listed[r.function] {
			t.Errorf("the table has %s, which the contract does not", r.function)
		}
	}
	for function := range listed {
		if !inTable[function] {
			t.Errorf("the table lacks %s", function)
		}
	}
}

// TestRightsAreWritten holds docs/ledger-rights.md against the table; -update writes it.
func TestRightsAreWritten(t *testing.T) {
	want := rights()
	if *update {
		if err := os.WriteFile(rightsFile, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(rightsFile)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the table says (%v): run go test ./contract -run TestRightsAreWritten -update", rightsFile, err)
	}
}

// rights prints the table.
func rights() string {
	var b strings.Builder
	b.WriteString(`# Who may call what

This page is printed by chaincode/contract/table_test.go, which calls every function of the contract as every one of these
callers. Don't edit it: change the test, and run it with -update.

**y**: allowed. **·**: refused; if the call concerns a patient, the attempt is written to that patient's audit. **e**: refused
because it is there already. "Other" is of another hospital than the patient's. The last six columns are the first caller
with a y, with something wrong: suspended; of a CA whose member has no institution; with a certificate without
attributes; somebody else with their own key, in a certificate that claims the caller's role; with another key, in a certificate that their own member's CA, or another member's, minted with their ID and role.

`)
	fmt.Fprintf(&b, "| function | %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, r := range allRows() {
		name := "`" + r.function + "`"
		if r.label != "" {
			name += " (" + r.label + ")"
		}
		fmt.Fprintf(&b, "| %s |", name)
		for _, c := range strings.ReplaceAll(r.expect, " ", "") {
			if c == '-' {
				c = '·'
			}
			fmt.Fprintf(&b, " %c |", c)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func publicKey(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return spki
}
