package contract

import (
	"fmt"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"

	"github.com/medanchor/medanchor/chaincode/record"
)

const recordsName = "records"

// Records is the contract of documents, records and their anchorings. Its functions are queries, open to every member
// of the channel: what they give is pseudonymous, and every member's peer holds it anyway. Anchoring, which writes, is
// the function anchor. Arguments are the text forms of package record, answers its types in JSON.
type Records struct {
	contractapi.Contract
}

func newRecords() *Records {
	r := &Records{}
	r.Name = recordsName
	r.Info.Title = "Documents, records and their anchorings"
	return r
}

// GetEvaluateTransactions tells contractapi which functions only read.
func (r *Records) GetEvaluateTransactions() []string {
	return []string{"Document", "Record", "List", "ListInstitution", "Anchoring", "Status"}
}

// Document gives a document and the anchoring that brought it, or the tombstone of one that was erased, as a
// record.AnchoredDocument.
func (r *Records) Document(ctx contractapi.TransactionContextInterface, tag string) (string, error) {
	return answer(document(ctx.GetStub(), tag))
}

// Anchoring gives an anchoring by its ID, as a record.Anchoring.
func (r *Records) Anchoring(ctx contractapi.TransactionContextInterface, id string) (string, error) {
	parsed, err := record.ParseAnchoringID(id)
	if err != nil {
		return "", badArgument(err)
	}
	return answer(anchoringOf(ctx.GetStub(), parsed))
}

// Record gives all versions of a record with their documents, as a list of record.AnchoredVersion. Of an erased document
// there is the tag only. The order of the list says nothing: that of the versions is that of their anchorings on the chain.
func (r *Records) Record(ctx contractapi.TransactionContextInterface, patient, rec string) (string, error) {
	return answer(fullVersions(ctx.GetStub(), patient, rec))
}

// List gives a page of the versions of all of a patient's records, as a record.Page. Bookmark is empty for the first
// page.
func (r *Records) List(ctx contractapi.TransactionContextInterface, patient string, pageSize int32,
	bookmark string,
) (string, error) {
	reference, err := record.ParseReference(patient)
	if err != nil {
		return "", badArgument(err)
	}
	start, end := record.PatientRange(reference)
	return answer(list(ctx.GetStub(), start, end, pageSize, bookmark))
}

// ListInstitution gives a page of the versions of all records of an institution's patients, as a record.Page. The
// institution is named by its participant ID, or by its prefix.
func (r *Records) ListInstitution(ctx contractapi.TransactionContextInterface, institution string, pageSize int32,
	bookmark string,
) (string, error) {
	prefix, err := record.ParseInstitutionPrefix(institution)
	if id, notID := record.ParseParticipantID(institution); notID == nil {
		prefix, err = id.Institution(), nil
	}
	if err != nil {
		return "", badArgument(err)
	}
	start, end := record.InstitutionRange(prefix)
	return answer(list(ctx.GetStub(), start, end, pageSize, bookmark))
}

func document(stub shim.ChaincodeStubInterface, text string) (record.AnchoredDocument, error) {
	tag, err := record.ParseTag(text)
	if err != nil {
		return record.AnchoredDocument{}, badArgument(err)
	}
	value, err := stub.GetState(record.DocumentKey(tag))
	if err != nil {
		return record.AnchoredDocument{}, fmt.Errorf("read document: %w", err)
	}
	if len(value) == 0 {
		return record.AnchoredDocument{}, record.Errorf(record.NotFound, "no such document: check the tag")
	}
	stored, err := record.DecodeDocument(value)
	if err != nil {
		return record.AnchoredDocument{}, err
	}
	if stored.Erased() {
		return record.AnchoredDocument{Document: record.Document{Tag: tag}, Erased: &stored.Tombstone}, nil
	}
	anchoring, err := anchoringOf(stub, stored.Anchoring)
	if err != nil {
		return record.AnchoredDocument{}, err
	}
	return record.AnchoredDocument{
		Document:  record.Document{Tag: tag, CID: stored.CID, VariantOf: stored.VariantOf},
		Anchoring: anchoring,
	}, nil
}

func anchoringOf(stub shim.ChaincodeStubInterface, id record.AnchoringID) (record.Anchoring, error) {
	value, err := stub.GetState(record.AnchoringKey(id))
	if err != nil {
		return record.Anchoring{}, fmt.Errorf("read anchoring: %w", err)
	}
	if len(value) == 0 {
		return record.Anchoring{}, record.Errorf(record.NotFound, "no such anchoring: check its ID")
	}
	return record.DecodeAnchoring(value)
}

func fullVersions(stub shim.ChaincodeStubInterface, patient, rec string) ([]record.AnchoredVersion, error) {
	versions, err := versionsOf(stub, patient, rec)
	if err != nil {
		return nil, err
	}
	if len(versions) == 0 {
		return nil, record.Errorf(record.NotFound, "no such record: check patient and record")
	}
	var keys []string
	for _, v := range versions {
		for _, d := range v.Documents {
			keys = append(keys, record.DocumentKey(d.Tag))
		}
	}
	values, err := readStates(stub, keys)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		for i := range v.Documents {
			stored, err := record.DecodeDocument(values[0])
			if err != nil {
				return nil, err
			}
			values = values[1:]
			v.Documents[i].CID, v.Documents[i].VariantOf = stored.CID, stored.VariantOf
		}
	}
	return versions, nil
}

// versionAt reads what stands under a version's key. NotFound if nothing does.
func versionAt(key string, value []byte) (record.AnchoredVersion, error) {
	if len(value) > 0 {
		return record.DecodeVersion(key, value)
	}
	_, _, name, err := record.ParseVersionKey(key)
	if err == nil {
		err = record.Errorf(record.NotFound, "the record has no version %s: check its name", name)
	}
	return record.AnchoredVersion{}, err
}

// list gives a page of the versions between two keys.
func list(stub shim.ChaincodeStubInterface, start, end string, pageSize int32, bookmark string) (record.Page, error) {
	if pageSize < 1 || pageSize > record.MaxPageSize {
		return record.Page{}, record.Errorf(record.BadRequest, "page of %d versions: ask for 1 to %d", pageSize,
			record.MaxPageSize)
	}
	if bookmark != "" && (bookmark < start || bookmark >= end) {
		return record.Page{}, record.Errorf(record.BadRequest, "bookmark of another list: start from the first page")
	}
	found, meta, err := stub.GetStateByRangeWithPagination(start, end, pageSize, bookmark)
	if err != nil {
		return record.Page{}, fmt.Errorf("list versions: %w", err)
	}
	page := record.Page{Versions: []record.VersionSummary{}, Bookmark: meta.GetBookmark()}
	err = each(found, func(v record.AnchoredVersion) { page.Versions = append(page.Versions, v.Summary()) })
	return page, err
}

// versionsOf reads all versions of a record; their documents have nothing but their tags.
func versionsOf(stub shim.ChaincodeStubInterface, patient, rec string) ([]record.AnchoredVersion, error) {
	reference, err := record.ParseReference(patient)
	if err != nil {
		return nil, badArgument(err)
	}
	tag, err := record.ParseTag(rec)
	if err != nil {
		return nil, badArgument(err)
	}
	start, end := record.RecordRange(reference, tag)
	found, err := stub.GetStateByRange(start, end)
	if err != nil {
		return nil, fmt.Errorf("list versions of record: %w", err)
	}
	var versions []record.AnchoredVersion
	err = each(found, func(v record.AnchoredVersion) { versions = append(versions, v) })
	return versions, err
}

// each reads the versions of a range to its end, and closes it.
func each(found shim.StateQueryIteratorInterface, take func(record.AnchoredVersion)) (err error) {
	defer func() {
		if closeErr := found.Close(); err == nil {
			err = closeErr
		}
	}()
	for found.HasNext() {
		kv, err := found.Next()
		if err != nil {
			return fmt.Errorf("read next version: %w", err)
		}
		v, err := record.DecodeVersion(kv.GetKey(), kv.GetValue())
		if err != nil {
			return err
		}
		take(v)
	}
	return nil
}

func badArgument(err error) error { return record.Errorf(record.BadRequest, "%v", err) }
