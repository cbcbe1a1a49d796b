package ledger_test

import (
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// run makes the names of each test process new, for the network outlives it.
var run = rand.Text()

func name(s string) [16]byte {
	sum := sha256.Sum256([]byte(run + s))
	return [16]byte(sum[:16])
}

func tag(s string) record.Tag { return record.Tag(name(s)) }

func content(s string) record.CID {
	sum := sha256.Sum256([]byte(s))
	return record.CID(append([]byte{0x55}, sum[:]...))
}

// version makes a version of a record of a member's patient who is named after the test, with documents that have their
// names' contents.
func version(t *testing.T, mspID, rec string, documents ...string) record.Version {
	who := name(t.Name())
	v := record.Version{
		Patient: record.NewReference(mspID, [10]byte(who[:10])), Record: tag(t.Name() + rec), Kind: record.KindLetter,
		Date: time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC),
	}
	for _, d := range documents {
		v.Documents = append(v.Documents, record.Document{Tag: tag(t.Name() + d), CID: content(t.Name() + d)})
	}
	return v
}

// batch is a version of the test's record.
func batch(t *testing.T, mspID string, documents ...string) record.Batch {
	return record.Batch{Versions: []record.Version{version(t, mspID, "record", documents...)}}
}
