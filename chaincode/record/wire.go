package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Every value and message begins with schemaVersion. A decoder that meets another number refuses: it was written by a
// newer schema.
const schemaVersion = 1

var (
	errTruncated    = errors.New("ends early")
	errTrailing     = errors.New("has bytes after its end")
	errSchema       = errors.New("is of another schema version: upgrade medanchor")
	errTime         = errors.New("holds a time outside the years 1 to 9999")
	errDay          = errors.New("holds a day after the year 9999")
	errNonCanonical = errors.New("holds a number in a longer form than needed")
)

// decoder reads a packed value. The first error sticks, and every later read gives zeros.
type decoder struct {
	rest []byte
	err  error
}

// newDecoder checks the schema version.
func newDecoder(b []byte) *decoder {
	d := &decoder{rest: b}
	if v := d.byte(); d.err == nil && v != schemaVersion {
		d.err = errSchema
	}
	return d
}

func (d *decoder) take(n int) []byte {
	if d.err == nil && len(d.rest) < n {
		d.err = errTruncated
	}
	if d.err != nil {
		return make([]byte, n)
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) byte() byte { return d.take(1)[0] }

// uvarint reads an unsigned LEB128 number in its shortest form.
func (d *decoder) uvarint() uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.rest)
	switch {
	case n <= 0:
		d.err = errTruncated
		return 0
	case n > 1 && d.rest[n-1] == 0:
		d.err = errNonCanonical
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) time() time.Time {
	var b [8]byte
	copy(b[3:], d.take(timeSize))
	v := binary.BigEndian.Uint64(b[:])
	if v == 0 {
		return time.Time{}
	}
	t := time.Unix(int64(v)-timeBias, 0).UTC() //nolint:gosec // 40 bits
	if d.err == nil && (t.IsZero() || !validTime(t)) {
		d.err = errTime
	}
	return t
}

func (d *decoder) day() time.Time {
	b := d.take(daySize)
	days := int64(b[0])<<16 | int64(b[1])<<8 | int64(b[2])
	t := time.Unix(dayZero+days*secondsPerDay, 0).UTC()
	if d.err == nil && !validDay(t) {
		d.err = errDay
	}
	return t
}

// end gives the first error, or that bytes are left over.
func (d *decoder) end() error {
	if d.err == nil && len(d.rest) > 0 {
		return errTrailing
	}
	return d.err
}

// endOf is end of a value under the key of a noun.
func (d *decoder) endOf(noun string) error {
	if err := d.end(); err != nil {
		return fmt.Errorf("decode %s: value %w", noun, err)
	}
	return nil
}

// A time is packed as 40 bits: Unix seconds plus timeBias, so that a study of 1895 is a positive number too; 0 is an
// unknown time.
const (
	timeSize = 5
	timeBias = 1 << 39
)

func appendTime(b []byte, t time.Time) []byte {
	var v uint64
	if !t.IsZero() {
		v = uint64(t.Unix() + timeBias) //nolint:gosec // validTime keeps it positive
	}
	return append(b, byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

// validTime says whether t can be packed and written as RFC 3339.
func validTime(t time.Time) bool {
	return t.IsZero() || t.UTC().Year() >= 1 && t.UTC().Year() <= 9999
}

// A day is packed as 24 bits: days since 1 January of year 1. That day itself, the zero time, is an unknown one.
const (
	daySize       = 3
	secondsPerDay = 24 * 60 * 60
	dayZero       = -719_162 * secondsPerDay // Unix time of the zero time
)

func appendDay(b []byte, t time.Time) []byte {
	days := (t.Unix() - dayZero) / secondsPerDay
	return append(b, byte(days>>16), byte(days>>8), byte(days)) //nolint:gosec // validDay keeps it in 24 bits
}

// validDay says whether t is midnight in UTC, of a day that can be packed.
func validDay(t time.Time) bool {
	return validTime(t) && t.Unix()%secondsPerDay == 0 && t.Nanosecond() == 0
}
