package ledger

import (
	"context"
	"strconv"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Audit lists who did what about a patient, or was refused it. The order is no order of time.
func (c *Client) Audit(ctx context.Context, patient record.Reference, pageSize int, bookmark string,
) (record.AuditPage, error) {
	return query[record.AuditPage](ctx, c, record.AuditFunction, patient.String(), strconv.Itoa(pageSize), bookmark)
}

// InstitutionAudit lists the audit of all of an institution's patients, and of itself.
func (c *Client) InstitutionAudit(ctx context.Context, institution record.ParticipantID, pageSize int, bookmark string,
) (record.AuditPage, error) {
	return query[record.AuditPage](ctx, c, record.InstitutionAuditFunction, institution.String(), strconv.Itoa(pageSize),
		bookmark)
}

// Entry gives one entry of a patient's audit: that of the transaction's number, from 0.
func (c *Client) Entry(ctx context.Context, patient record.Reference, id record.ID, number int,
) (record.AuditEntry, error) {
	return query[record.AuditEntry](ctx, c, record.EntryFunction, patient.String(), id.String(), strconv.Itoa(number))
}

// SealedNote gives the note to a recipient that went with a transaction. Package sealed opens it.
func (c *Client) SealedNote(ctx context.Context, id record.ID, recipient record.ParticipantID) (record.SealedNote, error) {
	return query[record.SealedNote](ctx, c, record.SealedNoteFunction, id.String(), recipient.String())
}
