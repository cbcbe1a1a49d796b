package ledger

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/identity"

	"github.com/medanchor/medanchor/chaincode/record"
)

// ErrCertificate says that the appliance's certificate is not valid at the time asked for. The peer refuses it, and
// says no more than "access denied".
var ErrCertificate = errors.New("the appliance's certificate is not valid")

// InForce says whether the appliance's certificate is valid at now; the error is ErrCertificate, and says what to do.
func InForce(certificate *x509.Certificate, now time.Time) error {
	switch {
	case now.After(certificate.NotAfter):
		return fmt.Errorf("%w: it expired at %s: have the hospital's CA certify the same key again, put the new certificate into its "+
			"place and restart", ErrCertificate, certificate.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(certificate.NotBefore):
		return fmt.Errorf("%w: it begins at %s: check this machine's clock, which says %s", ErrCertificate,
			certificate.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// ReadCertificate reads the appliance's certificate.
func ReadCertificate(file string) (*x509.Certificate, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the appliance's certificate: %w", err)
	}
	certificate, err := identity.CertificateFromPEM(pem)
	if err != nil {
		return nil, fmt.Errorf("read the appliance's certificate in %s: %w: give the PEM file of its enrolment", file, err)
	}
	return certificate, nil
}

// matches says whether key is the certificate's.
func matches(certificate *x509.Certificate, key crypto.PrivateKey) bool {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return false
	}
	public, ok := certificate.PublicKey.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && public.Equal(signer.Public())
}

// ParticipantOf gives the participant whose certificate is in file: its common name is the ID under which the CA enrolled
// them.
func ParticipantOf(file string) (record.ParticipantID, error) {
	certificate, err := ReadCertificate(file)
	if err != nil {
		return record.ParticipantID{}, err
	}
	id, err := record.ParseParticipantID(certificate.Subject.CommonName)
	if err != nil {
		return id, fmt.Errorf("the certificate in %s is no participant's: %w: enrol the appliance with medanchor enroll", file, err)
	}
	return id, nil
}
