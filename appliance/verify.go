package appliance

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect"
	"github.com/medanchor/medanchor/ledger"
	"github.com/medanchor/medanchor/reading"
)

// Examine reads a file as intake would: its metadata, in the sandbox, and its digest. It needs no running appliance.
func Examine(ctx context.Context, c Config, path string) (content control.Content, err error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return content, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return content, err
	}
	if !info.Mode().IsRegular() {
		return content, fmt.Errorf("%s is not a file", path)
	}
	pool, err := inspect.New(ctx, inspect.Options{Program: c.Inspect.Program, Children: 1})
	if err != nil {
		return content, err
	}
	content.Metadata, err = pool.Inspect(ctx, f, info.Size())
	if err := errors.Join(err, pool.Close()); err != nil {
		return content, err
	}
	content.Digest, err = digest(f, content.Metadata.DatasetOffset)
	return content, err
}

// digest is the document.Digest of what r reads, from offset on.
func digest(r io.Reader, offset int64) (d document.Digest, err error) {
	if _, err := io.CopyN(io.Discard, r, offset); err != nil && !errors.Is(err, io.EOF) {
		return d, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return d, err
	}
	h.Sum(d[:0])
	return d, nil
}

// Verify implements control.Appliance. It recomputes from the bytes and asks the ledger; the index has no part in it.
func (a *App) Verify(ctx context.Context, v control.VerifyRequest) ([]control.Verdict, error) {
	if v.Content != nil {
		return a.verifyContent(ctx, *v.Content)
	}
	item, err := a.find(v.ID)
	if err != nil {
		return nil, err
	}
	verdict, err := a.verifyStored(ctx, item)
	return []control.Verdict{verdict}, err
}

// verifyStored reads the item's bytes back from the vault, and compares what they give with the ledger.
func (a *App) verifyStored(ctx context.Context, item document.Item) (control.Verdict, error) {
	content, err := a.plain(ctx, item)
	if err != nil {
		return mismatch(item, fmt.Sprintf("the stored bytes cannot be read: %v", err)), nil
	}
	defer content.Close()
	d, err := digest(content, item.Metadata.DatasetOffset)
	switch {
	case ctx.Err() != nil:
		return control.Verdict{}, ctx.Err()
	case err != nil:
		return mismatch(item, fmt.Sprintf("the stored bytes are damaged: %v", err)), nil
	case d != item.Digest:
		return mismatch(item, "the stored bytes are not those that were received: their digest differs"), nil
	}
	return a.askLedger(ctx, item, d)
}

// verifyContent compares content that the caller holds with what the ledger has of the same.
func (a *App) verifyContent(ctx context.Context, content control.Content) ([]control.Verdict, error) {
	items, err := a.state.ByDigest(content.Digest)
	if err != nil {
		return nil, err
	}
	var verdicts []control.Verdict
	for _, item := range items {
		verdict, err := a.askLedger(ctx, item, content.Digest)
		if err != nil {
			return nil, err
		}
		verdicts = append(verdicts, verdict)
	}
	if len(verdicts) > 0 {
		return verdicts, nil
	}
	verdict, err := a.unknownContent(content)
	return []control.Verdict{verdict}, err
}

// unknownContent explains content that this hospital never took in: another version of the same DICOM instance, perhaps.
func (a *App) unknownContent(content control.Content) (control.Verdict, error) {
	id, _ := a.config.Patients.rules().Check(content.Metadata.Patient) // who is nobody was never registered
	patient, found, err := a.state.FindPatient(id)
	if err != nil {
		return control.Verdict{}, err
	}
	if found && content.Metadata.InstanceUID != "" {
		first, found, err := a.state.Instance(patient.Reference, content.Metadata.InstanceUID)
		if err != nil {
			return control.Verdict{}, err
		}
		if found {
			return control.Verdict{
				Finding: control.FindingMismatch, Document: first, Patient: patient.Reference,
				Explanation: "an object with this SOP Instance UID was taken in, but its content differs from this file: " +
					"the file was changed",
			}, nil
		}
	}
	return control.Verdict{
		Finding:     control.FindingNotAnchored,
		Explanation: "no file with exactly this content was taken in by this hospital: it was changed, or never came",
	}, nil
}

// askLedger compares an item whose bytes have the digest d with the ledger.
func (a *App) askLedger(ctx context.Context, item document.Item, d document.Digest) (control.Verdict, error) {
	verdict := control.Verdict{Item: item.ID, Document: item.Tag, Patient: item.Patient, CID: item.CID}
	if item.State == document.Quarantined {
		verdict.Finding, verdict.Explanation = control.FindingQuarantined, item.Reason.Explain()
		return verdict, nil
	}
	secret, err := holdings{a}.secretOf(item)
	if err != nil {
		return verdict, err
	}
	if record.DocumentTag(secret, 0, d) != item.Tag {
		return mismatch(item, "its tag on the ledger does not follow from its bytes and its patient"), nil
	}
	anchored, err := a.ledger.Document(ctx, item.Tag)
	if errors.Is(err, ledger.ErrNotFound) {
		return notOnLedger(verdict, item), nil
	}
	if err != nil {
		return verdict, fmt.Errorf("%w: %w", control.ErrLedgerAway, err)
	}
	if anchored.Erased != nil {
		verdict.Finding = control.FindingErased
		verdict.Explanation = "it was erased from the patient's history by a decision on the ledger"
		return verdict, nil
	}
	tx, err := a.ledger.Transaction(ctx, anchored.Anchoring.TxID)
	if err != nil {
		return verdict, fmt.Errorf("%w: %w", control.ErrLedgerAway, err)
	}
	verdict.TxID, verdict.Block = anchored.Anchoring.TxID.String(), tx.Block
	verdict.Time, verdict.Member = anchored.Anchoring.Time, anchored.Anchoring.MSPID
	verdict.Finding, verdict.Explanation = control.FindingOK, "exactly this content is anchored"
	if item.Copy != nil {
		return a.verifyCopy(verdict, item)
	}
	if anchored.Document.CID != item.CID {
		verdict.Finding = control.FindingMismatch
		verdict.Explanation = fmt.Sprintf("the ledger has it with other sealed bytes, %s", anchored.Document.CID)
	}
	return verdict, nil
}

// verifyCopy looks whether the ledger has what this hospital holds of a document that another anchored.
func (a *App) verifyCopy(verdict control.Verdict, item document.Item) (control.Verdict, error) {
	payloads, err := history{a.index}.Payloads(item.Tag)
	if err != nil {
		return verdict, err
	}
	switch {
	case slices.Contains(payloads, reading.Payload{Institution: a.institution(), CID: item.CID}):
		verdict.Explanation = "exactly this content is anchored; this hospital holds a copy of it"
	case item.State == document.Anchored:
		verdict.Finding = control.FindingMismatch
		verdict.Explanation = "exactly this content is anchored, but the ledger does not have this hospital's copy"
	default:
		verdict.Finding, verdict.Explanation = control.FindingWaiting, "anchored by another hospital; the copy here waits for the ledger"
	}
	return verdict, nil
}

func notOnLedger(v control.Verdict, item document.Item) control.Verdict {
	if item.State == document.Anchored {
		v.Finding = control.FindingMismatch
		v.Explanation = "this hospital has a receipt for it, but the ledger does not know it: " +
			"is this the right channel, and is the peer up to date?"
		return v
	}
	v.Finding, v.Explanation = control.FindingWaiting, "durable here, and waiting for the ledger"
	return v
}

func mismatch(item document.Item, why string) control.Verdict {
	return control.Verdict{
		Finding: control.FindingMismatch, Explanation: why,
		Item: item.ID, Document: item.Tag, Patient: item.Patient, CID: item.CID,
	}
}
