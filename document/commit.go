package document

import (
	"slices"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Commit is what one group commit makes durable, in one transaction of state.db.
type Commit struct {
	// Root is the pin root of the group's blocks; zero if it stored none.
	Root    record.CID
	Entries []Entry
	// Forget are claims whose sources are gone.
	Forget []Claim
}

// Entry is one item of a Commit: Queued, Duplicate or Quarantined.
type Entry struct {
	Item  Item
	Claim Claim
	// Header is the age header of the sealed payload; nil for duplicates.
	Header []byte
}

// Submission is the ledger transaction in flight: journalled before it is sent, so that its items are shown as
// submitted, with its ID, also after a crash.
type Submission struct {
	TxID  string   `json:"tx_id"` // hexadecimal
	Items []ItemID `json:"items"`
}

// Has says whether the item is in the submission.
func (s Submission) Has(id ItemID) bool { return slices.Contains(s.Items, id) }
