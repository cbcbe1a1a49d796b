package document

import (
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// ItemID names one delivery: 16 bytes, the first 6 of which are the time of reception in Unix milliseconds, so that
// IDs sort by time; written as a UUID (version 7, RFC 9562). It is random otherwise and says nothing of the patient.
type ItemID [16]byte

// Digest is the SHA-256 of an item's content: for DICOM over the dataset without file meta group 0002 (PS3.10 §7.1),
// so that the same object is the same document however it came; for anything else over the whole file.
type Digest [32]byte

// Format is the kind of file, as recognised from its bytes.
type Format string

// The formats that medanchor recognises.
const (
	FormatDICOM   Format = "dicom"
	FormatPDF     Format = "pdf"
	FormatText    Format = "text"
	FormatUnknown Format = "unknown"
)

// State is an item's place in the pipeline.
type State string

// The states, in order; then those in which an item rests. Received to stored live in memory only: until an item is
// queued its source keeps the bytes.
const (
	Received    State = "received"    // taken from its door
	Inspected   State = "inspected"   // metadata read, patient known
	Sealed      State = "sealed"      // read once: digested, encrypted, chunked
	Stored      State = "stored"      // its blocks are durable and pinned
	Queued      State = "queued"      // in state.db with its key header; the source is acknowledged
	Submitted   State = "submitted"   // in a transaction that was sent to the ledger
	Anchored    State = "anchored"    // committed on the channel
	Duplicate   State = "duplicate"   // its document was there already
	Quarantined State = "quarantined" // kept sealed, not anchored: Reason says why, and its Tray who is to look
	Discarded   State = "discarded"   // was Quarantined, until two people gave it up: its key is destroyed
)

// Reason says why an item waits for a person in a Tray. It is a code without personal data; Explain gives the sentence.
type Reason string

// The reasons.
const (
	ReasonNotUnderstood Reason = "not-understood" // neither parser could read it
	ReasonTruncated     Reason = "truncated"      // its structure ends early
	ReasonNoPatient     Reason = "no-patient"     // nothing says whose it is
	ReasonPlaceholder   Reason = "placeholder"    // what stands for the identifier is nobody's
	ReasonBadIdentifier Reason = "bad-identifier" // an NHS number that cannot be one
	ReasonNoInstance    Reason = "no-instance"    // DICOM without study or SOP Instance UID
	ReasonTooLarge      Reason = "too-large"      // larger than the inspector may read
	ReasonInspectFailed Reason = "inspect-failed" // the inspector died or ran out of time or memory on it
	ReasonEncrypted     Reason = "encrypted"      // a PDF that cannot be opened without a password
	// ReasonLedgerConflict: the ledger holds the same document with other sealed bytes, so these are not the anchored ones.
	ReasonLedgerConflict Reason = "ledger-conflict"
	ReasonErased         Reason = "erased" // the document was erased by a decision on the ledger
	// ReasonUnlinked: it is a copy of what another institution anchored, and the link by which it is one has ended.
	ReasonUnlinked Reason = "unlinked"
	// ReasonMediaDirectory: a DICOMDIR (PS3.10 §8.6), which lists what is on a medium and is no document of a patient.
	ReasonMediaDirectory Reason = "media-directory"
	// ReasonNotAccepted: the rule of its door takes other formats.
	ReasonNotAccepted Reason = "not-accepted"
	// ReasonPixelsChanged: it has the SOP Instance UID of another document, and other pixels. It is anchored all the same: a
	// person is to see which of the two is right.
	ReasonPixelsChanged Reason = "pixels-changed"
)

// Metadata is what the inspector read of a file. Personal data: only ever stored sealed, never logged.
type Metadata struct {
	Format Format `json:"format"`
	// DatasetOffset is where the digest begins: after the DICOM file meta group; 0 for other formats.
	DatasetOffset int64     `json:"dataset_offset,omitempty"`
	Patient       PatientID `json:"patient"`
	PatientName   string    `json:"patient_name,omitempty"`
	BirthDate     string    `json:"birth_date,omitempty"`

	StudyUID          string `json:"study_uid,omitempty"`
	SeriesUID         string `json:"series_uid,omitempty"`
	InstanceUID       string `json:"instance_uid,omitempty"`
	SOPClassUID       string `json:"sop_class_uid,omitempty"`
	TransferSyntaxUID string `json:"transfer_syntax_uid,omitempty"`
	Modality          string `json:"modality,omitempty"`
	Description       string `json:"description,omitempty"` // study description, or PDF title

	// Time of the study or document, in the time zone that the file names, else in UTC as if it were; zero if unknown.
	Time  time.Time `json:"time,omitzero"`
	Pages int       `json:"pages,omitempty"`
	// Text is the beginning of a PDF's or text's words, for a person who is to tell whose it is.
	Text string `json:"text,omitempty"`
	// Numbers are valid NHS numbers in the text: a suggestion to that person, and never more.
	Numbers []string `json:"numbers,omitempty"`
	// Expected is how many instances the study has, where the file says so (0020,1208); 0 if not.
	Expected int `json:"expected,omitempty"`
	// PixelOffset is where the value of the pixel data begins in the file (PS3.5 §8); 0 if there is none, or it is not known.
	PixelOffset int64 `json:"pixel_offset,omitempty"`
	// Incomplete says that a DICOM file ends between two elements where more would be likely: in its header, or before the pixels
	// of an image that it describes. It may be whole all the same.
	Incomplete bool `json:"incomplete,omitempty"`
	// Parser says which reader understood the file ("dicom", "header", "pdf", "text"), for diagnosis.
	Parser string `json:"parser,omitempty"`
	// Problem is set when the file could not be understood; the bytes are kept all the same.
	Problem Reason `json:"problem,omitempty"`
	// Detail explains Problem to an administrator. It may quote the file: sealed like the rest.
	Detail string `json:"detail,omitempty"`
}

// Claim identifies one delivery at its source, so that a rescan after a crash counts nothing twice. It may hold
// personal data (a path with a name): stored only as a keyed hash.
type Claim struct {
	Door    string // the door's name in the configuration
	Path    string // absolute
	Device  uint64
	Inode   uint64
	Size    int64
	ModTime time.Time
	// ChangeTime is the inode's (st_ctime): no tool sets it, so a new file that has an old one's name, inode, size and
	// modification time is still another.
	ChangeTime time.Time
}

// Patient is a registered patient of this institution: a random reference for the ledger and the secret that keys
// the tags.
type Patient struct {
	Reference record.Reference `json:"reference"`
	Secret    [32]byte         `json:"secret"`
}

// Linked is a linked reference of a patient, with the secret that keys its tags.
type Linked struct {
	Reference record.Reference `json:"reference"`
	Secret    [32]byte         `json:"secret"`
}

// Copy says that an item is this institution's own copy of a document that another anchored.
type Copy struct {
	Own     record.Reference `json:"own"`     // the patient's reference here
	Version record.Tag       `json:"version"` // that brought the document
}

// Item is one delivery as it stands in state.db (sealed).
type Item struct {
	ID       ItemID      `json:"id"`
	State    State       `json:"state"`
	Reason   Reason      `json:"reason,omitempty"`
	Door     string      `json:"door"`
	Path     string      `json:"path"` // where it was found: may hold personal data
	Size     int64       `json:"size"` // of the plaintext, in bytes
	Digest   Digest      `json:"digest"`
	Received time.Time   `json:"received"`
	Metadata Metadata    `json:"metadata"`
	Kind     record.Kind `json:"kind,omitempty"`

	Patient record.Reference `json:"patient,omitzero"`
	Tag     record.Tag       `json:"tag,omitzero"`    // of the document; zero while no patient is known
	Record  record.Tag       `json:"record,omitzero"` // of the record that the document joins
	// VariantOf names the first document with the same SOP Instance UID; zero if none.
	VariantOf record.Tag `json:"variant_of,omitzero"`
	// Variant says how it differs from that one.
	Variant Variant `json:"variant,omitempty"`
	// Pixels is the BLAKE3 of the bytes from Metadata.PixelOffset on; zero without one.
	Pixels Digest `json:"pixels,omitzero"`
	// Review is why a person is to look at it though it is anchored; empty if none is, or one has.
	Review Reason `json:"review,omitempty"`
	// Decisions are what people decided on it in a tray, in their order.
	Decisions []Decision `json:"decisions,omitempty"`
	// Late says that it joined after its study was called stable.
	Late bool `json:"late,omitempty"`
	// Department and From are what the door's rule and its sender's name tell of where it comes from; may be empty.
	Department string `json:"department,omitempty"`
	From       string `json:"from,omitempty"`
	// Issuer is that of identifiers which name none, as the door said when it was taken in; empty for the hospital's.
	Issuer string     `json:"issuer,omitempty"`
	CID    record.CID `json:"cid,omitzero"` // of the sealed payload; zero for duplicates
	// Copy is set if another institution anchored the document before, under a linked reference, which Patient is then.
	Copy *Copy `json:"copy,omitempty"`
	// First is, for a duplicate, the item that carries the document.
	First ItemID `json:"first,omitzero"`

	TxID     string    `json:"tx_id,omitempty"` // hexadecimal, once submitted
	Block    uint64    `json:"block,omitempty"` // once anchored
	Anchored time.Time `json:"anchored,omitzero"`
}
