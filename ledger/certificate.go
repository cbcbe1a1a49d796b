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

// CheckCertificate says whether the certificate in file is valid at now. An error that is not ErrCertificate means that
// the file cannot be read.
func CheckCertificate(file string, now time.Time) error {
	certificate, err := readCertificate(file)
	switch {
	case err != nil:
		return err
	case now.After(certificate.NotAfter):
		return fmt.Errorf("%w: %s expired at %s: enrol the appliance again at the hospital's CA, replace the file and "+
			"restart", ErrCertificate, file, certificate.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(certificate.NotBefore):
		return fmt.Errorf("%w: %s begins at %s: check this machine's clock, which says %s", ErrCertificate, file,
			certificate.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// CertificateExpiry returns when the certificate in file expires.
func CertificateExpiry(file string) (time.Time, error) {
	certificate, err := readCertificate(file)
	if err != nil {
		return time.Time{}, err
	}
	return certificate.NotAfter, nil
}

func readCertificate(file string) (*x509.Certificate, error) {
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
	certificate, err := readCertificate(file)
	if err != nil {
		return record.ParticipantID{}, err
	}
	id, err := record.ParseParticipantID(certificate.Subject.CommonName)
	if err != nil {
		return id, fmt.Errorf("the certificate in %s is no participant's: %w: enrol the appliance with medanchor enroll", file, err)
	}
	return id, nil
}
