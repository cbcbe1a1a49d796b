package scp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLSConfig is for connections by the profile of PS3.15 §B.12 (BCP 195, RFC 8996 and RFC 9325), which those of §B.9 and §B.10
// can meet as well: TLS 1.3, or TLS 1.2 with forward secrecy and AEAD. The files are PEM. Peers must show a certificate from one
// of the authorities in clientCAFile: an AE title is no proof of who calls.
func TLSConfig(certFile, keyFile, clientCAFile string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate of the DICOM receiver: %w", err)
	}
	authorities, err := readAuthorities(clientCAFile)
	if err != nil {
		return nil, fmt.Errorf("read the authorities of DICOM senders: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		CipherSuites: []uint16{ // of TLS 1.2; those of 1.3 are all good
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305,
		},
		ClientCAs: authorities, ClientAuth: tls.RequireAndVerifyClientCert,
		// A resumed session would outlive the certificate by which it began.
		SessionTicketsDisabled: true,
	}, nil
}

func readAuthorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return nil, errors.New("the file has no certificate in PEM")
	}
	return authorities, nil
}
