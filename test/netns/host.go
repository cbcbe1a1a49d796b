package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
)

// Host is a machine on a network: a namespace with a loopback, and one network device with one address.
type Host struct {
	Address netip.Addr

	network *Network
	space   space
	port    *netlink.Veth // the switch's end of the cable
}

// Host connects a machine with the address 203.0.113.number to the network, with number from 1 to 254. It ends with the
// test; a process that was started in it should have ended before.
func (n *Network) Host(tb testing.TB, number uint8) *Host {
	tb.Helper()
	h, err := n.newHost(number)
	if err != nil {
		tb.Fatalf("host %d: %v", number, err)
	}
	tb.Cleanup(func() {
		// The cable is removed first: a process that is left in the namespace reaches nobody any more.
		if err := errors.Join(n.links.LinkDel(h.port), h.space.Close()); err != nil {
			tb.Errorf("host %d: %v", number, err)
		}
	})
	return h
}

func (n *Network) newHost(number uint8) (*Host, error) {
	s, err := newSpace()
	if err != nil {
		return nil, err
	}
	h := &Host{Address: netip.AddrFrom4([4]byte{203, 0, 113, number}), network: n, space: s}
	if err := h.connect(number); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return h, nil
}

// device is the name of each host's network device.
const device = "eth0"

// connect lays the cable from the switch to the host. Both of its ends are made where they belong: the machine's own
// namespace never sees them.
func (h *Host) connect(number uint8) error {
	h.port = &netlink.Veth{
		LinkAttrs: named(fmt.Sprintf("port%d", number)), PeerName: device, PeerNamespace: netlink.NsFd(int(h.space.Fd())),
	}
	h.port.MasterIndex = h.network.bridge.Index
	if err := h.network.links.LinkAdd(h.port); err != nil {
		return fmt.Errorf("lay a cable: %w", err)
	}
	if err := errors.Join(h.configure(), h.Join()); err != nil {
		return errors.Join(err, h.network.links.LinkDel(h.port))
	}
	return nil
}

// configure brings the host's own devices up. The one on the network gets its address, and none of IPv6 by itself.
func (h *Host) configure() error {
	links, err := h.space.links()
	if err != nil {
		return err
	}
	defer links.Close()
	loopback, err := links.LinkByName("lo")
	if err != nil {
		return err
	}
	own, err := links.LinkByName(device)
	if err != nil {
		return err
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: h.Address.AsSlice(), Mask: net.CIDRMask(24, 32)}}
	if err := errors.Join(
		links.LinkSetUp(loopback),
		links.LinkSetIP6AddrGenMode(own, nl.IN6_ADDR_GEN_MODE_NONE),
		links.AddrAdd(own, address),
		links.LinkSetUp(own),
	); err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	return nil
}

// Partition pulls the cable: the host keeps its address, and what is sent to it or by it is lost.
func (h *Host) Partition() error { return h.network.links.LinkSetDown(h.port) }

// Join connects the host again.
func (h *Host) Join() error { return h.network.links.LinkSetUp(h.port) }

// Do runs f on the host: the sockets that f itself makes belong to the host for as long as they live, in whatever goroutine
// they are used, and so does a process that f starts. What goroutines make that f starts belongs to the machine. The
// thread that f runs on is the one that this goroutine is locked to, if it is.
func (h *Host) Do(f func() error) error { return h.space.do(f) }

// Dial connects from the host to an address, whose host part is an IP address.
func (h *Host) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	err = h.Do(func() error {
		c, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// Listen listens on the host at an address, whose host part is an IP address.
func (h *Host) Listen(ctx context.Context, network, address string) (l net.Listener, err error) {
	err = h.Do(func() error {
		l, err = new(net.ListenConfig).Listen(ctx, network, address)
		return err
	})
	return l, err
}
