package ledger

import (
	"context"
	"fmt"
	"strconv"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Release gives the keys of documents that the caller's institution holds to a reader, and waits until it is committed. The ID
// of the answer names the release. Errors are those of Act; of code WrongState if the recipient has another key, or another
// right, than it was sealed for.
func (c *Client) Release(ctx context.Context, q record.Release, sealed record.SealedRelease) (Acted, error) {
	if err := sealed.Validate(); err != nil {
		return Acted{}, err
	}
	return c.act(ctx, record.ReleaseFunction, q, nil, map[string][]byte{record.ReleaseField: sealed.Encode()})
}

// Releases lists what was released to a recipient of a patient's records, and not ended; to anybody, if the recipient is zero.
// The order is no order of time.
func (c *Client) Releases(ctx context.Context, patient record.Reference, recipient record.ParticipantID, pageSize int,
	bookmark string,
) (record.ReleasePage, error) {
	to := ""
	if !recipient.IsZero() {
		to = recipient.String()
	}
	return query[record.ReleasePage](ctx, c, record.ReleasesFunction, patient.String(), to, strconv.Itoa(pageSize), bookmark)
}

// SealedRelease gives what was released, which package sealed opens. ErrNotFound if it is not there, or was ended.
func (c *Client) SealedRelease(ctx context.Context, patient record.Reference, recipient record.ParticipantID, id record.ID,
) (record.SealedRelease, error) {
	wire, err := query[[]byte](ctx, c, record.SealedReleaseFunction, patient.String(), recipient.String(), id.String())
	if err != nil {
		return record.SealedRelease{}, err
	}
	sealed, err := record.DecodeSealedRelease(wire)
	if err != nil {
		return record.SealedRelease{}, fmt.Errorf("read release %s: %w", id, err)
	}
	return sealed, nil
}
