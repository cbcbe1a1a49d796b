package contract

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/wallet"
)

// requests names what each function that writes asks for, but records:Anchor, which is packed.
var requests = map[string]record.Request{
	record.RegisterInstitutionFunction: record.InstitutionRegistration{},
	record.UpdateInstitutionFunction:   record.InstitutionUpdate{},
	record.InviteFunction:              record.Invite{},
	record.JoinFunction:                record.Join{},
	record.RotateFunction:              record.Rotation{},
	record.SuspendFunction:             record.Suspension{},
	record.ReinstateFunction:           record.Suspension{},
	record.SetTeamFunction:             record.Team{},

	record.RegisterPatientFunction:   record.PatientRegistration{},
	record.DeceasedFunction:          record.Deceased{},
	record.LinkFunction:              record.Link{},
	record.UnlinkFunction:            record.Link{},
	record.MergeFunction:             record.Link{},
	record.RepresentFunction:         record.Representation{},
	record.EndRepresentationFunction: record.RepresentationEnd{},

	record.RequestFunction:        record.AccessRequest{},
	record.ApproveFunction:        record.Approval{},
	record.RejectFunction:         record.Choice{},
	record.RevokeFunction:         record.Choice{},
	record.RelinquishFunction:     record.Choice{},
	record.ReferFunction:          record.Referral{},
	record.BreakGlassFunction:     record.Emergency{},
	record.ReviewFunction:         record.Review{},
	record.SuperviseFunction:      record.SupervisionChange{},
	record.EndSupervisionFunction: record.SupervisionChange{},

	record.WithdrawFunction: record.Correction{},
	record.RefileFunction:   record.Correction{},
	record.StableFunction:   record.StableRecords{},
	record.HoldCopyFunction: record.Copies{},

	record.RequestErasureFunction: record.RecordName{},
	record.LegalHoldFunction:      record.LegalHoldChange{},
	record.EndLegalHoldFunction:   record.LegalHoldChange{},

	record.ProposeFunction: record.Proposal{},
	record.ConfirmFunction: record.DecisionName{},
	record.DeclineFunction: record.DecisionName{},

	record.ProposeAppointmentFunction:  record.AppointmentProposal{},
	record.AcceptAppointmentFunction:   record.AppointmentName{},
	record.DeclineAppointmentFunction:  record.AppointmentName{},
	record.CancelAppointmentFunction:   record.AppointmentName{},
	record.CompleteAppointmentFunction: record.AppointmentName{},

	record.AccessFunction: record.Accesses{},
}

// queries names what each function that reads takes, a value of the argument's type for each.
var queries = map[string][]any{
	record.ParticipantFunction:  {record.ParticipantID{}},
	record.ParticipantsFunction: {record.ParticipantID{}, pageSize(0), ""},
	record.TeamFunction:         {record.ParticipantID{}},
	record.WhoAmIFunction:       {},

	record.PatientFunction:  {record.Reference{}},
	record.PatientsFunction: {record.ParticipantID{}, pageSize(0), ""},

	record.CheckAccessFunction: {record.ParticipantID{}, record.Reference{}, record.Tag{}, record.Tag{}, record.Mode("")},
	record.RelationsFunction:   {record.Reference{}, pageSize(0), ""},
	record.SupervisorsFunction: {record.Reference{}},

	record.DocumentFunction:        {record.Tag{}},
	record.RecordFunction:          {record.Reference{}, record.Tag{}},
	record.ListFunction:            {record.Reference{}, pageSize(0), ""},
	record.ListInstitutionFunction: {record.ParticipantID{}, pageSize(0), ""},
	record.AnchoringFunction:       {record.ID{}},
	record.StatusFunction:          {record.Reference{}, record.Tag{}},

	record.DecisionFunction: {record.ID{}},

	record.AppointmentFunction:         {record.ParticipantID{}, time.Time{}},
	record.DoctorAppointmentsFunction:  {record.ParticipantID{}, pageSize(0), ""},
	record.PatientAppointmentsFunction: {record.Reference{}, pageSize(0), ""},

	record.AuditFunction:            {record.Reference{}, pageSize(0), ""},
	record.InstitutionAuditFunction: {record.ParticipantID{}, pageSize(0), ""},
	record.EntryFunction:            {record.Reference{}, record.ID{}, number(0)},
	record.SealedNoteFunction:       {record.ID{}, record.ParticipantID{}},
}

type (
	pageSize int // of a list
	number   int // of an audit entry
)

// generator makes calls about a small world. They look valid, and many are.
type generator struct {
	*rand.Rand
	t *testing.T

	participants, doctors, patients, teams []record.ParticipantID // for patients the participants who sign for them
	spare                                  []record.ParticipantID // whom nothing else depends on
	references                             []record.Reference
	letters                                []record.Copy // records that there are, of the references in the same place
	members                                []string      // MSP IDs

	// What was made, so that it can be decided on.
	ids       []record.ID
	asked     []record.Choice
	booked    []record.AppointmentName
	decisions []record.ID
}

// pick picks one of a list.
func pick[T any](g *generator, from []T) (one T) {
	if len(from) == 0 {
		return one
	}
	return from[g.IntN(len(from))]
}

// call makes a call of a function.
func (g *generator) call(function string) invocation {
	g.t.Helper()
	c := invocation{function: function, at: time.Now()}
	if function == record.AnchorFunction {
		wire, err := g.batch().Encode()
		if err != nil {
			g.t.Fatal(err)
		}
		c.transient = map[string][]byte{record.BatchField: wire}
		return c
	}
	if arguments, reads := queries[function]; reads {
		for _, argument := range arguments {
			v := reflect.New(reflect.TypeOf(argument)).Elem()
			g.fill(v)
			c.arguments = append(c.arguments, text(v.Interface()))
		}
		return c
	}
	text, err := json.Marshal(g.request(requests[function]))
	if err != nil {
		g.t.Fatal(err)
	}
	c.arguments = []string{string(text)}
	if g.IntN(2) == 0 {
		c.transient = map[string][]byte{record.SealedField: g.notes()}
	}
	return c
}

func text(argument any) string {
	switch v := argument.(type) {
	case time.Time:
		return v.Format(time.RFC3339)
	case string:
		return v
	case record.Mode:
		return string(v)
	default:
		return fmt.Sprint(v)
	}
}

// request fills a request; nearly always one that is valid by itself.
func (g *generator) request(like record.Request) record.Request {
	q := reflect.New(reflect.TypeOf(like)).Elem()
	for range 20 {
		q.SetZero()
		g.fill(q)
		if g.IntN(20) == 0 || q.Interface().(record.Request).Validate() == nil {
			break
		}
	}
	return q.Interface().(record.Request)
}

// fill gives a value of any type of the schema's: fields of a type that has a meaning get what there is in the world.
func (g *generator) fill(v reflect.Value) {
	if made := g.meant(v.Interface()); made != nil {
		v.Set(reflect.ValueOf(made))
		return
	}
	switch v.Kind() { //nolint:exhaustive // the others have no part in the schema
	case reflect.Struct:
		for i := range v.NumField() {
			g.fill(v.Field(i))
		}
	case reflect.Slice:
		n := 1 + g.IntN(2)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			g.fill(v.Index(i))
		}
	case reflect.Pointer:
		if g.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			g.fill(v.Elem())
		}
	case reflect.Bool:
		v.SetBool(g.IntN(3) == 0)
	case reflect.Int:
		v.SetInt(1 + int64(g.IntN(3)))
	case reflect.Uint8, reflect.Uint32:
	case reflect.String:
		v.SetString("")
	default:
		g.t.Fatalf("the generator makes no %s", v.Type())
	}
}

// meant makes what a type stands for; nil for one that is only made of others.
func (g *generator) meant(like any) any {
	switch like.(type) {
	case pageSize:
		return pick(g, []pageSize{1, 7, 1000, 1001})
	case number:
		return number(g.IntN(2))
	case time.Time:
		if g.IntN(8) == 0 {
			return time.Time{}
		}
		return time.Now().UTC().Truncate(record.SlotLength).Add(time.Duration(g.IntN(200)) * record.SlotLength)
	case record.ParticipantID:
		return pick(g, slices.Concat(g.doctors, g.participants, g.patients, g.teams[:1]))
	case record.Reference:
		return pick(g, g.references)
	case record.Tag:
		l := pick(g, g.letters)
		return pick(g, []record.Tag{l.Record, l.Version, l.Tag})
	case record.CID:
		return cid(strconv.Itoa(g.IntN(50)))
	case record.ID:
		return pick(g, g.ids)
	case record.Kind:
		return record.Kind(1 + g.IntN(int(record.KindOther)))
	case record.Role:
		return pick(g, []record.Role{record.ApplianceRole, record.DoctorRole, record.StaffRole, record.PatientRole})
	case record.Mode:
		return pick(g, []record.Mode{record.Read, record.Write})
	case record.Purpose:
		return pick(g, []record.Purpose{record.Treatment, record.SecondOpinion})
	case record.Authority:
		return pick(g, []record.Authority{record.ParentAuthority, record.ExecutorAuthority})
	case record.HoldReason:
		return pick(g, []record.HoldReason{record.Litigation, record.PublicHealth})
	case record.RefusalReason:
		return pick(g, []record.RefusalReason{record.RefusedByHold, record.RefusedByInterest})
	case record.AssistReason:
		return pick(g, []record.AssistReason{record.NoKey, record.NoDevice})
	case record.GrantState:
		return pick(g, []record.GrantState{record.Approved, record.Rejected, record.Revoked})
	}
	return g.together(like)
}

// together makes what belongs together, which would hardly ever meet by chance.
func (g *generator) together(like any) any {
	switch like.(type) {
	case record.Scope:
		return pick(g, []record.Scope{{All: true}, {Kinds: []record.Kind{record.KindLetter}}, {Records: []record.Tag{pick(g, g.letters).Record}}})
	case record.RecordName:
		i := g.IntN(len(g.letters))
		return record.RecordName{Patient: g.references[i], Record: g.letters[i].Record}
	case record.AccessAttempt:
		i := g.IntN(len(g.letters))
		return record.AccessAttempt{
			Participant: pick(g, g.doctors), Patient: g.references[i], Record: g.letters[i].Record,
			Version: g.letters[i].Version, Session: record.ID{1}, Release: g.IntN(3) == 0,
		}
	case record.Copies:
		i := g.IntN(len(g.letters))
		q := record.Copies{Patient: pick(g, g.references), Of: g.references[i], Copies: []record.Copy{g.letters[i]}}
		q.Copies[0].CID = cid(strconv.Itoa(g.IntN(3)))
		return q
	case record.Erasure:
		i := g.IntN(len(g.letters))
		return record.Erasure{
			RecordName: record.RecordName{Patient: g.references[i], Record: g.letters[i].Record},
			Versions:   []record.Tag{g.letters[i].Version},
		}
	case record.Choice:
		return pick(g, g.asked)
	case record.Approval:
		c := pick(g, g.asked)
		return record.Approval{Patient: c.Patient, Participant: c.Participant, Request: c.Request}
	case record.Review:
		c := pick(g, g.asked)
		return record.Review{Patient: c.Patient, Participant: c.Participant, Request: c.Request, Justified: true}
	case record.AppointmentName:
		return pick(g, g.booked)
	case record.AppointmentProposal:
		start, _ := g.meant(time.Time{}).(time.Time)
		return record.AppointmentProposal{
			Doctor: pick(g, g.doctors), Patient: pick(g, g.references), Start: start, Slots: 1 + g.IntN(3),
		}
	case record.DecisionName:
		return record.DecisionName{Decision: pick(g, g.decisions)}
	case record.Proposal:
		return g.proposal()
	case record.SupervisionChange:
		q := record.SupervisionChange{Patient: pick(g, g.references), Participant: pick(g, g.doctors)}
		if g.IntN(2) == 0 {
			q.Participant, q.Team = record.ParticipantID{}, pick(g, g.teams)
		}
		return q
	case record.Suspension:
		return record.Suspension{Participant: pick(g, g.spare)}
	case record.PatientRegistration:
		return record.PatientRegistration{
			Patient: g.newReference(), Participant: pick(g, append([]record.ParticipantID{{}}, g.patients...)),
		}
	case record.Team:
		return record.Team{ID: pick(g, g.teams), Members: []record.TeamMember{{Participant: pick(g, g.doctors)}}}
	case record.Invite:
		role, _ := g.meant(record.Role("")).(record.Role)
		return record.Invite{Participant: record.ParticipantID(g.newReference()), Role: role}
	case record.Institution:
		return record.Institution{Name: "A Hospital", Retention: []record.Retention{{Kind: record.KindOther, Years: g.IntN(3)}}}
	case record.Rotation:
		return g.rotation(pick(g, g.spare))
	case record.LostKey:
		id := pick(g, g.spare)
		return record.LostKey{Participant: id, Rotation: g.rotation(id)}
	}
	return nil
}

// proposal proposes one thing.
func (g *generator) proposal() record.Proposal {
	var q record.Proposal
	v := reflect.ValueOf(&q).Elem()
	field := v.Field(g.IntN(v.NumField()))
	field.Set(reflect.New(field.Type().Elem()))
	g.fill(field.Elem())
	if q.BindPatient != nil {
		q.BindPatient.Patient = pick(g, g.references)
	}
	return q
}

// rotation has a new key take over from a participant's.
func (g *generator) rotation(id record.ParticipantID) record.Rotation {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		g.t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		g.t.Fatal(err)
	}
	private, err := wallet.KEM().GenerateKey()
	if err != nil {
		g.t.Fatal(err)
	}
	sign := func(message []byte) []byte {
		digest := sha256.Sum256(message)
		signature, err := ecdsa.SignASN1(crand.Reader, key, digest[:])
		if err != nil {
			g.t.Fatal(err)
		}
		return signature
	}
	q := record.Rotation{NewKey: der, Proof: sign(record.RotationMessage(id, der)), EncryptionKey: private.PublicKey().Bytes()}
	q.Signature = sign(record.EncryptionKeyMessage(id, q.EncryptionKey))
	return q
}

func (g *generator) newReference() record.Reference {
	var random [10]byte
	random[0], random[1] = byte(g.Uint32()), byte(g.Uint32())
	return record.NewReference(pick(g, g.members), random)
}

// notes seals something to each institution.
func (g *generator) notes() []byte {
	var notes []record.SealedNote
	for _, m := range g.members {
		notes = append(notes, record.SealedNote{Recipient: record.InstitutionID(m), Ciphertext: make([]byte, 1400)})
	}
	wire, err := json.Marshal(notes)
	if err != nil {
		g.t.Fatal(err)
	}
	return wire
}

// batch is of documents of which some are on the ledger.
func (g *generator) batch() (b record.Batch) {
	for range 1 + g.IntN(3) {
		v := record.Version{
			Patient: pick(g, g.references), Record: pick(g, g.letters).Record, Kind: record.KindLetter, Date: day,
			Late: g.IntN(2) == 0,
		}
		if g.IntN(3) == 0 {
			v.Author = pick(g, g.doctors)
		}
		seen := slices.ContainsFunc(b.Versions, func(o record.Version) bool { return o.Name()[0] == 0 })
		tag := pick(g, g.letters).Tag
		if seen || g.IntN(4) > 0 || slices.ContainsFunc(b.Versions, func(o record.Version) bool { return o.Name() == tag }) {
			crand.Read(tag[:]) // never fails (crypto/rand)
		}
		v.Documents = []record.Document{{Tag: tag, CID: cid(strconv.Itoa(g.IntN(2)))}}
		b.Versions = append(b.Versions, v)
	}
	return b
}

// learn remembers what a committed call made.
func (g *generator) learn(c invocation, id record.ID) {
	g.ids = append(g.ids, id)
	switch c.function {
	case record.ProposeFunction:
		g.decisions = append(g.decisions, id)
	case record.RequestFunction, record.ReferFunction, record.BreakGlassFunction:
		var q record.Choice // their patient, and of a referral the participant
		if err := json.Unmarshal([]byte(c.arguments[0]), &q); err != nil {
			g.t.Fatal(err)
		}
		q.Request = id
		if q.Participant.IsZero() {
			for _, doctor := range g.doctors { // one of them it was
				q.Participant = doctor
				g.asked = append(g.asked, q)
			}
			return
		}
		g.asked = append(g.asked, q)
	case record.ProposeAppointmentFunction:
		var q record.AppointmentName
		if err := json.Unmarshal([]byte(c.arguments[0]), &q); err != nil {
			g.t.Fatal(err)
		}
		q.ID = id
		g.booked = append(g.booked, q)
	}
}
