package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hyperledger/fabric-gateway/pkg/client"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Acted is a committed transaction of a function other than anchoring.
type Acted struct {
	TxID  record.TxID
	Block uint64
	Time  time.Time // the transaction's timestamp
	// ID is the short name of what the transaction made: a request, a decision, an appointment.
	ID record.ID
}

// Act runs a function of the contract that writes, with its request, and waits until it is committed. The function's own
// result, where it has one, is read into result; nil drops it. The sealed notes go with it, each to its recipient.
//
// A refusal is a *record.Error, found by errors.AsType. One for lack of a right on a patient's history is itself on the
// ledger then, in that patient's audit. Other errors are a *TransactionError.
func (c *Client) Act(ctx context.Context, function string, request record.Request, result any, notes ...record.SealedNote,
) (Acted, error) {
	transient, err := transientNotes(notes)
	if err != nil {
		return Acted{}, err
	}
	return c.act(ctx, function, request, result, transient)
}

// act is Act, with the transient data.
func (c *Client) act(ctx context.Context, function string, request record.Request, result any,
	transient map[string][]byte,
) (Acted, error) {
	if err := request.Validate(); err != nil {
		return Acted{}, err
	}
	text, err := json.Marshal(request)
	if err != nil {
		return Acted{}, fmt.Errorf("write request: %w", err)
	}
	proposal, err := c.contract.NewProposal(function, client.WithBytesArguments(text), client.WithTransient(transient))
	if err != nil {
		return Acted{}, fmt.Errorf("propose %s: %w", function, err)
	}
	txID, err := record.ParseTxID(proposal.TransactionID())
	if err != nil {
		return Acted{}, err
	}
	endorsing, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	transaction, err := proposal.EndorseWithContext(endorsing)
	if err != nil {
		return Acted{}, failed(Endorse, txID, err)
	}
	block, err := c.send(ctx, txID, transaction)
	if err != nil {
		return Acted{}, err
	}
	acted := Acted{TxID: txID, Block: block}
	if acted.Time, err = timestamp(transaction); err != nil {
		return acted, err
	}
	acted.ID, err = readAnswer(transaction.Result(), result)
	if err != nil {
		return acted, fmt.Errorf("%s: %w", function, err)
	}
	return acted, nil
}

// transientNotes are the transient data of sealed notes; none without any.
func transientNotes(notes []record.SealedNote) (map[string][]byte, error) {
	if len(notes) == 0 {
		return nil, nil
	}
	sealed, err := json.Marshal(notes)
	if err != nil {
		return nil, fmt.Errorf("write sealed notes: %w", err)
	}
	return map[string][]byte{record.SealedField: sealed}, nil
}

// readAnswer reads a record.Answer: what was made, or the refusal that stands on the ledger.
func readAnswer(wire []byte, result any) (record.ID, error) {
	var answer struct {
		ID      record.ID       `json:"id"`
		Refused string          `json:"refused"`
		Result  json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal(wire, &answer); err != nil {
		return record.ID{}, fmt.Errorf("read answer: %w", err)
	}
	if answer.Refused != "" {
		if refused, ok := record.ParseError(answer.Refused); ok {
			return record.ID{}, refused
		}
		return record.ID{}, fmt.Errorf("refused: %s", answer.Refused)
	}
	if result == nil || len(answer.Result) == 0 {
		return answer.ID, nil
	}
	if err := json.Unmarshal(answer.Result, result); err != nil {
		return answer.ID, fmt.Errorf("read result: %w", err)
	}
	return answer.ID, nil
}
