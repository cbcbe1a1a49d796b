package appliance

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/ledger"
)

// certificates are those that others see of this appliance. They are read once, and are in use until the process ends, whatever
// becomes of the files.
type certificates struct {
	ledger  *x509.Certificate   // the appliance's own, for the ledger
	dicom   *x509.Certificate   // the DICOM receiver's; nil without TLS
	reading *x509.Certificate   // the reading service's; nil without TLS
	senders []*x509.Certificate // the authorities of those of DICOM senders
}

// readOwn reads the appliance's own certificate.
func (c *certificates) readOwn(o LedgerConfig) (err error) {
	c.ledger, err = ledger.ReadCertificate(o.CertificateFile)
	return err
}

// readDICOM reads what the receiver needs for TLS, if it has any.
func (c *certificates) readDICOM(o DICOMTLSConfig) (*tls.Config, error) {
	if o.Listen == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(o.CertificateFile, o.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate of the DICOM receiver: %w", err)
	}
	if c.senders, err = scp.ReadAuthorities(o.ClientCAFile); err != nil {
		return nil, fmt.Errorf("read the authorities of DICOM senders: %w", err)
	}
	c.dicom = pair.Leaf
	return scp.TLSConfig(pair, c.senders), nil
}

// readReading reads the reading service's certificate, if it has one.
func (c *certificates) readReading(o ReadingConfig) (pair tls.Certificate, err error) {
	if !o.TLS() {
		return pair, nil
	}
	if pair, err = tls.LoadX509KeyPair(o.CertificateFile, o.KeyFile); err != nil {
		return pair, fmt.Errorf("read the certificate of the reading service: %w", err)
	}
	c.reading = pair.Leaf
	return pair, nil
}

// ledgerTrouble is why the ledger refuses this appliance's certificate at this time; the error is ledger.ErrCertificate.
func (c *certificates) ledgerTrouble(now time.Time) error { return ledger.InForce(c.ledger, now) }

// dicomTrouble is why no device gets through to the receiver with TLS at this time.
func (c *certificates) dicomTrouble(now time.Time) error {
	return errors.Join(inForce("the DICOM receiver", c.dicom, now), authorityInForce(c.senders, now))
}

// readingTrouble is why those who read refuse the reading service's certificate at this time.
func (c *certificates) readingTrouble(now time.Time) error {
	return inForce("the reading service", c.reading, now)
}

// inForce is an error where those who connect to a service at this time refuse its certificate; nil is none.
func inForce(service string, c *x509.Certificate, now time.Time) error {
	switch {
	case c == nil:
		return nil
	case now.After(c.NotAfter):
		return fmt.Errorf("the certificate of %s expired at %s, and who connects refuses it: put a new one into its place, and restart",
			service, c.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.NotBefore):
		return fmt.Errorf("the certificate of %s begins at %s, and who connects refuses it: check this machine's clock, which says %s",
			service, c.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	default:
		return nil
	}
}

// authorityInForce is an error where no authority that DICOM senders' certificates may be of is valid at this time.
func authorityInForce(authorities []*x509.Certificate, now time.Time) error {
	for _, c := range authorities {
		if !now.Before(c.NotBefore) && !now.After(c.NotAfter) {
			return nil
		}
	}
	if len(authorities) == 0 {
		return nil
	}
	return errors.New("none of the authorities in dicom.tls.client_ca_file is valid now, and every device with TLS is refused: " +
		"put those that are into the file and restart, or check this machine's clock")
}

// certificateStatus shows a certificate.
func certificateStatus(c *x509.Certificate, trouble error) (s control.Certificate) {
	if c != nil {
		s.Expires = c.NotAfter
	}
	if trouble != nil {
		s.Trouble = trouble.Error()
	}
	return s
}
