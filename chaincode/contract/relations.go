package contract

import (
	"slices"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

// view is who looks at what is known of a patient, and what of it they may see.
type view struct {
	who   caller
	now   time.Time
	state state
	// scope is what they see; empty for who is neither the patient, their representative, nor of their institution.
	scope record.Scope
}

// look finds out what the caller may see of a patient.
func look(stub shim.ChaincodeStubInterface, patient record.Reference) (v view, err error) {
	v.state = ledgerState{stub}
	if v.who, err = identify(stub); err != nil {
		return v, err
	}
	if v.now, err = timeOf(stub); err != nil {
		return v, err
	}
	if v.who.refused != nil {
		return v, v.who.refused
	}
	ours := v.who.requireOf(patient.Institution(), record.InstitutionRole, record.StaffRole, record.ApplianceRole)
	if ours == nil {
		v.scope.All = true
		return v, nil
	}
	p, _, err := find[record.Patient](v.state, record.PatientKey(patient))
	if err != nil {
		return v, err
	}
	basis, representative, err := actsFor(v.state, p, v.who.participant.ID, v.now)
	switch {
	case representative != nil:
		v.scope = representative.Scope
	case basis == record.BasisPatient:
		v.scope.All = true
	}
	return v, err
}

// sees says whether the caller sees anything but what is their own.
func (v view) sees() bool {
	return v.scope.All || len(v.scope.Kinds) > 0 || len(v.scope.Records) > 0
}

// errNotYours refuses who has nothing to do with a patient.
func errNotYours() error {
	return record.Errorf(record.Forbidden, "only the patient, who represents them, and their institution see this")
}

func relations(stub shim.ChaincodeStubInterface, patient string, pageSize int32, bookmark string,
) (page record.RelationPage, err error) {
	reference, err := record.ParseReference(patient)
	if err != nil {
		return page, badArgument(err)
	}
	v, err := look(stub, reference)
	if err != nil {
		return page, err
	}
	page.Relations = []record.Relation{}
	if !v.sees() {
		return v.ownRelation(reference, page)
	}
	start, end := record.RelationRange(reference)
	page.Bookmark, err = eachOfPage(stub, start, end, pageSize, bookmark, func(_ string, value []byte) error {
		r, _, err := decodeState[record.Relation](value)
		r.Grants = slices.DeleteFunc(r.Grants, func(g record.Grant) bool { return !g.Scope.Within(v.scope) })
		if len(r.Grants) > 0 {
			page.Relations = append(page.Relations, r)
		}
		return err
	})
	return page, err
}

// ownRelation gives the page with what is between the patient and the caller.
func (v view) ownRelation(patient record.Reference, page record.RelationPage) (record.RelationPage, error) {
	own, found, err := find[record.Relation](v.state, record.RelationKey(patient, v.who.participant.ID))
	switch {
	case err != nil:
		return page, err
	case !found:
		return page, errNotYours()
	}
	page.Relations = append(page.Relations, own)
	return page, nil
}

func supervisors(stub shim.ChaincodeStubInterface, patient string) (s record.Supervision, err error) {
	reference, err := record.ParseReference(patient)
	if err != nil {
		return s, badArgument(err)
	}
	v, err := look(stub, reference)
	if err != nil {
		return s, err
	}
	if !v.sees() {
		_, supervises, err := supervision(v.state, v.who.participant, reference, v.now)
		if err != nil {
			return s, err
		}
		if !supervises {
			return s, errNotYours()
		}
	}
	s, found, err := find[record.Supervision](v.state, record.SupervisionKey(reference))
	if !found {
		s = record.Supervision{V: record.SchemaVersion, Patient: reference}
	}
	return s, err
}

func accessByText(stub shim.ChaincodeStubInterface, participant, patient, rec, version, mode string,
) (record.Access, error) {
	q, id, err := questionByText(participant, patient, rec, mode)
	if err != nil {
		return record.Access{}, badArgument(err)
	}
	if q.now, err = timeOf(stub); err != nil {
		return record.Access{}, err
	}
	s := ledgerState{stub}
	if version != "" {
		name, err := record.ParseTag(version)
		if err != nil {
			return record.Access{}, badArgument(err)
		}
		if q.kind, err = kindOf(s, q.patient, q.record, name); err != nil {
			return record.Access{}, err
		}
	}
	if q.reader, _, err = find[record.Participant](s, record.ParticipantKey(id)); err != nil {
		return record.Access{}, err
	}
	return checkAccess(s, q)
}

// questionByText reads what is asked, and of whom.
func questionByText(participant, patient, rec, mode string) (q question, id record.ParticipantID, err error) {
	if id, err = record.ParseParticipantID(participant); err != nil {
		return q, id, err
	}
	if q.patient, err = record.ParseReference(patient); err != nil {
		return q, id, err
	}
	if q.record, err = record.ParseTag(rec); err != nil {
		return q, id, err
	}
	q.mode, err = record.ParseMode(mode)
	return q, id, err
}

// kindOf gives the kind of a record's version.
func kindOf(s state, patient record.Reference, rec, name record.Tag) (record.Kind, error) {
	key := record.VersionKey(patient, rec, name)
	value, err := s.raw(key)
	if err != nil {
		return 0, err
	}
	v, err := versionAt(key, value)
	return v.Kind, err
}
