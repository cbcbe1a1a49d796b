package release

import (
	"context"
	"errors"

	"github.com/medanchor/medanchor/chaincode/record"
)

// handOver gives the secret of a patient of this institution to the appliances of the institutions with which the patient is
// linked, to each once. They recognise by it what is in the history already. One that cannot have it leaves the others.
func (r *Releaser) handOver(ctx context.Context, patient record.Reference) (block uint64, err error) {
	if patient.Institution() != r.Institution {
		return 0, nil
	}
	p, found, err := get[record.Patient](r.Index, record.PatientKey(patient))
	if err != nil || !found || len(p.Links) == 0 {
		return 0, err
	}
	secret, found, err := r.Vault.Secret(patient)
	if err != nil || !found {
		return 0, err
	}
	given, err := r.given(patient)
	if err != nil {
		return 0, err
	}
	var failed error
	for _, l := range p.Links {
		appliances, err := r.appliances(l.To.Institution())
		if err != nil {
			return block, err
		}
		for _, a := range appliances {
			if given[a] {
				continue
			}
			given[a] = true // or refused: a second link to the same institution does not change that
			at, err := r.Ledger.HandOver(ctx, record.HandOver{Patient: patient, To: l.To, Recipient: a}, secret)
			if err != nil {
				failed = worse(r.refused(a, err), failed)
				continue
			}
			block = max(block, at)
			r.Log.Info("patient secret handed over to an institution with a link", "appliance", a)
		}
	}
	return block, failed
}

// given are the appliances to which the patient's secret was handed over before.
func (r *Releaser) given(patient record.Reference) (map[record.ParticipantID]bool, error) {
	given := make(map[record.ParticipantID]bool)
	var failed error
	start, end := record.AuditRange(patient)
	err := r.Index.Range(start, end, func(key string, value []byte) bool {
		e, err := record.DecodeAuditEntry(key, value)
		if err == nil && e.Action == record.ActHandOver && !e.Denied {
			given[e.Subject] = true
		}
		failed = err
		return err == nil
	})
	return given, errors.Join(err, failed)
}

// appliances are another institution's active ones.
func (r *Releaser) appliances(institution record.InstitutionPrefix) (ids []record.ParticipantID, err error) {
	if institution == r.Institution {
		return nil, nil
	}
	var failed error
	start, end := record.ParticipantRange(institution)
	err = r.Index.Range(start, end, func(_ string, value []byte) bool {
		p, err := decode[record.Participant](value)
		if err == nil && p.Role == record.ApplianceRole && p.Status == record.Active && len(p.EncryptionKey) > 0 {
			ids = append(ids, p.ID)
		}
		failed = err
		return err == nil
	})
	return ids, errors.Join(err, failed)
}
