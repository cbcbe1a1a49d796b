package control

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/document"
)

// Trays answers the commands about what waits for a person; appliance.App implements it.
type Trays interface {
	// InTrays lists what waits, in the order of reception.
	InTrays(ctx context.Context, q TrayQuery) ([]TrayItem, error)
	// InTray gives all that a person needs to decide on an item, also after it has left its tray.
	InTray(ctx context.Context, q ItemQuery) (TrayView, error)
	// Retry has a quarantined item inspected and decided on again, by today's program and rules.
	Retry(ctx context.Context, q ItemQuery) (TrayItem, error)
	// Decide carries out what a person decides on an item. ErrRefused if they may not, or the item is not one for that.
	Decide(ctx context.Context, d TrayDecision) (TrayItem, error)
}

// TrayQuery chooses items in trays; what is empty chooses all.
type TrayQuery struct {
	Tray   document.Tray   `json:"tray,omitempty"`
	Reason document.Reason `json:"reason,omitempty"`
}

// ItemQuery names an item.
type ItemQuery struct {
	Item document.ItemID `json:"item"`
}

// TrayItem is an item that is, or was, in a tray. No personal data.
type TrayItem struct {
	Item       document.ItemID `json:"item"`
	Tray       document.Tray   `json:"tray,omitempty"`   // empty: no person is waited for
	Reason     document.Reason `json:"reason,omitempty"` // why it is in the tray
	State      document.State  `json:"state"`
	Received   time.Time       `json:"received"`
	Door       string          `json:"door"`
	Department string          `json:"department,omitempty"`
	Size       int64           `json:"size"` // in bytes
	Format     document.Format `json:"format"`
	// Proposed says that a proposal to discard it stands.
	Proposed bool `json:"proposed,omitempty"`
	// Document, Record and Patient are what it is on the ledger, or on its way there; zero for what is kept back.
	Document record.Tag       `json:"document,omitzero"`
	Record   record.Tag       `json:"record,omitzero"` // that the document joins
	Patient  record.Reference `json:"patient,omitzero"`
	// First is, for a duplicate, the item that carries the document.
	First document.ItemID `json:"first,omitzero"`
}

// TrayView is all of an item. Personal data.
type TrayView struct {
	TrayItem
	Path        string            `json:"path"`
	From        string            `json:"from,omitempty"` // its sender
	Explanation string            `json:"explanation,omitempty"`
	Metadata    document.Metadata `json:"metadata"`
	Variant     document.Variant  `json:"variant,omitempty"`
	// Contradicts is the document that a conflict is with.
	Contradicts *Contradicted `json:"contradicts,omitempty"`
	// Also are other deliveries of the same content, which were taken for duplicates: what is decided is decided for all.
	Also []Delivered `json:"also,omitempty"`
	// Decisions are what was decided on it, in their order.
	Decisions []document.Decision `json:"decisions,omitempty"`
}

// Contradicted is the document that an item contradicts.
type Contradicted struct {
	Document record.Tag `json:"document"`
	Record   record.Tag `json:"record,omitzero"` // that it joined; zero if this hospital has no item of it
	// Delivered is the item that brought it; zero if this hospital has none.
	Delivered
	Metadata document.Metadata `json:"metadata"`
}

// Delivered is one delivery.
type Delivered struct {
	Item     document.ItemID `json:"item,omitzero"`
	Received time.Time       `json:"received,omitzero"`
	Door     string          `json:"door,omitempty"`
	Path     string          `json:"path,omitempty"`
}

// TrayDecision is what a person decides on an item, with their signature.
type TrayDecision struct {
	Item   document.ItemID `json:"item"`
	Action document.Action `json:"action"`
	// Patient is whose it is, with both parts, and Kind what it is, zero to leave that to file and door: to assign it.
	Patient document.PatientID `json:"patient,omitzero"`
	Kind    record.Kind        `json:"kind,omitempty"`
	// Words say why; a proposal to discard must have some.
	Words     string               `json:"words,omitempty"`
	By        record.ParticipantID `json:"by"`
	At        time.Time            `json:"at"`
	Signature []byte               `json:"signature"` // over Message
}

// DecisionTime is how old a decision may be when it arrives, and how far ahead its clock.
const DecisionTime = 2 * time.Minute

// Validate says what is missing, or too much.
func (d TrayDecision) Validate() error {
	assigns := d.Patient != document.PatientID{} || d.Kind != 0
	switch d.Action {
	case document.ActionAssign:
		if d.Patient.Issuer == "" || d.Patient.Identifier == "" {
			return errors.New("name whose it is: give --issuer, such as NHS, and --id")
		}
		return nil
	case document.ActionPropose:
		if d.Words == "" {
			return errors.New("no reason is given: say with --reason why it is to be discarded")
		}
	case document.ActionRelease, document.ActionDiscard:
	default:
		return errors.New("there is no such decision")
	}
	if assigns {
		return errors.New("only who assigns an item names a patient or a kind")
	}
	return nil
}

// Message is what who decides signs (ECDSA over SHA-256, ASN.1):
//
//	"medanchor tray decision" ‖ 0 ‖ channel, appliance, participant, item, action, issuer, identifier, kind (1), words and
//	time (8, Unix nanoseconds, big-endian), each behind its length (4 bytes, big-endian)
//
// A signature for one appliance is none for another, and each is good once: it is not older than DecisionTime, and later than
// any decision on the item before.
func (d TrayDecision) Message(channel string, appliance record.ParticipantID) []byte {
	at := binary.BigEndian.AppendUint64(nil, uint64(d.At.UnixNano()))
	m := []byte("medanchor tray decision\x00")
	for _, field := range [][]byte{
		[]byte(channel), appliance[:], d.By[:], d.Item[:], []byte(d.Action), []byte(d.Patient.Issuer), []byte(d.Patient.Identifier),
		{byte(d.Kind)},
		[]byte(d.Words), at,
	} {
		m = binary.BigEndian.AppendUint32(m, uint32(len(field))) //nolint:gosec // a request is at most maxRequest
		m = append(m, field...)
	}
	return m
}

// Trays is how many items wait in each tray, by their reason.
func (i Items) Trays() map[document.Tray]map[document.Reason]int64 {
	trays := make(map[document.Tray]map[document.Reason]int64)
	for _, counts := range []map[document.Reason]int64{i.Quarantined, i.Review} {
		for reason, n := range counts {
			tray := reason.Tray()
			if trays[tray] == nil {
				trays[tray] = make(map[document.Reason]int64)
			}
			if n > 0 {
				trays[tray][reason] += n
			}
		}
	}
	return trays
}

// handleTrays serves the commands about trays.
func handleTrays(mux *http.ServeMux, t Trays) {
	mux.HandleFunc("POST /trays", posted(t.InTrays))
	mux.HandleFunc("POST /trays/show", posted(t.InTray))
	mux.HandleFunc("POST /trays/retry", posted(t.Retry))
	mux.HandleFunc("POST /trays/decide", posted(t.Decide))
}

// InTrays implements Trays.
func (c *Client) InTrays(ctx context.Context, q TrayQuery) (items []TrayItem, err error) {
	return items, c.call(ctx, http.MethodPost, "/trays", q, &items)
}

// InTray implements Trays.
func (c *Client) InTray(ctx context.Context, q ItemQuery) (v TrayView, err error) {
	return v, c.call(ctx, http.MethodPost, "/trays/show", q, &v)
}

// Retry implements Trays.
func (c *Client) Retry(ctx context.Context, q ItemQuery) (item TrayItem, err error) {
	return item, c.call(ctx, http.MethodPost, "/trays/retry", q, &item)
}

// Decide implements Trays.
func (c *Client) Decide(ctx context.Context, d TrayDecision) (item TrayItem, err error) {
	return item, c.call(ctx, http.MethodPost, "/trays/decide", d, &item)
}
