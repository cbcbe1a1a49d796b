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
	CID CID `json:"cid,omitzero"` // zero where a version only names it, or it was erased
	// VariantOf names the document that carries the same DICOM SOP Instance UID with other content; zero if none.
	VariantOf Tag `json:"variant_of,omitzero"`
}

// Version is one immutable step of a record: it adds documents. The full record is the union of its versions. They have
// no numbers: their order is that of the chain. A version on the ledger has the name of its first document, which is in no
// other; of what a batch brings, only those documents make a version that are new.
type Version struct {
	Patient Reference `json:"patient"`
	Record  Tag       `json:"record"`
	Kind    Kind      `json:"kind"`
	// Date is the day of the event (study, letter), as midnight in UTC; zero if unknown. The ledger has no room for more than
	// the day: a time to the second is nearly unique, and would tie together the copies of one file that two hospitals hold.
	Date      time.Time     `json:"date,omitzero"`
	Author    ParticipantID `json:"author,omitzero"` // who wrote the documents, if known
	Late      bool          `json:"late,omitempty"`  // joined after its study was called stable
	Amends    Tag           `json:"amends,omitzero"` // the name of the version that this one replaces; zero if none
	Documents []Document    `json:"documents"`
}

// Name is the tag of the first document, which is the version's name once it is on the ledger; zero if there is none.
func (v Version) Name() Tag {
	if len(v.Documents) == 0 {
		return Tag{}
	}
	return v.Documents[0].Tag
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
	Existing                // there already, with the same CID, be it as the copy of the caller's institution
	Conflict                // there already, with another CID: the batch's payload is not the anchored one
	Erased                  // was there, and was erased: it does not come back under this tag
)
