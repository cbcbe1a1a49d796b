package folder

import (
	"context"
	"sync"
	"time"
)

// hintPause is the shortest time between two looks at the folder.
const hintPause = 20 * time.Millisecond

// Run scans and offers files until ctx ends.
func (f *Folder) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var offering sync.WaitGroup
	offering.Go(func() { f.offer(ctx) })
	f.hints.start()
	f.look(ctx)
	f.hints.stop()
	offering.Wait()
	return nil
}

// look scans until ctx ends, and looks in between at what is hinted at or due.
func (f *Folder) look(ctx context.Context) {
	var rescan, earliest time.Duration // however often everything may have changed, scans take at most half of the time
	for ctx.Err() == nil {
		if f.hints.takeAll() {
			rescan = min(rescan, earliest)
		}
		began := f.clock()
		if began >= rescan {
			f.scanned(ctx, f.scan(ctx))
			took := f.clock() - began
			rescan, earliest = f.clock()+max(f.Rescan, took), f.clock()+took
			began = f.clock()
		} else {
			f.attend(ctx)
		}
		took := f.clock() - began
		wait(ctx, f.untilNext(rescan), f.hints.c)
		wait(ctx, max(hintPause, took), nil) // nor does looking at what is hinted at
	}
}

// untilNext is how long there is nothing to look at.
func (f *Folder) untilNext(rescan time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if due, ok := f.nextDue(); ok {
		rescan = min(rescan, due)
	}
	return rescan - f.clock()
}

// wait returns after d, at a hint, or when ctx ends.
func wait(ctx context.Context, d time.Duration, hint <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-hint:
	}
}

// scanned remembers how a scan ended, and tells of a change.
func (f *Folder) scanned(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil && f.scanErr == nil:
		f.Log.Error("the folder cannot be read: files wait in it, and are tried again", "door", f.Name, "err", err)
	case err == nil && f.scanErr != nil:
		f.Log.Info("the folder can be read again", "door", f.Name)
	}
	f.scanErr = err
}
