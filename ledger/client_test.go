package ledger_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
)

// issued is a self-signed certificate with its key, as files.
type issued struct{ certificate, key string }

func issue(t *testing.T, notBefore, notAfter time.Time) issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "random"}, NotBefore: notBefore, NotAfter: notAfter,
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	i := issued{filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")}
	write(t, i.certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, i.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	return i
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// options names a peer at address with credentials that are well-formed.
func options(t *testing.T, address string) ledger.Options {
	t.Helper()
	i := issue(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	return ledger.Options{
		Peer: address, TLSCAFile: i.certificate, TLSServerName: "localhost", MSPID: "AMSP",
		CertificateFile: i.certificate, KeyFile: i.key, Channel: "records", Chaincode: "medanchor",
	}
}

func TestConnectRefuses(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "junk")
	write(t, junk, []byte("junk"))
	other := issue(t, time.Now(), time.Now().Add(time.Hour))
	tests := map[string]struct {
		change func(*ledger.Options)
		want   string
	}{
		"nothing":             {func(o *ledger.Options) { *o = ledger.Options{} }, "no channel given"},
		"no peer":             {func(o *ledger.Options) { o.Peer = "" }, "no peer given"},
		"no certificate":      {func(o *ledger.Options) { o.CertificateFile += ".gone" }, "no such file"},
		"no key":              {func(o *ledger.Options) { o.KeyFile += ".gone" }, "no such file"},
		"no TLS CA":           {func(o *ledger.Options) { o.TLSCAFile += ".gone" }, "no such file"},
		"certificate not PEM": {func(o *ledger.Options) { o.CertificateFile = junk }, "PEM file of its enrolment"},
		"key not PEM":         {func(o *ledger.Options) { o.KeyFile = junk }, "key"},
		"TLS CA not PEM":      {func(o *ledger.Options) { o.TLSCAFile = junk }, "no certificate in PEM"},
		"key of another":      {func(o *ledger.Options) { o.KeyFile = other.key }, "one enrolment"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := options(t, "localhost:1")
			test.change(&o)
			c, err := ledger.Connect(t.Context(), o)
			if err == nil {
				c.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

// TestPeerAway connects to an address where nobody listens: ledger.Connect works, calls fail at once and can be retried.
func TestPeerAway(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	checkAway(t, options(t, address), 5*time.Second)
}

// TestPeerSilent connects to a peer that accepts connections and never answers, as a frozen process does.
func TestPeerSilent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed by the test
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	o := options(t, listener.Addr().String())
	o.Timeout = 300 * time.Millisecond
	checkAway(t, o, 2*time.Second)
}

func checkAway(t *testing.T, o ledger.Options, within time.Duration) {
	t.Helper()
	c, err := ledger.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	calls := map[string]func() error{
		"Prepare": func() error {
			_, err := c.Prepare(t.Context(), batch(t, "AMSP", "a"))
			return err
		},
		"Document":    func() error { _, err := c.Document(t.Context(), record.Tag{1}); return err },
		"Height":      func() error { _, err := c.Height(t.Context()); return err },
		"Transaction": func() error { _, err := c.Transaction(t.Context(), record.TxID{1}); return err },
	}
	for name, call := range calls {
		start := time.Now()
		err := call()
		if !ledger.Retryable(err) {
			t.Errorf("%s: %v is not retryable", name, err)
		}
		if took := time.Since(start); took > within {
			t.Errorf("%s took %s", name, took)
		}
	}
}

func TestInForce(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := begin.AddDate(1, 0, 0)
	file := issue(t, begin, end).certificate
	certificate, err := ledger.ReadCertificate(file)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		now  time.Time
		want string // in the error; empty for none
	}{
		"first second": {begin, ""},
		"last second":  {end, ""},
		"expired":      {end.Add(time.Second), "certify the same key again"},
		"too early":    {begin.Add(-time.Second), "check this machine's clock"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := ledger.InForce(certificate, test.now)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ledger.ErrCertificate) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
	if _, err := ledger.ReadCertificate(file + ".gone"); err == nil || errors.Is(err, ledger.ErrCertificate) {
		t.Errorf("a missing file gives %v", err)
	}
}
