package appliance

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/scp"
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
	Open            bool `yaml:"open"`
	MaxAssociations int  `yaml:"max_associations"`
	// MaxPerSender is how many of them one device may have: one AE title from one address.
	MaxPerSender int           `yaml:"max_associations_per_sender"`
	MaxPDU       Bytes         `yaml:"max_pdu"`
	MaxObject    Bytes         `yaml:"max_object"`
	Idle         time.Duration `yaml:"idle"`
	ARTIM        time.Duration `yaml:"artim"`
}

// DICOMTLSConfig is where the receiver takes associations with TLS; an empty Listen for nowhere.
type DICOMTLSConfig struct {
	Listen          string `yaml:"listen"`
	CertificateFile string `yaml:"certificate_file"`
	KeyFile         string `yaml:"key_file"`
	ClientCAFile    string `yaml:"client_ca_file"`
}

// On says whether there is a receiver.
func (c DICOMConfig) On() bool { return c.Listen != "" || c.TLS.Listen != "" }

func (c *DICOMConfig) setDefaults() {
	orString(&c.AETitle, "MEDANCHOR")
	l := c.limits().OrDefault()
	c.MaxAssociations, c.MaxPerSender = l.Associations, l.PerSender
	c.MaxPDU, c.MaxObject = Bytes(l.PDU), Bytes(l.Object)
	c.Idle, c.ARTIM = l.Idle, l.ARTIM
}

// limits are the receiver's that have a key; zero for the default of each.
func (c DICOMConfig) limits() scp.Limits {
	return scp.Limits{
		Associations: c.MaxAssociations, PerSender: c.MaxPerSender, PDU: int(c.MaxPDU), Object: int64(c.MaxObject),
		Idle: c.Idle, ARTIM: c.ARTIM,
	}
}

// The bounds of the receiver's limits.
const (
	maxAssociations = 1024
	leastPDU        = 4 << 10 // PS3.8 knows no least; this is the least that is met
	mostPDU         = 4 << 20
)

func (c DICOMConfig) validate() error {
	errs := []error{
		aeTitle("dicom.ae_title", c.AETitle),
		c.validateDoor(),
		c.TLS.validate(),
		notNegative("dicom.idle", c.Idle),
		notNegative("dicom.artim", c.ARTIM),
	}
	if c.Listen != "" {
		errs = append(errs, hostPort("dicom.listen", c.Listen))
	}
	if c.MaxAssociations < 1 || c.MaxAssociations > maxAssociations {
		errs = append(errs, fmt.Errorf("dicom.max_associations: %d is not from 1 to %d", c.MaxAssociations, maxAssociations))
	}
	if c.MaxPerSender < 1 || c.MaxPerSender > max(c.MaxAssociations, 1) {
		errs = append(errs, fmt.Errorf("dicom.max_associations_per_sender: %d is not from 1 to dicom.max_associations", c.MaxPerSender))
	}
	if c.MaxPDU < leastPDU || c.MaxPDU > mostPDU {
		errs = append(errs, fmt.Errorf("dicom.max_pdu: %s is not from %s to %s", c.MaxPDU, Bytes(leastPDU), Bytes(mostPDU)))
	}
	return errors.Join(append(errs, c.validateSenders()...)...)
}

// validateDoor wants somebody who may send where there is a receiver, and nobody where there is none.
func (c DICOMConfig) validateDoor() error {
	may := len(c.Senders) > 0 || c.Open
	switch {
	case c.On() && !may:
		return errors.New("dicom.senders: nobody may send: name the senders, or say dicom.open: true to admit everybody")
	case may && !c.On():
		return errors.New("dicom: somebody may send, and nothing listens: give listen or tls.listen, or take senders and open out")
	}
	return nil
}

// validate wants all or nothing. Files without an address are a slip with a price: beside dicom.listen everything would go in clear.
func (c DICOMTLSConfig) validate() error {
	if c.Listen == "" {
		if c.CertificateFile+c.KeyFile+c.ClientCAFile != "" {
			return errors.New("dicom.tls: listen, certificate_file, key_file and client_ca_file go together: give all or none")
		}
		return nil
	}
	return errors.Join(
		hostPort("dicom.tls.listen", c.Listen),
		absolute("dicom.tls.certificate_file", c.CertificateFile),
		absolute("dicom.tls.key_file", c.KeyFile),
		absolute("dicom.tls.client_ca_file", c.ClientCAFile),
	)
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
