package e2e

import (
	"bytes"
	"crypto/hpke"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/ledger/sealed"
	"github.com/medanchor/medanchor/ledger/wallet"
	"github.com/medanchor/medanchor/reading"
	"github.com/medanchor/medanchor/state"
	"github.com/medanchor/medanchor/test/synth"
	"github.com/medanchor/medanchor/vault/seal"
)

// allThatTheHospitalHas: B's administrator has B's disk, vault key, recovery identity, IPFS repository, peer and CA, and all
// keys of its people but the doctor's, who has read. None of it opens what the doctor read.
func (w *ward) allThatTheHospitalHas(p *prey) {
	w.mintsTheDoctor(p)
	w.readsAsTheHouse(p)
	w.opensReleasesWithAllKeys()
	w.opensWhatIsStored(p)
	w.findsNothing(p)
}

// mintsTheDoctor: B's CA certifies a new key as the doctor's. Nobody takes it for theirs.
func (w *ward) mintsTheDoctor(p *prey) {
	institution := enrol(w.t, w.n, w.b.member, record.InstitutionRole)
	code := institution.runs(exitOK, "participant renew --participant "+w.doctor.id.String(), "")
	minted := w.doctor.at(filepath.Join(w.t.TempDir(), "minted"))
	minted.runs(exitOK, "enroll --code -", code)
	if _, err := minted.dial(w.b); !errors.Is(err, reading.ErrLogin) {
		w.t.Errorf("the minted doctor logs in: %v", err)
	}
	minted.runs(exitRefused, "access request --all --until "+tomorrow().Format("2006-01-02")+w.of, "")
	for _, r := range w.standing(minted.connect(), w.doctor.id) {
		own := minted.wallet()
		as := sealed.ContextOf(own.Channel, r.ListedRelease)
		if _, err := sealed.OpenRelease(as, own.EncryptionKey(), r.sealed); !errors.Is(err, sealed.ErrNotForRelease) {
			w.t.Errorf("the minted doctor opens a release: %v", err)
		}
	}
	w.gets(w.doctor, w.b, exitOK, p.doctors[0]) // and the doctor is who they were
}

// readsAsTheHouse: B itself and its appliance are participants, and no readers.
func (w *ward) readsAsTheHouse(p *prey) {
	one, keys := p.doctors[0], w.released(w.doctor, p.doctors[0])
	appliance := w.doctor.at(filepath.Join(w.b.member.Dir, "people", w.b.applianceID().String()))
	appliance.id = w.b.applianceID()
	for _, reader := range []*someone{enrol(w.t, w.n, w.b.member, record.InstitutionRole), appliance} {
		if _, err := w.open(reader.login(w.b), one, keys...); !errors.Is(err, reading.ErrDenied) {
			w.t.Errorf("%s reads with the doctor's keys: %v", reader.id, err)
		}
		w.audited(1, record.AuditEntry{Action: record.ActAccess, Denied: true, Subject: reader.id, Record: one.Record})
	}
}

// opensReleasesWithAllKeys tries each private key that there is at B, but the doctor's own.
func (w *ward) opensReleasesWithAllKeys() {
	var keys []hpke.PrivateKey
	for _, f := range tree(w.t, w.b.member.Dir, w.doctor.identity) {
		if key, err := wallet.ReadEncryptionKey(f.path); err == nil {
			keys = append(keys, key)
		}
	}
	if len(keys) < 4 { // of the institution, the appliance and two doctors
		w.t.Fatalf("%d keys were found at B", len(keys))
	}
	for _, r := range w.standing(w.b.appliance(), w.doctor.id) {
		for _, key := range keys {
			if _, err := sealed.OpenRelease(sealed.ContextOf(w.n.Channel, r.ListedRelease), key, r.sealed); err == nil {
				w.t.Error("another key of B's opens the doctor's release")
			}
		}
	}
}

// opensWhatIsStored takes the ciphertext from the swarm, as everybody there may, and opens it with all that B's vault has.
func (w *ward) opensWhatIsStored(p *prey) {
	stored := w.b.stored()
	recovery, err := os.ReadFile(w.b.Recovery)
	if err != nil {
		w.t.Fatal(err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(recovery))
	if err != nil {
		w.t.Fatal(err)
	}
	vault, err := seal.Load(w.b.Config.Vault.KeyFile, w.b.Config.Data, w.b.Config.Vault.RecoveryRecipient)
	if err != nil {
		w.t.Fatal(err)
	}
	node, _ := openNode(w.t, w.t.TempDir(), w.swarm)
	for _, one := range p.doctors {
		if _, err := stored.Document(one.tag); !errors.Is(err, state.ErrNotFound) {
			w.t.Errorf("B's data folder has the paper: %v", err)
		}
		payload := ciphertext(w.t, node, w.a.source(), one)
		if len(payload) <= len(one.content) || bytes.Contains(payload, one.content[:64]) {
			w.t.Errorf("%d bytes are sealed as %d", len(one.content), len(payload))
		}
		if _, err := age.Decrypt(bytes.NewReader(payload), identities...); err == nil {
			w.t.Error("B's recovery identity opens the payload")
		}
		if _, err := vault.Open(nil, bytes.NewReader(payload)); err == nil {
			w.t.Error("B's vault opens the payload")
		}
	}
}

// findsNothing searches B's disk, and that of its peer and CA, for the papers and for the keys that open them.
func (w *ward) findsNothing(p *prey) {
	var values []synth.Value
	for _, k := range w.released(w.doctor, p.doctors...) {
		values = append(values, synth.Value{Kind: synth.Digest, Text: hex.EncodeToString(k.FileKey), Raw: k.FileKey})
	}
	for _, one := range p.doctors {
		for _, at := range []int{0, len(one.content) / 2, len(one.content) - 64} {
			part := one.content[at:][:64]
			values = append(values, synth.Value{Kind: synth.UID, Text: string(part), Raw: part})
		}
	}
	look := newSearcher(values)
	for _, one := range p.doctors {
		if findAny(look, one.content) == nil {
			w.t.Error("the search does not find a paper in itself")
		}
	}
	files := searchTree(w.t, look, w.b.Dir)
	files = append(files, searchTree(w.t, look, w.b.member.Dir)...)
	w.reaches(files, w.standing(w.b.appliance(), w.doctor.id)[0])
}

// reaches checks that the search was where the sealed release is.
func (w *ward) reaches(files []treeFile, r release) {
	key := record.ReleaseKey(r.Patient, r.Recipient, r.ID)
	for _, f := range files {
		if strings.Contains(f.path, "pvtdataStore") && foundText(w.t, f.path, key) {
			return
		}
	}
	w.t.Error("the release is not found in the peer's private data: the search does not reach there")
}
