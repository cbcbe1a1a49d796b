package contract

import (
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

// state is what rights are decided on. It gives single keys only, so that functions that write may ask it. A transaction
// is one, which sees its own writes.
type state interface {
	// raw gives the value under a key; empty if there is none.
	raw(key string) ([]byte, error)
}

// ledgerState is the state as a query sees it.
type ledgerState struct{ stub shim.ChaincodeStubInterface }

func (s ledgerState) raw(key string) ([]byte, error) { return readState(s.stub, key) }

// find reads a JSON value of a state.
func find[T any](s state, key string) (v T, found bool, err error) {
	value, err := s.raw(key)
	if err != nil {
		return v, false, err
	}
	return decodeState[T](value)
}

// patient gives a registered patient.
func (tx *transaction) patient(r record.Reference) (record.Patient, bool, error) {
	return find[record.Patient](tx, record.PatientKey(r))
}

// actsFor says by which right a participant acts for a patient: as the patient, or as the representative that it gives.
// It is NoBasis for everybody else. That the participant is active is for who asks to check.
//
// A decision that was made under a linked reference (a grant, say) binds here only if who made it may act here: else the
// institution of that reference could give itself this patient's records, by binding the reference to another participant,
// appointing a representative there, or deciding with two of its people.
func actsFor(s state, p record.Patient, id record.ParticipantID, now time.Time,
) (record.Basis, *record.Representative, error) {
	if id.IsZero() {
		return record.NoBasis, nil, nil
	}
	deceased := !p.Deceased.IsZero()
	if !deceased {
		self, err := isPatient(s, p, id)
		if err != nil {
			return record.NoBasis, nil, err
		}
		if self {
			return record.BasisPatient, nil, nil
		}
	}
	for _, r := range p.Representatives {
		executor := r.Authority == record.ExecutorAuthority
		if r.Participant != id || executor != deceased || record.Over(r.Until, now) {
			continue
		}
		same, err := isSame(s, id, p.Reference, r.Rebound)
		if err != nil || !same {
			return record.NoBasis, nil, err
		}
		return record.BasisRepresentative, &r, nil
	}
	return record.NoBasis, nil, nil
}

// isPatient says whether a participant is the patient: as the participant of the reference, or of a linked one, if both
// institutions linked them knowing that participant, and it is theirs still.
func isPatient(s state, p record.Patient, id record.ParticipantID) (bool, error) {
	if p.Participant == id {
		return isSame(s, id, p.Reference, p.Rebound)
	}
	for _, l := range p.Links {
		if l.Participant != id {
			continue
		}
		other, _, err := find[record.Patient](s, record.PatientKey(l.To))
		if err != nil {
			return false, err
		}
		if other.Participant == id && other.Deceased.IsZero() {
			return isSame(s, id, p.Reference, l.Rebound)
		}
	}
	return false, nil
}

// isSame says whether a participant of another institution than the patient's has the key that they had, or followed it by
// rotation, when they were counted. Their own institution may have replaced it since, and so may hold it.
func isSame(s state, id record.ParticipantID, patient record.Reference, rebound int) (bool, error) {
	if id.Institution() == patient.Institution() {
		return true, nil
	}
	p, _, err := find[record.Participant](s, record.ParticipantKey(id))
	return p.Rebound == rebound, err
}
