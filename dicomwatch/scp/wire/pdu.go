package wire

import "encoding/binary"

// Type is a PDU's (PS3.8 §9.3.1).
type Type byte

// The types.
const (
	TypeAssociateRQ Type = 0x01
	TypeAssociateAC Type = 0x02
	TypeAssociateRJ Type = 0x03
	TypeData        Type = 0x04
	TypeReleaseRQ   Type = 0x05
	TypeReleaseRP   Type = 0x06
	TypeAbort       Type = 0x07
)

// Known says whether the standard has PDUs of this type.
func (t Type) Known() bool { return t >= TypeAssociateRQ && t <= TypeAbort }

// HeaderSize is the size of what stands before each PDU's body: its type, a reserved byte, and the body's length.
const HeaderSize = 6

// ParseHeader reads a PDU's header, which is HeaderSize bytes.
func ParseHeader(b []byte) (t Type, length uint32) { return Type(b[0]), binary.BigEndian.Uint32(b[2:]) }

// AppendPDU appends a whole PDU.
func AppendPDU(dst []byte, t Type, body []byte) []byte {
	dst = append(dst, byte(t), 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(body))) //nolint:gosec // G115: we make no PDU of 4 GiB
	return append(dst, body...)
}

// AbortReason is why a service provider aborts (PS3.8 §9.3.8).
type AbortReason byte

// The reasons.
const (
	AbortUnspecified   AbortReason = 0
	AbortUnrecognised  AbortReason = 1 // unrecognised PDU
	AbortUnexpected    AbortReason = 2 // unexpected PDU
	AbortInvalidValue  AbortReason = 6 // invalid PDU parameter value
	abortServiceSource             = 2 // the provider of the upper layer, as opposed to its user
)

// Abort is an A-ABORT PDU.
func Abort(r AbortReason) []byte {
	return AppendPDU(nil, TypeAbort, []byte{0, 0, abortServiceSource, byte(r)})
}

// ReleaseReply is an A-RELEASE-RP PDU.
func ReleaseReply() []byte { return AppendPDU(nil, TypeReleaseRP, make([]byte, 4)) }

// Reject is an A-ASSOCIATE-RJ PDU (PS3.8 §9.3.4).
func Reject(result, source, reason byte) []byte {
	return AppendPDU(nil, TypeAssociateRJ, []byte{0, result, source, reason})
}

// The header of a presentation data value: its length, which counts the two bytes after it as well (PS3.8 §9.3.5.1, §E.2).
const (
	pdvHeaderSize = 6
	pdvCommand    = 0x01
	pdvLast       = 0x02
)

// PDV is a presentation data value: a fragment of a command set or of a dataset.
type PDV struct {
	Context byte // ID of its presentation context
	Command bool // of the command set; else of the dataset
	Last    bool
	Data    []byte // inside the PDU's body
}

// NextPDV takes the first of the PDVs of which a P-DATA-TF's body consists.
func NextPDV(body []byte) (v PDV, rest []byte, err error) {
	if len(body) < pdvHeaderSize {
		return PDV{}, nil, violation(AbortInvalidValue, "a P-DATA-TF ends within the header of a PDV")
	}
	length := binary.BigEndian.Uint32(body)
	if length < 2 || int64(length) > int64(len(body)-4) {
		return PDV{}, nil, violation(AbortInvalidValue, "a PDV is longer or shorter than its P-DATA-TF allows")
	}
	control := body[5]
	v = PDV{
		Context: body[4], Command: control&pdvCommand != 0, Last: control&pdvLast != 0,
		Data: body[pdvHeaderSize : 4+length],
	}
	return v, body[4+length:], nil
}

// CommandPDUs are the P-DATA-TF PDUs of a message without dataset, none with a body of more than limit bytes; 0 for no limit.
func CommandPDUs(context byte, command []byte, limit uint32) ([][]byte, error) {
	room := len(command)
	if limit != 0 {
		if limit <= pdvHeaderSize {
			return nil, violation(AbortInvalidValue, "no PDU is small enough for the peer's limit")
		}
		room = min(room, int(limit-pdvHeaderSize))
	}
	var pdus [][]byte
	for {
		n := min(room, len(command))
		control := byte(pdvCommand)
		if n == len(command) {
			control |= pdvLast
		}
		body := binary.BigEndian.AppendUint32(nil, uint32(n+2)) //nolint:gosec // G115: at most a command set's length
		body = append(body, context, control)
		pdus = append(pdus, AppendPDU(nil, TypeData, append(body, command[:n]...)))
		if command = command[n:]; len(command) == 0 {
			return pdus, nil
		}
	}
}
