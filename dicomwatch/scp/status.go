package scp

import (
	"errors"
	"fmt"

	"github.com/medanchor/medanchor/document"
)

// Status is that of a response (PS3.7 Annex C, PS3.4 §B.2.3).
type Status uint16

// The statuses that we answer.
const (
	StatusSuccess       Status = 0x0000
	StatusFailed        Status = 0x0110 // processing failure
	StatusNotSupported  Status = 0x0122 // SOP class not supported
	StatusUnrecognised  Status = 0x0211 // unrecognised operation
	StatusNoRoom        Status = 0xA700 // out of resources
	StatusMismatch      Status = 0xA900 // the dataset does not match the SOP class
	StatusNotUnderstood Status = 0xC000 // cannot understand
)

// Statuses are all statuses that we answer.
func Statuses() []Status {
	return []Status{
		StatusSuccess, StatusFailed, StatusNotSupported, StatusUnrecognised, StatusNoRoom, StatusMismatch, StatusNotUnderstood,
	}
}

// String is the status as the standard writes it, such as 0xA700.
func (s Status) String() string { return fmt.Sprintf("0x%04X", uint16(s)) }

// refusal is why something is not done: what its sender is told.
type refusal struct {
	status  Status
	comment string // at most 64 characters of ASCII, nothing personal; also in the log
	cause   error  // for the log; may be nil
}

// The refusals that are always alike.
func notSupported() *refusal {
	return &refusal{status: StatusNotSupported, comment: "not the SOP class of its presentation context"}
}

func notUnderstood(comment string) *refusal {
	return &refusal{status: StatusNotUnderstood, comment: comment}
}

// refused is what the sender is told of an error of the spool.
func refused(err error) *refusal {
	if errors.Is(err, document.ErrNoRoom) {
		return &refusal{StatusNoRoom, "there is no room for it now: send it again later", err}
	}
	return &refusal{StatusFailed, "the object could not be stored: send it again later", err}
}
