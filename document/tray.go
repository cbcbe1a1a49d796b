package document

import (
	"errors"
	"slices"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// Why an item in a tray is left as it is.
var (
	// ErrNotQuarantined says that an item is not quarantined, or not any more.
	ErrNotQuarantined = errors.New("the item is not in quarantine, or not any more")
	// ErrNotProposed says that nobody proposed to discard an item, or that the proposal was about another state of it.
	ErrNotProposed = errors.New("no proposal to discard the item stands: propose it first")
	// ErrSamePerson says that who proposed to discard an item is not the second person.
	ErrSamePerson = errors.New("the one who proposed it may not confirm it: have a second person of the institution do that")
	// ErrDecided says that a decision is older than the last one on the item.
	ErrDecided = errors.New("somebody decided on the item meanwhile: look at it again")
)

// Tray is where items wait for a person.
type Tray string

// The trays.
const (
	TrayUnassigned Tray = "unassigned" // whose it is cannot be told
	TrayConflict   Tray = "conflict"   // it contradicts another document, or the ledger
	TrayQuarantine Tray = "quarantine" // it cannot be understood, or not be anchored as it is
)

// Trays are all trays.
func Trays() []Tray { return []Tray{TrayUnassigned, TrayConflict, TrayQuarantine} }

// Tray is where an item with this reason waits; empty without a reason.
func (r Reason) Tray() Tray {
	switch r {
	case "":
		return ""
	case ReasonNoPatient, ReasonPlaceholder, ReasonBadIdentifier:
		return TrayUnassigned
	case ReasonLedgerConflict, ReasonPixelsChanged:
		return TrayConflict
	default:
		return TrayQuarantine
	}
}

// Tray is where the item waits for a person; empty if it does not.
func (i *Item) Tray() Tray { return i.Waits().Tray() }

// Action is what a person decides on an item in a tray.
type Action string

// The actions.
const (
	ActionAssign  Action = "assign"          // it is this patient's
	ActionRelease Action = "release"         // it is to be anchored as it is; or, anchored, it was looked at
	ActionPropose Action = "propose-discard" // it is to be given up, if a second person says so
	ActionDiscard Action = "discard"         // the second person does
)

// Decision is a person's decision on an item in a tray.
type Decision struct {
	By     record.ParticipantID `json:"by"`
	Action Action               `json:"action"`
	About  Reason               `json:"about"`           // why the item was in the tray
	Of     PatientID            `json:"of,omitzero"`     // whose it was by file and door
	Words  string               `json:"words,omitempty"` // why they decided so: may be personal data
	At     time.Time            `json:"at"`
}

// Waits is the reason for which the item waits for a person; empty if it does not.
func (i *Item) Waits() Reason {
	switch i.State {
	case Quarantined:
		return i.Reason
	case Discarded:
		return ""
	default:
		return i.Review
	}
}

// Decide keeps a decision with the item. ErrDecided if a later one is there, so that each is good once.
func (i *Item) Decide(d Decision) error {
	if n := len(i.Decisions); n > 0 && !d.At.After(i.Decisions[n-1].At) {
		return ErrDecided
	}
	d.About, d.Of = i.Waits(), i.Metadata.Patient
	i.Decisions = append(slices.Clip(i.Decisions), d)
	return nil
}

// Proposed is the proposal to discard the item, while it stands: until the next decision, and as long as the item waits for the
// reason that it was about, and is nobody else's than it was.
func (i *Item) Proposed() (d Decision, stands bool) {
	if i.State != Quarantined || len(i.Decisions) == 0 {
		return d, false
	}
	d = i.Decisions[len(i.Decisions)-1]
	return d, d.Action == ActionPropose && d.About == i.Reason && d.Of == i.Metadata.Patient
}

// Variant says how a document differs from the first one with the same SOP Instance UID.
type Variant string

// The variants.
const (
	VariantReencoded     Variant = "re-encoded"     // another transfer syntax
	VariantHeaderChanged Variant = "header-changed" // the same pixels, other attributes
	VariantPixelsChanged Variant = "pixels-changed" // other pixels: a person is to look (ReasonPixelsChanged)
)
