package contract_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"google.golang.org/protobuf/proto"

	"github.com/medanchor/medanchor/chaincode/record"
)

// world is a channel of three hospitals with people in every role, all of them active.
type world struct {
	t       testing.TB
	ledger  *fakeLedger
	a, b, c *hospital
	// patient is registered at a, under reference, with a key.
	patient   *person
	reference record.Reference
	// representative is enrolled at a, and represents nobody yet.
	representative *person
	serial         byte
}

// hospital is a member with its people. The doctor and otherDoctor are alike.
type hospital struct {
	mspID                                    string
	institution, staff, clerk, doctor, locum *person
	appliance                                *person
}

// person is an identity: a key and a certificate.
type person struct {
	id      record.ParticipantID
	role    record.Role
	mspID   string
	key     *ecdsa.PrivateKey
	creator []byte // serialised identity, as a transaction carries it
	spki    []byte
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, ledger: newLedger(t)}
	w.ledger.state = map[string]stateValue{} // everybody here has joined
	w.a, w.b, w.c = w.hospital("StMaryMSP"), w.hospital("NorthgateMSP"), w.hospital("WestfieldMSP")
	w.patient = w.enrol(w.a, record.PatientRole)
	w.representative = w.enrol(w.a, record.RepresentativeRole)
	w.reference = w.newReference(w.a)
	w.must(w.a.staff, record.RegisterPatientFunction,
		record.PatientRegistration{Patient: w.reference, Participant: w.patient.id})
	return w
}

// hospital registers an institution, and enrols its people.
func (w *world) hospital(mspID string) *hospital {
	w.t.Helper()
	h := &hospital{mspID: mspID}
	h.institution = newPerson(w.t, mspID, record.InstitutionRole, record.InstitutionID(mspID))
	key, signature := h.institution.encryptionKey(w.t)
	w.must(h.institution, record.RegisterInstitutionFunction, record.InstitutionRegistration{
		Institution:   record.Institution{Name: mspID, Addresses: []string{"/ip4/203.0.113.7/tcp/4001"}},
		EncryptionKey: key, Signature: signature,
	})
	h.staff, h.clerk = w.enrol(h, record.StaffRole), w.enrol(h, record.StaffRole)
	h.doctor, h.locum = w.enrol(h, record.DoctorRole), w.enrol(h, record.DoctorRole)
	h.appliance = w.enrol(h, record.ApplianceRole)
	return h
}

// enrol invites a new participant of the hospital, who joins.
func (w *world) enrol(h *hospital, role record.Role) *person {
	w.t.Helper()
	p := newPerson(w.t, h.mspID, role, record.NewParticipantID(h.mspID, w.random()))
	w.must(h.institution, record.InviteFunction, record.Invite{Participant: p.id, Role: role})
	key, signature := p.encryptionKey(w.t)
	w.must(p, record.JoinFunction, record.Join{EncryptionKey: key, Signature: signature})
	return p
}

// register makes a patient of the hospital, with the participant (nil: without a key).
func (w *world) register(h *hospital, participant *person) record.Reference {
	w.t.Helper()
	q := record.PatientRegistration{Patient: w.newReference(h)}
	if participant != nil {
		q.Participant = participant.id
	}
	w.must(h.staff, record.RegisterPatientFunction, q)
	return q.Patient
}

// newReference makes a reference of the hospital that is not on the ledger.
func (w *world) newReference(h *hospital) record.Reference {
	return record.NewReference(h.mspID, w.random())
}

// random gives bytes that are new in this world, and the same in each run.
func (w *world) random() (b [10]byte) {
	w.serial++
	b[9] = w.serial
	return b
}

// do runs a function as the person and commits it. Requests are made JSON; a refusal is what the transaction was refused
// with, be it as an error or as a denial that stands in the audit.
func (w *world) do(p *person, function string, request any, notes ...record.SealedNote) (record.Answer, *record.Error) {
	w.t.Helper()
	answer, refused, _ := w.transact(p, function, request, notes...)
	return answer, refused
}

// transact is do, and gives the transaction too.
func (w *world) transact(p *person, function string, request any, notes ...record.SealedNote,
) (answer record.Answer, refused *record.Error, tx *transaction) {
	w.t.Helper()
	return w.transactWith(p, function, request, sealedNotes(w.t, notes))
}

// sealedNotes are transient data: none without any.
func sealedNotes(t testing.TB, notes []record.SealedNote) map[string][]byte {
	t.Helper()
	if len(notes) == 0 {
		return nil
	}
	sealed, err := json.Marshal(notes)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{record.SealedField: sealed}
}

// transactWith is transact with any transient data.
func (w *world) transactWith(p *person, function string, request any, transient map[string][]byte,
) (answer record.Answer, refused *record.Error, tx *transaction) {
	w.t.Helper()
	text, err := json.Marshal(request)
	if err != nil {
		w.t.Fatal(err)
	}
	tx = w.ledger.endorse(p.creator, transient, function, string(text))
	if refused = refusalOf(w.t, tx); refused != nil {
		return answer, refused, tx
	}
	if !w.ledger.commit(tx) {
		w.t.Fatalf("%s: the transaction became invalid", function)
	}
	if tx.ranged || tx.paged {
		w.t.Errorf("%s reads a range: functions that write read single keys only", function)
	}
	if err := json.Unmarshal(tx.response.GetPayload(), &answer); err != nil {
		w.t.Fatal(err)
	}
	if answer.Refused != "" {
		refused, _ = record.ParseError(answer.Refused)
	}
	return answer, refused, tx
}

// must is do, and fails the test on a refusal.
func (w *world) must(p *person, function string, request any, notes ...record.SealedNote) record.Answer {
	w.t.Helper()
	answer, refused := w.do(p, function, request, notes...)
	if refused != nil {
		w.t.Fatalf("%s by %s: %v", function, p.role, refused)
	}
	return answer
}

// refuse is do, and fails the test unless the refusal has the code.
func (w *world) refuse(code record.Code, p *person, function string, request any, notes ...record.SealedNote) {
	w.t.Helper()
	if _, refused := w.do(p, function, request, notes...); refused == nil || refused.Code != code {
		w.t.Errorf("%s by %s of %s: got %v, want %s", function, p.role, p.mspID, refused, code)
	}
}

// ask runs a query as the person.
func ask[T any](w *world, p *person, arguments ...string) (answer T, refused *record.Error) {
	w.t.Helper()
	tx := w.ledger.endorse(p.creator, nil, arguments...)
	if len(tx.writes)+len(tx.private) > 0 {
		w.t.Errorf("the query %s writes", arguments[0])
	}
	if refused = refusalOf(w.t, tx); refused != nil {
		return answer, refused
	}
	if err := json.Unmarshal(tx.response.GetPayload(), &answer); err != nil {
		w.t.Fatal(err)
	}
	return answer, nil
}

// advance moves the clock of all clients.
func (w *world) advance(d time.Duration) { w.ledger.now = w.ledger.now.Add(d) }

// now is the clients' clock, to the second.
func (w *world) now() time.Time { return w.ledger.now.Truncate(time.Second) }

// audit gives all entries of a patient's audit, from the ledger's state.
func (w *world) audit(r record.Reference) (entries []record.AuditEntry) {
	w.t.Helper()
	start, end := record.AuditRange(r)
	it, err := (&transaction{ledger: w.ledger}).GetStateByRange(start, end)
	if err != nil {
		w.t.Fatal(err)
	}
	for it.HasNext() {
		kv, _ := it.Next()
		e, err := record.DecodeAuditEntry(kv.GetKey(), kv.GetValue())
		if err != nil {
			w.t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

// anchor brings versions to the ledger by an appliance.
func (w *world) anchor(h *hospital, versions ...record.Version) {
	w.t.Helper()
	tx := w.ledger.endorse(h.appliance.creator, transient(w.t, versions...), record.AnchorFunction)
	if tx.response.GetStatus() != shim.OK || !w.ledger.commit(tx) {
		w.t.Fatalf("anchor: %s", tx.response.GetMessage())
	}
}

// note makes what looks like a sealed note to the person.
func note(to record.ParticipantID) record.SealedNote {
	return record.SealedNote{Recipient: to, Ciphertext: make([]byte, 1200)}
}

// newPerson makes a key and a certificate that claims role and ID. The ledger does not know of it.
func newPerson(t testing.TB, mspID string, role record.Role, id record.ParticipantID) *person {
	t.Helper()
	return newPersonWith(t, newKey(t), mspID, map[string]string{
		record.RoleAttribute: string(role), record.ParticipantAttribute: id.String(),
	}, role, id)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newPersonWith makes a certificate of a key with the attributes (nil: none).
func newPersonWith(t testing.TB, key *ecdsa.PrivateKey, mspID string, attributes map[string]string, role record.Role,
	id record.ParticipantID,
) *person {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: id.String()}}
	if attributes != nil {
		value, err := json.Marshal(map[string]any{"attrs": attributes})
		if err != nil {
			t.Fatal(err)
		}
		template.ExtraExtensions = []pkix.Extension{{
			Id: asn1.ObjectIdentifier{1, 2, 3, 4, 5, 6, 7, 8, 1}, Value: value,
		}}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	creator, err := proto.Marshal(&msp.SerializedIdentity{
		Mspid: mspID, IdBytes: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	})
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &person{id: id, role: role, mspID: mspID, key: key, creator: creator, spki: spki}
}

// sign signs as a participant's key does: ECDSA over SHA-256, ASN.1.
func (p *person) sign(t testing.TB, message []byte) []byte {
	t.Helper()
	digest := sha256.Sum256(message)
	signature, err := ecdsa.SignASN1(rand.Reader, p.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// encryptionKey makes what looks like an encryption key, and signs it.
func (p *person) encryptionKey(t testing.TB) (key, signature []byte) {
	t.Helper()
	key = make([]byte, record.EncryptionKeySize)
	copy(key, p.id[:])
	return key, p.sign(t, record.EncryptionKeyMessage(p.id, key))
}
