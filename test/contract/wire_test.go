package contract

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/identity"
	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"github.com/hyperledger/fabric-protos-go-apiv2/msp"
	"github.com/hyperledger/fabric-protos-go-apiv2/orderer"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/test/consortium"
)

// signer signs transactions by hand: with any timestamp, for any peers, and not through a gateway.
type signer struct {
	channel, chaincode string
	creator            []byte // msp.SerializedIdentity
	sign               identity.Sign
}

// newSigner reads the credentials that a ledger client would use.
func newSigner(t *testing.T, o ledger.Options) *signer {
	t.Helper()
	certificate, err := os.ReadFile(o.CertificateFile)
	if err != nil {
		t.Fatal(err)
	}
	sign, err := identity.NewPrivateKeySign(readKey(t, o.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	creator := marshal(t, &msp.SerializedIdentity{Mspid: o.MSPID, IdBytes: certificate})
	return &signer{o.Channel, o.Chaincode, creator, sign}
}

func readKey(t *testing.T, file string) *ecdsa.PrivateKey {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		t.Fatalf("%s is not PEM", file)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	signing, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("%s holds a %T", file, key)
	}
	return signing
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func marshalJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// invocation is what a transaction runs.
type invocation struct {
	function  string
	arguments []string
	transient map[string][]byte
	at        time.Time // the transaction's timestamp
}

// proposal is a signed proposal.
type proposal struct {
	txID    record.TxID
	header  *common.Header
	payload *peer.ChaincodeProposalPayload
	signed  *peer.SignedProposal
}

// propose signs a proposal.
func (s *signer) propose(t *testing.T, call invocation) *proposal {
	t.Helper()
	nonce := make([]byte, 24)
	rand.Read(nonce) // never fails (crypto/rand)
	p := &proposal{txID: sha256.Sum256(append(nonce, s.creator...))}
	id := &peer.ChaincodeID{Name: s.chaincode}
	p.header = &common.Header{
		ChannelHeader: marshal(t, &common.ChannelHeader{
			Type: int32(common.HeaderType_ENDORSER_TRANSACTION), TxId: hex.EncodeToString(p.txID[:]), ChannelId: s.channel,
			Timestamp: timestamppb.New(call.at), Extension: marshal(t, &peer.ChaincodeHeaderExtension{ChaincodeId: id}),
		}),
		SignatureHeader: marshal(t, &common.SignatureHeader{Creator: s.creator, Nonce: nonce}),
	}
	input := &peer.ChaincodeInput{Args: [][]byte{[]byte(call.function)}}
	for _, argument := range call.arguments {
		input.Args = append(input.Args, []byte(argument))
	}
	p.payload = &peer.ChaincodeProposalPayload{
		Input: marshal(t, &peer.ChaincodeInvocationSpec{ChaincodeSpec: &peer.ChaincodeSpec{
			Type: peer.ChaincodeSpec_GOLANG, ChaincodeId: id, Input: input,
		}}),
		TransientMap: call.transient,
	}
	wire := marshal(t, &peer.Proposal{Header: marshal(t, p.header), Payload: marshal(t, p.payload)})
	p.signed = &peer.SignedProposal{ProposalBytes: wire, Signature: s.signed(t, wire)}
	return p
}

func (s *signer) signed(t *testing.T, message []byte) []byte {
	t.Helper()
	digest := sha256.Sum256(message)
	signature, err := s.sign(digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// transaction makes the envelope of an endorsed proposal.
func (s *signer) transaction(t *testing.T, p *proposal, responses ...*peer.ProposalResponse) *common.Envelope {
	t.Helper()
	action := &peer.ChaincodeEndorsedAction{ProposalResponsePayload: responses[0].GetPayload()}
	for _, r := range responses {
		action.Endorsements = append(action.Endorsements, r.GetEndorsement())
	}
	public := &peer.ChaincodeProposalPayload{Input: p.payload.GetInput()} // transient data stays off the chain
	payload := marshal(t, &common.Payload{Header: p.header, Data: marshal(t, &peer.Transaction{
		Actions: []*peer.TransactionAction{{
			Header: p.header.GetSignatureHeader(),
			Payload: marshal(t, &peer.ChaincodeActionPayload{
				ChaincodeProposalPayload: marshal(t, public), Action: action,
			}),
		}},
	})})
	return &common.Envelope{Payload: payload, Signature: s.signed(t, payload)}
}

// dial connects to a node of an organisation.
func dial(t *testing.T, node *devnet.Node, rootCert string) *grpc.ClientConn {
	t.Helper()
	root, err := os.ReadFile(rootCert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(root)
	conn, err := grpc.NewClient(node.Address, grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, "")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// endorsers connects to every member's peer.
func endorsers(t *testing.T, n *devnet.Network) []peer.EndorserClient {
	t.Helper()
	var all []peer.EndorserClient
	for _, m := range n.Members {
		all = append(all, peer.NewEndorserClient(dial(t, m.Peer, m.RootCert)))
	}
	return all
}

// endorse asks one peer. What the chaincode refused is a *record.Error.
func endorse(ctx context.Context, endorser peer.EndorserClient, p *proposal) (*peer.ProposalResponse, error) {
	response, err := endorser.ProcessProposal(ctx, p.signed)
	if err != nil {
		return nil, err
	}
	if answer := response.GetResponse(); answer.GetStatus() != int32(common.Status_SUCCESS) {
		if refusal, ok := record.ParseError(answer.GetMessage()); ok {
			return response, refusal
		}
		return response, errors.New(answer.GetMessage())
	}
	return response, nil
}

// ordering connects to the orderer.
func ordering(t *testing.T, n *devnet.Network) orderer.AtomicBroadcastClient {
	t.Helper()
	return orderer.NewAtomicBroadcastClient(dial(t, n.Orderer.Node, n.Orderer.RootCert))
}

// broadcast hands a transaction to the orderer.
func broadcast(t *testing.T, to orderer.AtomicBroadcastClient, envelope *common.Envelope) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := to.Broadcast(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(envelope); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil || answer.GetStatus() != common.Status_SUCCESS {
		t.Fatalf("the orderer answers %v, %v", answer, err)
	}
}

// run endorses a call at every peer, and has it ordered and committed there. It gives the transaction, and the refusal if
// endorsers refused it.
func (s *signer) run(t *testing.T, n *devnet.Network, look *consortium.Person, call invocation) (ledger.Transaction, error) {
	t.Helper()
	p := s.propose(t, call)
	var responses []*peer.ProposalResponse
	for _, endorser := range endorsers(t, n) {
		response, err := endorse(t.Context(), endorser, p)
		if err != nil {
			return ledger.Transaction{}, fmt.Errorf("%s: %w", call.function, err)
		}
		responses = append(responses, response)
	}
	broadcast(t, ordering(t, n), s.transaction(t, p, responses...))
	tx := awaitTransaction(t, look.Client, p.txID)
	if err := look.Await(t.Context(), tx.Block); err != nil { // any peer may endorse what is next
		t.Fatal(err)
	}
	return tx, nil
}

// awaitTransaction waits until a peer has committed a transaction, valid or not.
func awaitTransaction(t *testing.T, look *ledger.Client, id record.TxID) (found ledger.Transaction) {
	t.Helper()
	poll(t, "the transaction is on the chain", 20*time.Second, func() bool {
		var err error
		found, err = look.Transaction(t.Context(), id)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			t.Fatal(err)
		}
		return err == nil
	})
	return found
}
