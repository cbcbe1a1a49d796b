package document

import (
	"context"
	"errors"
	"io"

	"github.com/medanchor/medanchor/chaincode/record"
)

// ErrChanged says that a source file changed while it was read, so that nothing was taken: it is offered again once it
// is stable.
var ErrChanged = errors.New("the file changed while it was read")

// ErrGrowing says that a source ends early, and that the rest may still come: nothing was taken, and it is offered again.
var ErrGrowing = errors.New("the file ends early: it waits for the rest")

// ErrNoRoom says that the disk is at its reserve: nothing is taken until there is room.
var ErrNoRoom = errors.New("the disk is at its reserve")

// Delivery is one file handed over at a door.
type Delivery struct {
	Claim Claim
	// Growing says that the source may still grow: what ends early is handed back with ErrGrowing.
	Growing bool
	// Accepts are the formats that the door's rule takes; nil for all. Another is ReasonNotAccepted.
	Accepts []Format
	// Issuer is that of the identifiers which name none, at this door; empty for the hospital's (PatientRules).
	Issuer string
	// Department and From are for Item.
	Department string
	From       string
	// Patient is whose the file is by the door's rule; the zero value if the rule cannot tell. A DICOM header, where
	// there is one, decides instead.
	Patient PatientID
	// Kind is the record kind that the door's rule gives to what is not DICOM.
	Kind record.Kind
	Door Door
}

// Door is where deliveries come from. Its methods may be called from several goroutines at once.
type Door interface {
	// Open opens the claimed source for reading. ErrChanged if it is no longer what was claimed.
	Open(c Claim) (File, error)
	// Acknowledge is called once the deliveries are durable; the door disposes of their sources by its policy. Gone are
	// those whose source cannot be delivered again: their claims may be forgotten. It is safe to repeat after a crash.
	Acknowledge(ctx context.Context, claims []Claim) (gone []Claim, err error)
	// Release hands a delivery back that was not taken, with the reason; the door offers it again later.
	Release(c Claim, reason error)
}

// File is an open source.
type File interface {
	io.ReaderAt
	io.Closer
	// Unchanged returns ErrChanged if the source is no longer what was claimed.
	Unchanged() error
}

// Receipt says where an item's document stands on the ledger.
type Receipt struct {
	ID     ItemID
	State  State  // Anchored, or Quarantined where the ledger does not take it
	Reason Reason // with Quarantined
	TxID   string // hexadecimal
	Block  uint64
	Time   int64 // the transaction's timestamp, Unix milliseconds
}
