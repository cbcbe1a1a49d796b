// Package wallet keeps a participant's ledger identity in a folder: who they are, where their peer is, and the two keys
// that never leave it, one to sign with and one to open what is sealed to them. "Wallet" is Fabric's word for it.
//
// A wallet begins with an enrolment code that the institution gives ([Code]): [Enroll] makes the keys where the user
// is, and has the institution's CA certify the one. [Rotate] replaces them. Who lost them gets another code by [Renew],
// and asks two people of their institution to bind the new wallet's keys ([Wallet.Request]).
package wallet

import (
	"crypto/ecdsa"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hyperledger/fabric-gateway/pkg/identity"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/fabricca"
)

// The files of a wallet.
const (
	identityFile    = "identity.json"
	certificateFile = "cert.pem"
	keyFile         = "key.pem"
	encryptionFile  = "encryption.key"
	tlsCAFile       = "tls-ca.pem"
)

// The types of PEM block in them.
const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
	encryptionBlock  = "MEDANCHOR ENCRYPTION KEY" // the HPKE private key, as its KEM serialises it
)

// Identity is who the wallet's owner is, and where their institution's peer and CA are.
type Identity struct {
	Participant record.ParticipantID `json:"participant"`
	Role        record.Role          `json:"role"`
	MSPID       string               `json:"msp_id"`
	Peer        string               `json:"peer"` // host:port
	CA          string               `json:"ca"`   // host:port
	Channel     string               `json:"channel"`
	Chaincode   string               `json:"chaincode"`
}

// Wallet is an open wallet.
type Wallet struct {
	Identity
	dir        string
	signing    *ecdsa.PrivateKey
	encryption hpke.PrivateKey
	old        []hpke.PrivateKey // the encryption keys before it, the newest first
}

// KEM is that of encryption keys: ML-KEM-768 with X25519.
func KEM() hpke.KEM { return hpke.MLKEM768X25519() }

// Open reads the wallet in a folder.
func Open(dir string) (*Wallet, error) {
	w := &Wallet{dir: dir}
	raw, err := os.ReadFile(w.path(identityFile))
	if err != nil {
		return nil, fmt.Errorf("open wallet: %w: make one with medanchor enroll", err)
	}
	if err := json.Unmarshal(raw, &w.Identity); err != nil {
		return nil, fmt.Errorf("open wallet %s: read %s: %w", dir, identityFile, err)
	}
	der, err := readPEM(w.path(keyFile), keyBlock)
	if err != nil {
		return nil, fmt.Errorf("open wallet: %w", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("open wallet %s: read %s: %w", dir, keyFile, err)
	}
	signing, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("open wallet %s: %s is not a key of ECDSA", dir, keyFile)
	}
	w.signing = signing
	if w.encryption, err = ReadEncryptionKey(w.path(encryptionFile)); err != nil {
		return nil, fmt.Errorf("open wallet: %w", err)
	}
	if w.old, err = w.readOldKeys(); err != nil {
		return nil, fmt.Errorf("open wallet: %w", err)
	}
	return w, nil
}

// path is that of one of the wallet's files.
func (w *Wallet) path(name string) string { return filepath.Join(w.dir, name) }

func readPEM(path, kind string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("read %s: it holds no %s in PEM", path, kind)
	}
	return block.Bytes, nil
}

// LedgerOptions connect as the wallet's owner.
func (w *Wallet) LedgerOptions() ledger.Options {
	return ledger.Options{
		Peer: w.Peer, TLSCAFile: w.path(tlsCAFile), MSPID: w.MSPID,
		CertificateFile: w.path(certificateFile), KeyFile: w.path(keyFile),
		Channel: w.Channel, Chaincode: w.Chaincode,
	}
}

// EncryptionKey opens what is sealed to the wallet's owner.
func (w *Wallet) EncryptionKey() hpke.PrivateKey { return w.encryption }

// EarlierEncryptionKeys open what was sealed to the owner before each rotation, the latest first.
func (w *Wallet) EarlierEncryptionKeys() []hpke.PrivateKey { return w.old }

// SigningKey is the public key that the owner signs with: SubjectPublicKeyInfo, DER.
func (w *Wallet) SigningKey() ([]byte, error) { return x509.MarshalPKIXPublicKey(w.signing.Public()) }

// Fingerprint names the key that the owner signs with.
func (w *Wallet) Fingerprint() (record.Fingerprint, error) {
	der, err := w.SigningKey()
	return record.FingerprintOf(w.MSPID, der), err
}

// Sign signs a message's SHA-256: ECDSA, ASN.1, with the low S that Fabric wants.
func (w *Wallet) Sign(message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	sign, err := identity.NewPrivateKeySign(w.signing)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return sign(digest[:])
}

// Vouch gives the public encryption key and the signing key's signature over it, as the ledger wants them.
func (w *Wallet) Vouch() (key, signature []byte, err error) {
	key = w.encryption.PublicKey().Bytes()
	signature, err = w.Sign(record.EncryptionKeyMessage(w.Participant, key))
	return key, signature, err
}

// Authority gives the wallet's certificate and signing key, with which an institution registers others at its CA.
func (w *Wallet) Authority() (fabricca.KeyPair, error) {
	return fabricca.ReadKeyPair(w.path(certificateFile), w.path(keyFile))
}

// TLSRoots gives the certificates below which peer and CA have theirs, as a [Code] holds them.
func (w *Wallet) TLSRoots() ([]byte, error) { return ReadTLSRoots(w.path(tlsCAFile)) }

// ReadTLSRoots reads certificates from a file in PEM, as a [Code] holds them.
func ReadTLSRoots(file string) (der []byte, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == certificateBlock {
			der = append(der, block.Bytes...)
		}
	}
	if _, err := parseRoots(der); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return der, nil
}

func parseRoots(der []byte) ([]*x509.Certificate, error) {
	roots, err := x509.ParseCertificates(der)
	if err == nil && len(roots) == 0 {
		err = errors.New("no certificate is there")
	}
	return roots, err
}
