package devnet

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/hyperledger/fabric-admin-sdk/pkg/channel"
	"github.com/hyperledger/fabric-admin-sdk/pkg/identity"
	"github.com/hyperledger/fabric-config/configtx"
	"github.com/hyperledger/fabric-config/configtx/membership"
	"github.com/hyperledger/fabric-config/configtx/orderer"
	"github.com/hyperledger/fabric-protos-go-apiv2/common"
	"google.golang.org/protobuf/proto"

	"github.com/medanchor/medanchor/devnet/internal/proc"
	"github.com/medanchor/medanchor/ledger/fabricca"
)

// channelName is the channel of the consortium.
const channelName = "consortium"

// genesisBlock makes the channel's first block: who the members are, and by what rules they decide.
func (n *Network) genesisBlock(consenter tlsFiles) (*common.Block, error) {
	ordering, err := n.ordering(consenter)
	if err != nil {
		return nil, fmt.Errorf("configure channel: %w", err)
	}
	var members []configtx.Organization
	for _, m := range n.Members {
		member, err := m.configuration()
		if err != nil {
			return nil, fmt.Errorf("configure channel: %w", err)
		}
		member.Policies[configtx.EndorsementPolicyKey] = signedBy(m.MSPID, fabricca.PeerType)
		members = append(members, member)
	}
	application := implicitPolicies()
	application[configtx.EndorsementPolicyKey] = implicit("MAJORITY Endorsement")
	application[configtx.LifecycleEndorsementPolicyKey] = implicit("MAJORITY Endorsement")
	block, err := configtx.NewApplicationChannelGenesisBlock(configtx.Channel{
		Orderer: ordering,
		Application: configtx.Application{
			Organizations: members,
			Capabilities:  []string{"V2_5"},
			Policies:      application,
		},
		Capabilities: []string{"V3_0"},
		Policies:     implicitPolicies(),
	}, n.Channel)
	if err == nil {
		err = n.addAnchorPeers(block)
	}
	if err != nil {
		return nil, fmt.Errorf("configure channel: %w", err)
	}
	return block, nil
}

// addAnchorPeers puts every member's peer into the genesis block; without anchor peers the peers of two organisations
// never find each other. It opens the block and closes it again, because fabric-config v0.3.0 leaves out the AnchorPeers of
// an organisation when it makes one.
func (n *Network) addAnchorPeers(block *common.Block) error {
	var (
		envelope common.Envelope
		payload  common.Payload
		config   common.ConfigEnvelope
	)
	if err := proto.Unmarshal(block.GetData().GetData()[0], &envelope); err != nil {
		return err
	}
	if err := proto.Unmarshal(envelope.GetPayload(), &payload); err != nil {
		return err
	}
	if err := proto.Unmarshal(payload.GetData(), &config); err != nil {
		return err
	}
	update := configtx.New(config.GetConfig())
	for _, m := range n.Members {
		peer, err := address(m.Peer)
		if err != nil {
			return err
		}
		if err := update.Application().Organization(m.MSPID).AddAnchorPeer(peer); err != nil {
			return err
		}
	}
	config.Config = update.UpdatedConfig()
	var err error
	if payload.Data, err = proto.Marshal(&config); err != nil {
		return err
	}
	if envelope.Payload, err = proto.Marshal(&payload); err != nil {
		return err
	}
	data, err := proto.Marshal(&envelope)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(data)
	block.Data.Data[0], block.Header.DataHash = data, hash[:]
	return nil
}

// ordering configures the ordering service: one Raft node.
func (n *Network) ordering(consenter tlsFiles) (configtx.Orderer, error) {
	owner, err := n.Orderer.configuration()
	if err != nil {
		return configtx.Orderer{}, err
	}
	// Under channel capability V3_0 the endpoints belong to the organisations; a global list is refused.
	owner.OrdererEndpoints = []string{n.Orderer.Node.Address}
	at, err := address(n.Orderer.Node)
	if err != nil {
		return configtx.Orderer{}, err
	}
	cert, err := identity.ReadCertificate(consenter.cert)
	if err != nil {
		return configtx.Orderer{}, err
	}
	policies := implicitPolicies()
	policies[configtx.BlockValidationPolicyKey] = implicit("ANY Writers")
	return configtx.Orderer{
		OrdererType:   orderer.ConsensusTypeEtcdRaft,
		Organizations: []configtx.Organization{owner},
		EtcdRaft: orderer.EtcdRaft{
			Consenters: []orderer.Consenter{{
				Address:       orderer.EtcdAddress{Host: at.Host, Port: at.Port},
				ClientTLSCert: cert,
				ServerTLSCert: cert,
			}},
			Options: orderer.EtcdRaftOptions{
				// A node that starts again waits ten ticks before it elects itself: 1 s, not the usual 5.
				TickInterval:         "100ms",
				ElectionTick:         10,
				HeartbeatTick:        1,
				MaxInflightBlocks:    5,
				SnapshotIntervalSize: 16 << 20,
			},
		},
		Policies:     policies,
		Capabilities: []string{"V2_0"},
		BatchSize:    orderer.BatchSize{MaxMessageCount: 500, AbsoluteMaxBytes: 10 << 20, PreferredMaxBytes: 2 << 20},
		// A floor under every wait for a commit: the sample's 2 s would be most of each test.
		BatchTimeout: 200 * time.Millisecond,
		State:        orderer.ConsensusStateNormal,
	}, nil
}

// configuration is what the channel knows of an organisation.
func (o *Organisation) configuration() (configtx.Organization, error) {
	root, err := identity.ReadCertificate(o.RootCert)
	if err != nil {
		return configtx.Organization{}, err
	}
	unit := func(name string) membership.OUIdentifier {
		return membership.OUIdentifier{Certificate: root, OrganizationalUnitIdentifier: name}
	}
	return configtx.Organization{
		Name: o.MSPID,
		MSP: configtx.MSP{
			Name:         o.MSPID,
			RootCerts:    []*x509.Certificate{root},
			TLSRootCerts: []*x509.Certificate{root},
			CryptoConfig: membership.CryptoConfig{SignatureHashFamily: "SHA2", IdentityIdentifierHashFunction: "SHA256"},
			NodeOUs: membership.NodeOUs{
				Enable:              true,
				ClientOUIdentifier:  unit(fabricca.ClientType),
				PeerOUIdentifier:    unit(fabricca.PeerType),
				AdminOUIdentifier:   unit(fabricca.AdminType),
				OrdererOUIdentifier: unit(fabricca.OrdererType),
			},
		},
		Policies: map[string]configtx.Policy{
			configtx.ReadersPolicyKey: signedBy(o.MSPID, "member"),
			configtx.WritersPolicyKey: signedBy(o.MSPID, "member"),
			configtx.AdminsPolicyKey:  signedBy(o.MSPID, fabricca.AdminType),
		},
	}, nil
}

func signedBy(mspID, role string) configtx.Policy {
	return configtx.Policy{Type: configtx.SignaturePolicyType, Rule: fmt.Sprintf("OR('%s.%s')", mspID, role)}
}

func implicit(rule string) configtx.Policy {
	return configtx.Policy{Type: configtx.ImplicitMetaPolicyType, Rule: rule}
}

func implicitPolicies() map[string]configtx.Policy {
	return map[string]configtx.Policy{
		configtx.ReadersPolicyKey: implicit("ANY Readers"),
		configtx.WritersPolicyKey: implicit("ANY Writers"),
		configtx.AdminsPolicyKey:  implicit("MAJORITY Admins"),
	}
}

func address(node *Node) (configtx.Address, error) {
	name, port, err := net.SplitHostPort(node.Address)
	if err != nil {
		return configtx.Address{}, err
	}
	number, err := strconv.Atoi(port)
	return configtx.Address{Host: name, Port: number}, err
}

// joinOrderer has the orderer join the channel, through its admin interface, which it opens a little after the other.
func (n *Network) joinOrderer(ctx context.Context, block *common.Block, client tlsFiles) error {
	pool, err := n.Orderer.rootPool()
	if err != nil {
		return fmt.Errorf("join orderer to channel: %w", err)
	}
	cert, err := tls.LoadX509KeyPair(client.cert, client.key)
	if err != nil {
		return fmt.Errorf("join orderer to channel: %w", err)
	}
	err = proc.Poll(ctx, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", n.Orderer.AdminAddress)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		return fmt.Errorf("join orderer to channel: %w", err)
	}
	resp, err := channel.CreateChannel("https://"+n.Orderer.AdminAddress, block, pool, cert)
	if err != nil {
		return fmt.Errorf("join orderer to channel: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		text, err := io.ReadAll(resp.Body)
		return fmt.Errorf("join orderer to channel: %s: %s (%w)", resp.Status, text, err)
	}
	return nil
}

// joinPeer has a member's peer join the channel.
func (m *Member) joinPeer(ctx context.Context, block *common.Block) error {
	conn, admin, err := m.connect(m.Peer)
	if err != nil {
		return fmt.Errorf("join peer to channel: %w", err)
	}
	defer conn.Close()
	if err := channel.JoinChannel(ctx, conn, admin, block); err != nil {
		return fmt.Errorf("join peer to channel: %w", err)
	}
	return nil
}
