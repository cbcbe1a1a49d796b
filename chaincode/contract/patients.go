package contract

import (
	"slices"
	"time"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Patients is the contract of patients: who signs for a reference, which references are of one person, and who acts for
// them.
type Patients struct {
	contractapi.Contract
}

func newPatients() *Patients {
	p := &Patients{}
	p.Name = "patients"
	p.Info.Title = "Patients, their links and representatives"
	return p
}

// GetEvaluateTransactions tells contractapi which functions only read.
func (p *Patients) GetEvaluateTransactions() []string { return []string{"Patient", "List"} }

// Register makes a patient of the caller's institution, or gives one who has no participant the one who signs for them
// (record.PatientRegistration).
func (p *Patients) Register(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActRegisterPatient, request, registerPatient)
}

// SetDeceased records a patient's death, or takes a wrong record of it back (record.Deceased).
func (p *Patients) SetDeceased(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActDeceased, request, setDeceased)
}

// Link says that two references are of one person (record.Link): the patient of both makes the link at once; institutions
// do one after the other. The result is a record.LinkState.
func (p *Patients) Link(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActLink, request, link)
}

// Unlink ends a link, or a proposal of one (record.Link).
func (p *Patients) Unlink(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActUnlink, request, unlink)
}

// Merge links two references of one institution, by that institution (record.Link).
func (p *Patients) Merge(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActMerge, request, merge)
}

// Represent lets a participant act for a patient (record.Representation). It replaces what the same participant had.
func (p *Patients) Represent(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActRepresent, request, represent)
}

// EndRepresentation ends that (record.RepresentationEnd).
func (p *Patients) EndRepresentation(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActEndRepresentation, request, endRepresentation)
}

// HandOver gives the patient's secret to an appliance of an institution with a link, by the appliance of the patient's
// (record.HandOver). The secret goes with it, as a sealed note to the recipient.
func (p *Patients) HandOver(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActHandOver, request, handOver)
}

// Patient gives a record.Patient by reference.
func (p *Patients) Patient(ctx contractapi.TransactionContextInterface, reference string) (string, error) {
	return answer(patientByText(ctx.GetStub(), reference))
}

// List gives a page of an institution's patients, as a record.PatientPage. Bookmark is empty for the first page.
func (p *Patients) List(ctx contractapi.TransactionContextInterface, institution string, pageSize int32, bookmark string,
) (string, error) {
	return answer(listPatients(ctx.GetStub(), institution, pageSize, bookmark))
}

func registerPatient(tx *transaction, q record.PatientRegistration) (any, error) {
	if err := tx.caller.requireOffice(q.Patient.Institution()); err != nil {
		return nil, err
	}
	p, found, err := tx.patient(q.Patient)
	switch {
	case err != nil:
		return nil, err
	case found && q.Participant.IsZero():
		return nil, record.Errorf(record.Exists, "the patient is registered already")
	case found && !p.Participant.IsZero():
		return nil, record.Errorf(record.Exists, "the patient has a participant: a decision of two people replaces it")
	case !found:
		p = record.Patient{V: record.SchemaVersion, Reference: q.Patient, Since: tx.now}
	}
	if err := tx.name(&p, q.Participant); err != nil {
		return nil, err
	}
	tx.audit(record.AuditEntry{Patient: q.Patient, Basis: record.BasisInstitution, Subject: q.Participant})
	return nil, tx.putPatient(p)
}

// mayStandFor gives a participant who can sign for a patient: of one of the roles, and not suspended. They need not have
// joined yet.
func (tx *transaction) mayStandFor(id record.ParticipantID, roles ...record.Role) (record.Participant, error) {
	p, found, err := load[record.Participant](tx, record.ParticipantKey(id))
	switch {
	case err != nil:
		return p, err
	case !found:
		return p, record.Errorf(record.NotFound, "no such participant: invite them first")
	case !slices.Contains(roles, p.Role):
		return p, record.Errorf(record.BadRequest, "the participant is enrolled as %s: this needs %v", p.Role, roles)
	case p.Status == record.Suspended:
		return p, record.Errorf(record.WrongState, "the participant is suspended: ask their institution")
	}
	return p, nil
}

// name gives a patient the participant who signs for them; the zero ID takes them away.
func (tx *transaction) name(p *record.Patient, id record.ParticipantID) error {
	p.Participant, p.Rebound = id, 0
	if id.IsZero() {
		return nil
	}
	signer, err := tx.mayStandFor(id, record.PatientRole)
	p.Rebound = signer.Rebound
	return err
}

// registered gives a patient, or NotFound.
func (tx *transaction) registered(r record.Reference) (record.Patient, error) {
	p, found, err := tx.patient(r)
	if err == nil && !found {
		err = record.Errorf(record.NotFound, "no such patient: register them first")
	}
	return p, err
}

func (tx *transaction) putPatient(p record.Patient) error {
	return tx.put(record.PatientKey(p.Reference), p)
}

func setDeceased(tx *transaction, q record.Deceased) (any, error) {
	if err := tx.caller.requireOffice(q.Patient.Institution()); err != nil {
		return nil, err
	}
	p, err := tx.registered(q.Patient)
	switch {
	case err != nil:
		return nil, err
	case q.Alive == p.Deceased.IsZero():
		return nil, record.Errorf(record.Exists, "the ledger says so already")
	}
	p.Deceased = tx.now
	if q.Alive {
		p.Deceased = time.Time{}
	}
	tx.audit(record.AuditEntry{Patient: q.Patient, Basis: record.BasisInstitution})
	return nil, tx.putPatient(p)
}

func represent(tx *transaction, q record.Representation) (any, error) {
	if err := tx.caller.requireOffice(q.Patient.Institution()); err != nil {
		return nil, err
	}
	p, err := tx.registered(q.Patient)
	if err != nil {
		return nil, err
	}
	if err := tx.checkRepresentation(p, q); err != nil {
		return nil, err
	}
	who, err := tx.mayStandFor(q.Participant, record.RepresentativeRole, record.PatientRole)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(p.Representatives, func(r record.Representative) bool {
		return r.Participant == q.Participant || record.Over(r.Until, tx.now)
	})
	if len(others) >= record.MaxRepresentatives {
		return nil, record.Errorf(record.WrongState, "the patient has %d representatives: end one first", len(others))
	}
	p.Representatives = append(others, record.Representative{
		Participant: q.Participant, Rebound: who.Rebound, Authority: q.Authority, Evidence: q.Evidence, Since: tx.now,
		Until: q.Until, Scope: q.Scope,
	})
	tx.audit(record.AuditEntry{
		Patient: q.Patient, Basis: record.BasisInstitution, Subject: q.Participant, Until: q.Until,
	})
	return nil, tx.putPatient(p)
}

func (tx *transaction) checkRepresentation(p record.Patient, q record.Representation) error {
	executor, deceased := q.Authority == record.ExecutorAuthority, !p.Deceased.IsZero()
	switch {
	case q.Participant == p.Participant:
		return record.Errorf(record.BadRequest, "the participant is the patient: they act for themselves")
	case record.Over(q.Until, tx.now) || q.Until.After(tx.now.AddDate(record.MaxRepresentationYears, 0, 0)):
		return record.Errorf(record.BadRequest, "the authority is over, or lasts more than %d years: give another end",
			record.MaxRepresentationYears)
	case deceased && !executor:
		return record.Errorf(record.WrongState, "the patient is deceased: only an executor may act for them")
	case executor && !deceased:
		return record.Errorf(record.WrongState, "an executor acts for a deceased patient: record the death first")
	}
	return tx.requireDocument(q.Evidence)
}

// requireDocument refuses a document that is not on the ledger, or not any more.
func (tx *transaction) requireDocument(t record.Tag) error {
	value, err := tx.raw(record.DocumentKey(t))
	if err != nil {
		return err
	}
	if len(value) == 0 {
		return record.Errorf(record.NotFound, "the document that is to show it is not on the ledger: anchor it first")
	}
	d, err := record.DecodeDocument(value)
	if err == nil && d.Erased() {
		err = record.Errorf(record.WrongState, "the document that is to show it was erased: anchor another")
	}
	return err
}

func endRepresentation(tx *transaction, q record.RepresentationEnd) (any, error) {
	p, _, err := tx.patient(q.Patient)
	if err != nil {
		return nil, err
	}
	represents := func(r record.Representative) bool { return r.Participant == q.Participant }
	found := slices.ContainsFunc(p.Representatives, represents)
	basis, err := tx.mayEndRepresentation(p, q, found)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, record.Errorf(record.NotFound, "the participant does not represent the patient")
	}
	p.Representatives = slices.DeleteFunc(p.Representatives, represents)
	tx.audit(record.AuditEntry{Patient: q.Patient, Basis: basis, Subject: q.Participant})
	return nil, tx.putPatient(p)
}

// mayEndRepresentation says by which right the caller ends a representation: as the patient, as the representative, or for
// the institution.
func (tx *transaction) mayEndRepresentation(p record.Patient, q record.RepresentationEnd, found bool,
) (record.Basis, error) {
	c := &tx.caller
	if err := c.require(record.PatientRole, record.RepresentativeRole); err != nil {
		return record.BasisInstitution, c.requireOffice(q.Patient.Institution())
	}
	if found && c.participant.ID == q.Participant {
		return record.BasisRepresentative, nil
	}
	basis, _, err := actsFor(tx, p, c.participant.ID, tx.now)
	if err == nil && basis != record.BasisPatient {
		err = record.Errorf(record.Forbidden, "only the patient, the representative or the institution's office ends this")
	}
	return basis, err
}

func patientByText(stub shim.ChaincodeStubInterface, text string) (record.Patient, error) {
	reference, err := record.ParseReference(text)
	if err != nil {
		return record.Patient{}, badArgument(err)
	}
	p, found, err := loadState[record.Patient](stub, record.PatientKey(reference))
	if err == nil && !found {
		err = record.Errorf(record.NotFound, "no such patient: check the reference")
	}
	return p, err
}

func listPatients(stub shim.ChaincodeStubInterface, institution string, pageSize int32, bookmark string,
) (record.PatientPage, error) {
	id, err := record.ParseParticipantID(institution)
	if err != nil {
		return record.PatientPage{}, badArgument(err)
	}
	start, end := record.PatientsRange(id.Institution())
	page := record.PatientPage{Patients: []record.Patient{}}
	page.Bookmark, err = eachOfPage(stub, start, end, pageSize, bookmark, func(_ string, value []byte) error {
		p, _, err := decodeState[record.Patient](value)
		page.Patients = append(page.Patients, p)
		return err
	})
	return page, err
}
