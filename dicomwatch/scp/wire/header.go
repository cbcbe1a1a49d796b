package wire

import "encoding/binary"

// FileHeader is what the file meta information says of an object (PS3.10 §7.1).
type FileHeader struct {
	Class          string // SOP class UID
	Instance       string // SOP instance UID
	TransferSyntax string // UID of the dataset's
	Calling        string // AE title of the sender
	Called         string // AE title by which it called us
}

// Encode gives all that comes before the dataset in a file: the preamble, the prefix, and the file meta information, which is
// always in explicit VR little endian.
func (h FileHeader) Encode() []byte {
	meta := appendMeta(make([]byte, 0, 512), 0x0001, "OB", []byte{0, 1})
	meta = appendMeta(meta, 0x0002, "UI", even(h.Class, 0))
	meta = appendMeta(meta, 0x0003, "UI", even(h.Instance, 0))
	meta = appendMeta(meta, 0x0010, "UI", even(h.TransferSyntax, 0))
	meta = appendMeta(meta, 0x0012, "UI", even(ImplementationClassUID, 0))
	meta = appendMeta(meta, 0x0013, "SH", even(ImplementationVersionName, ' '))
	meta = appendMeta(meta, 0x0016, "AE", even(h.Calling, ' ')) // source
	meta = appendMeta(meta, 0x0017, "AE", even(h.Calling, ' ')) // sending
	meta = appendMeta(meta, 0x0018, "AE", even(h.Called, ' '))  // receiving
	file := append(make([]byte, 128, 128+4+12+len(meta)), "DICM"...)
	size := binary.LittleEndian.AppendUint32(nil, uint32(len(meta))) //nolint:gosec // G115: a few hundred bytes
	return append(appendMeta(file, 0x0000, "UL", size), meta...)
}

// appendMeta appends an element of group 0002.
func appendMeta(dst []byte, element uint16, vr string, value []byte) []byte {
	dst = append(dst, 2, 0)
	dst = binary.LittleEndian.AppendUint16(dst, element)
	dst = append(dst, vr...)
	if vr == "OB" {
		dst = append(dst, 0, 0)
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(value))) //nolint:gosec // G115: two bytes
		return append(dst, value...)
	}
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(value))) //nolint:gosec // G115: at most a UID's length
	return append(dst, value...)
}
