package record

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// base64url is the text form of tags, references and anchoring IDs: unpadded (RFC 4648 §5), and strict, so that each
// value has one text.
var base64url = base64.RawURLEncoding.Strict()

// parseBase64 reads exactly len(dst) bytes.
func parseBase64(dst []byte, s, what string) error {
	if len(s) == base64url.EncodedLen(len(dst)) {
		// DecodeString skips line breaks: the count of bytes tells.
		if b, err := base64url.DecodeString(s); err == nil && len(b) == len(dst) {
			copy(dst, b)
			return nil
		}
	}
	return fmt.Errorf("parse %s %.80q: want %d characters of base64url", what, s, base64url.EncodedLen(len(dst)))
}

// String gives 22 characters of base64url.
func (t Tag) String() string { return base64url.EncodeToString(t[:]) }

// IsZero says whether the tag is unset.
func (t Tag) IsZero() bool { return t == Tag{} }

// MarshalText gives the form of String.
func (t Tag) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the form of String.
func (t *Tag) UnmarshalText(text []byte) error { return parseBase64(t[:], string(text), "tag") }

// ParseTag reads the form that Tag.String gives.
func ParseTag(s string) (t Tag, err error) { return t, t.UnmarshalText([]byte(s)) }

// String gives 22 characters of base64url.
func (r Reference) String() string { return base64url.EncodeToString(r[:]) }

// IsZero says whether the reference is unset.
func (r Reference) IsZero() bool { return r == Reference{} }

// MarshalText gives the form of String.
func (r Reference) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the form of String.
func (r *Reference) UnmarshalText(text []byte) error {
	return parseBase64(r[:], string(text), "patient reference")
}

// ParseReference reads the form that Reference.String gives.
func ParseReference(s string) (r Reference, err error) { return r, r.UnmarshalText([]byte(s)) }

// MarshalText gives the form of String.
func (p InstitutionPrefix) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the form of String.
func (p *InstitutionPrefix) UnmarshalText(text []byte) error {
	return parseBase64(p[:], string(text), "institution's prefix")
}

// ParseInstitutionPrefix reads the form that InstitutionPrefix.String gives.
func ParseInstitutionPrefix(s string) (p InstitutionPrefix, err error) {
	return p, p.UnmarshalText([]byte(s))
}

// String gives 11 characters of base64url.
func (id AnchoringID) String() string { return base64url.EncodeToString(id[:]) }

// IsZero says whether the ID is unset.
func (id AnchoringID) IsZero() bool { return id == AnchoringID{} }

// MarshalText gives the form of String.
func (id AnchoringID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the form of String.
func (id *AnchoringID) UnmarshalText(text []byte) error {
	return parseBase64(id[:], string(text), "anchoring ID")
}

// ParseAnchoringID reads the form that AnchoringID.String gives.
func ParseAnchoringID(s string) (id AnchoringID, err error) { return id, id.UnmarshalText([]byte(s)) }

// String gives 64 hexadecimal characters, as Fabric does.
func (id TxID) String() string { return hex.EncodeToString(id[:]) }

// IsZero says whether the ID is unset.
func (id TxID) IsZero() bool { return id == TxID{} }

// MarshalText gives the form of String.
func (id TxID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the form of String.
func (id *TxID) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(id) || hex.EncodeToString(b) != string(text) {
		return fmt.Errorf("parse transaction ID %.80q: want 64 lower-case hexadecimal characters", text)
	}
	copy(id[:], b)
	return nil
}

// ParseTxID reads the form that TxID.String gives.
func ParseTxID(s string) (id TxID, err error) { return id, id.UnmarshalText([]byte(s)) }

// The codecs of a CID (the IPLD table of multicodecs).
const (
	codecRaw   = 0x55
	codecDagPB = 0x70
)

// base32Lower is multibase "b": RFC 4648 base32 in lower case, unpadded.
var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// String gives the canonical text of a CIDv1, such as "bafkrei…": multibase b over version 1, the codec, and a
// multihash of SHA2-256 (0x12) with 32 (0x20) bytes.
func (c CID) String() string {
	b := append([]byte{1, c[0], 0x12, 0x20}, c[1:]...)
	return "b" + base32Lower.EncodeToString(b)
}

// IsZero says whether the CID is unset.
func (c CID) IsZero() bool { return c == CID{} }

// Valid says whether the codec is one that medanchor stores: raw (0x55) or dag-pb (0x70).
func (c CID) Valid() bool { return c[0] == codecRaw || c[0] == codecDagPB }

// MarshalText gives the form of String.
func (c CID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the form of String.
func (c *CID) UnmarshalText(text []byte) error {
	s := string(text)
	if len(s) == 59 && s[0] == 'b' {
		b, err := base32Lower.DecodeString(s[1:])
		if err == nil && len(b) == 36 {
			parsed := CID(append([]byte{b[1]}, b[4:]...))
			if parsed.Valid() && parsed.String() == s {
				*c = parsed
				return nil
			}
		}
	}
	return fmt.Errorf("parse CID %.80q: want a CIDv1 in base32 over SHA2-256, codec raw or dag-pb", s)
}

// ParseCID reads the form that CID.String gives.
func ParseCID(s string) (c CID, err error) { return c, c.UnmarshalText([]byte(s)) }

// kindNames are the text forms of the kinds; the place in the list is the number.
var kindNames = [...]string{"", "imaging", "prescription", "lab-result", "treatment-list", "letter", "other"}

// Valid says whether the kind is one of the known.
func (k Kind) Valid() bool { return k >= KindImaging && k <= KindOther }

// String gives a name such as "lab-result".
func (k Kind) String() string {
	if !k.Valid() {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// MarshalText gives the form of String; it refuses an unknown kind.
func (k Kind) MarshalText() ([]byte, error) {
	if !k.Valid() {
		return nil, fmt.Errorf("write kind %d: not a known kind of record", uint8(k))
	}
	return []byte(kindNames[k]), nil
}

// UnmarshalText reads the form of String.
func (k *Kind) UnmarshalText(text []byte) error {
	v, err := ParseKind(string(text))
	if err == nil {
		*k = v
	}
	return err
}

// ParseKind reads the form that Kind.String gives.
func ParseKind(s string) (Kind, error) {
	for k := KindImaging; k <= KindOther; k++ {
		if kindNames[k] == s {
			return k, nil
		}
	}
	return 0, fmt.Errorf("parse kind %.80q: want one of %q", s, kindNames[1:])
}

// String gives "created", "existing", "conflict" or "erased".
func (o Outcome) String() string {
	switch o {
	case Created:
		return "created"
	case Existing:
		return "existing"
	case Conflict:
		return "conflict"
	case Erased:
		return "erased"
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}
