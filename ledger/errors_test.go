package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hyperledger/fabric-gateway/pkg/client"
	"github.com/hyperledger/fabric-protos-go-apiv2/gateway"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/medanchor/medanchor/chaincode/record"
)

// fromGateway makes an error as a gateway gives it: a status, with what each endorser said.
func fromGateway(t *testing.T, code codes.Code, message string, endorsers ...string) error {
	t.Helper()
	s := status.New(code, message)
	for _, text := range endorsers {
		var err error
		if s, err = s.WithDetails(&gateway.ErrorDetail{Address: "peer:7051", MspId: "AMSP", Message: text}); err != nil {
			t.Fatal(err)
		}
	}
	return s.Err()
}

func TestRetryable(t *testing.T) {
	const aborted = "failed to endorse transaction, see attached details for more info"
	commit := func(code peer.TxValidationCode) error {
		return invalid(record.TxID{}, &client.Status{Code: code})
	}
	endorse := func(err error) error { return failed(Endorse, record.TxID{}, err) }
	tests := map[string]struct {
		err  error
		want bool
	}{
		"peer away":          {endorse(fromGateway(t, codes.Unavailable, "connection refused")), true},
		"peer frozen":        {endorse(fromGateway(t, codes.DeadlineExceeded, "context deadline exceeded")), true},
		"our deadline":       {fmt.Errorf("ask: %w", context.DeadlineExceeded), true},
		"cancelled":          {context.Canceled, false},
		"cancelled in gRPC":  {explain(fromGateway(t, codes.Canceled, "context canceled")), false},
		"too many in flight": {endorse(fromGateway(t, codes.ResourceExhausted, "the gateway is at its concurrency limit")), true},
		"chaincode away": {endorse(fromGateway(t, codes.Aborted, aborted,
			"error in simulation: could not launch chaincode: connection refused")), true},
		"peers at different heights": {endorse(fromGateway(t, codes.Aborted, "ProposalResponsePayloads do not match")), true},
		"too few endorsers": {endorse(fromGateway(t, codes.FailedPrecondition,
			"no combination of peers can be derived which satisfy the endorsement policy")), true},
		"orderer away":       {failed(Submit, record.TxID{}, fromGateway(t, codes.Unavailable, "no orderers could successfully process transaction")), true},
		"concurrent write":   {commit(peer.TxValidationCode_MVCC_READ_CONFLICT), true},
		"phantom":            {commit(peer.TxValidationCode_PHANTOM_READ_CONFLICT), true},
		"policy":             {commit(peer.TxValidationCode_ENDORSEMENT_POLICY_FAILURE), false},
		"wrong role":         {endorse(fromGateway(t, codes.Aborted, aborted, "chaincode response 500, FORBIDDEN: enrol")), false},
		"another's patient":  {endorse(fromGateway(t, codes.Aborted, aborted, "chaincode response 500, FORBIDDEN[2]: of another")), false},
		"transaction's twin": {endorse(fromGateway(t, codes.Aborted, aborted, "chaincode response 500, ANCHORING_CONFLICT: again")), true},
		"state unreadable":   {endorse(fromGateway(t, codes.Aborted, aborted, "chaincode response 500, INTERNAL: read 3 keys")), true},
		"foreign identity":   {endorse(fromGateway(t, codes.Aborted, aborted, "error validating proposal: access denied: channel [x]")), false},
		"not found":          {explain(fromGateway(t, codes.Unknown, "evaluate call to endorser returned error: chaincode response 500, NOT_FOUND: no such document")), false},
		"bad batch":          {record.Batch{}.Validate(), false},
		"none":               {nil, false},
		"something else":     {errors.New("something else"), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Retryable(test.err); got != test.want {
				t.Errorf("%v: got %t", test.err, got)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	const aborted = "failed to endorse transaction, see attached details for more info"
	tx := record.TxID{0xab}

	err := failed(Endorse, tx, fromGateway(t, codes.Aborted, aborted, "chaincode response 500, FORBIDDEN[2]: of another"))
	refused, ok := errors.AsType[*record.Error](err)
	if !ok || refused.Code != record.Forbidden || refused.Index != 2 {
		t.Errorf("the contract's refusal is lost: %v", err)
	}
	phase, ok := errors.AsType[*TransactionError](err)
	if !ok || phase.Phase != Endorse || phase.TxID != tx {
		t.Errorf("the phase is lost: %v", err)
	}

	err = explain(fromGateway(t, codes.Aborted, aborted, "access denied: creator org unknown", "access denied: again"))
	if !errors.Is(err, ErrAccess) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one line of ErrAccess", err)
	}
	for _, message := range []string{
		"evaluate call to endorser returned error: chaincode response 500, NOT_FOUND: no such document",
		"evaluate call to endorser returned error: chaincode response 500, Failed to get block for txID ab, error no such transaction ID [ab] in index",
	} {
		if err := explain(fromGateway(t, codes.Unknown, message)); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	}
	err = explain(fromGateway(t, codes.Aborted, aborted, "could not launch chaincode"))
	if status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "could not launch chaincode") {
		t.Errorf("the peers' messages are lost: %v", err)
	}
	if explain(nil) != nil {
		t.Error("no error is explained")
	}
}
