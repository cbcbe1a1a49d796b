package wire

import (
	"encoding/binary"
	"strings"
)

// PeekSize is how much of a dataset's beginning Peek wants, in bytes: the two UIDs stand among the first elements.
const PeekSize = 8 << 10

// The tags that Peek looks for.
const (
	tagClass    = 0x00080016
	tagInstance = 0x00080018
)

// Peek finds the SOP class and instance UIDs in the first bytes of a dataset. What it cannot find, it leaves empty: it gives up
// at the first thing that is not an element of known length in rising order, and at transfer syntaxes that it cannot read,
// which are the deflated, the private and the unknown ones. That is no fault of the dataset.
func Peek(head []byte, transferSyntax string) (class, instance string) {
	next := nextElement(transferSyntax)
	if next == nil {
		return "", ""
	}
	var last uint32
	for len(head) > 0 {
		e, rest, ok := next(head)
		if !ok || e.tag <= last || e.tag > tagInstance {
			break
		}
		switch e.tag {
		case tagClass:
			class = trimUID(string(e.value))
		case tagInstance:
			instance = trimUID(string(e.value))
		}
		last, head = e.tag, rest
	}
	return class, instance
}

type element struct {
	tag   uint32
	value []byte
}

// nextElement gives the function that takes an element in this transfer syntax; nil if there is none.
func nextElement(transferSyntax string) func([]byte) (e element, rest []byte, ok bool) {
	switch transferSyntax {
	case ImplicitLittleEndian:
		return nextImplicit
	case ExplicitBigEndian:
		return func(b []byte) (element, []byte, bool) { return nextExplicit(b, binary.BigEndian) }
	case DeflatedLittleEndian, JPIPReferencedDeflate, JPIPHTJ2KDeflate:
		return nil
	}
	if !strings.HasPrefix(transferSyntax, ImplicitLittleEndian+".") {
		return nil
	}
	return func(b []byte) (element, []byte, bool) { return nextExplicit(b, binary.LittleEndian) }
}

func nextImplicit(b []byte) (e element, rest []byte, ok bool) {
	if len(b) < 8 {
		return element{}, nil, false
	}
	return cut(tagOf(b, binary.LittleEndian), b[8:], binary.LittleEndian.Uint32(b[4:]))
}

// nextExplicit reads the two forms that an element has by its VR (PS3.5 §7.1.2).
func nextExplicit(b []byte, order binary.ByteOrder) (e element, rest []byte, ok bool) {
	if len(b) < 8 {
		return element{}, nil, false
	}
	switch string(b[4:6]) {
	case "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI",
		"UL", "US":
		return cut(tagOf(b, order), b[8:], uint32(order.Uint16(b[6:])))
	case "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV":
		if len(b) < 12 {
			return element{}, nil, false
		}
		return cut(tagOf(b, order), b[12:], order.Uint32(b[8:]))
	}
	return element{}, nil, false
}

func tagOf(b []byte, order binary.ByteOrder) uint32 {
	return uint32(order.Uint16(b))<<16 | uint32(order.Uint16(b[2:]))
}

// cut takes a value of length bytes; it cannot if the length is undefined or reaches beyond what is there.
func cut(tag uint32, b []byte, length uint32) (e element, rest []byte, ok bool) {
	if int64(length) > int64(len(b)) {
		return element{}, nil, false
	}
	return element{tag, b[:length]}, b[length:], true
}
