package devnet

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// DirEnv names the environment variable that holds the folder of a network to attach to.
const DirEnv = "MEDANCHOR_DEVNET"

// descriptionFile is the file in a network's folder that [Attach] reads. It is written last, once the network is ready.
const descriptionFile = "network.json"

// Network is a running network: its owner's, from [Start], or another process's, from [Attach]. Its fields are for reading.
// It is safe for concurrent use.
type Network struct {
	Dir       string // everything that the network's processes write
	Channel   string // the channel that all peers have joined
	Chaincode string // the name under which the chaincode is committed
	Orderer   *Orderer
	Members   []*Member

	close func() error // nil for an attached network
}

// Organisation is what a hospital and the orderer's owner have in common.
type Organisation struct {
	Name     string // short, fit for file names: "northfield"
	Title    string // for people: "Northfield General Hospital" (fictitious)
	MSPID    string
	Dir      string // the organisation's folder
	RootCert string // PEM file: root of all its certificates, those of TLS included
	CA       *Node
	// Admin administers the organisation on the channel (organisational unit admin): it installs and approves chaincode.
	Admin Identity
	// Registrar may register identities at the CA.
	Registrar Identity
}

// Member is a hospital of the consortium.
type Member struct {
	Organisation
	Peer      *Node
	Chaincode *Node
}

// Orderer is the ordering service and the organisation that runs it.
type Orderer struct {
	Organisation
	Node         *Node
	AdminAddress string // host:port of the channel participation interface; mutual TLS
}

// Node is one process of the network. Its certificates are valid for the host of its Address: TLS needs no other name.
type Node struct {
	Name    string // unique in the network: "northfield-peer"
	Dir     string // all that the node writes, but its log
	Log     string // standard output and standard error
	Address string // host:port, the same after a restart

	control controller
}

// controller does things to a node: [child] in the owner's process, [remote] in another.
type controller interface {
	apply(ctx context.Context, do action) error
}

// action is what can be done to a node.
type action string

const (
	stop   action = "stop"
	kill   action = "kill"
	freeze action = "freeze"
	thaw   action = "thaw"
	start  action = "start"
)

// Stop ends the node (SIGTERM, and SIGKILL after five seconds) and waits for its end. It also ends a frozen node. A node
// that does not run is left alone.
func (n *Node) Stop(ctx context.Context) error { return n.control.apply(ctx, stop) }

// Kill ends the node at once (SIGKILL). A node that does not run is left alone.
func (n *Node) Kill(ctx context.Context) error { return n.control.apply(ctx, kill) }

// Freeze suspends the node (SIGSTOP): connections to it stay open, and nobody answers.
func (n *Node) Freeze(ctx context.Context) error { return n.control.apply(ctx, freeze) }

// Thaw lets a frozen node go on; a node that is not frozen does not notice.
func (n *Node) Thaw(ctx context.Context) error { return n.control.apply(ctx, thaw) }

// Start starts a node that was stopped, on the same address with the same data, and returns once it listens. What needs
// several nodes may take longer: see [Network.WaitReady]. A node that runs is left alone.
func (n *Node) Start(ctx context.Context) error { return n.control.apply(ctx, start) }

// Nodes lists every process, those that others need before the others.
func (n *Network) Nodes() []*Node {
	nodes := []*Node{n.Orderer.CA}
	for _, m := range n.Members {
		nodes = append(nodes, m.CA)
	}
	nodes = append(nodes, n.Orderer.Node)
	for _, m := range n.Members {
		nodes = append(nodes, m.Chaincode, m.Peer)
	}
	return nodes
}

// Close ends every process of the network, and removes its folder if that is a temporary one. For an attached network it
// does nothing: its owner ends it. It is idempotent.
func (n *Network) Close() error {
	if n.close == nil {
		return nil
	}
	return n.close()
}

// Restore brings every node back into service: those that are frozen go on, those that are stopped start, and the network
// is ready again.
func (n *Network) Restore(ctx context.Context) error {
	for _, node := range n.Nodes() {
		if err := errors.Join(node.Start(ctx), node.Thaw(ctx)); err != nil {
			return fmt.Errorf("restore network: %w", err)
		}
	}
	return n.WaitReady(ctx)
}

// WaitReady waits until the network is whole: the orderer has a leader, the peers have all found each other, and each of
// them gets a query endorsed by a majority. It needs every node.
func (n *Network) WaitReady(ctx context.Context) error {
	waits, ctx := errgroup.WithContext(ctx)
	waits.Go(func() error { return n.awaitLeader(ctx) })
	for _, m := range n.Members {
		waits.Go(func() error { return m.awaitWhole(ctx, n) })
	}
	if err := waits.Wait(); err != nil {
		return fmt.Errorf("wait for the network: %w", err)
	}
	return nil
}

// Attach gives the network that another process runs in dir.
func Attach(dir string) (*Network, error) {
	text, err := os.ReadFile(filepath.Join(dir, descriptionFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("attach to network: none is ready in %s: start one with devnet up --dir", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("attach to network: %w", err)
	}
	n := new(Network)
	if err := json.Unmarshal(text, n); err != nil {
		return nil, fmt.Errorf("attach to network: read %s: %w", descriptionFile, err)
	}
	client := controlClient(n.Dir)
	for _, node := range n.Nodes() {
		node.control = remote{http: client, node: node.Name}
	}
	return n, nil
}

// describe writes what Attach reads. A reader sees all of it or none.
func (n *Network) describe() error {
	text, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(n.Dir, descriptionFile)
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// rootPool reads the organisation's root certificate.
func (o *Organisation) rootPool() (*x509.CertPool, error) {
	text, err := os.ReadFile(o.RootCert)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read %s: no certificate in it", o.RootCert)
	}
	return pool, nil
}
