package reading

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Client is a reader's side. Make it with Dial.
type Client struct {
	http  *http.Client
	base  string
	token string
}

// Reader is who logs in.
type Reader interface {
	// Sign signs a message's SHA-256 with the key that the ledger binds to the reader: ECDSA, ASN.1.
	Sign(message []byte) ([]byte, error)
}

// DialOptions say where the appliance is, and who reads.
type DialOptions struct {
	// URL of the appliance's reading service, such as https://medanchor.hospital.example:9465.
	URL string
	// Roots verify its certificate, where the URL is https; nil: the system's.
	Roots *x509.CertPool
	// Institution is the hospital whose appliance it must be.
	Institution record.InstitutionPrefix
	Channel     string
	ID          record.ParticipantID
	Reader      Reader
}

// Dial logs in. An appliance that is not of the expected hospital, or not of the channel, gets no signature.
func Dial(ctx context.Context, o DialOptions) (*Client, error) {
	c := &Client{
		base: strings.TrimSuffix(o.URL, "/"),
		http: &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
		}},
	}
	var challenge Challenge
	if err := c.call(ctx, http.MethodPost, "/v1/challenges", nil, &challenge); err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	if challenge.Appliance.Institution() != o.Institution || challenge.Channel != o.Channel {
		return nil, fmt.Errorf("log in: %s is the appliance of another hospital or channel than your identity's: check the "+
			"address, or name the hospital", o.URL)
	}
	signature, err := o.Reader.Sign(challenge.Message(o.ID))
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	var s Session
	err = c.call(ctx, http.MethodPost, "/v1/sessions", Login{Nonce: challenge.Nonce, Reader: o.ID, Signature: signature}, &s)
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	c.token = s.Token
	return c, nil
}

// Close ends the session.
func (c *Client) Close(ctx context.Context) error {
	err := c.call(ctx, http.MethodDelete, "/v1/sessions", nil, nil)
	c.http.CloseIdleConnections()
	return err
}

// Open opens a record. To open it again shows what joined it since.
func (c *Client) Open(ctx context.Context, q OpenRequest) (o Opened, err error) {
	return o, c.call(ctx, http.MethodPost, "/v1/readings", q, &o)
}

// Document reads a document of an open record, from an offset on. Where it breaks off it is asked for once more from there:
// it goes on, or the reader gives the reason why it cannot.
func (c *Client) Document(ctx context.Context, name record.RecordName, tag record.Tag, from int64) (io.ReadCloser, error) {
	ask := func(from int64) (io.ReadCloser, error) { return c.part(ctx, name, tag, from) }
	body, err := ask(from)
	if err != nil {
		return nil, err
	}
	return &resuming{ReadCloser: body, ask: ask, at: from, resumed: -1}, nil
}

// resuming reads on where a content broke off, as long as that brings it forward.
type resuming struct {
	io.ReadCloser
	ask     func(from int64) (io.ReadCloser, error)
	at      int64
	resumed int64 // where it was resumed last; -1 before
}

// Read implements io.Reader.
func (r *resuming) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.at += int64(n)
	if err == nil || errors.Is(err, io.EOF) || r.at == r.resumed {
		return n, err
	}
	r.resumed = r.at
	body, again := r.ask(r.at)
	if again != nil {
		return n, again
	}
	closed := r.Close()
	r.ReadCloser = body
	return n, closed
}

// part asks for a document from an offset on.
func (c *Client) part(ctx context.Context, name record.RecordName, tag record.Tag, from int64) (io.ReadCloser, error) {
	path := fmt.Sprintf("/v1/readings/%s/%s/%s", name.Patient, name.Record, tag)
	request, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	if from > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if want := rangeStatus(from); response.StatusCode != want {
		defer response.Body.Close()
		return nil, failure(response)
	}
	return response.Body, nil
}

func rangeStatus(from int64) int {
	if from > 0 {
		return http.StatusPartialContent
	}
	return http.StatusOK
}

func (c *Client) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	raw := []byte{}
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	return request, nil
}

func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	request, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return failure(response)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// failure is the error in a response, with its sentinel.
func failure(response *http.Response) error {
	var f Failure
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(&f); err != nil || f.Error == "" {
		return fmt.Errorf("the appliance answers %s", response.Status)
	}
	if sentinel, known := sentinels()[response.StatusCode]; known {
		return &remoteError{f.Error, sentinel}
	}
	return errors.New(f.Error)
}

// remoteError is an error of the appliance, by its text and its sentinel.
type remoteError struct {
	text     string
	sentinel error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.sentinel }
