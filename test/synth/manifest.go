package synth

import "github.com/medanchor/medanchor/document"

// Outcome is what must become of a file. Copies may be taken in any order: of the files with one document, one is
// anchored and the others are duplicates; the manifest calls the first one written the original.
type Outcome string

// The outcomes.
const (
	Anchored    Outcome = "anchored"
	Duplicate   Outcome = "duplicate"
	Quarantined Outcome = "quarantined"
)

// File is one file of a hospital.
type File struct {
	Path     string          `json:"path"` // below Options.Dir, with slashes
	Hospital string          `json:"hospital"`
	Format   document.Format `json:"format"`
	Size     int64           `json:"size"`
	SHA256   string          `json:"sha256"`        // of the file, hexadecimal
	Offset   int64           `json:"offset"`        // where the document's digest begins
	NHS      string          `json:"nhs,omitempty"` // whose it is, by the number or placeholder that it comes with

	Outcome   Outcome         `json:"outcome"`
	Original  string          `json:"original,omitempty"`   // the path of the file that a duplicate repeats
	VariantOf string          `json:"variant_of,omitempty"` // the path of the file with the same SOP Instance UID
	Reason    document.Reason `json:"reason,omitempty"`     // of quarantine
}

// ValueKind says what a personal value is.
type ValueKind string

// The kinds of personal values.
const (
	Name       ValueKind = "name"
	Identifier ValueKind = "identifier"
	BirthDate  ValueKind = "birth-date"
	UID        ValueKind = "uid"
	Digest     ValueKind = "digest"
)

// Value is a personal value that stands in the files, or, for digests, follows from them.
type Value struct {
	Kind ValueKind `json:"kind"`
	Text string    `json:"text"`             // digests: hexadecimal
	Raw  []byte    `json:"raw,omitempty"`    // as it stands in the files; digests: the 32 bytes
	In   string    `json:"script,omitempty"` // the DICOM character set of Raw
}

// Manifest says what was made.
type Manifest struct {
	Seed      uint64   `json:"seed"`
	Hospitals []string `json:"hospitals"`
	People    []Person `json:"people"`
	Files     []File   `json:"files"`
	Personal  []Value  `json:"personal"`
}

// Counts are what a hospital must report once all is taken in.
type Counts struct {
	Files       int                     `json:"files"`
	Bytes       int64                   `json:"bytes"`
	Anchored    int                     `json:"anchored"`
	Duplicates  int                     `json:"duplicates"`
	Variants    int                     `json:"variants"` // among the anchored
	Quarantined map[document.Reason]int `json:"quarantined"`
}

// Counts counts the files of one hospital.
func (m Manifest) Counts(hospital string) Counts {
	c := Counts{Quarantined: map[document.Reason]int{}}
	for _, f := range m.Files {
		if f.Hospital != hospital {
			continue
		}
		c.Files++
		c.Bytes += f.Size
		switch f.Outcome {
		case Anchored:
			c.Anchored++
		case Duplicate:
			c.Duplicates++
		case Quarantined:
			c.Quarantined[f.Reason]++
		}
		if f.VariantOf != "" {
			c.Variants++
		}
	}
	return c
}
