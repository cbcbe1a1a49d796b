package record

import "time"

// The names that the contract and its clients share.
const (
	// AnchorFunction takes a packed Batch as transient data under BatchField, and answers with a packed Result.
	AnchorFunction = "records:Anchor"
	BatchField     = "batch"

	// The queries take text forms and answer in JSON.
	DocumentFunction  = "records:Document"  // (tag) AnchoredDocument
	RecordFunction    = "records:Record"    // (patient, record) []AnchoredVersion
	VersionsFunction  = "records:Versions"  // (patient, record) []VersionSummary
	ListFunction      = "records:List"      // (patient, page size, bookmark) Page
	AnchoringFunction = "records:Anchoring" // (anchoring ID) Anchoring

	// AnchoredEvent is the name of the event whose payload is a packed Anchored.
	AnchoredEvent = "anchored"

	// RoleAttribute is the attribute of a certificate that names its holder's role.
	RoleAttribute = "medanchor.role"
	// ApplianceRole is the role that may anchor.
	ApplianceRole = "appliance"

	// MaxPageSize is the most versions that List gives at once.
	MaxPageSize = 1_000
)

// AnchoredDocument is a document with the anchoring that brought it.
type AnchoredDocument struct {
	Document  Document  `json:"document"`
	Anchoring Anchoring `json:"anchoring"`
}

// AnchoredVersion is a version with its documents and the anchoring that brought it.
type AnchoredVersion struct {
	Version
	Anchoring AnchoringID `json:"anchoring"`
}

// VersionSummary is a version without its documents.
type VersionSummary struct {
	Record    Tag         `json:"record"`
	Number    uint16      `json:"number"`
	Kind      Kind        `json:"kind"`
	Time      time.Time   `json:"time,omitzero"`
	Anchoring AnchoringID `json:"anchoring"`
	Documents int         `json:"documents"` // how many it brought
}

// Page is one page of a patient's versions, by record and number.
type Page struct {
	Versions []VersionSummary `json:"versions"`
	// Bookmark asks for the next page; empty on the last.
	Bookmark string `json:"bookmark,omitempty"`
}
