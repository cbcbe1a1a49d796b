package contract

import (
	"fmt"

	"github.com/hyperledger/fabric-chaincode-go/v2/pkg/cid"
	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

// requireRole gives the caller's MSP ID if their certificate carries the role.
func requireRole(stub shim.ChaincodeStubInterface, role string) (mspID string, err error) {
	caller, err := cid.New(stub)
	if err != nil {
		return "", record.Errorf(record.Forbidden, "the caller has no readable X.509 certificate: enrol again")
	}
	held, found, err := caller.GetAttributeValue(record.RoleAttribute)
	if err != nil || !found {
		return "", record.Errorf(record.Forbidden, "the caller's certificate carries no attribute %s: enrol again, "+
			"and request the attribute", record.RoleAttribute)
	}
	if held != role {
		return "", record.Errorf(record.Forbidden, "the caller is enrolled as %q: this needs the role %q", held, role)
	}
	if mspID, err = caller.GetMSPID(); err != nil {
		return "", fmt.Errorf("read caller's MSP ID: %w", err)
	}
	return mspID, nil
}
