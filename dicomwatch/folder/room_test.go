package folder_test

import (
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/medanchor/medanchor/document"
)

func TestNothingIsOfferedWithoutRoom(t *testing.T) {
	var full atomic.Bool
	full.Store(true)
	o := options(t)
	o.Room = func() error {
		if full.Load() {
			return document.ErrNoRoom
		}
		return nil
	}
	f, in := startFolder(t, o)
	write(t, filepath.Join(o.Path, "a.dcm"), "x")
	eventually(t, "it is told", func() bool {
		return errors.Is(f.Err(), document.ErrNoRoom) && f.Held()["a.dcm"] == document.ErrNoRoom.Error()
	})
	in.quiet(t)
	full.Store(false)
	in.next(t)
	if err := f.Err(); err != nil || len(f.Held()) != 0 {
		t.Errorf("there is room again: %v, held %v", err, f.Held())
	}
}

// The pipeline may find first that there is no room.
func TestAFileThatFoundNoRoomIsOfferedAgain(t *testing.T) {
	o := options(t)
	in := start(t, o)
	write(t, filepath.Join(o.Path, "a.dcm"), "x")
	d := in.next(t)
	d.Door.Release(d.Claim, document.ErrNoRoom)
	in.next(t)
}
