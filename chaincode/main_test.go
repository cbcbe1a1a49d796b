package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigure(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"key", "cert", "ca"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	complete := map[string]string{
		"CHAINCODE_ID":             "records_1:abc",
		"CHAINCODE_SERVER_ADDRESS": "127.0.0.1:9999",
		"CHAINCODE_TLS_KEY":        filepath.Join(folder, "key"),
		"CHAINCODE_TLS_CERT":       filepath.Join(folder, "cert"),
		"CHAINCODE_CLIENT_CA_CERT": filepath.Join(folder, "ca"),
	}
	server, err := configure(func(name string) string { return complete[name] })
	if err != nil {
		t.Fatal(err)
	}
	if server.TLSProps.Disabled || string(server.TLSProps.Key) != "key" || string(server.TLSProps.ClientCACerts) != "ca" ||
		server.CCID != "records_1:abc" || server.Address != "127.0.0.1:9999" {
		t.Errorf("got %+v", server)
	}
	for missing := range complete {
		_, err := configure(func(name string) string {
			if name == missing {
				return ""
			}
			return complete[name]
		})
		if err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: got %v", missing, err)
		}
	}
}

// TestRefusesBadTLS checks that broken key material ends the program instead of serving in clear.
func TestRefusesBadTLS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "not.pem")
	if err := os.WriteFile(file, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := run(func(name string) string {
		switch name {
		case "CHAINCODE_ID":
			return "records_1:abc"
		case "CHAINCODE_SERVER_ADDRESS":
			return "127.0.0.1:0"
		}
		return file
	})
	if err == nil {
		t.Error("the server started with a file that is not PEM")
	}
}
