package mutate_test

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/test/mutate"
)

func TestSameSeedSameFiles(t *testing.T) {
	digest := func(seed uint64) (sum [32]byte) {
		h := sha256.New()
		for f := range mutate.Files(seed, 300) {
			h.Write([]byte(f.Name))
			h.Write(f.Data)
		}
		return [32]byte(h.Sum(nil))
	}
	first, again, other := digest(1), digest(1), digest(2)
	if first != again {
		t.Error("the same seed gives other files")
	}
	if first == other {
		t.Error("another seed gives the same files")
	}
}

// TestKinds: any hundred files in a row have all kinds, bombs are small, and there are as many files as were asked for.
func TestKinds(t *testing.T) {
	kinds := map[mutate.Kind]int{}
	names := map[string]bool{}
	size := 0
	for f := range mutate.Files(7, 200) {
		kinds[f.Kind]++
		names[f.Name] = true
		size += len(f.Data)
		if len(f.Data) > 8<<20 {
			t.Errorf("%s has %d bytes", f.Name, len(f.Data))
		}
		if pdf := strings.HasSuffix(f.Name, ".pdf"); pdf != bytes.HasPrefix(f.Data, []byte("%PDF")) && len(f.Data) > 200 &&
			f.Kind != mutate.Changed {
			t.Errorf("%s begins with %q", f.Name, f.Data[:4])
		}
	}
	for _, kind := range []mutate.Kind{
		mutate.Changed, mutate.Truncated, mutate.Nested, mutate.LengthBomb, mutate.PDFBomb, mutate.DeflateBomb,
	} {
		if kinds[kind] < 2 {
			t.Errorf("%d of 200 files are %s", kinds[kind], kind)
		}
	}
	if len(names) != 200 {
		t.Errorf("%d names", len(names))
	}
	t.Logf("%v, %d bytes", kinds, size)
}

// TestEveryOffset: ten thousand files end at every offset of the DICOM header.
func TestEveryOffset(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 10,000 files")
	}
	ends := map[string]map[int]bool{} // by transfer syntax
	for f := range mutate.Files(1, 10_000) {
		if f.Kind != mutate.Truncated || !strings.HasSuffix(f.Name, ".dcm") || len(f.Data) < 180 {
			continue
		}
		syntax := string(f.Data[152:180])
		if ends[syntax] == nil {
			ends[syntax] = map[int]bool{}
		}
		ends[syntax][len(f.Data)] = true
	}
	if len(ends) < 5 {
		t.Errorf("%d transfer syntaxes", len(ends))
	}
	for syntax, offsets := range ends {
		for at := 180; at < 180+len(offsets); at++ {
			if !offsets[at] {
				t.Errorf("%q: no file ends at %d", syntax, at)
			}
		}
		if len(offsets) < 200 {
			t.Errorf("%q: %d offsets", syntax, len(offsets))
		}
	}
}
