package child

import (
	"testing"

	"github.com/medanchor/medanchor/ingest/inspect/sandbox"
)

// TestWorn: no file is begun with less than 20 s of CPU time left, nor with much of the memory held.
func TestWorn(t *testing.T) {
	for _, c := range []struct {
		memory uint64
		left   float64 // of the CPU time, in seconds
		want   bool
	}{
		{16 << 20, sandbox.CPUSeconds, false},
		{16 << 20, 20.1, false},
		{16 << 20, 19.9, true},
		{49 << 20, sandbox.CPUSeconds, true},
	} {
		if got := worn(c.memory, sandbox.CPUSeconds-c.left); got != c.want {
			t.Errorf("%d bytes held, %v s left: %v, want %v", c.memory, c.left, got, c.want)
		}
	}
	if held := memory(); held == 0 {
		t.Error("the runtime holds no memory")
	}
}
