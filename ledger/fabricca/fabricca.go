// Package fabricca is a client of Fabric CA's REST interface: it registers identities, enrols them, and renews their
// secrets and certificates. Keys are made here and never travel; the CA sees a certificate signing request.
//
// The source is the OpenAPI description of Fabric CA 1.5 (swagger-fabric-ca.json) and, for the authorization token,
// GenECDSAToken of its util package.
package fabricca

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	enrolPath      = "/api/v1/enroll"
	reenrolPath    = "/api/v1/reenroll"
	registerPath   = "/api/v1/register"
	identitiesPath = "/api/v1/identities/"
	timeout        = 10 * time.Second
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

// ReadKeyPair reads a certificate and its private key from their files.
func ReadKeyPair(certFile, keyFile string) (KeyPair, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return KeyPair{}, err
	}
	key, err := os.ReadFile(keyFile)
	return KeyPair{Cert: cert, Key: key}, err
}

// The kinds of identity, as NodeOUs tell them apart. Fabric refuses the CA's own default, "user".
const (
	ClientType  = "client"
	AdminType   = "admin"
	PeerType    = "peer"
	OrdererType = "orderer"
)

// Registration describes a new identity. Its affiliation is the registrar's; those are without one.
type Registration struct {
	ID         string            // enrolment ID, and common name of the certificates
	Type       string            // the organisational unit of the certificates
	Attributes map[string]string // each put into every certificate
	Rights     map[string]string // attributes that the CA alone heeds, and puts into none: see RegistrarOf
	// MaxEnrolments is how often the secret may be used; 0 leaves it to the CA.
	MaxEnrolments int
}

// RegistrarOf gives the rights with which an identity may itself register others, of one type, with these attributes.
func RegistrarOf(kind string, attributes ...string) map[string]string {
	return map[string]string{
		"hf.Registrar.Roles":      kind,
		"hf.Registrar.Attributes": strings.Join(attributes, ","),
	}
}

// Register adds an identity, in the name of registrar, and returns the secret with which it may enrol. The secret is
// made here: the CA would take it from math/rand.
func (c *Client) Register(ctx context.Context, registrar KeyPair, r Registration) (secret string, err error) {
	request := struct {
		ID            string      `json:"id"`
		Type          string      `json:"type"`
		Affiliation   string      `json:"affiliation"`
		Secret        string      `json:"secret"`
		MaxEnrolments int         `json:"max_enrollments,omitempty"`
		Attributes    []attribute `json:"attrs"`
	}{
		r.ID, r.Type, "", rand.Text(), r.MaxEnrolments,
		append(attributes(r.Attributes, true), attributes(r.Rights, false)...),
	}
	if err := c.call(ctx, http.MethodPost, registerPath, request, withCertificate(registrar), nil); err != nil {
		return "", fmt.Errorf("register identity: %w", err)
	}
	return request.Secret, nil
}

// Renew gives a registered identity a new secret, for one more enrolment than it was allowed so far, in the name of
// registrar; the secret before is dead. The CA does not tell how often an identity enrolled: where the secret before
// was not used, the new one is good twice; where there was no limit, there is none. ErrUnknown if no such identity is
// registered.
func (c *Client) Renew(ctx context.Context, registrar KeyPair, id string) (secret string, err error) {
	path := identitiesPath + url.PathEscape(id)
	var registered struct {
		MaxEnrolments int `json:"max_enrollments"` // -1: no limit
	}
	if err := c.call(ctx, http.MethodGet, path, nil, withCertificate(registrar), &registered); err != nil {
		return "", fmt.Errorf("look up identity: %w", err)
	}
	request := struct {
		Secret        string `json:"secret"`
		MaxEnrolments int    `json:"max_enrollments"` // 0 leaves it as it is
	}{Secret: rand.Text()}
	if registered.MaxEnrolments >= 0 {
		request.MaxEnrolments = registered.MaxEnrolments + 1
	}
	if err := c.call(ctx, http.MethodPut, path, request, withCertificate(registrar), nil); err != nil {
		return "", fmt.Errorf("renew secret: %w", err)
	}
	return request.Secret, nil
}

// attribute is an attribute as the CA reads it.
type attribute struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// ECert asks for the attribute in certificates by default; without it the attribute is missing without a word.
	ECert bool `json:"ecert"`
}

func attributes(values map[string]string, inCertificates bool) []attribute {
	list := make([]attribute, 0, len(values))
	for name, value := range values {
		list = append(list, attribute{name, value, inCertificates})
	}
	return list
}

// Enrolment asks for a certificate of a registered identity.
type Enrolment struct {
	ID, Secret string
	// TLS asks for a certificate for TLS (client and server) instead of one for signing.
	TLS bool
	// Hosts are the names and IP addresses that a TLS server's certificate is for.
	Hosts []string
}

// Enrol makes a P-256 key and has the CA certify it. ErrUnauthorized if the CA does not take ID and secret.
func (c *Client) Enrol(ctx context.Context, e Enrolment) (KeyPair, error) {
	pair, err := c.certify(ctx, enrolPath, e, withSecret(e.ID, e.Secret))
	if err != nil {
		return KeyPair{}, fmt.Errorf("enrol identity: %w", err)
	}
	return pair, nil
}

// Reenrol makes a new P-256 key and has the CA certify it for an enrolled identity, whose certificate and key authorise
// that. The attributes are those of its registration, and no limit of enrolments counts. ErrUnauthorized if the CA does
// not take the certificate.
func (c *Client) Reenrol(ctx context.Context, who KeyPair, id string) (KeyPair, error) {
	pair, err := c.certify(ctx, reenrolPath, Enrolment{ID: id}, withCertificate(who))
	if err != nil {
		return KeyPair{}, fmt.Errorf("reenrol identity: %w", err)
	}
	return pair, nil
}

// certify makes a key and has the CA certify it.
func (c *Client) certify(ctx context.Context, path string, e Enrolment, who authorise) (KeyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return KeyPair{}, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return KeyPair{}, err
	}
	csr, err := signingRequest(key, e)
	if err != nil {
		return KeyPair{}, err
	}
	request := struct {
		CSR     string `json:"certificate_request"`
		Profile string `json:"profile"`
	}{CSR: string(csr)}
	if e.TLS {
		request.Profile = "tls"
	}
	var result struct {
		Cert []byte // PEM, base64 in the JSON
	}
	if err := c.call(ctx, http.MethodPost, path, request, who, &result); err != nil {
		return KeyPair{}, err
	}
	return KeyPair{Cert: result.Cert, Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})}, nil
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
