package disk

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/medanchor/medanchor/document"
)

const (
	// fresh is how long a look at the disk is good for.
	fresh = 100 * time.Millisecond
	// leastMargin is the least that must be free above the reserve before intake resumes, in bytes.
	leastMargin = 64 << 20
)

// Options say what is kept free. Path and Log are required.
type Options struct {
	Path string // of the data folder
	// The reserve is the larger of so many bytes and so many percent of the file system; and so many percent of the inodes,
	// where their number is fixed.
	ReserveBytes   int64
	ReservePercent float64
	InodePercent   float64
	// Growth is what state.db may need, in bytes; nil for nothing. It may be called at any time.
	Growth func() int64
	// Pending is what waits to be written into the vault, in bytes; nil for nothing. It may be called at any time.
	Pending func() int64
	// Statfs looks at the disk; nil for the function Statfs.
	Statfs func(path string) (Space, error)
	Log    *slog.Logger
}

// Guard watches the reserve. It is safe for concurrent use.
type Guard struct {
	Options

	mu     sync.Mutex
	space  Space
	looked time.Time
	full   error // why nothing is taken; nil if something is
}

// New makes a Guard.
func New(o Options) *Guard {
	none := func() int64 { return 0 }
	if o.Growth == nil {
		o.Growth = none
	}
	if o.Pending == nil {
		o.Pending = none
	}
	if o.Statfs == nil {
		o.Statfs = Statfs
	}
	return &Guard{Options: o}
}

// Room says whether something may be taken in. pending is what the caller took in already and is to be written once more, in
// bytes, where it knows that better than Options.Pending. At the reserve it gives document.ErrNoRoom, with the figures.
func (g *Guard) Room(pending int64) error {
	owed := g.Growth() + max(pending, g.Pending(), 0)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.look(); err != nil {
		return g.turn(fmt.Errorf("look at the disk of %s: %w: nothing is taken in; check that it is mounted", g.Path, err))
	}
	return g.turn(g.short(owed))
}

// look brings what is known of the disk up to date.
func (g *Guard) look() error {
	now := time.Now()
	if age := now.Sub(g.looked); age >= 0 && age < fresh {
		return nil
	}
	space, err := g.Statfs(g.Path)
	if err != nil {
		return err
	}
	g.space, g.looked = space, now
	return nil
}

// short says what there is too little of, if so many bytes are owed. Once it is short of something there must be the margin
// too, so that intake does not stop and go with each file.
func (g *Guard) short(owed int64) error {
	reserve := max(g.ReserveBytes, percent(g.space.Bytes, g.ReservePercent))
	inodes := percent(g.space.Inodes, g.InodePercent) // 0 if their number is not fixed
	need, needInodes := reserve, inodes
	if errors.Is(g.full, document.ErrNoRoom) {
		need += max(reserve/20, leastMargin)
		needInodes += inodes / 20
	}
	if free := g.space.Free - owed; free < need {
		return fmt.Errorf("%w: %s of %s are free on %s, %s of them for what was taken in already, and %s are kept in reserve; "+
			"free %s there, or enlarge the disk, and intake goes on by itself", document.ErrNoRoom, size(g.space.Free),
			size(g.space.Bytes), g.Path, size(owed), size(reserve), size(reserve+max(reserve/20, leastMargin)-free))
	}
	if g.space.FreeInodes < needInodes {
		return fmt.Errorf("%w: %d of %d inodes are free on the file system of %s, and %d are kept in reserve; delete small files "+
			"there, or make a file system with more inodes, and intake goes on by itself", document.ErrNoRoom,
			g.space.FreeInodes, g.space.Inodes, g.Path, inodes)
	}
	return nil
}

// turn remembers whether something is taken, and tells of a change.
func (g *Guard) turn(full error) error {
	switch {
	case full != nil && g.full == nil && errors.Is(full, document.ErrNoRoom):
		g.Log.Error("intake stops: the disk is at its reserve", "err", full)
	case full != nil && g.full == nil:
		g.Log.Error("intake stops: the disk cannot be looked at", "err", full)
	case full == nil && g.full != nil:
		g.Log.Info("intake goes on: there is room on the disk again", "free_bytes", g.space.Free)
	}
	g.full = full
	return full
}

// size is n bytes for a person.
func size(n int64) string {
	const gib, mib = 1 << 30, 1 << 20
	if n >= gib {
		return fmt.Sprintf("%.1f GiB", float64(n)/gib)
	}
	return fmt.Sprintf("%d MiB", n/mib)
}

func percent(of int64, p float64) int64 { return int64(float64(of) * p / 100) }
