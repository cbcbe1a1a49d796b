package document

import (
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Study is a record of images while its instances arrive. Open, it takes them in; stable, no more are expected, and those that
// come all the same join it late.
type Study struct {
	Name  record.RecordName `json:"name"`
	First time.Time         `json:"first"` // reception of the first instance, and of the last
	Last  time.Time         `json:"last"`
	// Instances is how many documents it has, without variants; Expected how many its sender says that there are, 0 if it does
	// not say; Waiting how many are not on the ledger yet.
	Instances int `json:"instances"`
	Expected  int `json:"expected,omitempty"`
	Waiting   int `json:"waiting,omitempty"`
	Late      int `json:"late,omitempty"`
	// Stable is since when this hospital expects no more; zero while it is open.
	Stable time.Time `json:"stable,omitzero"`
}

// Complete says that all instances are here which the sender speaks of.
func (s Study) Complete() bool { return s.Expected > 0 && s.Instances >= s.Expected }

// Quiet is how long nothing has come, by a clock that may have been moved meanwhile, either way.
func (s Study) Quiet(now time.Time) time.Duration { return now.Sub(s.Last).Abs() }
