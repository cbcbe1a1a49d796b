package devnet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// host is where everything listens.
const host = "127.0.0.1"

// Ports are taken from below the range from which Linux picks the ports of outgoing connections (32768 and up): a node
// that is stopped and started again must find its port free, whatever was dialled in between.
const (
	lowestPort  = 20000
	highestPort = 32000
)

// freeAddresses finds n loopback addresses that nobody listens on. They are all held until the last one is found, so that
// no two are the same.
func freeAddresses(ctx context.Context, n int) (addresses []string, err error) {
	var held []net.Listener
	defer func() {
		for _, listener := range held {
			err = errors.Join(err, listener.Close())
		}
	}()
	var config net.ListenConfig
	for range 100 * n {
		if len(addresses) == n {
			return addresses, nil
		}
		address := fmt.Sprintf("%s:%d", host, lowestPort+rand.IntN(highestPort-lowestPort))
		listener, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			continue
		}
		held = append(held, listener)
		addresses = append(addresses, address)
	}
	return nil, fmt.Errorf("find %d free ports between %d and %d: too many are in use", n, lowestPort, highestPort)
}
