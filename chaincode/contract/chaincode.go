package contract

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Chaincode routes transactions to the contracts.
type Chaincode struct {
	contracts *contractapi.ContractChaincode
}

// New gives the chaincode with all contracts.
func New() (*Chaincode, error) {
	contracts, err := contractapi.NewChaincode(
		newRecords(),
		newParticipants(),
		newPatients(),
		newErasure(),
		newDecisions(),
		newAppointments(),
		newConsent(),
		newReleases(),
		newAudit(),
	)
	if err != nil {
		return nil, fmt.Errorf("assemble contracts: %w", err)
	}
	contracts.Info.Title = "medanchor"
	contracts.DefaultContract = recordsName
	return &Chaincode{contracts}, nil
}

// Init does nothing: the ledger starts empty, and the lifecycle does not ask for it.
func (c *Chaincode) Init(shim.ChaincodeStubInterface) *peer.Response { return shim.Success(nil) }

// Invoke runs one transaction. Anchoring goes straight to its function, because its packed result is no JSON for
// contractapi to check and it is where throughput counts; everything else goes through contractapi.
func (c *Chaincode) Invoke(stub shim.ChaincodeStubInterface) *peer.Response {
	if function, _ := stub.GetFunctionAndParameters(); function != record.AnchorFunction {
		return coded(c.contracts.Invoke(stub))
	}
	result, err := anchor(stub)
	if err != nil {
		return shim.Error(refusal(err).Error())
	}
	return shim.Success(result.Encode())
}

// coded gives a refusal a code if it has none: contractapi itself refuses unknown functions, and arguments that are too many,
// too few, or no numbers.
func coded(response *peer.Response) *peer.Response {
	if response.GetStatus() == shim.OK {
		return response
	}
	if _, known := record.ParseError(response.GetMessage()); known {
		return response
	}
	return shim.Error(record.Errorf(record.BadRequest, "%s", response.GetMessage()).Error())
}

// readStates reads the values of all keys at once, in their order. The value of a key that is not there is empty (from
// a peer not even nil).
func readStates(stub shim.ChaincodeStubInterface, keys []string) ([][]byte, error) {
	values, err := stub.GetMultipleStates(keys...)
	if err != nil {
		return nil, fmt.Errorf("read %d keys: %w", len(keys), err)
	}
	if len(values) != len(keys) {
		return nil, fmt.Errorf("read %d keys: the peer gave %d values", len(keys), len(values))
	}
	return values, nil
}

// refusal gives err a code if it has none: what is not a rule's refusal is the peer's fault.
func refusal(err error) *record.Error {
	if refused, ok := errors.AsType[*record.Error](err); ok {
		return refused
	}
	return record.Errorf(record.Internal, "%v: try again, and look at the peer's log if it persists", err)
}

// answer gives a query's result as JSON.
func answer(v any, err error) (string, error) {
	if err != nil {
		return "", refusal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "", refusal(fmt.Errorf("write answer: %w", err))
	}
	return string(text), nil
}
