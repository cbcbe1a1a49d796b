package ipfs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// Source is a hospital that may hold a payload, as the ledger names it.
type Source struct {
	// Name is the hospital's pseudonym: it stands in errors.
	Name string
	// Addresses are the multiaddrs of its node, each ending in /p2p/ and the node's peer ID.
	Addresses []string
}

// Addresses gives the multiaddrs at which other hospitals reach this node, each ending in /p2p/ and its peer ID: what an
// institution registers on the ledger. They are the addresses of the machine's interfaces: one that only another
// network's router knows (NAT) is not among them. Loopback addresses are given only if there is nothing else.
func (n *Node) Addresses() []string {
	all := n.kubo.PeerHost.Addrs()
	reachable := slices.DeleteFunc(slices.Clone(all), func(a multiaddr.Multiaddr) bool {
		return manet.IsIPLoopback(a) || manet.IsIP6LinkLocal(a)
	})
	if len(reachable) == 0 {
		reachable = all
	}
	suffix := "/p2p/" + n.kubo.Identity.String()
	addresses := make([]string, len(reachable))
	for i, a := range reachable {
		addresses[i] = a.String() + suffix
	}
	slices.Sort(addresses)
	return addresses
}

// suppliers gives what a source's addresses name: one supplier, or one for each of several peers.
func (s Source) suppliers() []*supplier {
	infos, err := s.parse()
	if err != nil {
		return []*supplier{{name: s.Name, failed: err}}
	}
	var suppliers []*supplier
	for _, info := range infos {
		suppliers = append(suppliers, &supplier{name: s.Name, at: info})
	}
	return suppliers
}

func (s Source) parse() ([]peer.AddrInfo, error) {
	var addresses []multiaddr.Multiaddr
	for _, text := range s.Addresses {
		a, err := multiaddr.NewMultiaddr(text)
		if err != nil {
			return nil, fmt.Errorf("use address %q: %w", text, err)
		}
		addresses = append(addresses, a)
	}
	infos, err := peer.AddrInfosFromP2pAddrs(addresses...)
	if err != nil {
		return nil, fmt.Errorf("use addresses: %w", err)
	}
	if len(infos) == 0 {
		return nil, errNoAddress
	}
	// The peers are tried in the order in which they were registered, which libp2p loses.
	place := func(info peer.AddrInfo) int {
		return slices.IndexFunc(addresses, func(a multiaddr.Multiaddr) bool { return strings.HasSuffix(a.String(), "/"+info.ID.String()) })
	}
	slices.SortFunc(infos, func(a, b peer.AddrInfo) int { return place(a) - place(b) })
	return infos, nil
}
