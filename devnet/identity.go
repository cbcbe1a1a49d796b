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

	"github.com/medanchor/medanchor/ledger/fabricca"
)

// Names of the attributes that a participant's certificate carries. The chaincode reads them.
const (
	RoleAttribute        = "medanchor.role"
	ParticipantAttribute = "medanchor.participant"
)

// registrarRole is the role whose identities may themselves register participants at their member's CA.
const registrarRole = "institution"

// Identity is an enrolled identity: a folder that holds cert.pem and key.pem.
type Identity struct {
	MSPID         string
	Role          string // value of the role attribute; "" for the network's own identities
	ParticipantID string // 16 random bytes, base64url: enrolment ID and common name, so that blocks name nobody
	Dir           string
	Cert          string // PEM file
	Key           string // PEM file, PKCS #8
}

// Enroll is [Member.EnrollAs] with an ID of random bytes.
func (m *Member) Enroll(ctx context.Context, role string) (Identity, error) {
	return m.EnrollAs(ctx, newParticipantID(), role)
}

// EnrollAs registers a new participant with an ID (22 characters of base64url) and a role (appliance, doctor, patient, …)
// at the member's CA, and enrols it. An institution may then register participants itself. The key is made here. The CA
// must be running.
func (m *Member) EnrollAs(ctx context.Context, id, role string) (Identity, error) {
	if id == "" || role == "" {
		return Identity{}, errors.New("enrol participant: the ID or the role is empty")
	}
	registration := fabricca.Registration{
		ID: id, Type: fabricca.ClientType,
		Attributes: map[string]string{RoleAttribute: role, ParticipantAttribute: id},
	}
	if role == registrarRole {
		registration.Rights = fabricca.RegistrarOf(fabricca.ClientType, RoleAttribute, ParticipantAttribute)
	}
	secret, err := m.register(ctx, registration)
	if err != nil {
		return Identity{}, fmt.Errorf("enrol participant: %w", err)
	}
	identity, err := m.enrol(ctx, fabricca.Enrolment{ID: id, Secret: secret}, filepath.Join(m.Dir, "identities", id))
	if err != nil {
		return Identity{}, fmt.Errorf("enrol participant: %w", err)
	}
	identity.Role = role
	return identity, nil
}

// enrolAdmin makes the organisation's administrator.
func (o *Organisation) enrolAdmin(ctx context.Context) (Identity, error) {
	id := newParticipantID()
	secret, err := o.register(ctx, fabricca.Registration{ID: id, Type: fabricca.AdminType})
	if err != nil {
		return Identity{}, err
	}
	return o.enrol(ctx, fabricca.Enrolment{ID: id, Secret: secret}, filepath.Join(o.Dir, "admin"))
}

// enrolNode gives a node an identity of a kind, and a TLS certificate for the host that it listens on.
func (o *Organisation) enrolNode(ctx context.Context, node *Node, kind string) (Identity, tlsFiles, error) {
	id := newParticipantID()
	secret, err := o.register(ctx, fabricca.Registration{ID: id, Type: kind})
	if err != nil {
		return Identity{}, tlsFiles{}, err
	}
	signing, err := o.enrol(ctx, fabricca.Enrolment{ID: id, Secret: secret}, filepath.Join(node.Dir, "identity"))
	if err != nil {
		return Identity{}, tlsFiles{}, err
	}
	tls, err := o.enrol(ctx, fabricca.Enrolment{ID: id, Secret: secret, TLS: true, Hosts: []string{host, "localhost"}},
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
func (o *Organisation) register(ctx context.Context, r fabricca.Registration) (secret string, err error) {
	pool, err := o.rootPool()
	if err != nil {
		return "", err
	}
	registrar, err := fabricca.ReadKeyPair(o.Registrar.Cert, o.Registrar.Key)
	if err != nil {
		return "", err
	}
	return fabricca.New(o.CA.Address, pool).Register(ctx, registrar, r)
}

// enrol has the organisation's CA certify a new key, and keeps both in dir.
func (o *Organisation) enrol(ctx context.Context, e fabricca.Enrolment, dir string) (Identity, error) {
	pool, err := o.rootPool()
	if err != nil {
		return Identity{}, err
	}
	pair, err := fabricca.New(o.CA.Address, pool).Enrol(ctx, e)
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
