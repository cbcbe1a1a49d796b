package contract

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/fabricca"
	"github.com/medanchor/medanchor/ledger/wallet"
)

// minted is a key, and a certificate that claims to be somebody's.
type minted struct {
	ledger.Options
	*ledger.Client
	key *ecdsa.PrivateKey
	der []byte // the public key
}

// mint has a member's CA certify a new key as a participant in a role, whoever's that ID is: what nobody can keep the owner
// of a CA from.
func mint(t *testing.T, n *devnet.Network, m *devnet.Member, id record.ParticipantID, role record.Role) *minted {
	t.Helper()
	roots, err := os.ReadFile(m.RootCert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	ca := fabricca.New(m.CA.Address, pool)
	registrar, err := fabricca.ReadKeyPair(m.Registrar.Cert, m.Registrar.Key)
	if err != nil {
		t.Fatal(err)
	}
	enrolmentID := rand.Text()
	password, err := ca.Register(t.Context(), registrar, fabricca.Registration{
		ID: enrolmentID, Type: fabricca.ClientType,
		Attributes: map[string]string{record.RoleAttribute: string(role), record.ParticipantAttribute: id.String()},
	})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Enrol(t.Context(), fabricca.Enrolment{ID: enrolmentID, Secret: password})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	forged := &minted{Options: ledger.Options{
		Peer: m.Peer.Address, TLSCAFile: m.RootCert, MSPID: m.MSPID, Channel: n.Channel, Chaincode: n.Chaincode,
		CertificateFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"),
	}}
	write(t, forged.CertificateFile, pair.Cert)
	write(t, forged.KeyFile, pair.Key)
	forged.key = readKey(t, forged.KeyFile)
	if forged.der, err = x509.MarshalPKIXPublicKey(forged.key.Public()); err != nil {
		t.Fatal(err)
	}
	if forged.Client, err = ledger.Connect(t.Context(), forged.Options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { forged.Close() })
	return forged
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// sign signs a message's SHA-256.
func (m *minted) sign(t *testing.T, message []byte) []byte {
	t.Helper()
	digest := sha256.Sum256(message)
	signature, err := ecdsa.SignASN1(rand.Reader, m.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// vouched gives a new encryption key that the minted key vouches for.
func (m *minted) vouched(t *testing.T, id record.ParticipantID) (encryptionKey, signature []byte) {
	t.Helper()
	private, err := wallet.KEM().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	encryptionKey = private.PublicKey().Bytes()
	return encryptionKey, m.sign(t, record.EncryptionKeyMessage(id, encryptionKey))
}

// rotation asks to bind the minted key to a participant, in place of theirs.
func (m *minted) rotation(t *testing.T, id record.ParticipantID) record.Rotation {
	t.Helper()
	q := record.Rotation{NewKey: m.der, Proof: m.sign(t, record.RotationMessage(id, m.der))}
	q.EncryptionKey, q.Signature = m.vouched(t, id)
	return q
}
