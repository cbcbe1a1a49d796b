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
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/sealed"
)

// promptly bounds a transaction of two hospitals while the third is in trouble: the peers' gateways turn to another peer
// after 4 s, which may be needed for it once, and once more when the client tries again.
const promptly = 10 * time.Second

// TestThreeHospitals: a majority of three is two, so any one may fail.
func TestThreeHospitals(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a Fabric network: run without -short")
	}
	n, err := devnet.Start(t.Context(), devnet.Options{Hospitals: 3, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
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
