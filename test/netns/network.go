package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Network is a switch (a bridge) in a namespace of its own, to which hosts are connected.
type Network struct {
	space  space
	links  *netlink.Handle // of the switch's namespace
	bridge *netlink.Bridge
}

// New makes a network that ends with the test. The test is skipped where it may not make one.
func New(tb testing.TB) *Network {
	tb.Helper()
	n, err := newNetwork()
	if errors.Is(err, fs.ErrPermission) {
		tb.Skipf("needs network namespaces: run as root, with CAP_SYS_ADMIN and CAP_NET_ADMIN: %v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := n.close(); err != nil {
			tb.Error(err)
		}
	})
	return n
}

func newNetwork() (*Network, error) {
	s, err := newSpace()
	if err != nil {
		return nil, err
	}
	n := &Network{space: s, bridge: &netlink.Bridge{LinkAttrs: named("switch")}}
	if n.links, err = s.links(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := errors.Join(n.links.LinkAdd(n.bridge), n.links.LinkSetUp(n.bridge)); err != nil {
		return nil, errors.Join(fmt.Errorf("make a switch: %w", err), n.close())
	}
	return n, nil
}

// close leaves the namespace to those who are in it.
func (n *Network) close() error {
	n.links.Close()
	return n.space.Close()
}

// links gives a handle of the namespace's network devices, for use in any.
func (s space) links() (h *netlink.Handle, err error) {
	err = s.do(func() error {
		h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	return h, err
}

// named are the attributes of a network device that has only a name.
func named(name string) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name = name
	return a
}
