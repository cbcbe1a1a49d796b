package devnet

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hyperledger/fabric-admin-sdk/pkg/chaincode"
	"github.com/hyperledger/fabric-admin-sdk/pkg/discovery"
	"github.com/hyperledger/fabric-admin-sdk/pkg/identity"
	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-gateway/pkg/hash"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/medanchor/medanchor/devnet/internal/proc"
)

// chaincodeName is the name under which the members agree on the chaincode.
const chaincodeName = "medanchor"

// attemptTimeout bounds one try of what is tried until it works.
const attemptTimeout = 5 * time.Second

// packageChaincode makes the package that every member installs. As a service needs no code, the package holds the digest
// of the program, so that its ID says what was agreed on; where a member's own server is, its builder knows.
func packageChaincode(program string) ([]byte, error) {
	code, err := os.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("package chaincode: %w", err)
	}
	digest := sha256.Sum256(code)
	inner, err := tarball(tarFile{"chaincode.sha256", fmt.Appendf(nil, "%x\n", digest)})
	if err != nil {
		return nil, fmt.Errorf("package chaincode: %w", err)
	}
	outer, err := tarball(
		tarFile{"metadata.json", []byte(`{"type":"ccaas","label":"` + chaincodeName + `"}`)},
		tarFile{"code.tar.gz", inner},
	)
	if err != nil {
		return nil, fmt.Errorf("package chaincode: %w", err)
	}
	return outer, nil
}

type tarFile struct {
	name string
	data []byte
}

// tarball makes a compressed archive, the same for the same files.
func tarball(files ...tarFile) ([]byte, error) {
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for _, f := range files {
		header := tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: 0o644, Size: int64(len(f.data))}
		if err := archive.WriteHeader(&header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := errors.Join(archive.Close(), zipped.Close())
	return out.Bytes(), err
}

// builderDir is the folder of a member's external builder.
func builderDir(m *Member) string { return filepath.Join(m.Peer.Dir, "builder") }

// writeBuilder writes a member's external builder: three scripts, which the peer runs when a package is installed, and
// the connection to the member's own chaincode server. The connection holds the peer's TLS key, which is why it is not in
// the package that all members share.
func writeBuilder(m *Member, peerTLS tlsFiles) error {
	root, errRoot := os.ReadFile(m.RootCert)
	cert, errCert := os.ReadFile(peerTLS.cert)
	key, errKey := os.ReadFile(peerTLS.key)
	if err := errors.Join(errRoot, errCert, errKey); err != nil {
		return fmt.Errorf("write chaincode builder: %w", err)
	}
	connection, err := json.Marshal(map[string]any{
		"address":              m.Chaincode.Address,
		"dial_timeout":         "3s",
		"tls_required":         true,
		"client_auth_required": true,
		"client_cert":          string(cert),
		"client_key":           string(key),
		"root_cert":            string(root),
	})
	if err != nil {
		return fmt.Errorf("write chaincode builder: %w", err)
	}
	dir := builderDir(m)
	err = errors.Join(
		os.MkdirAll(filepath.Join(dir, "bin"), 0o700),
		os.WriteFile(filepath.Join(dir, "connection.json"), connection, 0o600),
		writeScript(dir, "detect", `grep -q '"type":"ccaas"' "$2/metadata.json"`),
		writeScript(dir, "build", `exit 0`),
		writeScript(dir, "release", `mkdir -p "$2/chaincode/server" && cp "${0%/bin/*}/connection.json" "$2/chaincode/server/"`),
	)
	if err != nil {
		return fmt.Errorf("write chaincode builder: %w", err)
	}
	return nil
}

func writeScript(dir, name, line string) error {
	return os.WriteFile(filepath.Join(dir, "bin", name), []byte("#!/bin/sh\n"+line+"\n"), 0o700)
}

// installAndApprove installs the package on the member's peer and gives the member's consent to the definition.
func (m *Member) installAndApprove(ctx context.Context, pkg []byte, definition *chaincode.Definition) error {
	conn, admin, err := m.connect(m.Peer)
	if err != nil {
		return fmt.Errorf("install chaincode: %w", err)
	}
	defer conn.Close()
	if _, err := chaincode.NewPeer(conn, admin).Install(ctx, bytes.NewReader(pkg)); err != nil {
		return fmt.Errorf("install chaincode: %w", err)
	}
	if err := chaincode.NewGateway(conn, admin).Approve(ctx, definition); err != nil {
		return fmt.Errorf("approve chaincode: %w", err)
	}
	return nil
}

// commitChaincode puts the definition, which all have approved, into force. A majority must endorse that, so it is tried
// until the peers have found each other; a refused endorsement has changed nothing.
func (m *Member) commitChaincode(ctx context.Context, definition *chaincode.Definition) error {
	conn, admin, err := m.connect(m.Peer)
	if err != nil {
		return fmt.Errorf("commit chaincode: %w", err)
	}
	defer conn.Close()
	gateway := chaincode.NewGateway(conn, admin)
	var final error
	err = proc.Poll(ctx, func(ctx context.Context) error {
		err := gateway.Commit(ctx, definition)
		if _, refused := errors.AsType[*client.EndorseError](err); refused {
			return err
		}
		final = err
		return nil
	})
	if err = cmp.Or(err, final); err != nil {
		return fmt.Errorf("commit chaincode: %w", err)
	}
	return nil
}

// awaitWhole waits until the member's peer knows all members' peers with the chaincode, and a query sent to it is endorsed
// as the channel's policy demands.
func (m *Member) awaitWhole(ctx context.Context, n *Network) error {
	conn, admin, err := m.connect(m.Peer)
	if err != nil {
		return err
	}
	defer conn.Close()
	// The administrator's Sign hashes by itself.
	gateway, err := client.Connect(admin, client.WithClientConnection(conn), client.WithSign(admin.Sign), client.WithHash(hash.NONE))
	if err != nil {
		return err
	}
	defer gateway.Close()
	contract := gateway.GetNetwork(n.Channel).GetContractWithName(n.Chaincode, "org.hyperledger.fabric")
	directory := discovery.NewPeer(conn, admin)
	interest := &peer.ChaincodeInterest{Chaincodes: []*peer.ChaincodeCall{{Name: n.Chaincode}}}
	return proc.Poll(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		known, err := directory.PeerMembershipQuery(ctx, n.Channel, interest)
		if err != nil {
			return err
		}
		found := 0
		for _, peers := range known.GetPeersByOrg() { // of an organisation whose peer is known, but not yet with the chaincode, none
			if len(peers.GetPeers()) > 0 {
				found++
			}
		}
		if found < len(n.Members) {
			return fmt.Errorf("%s knows the peers of %d of %d members", m.Peer.Name, found, len(n.Members))
		}
		proposal, err := contract.NewProposal("GetMetadata")
		if err != nil {
			return err
		}
		_, err = proposal.EndorseWithContext(ctx)
		return err
	})
}

// connect makes a connection to one of the organisation's nodes, for its administrator.
func (o *Organisation) connect(node *Node) (*grpc.ClientConn, identity.SigningIdentity, error) {
	admin, err := o.Admin.signer()
	if err != nil {
		return nil, nil, err
	}
	pool, err := o.rootPool()
	if err != nil {
		return nil, nil, err
	}
	conn, err := grpc.NewClient(node.Address, grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, "")))
	return conn, admin, err
}
