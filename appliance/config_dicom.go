package appliance

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
)

// DICOMConfig is the receiver of what comes over the network.
type DICOMConfig struct {
	// Listen is where it takes associations without TLS; empty for nowhere.
	Listen  string         `yaml:"listen"`
	TLS     DICOMTLSConfig `yaml:"tls"`
	AETitle string         `yaml:"ae_title"`
	Senders []SenderConfig `yaml:"senders"`
	// Open admits everybody.
	Open            bool          `yaml:"open"`
	MaxAssociations int           `yaml:"max_associations"`
	MaxPDU          Bytes         `yaml:"max_pdu"`
	MaxObject       Bytes         `yaml:"max_object"`
	Idle            time.Duration `yaml:"idle"`
	ARTIM           time.Duration `yaml:"artim"`
}

// DICOMTLSConfig is where the receiver takes associations with TLS; an empty Listen for nowhere.
type DICOMTLSConfig struct {
	Listen          string `yaml:"listen"`
	CertificateFile string `yaml:"certificate_file"`
	KeyFile         string `yaml:"key_file"`
	ClientCAFile    string `yaml:"client_ca_file"`
}

// SenderConfig is one device that may send.
type SenderConfig struct {
	AETitle   string   `yaml:"ae_title"`
	Addresses []string `yaml:"addresses"`
	// Called are the AE titles that it may call; none for the receiver's own.
	Called     []string `yaml:"called"`
	Department string   `yaml:"department"`
	Issuer     string   `yaml:"issuer"`
}

// On says whether there is a receiver.
func (c DICOMConfig) On() bool { return c.Listen != "" || c.TLS.Listen != "" }

func (c *DICOMConfig) setDefaults() {
	orString(&c.AETitle, "MEDANCHOR")
	orDuration(&c.Idle, time.Minute)
	orDuration(&c.ARTIM, 10*time.Second)
	orNumber(&c.MaxAssociations, 64)
	orNumber(&c.MaxPDU, 128<<10)
	orNumber(&c.MaxObject, 4<<30)
}

func orNumber[N int | Bytes | float64](n *N, def N) {
	if *n == 0 {
		*n = def
	}
}

// The bounds of the receiver's limits.
const (
	maxAssociations = 1024
	leastPDU        = 4 << 10 // PS3.8 knows no least; this is the least that is met
	mostPDU         = 4 << 20
)

func (c DICOMConfig) validate() error {
	if !c.On() {
		return nil
	}
	errs := []error{aeTitle("dicom.ae_title", c.AETitle)}
	if c.Listen != "" {
		errs = append(errs, hostPort("dicom.listen", c.Listen))
	}
	if c.TLS.Listen != "" {
		errs = append(errs,
			hostPort("dicom.tls.listen", c.TLS.Listen),
			absolute("dicom.tls.certificate_file", c.TLS.CertificateFile),
			absolute("dicom.tls.key_file", c.TLS.KeyFile),
			absolute("dicom.tls.client_ca_file", c.TLS.ClientCAFile),
		)
	}
	switch {
	case len(c.Senders) == 0 && !c.Open:
		errs = append(errs, errors.New("dicom.senders: nobody may send: name the senders, or say dicom.open: true to admit everybody"))
	case c.MaxAssociations < 1 || c.MaxAssociations > maxAssociations:
		errs = append(errs, fmt.Errorf("dicom.max_associations: %d is not from 1 to %d", c.MaxAssociations, maxAssociations))
	case c.MaxPDU < leastPDU || c.MaxPDU > mostPDU:
		errs = append(errs, fmt.Errorf("dicom.max_pdu: %s is not from %s to %s", c.MaxPDU, Bytes(leastPDU), Bytes(mostPDU)))
	}
	for i, s := range c.Senders {
		errs = append(errs, s.validate(fmt.Sprintf("dicom.senders[%d]", i)))
	}
	return errors.Join(errs...)
}

func (s SenderConfig) validate(key string) error {
	errs := []error{aeTitle(key+".ae_title", s.AETitle)}
	if len(s.Addresses) == 0 {
		errs = append(errs, fmt.Errorf("%s.addresses: missing: where it sends from, such as 10.1.2.3 or 10.1.2.0/24", key))
	}
	for i, title := range s.Called {
		errs = append(errs, aeTitle(fmt.Sprintf("%s.called[%d]", key, i), title))
	}
	_, err := s.networks()
	if err != nil {
		errs = append(errs, fmt.Errorf("%s.addresses: %w", key, err))
	}
	return errors.Join(errs...)
}

// networks are where the device sends from.
func (s SenderConfig) networks() (networks []netip.Prefix, err error) {
	for _, text := range s.Addresses {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			address, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("%q is neither an IP address nor a network such as 10.1.2.0/24", text)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

// aeTitle checks an application entity title (PS3.5 §6.2, AE).
func aeTitle(key, title string) error {
	if !wire.ValidTitle(title) {
		return fmt.Errorf("%s: %q is no AE title: up to 16 characters of ASCII without backslash, and no space around them", key, title)
	}
	return nil
}

func hostPort(key, address string) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("%s: %w: write it as 0.0.0.0:11112", key, err)
	}
	return nil
}
