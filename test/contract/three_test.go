package contract

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/rwset"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/protobuf/proto"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/sealed"
)

// promptly bounds a transaction of two hospitals while the third is in trouble: the peers' gateways turn to another peer
// after 4 s, which may be needed for it once, and once more when the client tries again.
const promptly = 20 * time.Second

// TestThreeHospitals: a majority of three is two, so any one may fail.
func TestThreeHospitals(t *testing.T) {
	n := devnettest.Own(t, 3)
	a, b := hospitals(t, n)
	third := n.Members[2]

	for name, trouble := range map[string]struct {
		node *devnet.Node
		away func(*devnet.Node, context.Context) error
	}{
		"a peer is stopped":          {third.Peer, (*devnet.Node).Stop},
		"a peer is frozen":           {third.Peer, (*devnet.Node).Freeze},
		"a peer has no chaincode":    {third.Chaincode, (*devnet.Node).Stop},
		"a peer's chaincode freezes": {third.Chaincode, (*devnet.Node).Freeze},
	} {
		t.Run(name, func(t *testing.T) {
			if err := trouble.away(trouble.node, t.Context()); err != nil {
				t.Fatal(err)
			}
			goOn(t, "anchor", func() error {
				v := a.version(record.KindLabResult, name)
				_, err := a.appliance.Anchor(t.Context(), record.Batch{Versions: []record.Version{v}})
				return err
			})
			var asked ledger.Acted
			goOn(t, "request", func() (err error) {
				asked, err = b.doctor.Act(t.Context(), record.RequestFunction, asks(a.ref, time.Hour), nil)
				return err
			})
			goOn(t, "reject", func() error {
				q := record.Choice{Patient: a.ref, Participant: b.doctor.ID, Request: asked.ID}
				_, err := a.patient.Act(t.Context(), record.RejectFunction, q, nil)
				return err
			})
			if err := n.Restore(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("a hospital writes private data that is nowhere", func(t *testing.T) { stallNobody(t, n, a, b) })
	t.Run("a hospital has rules of its own", func(t *testing.T) { ownRules(t, a, b) })
}

// ownRules: what an institution sets for itself holds at every peer. It stands here because it changes institutions, which
// other tests share.
func ownRules(t *testing.T, a, b *house) {
	t.Helper()
	rules := record.InstitutionUpdate{Institution: record.Institution{
		Name: a.Member.Title, NoReferrals: true, Retention: []record.Retention{{Kind: record.KindLabResult, Years: 50}},
	}}
	result, version := a.anchor(t, record.KindLabResult, "a result that is kept for fifty years")
	referral := record.Referral{
		Patient: a.ref, Participant: b.doctor.ID, Scope: record.Scope{All: true}, Purpose: record.Treatment, Until: soon(time.Hour),
	}
	do(t, a.clerk, record.ReferFunction, referral)
	reads(t, a, b.doctor, result, version, record.BasisReferral)
	do(t, a.Person, record.UpdateInstitutionFunction, rules)
	reads(t, a, b.doctor, result, version, record.NoBasis) // one that was made before ends too
	referral.Until = soon(2 * time.Hour)
	refused(t, a.clerk, record.WrongState, record.ReferFunction, referral)
	do(t, a.patient, record.RequestErasureFunction, result)
	refused(t, a.clerk, record.Held, record.ProposeFunction, record.Proposal{
		Erase: &record.Erasure{RecordName: result, Versions: []record.Tag{version}},
	})

	// Who represents the patient approves for them, while they do.
	daughter := a.enrol(t, record.RepresentativeRole)
	representation := record.Representation{
		Patient: a.ref, Participant: daughter.ID, Authority: record.AttorneyAuthority, Evidence: a.page, Until: soon(time.Hour),
		Scope: record.Scope{All: true},
	}
	do(t, a.clerk, record.RepresentFunction, representation)
	request := do(t, b.doctor, record.RequestFunction, asks(a.ref, time.Hour))
	do(t, daughter, record.ApproveFunction, record.Approval{Patient: a.ref, Participant: b.doctor.ID, Request: request})
	reads(t, a, b.doctor, result, version, record.BasisGrant)
	do(t, a.clerk, record.EndRepresentationFunction, record.RepresentationEnd{Patient: a.ref, Participant: daughter.ID})
	reads(t, a, b.doctor, result, version, record.NoBasis)

	// A copy is its holder's to erase; the first holder's document stays.
	elsewhere, err := b.Patient(t.Context(), a.patient)
	if err != nil {
		t.Fatal(err)
	}
	do(t, a.patient, record.LinkFunction, record.Link{Patient: a.ref, To: elsewhere})
	held := record.Copy{Record: a.letter.Record, Version: a.page, Tag: a.page, CID: cid("sealed by the second holder")}
	do(t, b.appliance, record.HoldCopyFunction, record.Copies{Patient: elsewhere, Of: a.ref, Copies: []record.Copy{held}})
	theirs := record.RecordName{Patient: elsewhere, Record: a.letter.Record}
	do(t, a.patient, record.RequestErasureFunction, theirs)
	erasure := record.Proposal{Erase: &record.Erasure{RecordName: theirs, Copies: []record.Tag{a.page}}}
	decision := record.DecisionName{Decision: do(t, b.clerk, record.ProposeFunction, erasure)}
	do(t, b.registrar, record.ConfirmFunction, decision)
	refused(t, b.appliance, record.WrongState, record.HoldCopyFunction,
		record.Copies{Patient: elsewhere, Of: a.ref, Copies: []record.Copy{held}})
	if document, err := b.appliance.Document(t.Context(), a.page); err != nil || document.Erased != nil {
		t.Errorf("the first holder's document: %+v, %v", document, err)
	}
}

// goOn has a transaction succeed promptly. To try again is what every client does.
func goOn(t *testing.T, what string, transact func() error) {
	t.Helper()
	began := time.Now()
	err := transact()
	for ledger.Retryable(err) && time.Since(began) < promptly {
		err = transact()
	}
	t.Logf("%s: %s", what, time.Since(began).Round(time.Millisecond))
	if took := time.Since(began); err != nil || took > promptly {
		t.Errorf("%s: %v, after %s", what, err, took)
	}
}

// stallNobody has hospital B order a transaction that it alone endorsed, with its peer's own key, for private data that
// does not exist. Peers must not wait for that data: the next block is everywhere at once.
func stallNobody(t *testing.T, n *devnet.Network, a, b *house) {
	t.Helper()
	note := seal(t, sealed.BreakGlass, a.ref, b.doctor, a.ID, sealed.Note{Text: "None."})
	doctor := newSigner(t, b.doctor.LedgerOptions())
	glass := call(t, 0, record.BreakGlassFunction, record.Emergency{Patient: a.ref, Scope: record.Scope{All: true}})
	glass.transient = map[string][]byte{record.SealedField: marshalJSON(t, []record.SealedNote{note})}
	p := doctor.propose(t, glass)
	response, err := endorse(t.Context(), endorsers(t, n)[1], p)
	if err != nil {
		t.Fatal(err)
	}
	node := ledger.Options{
		MSPID: b.MSPID, CertificateFile: filepath.Join(b.Member.Peer.Dir, "identity", "cert.pem"),
		KeyFile: filepath.Join(b.Member.Peer.Dir, "identity", "key.pem"),
	}
	nowhere(t, newSigner(t, node), response)

	began := time.Now()
	broadcast(t, ordering(t, n), doctor.transaction(t, p, response))
	a.anchor(t, record.KindLabResult, "after the malicious write") // waits until it is on every peer
	if took := time.Since(began); took > promptly/2 {
		t.Errorf("the next block took %s", took)
	}
	if tx := awaitTransaction(t, a.appliance.Client, p.txID); tx.Code != peer.TxValidationCode_ENDORSEMENT_POLICY_FAILURE {
		t.Errorf("the malicious transaction is %s", tx.Code)
	}
	reads(t, a, b.doctor, a.letter, a.page, record.NoBasis)
}

// nowhere changes the hashes of private data in an endorsement to those of no data that there is, and signs it as the peer.
func nowhere(t *testing.T, node *signer, response *peer.ProposalResponse) {
	t.Helper()
	payload, action, sets := &peer.ProposalResponsePayload{}, &peer.ChaincodeAction{}, &rwset.TxReadWriteSet{}
	read := func(wire []byte, m proto.Message) {
		t.Helper()
		if err := proto.Unmarshal(wire, m); err != nil {
			t.Fatal(err)
		}
	}
	read(response.GetPayload(), payload)
	read(payload.GetExtension(), action)
	read(action.GetResults(), sets)
	changed := 0
	for _, set := range sets.GetNsRwset() {
		for _, collection := range set.GetCollectionHashedRwset() {
			collection.PvtRwsetHash[0] ^= 1
			changed++
		}
	}
	if changed == 0 {
		t.Fatal("the endorsement has no private data")
	}
	action.Results = marshal(t, sets)
	payload.Extension = marshal(t, action)
	response.Payload = marshal(t, payload)
	response.Endorsement = &peer.Endorsement{
		Endorser: node.creator, Signature: node.signed(t, append(response.GetPayload(), node.creator...)),
	}
}
