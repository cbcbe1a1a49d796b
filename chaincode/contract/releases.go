package contract

import (
	"fmt"
	"slices"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Releases is the contract of file keys that custodians give to readers. A custodian is an institution that holds documents;
// its appliance seals their keys to somebody who has a right to read them.
type Releases struct {
	contractapi.Contract
}

func newReleases() *Releases {
	r := &Releases{}
	r.Name = "releases"
	r.Info.Title = "File keys that custodians give to readers"
	return r
}

// GetEvaluateTransactions tells contractapi which functions only read.
func (r *Releases) GetEvaluateTransactions() []string { return []string{"List", "Sealed"} }

// Release gives a reader the keys of documents that the caller's institution holds (record.Release), with a packed
// record.SealedRelease as transient data under record.ReleaseField.
func (r *Releases) Release(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActRelease, request, release)
}

// End takes releases of the caller's institution from the ledger, and purges what was sealed (record.ReleaseEnd).
func (r *Releases) End(ctx contractapi.TransactionContextInterface, request string) (string, error) {
	return act(ctx, record.ActEndRelease, request, endReleases)
}

// List gives a page of the releases of a patient's records to a recipient, as a record.ReleasePage; of those to anybody, if
// the recipient is empty. Bookmark is empty for the first page.
func (r *Releases) List(ctx contractapi.TransactionContextInterface, patient, recipient string, pageSize int32,
	bookmark string,
) (string, error) {
	return answer(releasePage(ctx.GetStub(), patient, recipient, pageSize, bookmark))
}

// Sealed gives a packed record.SealedRelease, in base64. Only the recipient can open it.
func (r *Releases) Sealed(ctx contractapi.TransactionContextInterface, patient, recipient, id string) (string, error) {
	return answer(sealedRelease(ctx.GetStub(), patient, recipient, id))
}

func release(tx *transaction, q record.Release) (any, error) {
	if err := tx.caller.require(record.ApplianceRole); err != nil {
		return nil, err
	}
	sealed, err := tx.transientRelease()
	if err != nil {
		return nil, err
	}
	reader, err := tx.recipient(q)
	if err != nil {
		return nil, err
	}
	kinds, err := tx.kindsOf(q.Patient, sealed.Versions)
	if err != nil {
		return nil, err
	}
	if err := tx.requireHeld(sealed); err != nil {
		return nil, err
	}
	rights, err := tx.rightsTo(q, reader, sealed.Versions, kinds)
	if err != nil {
		return nil, err
	}
	return nil, tx.keepRelease(q, sealed, rights)
}

func (tx *transaction) transientRelease() (record.SealedRelease, error) {
	transient, err := tx.stub.GetTransient()
	if err != nil {
		return record.SealedRelease{}, fmt.Errorf("read transient data: %w", err)
	}
	wire, found := transient[record.ReleaseField]
	if !found {
		return record.SealedRelease{}, record.Errorf(record.BadRequest, "no sealed keys: send them as transient data under %q",
			record.ReleaseField)
	}
	return record.DecodeSealedRelease(wire)
}

// recipient gives who is to have the keys, and refuses what they could not open.
func (tx *transaction) recipient(q record.Release) (record.Participant, error) {
	p, found, err := load[record.Participant](tx, record.ParticipantKey(q.Recipient))
	switch {
	case err != nil:
		return p, err
	case !found:
		return p, record.Errorf(record.NotFound, "no such participant: check the recipient's ID")
	case p.Status != record.Active:
		return p, record.Errorf(record.WrongState, "the recipient is %s", p.Status)
	case len(p.EncryptionKey) == 0 || record.KeyIDOf(p.EncryptionKey) != q.Key:
		return p, record.Errorf(record.WrongState, "the recipient has another encryption key now: seal again")
	}
	return p, nil
}

// kindsOf gives the kind of each version, and refuses those that the patient's records do not have, and documents that they
// did not bring.
func (tx *transaction) kindsOf(patient record.Reference, versions []record.ReleasedVersion) ([]record.Kind, error) {
	keys := make([]string, 0, len(versions))
	for _, v := range versions {
		keys = append(keys, record.VersionKey(patient, v.Record, v.Version))
	}
	values, err := readStates(tx.stub, keys)
	if err != nil {
		return nil, err
	}
	kinds := make([]record.Kind, 0, len(versions))
	for i, v := range versions {
		stored, err := versionAt(keys[i], values[i])
		if err != nil {
			return nil, err
		}
		for _, d := range v.Documents {
			if err := requireBrought(stored, d.Tag); err != nil {
				return nil, err
			}
		}
		kinds = append(kinds, stored.Kind)
	}
	return kinds, nil
}

// requireHeld refuses documents of which the caller's institution has no payload of its own: it anchored neither that one, nor
// holds it as its copy.
func (tx *transaction) requireHeld(sealed record.SealedRelease) error {
	documents := make([]record.Document, 0, sealed.Documents())
	for _, v := range sealed.Versions {
		for _, d := range v.Documents {
			documents = append(documents, record.Document{Tag: d.Tag, CID: d.CID})
		}
	}
	outcomes, err := compare(tx.stub, tx.caller.mspID, documents)
	if err != nil {
		return err
	}
	for i, o := range outcomes {
		switch o {
		case record.Existing:
		case record.Erased:
			return record.Errorf(record.WrongState, "the document %s was erased", documents[i].Tag)
		case record.Created, record.Conflict:
			return record.Errorf(record.Forbidden, "your institution does not hold the document %s with this CID",
				documents[i].Tag)
		}
	}
	return nil
}

// rightTo is the recipient's right to one record.
type rightTo struct {
	record record.Tag
	record.Access
}

// rightsTo gives the recipient's right to each record, and refuses the release if they have none to one of them. It is asked for
// each kind that a record's versions have. All follow the one grant, or none, and end together: it is sealed for that.
func (tx *transaction) rightsTo(q record.Release, reader record.Participant, versions []record.ReleasedVersion,
	kinds []record.Kind,
) (rights []rightTo, err error) {
	type asked struct {
		record record.Tag
		kind   record.Kind
	}
	var done []asked
	s := readOnce(tx)
	for i, v := range versions {
		one := asked{v.Record, kinds[i]}
		if slices.Contains(done, one) {
			continue
		}
		done = append(done, one)
		access, err := checkAccess(s, question{
			reader: reader, patient: q.Patient, record: v.Record, kind: kinds[i], mode: record.Read, now: tx.now,
			custodian: tx.caller.institution.Institution(),
		})
		switch {
		case err != nil:
			return nil, err
		case !access.Allowed:
			return nil, record.Errorf(record.Forbidden, "the recipient may not read the record %s: %s", v.Record,
				access.Reason.Explain())
		case access.Grant != q.Grant || !access.Until.Equal(q.Until):
			return nil, record.Errorf(record.WrongState, "the right to the record %s is another now: seal again for that one",
				v.Record)
		}
		if !slices.ContainsFunc(rights, func(r rightTo) bool { return r.record == v.Record }) {
			rights = append(rights, rightTo{v.Record, access})
		}
	}
	return rights, nil
}

// keepRelease writes a release, and an audit entry of each record.
func (tx *transaction) keepRelease(q record.Release, sealed record.SealedRelease, rights []rightTo) error {
	stored := record.StoredRelease{
		Institution: tx.caller.institution.Institution(), Grant: q.Grant, Key: q.Key, Until: q.Until,
	}
	for _, v := range sealed.Versions {
		for _, d := range v.Documents {
			stored.Documents = append(stored.Documents, d.Tag)
		}
	}
	for _, r := range rights {
		tx.audit(record.AuditEntry{
			Patient: q.Patient, Basis: r.Basis, Subject: q.Recipient, Record: r.record, About: r.Grant, Until: r.Until,
		})
	}
	key := record.ReleaseKey(q.Patient, q.Recipient, tx.id)
	if err := requireNone(tx.stub, []string{key}); err != nil {
		return err
	}
	tx.writes = append(tx.writes, pending{key: key, value: stored.Encode()})
	return tx.putPrivate(key, sealed.Encode())
}

// endReleases ends releases, whatever became of the right that they followed. Those that are not there any more are passed
// over: who ends may ask again.
func endReleases(tx *transaction, q record.ReleaseEnd) (any, error) {
	if err := tx.caller.require(record.ApplianceRole); err != nil {
		return nil, err
	}
	for _, r := range q.Releases {
		key := record.ReleaseKey(q.Patient, r.Recipient, r.ID)
		value, err := tx.raw(key)
		if err != nil {
			return nil, err
		}
		if len(value) == 0 {
			continue
		}
		stored, err := record.DecodeRelease(value)
		if err != nil {
			return nil, err
		}
		if stored.Institution != tx.caller.institution.Institution() {
			return nil, record.Errorf(record.Forbidden, "another institution made the release %s: only that one ends it", r.ID)
		}
		tx.writes = append(tx.writes, pending{key: key}, pending{key: key, private: true})
		tx.audit(record.AuditEntry{
			Patient: q.Patient, Basis: record.BasisAppliance, Subject: r.Recipient, About: stored.Grant,
		})
	}
	return nil, nil
}

func releasePage(stub shim.ChaincodeStubInterface, patient, recipient string, pageSize int32, bookmark string,
) (page record.ReleasePage, err error) {
	start, end, err := releaseRange(patient, recipient)
	if err != nil {
		return page, badArgument(err)
	}
	page.Releases = []record.ListedRelease{}
	known := readOnce(ledgerState{stub})
	page.Bookmark, err = eachOfPage(stub, start, end, pageSize, bookmark, func(key string, value []byte) error {
		listed, err := listedRelease(known, key, value)
		page.Releases = append(page.Releases, listed)
		return err
	})
	return page, err
}

// releaseRange bounds the keys of the releases to a recipient; of all of a patient's, if it is empty.
func releaseRange(patient, recipient string) (start, end string, err error) {
	reference, err := record.ParseReference(patient)
	if err != nil {
		return "", "", err
	}
	if recipient == "" {
		start, end = record.PatientReleaseRange(reference)
		return start, end, nil
	}
	id, err := record.ParseParticipantID(recipient)
	if err != nil {
		return "", "", err
	}
	start, end = record.ReleaseRange(reference, id)
	return start, end, nil
}

func listedRelease(s state, key string, value []byte) (listed record.ListedRelease, err error) {
	if listed.Patient, listed.Recipient, listed.ID, err = record.ParseReleaseKey(key); err != nil {
		return listed, err
	}
	stored, err := record.DecodeRelease(value)
	if err != nil {
		return listed, err
	}
	by, _, err := institutionOf(s, stored.Institution)
	listed.Institution, listed.Grant, listed.Key = by.ID, stored.Grant, stored.Key
	listed.Until, listed.Documents = stored.Until, stored.Documents
	return listed, err
}

func sealedRelease(stub shim.ChaincodeStubInterface, patient, recipient, id string) ([]byte, error) {
	reference, err := record.ParseReference(patient)
	if err != nil {
		return nil, badArgument(err)
	}
	to, err := record.ParseParticipantID(recipient)
	if err != nil {
		return nil, badArgument(err)
	}
	parsed, err := record.ParseID(id)
	if err != nil {
		return nil, badArgument(err)
	}
	wire, err := stub.GetPrivateData(record.MembersCollection, record.ReleaseKey(reference, to, parsed))
	if err != nil {
		return nil, fmt.Errorf("read sealed release: %w", err)
	}
	if len(wire) == 0 {
		return nil, record.Errorf(record.NotFound, "no such release: check its names, or it was ended")
	}
	return wire, nil
}
