package devnet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hyperledger/fabric-admin-sdk/pkg/chaincode"
	"golang.org/x/sync/errgroup"

	"github.com/medanchor/medanchor/devnet/internal/proc"
	"github.com/medanchor/medanchor/ledger/fabricca"
)

// startTimeout bounds Start, beyond any machine that is merely busy.
const startTimeout = 3 * time.Minute

// hospitals are the fictitious members, in order.
var hospitals = []struct{ name, title, mspID string }{
	{"northfield", "Northfield General Hospital", "NorthfieldMSP"},
	{"eastmoor", "Eastmoor Infirmary", "EastmoorMSP"},
	{"southgate", "Southgate Children's Hospital", "SouthgateMSP"},
	{"westhaven", "Westhaven Community Hospital", "WesthavenMSP"},
	{"millbrook", "Millbrook Teaching Hospital", "MillbrookMSP"},
	{"ashdown", "Ashdown Cottage Hospital", "AshdownMSP"},
	{"harrowdale", "Harrowdale Eye Hospital", "HarrowdaleMSP"},
	{"kingsbury", "Kingsbury Heart Centre", "KingsburyMSP"},
}

// Start builds what is not up to date, and makes a network. When it returns, the network is ready: transactions are
// endorsed by a majority, ordered and committed. The caller ends it with [Network.Close]; it also ends when the caller's
// process does, however that happens. ctx bounds the start only. A start that fails leaves nothing running.
func Start(ctx context.Context, opts Options) (_ *Network, err error) {
	opts, err = opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("start network: %w", err)
	}
	programs, err := Build(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("start network: %w", err)
	}
	place, err := opts.makeFolder(ctx)
	if err != nil {
		return nil, fmt.Errorf("start network: %w", err)
	}
	l := &launch{
		programs: programs,
		log:      opts.Log,
		network:  &Network{Dir: place.path, Channel: channelName, Chaincode: chaincodeName},
		spawner: proc.NewSpawner(func(name string, err error) {
			fmt.Fprintf(opts.Log, "devnet: %s ended by itself: %v\n", name, err)
		}),
		tls: make(map[*Node]tlsFiles),
	}
	l.network.close = sync.OnceValue(func() error { return errors.Join(l.end(), place.close()) })

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := l.run(ctx, opts.Hospitals); err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err) // gRPC's errors do not tell
		}
		// The folder stays: its logs are the evidence.
		return nil, errors.Join(fmt.Errorf("start network in %s: %w", place.path, err), l.end(), place.lock.Close())
	}
	return l.network, nil
}

// launch is a network on its way up.
type launch struct {
	programs   Programs
	log        io.Writer
	network    *Network
	spawner    *proc.Spawner
	endControl func() error

	tls map[*Node]tlsFiles // of orderer, peers and chaincode servers
}

// end stops all that run has started.
func (l *launch) end() error {
	var err error
	if l.endControl != nil {
		err = l.endControl()
	}
	return errors.Join(err, l.spawner.Close())
}

// run brings the network up, step by step.
func (l *launch) run(ctx context.Context, members int) error {
	if err := l.layOut(ctx, members); err != nil {
		return err
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"certificate authorities", l.startCAs},
		{"identities", l.enrolAll},
		{"orderer and peers", l.startNodes},
		{"channel", l.joinAll},
		{"chaincode", l.deploy},
		{"endorsement", l.network.WaitReady},
		{"control", l.publish},
	} {
		start := time.Now()
		if err := step.do(ctx); err != nil {
			return err
		}
		fmt.Fprintf(l.log, "devnet: %-24s %4.1f s\n", step.what, time.Since(start).Seconds())
	}
	return nil
}

// add makes a node a child of this process.
func (l *launch) add(node *Node, spec proc.Spec) {
	spec.Name, spec.Dir, spec.Log = node.Name, node.Dir, node.Log
	node.control = child{process: l.spawner.Process(spec), address: node.Address}
}

// layOut decides the organisations, their folders and addresses.
func (l *launch) layOut(ctx context.Context, members int) error {
	addresses, err := freeAddresses(ctx, 3+3*members)
	if err != nil {
		return err
	}
	next := func() (address string) {
		address, addresses = addresses[0], addresses[1:]
		return address
	}
	node := func(o *Organisation, name string) *Node {
		return &Node{
			Name:    o.Name + "-" + name,
			Dir:     filepath.Join(o.Dir, name),
			Log:     filepath.Join(o.Dir, name+".log"),
			Address: next(),
		}
	}
	organisation := func(name, title, mspID string) Organisation {
		o := Organisation{Name: name, Title: title, MSPID: mspID, Dir: filepath.Join(l.network.Dir, name)}
		o.CA = node(&o, "ca")
		o.RootCert = filepath.Join(o.CA.Dir, "ca-cert.pem")
		return o
	}

	o := &Orderer{Organisation: organisation("ordering", "Ordering Service", "OrderingMSP"), AdminAddress: next()}
	o.Node = node(&o.Organisation, "orderer")
	l.network.Orderer = o
	for _, h := range hospitals[:members] {
		m := &Member{Organisation: organisation(h.name, h.title, h.mspID)}
		m.Peer, m.Chaincode = node(&m.Organisation, "peer"), node(&m.Organisation, "chaincode")
		l.network.Members = append(l.network.Members, m)
	}
	for _, n := range l.network.Nodes() {
		if err := os.MkdirAll(filepath.Join(n.Dir, "tmp"), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// organisations lists the orderer's and the members'.
func (l *launch) organisations() []*Organisation {
	all := []*Organisation{&l.network.Orderer.Organisation}
	for _, m := range l.network.Members {
		all = append(all, &m.Organisation)
	}
	return all
}

// startCAs starts the certificate authorities, each with a registrar whom only its configuration names, and enrols those.
func (l *launch) startCAs(ctx context.Context) error {
	starts, ctx := errgroup.WithContext(ctx)
	for _, o := range l.organisations() {
		registrar := fabricca.Enrolment{ID: newParticipantID(), Secret: rand.Text()}
		spec, err := caSpec(l.programs.CA, o.CA, o.Title, registrar)
		if err != nil {
			return err
		}
		l.add(o.CA, spec)
		starts.Go(func() (err error) {
			if err := o.CA.Start(ctx); err != nil {
				return err
			}
			o.Registrar, err = o.enrol(ctx, registrar, filepath.Join(o.Dir, "registrar"))
			return err
		})
	}
	return starts.Wait()
}

// enrolAll gives every organisation its administrator, and every node its identity and TLS certificate.
func (l *launch) enrolAll(ctx context.Context) error {
	var mu sync.Mutex // guards l.tls
	enrolments, ctx := errgroup.WithContext(ctx)
	node := func(o *Organisation, n *Node, kind string) {
		enrolments.Go(func() error {
			identity, files, err := o.enrolNode(ctx, n, kind)
			if err != nil {
				return fmt.Errorf("enrol %s: %w", n.Name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			l.tls[n] = files
			return writeMSP(filepath.Join(n.Dir, "msp"), identity, o.RootCert)
		})
	}
	for _, o := range l.organisations() {
		enrolments.Go(func() (err error) {
			o.Admin, err = o.enrolAdmin(ctx)
			return err
		})
	}
	node(&l.network.Orderer.Organisation, l.network.Orderer.Node, fabricca.OrdererType)
	for _, m := range l.network.Members {
		node(&m.Organisation, m.Peer, fabricca.PeerType)
		node(&m.Organisation, m.Chaincode, fabricca.ClientType)
	}
	return enrolments.Wait()
}

// startNodes starts the orderer and the peers.
func (l *launch) startNodes(ctx context.Context) error {
	o := l.network.Orderer
	spec, err := ordererSpec(l.programs, o, l.tls[o.Node])
	if err != nil {
		return err
	}
	l.add(o.Node, spec)
	starts, ctx := errgroup.WithContext(ctx)
	starts.Go(func() error { return o.Node.Start(ctx) })
	for _, m := range l.network.Members {
		if err := writeBuilder(m, l.tls[m.Peer]); err != nil {
			return err
		}
		l.add(m.Peer, peerSpec(l.programs, m, l.tls[m.Peer]))
		starts.Go(func() error { return m.Peer.Start(ctx) })
	}
	return starts.Wait()
}

// joinAll makes the channel.
func (l *launch) joinAll(ctx context.Context) error {
	block, err := l.network.genesisBlock(l.tls[l.network.Orderer.Node])
	if err != nil {
		return err
	}
	joins, joining := errgroup.WithContext(ctx)
	joins.Go(func() error { return l.network.joinOrderer(joining, block, l.tls[l.network.Orderer.Node]) })
	for _, m := range l.network.Members {
		joins.Go(func() error { return m.joinPeer(joining, block) })
	}
	if err := joins.Wait(); err != nil {
		return err
	}
	return l.network.awaitLeader(ctx)
}

// deploy runs the chaincode beside each peer, and has the members agree on it.
func (l *launch) deploy(ctx context.Context) error {
	pkg, err := packageChaincode(l.programs.Chaincode)
	if err != nil {
		return err
	}
	id := chaincode.GetPackageID(chaincodeName, pkg)
	collections, err := l.network.collections()
	if err != nil {
		return err
	}
	definition := &chaincode.Definition{
		ChannelName: channelName,
		Name:        chaincodeName,
		Version:     "1",
		Sequence:    1,
		PackageID:   id,
		Collections: collections,
	}
	agreements, agreeing := errgroup.WithContext(ctx)
	for _, m := range l.network.Members {
		l.add(m.Chaincode, chaincodeSpec(l.programs.Chaincode, m, id, l.tls[m.Chaincode]))
		agreements.Go(func() error {
			if err := m.Chaincode.Start(agreeing); err != nil {
				return err
			}
			return m.installAndApprove(agreeing, pkg, definition)
		})
	}
	if err := agreements.Wait(); err != nil {
		return err
	}
	return l.network.Members[0].commitChaincode(ctx, definition)
}

// publish lets other processes attach.
func (l *launch) publish(ctx context.Context) (err error) {
	if l.endControl, err = l.network.serveControl(ctx); err != nil {
		return fmt.Errorf("open control socket: %w", err)
	}
	return l.network.describe()
}
