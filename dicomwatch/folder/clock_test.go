package folder_test

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// jumping is a wall clock that is off by what is stored in it.
type jumping struct{ atomic.Int64 }

func (j *jumping) now() time.Time { return time.Now().Add(time.Duration(j.Load())) }

// However the wall clock jumps, a file that was seen to change is offered after its quiet period, not before, and not never.
func TestTheClockIsMovedBackAndForth(t *testing.T) {
	for name, off := range map[string]time.Duration{"forward": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var clock jumping
			o := options(t)
			o.Quiet, o.Now = 500*time.Millisecond, clock.now
			f, in := startFolder(t, o)
			eventually(t, "the first scan", func() bool { return f.Scans() > 0 })
			began := time.Now()
			write(t, filepath.Join(o.Path, "a.dcm"), "half")
			clock.Store(int64(off))
			select {
			case <-in:
				t.Fatalf("offered after %s", time.Since(began))
			case <-time.After(o.Quiet / 2):
			}
			began = time.Now()
			write(t, filepath.Join(o.Path, "a.dcm"), "half, and the rest")
			d := in.next(t)
			if took := time.Since(began); took < o.Quiet || took > 10*o.Quiet || !d.Growing {
				t.Errorf("offered after %s, growing %t", took, d.Growing)
			}
		})
	}
}

// A camera's clock may be years ahead, and the hospital's may be behind at the start.
func TestAFileFromTheFutureIsOffered(t *testing.T) {
	o := options(t)
	path := filepath.Join(o.Path, "a.dcm")
	write(t, path, "x")
	future := time.Now().Add(24 * time.Hour)
	if err := os.Chtimes(path, future, future); err != nil {
		t.Fatal(err)
	}
	start(t, o).next(t)

	var behind jumping
	behind.Store(-int64(time.Hour))
	o = options(t)
	o.Now = behind.now
	write(t, filepath.Join(o.Path, "a.dcm"), "x")
	start(t, o).next(t)
}
