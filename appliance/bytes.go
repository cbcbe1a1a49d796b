package appliance

import (
	"fmt"

	"github.com/dustin/go-humanize"
)

// Bytes is a size in the configuration, such as 128KiB or 4GiB.
type Bytes int64

// MarshalText writes a size so that UnmarshalText gives it back exactly.
func (b Bytes) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%dB", b), nil }

// UnmarshalText reads a size with its unit.
func (b *Bytes) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > 1<<62 {
		return fmt.Errorf("%q is not a size: write it as 512MiB or 4GiB", text)
	}
	*b = Bytes(n)
	return nil
}

// String gives the size with its unit.
func (b Bytes) String() string { return humanize.IBytes(uint64(max(b, 0))) }
