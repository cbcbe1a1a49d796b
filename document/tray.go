package document

import "errors"

// ErrNotQuarantined says that an item is not quarantined, or not any more.
var ErrNotQuarantined = errors.New("the item is not in quarantine, or not any more")

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
func (i *Item) Tray() Tray {
	switch {
	case i.State == Quarantined:
		return i.Reason.Tray()
	case i.State == Discarded:
		return ""
	default:
		return i.Review.Tray()
	}
}

// Variant says how a document differs from the first one with the same SOP Instance UID.
type Variant string

// The variants.
const (
	VariantReencoded     Variant = "re-encoded"     // another transfer syntax
	VariantHeaderChanged Variant = "header-changed" // the same pixels, other attributes
	VariantPixelsChanged Variant = "pixels-changed" // other pixels: a person is to look (ReasonPixelsChanged)
)
