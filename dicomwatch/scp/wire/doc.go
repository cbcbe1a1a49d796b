// Package wire reads and writes the bytes of a DICOM association: the protocol data units of the upper layer (PS3.8 §9.3), the
// command sets of messages (PS3.7 §6.3), the first elements of a dataset, and the header that makes a dataset a file
// (PS3.10 §7.1).
//
// It does no input or output and keeps no state. What it reads comes from the network, in the daemon itself: each function is
// given all the bytes that it may look at, takes memory in proportion to them, and is fuzzed.
package wire

import "fmt"

// ProtocolError is a breach of the protocol, which ends the association with an A-ABORT.
type ProtocolError struct {
	Reason AbortReason
	What   string // names nothing that came from the peer
}

func (v *ProtocolError) Error() string { return "the peer breaks the protocol: " + v.What }

func violation(reason AbortReason, format string, args ...any) error {
	return &ProtocolError{reason, fmt.Sprintf(format, args...)}
}
