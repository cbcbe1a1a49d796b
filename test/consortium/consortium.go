// Package consortium makes the members of a devnet institutions of medanchor, and enrols people there, by the way that
// hospital IT goes: enrolment codes and wallets.
package consortium

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/devnet"
	"github.com/medanchor/medanchor/ledger/fabricca"
	"github.com/medanchor/medanchor/ledger/wallet"
)

// Institution is a member's institution. What it does is on every member's peer when it returns, so that whoever acts next
// is known to all of them.
type Institution struct {
	*Person
	Member *devnet.Member
}

// Open gives the member's institution, and registers it if nobody did before. Its wallet stays in the member's folder, so that
// test processes that use one network after the other meet the same institution.
func Open(ctx context.Context, network *devnet.Network, member *devnet.Member) (*Institution, error) {
	dir := filepath.Join(member.Dir, "institution")
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	w, err := wallet.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		w, err = found(ctx, network, member, dir)
	}
	if err != nil {
		return nil, err
	}
	p, err := connect(ctx, network, w)
	if err != nil {
		return nil, err
	}
	if err := p.settled(ctx, wallet.Register(ctx, w, p.Client, record.Institution{Name: member.Title})); err != nil {
		return nil, errors.Join(fmt.Errorf("register %s: %w", member.Name, err), p.Close())
	}
	return &Institution{Person: p, Member: member}, nil
}

// lock lets one test at a time found the institution, in whatever process.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// found enrols the institution.
func found(ctx context.Context, network *devnet.Network, member *devnet.Member, dir string) (*wallet.Wallet, error) {
	roots, err := wallet.ReadTLSRoots(member.RootCert)
	if err != nil {
		return nil, err
	}
	code := wallet.InstitutionCode(wallet.Code{
		Identity: wallet.Identity{
			MSPID: member.MSPID, Peer: member.Peer.Address, CA: member.CA.Address, Channel: network.Channel,
			Chaincode: network.Chaincode,
		},
		TLSRoots: roots,
	})
	registrar, err := fabricca.ReadKeyPair(member.Registrar.Cert, member.Registrar.Key)
	if err != nil {
		return nil, err
	}
	if code.Secret, err = wallet.RegisterAtCA(ctx, registrar, code); err != nil {
		return nil, err
	}
	return wallet.Enroll(ctx, code, dir)
}

// Enrol invites a participant of a role, who enrols and joins. Their wallet stands in the member's folder.
func (i *Institution) Enrol(ctx context.Context, role record.Role) (*Person, error) {
	code, err := wallet.Admit(ctx, i.Wallet, i.Client, role)
	if err := i.settled(ctx, err); err != nil {
		return nil, fmt.Errorf("admit %s: %w", role, err)
	}
	w, err := wallet.Enroll(ctx, code, filepath.Join(i.Member.Dir, "people", code.Participant.String()))
	if err != nil {
		return nil, fmt.Errorf("enrol %s: %w", role, err)
	}
	p, err := connect(ctx, i.network, w)
	if err != nil {
		return nil, err
	}
	if err := p.settled(ctx, wallet.Join(ctx, w, p.Client)); err != nil {
		return nil, errors.Join(fmt.Errorf("join as %s: %w", role, err), p.Close())
	}
	return p, nil
}

// Patient registers a new patient of the institution; person signs for them, or nobody if it is nil.
func (i *Institution) Patient(ctx context.Context, person *Person) (record.Reference, error) {
	q := record.PatientRegistration{Patient: NewReference(i.MSPID)}
	if person != nil {
		q.Participant = person.ID
	}
	if _, err := i.Do(ctx, record.RegisterPatientFunction, q, nil); err != nil {
		return record.Reference{}, fmt.Errorf("register a patient: %w", err)
	}
	return q.Patient, nil
}

// NewReference makes a reference of the member's.
func NewReference(mspID string) record.Reference {
	var random [10]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	return record.NewReference(mspID, random)
}

// Appliance enrols a new appliance of the member's institution.
func Appliance(ctx context.Context, network *devnet.Network, member *devnet.Member) (*Person, error) {
	i, err := Open(ctx, network, member)
	if err != nil {
		return nil, err
	}
	p, err := i.Enrol(ctx, record.ApplianceRole)
	return p, errors.Join(err, i.Close())
}
