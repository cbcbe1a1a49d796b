package document

// Description is what the custodian of a document tells its reader, sealed: enough to serve the content and to check it.
// Personal data.
type Description struct {
	Size     int64    `json:"size"`   // of the plaintext, in bytes
	Digest   Digest   `json:"digest"` // of the plaintext from Metadata.DatasetOffset on
	Metadata Metadata `json:"metadata"`
}

// Describe gives an item's description, without what is for its hospital's administrators only.
func Describe(item Item) Description {
	m := item.Metadata
	m.Parser, m.Problem, m.Detail, m.Text, m.Numbers = "", "", "", "", nil
	return Description{Size: item.Size, Digest: item.Digest, Metadata: m}
}
