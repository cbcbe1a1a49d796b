package hospital

import (
	"context"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/ledger"
)

// Connect asks a member's peer as a new appliance of that member, beside the hospital's own: so that what a hospital
// says can be held against another's peer.
func Connect(ctx context.Context, network *devnet.Network, member *devnet.Member) (*ledger.Client, error) {
	identity, err := member.Enroll(ctx, string(record.ApplianceRole))
	if err != nil {
		return nil, err
	}
	return ledger.Connect(ctx, ledger.Options{
		Peer: member.Peer.Address, TLSCAFile: member.RootCert, MSPID: member.MSPID,
		CertificateFile: identity.Cert, KeyFile: identity.Key, Channel: network.Channel, Chaincode: network.Chaincode,
	})
}
