package fabricca

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/hyperledger/fabric-gateway/pkg/identity"
)

// ErrUnauthorized says that the CA does not take the credentials (HTTP 401). It does not tell why: at an enrolment,
// that the ID is unknown, the secret wrong, or used as often as it may be; where a certificate authorises, that it is
// not the CA's, has expired or was revoked.
var ErrUnauthorized = errors.New("the certificate authority does not accept the credentials")

// ErrForbidden says that the registrar may not register such an identity, or change it (HTTP 403).
var ErrForbidden = errors.New("the certificate authority does not let this identity register that one")

// ErrUnknown says that the CA has no such identity (HTTP 404).
var ErrUnknown = errors.New("the certificate authority does not know the identity")

// maxAnswer is the most that is read of an answer, in bytes: a certificate, and some text.
const maxAnswer = 1 << 20

// authorise makes the header of a request that says who sends it.
type authorise func(req *http.Request, body []byte) error

// withSecret authorises by enrolment ID and secret.
func withSecret(id, secret string) authorise {
	return func(req *http.Request, _ []byte) error {
		req.SetBasicAuth(id, secret)
		return nil
	}
}

// withCertificate authorises by a token: certificate, and signature (SHA-256, ECDSA with low S) over method, path, body
// and certificate.
func withCertificate(who KeyPair) authorise {
	return func(req *http.Request, body []byte) error {
		key, err := identity.PrivateKeyFromPEM(who.Key)
		if err != nil {
			return fmt.Errorf("read the key: %w", err)
		}
		sign, err := identity.NewPrivateKeySign(key)
		if err != nil {
			return fmt.Errorf("use the key: %w", err)
		}
		b64 := base64.StdEncoding.EncodeToString
		cert := b64(who.Cert)
		digest := sha256.Sum256([]byte(req.Method + "." + b64([]byte(req.URL.Path)) + "." + b64(body) + "." + cert))
		signature, err := sign(digest[:])
		if err != nil {
			return fmt.Errorf("sign the request: %w", err)
		}
		req.Header.Set("Authorization", cert+"."+b64(signature))
		return nil
	}
}

// call sends a request (nil: without a body) and reads the CA's answer into result; nil drops it.
func (c *Client) call(ctx context.Context, method, path string, request any, who authorise, result any) error {
	var body []byte
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if err := who(req, body); err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return readAnswer(resp, result)
}

func readAnswer(resp *http.Response, result any) error {
	answer := struct {
		Success bool
		Result  any
		Errors  []struct {
			Code    int
			Message string
		}
	}{Result: result}
	err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer)
	switch {
	case err == nil && answer.Success:
		return nil
	case resp.StatusCode == http.StatusUnauthorized:
		return ErrUnauthorized
	case resp.StatusCode == http.StatusForbidden:
		return ErrForbidden
	case resp.StatusCode == http.StatusNotFound:
		return ErrUnknown
	case err != nil:
		return fmt.Errorf("read answer (%s): %w", resp.Status, err)
	case len(answer.Errors) == 0:
		return errors.New(resp.Status)
	}
	return fmt.Errorf("%s (code %d)", answer.Errors[0].Message, answer.Errors[0].Code)
}
