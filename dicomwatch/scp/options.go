package scp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/medanchor/medanchor/dicomwatch"
	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
	"github.com/medanchor/medanchor/document"
)

// Options describe the receiver. AETitle, Spool, Log, and either Senders or Open are required.
type Options struct {
	AETitle string   // ours: what senders call
	Senders []Sender // who may send
	// Open lets everybody send, from everywhere, under any AE title. Senders still say what is known of those that they name.
	Open   bool
	Limits Limits
	TLS    *tls.Config // of ServeTLS: see TLSConfig
	Spool  Spool
	Log    *slog.Logger
	Trace  func(document.Step) // told of document.StepAnswered; may be nil
}

// Sender is one system, or several alike, that may send: by its AE title and its address, both of which must match.
type Sender struct {
	AETitle  string         // as it calls itself; upper and lower case differ
	Networks []netip.Prefix // its addresses
	// Called are the AE titles that it may call; none for ours alone. Two senders that differ in it may share the rest.
	Called     []string
	Department string // of its objects
	Issuer     string // of patient identifiers that name none
}

// Spool is where objects become durable. Its methods, and those of an Incoming, are called from the goroutine of the
// association, of which there are several.
type Spool interface {
	// Create begins an object. document.ErrNoRoom if the disk is at its reserve.
	Create(o dicomwatch.Object) (dicomwatch.Incoming, error)
}

// Limits bound what peers can make us do. Zero is the default of each: see OrDefault.
type Limits struct {
	Associations int           // at once
	PerSender    int           // of them, by one AE title from one address (when Open, from one address)
	PDU          int           // longest body of a P-DATA-TF that we take, bytes; we tell it to the peer
	Object       int64         // longest dataset, bytes
	Idle         time.Duration // longest wait for a PDU, and again for its end
	ARTIM        time.Duration // longest wait for a request, and for the peer to close (PS3.8 §9.1.5)
	Write        time.Duration // longest wait for the peer to take a PDU
	Grace        time.Duration // what an object on its way has left when the server ends
}

// DefaultLimits are the limits where none are given. One sender has half of the associations.
func DefaultLimits() Limits {
	return Limits{
		Associations: 64, PerSender: 32,
		PDU: 128 << 10, Object: 4 << 30,
		Idle: 60 * time.Second, ARTIM: 10 * time.Second, Write: 30 * time.Second, Grace: 5 * time.Second,
	}
}

// The bounds of Limits.PDU. The lower one is that of what peers can be expected to obey; the upper one bounds the memory of an
// association.
const (
	minPDU = 4 << 10
	maxPDU = 4 << 20
)

// OrDefault gives the default to each that is zero.
func (l Limits) OrDefault() Limits {
	d := DefaultLimits()
	set(&l.Associations, d.Associations)
	set(&l.PerSender, max(l.Associations/2, 1))
	set(&l.PDU, d.PDU)
	set(&l.Object, d.Object)
	set(&l.Idle, d.Idle)
	set(&l.ARTIM, d.ARTIM)
	set(&l.Write, d.Write)
	set(&l.Grace, d.Grace)
	return l
}

func set[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// unmapped are the senders with their IPv4 addresses as such.
func unmapped(senders []Sender) []Sender {
	senders = slices.Clone(senders)
	for i, s := range senders {
		senders[i].Networks = make([]netip.Prefix, len(s.Networks))
		for j, p := range s.Networks {
			senders[i].Networks[j] = Unmap(p)
		}
	}
	return senders
}

// Unmap gives an IPv4 network as such: a peer's address never is in the network of IPv6 that it is mapped into (RFC 4291 §2.5.5.2).
func Unmap(p netip.Prefix) netip.Prefix {
	const mapped = 96 // bits before the IPv4 address
	if p.Addr().Is4In6() && p.Bits() >= mapped {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p
}

func (o Options) validate() error {
	errs := []error{validTitle("the AE title", o.AETitle)}
	if o.Spool == nil || o.Log == nil {
		errs = append(errs, errors.New("no spool or no log"))
	}
	if len(o.Senders) == 0 && !o.Open {
		errs = append(errs, errors.New("nobody may send: name the senders, or say that it is open"))
	}
	for i, s := range o.Senders {
		errs = append(errs, s.validate(fmt.Sprintf("sender %d", i+1)))
	}
	return errors.Join(append(errs, o.Limits.validate())...)
}

func (s Sender) validate(name string) error {
	errs := []error{validTitle("the AE title of "+name, s.AETitle)}
	if len(s.Networks) == 0 {
		errs = append(errs, fmt.Errorf("%s has no address: name the one or the network that it sends from", name))
	}
	if slices.ContainsFunc(s.Networks, func(p netip.Prefix) bool { return !p.IsValid() }) {
		errs = append(errs, fmt.Errorf("an address of %s is not valid", name))
	}
	for _, called := range s.Called {
		errs = append(errs, validTitle("an AE title that may be called by "+name, called))
	}
	return errors.Join(errs...)
}

func validTitle(what, title string) error {
	if !wire.ValidTitle(title) {
		return fmt.Errorf("%s is %q: want 1 to 16 ASCII characters without backslash or outer spaces", what, title)
	}
	return nil
}

func (l Limits) validate() error {
	if l.Associations < 0 || l.PerSender < 0 || l.Object < 0 || min(l.Idle, l.ARTIM, l.Write, l.Grace) < 0 {
		return errors.New("a limit is negative")
	}
	if l.PDU != 0 && (l.PDU < minPDU || l.PDU > maxPDU) {
		return fmt.Errorf("a PDU of at most %d bytes: want %d to %d", l.PDU, minPDU, maxPDU)
	}
	return nil
}
