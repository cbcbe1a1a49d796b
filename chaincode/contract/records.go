package contract

import (
	"fmt"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-contract-api-go/v2/contractapi"
	"github.com/hyperledger/fabric-protos-go-apiv2/ledger/queryresult"

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
	return []string{"Document", "Record", "Versions", "List", "Anchoring"}
}

// Document gives a document and the anchoring that brought it, as a record.AnchoredDocument.
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

// Record gives all versions of a record with their documents, by number, as a list of record.AnchoredVersion.
func (r *Records) Record(ctx contractapi.TransactionContextInterface, patient, rec string) (string, error) {
	return answer(fullVersions(ctx.GetStub(), patient, rec))
}

// Versions gives all versions of a record without their documents, by number, as a list of record.VersionSummary. Of a
// record that is not there it gives none.
func (r *Records) Versions(ctx contractapi.TransactionContextInterface, patient, rec string) (string, error) {
	return answer(versions(ctx.GetStub(), patient, rec))
}

// List gives a page of the versions of all of a patient's records, as a record.Page. Bookmark is empty for the first
// page.
func (r *Records) List(ctx contractapi.TransactionContextInterface, patient string, pageSize int32,
	bookmark string,
) (string, error) {
	return answer(list(ctx.GetStub(), patient, pageSize, bookmark))
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
	entries, err := recordEntries(stub, patient, rec)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, record.Errorf(record.NotFound, "no such record: check patient and record")
	}
	var keys []string
	for _, e := range entries {
		for _, tag := range e.stored.Documents {
			keys = append(keys, record.DocumentKey(tag))
		}
	}
	values, err := readStates(stub, keys)
	if err != nil {
		return nil, err
	}
	full := make([]record.AnchoredVersion, 0, len(entries))
	for _, e := range entries {
		v := record.AnchoredVersion{Version: e.version, Anchoring: e.stored.Anchoring}
		for _, tag := range e.stored.Documents {
			d, err := record.DecodeDocument(values[0])
			if err != nil {
				return nil, err
			}
			values = values[1:]
			v.Documents = append(v.Documents, record.Document{Tag: tag, CID: d.CID, VariantOf: d.VariantOf})
		}
		full = append(full, v)
	}
	return full, nil
}

func versions(stub shim.ChaincodeStubInterface, patient, rec string) ([]record.VersionSummary, error) {
	entries, err := recordEntries(stub, patient, rec)
	if err != nil {
		return nil, err
	}
	summaries := make([]record.VersionSummary, 0, len(entries))
	for _, e := range entries {
		summaries = append(summaries, e.summary())
	}
	return summaries, nil
}

func list(stub shim.ChaincodeStubInterface, patient string, pageSize int32, bookmark string) (record.Page, error) {
	reference, err := record.ParseReference(patient)
	if err != nil {
		return record.Page{}, badArgument(err)
	}
	if pageSize < 1 || pageSize > record.MaxPageSize {
		return record.Page{}, record.Errorf(record.BadRequest, "page of %d versions: ask for 1 to %d", pageSize,
			record.MaxPageSize)
	}
	start, end := record.PatientRange(reference)
	if bookmark != "" && (bookmark < start || bookmark >= end) {
		return record.Page{}, record.Errorf(record.BadRequest, "bookmark of another patient: start from the first page")
	}
	entries, meta, err := stub.GetStateByRangeWithPagination(start, end, pageSize, bookmark)
	if err != nil {
		return record.Page{}, fmt.Errorf("list versions: %w", err)
	}
	page := record.Page{Versions: []record.VersionSummary{}, Bookmark: meta.GetBookmark()}
	err = each(entries, func(e entry) { page.Versions = append(page.Versions, e.summary()) })
	return page, err
}

// entry is one version as it stands on the ledger: what its key says, and its value.
type entry struct {
	version record.Version // without documents
	stored  record.StoredVersion
}

func (e entry) summary() record.VersionSummary {
	return record.VersionSummary{
		Record:    e.version.Record,
		Number:    e.version.Number,
		Kind:      e.version.Kind,
		Time:      e.version.Time,
		Anchoring: e.stored.Anchoring,
		Documents: len(e.stored.Documents),
	}
}

// recordEntries reads all versions of a record, by number.
func recordEntries(stub shim.ChaincodeStubInterface, patient, rec string) ([]entry, error) {
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
	var entries []entry
	err = each(found, func(e entry) { entries = append(entries, e) })
	return entries, err
}

// each reads the versions of a range to its end, and closes it.
func each(found shim.StateQueryIteratorInterface, take func(entry)) (err error) {
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
		e, err := parseEntry(kv)
		if err != nil {
			return err
		}
		take(e)
	}
	return nil
}

func parseEntry(kv *queryresult.KV) (entry, error) {
	patient, rec, number, err := record.ParseVersionKey(kv.GetKey())
	if err != nil {
		return entry{}, err
	}
	stored, err := record.DecodeVersion(kv.GetValue())
	if err != nil {
		return entry{}, err
	}
	return entry{
		version: record.Version{Patient: patient, Record: rec, Number: number, Kind: stored.Kind, Time: stored.Time},
		stored:  stored,
	}, nil
}

func badArgument(err error) error { return record.Errorf(record.BadRequest, "%v", err) }
