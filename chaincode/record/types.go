package record

import "time"

// Tag is a 16-byte keyed name. On the ledger it appears as 22 characters of unpadded base64url, because Fabric keys
// must be valid UTF-8. A Tag says nothing to those who do not hold the patient's secret.
type Tag [16]byte

// Reference is a patient's random 16-byte pseudonym, made by the institution that registered them. Same text form as
// a Tag.
type Reference [16]byte

// CID is a CIDv1 over SHA2-256: the codec byte (0x55 raw, 0x70 dag-pb) and the 32-byte digest.
type CID [33]byte

// Kind is what a patient or doctor would call the record.
type Kind uint8

// The kinds of record. The numbers stand on the ledger: never renumber.
const (
	KindImaging Kind = iota + 1
	KindPrescription
	KindLabResult
	KindTreatmentList
	KindLetter
	KindOther
)

// Document is one file's content as anchored.
type Document struct {
	Tag Tag `json:"tag"`
	CID CID `json:"cid,omitzero"` // zero where a version only names it
	// VariantOf names the document that carries the same DICOM SOP Instance UID with other content; zero if none.
	VariantOf Tag `json:"variant_of,omitzero"`
}

// Version is one immutable step of a record: version 1 creates it, later ones add documents. The full record is the
// union of its versions.
type Version struct {
	Patient   Reference  `json:"patient"`
	Record    Tag        `json:"record"`
	Number    uint16     `json:"number"` // from 1
	Kind      Kind       `json:"kind"`
	Time      time.Time  `json:"time,omitzero"` // of the event (study, letter), UTC, to the second; zero if unknown. Appliances give the day only
	Documents []Document `json:"documents"`
}

// Batch is what one transaction anchors.
type Batch struct {
	Versions []Version
}

// AnchoringID is the first 8 bytes of the transaction ID: documents and versions refer to their transaction by it.
type AnchoringID [8]byte

// TxID is a Fabric transaction ID: a SHA-256 that Fabric and medanchor write as 64 hexadecimal characters.
type TxID [32]byte

// AnchoringID gives the short name of the transaction.
func (id TxID) AnchoringID() AnchoringID { return AnchoringID(id[:8]) }

// Anchoring is one anchoring transaction.
type Anchoring struct {
	ID    AnchoringID `json:"id"`
	TxID  TxID        `json:"tx_id"`
	MSPID string      `json:"msp_id"` // the member whose appliance submitted it
	Time  time.Time   `json:"time"`   // the transaction's timestamp (the client's clock), UTC
}

// Outcome is what the contract did with one document of a batch.
type Outcome uint8

// The outcomes. A document that is there already is never an error: deliveries may repeat.
const (
	Created  Outcome = iota // created by this transaction
	Existing                // there already, with the same CID
	Conflict                // there already, with another CID: the batch's payload is not the anchored one
)
