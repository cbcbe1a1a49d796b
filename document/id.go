package document

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// NewItemID makes an ID for an item received at t.
func NewItemID(t time.Time) ItemID {
	var id ItemID
	rand.Read(id[:]) // never fails (crypto/rand)
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(t.UnixMilli()))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// String gives the UUID form, 36 characters.
func (id ItemID) String() string {
	h := hex.EncodeToString(id[:])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// ParseItemID reads the form that String gives.
func ParseItemID(s string) (ItemID, error) {
	var id ItemID
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != len(id) || len(s) != 36 {
		return id, fmt.Errorf("parse item ID %q: want a UUID such as 0199c0de-0000-7000-8000-000000000000", s)
	}
	copy(id[:], b)
	return id, nil
}

// MarshalText gives the UUID form.
func (id ItemID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the UUID form.
func (id *ItemID) UnmarshalText(text []byte) error {
	v, err := ParseItemID(string(text))
	*id = v
	return err
}

// String gives 64 hexadecimal characters.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText gives the form of String.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the form of String.
func (d *Digest) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(d) {
		return fmt.Errorf("parse digest %q: want 64 hexadecimal characters", text)
	}
	copy(d[:], b)
	return nil
}
