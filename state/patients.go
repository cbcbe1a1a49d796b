package state

import (
	"crypto/rand"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// Patient returns the registered patient behind id, and registers them with a random reference of this institution's
// and a random secret at first sight. Durable when it returns. id is in the form that document.PatientRules gives.
func (db *DB) Patient(id document.PatientID) (document.Patient, error) {
	key := db.sealer.Blind("patient", []byte(id.Issuer), []byte(id.Identifier))
	patient, found, err := db.findPatient(key)
	if err != nil || found {
		return patient, err
	}
	err = db.update(func(v view) error {
		// Another goroutine may have been first.
		if found, err := v.getJSON(patientBucket, key, &patient); err != nil || found {
			return err
		}
		var random [10]byte
		rand.Read(random[:]) // never fails (crypto/rand)
		rand.Read(patient.Secret[:])
		patient.Reference = record.NewReference(db.mspID, random)
		return v.putJSON(patientBucket, key, patient)
	})
	return patient, err
}

// FindPatient returns the patient behind id; found is false if they were never registered here.
func (db *DB) FindPatient(id document.PatientID) (patient document.Patient, found bool, err error) {
	return db.findPatient(db.sealer.Blind("patient", []byte(id.Issuer), []byte(id.Identifier)))
}

func (db *DB) findPatient(key []byte) (patient document.Patient, found bool, err error) {
	err = db.view(func(v view) error {
		found, err = v.getJSON(patientBucket, key, &patient)
		return err
	})
	return patient, found, err
}
