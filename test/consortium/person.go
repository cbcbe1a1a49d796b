package consortium

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/wallet"
)

const (
	// settleTimeout bounds how long a block takes from one peer to all.
	settleTimeout = 20 * time.Second
	// askAgain is how often a peer is asked that has not even the block before.
	askAgain = 20 * time.Millisecond
)

// Person is a participant with their wallet, connected to their institution's peer.
type Person struct {
	*wallet.Wallet
	*ledger.Client
	ID record.ParticipantID

	network *devnet.Network
	peers   []*ledger.Client // to every member's peer, as this person
}

// connect connects the wallet's owner.
func connect(ctx context.Context, network *devnet.Network, w *wallet.Wallet) (*Person, error) {
	p := &Person{Wallet: w, ID: w.Participant, network: network}
	var err error
	if p.Client, err = ledger.Connect(ctx, w.LedgerOptions()); err != nil {
		return nil, err
	}
	for _, m := range network.Members {
		peer, err := p.At(ctx, m)
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.peers = append(p.peers, peer)
	}
	return p, nil
}

// At connects the person to a member's peer: any member's takes them.
func (p *Person) At(ctx context.Context, m *devnet.Member) (*ledger.Client, error) {
	o := p.LedgerOptions()
	o.Peer, o.TLSCAFile = m.Peer.Address, m.RootCert
	return ledger.Connect(ctx, o)
}

// Close ends the person's connections.
func (p *Person) Close() error {
	err := p.Client.Close()
	for _, peer := range p.peers {
		err = errors.Join(err, peer.Close())
	}
	return err
}

// Do is [ledger.Client.Act], and waits until every member's peer has the transaction.
func (p *Person) Do(ctx context.Context, function string, request record.Request, result any, notes ...record.SealedNote,
) (ledger.Acted, error) {
	acted, err := p.Act(ctx, function, request, result, notes...)
	if err != nil {
		return acted, err
	}
	return acted, p.Await(ctx, acted.Block)
}

// settled passes an error on, or waits until every peer has what the person's own has now.
func (p *Person) settled(ctx context.Context, err error) error {
	if err != nil {
		return err
	}
	height, err := p.Height(ctx)
	if err != nil {
		return err
	}
	return p.Await(ctx, height-1)
}

// Await waits until every member's peer has a block. A transaction that builds on it is refused by a peer that has not.
func (p *Person) Await(ctx context.Context, block uint64) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	waits, ctx := errgroup.WithContext(ctx)
	for i, peer := range p.peers {
		waits.Go(func() error {
			if err := await(ctx, peer, block); err != nil {
				return fmt.Errorf("wait for block %d at %s: %w", block, p.network.Members[i].Peer.Name, err)
			}
			return nil
		})
	}
	return waits.Wait()
}

// await waits until a peer has a block. One that lacks the block before it as well refuses to stream from there on (NOT_FOUND): it
// is asked again.
func await(ctx context.Context, peer *ledger.Client, block uint64) error {
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		for _, err := range peer.Blocks(ctx, block) {
			if err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
}
