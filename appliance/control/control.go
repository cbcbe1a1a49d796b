// Package control is the way from the medanchor commands to the running appliance: HTTP over a Unix socket in the data
// folder, which only the appliance's own user and root may open. It carries documents and personal data, and so never
// leaves the machine.
package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// socketName is the socket's name in the data folder.
const socketName = "control.sock"

// The sentinels that cross the socket.
var (
	// ErrNotRunning says that no appliance answers on this data folder.
	ErrNotRunning = errors.New("the appliance is not running: start it with medanchor run, or systemctl start medanchor")
	// ErrNotFound says that the hospital has no such item or document.
	ErrNotFound = errors.New("not found")
	// ErrLedgerAway says that the ledger cannot be asked now.
	ErrLedgerAway = errors.New("the ledger cannot be asked now")
	// ErrBadRequest says that the request makes no sense.
	ErrBadRequest = errors.New("bad request")
	// ErrRefused says that the caller may not do this, or that it may not be done to this.
	ErrRefused = errors.New("refused")
	// ErrBusy says that something else is in the way for a moment: try again.
	ErrBusy = errors.New("try again")
)

// Appliance answers the commands; appliance.App implements it.
type Appliance interface {
	Status(ctx context.Context) (Status, error)
	Records(ctx context.Context, all bool) ([]Record, error)
	Verify(ctx context.Context, v VerifyRequest) ([]Verdict, error)
	// Get opens an item that the ledger does not have, for reading in plaintext: ErrBadRequest for any other. An error while
	// reading means that the stored bytes are damaged.
	Get(ctx context.Context, id string) (io.ReadCloser, error)
	// Refile files the documents of a withdrawn record under the right patient.
	Refile(ctx context.Context, q RefileRequest) (Refiled, error)
	// Patient gives the reference of a patient of this hospital.
	Patient(ctx context.Context, q PatientQuery) (record.Reference, error)
	Trays
}

// Status is the appliance at a glance.
type Status struct {
	Version string `json:"version"`
	MSPID   string `json:"msp_id"`
	// Participant is this appliance on the ledger.
	Participant record.ParticipantID `json:"participant"`
	Items       Items                `json:"items"`
	Ledger      Ledger               `json:"ledger"`
	Storage     Storage              `json:"storage"`
	Reading     Reading              `json:"reading"`
	DICOM       DICOM                `json:"dicom"`
	// Folders are those of which all files wait, by name, with the reason: it names no file.
	Folders map[string]string `json:"folders,omitempty"`
	// Held are files that stay at their door, by path, with the reason.
	Held map[string]string `json:"held,omitempty"`
}

// Items are counts that reconcile: Received = Anchored + Duplicates + Waiting + Discarded + the sum of Quarantined.
type Items struct {
	Received    int64                     `json:"received"`
	Anchored    int64                     `json:"anchored"`
	Duplicates  int64                     `json:"duplicates"`
	Waiting     int64                     `json:"waiting"`
	Variants    int64                     `json:"variants"` // among Anchored and Waiting
	Quarantined map[document.Reason]int64 `json:"quarantined"`
	Discarded   int64                     `json:"discarded"`
	// Review is how many a person is to look at, among Anchored and Waiting.
	Review map[document.Reason]int64 `json:"review,omitempty"`
	Bytes  int64                     `json:"bytes"` // of plaintext received
}

// Certificate is one by which others know the appliance, as it is in use.
type Certificate struct {
	Expires time.Time `json:"expires,omitzero"`
	Trouble string    `json:"trouble,omitempty"` // why it is of no use now, and what to do
}

// Ledger is how the channel is reached.
type Ledger struct {
	Reachable bool `json:"reachable"`
	// Away is why batches are not taken, empty while they are.
	Away        string      `json:"away,omitempty"`
	Height      uint64      `json:"height,omitempty"` // blocks on the channel, by this hospital's peer
	Indexed     uint64      `json:"indexed"`          // blocks in the index
	Certificate Certificate `json:"certificate,omitzero"`
	// Documents on the channel, by the member that anchored them, as indexed.
	Documents map[string]int64 `json:"documents"`
}

// Storage is the data folder.
type Storage struct {
	Data       string `json:"data"`
	FreeBytes  uint64 `json:"free_bytes"`
	StateBytes int64  `json:"state_bytes"`
	// Full says why nothing is taken in; empty if something is.
	Full string `json:"full,omitempty"`
}

// DICOM is the receiver, and the spool behind it.
type DICOM struct {
	Address    string `json:"address,omitempty"`     // where it takes associations; empty for nowhere
	TLSAddress string `json:"tls_address,omitempty"` // with TLS
	AETitle    string `json:"ae_title,omitempty"`
	// Certificate is what devices see; zero without TLS.
	Certificate Certificate `json:"certificate,omitzero"`

	Associations int    `json:"associations"` // open now
	Stored       uint64 `json:"stored"`       // since the start: objects that were answered with success
	Refused      uint64 `json:"refused"`      // objects that were answered with a failure
	Rejected     uint64 `json:"rejected"`     // associations that were
	Spooled      int    `json:"spooled"`      // objects that wait for the pipeline
	SpooledBytes int64  `json:"spooled_bytes"`
	Trouble      string `json:"trouble,omitempty"` // what is wrong with the spool
}

// Reading is how people and other hospitals reach the documents.
type Reading struct {
	URL string `json:"url"` // of the reading service
	// Certificate is what readers see; zero without TLS.
	Certificate Certificate `json:"certificate,omitzero"`
	// Swarm are the addresses of the IPFS node, as the institution registers them on the ledger.
	Swarm []string `json:"swarm"`
	// Releasing is the number of patients whose releases of keys are not settled.
	Releasing int64 `json:"releasing"`
}

// Record is one record of a patient's history as the ledger has it. Pseudonyms only.
type Record struct {
	Patient   record.Reference `json:"patient"`
	Record    record.Tag       `json:"record"`
	Kind      record.Kind      `json:"kind"`
	Date      time.Time        `json:"date,omitzero"` // midnight in UTC
	Member    string           `json:"member"`        // MSP ID of the institution that anchored it first
	Versions  int              `json:"versions"`
	Documents []record.Tag     `json:"documents"`
	Block     uint64           `json:"block"`    // of the last version
	Anchored  time.Time        `json:"anchored"` // of the last version
}

// VerifyRequest asks about a stored document by ID, or about content that the caller holds.
type VerifyRequest struct {
	ID      string   `json:"id,omitempty"`
	Content *Content `json:"content,omitempty"`
}

// Content is what of a file decides whether it is what was anchored.
type Content struct {
	Digest   document.Digest   `json:"digest"`
	Metadata document.Metadata `json:"metadata"`
}

// PatientQuery asks for a patient's reference. It carries personal data.
type PatientQuery struct {
	document.PatientID
	// Register gives a patient who is not known a reference and a secret. Without it they are ErrNotFound.
	Register bool `json:"register,omitempty"`
}

// RefileRequest names a record that was withdrawn, and whose it is.
type RefileRequest struct {
	record.RecordName
	To record.Reference `json:"to"`
}

// Refiled is what was filed anew.
type Refiled struct {
	Records   []record.Tag `json:"records"`   // of the right patient
	Documents int          `json:"documents"` // that they did not have
}

// Finding is the short form of a Verdict.
type Finding string

// The findings.
const (
	FindingOK          Finding = "ok"           // exactly this content is on the ledger
	FindingMismatch    Finding = "mismatch"     // something does not match: the verdict says what
	FindingNotAnchored Finding = "not-anchored" // the ledger does not know this content
	FindingWaiting     Finding = "waiting"      // queued, not on the ledger yet
	FindingQuarantined Finding = "quarantined"  // kept, but not anchored
	FindingErased      Finding = "erased"       // was anchored, and erased since
)

// Verdict is what a verification found. The ledger fields are set where the ledger has the document.
type Verdict struct {
	Finding     Finding          `json:"finding"`
	Explanation string           `json:"explanation"`
	Item        document.ItemID  `json:"item,omitzero"`
	Document    record.Tag       `json:"document,omitzero"`
	Patient     record.Reference `json:"patient,omitzero"`
	CID         record.CID       `json:"cid,omitzero"`
	TxID        string           `json:"tx_id,omitempty"`
	Block       uint64           `json:"block,omitempty"`
	Time        time.Time        `json:"time,omitzero"` // of the transaction
	Member      string           `json:"member,omitempty"`
}

// address is the socket in the data folder by way of an open descriptor of the folder, because a socket's path may not
// be longer than 107 bytes. The caller closes dir after use.
func address(data string) (addr string, dir *os.File, err error) {
	dir, err = os.Open(data)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), socketName), dir, nil
}

// Listen makes the socket in the data folder, for the owner only.
func Listen(ctx context.Context, data string) (net.Listener, error) {
	addr, dir, err := address(data)
	if err != nil {
		return nil, fmt.Errorf("listen for commands: %w", err)
	}
	defer dir.Close()
	// The data folder is locked by now, so a socket that is there was left by a process that died.
	if err := os.Remove(filepath.Join(data, socketName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen for commands: %w", err)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for commands: %w", err)
	}
	// The listener would remove its path by the descriptor's name, which is gone by then.
	if socket, ok := listener.(*net.UnixListener); ok {
		socket.SetUnlinkOnClose(false)
	}
	if err := os.Chmod(filepath.Join(data, socketName), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for commands: %w", err), listener.Close())
	}
	return listener, nil
}
