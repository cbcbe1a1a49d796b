package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/medanchor/medanchor/chaincode/record"
)

// ErrNotFound says that the ledger does not hold what was asked for.
var ErrNotFound = errors.New("not on the ledger")

// ErrAccess says that the channel does not accept the caller's identity.
var ErrAccess = errors.New("the channel does not accept this appliance's identity: check msp_id and the certificate " +
	"(issuer, validity), and this machine's clock")

// Phase is a step of a transaction.
type Phase string

// The phases, in order. After a failure of Endorse nothing was sent. After one of Submit or Commit that is not an
// InvalidError, the transaction may be committed or not.
const (
	Endorse Phase = "endorse"
	Submit  Phase = "submit"
	Commit  Phase = "commit"
)

// TransactionError is a failed phase of a transaction.
type TransactionError struct {
	Phase Phase
	TxID  record.TxID
	Err   error
}

// Error names phase, transaction and cause.
func (e *TransactionError) Error() string {
	return fmt.Sprintf("%s transaction %s: %v", e.Phase, e.TxID, e.Err)
}

// Unwrap gives the cause.
func (e *TransactionError) Unwrap() error { return e.Err }

// InvalidError is a transaction that stands on the channel as invalid: it changed nothing, and never will.
type InvalidError struct {
	Code peer.TxValidationCode
}

// Error names the peer's validation code.
func (e *InvalidError) Error() string {
	return fmt.Sprintf("the channel marked it invalid (%s)", e.Code)
}

// Conflicts says whether a concurrent transaction was first: nothing was changed, and the same call may be made again at
// once.
func Conflicts(err error) bool {
	invalid, ok := errors.AsType[*InvalidError](err)
	return ok && (invalid.Code == peer.TxValidationCode_MVCC_READ_CONFLICT ||
		invalid.Code == peer.TxValidationCode_PHANTOM_READ_CONFLICT)
}

// Retryable says whether the same call, made again, can succeed: the peer, the orderer or another member is away or
// slow, or a concurrent transaction was first. A cancelled context is not.
func Retryable(err error) bool {
	if refused, ok := errors.AsType[*record.Error](err); ok {
		return refused.Code == record.AnchoringConflict || refused.Code == record.Internal
	}
	if _, ok := errors.AsType[*InvalidError](err); ok {
		return Conflicts(err)
	}
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, ErrNotFound), errors.Is(err, ErrAccess):
		return false
	case errors.Is(err, context.DeadlineExceeded):
		return true
	}
	switch status.Code(err) {
	// Aborted is a failed endorsement without a refusal by the contract: a peer or chaincode that is away, or
	// "ProposalResponsePayloads do not match", when peers are at different heights. FailedPrecondition is a lack of
	// endorsers: another member's peer is away. Unknown is for errors that are no gRPC status at all.
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted, codes.FailedPrecondition:
		return true
	default:
		return false
	}
}

// explain turns a gateway's error into one that names its cause: what the contract refused, what is not found, or the
// status with the peers' messages on one line.
func explain(err error) error {
	if err == nil {
		return nil
	}
	messages := peerMessages(err)
	for _, m := range messages {
		if refused, ok := record.ParseError(m); ok {
			if refused.Code == record.NotFound {
				return fmt.Errorf("%w: %w", ErrNotFound, refused)
			}
			return refused
		}
	}
	text := strings.Join(messages, "; ")
	switch {
	case strings.Contains(text, "access denied"):
		return fmt.Errorf("%w (peer: %s)", ErrAccess, text)
	case strings.Contains(text, "no such transaction ID"):
		return ErrNotFound
	}
	return &peerError{err, text}
}

// peerError is a gRPC error with a readable text.
type peerError struct {
	err  error
	text string
}

func (e *peerError) Error() string { return e.text }

func (e *peerError) Unwrap() error { return e.err }

// peerMessages gives what the peers said: the status, and the details that a gateway attaches for each endorser.
func peerMessages(err error) []string {
	s, ok := status.FromError(err)
	if !ok {
		return []string{err.Error()}
	}
	messages := []string{fmt.Sprintf("%s: %s", s.Code(), s.Message())}
	for _, detail := range s.Details() {
		if d, ok := detail.(*gateway.ErrorDetail); ok {
			messages = append(messages, fmt.Sprintf("%s %s: %s", d.GetMspId(), d.GetAddress(), d.GetMessage()))
		}
	}
	return messages
}

// failed makes a TransactionError of a phase's error.
func failed(phase Phase, txID record.TxID, err error) error {
	return &TransactionError{phase, txID, explain(err)}
}

// invalid makes a TransactionError of a commit status.
func invalid(txID record.TxID, s *client.Status) error {
	return &TransactionError{Commit, txID, &InvalidError{s.Code}}
}
