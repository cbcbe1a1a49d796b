package fabricca_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/ledger/fabricca"
)

// authority plays a CA that gives one answer, and keeps the last request. The real one is in package devnet's tests.
type authority struct {
	status int
	answer string

	method, path  string
	authorization string
	id, secret    string // of basic authentication
	body          []byte
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.method, a.path, a.authorization = r.Method, r.URL.Path, r.Header.Get("Authorization")
	a.id, a.secret, _ = r.BasicAuth()
	a.body, _ = io.ReadAll(r.Body)
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.answer)
}

func (a *authority) client(t *testing.T) *fabricca.Client {
	t.Helper()
	server := httptest.NewTLSServer(a)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return fabricca.New(server.Listener.Addr().String(), roots)
}

func registrar(t *testing.T) (fabricca.KeyPair, *ecdsa.PublicKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return fabricca.KeyPair{
		Cert: []byte("certificate"), Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}, &key.PublicKey
}

func TestRegister(t *testing.T) {
	ca := &authority{status: http.StatusCreated, answer: `{"success": true, "result": {"secret": "the CA's own"}}`}
	who, public := registrar(t)
	secret, err := ca.client(t).Register(t.Context(), who, fabricca.Registration{
		ID: "me", Type: fabricca.ClientType, MaxEnrolments: 1, Attributes: map[string]string{"role": "institution"},
		Rights: fabricca.RegistrarOf(fabricca.ClientType, "role", "participant"),
	})
	if err != nil {
		t.Fatal(err)
	}
	type attribute struct {
		Name, Value string
		ECert       bool
	}
	var sent struct {
		ID, Type, Secret string
		MaxEnrolments    int `json:"max_enrollments"`
		Attrs            []attribute
	}
	if err := json.Unmarshal(ca.body, &sent); err != nil {
		t.Fatal(err)
	}
	if ca.path != "/api/v1/register" || sent.ID != "me" || sent.Type != "client" || sent.MaxEnrolments != 1 {
		t.Errorf("sent %s to %s", ca.body, ca.path)
	}
	if len(secret) < 26 || sent.Secret != secret {
		t.Errorf("secret %q, sent %q: want one of 26 random characters, made here", secret, sent.Secret)
	}
	slices.SortFunc(sent.Attrs, func(a, b attribute) int { return strings.Compare(b.Name, a.Name) })
	if want := []attribute{
		{"role", "institution", true},
		{"hf.Registrar.Roles", "client", false},
		{"hf.Registrar.Attributes", "role,participant", false},
	}; !slices.Equal(sent.Attrs, want) {
		t.Errorf("attributes %+v, want %+v", sent.Attrs, want)
	}
	ca.isAuthorised(t, "POST", "/api/v1/register", who, public)
}

// isAuthorised checks that the last request was to a path, and bears a token of whoever has the key.
func (a *authority) isAuthorised(t *testing.T, method, path string, who fabricca.KeyPair, public *ecdsa.PublicKey) {
	t.Helper()
	if a.method != method || a.path != path {
		t.Errorf("asked %s %s, want %s %s", a.method, a.path, method, path)
	}
	b64 := base64.StdEncoding
	cert, signature, _ := strings.Cut(a.authorization, ".")
	raw, err := b64.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(strings.Join([]string{
		method, b64.EncodeToString([]byte(path)), b64.EncodeToString(a.body), cert,
	}, ".")))
	if cert != b64.EncodeToString(who.Cert) || !ecdsa.VerifyASN1(public, digest[:], raw) {
		t.Errorf("token %q is not theirs", a.authorization)
	}
}

func TestRenew(t *testing.T) {
	for name, test := range map[string]struct{ allowed, asked int }{
		"one enrolment": {1, 2}, "renewed before": {4, 5}, "as many as they like": {-1, 0}, "none": {0, 1},
	} {
		ca := &authority{
			status: http.StatusOK, answer: fmt.Sprintf(`{"success": true, "result": {"max_enrollments": %d}}`, test.allowed),
		}
		who, public := registrar(t)
		secret, err := ca.client(t).Renew(t.Context(), who, "me")
		if err != nil {
			t.Fatal(err)
		}
		var sent struct {
			Secret        string
			MaxEnrolments int `json:"max_enrollments"`
		}
		if err := json.Unmarshal(ca.body, &sent); err != nil {
			t.Fatal(err)
		}
		if len(secret) < 26 || sent.Secret != secret || sent.MaxEnrolments != test.asked {
			t.Errorf("%s: sent %s, want %d enrolments, and a secret that was made here", name, ca.body, test.asked)
		}
		ca.isAuthorised(t, "PUT", "/api/v1/identities/me", who, public)
	}
	ca := &authority{status: http.StatusNotFound, answer: `{"success": false}`}
	who, public := registrar(t)
	if _, err := ca.client(t).Renew(t.Context(), who, "me"); !errors.Is(err, fabricca.ErrUnknown) {
		t.Errorf("nobody's: got %v", err)
	}
	ca.isAuthorised(t, "GET", "/api/v1/identities/me", who, public)
}

func TestReenrol(t *testing.T) {
	ca := &authority{status: http.StatusCreated, answer: `{"success": true, "result": {"Cert": "Y2VydA=="}}`}
	who, public := registrar(t)
	pair, err := ca.client(t).Reenrol(t.Context(), who, "me")
	if err != nil {
		t.Fatal(err)
	}
	ca.isAuthorised(t, "POST", "/api/v1/reenroll", who, public)
	if string(pair.Cert) != "cert" || bytes.Equal(pair.Key, who.Key) {
		t.Errorf("certificate %q; the key before: %v", pair.Cert, bytes.Equal(pair.Key, who.Key))
	}
}

func TestEnrol(t *testing.T) {
	ca := &authority{status: http.StatusCreated, answer: `{"success": true, "result": {"Cert": "Y2VydA=="}}`}
	pair, err := ca.client(t).Enrol(t.Context(), fabricca.Enrolment{
		ID: "me", Secret: "once", TLS: true, Hosts: []string{"127.0.0.1", "localhost"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if ca.path != "/api/v1/enroll" || ca.id != "me" || ca.secret != "once" || string(pair.Cert) != "cert" {
		t.Errorf("sent as %q %q to %s; got %q", ca.id, ca.secret, ca.path, pair.Cert)
	}
	var sent struct {
		CSR     string `json:"certificate_request"`
		Profile string
	}
	if err := json.Unmarshal(ca.body, &sent); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(sent.CSR))
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if request.CheckSignature() != nil || request.Subject.CommonName != "me" || sent.Profile != "tls" ||
		len(request.IPAddresses) != 1 || !slices.Equal(request.DNSNames, []string{"localhost"}) {
		t.Errorf("request %+v, profile %q", request.Subject, sent.Profile)
	}
	block, _ = pem.Decode(pair.Key)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil || !key.(*ecdsa.PrivateKey).PublicKey.Equal(request.PublicKey) {
		t.Errorf("the key is not that of the request (%v)", err)
	}
	if strings.Contains(string(ca.body), strings.Split(string(pair.Key), "\n")[1]) {
		t.Error("the private key was sent")
	}
}

func TestAnswers(t *testing.T) {
	failure := `{"success": false, "errors": [{"code": 74, "message": "Identity 'me' is already registered"}]}`
	for name, test := range map[string]struct {
		status int
		answer string
		is     error
		says   string
	}{
		"unauthorized":         {http.StatusUnauthorized, failure, fabricca.ErrUnauthorized, ""},
		"unauthorized, a page": {http.StatusUnauthorized, "<html>", fabricca.ErrUnauthorized, ""},
		"forbidden":            {http.StatusForbidden, failure, fabricca.ErrForbidden, ""},
		"another failure":      {http.StatusConflict, failure, nil, "already registered (code 74)"},
		"without a message":    {http.StatusInternalServerError, `{"success": false}`, nil, "500"},
		"no answer of a CA":    {http.StatusOK, "<html>", nil, "read answer (200 OK)"},
	} {
		ca := &authority{status: test.status, answer: test.answer}
		_, err := ca.client(t).Enrol(t.Context(), fabricca.Enrolment{ID: "me", Secret: "once"})
		if err == nil || (test.is != nil && !errors.Is(err, test.is)) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAStrangeCertificateIsRefused(t *testing.T) {
	server := httptest.NewTLSServer(&authority{status: http.StatusOK})
	t.Cleanup(server.Close)
	client := fabricca.New(server.Listener.Addr().String(), x509.NewCertPool())
	if _, err := client.Enrol(t.Context(), fabricca.Enrolment{ID: "me", Secret: "once"}); err == nil {
		t.Error("a secret was sent to a server that is not the CA")
	}
}
