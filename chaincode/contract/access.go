package contract

import (
	"slices"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// question is what checkAccess is asked: whether somebody may read or write a record.
type question struct {
	reader  record.Participant // zero for somebody whom the ledger does not know
	patient record.Reference
	record  record.Tag
	kind    record.Kind // of the record; 0 if it is unknown, and then in no scope of kinds
	mode    record.Mode
	now     time.Time
	// custodian is whose payloads are to be read; zero if that does not matter.
	custodian record.InstitutionPrefix
	holders   []record.InstitutionPrefix // of copies of the record: checkAccess fills it in
}

// right looks for one kind of basis. Access that is not allowed says that there is none.
type right func(state, question, record.Patient) (record.Access, error)

// checkAccess decides by which right somebody may read or write a record, and until when. No access is given but through
// it. Of several bases the first counts: the patient or their representative; supervision; and of grants, first those under
// the record's own reference (the patient's approval, a referral, break-glass) and then those under a linked one; supervision
// where copies are. An institution, its staff and its appliance read nothing by themselves.
//
// A record that was filed in error or erased is nobody's to read, the patient's neither: its content is not theirs, or is
// gone. That there is such a record is not checked, for rights cover what joins later.
func checkAccess(s state, q question) (record.Access, error) {
	status, _, err := find[record.RecordStatus](s, record.StatusKey(q.patient, q.record))
	if err != nil {
		return record.Access{}, err
	}
	if reason := excluded(q, status); reason != "" {
		return record.Access{Reason: reason}, nil
	}
	q.holders = status.Holders
	p, _, err := find[record.Patient](s, record.PatientKey(q.patient))
	if err != nil {
		return record.Access{}, err
	}
	for _, by := range []right{asSelf, bySupervision, byGrant, byLinkedGrant, byCopies} {
		access, err := by(s, q, p)
		if err != nil || access.Allowed {
			return access, err
		}
	}
	return record.Access{Reason: record.DeniedNoBasis}, nil
}

// excluded says what denies access whatever the rights are; empty if nothing does.
func excluded(q question, status record.RecordStatus) record.Denial {
	switch {
	case q.reader.Status != record.Active:
		return record.DeniedSuspended
	case !status.Withdrawn.IsZero():
		return record.DeniedWithdrawn
	case status.Erasure == record.ErasureDone:
		return record.DeniedErased
	}
	return ""
}

// asSelf is the right of the patient, and of representatives whose scope has the record.
func asSelf(s state, q question, p record.Patient) (record.Access, error) {
	if q.mode != record.Read {
		return record.Access{}, nil
	}
	basis, until, err := actsForRecord(s, p, q.reader.ID, q)
	return record.Access{Allowed: basis != record.NoBasis, Basis: basis, Until: until}, err
}

// actsForRecord is actsFor, for the record that is asked for, and until when.
func actsForRecord(s state, p record.Patient, id record.ParticipantID, q question) (record.Basis, time.Time, error) {
	basis, representative, err := actsFor(s, p, id, q.now)
	switch {
	case err != nil || representative == nil:
		return basis, time.Time{}, err
	case !representative.Scope.Covers(q.record, q.kind):
		return record.NoBasis, time.Time{}, nil
	}
	return basis, representative.Until, nil
}

// bySupervision is the right of who supervises the patient.
func bySupervision(s state, q question, _ record.Patient) (record.Access, error) {
	return supervising(s, q, q.patient)
}

// supervising is the right of who supervises a patient under a reference.
func supervising(s state, q question, under record.Reference) (record.Access, error) {
	if q.mode != record.Read {
		return record.Access{}, nil
	}
	until, supervises, err := supervision(s, q.reader, under, q.now)
	if err != nil || !supervises {
		return record.Access{}, err
	}
	return record.Access{Allowed: true, Basis: record.BasisSupervision, Until: until}, nil
}

// supervision says whether a participant supervises a patient now, and until when: a doctor of the institution that
// registered the patient, whom it put in charge under this very reference, by themselves or with a team. That they are
// active is for who asks to check.
func supervision(s state, doctor record.Participant, patient record.Reference, now time.Time,
) (until time.Time, supervises bool, err error) {
	if doctor.Role != record.DoctorRole || doctor.ID.Institution() != patient.Institution() {
		return time.Time{}, false, nil
	}
	there, _, err := find[record.Supervision](s, record.SupervisionKey(patient))
	if err != nil {
		return time.Time{}, false, err
	}
	for _, v := range there.Supervisors {
		until, supervises, err = inCharge(s, v, doctor.ID, now)
		if err != nil || supervises {
			return until, supervises, err
		}
	}
	return time.Time{}, false, nil
}

// inCharge says whether a supervisor is the doctor, or a team in which they are on duty; and until when.
func inCharge(s state, v record.Supervisor, doctor record.ParticipantID, now time.Time,
) (until time.Time, is bool, err error) {
	switch {
	case record.Over(v.Until, now):
		return time.Time{}, false, nil
	case v.Team.IsZero():
		return v.Until, v.Participant == doctor, nil
	}
	team, _, err := find[record.Team](s, record.TeamKey(v.Team))
	if err != nil {
		return time.Time{}, false, err
	}
	until, is = team.OnDuty(doctor, now)
	return record.Earlier(v.Until, until), is, nil
}

// byGrant is the right of who was granted access under the record's own reference.
func byGrant(s state, q question, p record.Patient) (record.Access, error) {
	grants, err := fitting(s, q, q.patient)
	if err != nil {
		return record.Access{}, err
	}
	for _, basis := range []record.Basis{record.BasisGrant, record.BasisReferral, record.BasisBreakGlass} {
		for _, g := range grants {
			if g.Basis != basis {
				continue
			}
			access, err := standing(s, q, p, g)
			if err != nil || access.Allowed {
				return access, err
			}
		}
	}
	return record.Access{}, nil
}

// byLinkedGrant is the right of whom the patient granted access under another reference of theirs. Only what a person
// granted counts: an institution could otherwise make the grant itself, and have it flow over the link to records that are
// not its own.
func byLinkedGrant(s state, q question, p record.Patient) (record.Access, error) {
	for _, l := range p.Links {
		grants, err := fitting(s, q, l.To)
		if err != nil {
			return record.Access{}, err
		}
		for _, g := range grants {
			if g.Basis != record.BasisGrant || g.Assisted {
				continue
			}
			access, err := standing(s, q, p, g)
			if err != nil || access.Allowed {
				return access, err
			}
		}
	}
	return record.Access{}, nil
}

// byCopies is the right of who supervises the patient at an institution that holds copies of the record, under a reference
// there that the patient is linked to. It gives what that institution holds itself: who holds the rest put nobody in charge.
// It comes last, so that it does not stand before what another custodian has to go by.
func byCopies(s state, q question, p record.Patient) (record.Access, error) {
	at := q.reader.ID.Institution()
	elsewhere := q.custodian != record.InstitutionPrefix{} && q.custodian != at
	if at == q.patient.Institution() || elsewhere || !slices.Contains(q.holders, at) {
		return record.Access{}, nil
	}
	for _, l := range p.Links {
		access, err := supervising(s, q, l.To)
		if err != nil || access.Allowed {
			return access, err
		}
	}
	return record.Access{}, nil
}

// fitting gives the grants under a reference that give the reader what they ask for. A grant counts while the grantee is a
// doctor; to write and to read are two grants.
func fitting(s state, q question, under record.Reference) ([]record.Grant, error) {
	if q.reader.Role != record.DoctorRole {
		return nil, nil
	}
	relation, _, err := find[record.Relation](s, record.RelationKey(under, q.reader.ID))
	if err != nil {
		return nil, err
	}
	var fit []record.Grant
	for _, g := range relation.Grants {
		if g.Live(q.now) && g.Mode == q.mode && g.Scope.Covers(q.record, q.kind) && isGrantee(q.reader, under, g) {
			fit = append(fit, g)
		}
	}
	return fit, nil
}

// isGrantee says whether a doctor of another institution than the patient's is still who was given a grant: their own
// institution may have replaced their key since, and so may hold it.
func isGrantee(reader record.Participant, patient record.Reference, g record.Grant) bool {
	return reader.ID.Institution() == patient.Institution() || reader.Rebound == g.Rebound
}

// standing gives the access by a grant, if what it rests on still holds: a referral on that the institution still allows
// them; the patient's approval on that who gave it is the patient, or may act for them still. It ends with a link by which
// they were, or with their authority.
func standing(s state, q question, p record.Patient, g record.Grant) (record.Access, error) {
	access := record.Access{Allowed: true, Basis: g.Basis, Until: g.Until, Grant: g.ID}
	switch {
	case g.Basis == record.BasisReferral:
		allowed, err := refers(s, q.patient.Institution())
		if err != nil || !allowed {
			return record.Access{}, err
		}
	case g.Basis == record.BasisGrant && !g.Assisted && g.DecidedBy[0] != p.Participant:
		basis, until, err := actsForRecord(s, p, g.DecidedBy[0], q)
		if err != nil || basis == record.NoBasis {
			return record.Access{}, err
		}
		access.Until = record.Earlier(g.Until, until)
	}
	return access, nil
}

// refers says whether an institution allows referrals of its records.
func refers(s state, prefix record.InstitutionPrefix) (bool, error) {
	p, found, err := institutionOf(s, prefix)
	return found && p.Institution != nil && !p.Institution.NoReferrals, err
}

// institutionOf gives the institution whose prefix it is.
func institutionOf(s state, prefix record.InstitutionPrefix) (record.Participant, bool, error) {
	holder, found, err := find[record.PrefixHolder](s, record.PrefixKey(prefix))
	if err != nil || !found {
		return record.Participant{}, false, err
	}
	return find[record.Participant](s, record.ParticipantKey(holder.Institution))
}

// mayWrite says whether the author of a version may add it to the patient's history by a grant: a doctor of the
// institution whose appliance brings it, whom the patient let write. Kind and record are the version's.
func mayWrite(s state, institution record.InstitutionPrefix, v record.Version, now time.Time) (bool, error) {
	if v.Author.Institution() != institution {
		return false, nil
	}
	author, _, err := find[record.Participant](s, record.ParticipantKey(v.Author))
	if err != nil {
		return false, err
	}
	access, err := checkAccess(s, question{
		reader: author, patient: v.Patient, record: v.Record, kind: v.Kind, mode: record.Write, now: now,
	})
	return access.Allowed, err
}
