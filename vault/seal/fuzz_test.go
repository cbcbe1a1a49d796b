package seal

import (
	"bytes"
	"errors"
	"testing"

	"github.com/medanchor/medanchor/document"
)

// FuzzOpenHeader puts anything where a sealed header should stand, and changes one that stands there: it opens only as what was
// sealed for that item.
func FuzzOpenHeader(f *testing.F) {
	vault := newFixture(f).load(f)
	id := document.ItemID{1, 2, 3, 15: 7}
	header, _ := sealAll(f, vault, []byte("content"))
	sealed := vault.SealHeader(id, header)
	for _, seed := range [][]byte{
		nil, {}, {headerVersion, 0, 0, 0, 1}, {0xff, 0, 4, 1}, {0, 0, 1}, []byte("age-encryption.org/v1\n---\n"), sealed[:64], header[:64],
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, candidate := range [][]byte{data, patched(sealed, data)} {
			opened, err := vault.OpenHeader(id, candidate)
			switch {
			case err == nil && !(bytes.Equal(candidate, sealed) && bytes.Equal(opened, header)):
				t.Errorf("%d bytes open as a header that nobody sealed", len(candidate))
			case err != nil && !errors.Is(err, ErrSealed):
				t.Errorf("refused with %v", err)
			}
		}
	})
}

// FuzzFileKey does the same with the header itself: a file key comes only out of what age wrote.
func FuzzFileKey(f *testing.F) {
	vault := newFixture(f).load(f)
	header, _ := sealAll(f, vault, []byte("content"))
	for _, seed := range [][]byte{nil, {0, 0, 1}, {1}, []byte("age-encryption.org/v1\n---\n"), header[:64]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, candidate := range [][]byte{data, patched(header, data)} {
			if _, err := vault.FileKey(candidate); err == nil && !bytes.HasPrefix(candidate, header) {
				t.Errorf("a file key comes out of %d bytes that age did not write", len(candidate))
			}
		}
	})
}

// patched changes bytes of a copy: each three bytes of the patch are an offset, and what the byte there is changed by. What is
// left over cuts it short.
func patched(original, patch []byte) []byte {
	changed := bytes.Clone(original)
	for ; len(patch) >= 3; patch = patch[3:] {
		at := (int(patch[0])<<8 | int(patch[1])) % len(changed)
		changed[at] ^= patch[2]
	}
	if len(patch) == 1 {
		changed = changed[:int(patch[0])%len(changed)]
	}
	return changed
}
