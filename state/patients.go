package state

import (
	"crypto/rand"

	"github.com/medanchor/medanchor/document"
)

// Patient returns the registered patient behind id, and registers them with a random reference and secret at first
// sight. Durable when it returns.
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
		rand.Read(patient.Reference[:]) // never fails (crypto/rand)
		rand.Read(patient.Secret[:])
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
