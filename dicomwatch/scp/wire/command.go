package wire

import "encoding/binary"

// Field is a command (PS3.7 §E.1-1).
type Field uint16

// The commands that we know.
const (
	CStoreRQ  Field = 0x0001
	CEchoRQ   Field = 0x0030
	CCancelRQ Field = 0x0FFF
	response  Field = 0x8000
)

// IsResponse says whether it answers another.
func (f Field) IsResponse() bool { return f&response != 0 }

// Response is the command that answers f.
func (f Field) Response() Field { return f | response }

// MaxCommand is the longest command set that is read, in bytes: many times what the standard's elements take.
const MaxCommand = 16 << 10

// noDataset is the Command Data Set Type of a message without dataset; anything else is with one.
const noDataset = 0x0101

// The elements of group 0000 (PS3.7 §E.1).
const (
	elementGroupLength = 0x0000
	elementClass       = 0x0002
	elementField       = 0x0100
	elementMessageID   = 0x0110
	elementRespondedTo = 0x0120
	elementDataset     = 0x0800
	elementStatus      = 0x0900
	elementComment     = 0x0902
	elementInstance    = 0x1000
)

const maxComment = 64 // characters (LO)

// Command is a command set: that of a request when it is read, of a response when it is written.
type Command struct {
	Field       Field
	MessageID   uint16 // of a request
	RespondedTo uint16 // of a response: the request's message ID
	Dataset     bool   // a dataset follows
	Status      uint16 // of a response
	Comment     string // of a response that is no success; at most 64 characters of ASCII
	Class       string // affected SOP class UID, without padding
	Instance    string // affected SOP instance UID, without padding
}

// ParseCommand reads a command set: elements of group 0000 in rising order, in implicit VR little endian (PS3.7 §6.3.1).
// Those that we have no use for are left out.
func ParseCommand(b []byte) (Command, error) {
	if len(b) > MaxCommand {
		return Command{}, violation(AbortInvalidValue, "a command set is longer than %d bytes", MaxCommand)
	}
	var c Command
	var numbers uint16 // bits: the elements of numbers that came
	last := -1
	for len(b) > 0 {
		if len(b) < 8 {
			return Command{}, violation(AbortInvalidValue, "a command set ends within an element's header")
		}
		group, element, length := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint32(b[4:])
		if group != 0 || int(element) <= last {
			return Command{}, violation(AbortInvalidValue, "the elements of a command set are not those of group 0000 in rising order")
		}
		if int64(length) > int64(len(b)-8) {
			return Command{}, violation(AbortInvalidValue, "an element is longer than its command set")
		}
		came, err := c.set(element, b[8:8+length])
		if err != nil {
			return Command{}, err
		}
		numbers |= came
		last, b = int(element), b[8+length:]
	}
	if numbers&hasField == 0 || numbers&hasDataset == 0 {
		return Command{}, violation(AbortInvalidValue, "a command set has no command field or no data set type")
	}
	if numbers&hasMessageID == 0 && !c.Field.IsResponse() && c.Field != CCancelRQ {
		return Command{}, violation(AbortInvalidValue, "a request has no message ID")
	}
	return c, nil
}

// The elements without which a command set cannot be answered.
const (
	hasField = 1 << iota
	hasMessageID
	hasDataset
)

func (c *Command) set(element uint16, value []byte) (came uint16, err error) {
	switch element {
	case elementClass:
		c.Class = trimUID(string(value))
		return 0, nil
	case elementInstance:
		c.Instance = trimUID(string(value))
		return 0, nil
	case elementField, elementMessageID, elementRespondedTo, elementDataset, elementStatus:
	default:
		return 0, nil
	}
	if len(value) != 2 {
		return 0, violation(AbortInvalidValue, "a number in a command set is not of two bytes")
	}
	number := binary.LittleEndian.Uint16(value)
	switch element {
	case elementField:
		c.Field, came = Field(number), hasField
	case elementMessageID:
		c.MessageID, came = number, hasMessageID
	case elementRespondedTo:
		c.RespondedTo = number
	case elementDataset:
		c.Dataset, came = number != noDataset, hasDataset
	case elementStatus:
		c.Status = number
	}
	return came, nil
}

// Encode writes the command set of a response. UIDs that are none are left out.
func (c Command) Encode() []byte {
	body := make([]byte, 0, 256)
	if ValidUID(c.Class) {
		body = appendText(body, elementClass, c.Class, 0)
	}
	body = appendNumber(body, elementField, uint16(c.Field))
	body = appendNumber(body, elementRespondedTo, c.RespondedTo)
	body = appendNumber(body, elementDataset, noDataset)
	body = appendNumber(body, elementStatus, c.Status)
	if c.Comment != "" {
		body = appendText(body, elementComment, c.Comment[:min(len(c.Comment), maxComment)], ' ')
	}
	if ValidUID(c.Instance) {
		body = appendText(body, elementInstance, c.Instance, 0)
	}
	size := binary.LittleEndian.AppendUint32(nil, uint32(len(body))) //nolint:gosec // G115: a few hundred bytes
	return append(appendElement(nil, elementGroupLength, size), body...)
}

func appendNumber(dst []byte, element, value uint16) []byte {
	return appendElement(dst, element, binary.LittleEndian.AppendUint16(nil, value))
}

func appendText(dst []byte, element uint16, value string, padding byte) []byte {
	return appendElement(dst, element, even(value, padding))
}

func appendElement(dst []byte, element uint16, value []byte) []byte {
	dst = append(dst, 0, 0)
	dst = binary.LittleEndian.AppendUint16(dst, element)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(value))) //nolint:gosec // G115: at most a comment's or UID's length
	return append(dst, value...)
}

// even pads a value to an even length.
func even(value string, padding byte) []byte {
	if len(value)%2 == 1 {
		return append([]byte(value), padding)
	}
	return []byte(value)
}
