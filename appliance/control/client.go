package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Client talks to the appliance that runs on a data folder.
type Client struct{ http http.Client }

// NewClient makes a client of the appliance on this data folder. It connects with each call.
func NewClient(data string) *Client {
	return &Client{http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			addr, dir, err := address(data)
			if err != nil {
				return nil, err
			}
			defer dir.Close()
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", addr)
		},
	}}}
}

// Status implements Appliance.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, http.MethodGet, "/status", nil, &s)
}

// Records implements Appliance.
func (c *Client) Records(ctx context.Context, all bool) (r []Record, err error) {
	path := "/records"
	if all {
		path += "?all"
	}
	return r, c.call(ctx, http.MethodGet, path, nil, &r)
}

// Refile implements Appliance.
func (c *Client) Refile(ctx context.Context, q RefileRequest) (r Refiled, err error) {
	return r, c.call(ctx, http.MethodPost, "/refile", q, &r)
}

// Verify implements Appliance.
func (c *Client) Verify(ctx context.Context, v VerifyRequest) (verdicts []Verdict, err error) {
	return verdicts, c.call(ctx, http.MethodPost, "/verify", v, &verdicts)
}

// Get implements Appliance.
func (c *Client) Get(ctx context.Context, id string) (io.ReadCloser, error) {
	response, err := c.do(ctx, http.MethodGet, "/documents/"+url.PathEscape(id), nil)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

// Patient implements Appliance.
func (c *Client) Patient(ctx context.Context, q PatientQuery) (r record.Reference, err error) {
	return r, c.call(ctx, http.MethodPost, "/patient", q, &r)
}

func (c *Client) call(ctx context.Context, method, path string, request, answer any) error {
	response, err := c.do(ctx, method, path, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("read the appliance's answer: %w", err)
	}
	return nil
}

// do sends a request; an answer that is not a success becomes an error with the sentinel that it stands for.
func (c *Client) do(ctx context.Context, method, path string, request any) (*http.Response, error) {
	body := new(bytes.Buffer)
	if request != nil {
		if err := json.NewEncoder(body).Encode(request); err != nil {
			return nil, fmt.Errorf("ask the appliance: %w", err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://medanchor"+path, body)
	if err != nil {
		return nil, fmt.Errorf("ask the appliance: %w", err)
	}
	response, err := c.http.Do(r)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotRunning
	}
	if err != nil {
		return nil, fmt.Errorf("ask the appliance: %w", err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	return nil, readFailure(response)
}

func readFailure(response *http.Response) error {
	var f failure
	if err := json.NewDecoder(response.Body).Decode(&f); err != nil {
		return fmt.Errorf("the appliance answers %s", response.Status)
	}
	if sentinel := sentinels()[response.StatusCode]; sentinel != nil {
		return &remoteError{f.Error, sentinel}
	}
	return errors.New(f.Error)
}

// remoteError carries the appliance's own words and the sentinel behind them.
type remoteError struct {
	text string
	kind error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.kind }
