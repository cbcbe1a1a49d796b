package wallet_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/wallet"
)

// codeOf gives a code of a CA that answers as a handler does.
func codeOf(t *testing.T, answer http.HandlerFunc) wallet.Code {
	t.Helper()
	server := httptest.NewTLSServer(answer)
	t.Cleanup(server.Close)
	c := someCode()
	c.CA = server.Listener.Addr().String()
	// The peer's TLS CA is another one: here, any certificate.
	c.TLSRoots = append(bytes.Clone(someRoot(t)), server.Certificate().Raw...)
	return c
}

// someRoot is a certificate of a server that nobody asks.
func someRoot(t *testing.T) []byte {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	return server.Certificate().Raw
}

func certifies(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"success": true, "result": {"Cert": "Y2VydA=="}}`)
}

func TestAWalletHoldsWhatTheCodeSays(t *testing.T) {
	code := codeOf(t, certifies)
	dir := filepath.Join(t.TempDir(), "people", "moss")
	if _, err := wallet.Enroll(t.Context(), code, dir); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{
		"": 0o700, "key.pem": 0o600, "encryption.key": 0o600, "cert.pem": 0o600, "tls-ca.pem": 0o600, "identity.json": 0o600,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q has mode %v (%v), want %v", name, info.Mode(), err, mode)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(dir)); len(entries) != 1 {
		t.Errorf("beside it are %v", entries)
	}
	w, err := wallet.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if w.Identity != code.Identity {
		t.Errorf("identity %+v, want %+v", w.Identity, code.Identity)
	}
	if roots, err := w.TLSRoots(); err != nil || !bytes.Equal(roots, code.TLSRoots) {
		t.Errorf("%d bytes of TLS certificates, want %d (%v)", len(roots), len(code.TLSRoots), err)
	}
	o := w.LedgerOptions()
	if o.Peer != code.Peer || o.MSPID != code.MSPID || o.Channel != code.Channel || o.Chaincode != code.Chaincode {
		t.Errorf("options %+v", o)
	}
	text, err := os.ReadFile(filepath.Join(dir, "identity.json"))
	if err != nil || strings.Contains(string(text), code.Secret) {
		t.Errorf("the code's secret is kept: %s (%v)", text, err)
	}
}

func TestTheOwnerSignsAndOpens(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "moss")
	w, err := wallet.Enroll(t.Context(), codeOf(t, certifies), dir)
	if err != nil {
		t.Fatal(err)
	}
	der, err := w.SigningKey()
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	key, signature, err := w.Vouch()
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(record.EncryptionKeyMessage(w.Participant, key))
	if len(key) != record.EncryptionKeySize || !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), digest[:], signature) {
		t.Errorf("a key of %d bytes is not vouched for", len(key))
	}
	half := new(big.Int).Rsh(elliptic.P256().Params().N, 1)
	for range 20 { // one in two signatures would have a high S
		signature, err := w.Sign([]byte("message"))
		if err != nil {
			t.Fatal(err)
		}
		var parts struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(signature, &parts); err != nil || parts.S.Cmp(half) > 0 {
			t.Fatalf("S is high (%v): Fabric refuses it", err)
		}
	}
	to, err := wallet.KEM().NewPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := hpke.Seal(to, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), nil, []byte("for you"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := wallet.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := hpke.Open(again.EncryptionKey(), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), nil, sealed)
	if err != nil || string(opened) != "for you" {
		t.Errorf("opened %q, %v", opened, err)
	}
}

func TestAFailedEnrolmentLeavesNothing(t *testing.T) {
	interrupted, interrupt := context.WithCancel(t.Context())
	for name, test := range map[string]struct {
		ctx    context.Context
		answer http.HandlerFunc
		is     error
	}{
		"used": {t.Context(), func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
		}, wallet.ErrUsed},
		"interrupted": {interrupted, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			interrupt()
			<-r.Context().Done()
		}, context.Canceled},
	} {
		parent := t.TempDir()
		if _, err := wallet.Enroll(test.ctx, codeOf(t, test.answer), filepath.Join(parent, "moss")); !errors.Is(err, test.is) {
			t.Errorf("%s: got %v, want %v", name, err, test.is)
		}
		if left, _ := os.ReadDir(parent); len(left) > 0 {
			t.Errorf("%s: it leaves %v", name, left)
		}
	}
}

// What is there is never written over, and the CA is not asked: the code stays good.
func TestEnrolmentRefusesAFolderThatIsThere(t *testing.T) {
	asked := false
	code := codeOf(t, func(http.ResponseWriter, *http.Request) { asked = true })
	if _, err := wallet.Enroll(t.Context(), code, t.TempDir()); err == nil || asked {
		t.Errorf("got %v, asked the CA: %v", err, asked)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "moss")
	if _, err := wallet.Enroll(t.Context(), codeOf(t, certifies), dir); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ file, content, says string }{
		{"encryption.key", "garbage", "encryption.key: it holds no MEDANCHOR ENCRYPTION KEY in PEM"},
		{
			"encryption.key",
			string(pem.EncodeToMemory(&pem.Block{Type: "MEDANCHOR ENCRYPTION KEY", Bytes: []byte("short")})),
			"encryption.key: hpke: ",
		},
		{"key.pem", "garbage", "key.pem: it holds no PRIVATE KEY in PEM"},
		{"key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("no key")})), "read key.pem"},
		{"identity.json", "{", "read identity.json"},
	} {
		if err := os.WriteFile(filepath.Join(dir, test.file), []byte(test.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := wallet.Open(dir); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, want %q", test.file, err, test.says)
		}
	}
	_, err := wallet.Open(t.TempDir())
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "make one with medanchor enroll") {
		t.Errorf("an empty folder: got %v", err)
	}
}
