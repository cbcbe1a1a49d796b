package reading

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// The sentinels that cross HTTP.
var (
	ErrLogin      = errors.New("not logged in")
	ErrDenied     = errors.New("denied")
	ErrNotFound   = errors.New("not found")
	ErrBadRequest = errors.New("bad request")
	// ErrAway says that the ledger cannot be asked now.
	ErrAway = errors.New("the ledger cannot be asked now")
	// ErrUnavailable says that no holder of a document could be reached, or none has it undamaged.
	ErrUnavailable = errors.New("no holder of the document can give it now")
)

// Ledger is the channel, as readings use it.
type Ledger interface {
	// Access has attempts decided by the contract, and gives the audit entry of each, in their order, as it stands in the
	// block that this hospital's peer committed. ErrAway if that cannot be had now.
	Access(ctx context.Context, attempts []record.AccessAttempt) ([]record.Access, error)
	// CheckAccess decides without a trace. ErrAway if the ledger cannot be asked now.
	CheckAccess(ctx context.Context, reader record.ParticipantID, name record.RecordName, version record.Tag,
	) (record.Access, error)
	// LateEmergency records an emergency that was; ErrAway if that cannot be done now. To repeat it does no harm.
	LateEmergency(ctx context.Context, e document.Emergency) error
}

// Index is the local read model of the channel.
type Index interface {
	// Participant gives a participant; found is false for an unknown one.
	Participant(id record.ParticipantID) (p record.Participant, found bool, err error)
	// Versions gives a record's versions, in the order of the chain; their documents have nothing but their tags.
	Versions(name record.RecordName) ([]record.AnchoredVersion, error)
	Status(name record.RecordName) (record.RecordStatus, error)
	// Payloads are what institutions hold of a document: the one that anchored it first, then copies. None if it was erased.
	Payloads(tag record.Tag) ([]Payload, error)
	// Relation is what is between a patient and a participant.
	Relation(patient record.Reference, participant record.ParticipantID) (record.Relation, error)
	// LedgerTime is the latest timestamp of a transaction that was seen.
	LedgerTime() (time.Time, error)
}

// Payload is a document's sealed content at an institution.
type Payload struct {
	Institution record.InstitutionPrefix
	CID         record.CID
}

// Content opens documents.
type Content interface {
	// Held opens a document that this hospital holds; found is false if it does not. The check of the whole is by the
	// document's tag.
	Held(ctx context.Context, tag record.Tag) (d Document, found bool, err error)
	// Remote opens a payload at another institution with its file key. ErrUnavailable if nobody gives it. Size is that of the
	// plaintext.
	Remote(ctx context.Context, p Payload, key [16]byte, size int64) (Plain, error)
}

// Document is a document that can be read.
type Document struct {
	document.Description
	Open func(ctx context.Context) (Plain, error)
	// Verify says whether a digest of the whole is the document's.
	Verify func(document.Digest) bool
}

// Plain is the plaintext of a document, at any place. What it gives has been verified chunk by chunk.
type Plain interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Journal keeps emergencies until they are on the ledger.
type Journal interface {
	// AddEmergency makes it durable. An error if another is kept under its ID.
	AddEmergency(document.Emergency) error
	Emergencies() ([]document.Emergency, error)
	ForgetEmergency(record.ID) error
}
