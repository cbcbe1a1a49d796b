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
	record.HandOverFunction:          record.HandOver{},

	record.RequestFunction:        record.AccessRequest{},
	record.ApproveFunction:        record.Approval{},
	record.RejectFunction:         record.Choice{},
	record.RevokeFunction:         record.Choice{},
	record.RelinquishFunction:     record.Choice{},
	record.ReferFunction:          record.Referral{},
	record.BreakGlassFunction:     record.Emergency{},
	record.LateEmergencyFunction:  record.LateEmergency{},
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

	record.ReleaseFunction:    record.Release{},
	record.EndReleaseFunction: record.ReleaseEnd{},

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

	record.ReleasesFunction:      {record.Reference{}, record.ParticipantID{}, pageSize(0), ""},
	record.SealedReleaseFunction: {record.Reference{}, record.ParticipantID{}, record.ID{}},

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

// letter is a record of one version with one document.
type letter struct {
	record.RecordName
	page record.Tag // version and document
	cid  record.CID
	at   int // the hospital's number: that of its patient among the references, too
}

// released is a release that was made.
type released struct {
	patient record.Reference
	record.ReleaseName
}

// generator makes calls about a small world. They look valid, and many are.
type generator struct {
	*rand.Rand
	t *testing.T

	participants, doctors, patients, teams []record.ParticipantID // for patients the participants who sign for them
	spare                                  []record.ParticipantID // whom nothing else depends on
	references                             []record.Reference
	letters                                []letter           // records that there are
	linked                                 []record.Reference // to those references
	appliances                             []record.ParticipantID
	keys                                   map[record.ParticipantID]record.KeyID // of doctors and patients
	signing                                []*ecdsa.PrivateKey                   // of the doctors
	members                                []string                              // MSP IDs

	// What was made, so that it can be decided on.
	ids       []record.ID
	asked     []record.Choice
	booked    []record.AppointmentName
	decisions []record.ID
	glass     []record.Choice // of asked the uses of break-glass, with which a note went
	join      record.Join     // of who was invited
	owners    map[*signer]record.ParticipantID

	anchorings []record.ID
	releasing  letter // whose key the last record.Release gives
	releases   []released
}

// lately gives what was made last, which is likely to be open still.
func lately[T any](made []T) []T { return made[max(0, len(made)-6):] }

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
		c.arguments = g.arguments(function, arguments)
		return c
	}
	c.arguments = []string{string(marshalJSON(g.t, g.request(requests[function])))}
	switch {
	case function == record.ReleaseFunction:
		c.transient = map[string][]byte{record.ReleaseField: g.sealed()}
	case g.IntN(2) == 0:
		c.transient = map[string][]byte{record.SealedField: g.notes()}
	}
	return c
}

// arguments gives those of a query, as text.
func (g *generator) arguments(function string, like []any) (texts []string) {
	known := g.known(function)
	for i, argument := range like {
		v := reflect.New(reflect.TypeOf(argument)).Elem()
		g.fill(v)
		texts = append(texts, text(v.Interface()))
		if known != nil {
			texts[i] = text(known[i])
		}
	}
	return texts
}

// known gives arguments with which a query finds something, for queries that chance would hardly ever find anything for.
func (g *generator) known(function string) []any {
	switch {
	case g.IntN(2) == 0:
		return nil
	case function == record.AppointmentFunction:
		a := pick(g, g.booked)
		return []any{a.Doctor, a.Start}
	case function == record.CheckAccessFunction:
		l := pick(g, g.letters)
		return []any{g.patients[l.at], l.Patient, l.Record, l.page, record.Read}
	case function == record.EntryFunction:
		c := pick(g, g.glass)
		return []any{c.Patient, c.Request, number(0)}
	case function == record.SealedNoteFunction:
		return []any{pick(g, g.glass).Request, record.InstitutionID(pick(g, g.members))}
	case function == record.AnchoringFunction:
		return []any{pick(g, g.anchorings)}
	case function == record.SealedReleaseFunction:
		r := pick(g, lately(g.releases))
		return []any{r.patient, r.Recipient, r.ID}
	}
	return nil
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
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			g.fill(field)
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
		return pick(g, []record.Tag{l.Record, l.page})
	case record.CID:
		return cid(strconv.Itoa(g.IntN(50)))
	case record.ID:
		return pick(g, slices.Concat(lately(g.decisions), lately(g.ids)))
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
		return pick(g, g.letters).RecordName
	case record.AccessAttempt:
		l := pick(g, g.letters)
		return record.AccessAttempt{
			Participant: pick(g, g.doctors), Patient: l.Patient, Record: l.Record, Version: l.page, Session: record.ID{1},
		}
	case record.Release:
		g.releasing = pick(g, g.letters)
		to := g.patients[g.releasing.at]
		if g.IntN(3) == 0 {
			to = pick(g, g.doctors)
		}
		return record.Release{Patient: g.releasing.Patient, Recipient: to, Key: g.keys[to]}
	case record.ReleaseEnd:
		r := pick(g, lately(g.releases))
		return record.ReleaseEnd{Patient: r.patient, Releases: []record.ReleaseName{r.ReleaseName}}
	case record.HandOver:
		l := pick(g, g.letters)
		return record.HandOver{Patient: l.Patient, To: g.linked[l.at], Recipient: g.appliances[1-l.at]}
	case record.LateEmergency:
		return g.lateEmergency()
	case record.Copies:
		l := pick(g, g.letters)
		held := record.Copy{Record: l.Record, Version: l.page, Tag: l.page, CID: cid(strconv.Itoa(g.IntN(3)))}
		q := record.Copies{Patient: g.linked[l.at], Of: l.Patient, Copies: []record.Copy{held}}
		if g.IntN(2) == 0 {
			q.Patient = pick(g, g.references)
		}
		return q
	case record.Erasure:
		l := pick(g, g.letters)
		return record.Erasure{RecordName: l.RecordName, Versions: []record.Tag{l.page}}
	case record.Representation:
		l := pick(g, g.letters)
		return record.Representation{
			Patient: l.Patient, Participant: pick(g, g.patients), Authority: record.ParentAuthority,
			Evidence: l.page, Until: soon(time.Hour), Scope: record.Scope{All: true},
		}
	case record.Referral:
		l := pick(g, g.letters)
		return record.Referral{
			Patient: l.Patient, Participant: g.doctors[1-l.at], Scope: record.Scope{All: true}, Purpose: record.SecondOpinion,
			Until: soon(time.Hour),
		}
	case record.RepresentationEnd:
		return record.RepresentationEnd{Patient: g.references[g.IntN(2)], Participant: pick(g, g.patients)}
	case record.Choice:
		return pick(g, lately(g.asked))
	case record.Approval:
		c := pick(g, lately(g.asked))
		return record.Approval{Patient: c.Patient, Participant: c.Participant, Request: c.Request}
	case record.Review:
		c := pick(g, lately(g.glass))
		return record.Review{Patient: c.Patient, Participant: c.Participant, Request: c.Request, Justified: true}
	case record.AppointmentName:
		return pick(g, lately(g.booked))
	case record.AppointmentProposal:
		start, _ := g.meant(time.Time{}).(time.Time)
		return record.AppointmentProposal{
			Doctor: pick(g, g.doctors), Patient: pick(g, g.references), Start: start, Slots: 1 + g.IntN(3),
		}
	case record.DecisionName:
		return record.DecisionName{Decision: pick(g, lately(g.decisions))}
	case record.Join:
		return g.join
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
	q := record.Rotation{
		NewKey: der, Proof: g.sign(key, record.RotationMessage(id, der)), EncryptionKey: private.PublicKey().Bytes(),
	}
	q.Signature = g.sign(key, record.EncryptionKeyMessage(id, q.EncryptionKey))
	return q
}

// sign signs a message's SHA-256.
func (g *generator) sign(key *ecdsa.PrivateKey, message []byte) []byte {
	digest := sha256.Sum256(message)
	signature, err := ecdsa.SignASN1(crand.Reader, key, digest[:])
	if err != nil {
		g.t.Fatal(err)
	}
	return signature
}

// lateEmergency is one that a hospital's doctor signed; now and then another's.
func (g *generator) lateEmergency() record.LateEmergency {
	l := pick(g, g.letters)
	q := record.LateEmergency{EmergencyStatement: record.EmergencyStatement{
		Patient: l.Patient, Participant: g.doctors[l.at], Record: l.Record, Time: soon(-time.Hour), Reason: make([]byte, sha256.Size),
	}}
	crand.Read(q.ID[:]) // never fails (crypto/rand)
	by := l.at
	if g.IntN(4) == 0 {
		by = g.IntN(len(g.signing))
	}
	q.Signature = g.sign(g.signing[by], q.Message())
	return q
}

// sealed looks like the sealed key of the letter that is released.
func (g *generator) sealed() []byte {
	l := g.releasing
	return record.SealedRelease{
		Encapsulated: make([]byte, record.EncapsulatedKeySize),
		Versions: []record.ReleasedVersion{{
			Record: l.Record, Version: l.page, Documents: []record.ReleasedDocument{{Tag: l.page, CID: l.cid}},
		}},
		Metadata: []byte("sealed"),
	}.Encode()
}

func (g *generator) newReference() record.Reference {
	var random [10]byte
	random[0], random[1] = byte(g.Uint32()), byte(g.Uint32())
	return record.NewReference(pick(g, g.members), random)
}

// notes seals something to each institution and its appliance.
func (g *generator) notes() []byte {
	var notes []record.SealedNote
	for i, m := range g.members {
		for _, to := range []record.ParticipantID{record.InstitutionID(m), g.appliances[i]} {
			notes = append(notes, record.SealedNote{Recipient: to, Ciphertext: make([]byte, 1400)})
		}
	}
	return marshalJSON(g.t, notes)
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
		tag := pick(g, g.letters).page
		if seen || g.IntN(4) > 0 || slices.ContainsFunc(b.Versions, func(o record.Version) bool { return o.Name() == tag }) {
			crand.Read(tag[:]) // never fails (crypto/rand)
		}
		v.Documents = []record.Document{{Tag: tag, CID: cid(strconv.Itoa(g.IntN(2)))}}
		b.Versions = append(b.Versions, v)
	}
	return b
}

// learn remembers what a committed call made.
func (g *generator) learn(c *trial) {
	id := c.proposal.txID.ID()
	g.ids = append(g.ids, id)
	if !c.succeeded() {
		return
	}
	switch c.call.function {
	case record.AnchorFunction:
		g.anchorings = append(g.anchorings, id)
	case record.ProposeFunction:
		g.decisions = append(g.decisions, id)
	case record.RequestFunction, record.BreakGlassFunction:
		q := reread[struct{ Patient record.Reference }](g, c)
		made := record.Choice{Patient: q.Patient, Participant: g.owners[c.signer], Request: id}
		if c.call.function == record.BreakGlassFunction {
			g.glass = append(g.glass, made)
		}
		g.asked = append(g.asked, made)
	case record.ReleaseFunction:
		q := reread[struct {
			Patient   record.Reference
			Recipient record.ParticipantID
		}](g, c)
		g.releases = append(g.releases, released{q.Patient, record.ReleaseName{Recipient: q.Recipient, ID: id}})
	case record.ReferFunction:
		q := reread[record.Choice](g, c)
		q.Request = id
		g.asked = append(g.asked, q)
	case record.ProposeAppointmentFunction:
		q := reread[record.AppointmentName](g, c)
		q.ID = id
		g.booked = append(g.booked, q)
	}
}

// reread reads of a call's request what it has in common with another.
func reread[Q any](g *generator, c *trial) (q Q) {
	if err := json.Unmarshal([]byte(c.call.arguments[0]), &q); err != nil {
		g.t.Fatal(err)
	}
	return q
}
