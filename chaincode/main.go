// The chaincode of medanchor, as a service that the hospital's own peer connects to (Fabric's "ccaas"). It serves
// mutual TLS only: whoever reached it unauthenticated could make the peer endorse anything.
//
// It is configured by its environment:
//
//	CHAINCODE_ID              package ID, as `peer lifecycle chaincode calculatepackageid` gives it
//	CHAINCODE_SERVER_ADDRESS  address to listen on, such as 127.0.0.1:9999
//	CHAINCODE_TLS_KEY         file with the server's private key, PEM
//	CHAINCODE_TLS_CERT        file with the server's certificate, PEM
//	CHAINCODE_CLIENT_CA_CERT  file with the CA that issued the peer's client certificate, PEM
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/contract"
)

func main() {
	if err := run(os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "medanchor chaincode:", err)
		os.Exit(1)
	}
}

func run(env func(string) string) error {
	server, err := configure(env)
	if err != nil {
		return err
	}
	if server.CC, err = contract.New(); err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return fmt.Errorf("serve on %s: %w", server.Address, err)
	}
	return nil
}

// configure reads the environment; every variable is mandatory, TLS included.
func configure(env func(string) string) (*shim.ChaincodeServer, error) {
	var problems []error
	need := func(name string) string {
		value := env(name)
		if value == "" {
			problems = append(problems, fmt.Errorf("set %s", name))
		}
		return value
	}
	file := func(name string) []byte {
		path := need(name)
		if path == "" {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			problems = append(problems, fmt.Errorf("read the file that %s names: %w", name, err))
		}
		return content
	}
	server := &shim.ChaincodeServer{
		CCID:    need("CHAINCODE_ID"),
		Address: need("CHAINCODE_SERVER_ADDRESS"),
		TLSProps: shim.TLSProperties{
			Key:           file("CHAINCODE_TLS_KEY"),
			Cert:          file("CHAINCODE_TLS_CERT"),
			ClientCACerts: file("CHAINCODE_CLIENT_CA_CERT"),
		},
	}
	return server, errors.Join(problems...)
}
