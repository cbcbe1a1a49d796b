package record

import "time"

// SchemaVersion is the version of every value that is JSON, under "v".
const SchemaVersion = 1

// ClockSkew is the most by which peers let a transaction's timestamp, which is the client's clock, differ from their own
// (core.yaml: peer.authentication.timewindow). What ends at a time therefore ends this much earlier by a transaction's
// timestamp: nobody gains by dating a transaction back.
const ClockSkew = 2 * time.Minute

// ID is the first 8 bytes of the ID of the transaction that made something: a request, a decision, an appointment.
type ID [8]byte

// String gives 11 characters of base64url.
func (id ID) String() string { return base64url.EncodeToString(id[:]) }

// IsZero says whether the ID is unset.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText gives the form of String.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the form of String.
func (id *ID) UnmarshalText(text []byte) error { return parseBase64(id[:], string(text), "ID") }

// ParseID reads the form that ID.String gives.
func ParseID(s string) (id ID, err error) { return id, id.UnmarshalText([]byte(s)) }

// ID gives the short name of what the transaction makes.
func (id TxID) ID() ID { return ID(id[:8]) }

// Over says whether what lasts until a time is over by a transaction's timestamp. Zero lasts for ever.
func Over(until, now time.Time) bool {
	return !until.IsZero() && !now.Add(ClockSkew).Before(until)
}

// Earlier gives the end that comes first. Zero lasts for ever.
func Earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
