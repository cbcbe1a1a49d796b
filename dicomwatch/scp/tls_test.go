package scp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/test/dcmtk"
)

// authority issues certificates for a test.
type authority struct {
	dir, file string // where they are, and its own
	key       *ecdsa.PrivateKey
	own       *x509.Certificate
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.own = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	a.file = a.sign(t, name, a.own, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue gives the files of a certificate for this machine, and of its key.
func (a *authority) issue(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private := newKey(t)
	cert = a.sign(t, name, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: a.own.NotBefore, NotAfter: a.own.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, private)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return cert, a.write(t, name+".key", "PRIVATE KEY", der)
}

func (a *authority) sign(t *testing.T, name string, c *x509.Certificate, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, a.own, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return a.write(t, name+".pem", "CERTIFICATE", der)
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// tlsConfig reads what a receiver needs.
func tlsConfig(cert, key, authorities string) (*tls.Config, error) {
	own, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	theirs, err := scp.ReadAuthorities(authorities)
	if err != nil {
		return nil, err
	}
	return scp.TLSConfig(own, theirs), nil
}

// both gives what receiver and sender need for TLS. The sender's looks at nothing: who answers is what other tests are about.
func both(t *testing.T) (receiver, modality *tls.Config) {
	t.Helper()
	a := newAuthority(t, "hospital")
	cert, key := a.issue(t, "receiver")
	receiver, err := tlsConfig(cert, key, a.file)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(a.issue(t, "modality"))
	if err != nil {
		t.Fatal(err)
	}
	return receiver, &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true} //nolint:gosec // G402: see above
}

func TestTLS(t *testing.T) {
	dcmtk.Need(t, "storescu", "echoscu", "dcmdump")
	ours, theirs, others := newAuthority(t, "hospital"), newAuthority(t, "modalities"), newAuthority(t, "others")
	cert, key := ours.issue(t, "receiver")
	config, err := tlsConfig(cert, key, theirs.file)
	if err != nil {
		t.Fatal(err)
	}
	goodCert, goodKey := theirs.issue(t, "modality")
	badCert, badKey := others.issue(t, "modality")
	good := []string{"+tls", goodKey, goodCert, "+cf", ours.file}
	for name, c := range map[string]struct {
		options []string
		taken   bool
	}{
		"a good certificate":              {good, true},
		"the same, by BCP 195":            {append([]string{"+px"}, good...), true},
		"no certificate":                  {[]string{"+tla", "+cf", ours.file}, false},
		"of another authority":            {[]string{"+tls", badKey, badCert, "+cf", ours.file}, false},
		"no TLS":                          {nil, false},
		"a suite without forward secrecy": {append([]string{"+pa"}, good...), false},
	} {
		t.Run(name, func(t *testing.T) {
			files := images(t, 2, 300<<10)
			r := start(t, scp.Options{TLS: config, Limits: scp.Limits{ARTIM: time.Second}})
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			output, err := dcmtk.StoreSCU(ctx, r.peer(), files, c.options...)
			r.stop()
			if c.taken {
				if err != nil {
					t.Fatal(err, output, r.log)
				}
				r.same(t, files)
				return
			}
			if err == nil || len(r.spool.objects()) != 0 || r.Stats().Accepted != 0 {
				t.Errorf("sent: %v, %+v\n%s", err, r.Stats(), output)
			}
		})
	}
}

// A peer that never ends the handshake has the time of ARTIM.
func TestATLSHandshakeIsBounded(t *testing.T) {
	config, _ := both(t)
	r := start(t, scp.Options{TLS: config, Limits: brief()})
	p := r.dial(t)
	p.send([]byte{22, 3, 1, 1})
	p.closed()
	r.eventually(t, "it is counted", func(s scp.Stats) bool { return s.Failed == 1 })
}

func TestAuthoritiesThatAreRefused(t *testing.T) {
	a := newAuthority(t, "hospital")
	_, key := a.issue(t, "receiver")
	for name, file := range map[string]string{
		"no file": filepath.Join(a.dir, "none"), "none named": "", "a key": key,
		"a damaged one": a.write(t, "damaged.pem", "CERTIFICATE", []byte("damaged")),
	} {
		if _, err := scp.ReadAuthorities(file); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestTLSVersionsAndSuites(t *testing.T) {
	config, modality := both(t)
	r := start(t, scp.Options{TLS: config})
	for name, c := range map[string]struct {
		client *tls.Config
		taken  bool
	}{
		"TLS 1.3":           {&tls.Config{MinVersion: tls.VersionTLS13}, true},
		"TLS 1.2":           {&tls.Config{MaxVersion: tls.VersionTLS12}, true},                                                                      //nolint:gosec // G402: it is what a client of this test offers
		"TLS 1.1":           {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},                                       //nolint:gosec // G402: it is what a client of this test offers
		"CBC":               {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},   //nolint:gosec // G402: it is what a client of this test offers
		"AES-256 with GCM":  {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}}, true}, //nolint:gosec // G402: it is what a client of this test offers
		"ChaCha20-Poly1305": {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305}}, true},  //nolint:gosec // G402: it is what a client of this test offers
	} {
		t.Run(name, func(t *testing.T) {
			c.client.InsecureSkipVerify, c.client.Certificates = true, modality.Certificates
			dialer := tls.Dialer{Config: c.client}
			conn, err := dialer.DialContext(t.Context(), "tcp", r.address)
			if (err == nil) != c.taken {
				t.Fatal(err)
			}
			if err == nil {
				conn.Close()
			}
		})
	}
}
