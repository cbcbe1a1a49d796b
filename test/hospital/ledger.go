package hospital

import (
	"context"

	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/test/consortium"
)

// Connect asks a member's peer as a new appliance of that member, beside the hospital's own: so that what a hospital
// says can be held against another's peer.
func Connect(ctx context.Context, network *devnet.Network, member *devnet.Member) (*ledger.Client, error) {
	identity, err := enrol(ctx, network, member)
	if err != nil {
		return nil, err
	}
	return ledger.Connect(ctx, identity)
}

// enrol makes a new appliance of the member's institution, and says how it connects.
func enrol(ctx context.Context, network *devnet.Network, member *devnet.Member) (ledger.Options, error) {
	appliance, err := consortium.Appliance(ctx, network, member)
	if err != nil {
		return ledger.Options{}, err
	}
	return appliance.LedgerOptions(), appliance.Close()
}
