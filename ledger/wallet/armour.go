package wallet

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"
)

// armour writes bytes as a text for people to copy: the prefix, and in base64url a CRC-32 over the bytes (4,
// big-endian) and the bytes.
func armour(prefix string, body []byte) string {
	whole := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(body))
	return prefix + base64.RawURLEncoding.EncodeToString(append(whole, body...))
}

// dearmour reads what armour gives; white space in it, as mail programs put there, does not matter. It is not ok if the
// text is another, or not all of it.
func dearmour(prefix, text string) (body []byte, ok bool) {
	encoded, ok := strings.CutPrefix(strings.Join(strings.Fields(text), ""), prefix)
	if !ok {
		return nil, false
	}
	whole, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(whole) < 4 {
		return nil, false
	}
	body = whole[4:]
	return body, crc32.ChecksumIEEE(body) == binary.BigEndian.Uint32(whole)
}
