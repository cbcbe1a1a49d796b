package record

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Code says which rule of the contract refused a transaction. Clients branch on it.
type Code string

// The codes. Of what the caller can do nothing about, AnchoringConflict and Internal can succeed when submitted again.
const (
	// BadRequest is an argument or batch that breaks the schema: the client is at fault.
	BadRequest Code = "BAD_REQUEST"
	// Forbidden is a caller without the role that the function needs.
	Forbidden Code = "FORBIDDEN"
	// NotFound is a document, record or anchoring that is not on the ledger.
	NotFound Code = "NOT_FOUND"
	// AnchoringConflict is a transaction whose ID begins like that of another. Submit again as a new transaction.
	AnchoringConflict Code = "ANCHORING_CONFLICT"
	// Exists is something that is there already: a participant, a key, a slot.
	Exists Code = "EXISTS"
	// WrongState is something that has moved on: a request that was decided, an appointment that was cancelled. Look at
	// it again.
	WrongState Code = "WRONG_STATE"
	// Held is an erasure that a legal hold or a retention period refuses.
	Held Code = "HELD"
	// Internal is a state that the contract cannot read or write: the peer or a newer schema is at fault.
	Internal Code = "INTERNAL"
)

// NoVersion is the Index of an Error that is not about one version of a batch.
const NoVersion = -1

// Error is a refusal by the contract. Its text is the chaincode's response message, which ParseError reads back.
type Error struct {
	Code    Code
	Index   int // of the version in the batch, from 0; or NoVersion
	Message string
}

// maxMessage is the most bytes of a message that Errorf makes. What it quotes of a request may be anything.
const maxMessage = 500

// Errorf makes a refusal that is not about one version of a batch.
func Errorf(code Code, format string, args ...any) *Error {
	message := strings.ToValidUTF8(fmt.Sprintf(format, args...), "\uFFFD")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return &Error{Code: code, Index: NoVersion, Message: message}
}

// Error gives "CODE: what to do", or "CODE[index]: what to do".
func (e *Error) Error() string {
	if e.Index == NoVersion {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s[%d]: %s", e.Code, e.Index, e.Message)
}

// errorText finds an Error by itself, or in the text that a gateway wraps it in: "…chaincode response 500, CODE: what to
// do".
var errorText = regexp.MustCompile(`(?s)(?:^|chaincode response \d{3}, )(BAD_REQUEST|FORBIDDEN|NOT_FOUND|ANCHORING_CONFLICT|EXISTS|WRONG_STATE|HELD|INTERNAL)` +
	`(?:\[(\d{1,6})\])?: (.*)$`)

// ParseError finds the Error that text ends with.
func ParseError(text string) (*Error, bool) {
	m := errorText.FindStringSubmatch(text)
	if m == nil {
		return nil, false
	}
	e := Errorf(Code(m[1]), "%s", m[3])
	if m[2] != "" {
		e.Index, _ = strconv.Atoi(m[2]) // up to 6 digits
	}
	return e, true
}
