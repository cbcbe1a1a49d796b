package pause_test

import (
	"slices"
	"testing"
	"time"

	"github.com/medanchor/medanchor/pause"
)

func TestAPauseDoublesUpToItsBoundAndBeginsAnew(t *testing.T) {
	g := pause.Growing{First: time.Second, Last: 5 * time.Second}
	for range 2 {
		var got []time.Duration
		for range 5 {
			got = append(got, g.Next()/time.Second)
		}
		if want := []time.Duration{1, 2, 4, 5, 5}; !slices.Equal(got, want) {
			t.Errorf("pauses of %d seconds, want %d", got, want)
		}
		g.Reset()
	}
}
