package state

import (
	"bytes"
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
		if err := v.put(referenceBucket, patient.Reference[:], patient.Secret[:]); err != nil {
			return err
		}
		return v.putJSON(patientBucket, key, patient)
	})
	return patient, err
}

// Secret returns the secret of a patient of this institution; found is false if there is no such reference.
func (db *DB) Secret(patient record.Reference) (secret [32]byte, found bool, err error) {
	err = db.view(func(v view) error {
		value, err := v.get(referenceBucket, patient[:])
		found = copy(secret[:], value) == len(secret)
		return err
	})
	return secret, found, err
}

// AddLinked keeps the secret of a linked reference of a patient of this institution, and that it came by an audit entry.
// Durable when it returns.
func (db *DB) AddLinked(own record.Reference, l document.Linked, entry string) error {
	return db.update(func(v view) error {
		if err := v.bucket(handedBucket).Put(handedKey(own, entry), []byte{}); err != nil {
			return err
		}
		return v.put(linkedBucket, append(append([]byte{}, own[:]...), l.Reference[:]...), l.Secret[:])
	})
}

// HasHanded says whether AddLinked was called for this reference with this audit entry.
func (db *DB) HasHanded(own record.Reference, entry string) (found bool, err error) {
	err = db.view(func(v view) error {
		found = v.bucket(handedBucket).Get(handedKey(own, entry)) != nil
		return nil
	})
	return found, err
}

func handedKey(own record.Reference, entry string) []byte {
	return append(append([]byte{}, own[:]...), entry...)
}

// LinkedSecret returns the secret of another institution's patient, handed over with a link.
func (db *DB) LinkedSecret(reference record.Reference) (secret [32]byte, found bool, err error) {
	err = db.view(func(v view) error {
		return v.bucket(linkedBucket).ForEach(func(key, _ []byte) error {
			if found || !bytes.HasSuffix(key, reference[:]) {
				return nil
			}
			value, err := v.get(linkedBucket, key)
			found = copy(secret[:], value) == len(secret)
			return err
		})
	})
	return secret, found, err
}

// Linked returns the linked references of a patient of this institution whose secrets were handed over.
func (db *DB) Linked(own record.Reference) (all []document.Linked, err error) {
	err = db.view(func(v view) error {
		cursor := v.bucket(linkedBucket).Cursor()
		for key, _ := cursor.Seek(own[:]); bytes.HasPrefix(key, own[:]); key, _ = cursor.Next() {
			value, err := v.get(linkedBucket, key)
			if err != nil {
				return err
			}
			l := document.Linked{Reference: record.Reference(key[len(own):])}
			copy(l.Secret[:], value)
			all = append(all, l)
		}
		return nil
	})
	return all, err
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
