package scp

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// TLSConfig is for connections by the profile of PS3.15 §B.12 (BCP 195, RFC 8996 and RFC 9325), which those of §B.9 and §B.10
// can meet as well: TLS 1.3, or TLS 1.2 with forward secrecy and AEAD. Peers must show a certificate from one of the authorities:
// an AE title is no proof of who calls.
func TLSConfig(own tls.Certificate, authorities []*x509.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	for _, a := range authorities {
		pool.AddCert(a)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{own},
		MinVersion:   tls.VersionTLS12,
		CipherSuites: []uint16{ // of TLS 1.2; those of 1.3 are all good
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305,
		},
		ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		// A resumed session would outlive the certificate by which it began.
		SessionTicketsDisabled: true,
	}
}

// ReadAuthorities reads the certificates of a PEM file; it is an error if there are none, or one cannot be read.
func ReadAuthorities(file string) (authorities []*x509.Certificate, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		authority, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the file: %w", len(authorities)+1, err)
		}
		authorities = append(authorities, authority)
	}
	if len(authorities) == 0 {
		return nil, errors.New("the file has no certificate in PEM")
	}
	return authorities, nil
}
