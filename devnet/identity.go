package devnet

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hyperledger/fabric-admin-sdk/pkg/identity"

	"github.com/medanchor/medanchor/devnet/internal/ca"
)

// Names of the attributes that a participant's certificate carries. The chaincode reads them.
const (
	RoleAttribute        = "medanchor.role"
	ParticipantAttribute = "medanchor.participant"
)

// Kinds of identity, as NodeOUs tell them apart. Type "user" would be refused.
const (
	clientType  = "client"
	adminType   = "admin"
	peerType    = "peer"
	ordererType = "orderer"
)

// Identity is an enrolled identity: a folder that holds cert.pem and key.pem.
type Identity struct {
	MSPID         string
	Role          string // value of the role attribute; "" for the network's own identities
	ParticipantID string // 16 random bytes, base64url: enrolment ID and common name, so that blocks name nobody
	Dir           string
	Cert          string // PEM file
	Key           string // PEM file, PKCS #8
}

// Enroll registers a new participant with a role (appliance, doctor, patient, …) at the member's CA, and enrols it.
// The key is made here. The CA must be running.
func (m *Member) Enroll(ctx context.Context, role string) (Identity, error) {
	if role == "" {
		return Identity{}, errors.New("enrol participant: the role is empty")
	}
	id := newParticipantID()
	attributes := map[string]string{RoleAttribute: role, ParticipantAttribute: id}
	secret, err := m.register(ctx, ca.Registration{ID: id, Type: clientType, Attributes: attributes})
	if err != nil {
		return Identity{}, fmt.Errorf("enrol participant: %w", err)
	}
	identity, err := m.enrol(ctx, ca.Enrolment{ID: id, Secret: secret}, filepath.Join(m.Dir, "identities", id))
	if err != nil {
		return Identity{}, fmt.Errorf("enrol participant: %w", err)
	}
	identity.Role = role
	return identity, nil
}

// enrolAdmin makes the organisation's administrator.
func (o *Organisation) enrolAdmin(ctx context.Context) (Identity, error) {
	id := newParticipantID()
	secret, err := o.register(ctx, ca.Registration{ID: id, Type: adminType})
	if err != nil {
		return Identity{}, err
	}
	return o.enrol(ctx, ca.Enrolment{ID: id, Secret: secret}, filepath.Join(o.Dir, "admin"))
}

// enrolNode gives a node an identity of a kind, and a TLS certificate for the host that it listens on.
func (o *Organisation) enrolNode(ctx context.Context, node *Node, kind string) (Identity, tlsFiles, error) {
	id := newParticipantID()
	secret, err := o.register(ctx, ca.Registration{ID: id, Type: kind})
	if err != nil {
		return Identity{}, tlsFiles{}, err
	}
	signing, err := o.enrol(ctx, ca.Enrolment{ID: id, Secret: secret}, filepath.Join(node.Dir, "identity"))
	if err != nil {
		return Identity{}, tlsFiles{}, err
	}
	tls, err := o.enrol(ctx, ca.Enrolment{ID: id, Secret: secret, TLS: true, Hosts: []string{host, "localhost"}},
		filepath.Join(node.Dir, "tls"))
	return signing, tlsFiles{cert: tls.Cert, key: tls.Key}, err
}

// newParticipantID makes a random participant ID.
func newParticipantID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// register adds an identity at the organisation's CA.
func (o *Organisation) register(ctx context.Context, r ca.Registration) (secret string, err error) {
	pool, err := o.rootPool()
	if err != nil {
		return "", err
	}
	registrar, err := o.Registrar.read()
	if err != nil {
		return "", err
	}
	return ca.New(o.CA.Address, pool).Register(ctx, registrar, r)
}

// enrol has the organisation's CA certify a new key, and keeps both in dir.
func (o *Organisation) enrol(ctx context.Context, e ca.Enrolment, dir string) (Identity, error) {
	pool, err := o.rootPool()
	if err != nil {
		return Identity{}, err
	}
	pair, err := ca.New(o.CA.Address, pool).Enrol(ctx, e)
	if err != nil {
		return Identity{}, err
	}
	identity := Identity{
		MSPID:         o.MSPID,
		ParticipantID: e.ID,
		Dir:           dir,
		Cert:          filepath.Join(dir, "cert.pem"),
		Key:           filepath.Join(dir, "key.pem"),
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Identity{}, err
	}
	if err := os.WriteFile(identity.Key, pair.Key, 0o600); err != nil {
		return Identity{}, err
	}
	return identity, os.WriteFile(identity.Cert, pair.Cert, 0o600)
}

// read loads certificate and key.
func (i Identity) read() (ca.KeyPair, error) {
	cert, err := os.ReadFile(i.Cert)
	if err != nil {
		return ca.KeyPair{}, err
	}
	key, err := os.ReadFile(i.Key)
	return ca.KeyPair{Cert: cert, Key: key}, err
}

// signer makes the identity sign as Fabric wants it.
func (i Identity) signer() (identity.SigningIdentity, error) {
	cert, err := identity.ReadCertificate(i.Cert)
	if err != nil {
		return nil, err
	}
	key, err := identity.ReadPrivateKey(i.Key)
	if err != nil {
		return nil, err
	}
	return identity.NewPrivateKeySigningIdentity(i.MSPID, cert, key)
}
