package contract_test

import (
	"testing"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

// FuzzInvoke calls every function with arguments and batches that nobody meant: nothing panics, and nothing but a valid
// batch writes.
func FuzzInvoke(f *testing.F) {
	patient, study := reference("p").String(), tag("study").String()
	batch := transient(f, version("p", "study", 1, "a"))[record.BatchField]
	f.Add(record.AnchorFunction, "", "", "", batch)
	f.Add(record.DocumentFunction, tag("a").String(), "", "", []byte(nil))
	f.Add(record.RecordFunction, patient, study, "", []byte(nil))
	f.Add(record.VersionsFunction, patient, study, "", []byte(nil))
	f.Add(record.ListFunction, patient, "10", "R"+patient, []byte(nil))
	f.Add(record.AnchoringFunction, "AAAAAAAAAAA", "", "", []byte(nil))
	who := appliance(f)
	l := newLedger(f)
	l.commit(l.endorse(who, transient(f, version("p", "study", 1, "a", "b")), record.AnchorFunction))
	arity := map[string]int{
		record.AnchorFunction: 0, record.DocumentFunction: 1, record.RecordFunction: 2, record.VersionsFunction: 2,
		record.ListFunction: 3, record.AnchoringFunction: 1,
	}
	f.Fuzz(func(t *testing.T, function, a, b, c string, batch []byte) {
		arguments := []string{a, b, c}
		if n, known := arity[function]; known {
			arguments = arguments[:n]
		}
		tx := l.endorse(who, map[string][]byte{record.BatchField: batch}, append([]string{function}, arguments...)...)
		if tx.response.GetStatus() != shim.OK && tx.response.GetMessage() == "" {
			t.Error("a refusal without a reason")
		}
		if _, err := record.DecodeBatch(batch); len(tx.writes) > 0 && (err != nil || function != record.AnchorFunction) {
			t.Errorf("%s writes %d keys: %v", function, len(tx.writes), err)
		}
	})
}
