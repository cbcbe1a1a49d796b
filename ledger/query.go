package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/hyperledger/fabric-gateway/pkg/client"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Document gives a document and the anchoring that brought it, or its tombstone. ErrNotFound if it is not there.
func (c *Client) Document(ctx context.Context, tag record.Tag) (record.AnchoredDocument, error) {
	return query[record.AnchoredDocument](ctx, c, record.DocumentFunction, tag.String())
}

// Anchoring gives an anchoring. ErrNotFound if it is not there.
func (c *Client) Anchoring(ctx context.Context, id record.AnchoringID) (record.Anchoring, error) {
	return query[record.Anchoring](ctx, c, record.AnchoringFunction, id.String())
}

// Record gives all versions of a record with their documents, in no order. ErrNotFound if there is none.
func (c *Client) Record(ctx context.Context, patient record.Reference, tag record.Tag) ([]record.AnchoredVersion, error) {
	return query[[]record.AnchoredVersion](ctx, c, record.RecordFunction, patient.String(), tag.String())
}

// List gives a page of up to pageSize (1 to record.MaxPageSize) versions of the patient's records. Bookmark is that of
// the page before, empty for the first.
func (c *Client) List(ctx context.Context, patient record.Reference, pageSize int, bookmark string) (record.Page, error) {
	return query[record.Page](ctx, c, record.ListFunction, patient.String(), strconv.Itoa(pageSize), bookmark)
}

// ListInstitution is List for the records of all patients of an institution.
func (c *Client) ListInstitution(ctx context.Context, institution record.InstitutionPrefix, pageSize int, bookmark string,
) (record.Page, error) {
	return query[record.Page](ctx, c, record.ListInstitutionFunction, institution.String(), strconv.Itoa(pageSize), bookmark)
}

// query evaluates a function of the contract and reads its JSON.
func query[T any](ctx context.Context, c *Client, function string, arguments ...string) (answer T, err error) {
	text, err := c.evaluate(ctx, c.contract, function, arguments...)
	if err != nil {
		return answer, fmt.Errorf("ask %s: %w", function, err)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return answer, fmt.Errorf("ask %s: read answer: %w", function, err)
	}
	return answer, nil
}

func (c *Client) evaluate(ctx context.Context, contract *client.Contract, function string, arguments ...string,
) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	answer, err := contract.EvaluateWithContext(ctx, function, client.WithArguments(arguments...))
	return answer, explain(err)
}
