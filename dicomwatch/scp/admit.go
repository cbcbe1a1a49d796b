package scp

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
)

// Rejection is why an association is not accepted.
type Rejection string

// The rejections.
const (
	RejectedVersion     Rejection = "protocol version"
	RejectedApplication Rejection = "application context"
	RejectedCalling     Rejection = "calling AE title"
	RejectedCalled      Rejection = "called AE title"
	RejectedLimit       Rejection = "limit" // as many associations as there may be
)

// Rejections are all rejections.
func Rejections() []Rejection {
	return []Rejection{RejectedVersion, RejectedApplication, RejectedCalling, RejectedCalled, RejectedLimit}
}

// Code is the result, source and reason that the peer is told (PS3.8 §9.3.4).
func (r Rejection) Code() (result, source, reason byte) {
	const permanent, transient, user, acse, presentation = 1, 2, 1, 2, 3
	switch r {
	case RejectedVersion:
		return permanent, acse, 2
	case RejectedApplication:
		return permanent, user, 2
	case RejectedCalling:
		return permanent, user, 3
	case RejectedCalled:
		return permanent, user, 7
	case RejectedLimit:
		return transient, presentation, 2
	}
	return permanent, user, 1 // no reason given
}

// admit decides whether a request from this address is welcome. Who calls is asked before whom they call: a stranger learns
// nothing of us.
func (o Options) admit(r wire.AssociateRequest, from netip.Addr) (Sender, Rejection) {
	switch {
	case !r.Version1:
		return Sender{}, RejectedVersion
	case r.Application != wire.ApplicationContext:
		return Sender{}, RejectedApplication
	case !wire.ValidTitle(r.Calling):
		return Sender{}, RejectedCalling
	}
	known := false
	for _, s := range o.Senders {
		if s.AETitle != r.Calling || !s.at(from) {
			continue
		}
		known = true
		if o.mayCall(s, r.Called) {
			return s, ""
		}
	}
	switch {
	case known:
		return Sender{}, RejectedCalled
	case !o.Open:
		return Sender{}, RejectedCalling
	case !o.mayCall(Sender{}, r.Called):
		return Sender{}, RejectedCalled
	}
	return Sender{AETitle: r.Calling}, ""
}

func (o Options) mayCall(s Sender, called string) bool {
	switch {
	case !wire.ValidTitle(called):
		return false
	case len(s.Called) > 0:
		return slices.Contains(s.Called, called)
	}
	return called == o.AETitle
}

func (s Sender) at(from netip.Addr) bool {
	return slices.ContainsFunc(s.Networks, func(p netip.Prefix) bool { return p.Contains(from) })
}

// knows says whether somebody at this address may send.
func (o Options) knows(from netip.Addr) bool {
	return o.Open || slices.ContainsFunc(o.Senders, func(s Sender) bool { return s.at(from) })
}

// peer is one sender, as the limits count them.
type peer struct {
	title   string
	address netip.Addr
}

// slots count what is open at once.
type slots struct {
	mu           sync.Mutex
	associations int
	peers        map[peer]int       // their associations
	connections  int                // from addresses that may send
	addresses    map[netip.Addr]int // the same, by address
	strangers    int                // connections from other addresses
}

func newSlots() slots { return slots{peers: make(map[peer]int), addresses: make(map[netip.Addr]int)} }

// maxStrangers is how many connections may be open at once from addresses where nobody may send: enough to tell each that it is
// rejected, and apart from the others so that they keep nobody out.
const maxStrangers = 8

// connect takes the place of a connection; false if there is none. There are twice as many as associations, for those that are
// yet to be established, and those that are rejected or end. An address has half of them, or twice as many as one of its senders
// may have associations: so one that opens connections and says nothing in them leaves places to the others, unless its sender
// may have all.
func (s *slots) connect(from netip.Addr, known bool, l Limits) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !known {
		if s.strangers >= maxStrangers {
			return false
		}
		s.strangers++
		return true
	}
	if s.connections >= 2*l.Associations || s.addresses[from] >= max(2*l.PerSender, l.Associations) {
		return false
	}
	s.connections++
	s.addresses[from]++
	return true
}

func (s *slots) disconnect(from netip.Addr, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !known {
		s.strangers--
		return
	}
	s.connections--
	if s.addresses[from]--; s.addresses[from] == 0 {
		delete(s.addresses, from)
	}
}

// associate takes the place of an association; false if there is none.
func (s *slots) associate(p peer, l Limits) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.associations >= l.Associations || s.peers[p] >= l.PerSender {
		return false
	}
	s.associations++
	s.peers[p]++
	return true
}

func (s *slots) dissociate(p peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.associations--
	if s.peers[p]--; s.peers[p] == 0 {
		delete(s.peers, p)
	}
}
