package contract

import (
	"slices"

	"github.com/medanchor/medanchor/chaincode/record"
)

func link(tx *transaction, q record.Link) (any, error) {
	if tx.caller.require(record.PatientRole) == nil {
		return tx.linkSigned(q)
	}
	return tx.linkAgreed(q)
}

// linkSigned links two references of the calling patient.
func (tx *transaction) linkSigned(q record.Link) (any, error) {
	a, b, err := tx.pair(q)
	if err != nil {
		return nil, err
	}
	if !tx.isSelf(a) || !tx.isSelf(b) {
		return nil, record.Errorf(record.Forbidden, "the caller is not the patient of both: register them with one "+
			"participant, or have both institutions link them")
	}
	return record.LinkMade, tx.makeLink(a, b, record.SignedLink, record.BasisPatient)
}

// isSelf says whether the caller is the living patient of the reference itself.
func (tx *transaction) isSelf(p record.Patient) bool {
	return tx.caller.require(record.PatientRole) == nil && p.Participant == tx.caller.participant.ID && p.Deceased.IsZero()
}

// linkAgreed proposes a link for the caller's institution, or agrees to what the other institution proposed.
func (tx *transaction) linkAgreed(q record.Link) (any, error) {
	ours, theirs := q.Patient, q.To
	if tx.caller.institution.Institution() == theirs.Institution() {
		ours, theirs = theirs, ours
	}
	if err := tx.caller.requireOffice(ours.Institution()); err != nil {
		return nil, err
	}
	if ours.Institution() == theirs.Institution() {
		return nil, record.Errorf(record.BadRequest, "both are patients of one institution: merge them instead")
	}
	our, their, err := tx.registeredPair(record.Link{Patient: ours, To: theirs})
	if err != nil {
		return nil, err
	}
	proposal, _, err := load[record.LinkProposal](tx, record.LinkKey(ours, theirs))
	switch {
	case err != nil:
		return nil, err
	case our.LinkedTo(theirs):
		return nil, errLinked()
	case proposal.By.IsZero():
		return record.LinkProposed, tx.proposeLink(our, their)
	case proposal.By == tx.caller.institution:
		return nil, record.Errorf(record.Exists, "the institution has proposed this: it waits for the other one")
	case proposal.Participant != their.Participant || proposal.Other != our.Participant:
		return nil, record.Errorf(record.WrongState, "another participant signs for one of the two than when the link was "+
			"proposed: unlink, and propose it anew")
	}
	return record.LinkMade, tx.makeLink(our, their, record.AgreedLink, record.BasisInstitution)
}

func errLinked() error { return record.Errorf(record.Exists, "the two are linked already") }

func errUnlinked() error {
	return record.Errorf(record.Forbidden, "the patients are not linked: have the patient or both institutions link them")
}

func (tx *transaction) proposeLink(our, their record.Patient) error {
	tx.acted = record.ActPropose
	for _, p := range []record.Patient{our, their} {
		tx.audit(record.AuditEntry{Patient: p.Reference, Action: record.ActPropose, Basis: record.BasisInstitution})
	}
	return tx.put(record.LinkKey(our.Reference, their.Reference), record.LinkProposal{
		V: record.SchemaVersion, By: tx.caller.institution, Participant: our.Participant, Other: their.Participant,
		Time: tx.now,
	})
}

func merge(tx *transaction, q record.Link) (any, error) {
	for _, r := range []record.Reference{q.Patient, q.To} {
		if err := tx.caller.requireOffice(r.Institution()); err != nil {
			return nil, err
		}
	}
	a, b, err := tx.registeredPair(q)
	if err != nil {
		return nil, err
	}
	if !a.Participant.IsZero() && !b.Participant.IsZero() && a.Participant != b.Participant {
		return nil, record.Errorf(record.WrongState, "different participants sign for the two, and would for both then: have "+
			"two people replace one of them first")
	}
	return nil, tx.makeLink(a, b, record.MergeLink, record.BasisInstitution)
}

// makeLink writes a link to both patients, and ends the proposal of it.
func (tx *transaction) makeLink(a, b record.Patient, kind record.LinkKind, basis record.Basis) error {
	if a.LinkedTo(b.Reference) {
		return errLinked()
	}
	if len(a.Links) >= record.MaxLinks || len(b.Links) >= record.MaxLinks {
		return record.Errorf(record.WrongState, "one of the two has %d links: end one first", record.MaxLinks)
	}
	if _, err := tx.endProposal(a.Reference, b.Reference); err != nil {
		return err
	}
	toA, err := tx.linkTo(a, kind)
	if err != nil {
		return err
	}
	toB, err := tx.linkTo(b, kind)
	if err != nil {
		return err
	}
	a.Links, b.Links = append(a.Links, toB), append(b.Links, toA)
	return tx.putPair(a, b, basis)
}

// linkTo is a link to a patient: where institutions vouch for it, with who signs for that patient now.
func (tx *transaction) linkTo(p record.Patient, kind record.LinkKind) (record.PatientLink, error) {
	l := record.PatientLink{To: p.Reference, Kind: kind, Since: tx.now}
	if kind == record.SignedLink || p.Participant.IsZero() {
		return l, nil
	}
	signer, _, err := load[record.Participant](tx, record.ParticipantKey(p.Participant))
	l.Participant, l.Rebound = p.Participant, signer.Rebound
	return l, err
}

func unlink(tx *transaction, q record.Link) (any, error) {
	a, b, err := tx.pair(q)
	if err != nil {
		return nil, err
	}
	basis, err := tx.mayUnlink(a, b, q)
	if err != nil {
		return nil, err
	}
	proposed, err := tx.endProposal(q.Patient, q.To)
	switch {
	case err != nil:
		return nil, err
	case !proposed && !a.LinkedTo(q.To):
		return nil, record.Errorf(record.NotFound, "the two are not linked")
	}
	if !a.LinkedTo(q.To) { // else who proposes and takes back, again and again, would disturb the other's patient
		for _, p := range []record.Patient{a, b} {
			tx.audit(record.AuditEntry{Patient: p.Reference, Basis: basis})
		}
		return nil, nil
	}
	a.Links = slices.DeleteFunc(a.Links, func(l record.PatientLink) bool { return l.To == q.To })
	b.Links = slices.DeleteFunc(b.Links, func(l record.PatientLink) bool { return l.To == q.Patient })
	return nil, tx.putPair(a, b, basis)
}

// mayUnlink says by which right the caller ends a link: as the patient of one of the two, except for a merge; or for one of
// their institutions.
func (tx *transaction) mayUnlink(a, b record.Patient, q record.Link) (record.Basis, error) {
	merged := slices.ContainsFunc(a.Links, func(l record.PatientLink) bool {
		return l.To == q.To && l.Kind == record.MergeLink
	})
	if !merged && (tx.isSelf(a) || tx.isSelf(b)) {
		return record.BasisPatient, nil
	}
	if tx.caller.requireOffice(q.To.Institution()) == nil {
		return record.BasisInstitution, nil
	}
	return record.BasisInstitution, tx.caller.requireOffice(q.Patient.Institution())
}

// endProposal takes the proposal to link two references off the table, and says whether there was one.
func (tx *transaction) endProposal(a, b record.Reference) (bool, error) {
	key := record.LinkKey(a, b)
	proposal, _, err := load[record.LinkProposal](tx, key)
	if err != nil || proposal.By.IsZero() {
		return false, err
	}
	return true, tx.put(key, record.LinkProposal{V: record.SchemaVersion, Time: tx.now})
}

// pair gives the patients of both references; zero values for those who are not registered.
func (tx *transaction) pair(q record.Link) (a, b record.Patient, err error) {
	if a, _, err = tx.patient(q.Patient); err != nil {
		return a, b, err
	}
	b, _, err = tx.patient(q.To)
	return a, b, err
}

// registeredPair is pair, and refuses those who are not registered.
func (tx *transaction) registeredPair(q record.Link) (a, b record.Patient, err error) {
	if a, err = tx.registered(q.Patient); err != nil {
		return a, b, err
	}
	b, err = tx.registered(q.To)
	return a, b, err
}

func (tx *transaction) putPair(a, b record.Patient, basis record.Basis) error {
	for _, p := range []record.Patient{a, b} {
		tx.audit(record.AuditEntry{Patient: p.Reference, Basis: basis})
		if err := tx.putPatient(p); err != nil {
			return err
		}
	}
	return nil
}

// handOver writes to the audit that the secret was given: the note that goes with it is all else.
func handOver(tx *transaction, q record.HandOver) (any, error) {
	if err := tx.caller.requireOf(q.Patient.Institution(), record.ApplianceRole); err != nil {
		return nil, err
	}
	p, err := tx.registered(q.Patient)
	switch {
	case err != nil:
		return nil, err
	case !p.LinkedTo(q.To):
		return nil, errUnlinked()
	case q.Recipient.Institution() != q.To.Institution():
		return nil, record.Errorf(record.Forbidden, "the recipient is not of the institution that the link leads to")
	}
	to, err := tx.participantOf(q.Recipient, record.ApplianceRole)
	if err != nil {
		return nil, err
	}
	if to.Status != record.Active {
		return nil, record.Errorf(record.WrongState, "the recipient is %s", to.Status)
	}
	given, err := tx.noteFor(q.Recipient)
	if err != nil {
		return nil, err
	}
	if !given {
		return nil, record.Errorf(record.BadRequest, "no secret is given: send it as a sealed note to the recipient")
	}
	tx.audit(record.AuditEntry{Patient: q.Patient, Basis: record.BasisAppliance, Subject: q.Recipient})
	return nil, nil
}
