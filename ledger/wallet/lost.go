package wallet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger"
)

// requestPrefix begins every request to replace a lost key, and names its version.
const requestPrefix = "medanchor-request1-"

// ErrRequest says that a text is no request to replace a lost key, or not all of one.
var ErrRequest = errors.New("the request is damaged: copy all of it, from " + requestPrefix + " to its end")

// Replaces says whether the ledger knows another key for the wallet's owner, in whose place two people at their
// institution have to put the wallet's: see [Wallet.Request].
func (w *Wallet) Replaces(ctx context.Context, client *ledger.Client) (bool, error) {
	p, err := client.Participant(ctx, w.Participant)
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	key, err := w.Fingerprint()
	return !p.Key.IsZero() && p.Key != key, err
}

// Request gives the text with which the owner asks their institution to put the wallet's keys in the place of lost
// ones. It holds no secret. That it comes from the owner, the institution has to find out: by the fingerprint, in
// person.
func (w *Wallet) Request() (string, error) {
	rotation, err := w.Rotation()
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(record.LostKey{Participant: w.Participant, Rotation: rotation})
	if err != nil {
		return "", fmt.Errorf("write request: %w", err)
	}
	return armour(requestPrefix, body), nil
}

// ParseRequest reads what [Wallet.Request] gives. The proofs in it are the ledger's to check.
func ParseRequest(text string) (record.LostKey, error) {
	var q record.LostKey
	body, ok := dearmour(requestPrefix, text)
	if !ok || json.Unmarshal(body, &q) != nil {
		return record.LostKey{}, ErrRequest
	}
	return q, q.Validate()
}
