package ledger

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-gateway/pkg/hash"
	"github.com/hyperledger/fabric-gateway/pkg/identity"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

const (
	// DefaultTimeout bounds each call where Options name no other.
	DefaultTimeout = 30 * time.Second

	// maxMessage is the largest message accepted, in bytes: a block, or a long record. gRPC's own limit is 4 MiB.
	maxMessage = 128 << 20

	// A peer refuses clients that ping more often than each minute (peer.keepalive.minInterval).
	pingInterval = time.Minute
	pingTimeout  = 10 * time.Second
	// longestBackoff bounds how long a peer that is back is not noticed. gRPC's own limit is two minutes.
	longestBackoff = 5 * time.Second
)

// Options say where the peer is and who calls. All are required but TLSServerName and Timeout.
type Options struct {
	Peer            string // host:port of the hospital's peer
	TLSCAFile       string // PEM, of the CA that issued the peer's TLS certificate
	TLSServerName   string // the name in that certificate, where it is not the host of Peer
	MSPID           string
	CertificateFile string // PEM, of the appliance
	KeyFile         string // PEM
	Channel         string
	Chaincode       string
	Timeout         time.Duration // of each call; DefaultTimeout if zero
}

// validate names the options that are missing.
func (o Options) validate() error {
	var missing []error
	for _, option := range []struct{ name, value string }{
		{"peer", o.Peer},
		{"TLS CA file", o.TLSCAFile},
		{"MSP ID", o.MSPID},
		{"certificate file", o.CertificateFile},
		{"key file", o.KeyFile},
		{"channel", o.Channel},
		{"chaincode", o.Chaincode},
	} {
		if option.value == "" {
			missing = append(missing, fmt.Errorf("ledger: no %s given", option.name))
		}
	}
	return errors.Join(missing...)
}

// Client is a connection to one channel as one identity. Its methods may be called from several goroutines at once.
type Client struct {
	options    Options
	connection *grpc.ClientConn
	gateway    *client.Gateway
	network    *client.Network
	contract   *client.Contract
	sign       identity.Sign
}

// Connect reads the credentials. It does not wait for the peer: an appliance starts while its peer is away, and each
// call says whether the peer is there. Neither does it judge the certificate's validity: see InForce.
func Connect(_ context.Context, o Options) (*Client, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	id, sign, err := readIdentity(o)
	if err != nil {
		return nil, err
	}
	connection, err := dial(o)
	if err != nil {
		return nil, err
	}
	gateway, err := client.Connect(id, client.WithSign(sign), client.WithHash(hash.SHA256),
		client.WithClientConnection(connection))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to gateway: %w", err), connection.Close())
	}
	network := gateway.GetNetwork(o.Channel)
	return &Client{o, connection, gateway, network, network.GetContract(o.Chaincode), sign}, nil
}

// Close ends the connection and all streams.
func (c *Client) Close() error { return errors.Join(c.gateway.Close(), c.connection.Close()) }

func dial(o Options) (*grpc.ClientConn, error) {
	root, err := os.ReadFile(o.TLSCAFile)
	if err != nil {
		return nil, fmt.Errorf("read the peer's TLS CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(root) {
		return nil, fmt.Errorf("read the peer's TLS CA: %s holds no certificate in PEM: take it from the peer's "+
			"administrator", o.TLSCAFile)
	}
	retry := backoff.DefaultConfig
	retry.MaxDelay = longestBackoff
	connection, err := grpc.NewClient(o.Peer,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			RootCAs: pool, ServerName: o.TLSServerName, MinVersion: tls.VersionTLS12,
		})),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: longestBackoff}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingInterval, Timeout: pingTimeout}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	)
	if err != nil {
		return nil, fmt.Errorf("connect to the peer at %q: %w: give host:port", o.Peer, err)
	}
	return connection, nil
}

func readIdentity(o Options) (*identity.X509Identity, identity.Sign, error) {
	certificate, err := ReadCertificate(o.CertificateFile)
	if err != nil {
		return nil, nil, err
	}
	pem, err := os.ReadFile(o.KeyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("read the appliance's key: %w", err)
	}
	key, err := identity.PrivateKeyFromPEM(pem)
	if err != nil {
		return nil, nil, fmt.Errorf("read the appliance's key in %s: %w", o.KeyFile, err)
	}
	if !matches(certificate, key) {
		return nil, nil, fmt.Errorf("the key in %s is not that of the certificate in %s: give files of one enrolment",
			o.KeyFile, o.CertificateFile)
	}
	id, err := identity.NewX509Identity(o.MSPID, certificate)
	if err != nil {
		return nil, nil, fmt.Errorf("use certificate in %s: %w", o.CertificateFile, err)
	}
	sign, err := identity.NewPrivateKeySign(key)
	if err != nil {
		return nil, nil, fmt.Errorf("use key in %s: %w", o.KeyFile, err)
	}
	return id, sign, nil
}
