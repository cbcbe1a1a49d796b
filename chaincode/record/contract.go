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
	ListFunction      = "records:List"      // (patient, page size, bookmark) Page
	AnchoringFunction = "records:Anchoring" // (anchoring ID) Anchoring

	// ListInstitutionFunction takes the institution's participant ID or its prefix.
	ListInstitutionFunction = "records:ListInstitution" // (institution, page size, bookmark) Page

	// AnchoredEvent is the name of the event whose payload is a packed Anchored.
	AnchoredEvent = "anchored"

	// RoleAttribute is the attribute of a certificate that names its holder's role.
	RoleAttribute = "medanchor.role"

	// MaxPageSize is the most versions that List gives at once.
	MaxPageSize = 1_000
)

// AnchoredDocument is a document with the anchoring that brought it; or what is left of it.
type AnchoredDocument struct {
	Document  Document   `json:"document"`
	Anchoring Anchoring  `json:"anchoring,omitzero"`
	Erased    *Tombstone `json:"erased,omitempty"` // set if it was erased: there is nothing else then but its tag
}

// AnchoredVersion is a version with its documents and the anchoring that brought it.
type AnchoredVersion struct {
	Version
	Anchoring AnchoringID `json:"anchoring"`
}

// VersionSummary is a version without its documents.
type VersionSummary struct {
	Patient   Reference     `json:"patient"`
	Record    Tag           `json:"record"`
	Name      Tag           `json:"name"`
	Kind      Kind          `json:"kind"`
	Date      time.Time     `json:"date,omitzero"`
	Author    ParticipantID `json:"author,omitzero"`
	Late      bool          `json:"late,omitempty"`
	Amends    Tag           `json:"amends,omitzero"`
	Anchoring AnchoringID   `json:"anchoring"`
	Documents int           `json:"documents"` // how many it brought
}

// Summary tells of the version without its documents.
func (v AnchoredVersion) Summary() VersionSummary {
	return VersionSummary{
		Patient: v.Patient, Record: v.Record, Name: v.Name(), Kind: v.Kind, Date: v.Date, Author: v.Author,
		Late: v.Late, Amends: v.Amends, Anchoring: v.Anchoring, Documents: len(v.Documents),
	}
}

// Page is one page of the versions of a patient or an institution, those of a record together. Order says nothing else.
type Page struct {
	Versions []VersionSummary `json:"versions"`
	// Bookmark asks for the next page; empty on the last.
	Bookmark string `json:"bookmark,omitempty"`
}
