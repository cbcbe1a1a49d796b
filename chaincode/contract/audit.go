package contract

import (
	"fmt"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Audit is the contract of who did what about a patient, or was refused it. Each function that writes adds its own entries;
// those of reading come by Access.
type Audit struct {
	contractapi.Contract
}

func newAudit() *Audit {
	a := &Audit{}
	a.Name = "audit"
	a.Info.Title = "Accesses, and the audit"
	return a
}

// GetEvaluateTransactions tells contractapi which functions only read.
func (a *Audit) GetEvaluateTransactions() []string {
	return []string{"List", "ListInstitution", "Entry", "Sealed"}
}

// Access decides on attempts to open records, and writes each to its patient's audit (record.Accesses): by the reader, by
// the appliance of the reader's institution, or by that of the patient's. The result is a list of record.Access, in their
// order. One attempt that is not the caller's to bring refuses all.
func (a *Audit) Access(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActAccess, request, access)
}

// List gives a page of a patient's audit, as a record.AuditPage: to the patient, and to their institution's office and
// appliance; to a representative for some records the entries about those. A page may have fewer entries than its size,
// or none, and yet a next page.
//
// Every member's peer holds what the lists give, so that refusing others keeps no secret: it keeps honest clients honest.
func (a *Audit) List(ctx contractapi.TransactionContextInterface, patient string, pageSize int32, bookmark string,
) (string, error) {
	return answer(auditOfPatient(ctx.GetStub(), patient, pageSize, bookmark))
}

// ListInstitution gives a page of the audit of an institution and all its patients, as a record.AuditPage, to its own
// office and appliance.
func (a *Audit) ListInstitution(ctx contractapi.TransactionContextInterface, institution string, pageSize int32,
	bookmark string,
) (string, error) {
	return answer(auditOfInstitution(ctx.GetStub(), institution, pageSize, bookmark))
}

// Entry gives a record.AuditEntry by its patient, its transaction's ID, and its number there.
func (a *Audit) Entry(ctx contractapi.TransactionContextInterface, patient, id string, number int32) (string, error) {
	return answer(entry(ctx.GetStub(), patient, id, number))
}

// Sealed gives the record.SealedNote to a recipient that went with a transaction. Only they can open it.
func (a *Audit) Sealed(ctx contractapi.TransactionContextInterface, id, recipient string) (string, error) {
	return answer(sealedNote(ctx.GetStub(), id, recipient))
}

func access(tx *transaction, q record.Accesses) (any, error) {
	for _, a := range q.Accesses {
		if err := tx.mayReport(a); err != nil {
			return nil, err
		}
	}
	decided := make([]record.Access, 0, len(q.Accesses))
	for _, a := range q.Accesses {
		access, err := tx.attempt(a)
		if err != nil {
			return nil, err
		}
		decided = append(decided, access)
	}
	return decided, nil
}

// mayReport refuses who brings an attempt that is neither theirs nor one at their institution.
func (tx *transaction) mayReport(a record.AccessAttempt) error {
	c := &tx.caller
	holder := c.requireOf(a.Patient.Institution(), record.ApplianceRole)
	switch {
	case holder == nil:
		return nil
	case c.refused != nil:
		return holder
	case c.participant.ID == a.Participant || c.requireOf(a.Participant.Institution(), record.ApplianceRole) == nil:
		return nil
	}
	return record.Errorf(record.Forbidden, "only the reader, or the appliance of their or the patient's institution, brings an "+
		"access")
}

// attempt decides on an access, and adds it to the patient's audit.
func (tx *transaction) attempt(a record.AccessAttempt) (record.Access, error) {
	kind, err := kindOf(tx, a.Patient, a.Record, a.Version)
	if err != nil {
		return record.Access{}, err
	}
	reader, _, err := find[record.Participant](tx, record.ParticipantKey(a.Participant))
	if err != nil {
		return record.Access{}, err
	}
	access, err := checkAccess(tx, question{
		reader: reader, patient: a.Patient, record: a.Record, kind: kind, mode: record.Read, now: tx.now,
	})
	if err != nil {
		return access, err
	}
	tx.audit(record.AuditEntry{
		Patient: a.Patient, Denied: !access.Allowed, Basis: access.Basis, Subject: a.Participant, Record: a.Record,
		About: a.Session, Until: access.Until,
	})
	return access, nil
}

func auditOfPatient(stub shim.ChaincodeStubInterface, patient string, pageSize int32, bookmark string,
) (page record.AuditPage, err error) {
	reference, err := record.ParseReference(patient)
	if err != nil {
		return page, badArgument(err)
	}
	v, err := look(stub, reference)
	if err != nil {
		return page, err
	}
	if !v.sees() {
		return page, errNotYours()
	}
	start, end := record.AuditRange(reference)
	return auditPage(stub, start, end, pageSize, bookmark, v.scope)
}

func auditOfInstitution(stub shim.ChaincodeStubInterface, institution string, pageSize int32, bookmark string,
) (page record.AuditPage, err error) {
	id, err := record.ParseParticipantID(institution)
	if err != nil {
		return page, badArgument(err)
	}
	who, err := identify(stub)
	if err != nil {
		return page, err
	}
	if err := who.requireOf(id.Institution(), record.InstitutionRole, record.StaffRole, record.ApplianceRole); err != nil {
		return page, err
	}
	start, end := record.InstitutionAuditRange(id.Institution())
	return auditPage(stub, start, end, pageSize, bookmark, record.Scope{All: true})
}

// auditPage gives a page of the entries between two keys that are in the scope.
func auditPage(stub shim.ChaincodeStubInterface, start, end string, pageSize int32, bookmark string, scope record.Scope,
) (page record.AuditPage, err error) {
	page.Entries = []record.AuditLine{}
	known := readOnce(ledgerState{stub})
	page.Bookmark, err = eachOfPage(stub, start, end, pageSize, bookmark, func(key string, value []byte) error {
		e, err := record.DecodeAuditEntry(key, value)
		if err != nil || !scope.Covers(e.Record, 0) {
			return err
		}
		line, err := lineOf(known, e)
		page.Entries = append(page.Entries, line)
		return err
	})
	return page, err
}

// stateFunc is a state by the function that reads it.
type stateFunc func(key string) ([]byte, error)

func (f stateFunc) raw(key string) ([]byte, error) { return f(key) }

// readOnce gives a state of which each key is read once: the people of an audit come again and again.
func readOnce(s state) state {
	known := map[string][]byte{}
	return stateFunc(func(key string) ([]byte, error) {
		if value, found := known[key]; found {
			return value, nil
		}
		value, err := s.raw(key)
		if err == nil {
			known[key] = value
		}
		return value, err
	})
}

// lineOf joins to an entry what the ledger knows of its people. A subject may be a team: then it is the institution only.
func lineOf(s state, e record.AuditEntry) (line record.AuditLine, err error) {
	line.AuditEntry = e
	if line.ActorRole, line.ActorInstitution, err = roleAt(s, e.Actor, e.Member); err != nil || e.Subject.IsZero() {
		return line, err
	}
	line.SubjectRole, line.SubjectInstitution, err = roleAt(s, e.Subject, e.Subject.Institution())
	return line, err
}

// roleAt gives a participant's role, and the name of the institution whose prefix it is; empty where nothing is known.
func roleAt(s state, id record.ParticipantID, prefix record.InstitutionPrefix) (record.Role, string, error) {
	p, _, err := find[record.Participant](s, record.ParticipantKey(id))
	if err != nil {
		return "", "", err
	}
	at, _, err := institutionOf(s, prefix)
	if err != nil || at.Institution == nil {
		return p.Role, "", err
	}
	return p.Role, at.Institution.Name, nil
}

func entry(stub shim.ChaincodeStubInterface, patient, id string, number int32) (e record.AuditEntry, err error) {
	reference, err := record.ParseReference(patient)
	if err != nil {
		return e, badArgument(err)
	}
	parsed, err := record.ParseID(id)
	if err != nil {
		return e, badArgument(err)
	}
	if number < 0 || number >= maxEntries {
		return e, record.Errorf(record.BadRequest, "entry %d: a transaction has 0 to %d", number, maxEntries-1)
	}
	key := record.AuditKey(reference, parsed, byte(number))
	value, err := readState(stub, key)
	if err != nil {
		return e, err
	}
	if len(value) == 0 {
		return e, record.Errorf(record.NotFound, "no such audit entry: check patient, ID and number")
	}
	return record.DecodeAuditEntry(key, value)
}

func sealedNote(stub shim.ChaincodeStubInterface, id, recipient string) (note record.SealedNote, err error) {
	parsed, err := record.ParseID(id)
	if err != nil {
		return note, badArgument(err)
	}
	if note.Recipient, err = record.ParseParticipantID(recipient); err != nil {
		return note, badArgument(err)
	}
	note.Ciphertext, err = stub.GetPrivateData(record.MembersCollection, record.SealedKey(parsed, note.Recipient))
	if err != nil {
		return note, fmt.Errorf("read sealed note: %w", err)
	}
	if len(note.Ciphertext) == 0 {
		return note, record.Errorf(record.NotFound, "no such sealed note: check its ID and recipient")
	}
	return note, nil
}
