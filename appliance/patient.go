package appliance

import (
	"context"
	"fmt"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// Patient implements control.Appliance. Who is a patient is decided as for what is taken in, so that a person and the
// files that are about them meet under one reference.
func (a *App) Patient(_ context.Context, q control.PatientQuery) (record.Reference, error) {
	id, reason := a.config.Patients.rules().Check(q.PatientID)
	if reason != "" {
		return record.Reference{}, fmt.Errorf("%w: %s", control.ErrBadRequest, nobody(reason))
	}
	if q.Register {
		patient, err := a.state.Patient(id)
		return patient.Reference, err
	}
	patient, found, err := a.state.FindPatient(id)
	if err == nil && !found {
		err = fmt.Errorf("%w: this hospital has no such patient: register them", control.ErrNotFound)
	}
	return patient.Reference, err
}

// nobody says why an identifier is no patient's.
func nobody(reason document.Reason) string {
	switch reason {
	case document.ReasonPlaceholder:
		return "the identifier is a placeholder, which many people share: find out the patient's own"
	case document.ReasonBadIdentifier:
		return "the NHS number is not ten digits with a valid check digit: compare it with the patient's own"
	default:
		return "no identifier is given"
	}
}
