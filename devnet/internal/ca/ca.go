// Package ca is a client of Fabric CA's REST interface, as far as a network needs it: register an identity, and enrol it.
// Keys are made here and never travel; the CA sees a certificate signing request.
//
// The source is the OpenAPI description of Fabric CA 1.5 (swagger-fabric-ca.json) and, for the authorization token,
// GenECDSAToken of its util package.
package ca

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/identity"
)

const (
	enrolPath    = "/api/v1/enroll"
	registerPath = "/api/v1/register"
	timeout      = 10 * time.Second
)

// Client speaks to one CA. It is safe for concurrent use.
type Client struct {
	url  string
	http *http.Client
}

// New makes a client of the CA that listens on address (host:port) with a TLS certificate below one of roots.
func New(address string, roots *x509.CertPool) *Client {
	return &Client{
		url: "https://" + address,
		http: &http.Client{
			Timeout: timeout,
			Transport: &http.Transport{
				TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
				DisableKeepAlives: true, // a handful of requests: nothing to close afterwards
			},
		},
	}
}

// KeyPair is a certificate and its private key, both PEM (the key PKCS #8).
type KeyPair struct {
	Cert, Key []byte
}

// Registration describes a new identity. Its affiliation is the registrar's, which is empty.
type Registration struct {
	ID         string            // enrolment ID, and common name of the certificates
	Type       string            // client, peer, orderer or admin: the organisational unit that NodeOUs go by
	Attributes map[string]string // each put into every certificate
}

// Register adds an identity, in the name of registrar, and returns the secret with which it may enrol.
func (c *Client) Register(ctx context.Context, registrar KeyPair, r Registration) (secret string, err error) {
	type attribute struct {
		Name  string `json:"name"`
		Value string `json:"value"`
		// ECert asks for the attribute in certificates by default; without it the attribute is missing without a word.
		ECert bool `json:"ecert"`
	}
	attributes := make([]attribute, 0, len(r.Attributes))
	for name, value := range r.Attributes {
		attributes = append(attributes, attribute{Name: name, Value: value, ECert: true})
	}
	body, err := json.Marshal(map[string]any{"id": r.ID, "type": r.Type, "affiliation": "", "attrs": attributes})
	if err != nil {
		return "", fmt.Errorf("register identity: %w", err)
	}
	token, err := authorization(registrar, http.MethodPost, registerPath, body)
	if err != nil {
		return "", fmt.Errorf("register identity: %w", err)
	}
	var result struct {
		Secret string `json:"secret"`
	}
	err = c.post(ctx, registerPath, body, func(req *http.Request) { req.Header.Set("Authorization", token) }, &result)
	if err != nil {
		return "", fmt.Errorf("register identity: %w", err)
	}
	return result.Secret, nil
}

// Enrolment asks for a certificate of a registered identity.
type Enrolment struct {
	ID, Secret string
	// TLS asks for a certificate for TLS (client and server) instead of one for signing.
	TLS bool
	// Hosts are the names and IP addresses that a TLS server's certificate is for.
	Hosts []string
}

// Enrol makes a P-256 key and has the CA certify it.
func (c *Client) Enrol(ctx context.Context, e Enrolment) (KeyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return KeyPair{}, fmt.Errorf("enrol identity: %w", err)
	}
	request, err := signingRequest(key, e)
	if err != nil {
		return KeyPair{}, fmt.Errorf("enrol identity: %w", err)
	}
	profile := ""
	if e.TLS {
		profile = "tls"
	}
	body, err := json.Marshal(map[string]any{"certificate_request": string(request), "profile": profile})
	if err != nil {
		return KeyPair{}, fmt.Errorf("enrol identity: %w", err)
	}
	var result struct {
		Cert []byte // PEM, base64 in the JSON
	}
	err = c.post(ctx, enrolPath, body, func(req *http.Request) { req.SetBasicAuth(e.ID, e.Secret) }, &result)
	if err != nil {
		return KeyPair{}, fmt.Errorf("enrol identity: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return KeyPair{}, fmt.Errorf("enrol identity: %w", err)
	}
	return KeyPair{
		Cert: result.Cert,
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}, nil
}

// signingRequest makes the PKCS #10 request. The CA takes nothing from its subject but the common name.
func signingRequest(key *ecdsa.PrivateKey, e Enrolment) ([]byte, error) {
	template := x509.CertificateRequest{Subject: pkix.Name{CommonName: e.ID}}
	for _, host := range e.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		return nil, fmt.Errorf("make certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// authorization makes the token that proves who sends a request: certificate and signature (SHA-256, ECDSA with low S)
// over method, path, body and certificate.
func authorization(who KeyPair, method, path string, body []byte) (string, error) {
	key, err := identity.PrivateKeyFromPEM(who.Key)
	if err != nil {
		return "", fmt.Errorf("read registrar's key: %w", err)
	}
	sign, err := identity.NewPrivateKeySign(key)
	if err != nil {
		return "", fmt.Errorf("use registrar's key: %w", err)
	}
	b64 := base64.StdEncoding.EncodeToString
	cert := b64(who.Cert)
	digest := sha256.Sum256([]byte(method + "." + b64([]byte(path)) + "." + b64(body) + "." + cert))
	signature, err := sign(digest[:])
	if err != nil {
		return "", fmt.Errorf("sign as registrar: %w", err)
	}
	return cert + "." + b64(signature), nil
}

// post sends a request and reads the CA's answer into result.
func (c *Client) post(ctx context.Context, path string, body []byte, authorize func(*http.Request), result any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	authorize(req)
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()

	answer := struct {
		Success bool
		Result  any
		Errors  []struct {
			Code    int
			Message string
		}
	}{Result: result}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read answer (%s): %w", resp.Status, err)
	}
	if answer.Success {
		return nil
	}
	if len(answer.Errors) == 0 {
		return errors.New(resp.Status)
	}
	return fmt.Errorf("%s (code %d)", answer.Errors[0].Message, answer.Errors[0].Code)
}
