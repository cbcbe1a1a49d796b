package ledger

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hyperledger/fabric-gateway/pkg/client"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Acted is a committed transaction of a function other than anchoring.
type Acted struct {
	TxID  record.TxID
	Block uint64
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
	if err := request.Validate(); err != nil {
		return Acted{}, err
	}
	options, err := proposalOf(request, notes)
	if err != nil {
		return Acted{}, err
	}
	proposal, err := c.contract.NewProposal(function, options...)
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
	acted.ID, err = readAnswer(transaction.Result(), result)
	if err != nil {
		return acted, fmt.Errorf("%s: %w", function, err)
	}
	return acted, nil
}

func proposalOf(request record.Request, notes []record.SealedNote) ([]client.ProposalOption, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("write request: %w", err)
	}
	options := []client.ProposalOption{client.WithBytesArguments(text)}
	if len(notes) > 0 {
		sealed, err := json.Marshal(notes)
		if err != nil {
			return nil, fmt.Errorf("write sealed notes: %w", err)
		}
		options = append(options, client.WithTransient(map[string][]byte{record.SealedField: sealed}))
	}
	return options, nil
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
