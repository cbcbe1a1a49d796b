package appliance

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

const (
	theReceiver       = "the DICOM receiver"
	theReadingService = "the reading service"
)

// readCertificate reads the certificate that one of our services shows to who connects, and its key.
func readCertificate(service, certFile, keyFile string) (tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return pair, fmt.Errorf("read the certificate of %s: %w", service, err)
	}
	return pair, nil
}

// shownBy is the certificate that a service shows; none where it has no TLS.
func shownBy(c *tls.Config) (pair tls.Certificate) {
	if c != nil {
		pair = c.Certificates[0]
	}
	return pair
}

// inForce is an error where those who connect to a service at this time refuse its certificate. The zero certificate is none.
func inForce(service string, pair tls.Certificate, now time.Time) error {
	leaf := pair.Leaf
	switch {
	case leaf == nil:
		return nil
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate of %s expired at %s, and who connects refuses it: put a new one into its place, and restart",
			service, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate of %s begins at %s, and who connects refuses it: check this machine's clock, which says %s",
			service, leaf.NotBefore.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	default:
		return nil
	}
}

// expiry is when a certificate ends; zero for none.
func expiry(pair tls.Certificate) time.Time {
	if pair.Leaf == nil {
		return time.Time{}
	}
	return pair.Leaf.NotAfter
}

// networkTrouble is what keeps objects from the network from being taken in.
func (a *App) networkTrouble() error {
	return errors.Join(a.spool.Err(), inForce(theReceiver, a.sendersSee, time.Now()))
}
