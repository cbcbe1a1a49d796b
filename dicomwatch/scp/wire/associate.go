package wire

import (
	"encoding/binary"
	"slices"
)

// ApplicationContext is the only one that DICOM has (PS3.7 §A.2.1).
const ApplicationContext = "1.2.840.10008.3.1.1.1"

// The layout of A-ASSOCIATE-RQ and A-ASSOCIATE-AC (PS3.8 §9.3.2, §9.3.3).
const (
	titleSize       = 16
	titlesAt        = 4
	reservedAfter   = 32
	fixedSize       = titlesAt + 2*titleSize + reservedAfter
	protocolVersion = 1 // bit 0
)

// The items of the two PDUs (PS3.8 §9.3.2, §D.1; PS3.7 §D.3.3).
const (
	itemApplication     = 0x10
	itemContextRQ       = 0x20
	itemContextAC       = 0x21
	itemAbstractSyntax  = 0x30
	itemTransferSyntax  = 0x40
	itemUser            = 0x50
	itemMaxLength       = 0x51
	itemImplementation  = 0x52
	itemAsynchronous    = 0x53
	itemRole            = 0x54
	itemVersionName     = 0x55
	maxContexts         = 128 // the odd numbers of a byte
	maxTransferSyntaxes = 256 // of one context: several times those that the standard has
)

// AssociateRequest is an A-ASSOCIATE-RQ. What we have no use for is left out: extended negotiation, and the user's identity,
// which an acceptor that does not know it ignores (PS3.7 §D.3.3.7).
type AssociateRequest struct {
	Called, Calling string // without padding; not always valid: see ValidTitle
	Application     string // application context
	Contexts        []Proposal
	MaxLength       uint32 // of the body of a P-DATA-TF that the peer takes, bytes; 0 for no limit
	Version1        bool   // of the protocol: the only one there is
	asynchronous    bool   // it proposes an asynchronous operations window
	roles           []role
	echoed          []byte // both titles and what is reserved after them, as they came: they go back so (PS3.8 table 9-17)
}

// Proposal is a presentation context: what is to be sent, and in which transfer syntaxes it can be.
type Proposal struct {
	ID               byte
	AbstractSyntax   string
	TransferSyntaxes []string // in the peer's order; at least one
}

// role is what the requestor wants to be for a SOP class.
type role struct {
	uid string // without padding, so that what goes back is bounded
	scu bool
}

// ParseAssociateRequest reads an A-ASSOCIATE-RQ's body. Items that are unknown are left out, as the standard wants it.
func ParseAssociateRequest(body []byte) (AssociateRequest, error) {
	if len(body) < fixedSize {
		return AssociateRequest{}, violation(AbortInvalidValue, "an A-ASSOCIATE-RQ ends early")
	}
	r := AssociateRequest{
		Version1: binary.BigEndian.Uint16(body)&protocolVersion != 0,
		Called:   trimTitle(string(body[titlesAt : titlesAt+titleSize])),
		Calling:  trimTitle(string(body[titlesAt+titleSize : titlesAt+2*titleSize])),
		echoed:   slices.Clone(body[titlesAt:fixedSize]),
	}
	err := eachItem(body[fixedSize:], func(kind byte, value []byte) error {
		switch kind {
		case itemApplication:
			r.Application = trimUID(string(value))
		case itemContextRQ:
			return r.addContext(value)
		case itemUser:
			return eachItem(value, r.addUserItem)
		}
		return nil
	})
	return r, err
}

func (r *AssociateRequest) addContext(value []byte) error {
	if len(value) < 4 {
		return violation(AbortInvalidValue, "a presentation context ends early")
	}
	p := Proposal{ID: value[0]}
	if p.ID%2 == 0 {
		return violation(AbortInvalidValue, "a presentation context has an even ID")
	}
	if len(r.Contexts) == maxContexts || slices.ContainsFunc(r.Contexts, func(o Proposal) bool { return o.ID == p.ID }) {
		return violation(AbortInvalidValue, "two presentation contexts have the same ID")
	}
	err := eachItem(value[4:], func(kind byte, value []byte) error {
		switch kind {
		case itemAbstractSyntax:
			p.AbstractSyntax = trimUID(string(value))
		case itemTransferSyntax:
			if len(p.TransferSyntaxes) == maxTransferSyntaxes {
				return violation(AbortInvalidValue, "a presentation context has more transfer syntaxes than there are")
			}
			p.TransferSyntaxes = append(p.TransferSyntaxes, trimUID(string(value)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if p.AbstractSyntax == "" || len(p.TransferSyntaxes) == 0 {
		return violation(AbortInvalidValue, "a presentation context has no abstract or no transfer syntax")
	}
	r.Contexts = append(r.Contexts, p)
	return nil
}

func (r *AssociateRequest) addUserItem(kind byte, value []byte) error {
	switch kind {
	case itemMaxLength:
		if len(value) != 4 {
			return violation(AbortInvalidValue, "the maximum length is not of four bytes")
		}
		r.MaxLength = binary.BigEndian.Uint32(value)
	case itemAsynchronous:
		r.asynchronous = true
	case itemRole:
		return r.addRole(value)
	}
	return nil
}

func (r *AssociateRequest) addRole(value []byte) error {
	if len(value) < 4 || int(binary.BigEndian.Uint16(value)) != len(value)-4 {
		return violation(AbortInvalidValue, "a role selection is longer or shorter than its UID")
	}
	uid := trimUID(string(value[2 : len(value)-2]))
	if len(r.roles) < maxContexts && ValidUID(uid) {
		r.roles = append(r.roles, role{uid, value[len(value)-2] == 1})
	}
	return nil
}

// eachItem gives every item of a sequence: a type, a reserved byte, a length of two bytes, and the value.
func eachItem(b []byte, do func(kind byte, value []byte) error) error {
	for len(b) > 0 {
		if len(b) < 4 {
			return violation(AbortInvalidValue, "an item of an A-ASSOCIATE-RQ ends within its header")
		}
		end := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if end > len(b) {
			return violation(AbortInvalidValue, "an item of an A-ASSOCIATE-RQ is longer than what holds it")
		}
		if err := do(b[0], b[4:end]); err != nil {
			return err
		}
		b = b[end:]
	}
	return nil
}

// Result is what becomes of a proposal (PS3.8 §9.3.3.2).
type Result byte

// The results.
const (
	Accepted         Result = 0
	NoAbstractSyntax Result = 3 // the abstract syntax is not supported
	NoTransferSyntax Result = 4 // none of the transfer syntaxes is
)

// Answer is the answer to a proposal.
type Answer struct {
	ID             byte
	Result         Result
	TransferSyntax string // the one to be used; it means nothing unless Accepted
}

// Accept is the A-ASSOCIATE-AC for r. MaxLength is the longest body of a P-DATA-TF that we take, in bytes. One operation at a
// time is what we answer to an asynchronous operations window, and the role of SCU to whoever asks for a role.
func (r AssociateRequest) Accept(answers []Answer, maxLength uint32) []byte {
	body := make([]byte, 0, 4096)
	body = append(body, 0, protocolVersion, 0, 0)
	body = append(body, r.echoed...)
	body = appendItem(body, itemApplication, []byte(ApplicationContext))
	for _, a := range answers {
		context := []byte{a.ID, 0, byte(a.Result), 0}
		body = appendItem(body, itemContextAC, appendItem(context, itemTransferSyntax, []byte(a.TransferSyntax)))
	}
	return AppendPDU(nil, TypeAssociateAC, appendItem(body, itemUser, r.userItems(maxLength)))
}

func (r AssociateRequest) userItems(maxLength uint32) []byte {
	items := appendItem(nil, itemMaxLength, binary.BigEndian.AppendUint32(nil, maxLength))
	items = appendItem(items, itemImplementation, []byte(ImplementationClassUID))
	if r.asynchronous {
		items = appendItem(items, itemAsynchronous, []byte{0, 1, 0, 1})
	}
	for _, proposed := range r.roles {
		value := binary.BigEndian.AppendUint16(nil, uint16(len(proposed.uid))) //nolint:gosec // G115: a UID's length
		value = append(value, proposed.uid...)
		scu := byte(0)
		if proposed.scu {
			scu = 1
		}
		items = appendItem(items, itemRole, append(value, scu, 0))
	}
	return appendItem(items, itemVersionName, []byte(ImplementationVersionName))
}

func appendItem(dst []byte, kind byte, value []byte) []byte {
	dst = append(dst, kind, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(value))) //nolint:gosec // G115: what is proposed is bounded when parsed
	return append(dst, value...)
}
