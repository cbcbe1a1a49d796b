package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ledger/wallet"
	"github.com/medanchor/medanchor/reading"
	"github.com/medanchor/medanchor/test/consortium"
	"github.com/medanchor/medanchor/test/hospital"
	"github.com/medanchor/medanchor/test/story"
	"github.com/medanchor/medanchor/test/synth"
)

// readSize is that of the document that is read.
const readSize = 500 << 20

// remoteReading compares a doctor's reading of a large document at another hospital with a plain bitswap session that
// fetches the same blocks from the same node. medanchor also decrypts, checks the whole, and serves over HTTP.
func remoteReading() comparison {
	return comparison{
		unit:  "MB/s",
		pairs: [][2]string{{"read.remote", "bitswap-session"}},
		open: func(ctx context.Context, b *bench, dir string) ([]contender, func() error, error) {
			w, err := openRemote(ctx, b, dir, readSize)
			if err != nil {
				return nil, nil, err
			}
			plain, err := openFetcher(ctx, filepath.Join(dir, "fetcher"), w.a.Config.IPFS.SwarmKeyFile)
			if err != nil {
				return nil, nil, errors.Join(err, w.close())
			}
			status, err := w.a.Client().Status(ctx)
			if err != nil {
				return nil, nil, errors.Join(err, plain.close(), w.close())
			}
			bitswap := func(ctx context.Context, _ int) (map[string]float64, error) {
				began := time.Now()
				n, err := plain.fetch(ctx, status.Reading.Swarm, w.cid)
				return map[string]float64{"bitswap-session": float64(n) / 1e6 / time.Since(began).Seconds()}, err
			}
			stop := func() error { return errors.Join(plain.close(), w.close()) }
			return []contender{w.readWhole, bitswap}, stop, nil
		},
	}
}

// firstByte measures how long a reader waits, from the log-in to the first byte from another hospital, with the audit
// committed in between; beside the commit alone.
func firstByte() comparison {
	return comparison{
		unit:  "ms",
		pairs: [][2]string{{"read.first-byte", "audit-commit"}},
		open: func(ctx context.Context, b *bench, dir string) ([]contender, func() error, error) {
			w, err := openRemote(ctx, b, dir, 50<<20)
			if err != nil {
				return nil, nil, err
			}
			return []contender{w.readFirst, w.commitAlone}, w.close, nil
		},
	}
}

// remote is a document at hospital A that a doctor at B may read.
type remote struct {
	a, b    *story.Place
	daemons []*hospital.Process
	doctor  *consortium.Person
	name    record.RecordName
	version record.Tag
	cid     record.CID
}

// openRemote takes one file in at A, and has its key released to a doctor at B.
func openRemote(ctx context.Context, b *bench, dir string, size int) (w *remote, err error) {
	network, err := b.fabric(ctx)
	if err != nil {
		return nil, err
	}
	w = &remote{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	var swarm []byte
	for i, place := range []**story.Place{&w.a, &w.b} {
		h, err := hospital.New(ctx, network, network.Members[i], hospital.Options{
			Dir: filepath.Join(dir, fmt.Sprint("hospital-", i)), Inspector: filepath.Join(b.bin, "medanchor-inspect"), SwarmKey: swarm,
		})
		if err != nil {
			return w, err
		}
		if swarm, err = os.ReadFile(h.Config.IPFS.SwarmKeyFile); err != nil {
			return w, err
		}
		*place = &story.Place{Hospital: h, Member: network.Members[i]}
		daemon, err := h.Run(ctx, filepath.Join(b.bin, "medanchor"))
		if err != nil {
			return w, err
		}
		w.daemons = append(w.daemons, daemon)
	}
	if err := story.Announce(ctx, network, w.a, w.b); err != nil {
		return w, err
	}
	if err := w.takeIn(ctx, dir, size); err != nil {
		return w, err
	}
	return w, w.grant(ctx, network)
}

// takeIn has A take one image in, and finds it on the ledger.
func (w *remote) takeIn(ctx context.Context, dir string, size int) error {
	files := filepath.Join(dir, "files")
	manifest, err := synth.Many(files, uint64(size), "a", 1, size)
	if err != nil {
		return err
	}
	path := filepath.Join(files, filepath.FromSlash(manifest.Files[0].Path))
	if err := os.Rename(path, filepath.Join(w.a.DICOM, "large.dcm")); err != nil {
		return err
	}
	patient, err := w.a.Client().Patient(ctx, control.PatientQuery{
		PatientID: document.PatientID{Issuer: document.NHS, Identifier: manifest.People[0].NHS}, Register: true,
	})
	if err != nil {
		return err
	}
	return poll(ctx, func() (bool, error) {
		records, err := w.a.Client().Records(ctx, false)
		for _, r := range records {
			if r.Patient == patient {
				w.name, w.version = record.RecordName{Patient: patient, Record: r.Record}, r.Documents[0]
			}
		}
		return !w.version.IsZero(), err
	})
}

// grant registers the patient, and has the doctor ask and be approved.
func (w *remote) grant(ctx context.Context, network *devnet.Network) error {
	patient, err := enrol(ctx, network, w.a.Member, record.PatientRole)
	if err != nil {
		return err
	}
	staff, err := enrol(ctx, network, w.a.Member, record.StaffRole)
	if err != nil {
		return err
	}
	if w.doctor, err = enrol(ctx, network, w.b.Member, record.DoctorRole); err != nil {
		return err
	}
	registration := record.PatientRegistration{Patient: w.name.Patient, Participant: patient.ID}
	if _, err := staff.Do(ctx, record.RegisterPatientFunction, registration, nil); err != nil {
		return err
	}
	asked, err := w.doctor.Do(ctx, record.RequestFunction, record.AccessRequest{
		Patient: w.name.Patient, Mode: record.Read, Scope: record.Scope{All: true}, Purpose: record.Treatment,
		Until: time.Now().Add(24 * time.Hour).Truncate(time.Second),
	}, nil)
	if err != nil {
		return err
	}
	approval := record.Approval{Patient: w.name.Patient, Participant: w.doctor.ID, Request: asked.ID}
	if _, err := patient.Do(ctx, record.ApproveFunction, approval, nil); err != nil {
		return err
	}
	err = poll(ctx, func() (bool, error) {
		keys, err := w.released(ctx)
		if len(keys) > 0 {
			w.cid = keys[0].CID
		}
		return len(keys) > 0, err
	})
	return errors.Join(err, patient.Close(), staff.Close())
}

func enrol(ctx context.Context, network *devnet.Network, member *devnet.Member, role record.Role) (*consortium.Person, error) {
	institution, err := consortium.Open(ctx, network, member)
	if err != nil {
		return nil, err
	}
	p, err := institution.Enrol(ctx, role)
	return p, errors.Join(err, institution.Close())
}

func (w *remote) released(ctx context.Context) ([]wallet.Released, error) {
	return w.doctor.Released(ctx, w.doctor.Client, w.name)
}

func (w *remote) close() (err error) {
	for _, d := range w.daemons {
		err = errors.Join(err, d.Stop())
	}
	if w.doctor != nil {
		err = errors.Join(err, w.doctor.Close())
	}
	return err
}

// open logs in and opens the record, as medanchor get does.
func (w *remote) open(ctx context.Context) (*reading.Client, record.Tag, error) {
	status, err := w.b.Client().Status(ctx)
	if err != nil {
		return nil, record.Tag{}, err
	}
	keys, err := w.released(ctx)
	if err != nil {
		return nil, record.Tag{}, err
	}
	q := reading.OpenRequest{RecordName: w.name}
	for _, k := range keys {
		q.Keys = append(q.Keys, reading.NewReleasedKey(k.Institution, k.Tag, k.CID, k.FileKey, k.Metadata))
	}
	client, err := reading.Dial(ctx, reading.DialOptions{
		URL: status.Reading.URL, Institution: w.doctor.ID.Institution(), Channel: w.doctor.Channel, ID: w.doctor.ID,
		Reader: w.doctor.Wallet,
	})
	if err != nil {
		return nil, record.Tag{}, err
	}
	opened, err := client.Open(ctx, q)
	if err != nil {
		return nil, record.Tag{}, err
	}
	return client, opened.Documents[0].Tag, nil
}

// readWhole reads the document from its first byte to its last; to open it is not timed.
func (w *remote) readWhole(ctx context.Context, _ int) (map[string]float64, error) {
	client, tag, err := w.open(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	content, err := client.Document(ctx, w.name, tag, 0)
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(io.Discard, content)
	took := time.Since(began)
	err = errors.Join(err, content.Close(), client.Close(ctx))
	return map[string]float64{"read.remote": float64(n) / 1e6 / took.Seconds()}, err
}

// readFirst times from the log-in to the first byte.
func (w *remote) readFirst(ctx context.Context, _ int) (map[string]float64, error) {
	began := time.Now()
	client, tag, err := w.open(ctx)
	if err != nil {
		return nil, err
	}
	content, err := client.Document(ctx, w.name, tag, 0)
	if err != nil {
		return nil, err
	}
	_, err = io.ReadFull(content, make([]byte, 1))
	took := time.Since(began)
	err = errors.Join(err, content.Close(), client.Close(ctx))
	return map[string]float64{"read.first-byte": float64(took.Microseconds()) / 1e3}, err
}

// commitAlone times an access that is committed and read back, by the reader themselves.
func (w *remote) commitAlone(ctx context.Context, round int) (map[string]float64, error) {
	began := time.Now()
	_, err := w.doctor.Access(ctx, record.Accesses{Accesses: []record.AccessAttempt{{
		Participant: w.doctor.ID, Patient: w.name.Patient, Record: w.name.Record, Version: w.version,
		Session: record.ID{9, byte(round)},
	}}})
	return map[string]float64{"audit-commit": float64(time.Since(began).Microseconds()) / 1e3}, err
}

// poll waits until done is true.
func poll(ctx context.Context, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if is, err := done(); err != nil || is {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
