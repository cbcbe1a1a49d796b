package appliance

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/ledger/sealed"
	"github.com/medanchor/medanchor/reading"
	"github.com/medanchor/medanchor/release"
)

// rights is the channel as the Releaser and readings see it.
type rights struct{ *App }

// check asks the contract.
func (r rights) check(ctx context.Context, reader record.ParticipantID, name record.RecordName, version record.Tag,
) (record.Access, error) {
	return r.ledger.CheckAccess(ctx, reader, name, version, record.Read)
}

// custody is the channel as the Releaser sees it.
type custody struct{ rights }

// CheckAccess implements release.Ledger.
func (c custody) CheckAccess(ctx context.Context, reader record.ParticipantID, name record.RecordName, version record.Tag,
) (record.Access, error) {
	return c.check(ctx, reader, name, version)
}

// Height implements release.Ledger.
func (c custody) Height(ctx context.Context) (uint64, error) { return c.ledger.Height(ctx) }

// Seal implements release.Ledger.
func (c custody) Seal(q record.Release, until time.Time, reader record.Participant, keys []release.Key,
) (record.SealedRelease, error) {
	context := sealed.ReleaseContext{
		Channel: c.config.Ledger.Channel, Patient: q.Patient, Grant: q.Grant, Custodian: c.institution(),
		Recipient: q.Recipient, Key: q.Key, Until: until,
	}
	own := make([]sealed.DocumentKey, 0, len(keys))
	for _, k := range keys {
		own = append(own, sealed.DocumentKey{
			Record: k.Record, Version: k.Version, Tag: k.Tag, CID: k.CID, FileKey: k.FileKey, Metadata: k.Metadata,
		})
	}
	return sealed.SealRelease(context, reader, own)
}

// Release implements release.Ledger.
func (c custody) Release(ctx context.Context, q record.Release, r record.SealedRelease) (uint64, error) {
	acted, err := c.ledger.Release(ctx, q, r)
	return acted.Block, err
}

// EndReleases implements release.Ledger.
func (c custody) EndReleases(ctx context.Context, q record.ReleaseEnd) (uint64, error) {
	acted, err := c.ledger.Act(ctx, record.EndReleaseFunction, q, nil)
	return acted.Block, err
}

// HandOver implements release.Ledger.
func (c custody) HandOver(ctx context.Context, q record.HandOver, secret [32]byte) (uint64, error) {
	note, err := c.note(sealed.PatientSecret, q.Patient, q.Recipient,
		sealed.Note{Text: base64.StdEncoding.EncodeToString(secret[:])})
	if err != nil {
		return 0, err
	}
	acted, err := c.ledger.Act(ctx, record.HandOverFunction, q, nil, note)
	return acted.Block, err
}

// note seals a note of this appliance's to a participant, as the index knows them.
func (r rights) note(purpose sealed.Purpose, patient record.Reference, to record.ParticipantID, n sealed.Note,
) (record.SealedNote, error) {
	recipient, found, err := history{r.index}.Participant(to)
	if err != nil {
		return record.SealedNote{}, err
	}
	if !found {
		return record.SealedNote{}, fmt.Errorf("seal a note to %s: the ledger does not know them", to)
	}
	return sealed.Seal(sealed.Context{
		Purpose: purpose, Channel: r.config.Ledger.Channel, Patient: patient, Sender: r.participant, Recipient: to,
	}, recipient, n)
}

// decisions is the channel as readings see it.
type decisions struct{ rights }

// Access implements reading.Ledger.
func (d decisions) Access(ctx context.Context, attempts []record.AccessAttempt) ([]record.Access, error) {
	accesses, err := d.ledger.Access(ctx, record.Accesses{Accesses: attempts})
	for ledger.Conflicts(err) && ctx.Err() == nil { // another reader of the same patient was first
		accesses, err = d.ledger.Access(ctx, record.Accesses{Accesses: attempts})
	}
	return accesses, away(err)
}

// CheckAccess implements reading.Ledger.
func (d decisions) CheckAccess(ctx context.Context, reader record.ParticipantID, name record.RecordName, version record.Tag,
) (record.Access, error) {
	access, err := d.check(ctx, reader, name, version)
	return access, away(err)
}

// LateEmergency implements reading.Ledger.
func (d decisions) LateEmergency(ctx context.Context, e document.Emergency) error {
	institution := record.InstitutionID(d.config.Ledger.MSPID)
	reason, err := d.note(sealed.BreakGlass, e.Patient, institution, sealed.Note{Text: e.Text, Name: e.Name})
	if err != nil {
		return err
	}
	q := record.LateEmergency{EmergencyStatement: e.EmergencyStatement, Signature: e.Signature, SigningKey: e.SigningKey}
	_, err = d.ledger.Act(ctx, record.LateEmergencyFunction, q, nil, reason)
	return away(err)
}

// away marks an error that means that the ledger cannot be asked now.
func away(err error) error {
	if err == nil {
		return nil
	}
	if ledger.Retryable(err) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", reading.ErrAway, err)
	}
	return err
}
