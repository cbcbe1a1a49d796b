package appliance

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/medanchor/medanchor/dicomwatch/scp"
)

// SenderConfig is one device that may send.
type SenderConfig struct {
	AETitle   string   `yaml:"ae_title"`
	Addresses []string `yaml:"addresses"`
	// Called are the AE titles that it may call; none for the receiver's own.
	Called     []string `yaml:"called"`
	Department string   `yaml:"department"`
	Issuer     string   `yaml:"issuer"`
}

func (c DICOMConfig) validateSenders() (errs []error) {
	for i, s := range c.Senders {
		key := fmt.Sprintf("dicom.senders[%d]", i)
		errs = append(errs, s.validate(key))
		for j, earlier := range c.Senders[:i] {
			if at, found := c.contradiction(s, earlier); found {
				errs = append(errs, fmt.Errorf("%s: %s at %s is dicom.senders[%d] too, with another issuer or department: which counts "+
					"cannot be told; give each its own address or called title", key, s.AETitle, at, j))
			}
		}
	}
	return errs
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

// contradiction finds an address from which an association could be of either sender, while what they say of its objects differs.
// The receiver would take the first of them: the other's patients would be another issuer's.
func (c DICOMConfig) contradiction(a, b SenderConfig) (at string, found bool) {
	same := a.Issuer == b.Issuer && a.Department == b.Department
	if same || a.AETitle != b.AETitle || !intersect(c.called(a), c.called(b)) {
		return "", false
	}
	return a.meets(b)
}

// called are the AE titles that a sender may call.
func (c DICOMConfig) called(s SenderConfig) []string {
	if len(s.Called) == 0 {
		return []string{c.AETitle}
	}
	return s.Called
}

func intersect(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// meets finds an address or a network that both send from. What is no address is nowhere: validate says so.
func (s SenderConfig) meets(other SenderConfig) (at string, found bool) {
	ours, ourErr := s.networks()
	theirs, theirErr := other.networks()
	if ourErr != nil || theirErr != nil {
		return "", false
	}
	for _, p := range ours {
		for _, q := range theirs {
			if p.Overlaps(q) {
				return smaller(p, q), true
			}
		}
	}
	return "", false
}

// smaller writes down the one of two networks that is within the other.
func smaller(p, q netip.Prefix) string {
	if q.Bits() > p.Bits() {
		p = q
	}
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
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
		networks = append(networks, scp.Unmap(network).Masked())
	}
	return networks, nil
}
