package main

import (
	"context"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/sealed"
	"github.com/medanchor/medanchor/test/consortium"
)

// releasedKeys is how many keys are released in one transaction: as many as a release takes.
const releasedKeys = record.MaxReleaseDocuments

// releasing compares releasing keys on the ledger, endorsed by both hospitals and committed, with sealing each key by HPKE
// alone, and with sealing them in one context.
func releasing() comparison {
	return comparison{
		unit: "keys/s",
		pairs: [][2]string{
			{"release.keys", "hpke-seal"},
			{"release.seal", "hpke-seal"},
		},
		open: func(ctx context.Context, b *bench, _ string) ([]contender, func() error, error) {
			w, err := b.openRelease(ctx)
			if err != nil {
				return nil, nil, err
			}
			return []contender{w.release, w.sealOnly, w.sealEach}, w.close, nil
		},
	}
}

// releaseWork is a patient at A with records, and a doctor at B who may read them.
type releaseWork struct {
	appliance, doctor *consortium.Person
	reader            record.Participant
	patient           record.Reference
	version           record.Version
	grant             record.ID
	until             time.Time
}

func (b *bench) openRelease(ctx context.Context) (w *releaseWork, err error) {
	network, err := b.fabric(ctx)
	if err != nil {
		return nil, err
	}
	a := network.Members[0]
	w = &releaseWork{until: time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)}
	institution, err := consortium.Open(ctx, network, a)
	if err != nil {
		return nil, err
	}
	people := make([]*consortium.Person, 0, 2)
	for _, role := range []record.Role{record.ApplianceRole, record.PatientRole} {
		p, err := institution.Enrol(ctx, role)
		if err != nil {
			return nil, err
		}
		people = append(people, p)
	}
	w.appliance = people[0]
	if w.doctor, err = enrol(ctx, network, network.Members[1], record.DoctorRole); err != nil {
		return nil, err
	}
	if w.patient, err = institution.Patient(ctx, people[1]); err != nil {
		return nil, err
	}
	if err := w.approve(ctx, people[1]); err != nil {
		return nil, err
	}
	w.version = record.Version{Patient: w.patient, Record: record.Tag(randomBytes(16)), Kind: record.KindImaging}
	for range releasedKeys {
		w.version.Documents = append(w.version.Documents, record.Document{Tag: record.Tag(randomBytes(16)), CID: record.CID(append([]byte{0x55}, randomBytes(32)...))})
	}
	receipt, err := w.appliance.Anchor(ctx, record.Batch{Versions: []record.Version{w.version}})
	if err != nil {
		return nil, err
	}
	if w.reader, err = w.doctor.WhoAmI(ctx); err != nil {
		return nil, err
	}
	return w, errors.Join(w.appliance.Await(ctx, receipt.Block), people[1].Close(), institution.Close())
}

// approve has the doctor ask, and the patient approve.
func (w *releaseWork) approve(ctx context.Context, patient *consortium.Person) error {
	asked, err := w.doctor.Do(ctx, record.RequestFunction, record.AccessRequest{
		Patient: w.patient, Mode: record.Read, Scope: record.Scope{All: true}, Purpose: record.Treatment, Until: w.until,
	}, nil)
	if err != nil {
		return err
	}
	w.grant = asked.ID
	approval := record.Approval{Patient: w.patient, Participant: w.doctor.ID, Request: asked.ID}
	_, err = patient.Do(ctx, record.ApproveFunction, approval, nil)
	return err
}

func (w *releaseWork) close() error { return errors.Join(w.appliance.Close(), w.doctor.Close()) }

// seal seals all keys, in one context.
func (w *releaseWork) seal() (record.Release, record.SealedRelease, error) {
	q := record.Release{
		Patient: w.patient, Recipient: w.reader.ID, Grant: w.grant, Key: record.KeyIDOf(w.reader.EncryptionKey), Until: w.until,
	}
	var keys []sealed.DocumentKey
	for _, d := range w.version.Documents {
		keys = append(keys, sealed.DocumentKey{
			Record: w.version.Record, Version: w.version.Name(), Tag: d.Tag, CID: d.CID, FileKey: [16]byte(randomBytes(16)),
			Metadata: []byte(`{"size":537404,"metadata":{"format":"dicom","modality":"CT"}}`),
		})
	}
	r, err := sealed.SealRelease(sealed.ReleaseContext{
		Channel: w.appliance.Channel, Patient: q.Patient, Grant: q.Grant, Custodian: w.appliance.ID.Institution(),
		Recipient: q.Recipient, Key: q.Key, Until: w.until,
	}, w.reader, keys)
	return q, r, err
}

// releases is how many releases of one run follow each other.
const releases = 5

func (w *releaseWork) release(ctx context.Context, _ int) (map[string]float64, error) {
	began := time.Now()
	for range releases {
		q, r, err := w.seal()
		if err != nil {
			return nil, err
		}
		if _, err := w.appliance.Release(ctx, q, r); err != nil {
			return nil, err
		}
	}
	return map[string]float64{"release.keys": releases * releasedKeys / time.Since(began).Seconds()}, nil
}

func (w *releaseWork) sealOnly(context.Context, int) (map[string]float64, error) {
	began := time.Now()
	const times = 200
	for range times {
		if _, _, err := w.seal(); err != nil {
			return nil, err
		}
	}
	return map[string]float64{"release.seal": times * releasedKeys / time.Since(began).Seconds()}, nil
}

// sealEach seals each key by itself, as if there were no context to share.
func (w *releaseWork) sealEach(context.Context, int) (map[string]float64, error) {
	public, err := sealed.PublicKey(w.reader)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	for range releasedKeys {
		if _, err := hpke.Seal(public, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), nil, randomBytes(16)); err != nil {
			return nil, fmt.Errorf("seal a key: %w", err)
		}
	}
	return map[string]float64{"hpke-seal": releasedKeys / time.Since(began).Seconds()}, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails (crypto/rand)
	return b
}
