package record

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// DocumentTag names a document of the patient whose secret it is: the first 16 bytes of
//
//	HMAC-SHA256(secret, "document" ‖ generation, 4 bytes big-endian ‖ digest, 32 bytes)
//
// The digest is the content's SHA-256; generation counts the erasures of that content, from 0. Every part has a fixed
// length, and no record's message begins so (RecordTag): no two meanings share a message.
func DocumentTag(secret [32]byte, generation uint32, digest [32]byte) Tag {
	message := binary.BigEndian.AppendUint32([]byte("document"), generation)
	return keyedTag(secret, append(message, digest[:]...))
}

// RecordTag names a record of the patient whose secret it is: the first 16 bytes of
//
//	HMAC-SHA256(secret, "record" ‖ name)
//
// The name is the record's own, such as a DICOM Study Instance UID; its bytes are taken as they are.
func RecordTag(secret [32]byte, name string) Tag {
	return keyedTag(secret, []byte("record"+name))
}

func keyedTag(secret [32]byte, message []byte) Tag {
	mac := hmac.New(sha256.New, secret[:])
	mac.Write(message)
	return Tag(mac.Sum(nil)[:16])
}
