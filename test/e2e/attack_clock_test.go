package e2e

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/client"      //nolint:depguard // with another's clock: ledger has no such option
	"github.com/hyperledger/fabric-gateway/pkg/hash"        //nolint:depguard // the same
	"github.com/hyperledger/fabric-gateway/pkg/identity"    //nolint:depguard // the same
	"github.com/hyperledger/fabric-protos-go-apiv2/common"  //nolint:depguard // the same
	"github.com/hyperledger/fabric-protos-go-apiv2/gateway" //nolint:depguard // the same
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"    //nolint:depguard // the same
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
)

// backdated runs a function of the contract with a clock that is behind, and gives the ID of what it made. Its result is read
// into result, if there is one. The transaction must be committed as valid.
func backdated(t *testing.T, as ledger.Options, behind time.Duration, function string, q record.Request, result any) record.ID {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", function, err)
		}
	}
	g := gatewayOf(t, as)
	request, err := json.Marshal(q)
	must(err)
	honest, err := g.GetNetwork(as.Channel).GetContract(as.Chaincode).NewProposal(function, client.WithBytesArguments(request))
	must(err)
	wire, err := honest.Bytes()
	must(err)
	dated, err := g.NewProposal(datedBack(t, wire, behind))
	must(err)
	transaction, err := dated.EndorseWithContext(t.Context())
	must(err)
	answer := struct {
		ID     record.ID `json:"id"`
		Result any       `json:"result"`
	}{Result: result}
	must(json.Unmarshal(transaction.Result(), &answer))
	commit, err := transaction.SubmitWithContext(t.Context())
	must(err)
	status, err := commit.StatusWithContext(t.Context())
	must(err)
	if !status.Successful {
		t.Fatalf("%s is %s", function, status.Code)
	}
	return answer.ID
}

// gatewayOf connects to the peer of an identity.
func gatewayOf(t *testing.T, as ledger.Options) *client.Gateway {
	t.Helper()
	read := func(file string) []byte {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	certificate, err := identity.CertificateFromPEM(read(as.CertificateFile))
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.NewX509Identity(as.MSPID, certificate)
	if err != nil {
		t.Fatal(err)
	}
	key, err := identity.PrivateKeyFromPEM(read(as.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	sign, err := identity.NewPrivateKeySign(key)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := credentials.NewClientTLSFromFile(as.TLSCAFile, as.TLSServerName)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := grpc.NewClient(as.Peer, grpc.WithTransportCredentials(roots))
	if err != nil {
		t.Fatal(err)
	}
	g, err := client.Connect(id, client.WithSign(sign), client.WithHash(hash.SHA256), client.WithClientConnection(connection))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Close()
		connection.Close()
	})
	return g
}

// datedBack alters the timestamp of a proposal that is not signed yet: a gateway.ProposedTransaction.
func datedBack(t *testing.T, wire []byte, behind time.Duration) []byte {
	t.Helper()
	read := func(wire []byte, m proto.Message) {
		t.Helper()
		if err := proto.Unmarshal(wire, m); err != nil {
			t.Fatal(err)
		}
	}
	written := func(m proto.Message) []byte {
		t.Helper()
		wire, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return wire
	}
	var proposed gateway.ProposedTransaction
	var proposal peer.Proposal
	var header common.Header
	var channel common.ChannelHeader
	read(wire, &proposed)
	read(proposed.GetProposal().GetProposalBytes(), &proposal)
	read(proposal.GetHeader(), &header)
	read(header.GetChannelHeader(), &channel)
	channel.Timestamp = timestamppb.New(time.Now().Add(-behind))
	header.ChannelHeader = written(&channel)
	proposal.Header = written(&header)
	proposed.Proposal = &peer.SignedProposal{ProposalBytes: written(&proposal)}
	return written(&proposed)
}
