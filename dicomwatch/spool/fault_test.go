package spool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch/dir"
	"github.com/medanchor/medanchor/dicomwatch/dir/dirtest"
	"github.com/medanchor/medanchor/dicomwatch/spool"
	"github.com/medanchor/medanchor/document"
)

// outcome is what became of a round.
type outcome struct {
	opened       error // by New
	acknowledged []string
	refused      []error // of senders
	ran          error   // by Run
	after        error   // Err, some time later
}

// round is a process's life on a disk: it finds what is there, objects come in, some are taken and some wait.
func round(t *testing.T, o spool.Options, disk *dirtest.Disk, p *pipeline) (out outcome) {
	t.Helper()
	o.OpenDir, o.Recheck = disk.Open, time.Minute
	s, err := spool.New(o, p)
	if err != nil {
		return outcome{opened: err}
	}
	defer s.Close()
	stop := run(t.Context(), s)
	for n := range 3 {
		c := content(n, 300_000)
		if err := send(t.Context(), s, c); err != nil {
			out.refused = append(out.refused, err)
		} else {
			out.acknowledged = append(out.acknowledged, string(c))
		}
	}
	in, err := s.Create(sent) // one that its sender gives up
	if err == nil {
		_, _ = in.Write(make([]byte, 300_000))
		_ = in.Discard()
	}
	time.Sleep(3 * time.Minute)
	synctest.Wait()
	out.after = s.Err()
	out.ran = stop()
	return out
}

// beforehand leaves in the spool what an earlier process left there: an object that waits, and one that was cut short.
func beforehand(t *testing.T, o spool.Options) (waits string) {
	t.Helper()
	name, whole := spooled(t, o, content(99, 100_000))
	put(t, o, name, whole)
	name, torn := spooled(t, o, content(98, 100_000))
	if err := os.WriteFile(filepath.Join(o.Path, name), torn[:80_000], 0o600); err != nil {
		t.Fatal(err)
	}
	return string(content(99, 100_000))
}

// takesSome is a pipeline that leaves every second object for later.
func takesSome() *pipeline {
	later := make(map[string]bool)
	return &pipeline{take: func(d document.Delivery) error {
		if _, known := later[d.Claim.Path]; !known {
			later[d.Claim.Path] = len(later)%2 == 1
		}
		if later[d.Claim.Path] {
			return errors.New("later")
		}
		return nil
	}}
}

// Whatever call of the disk fails, at whatever place: what was acknowledged is there after a restart, nothing is there twice,
// and what failed is said.
func TestEveryFaultOfTheDisk(t *testing.T) {
	o := options(t)
	var peace dirtest.Disk
	synctest.Test(t, func(t *testing.T) {
		beforehand(t, o)
		if out := round(t, o, &peace, takesSome()); len(out.acknowledged) != 3 || out.ran != nil {
			t.Fatalf("in peace: %+v", out)
		}
	})
	sites := dirtest.Sites(peace.Counts())
	t.Logf("%d faults; calls: %v", len(sites), peace.Counts())
	for _, fault := range sites {
		if testing.Short() && fault.N%7 != 1 {
			continue
		}
		done := ""
		if fault.Done {
			done = ", done"
		}
		t.Run(fmt.Sprintf("%s %d: %v%s", fault.Call, fault.N, fault.Err, done), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { survive(t, o, fault) })
		})
	}
}

func survive(t *testing.T, o spool.Options, fault dirtest.Fault) {
	t.Helper()
	waits := beforehand(t, o)
	var disk dirtest.Disk
	disk.Fail(fault)
	p := takesSome()
	out := round(t, o, &disk, p)
	for _, err := range append(out.refused, out.opened, out.ran) {
		if err != nil && !errors.Is(err, fault.Err) {
			t.Errorf("it says %v", err)
		}
		if errors.Is(fault.Err, unix.ENOSPC) && fault.Call == dirtest.Write && err != nil && !errors.Is(err, document.ErrNoRoom) {
			t.Errorf("a full disk is not no room: %v", err)
		}
	}
	synced := fault.Call == dirtest.Sync || fault.Call == dirtest.SyncDir
	if synced && disk.Fired() > 0 && out.opened == nil && out.ran == nil {
		t.Error("a failed fsync is not fatal")
	}
	if !synced && out.ran != nil {
		t.Errorf("fatal: %v", out.ran)
	}
	if !synced && out.opened == nil && out.ran == nil && out.after != nil && !onlyHeld(out.after) {
		t.Errorf("minutes after the fault: %v", out.after)
	}

	// After a restart on a sound disk the pipeline takes all; what it has it knows.
	p.take = nil
	s := start(t, o, p)
	stop := run(t.Context(), s)
	time.Sleep(time.Minute)
	synctest.Wait()
	if err := errors.Join(stop(), s.Err()); err != nil {
		t.Error(err)
	}
	times := make(map[string]int)
	for _, c := range p.contents() {
		times[c]++
	}
	for _, c := range append(out.acknowledged, waits) {
		if times[c] == 0 {
			t.Errorf("lost: %.20q", c)
		}
	}
	for c, n := range times {
		if n > 1 {
			t.Errorf("%d times: %.20q", n, c)
		}
	}
	if n, size := s.Waiting(); n != 0 || size != 0 || len(files(t, o.Path)) != 0 {
		t.Errorf("left: %d objects, %d bytes, %v", n, size, files(t, o.Path))
	}
}

// onlyHeld says whether all that is wrong is that the pipeline leaves objects for later.
func onlyHeld(err error) bool {
	joined, ok := err.(interface{ Unwrap() []error })
	return ok && len(joined.Unwrap()) == 1 && errors.Unwrap(joined.Unwrap()[0]).Error() == "later"
}

// After a failed fsync nothing more is acknowledged, though the disk works again.
func TestAfterAFailedFsyncNothingIsAcknowledged(t *testing.T) {
	for _, call := range []dirtest.Call{dirtest.Sync, dirtest.SyncDir} {
		t.Run(string(call), func(t *testing.T) {
			o := options(t)
			var disk dirtest.Disk
			o.OpenDir = disk.Open
			s := start(t, o, &pipeline{})
			under, err := s.Create(sent) // on its way in meanwhile
			if err != nil {
				t.Fatal(err)
			}
			disk.Fail(dirtest.Fault{Call: call, N: 1, Err: unix.EIO})
			if err := send(t.Context(), s, content(1, 1000)); !errors.Is(err, unix.EIO) {
				t.Errorf("send = %v", err)
			}
			if err := under.Commit(t.Context()); !errors.Is(err, unix.EIO) {
				t.Errorf("another's Commit = %v", err)
			}
			if _, err := s.Create(sent); !errors.Is(err, unix.EIO) {
				t.Errorf("Create = %v", err)
			}
			if err := s.Run(t.Context()); !errors.Is(err, unix.EIO) || !errors.Is(s.Err(), unix.EIO) {
				t.Errorf("Run = %v, Err = %v", err, s.Err())
			}
			if n, _ := s.Waiting(); n != 0 || len(files(t, o.Path)) != 0 {
				t.Errorf("%d objects wait, files %v", n, files(t, o.Path))
			}
		})
	}
}

// A disk that is read-only or full is said, nothing is taken, and it goes on by itself.
func TestItRecoversWhenTheDiskDoes(t *testing.T) {
	for _, err := range []error{unix.EROFS, unix.ENOSPC, unix.EIO} {
		for _, call := range []dirtest.Call{dirtest.Create, dirtest.Write} {
			t.Run(fmt.Sprint(call, " ", err), func(t *testing.T) {
				o := options(t)
				var disk dirtest.Disk
				o.OpenDir = disk.Open
				s := start(t, o, &pipeline{})
				disk.Fail(dirtest.Fault{Call: call, N: 1, Err: err, Stays: true})
				for range 3 {
					got := send(t.Context(), s, content(1, 300_000))
					if !errors.Is(got, err) || errors.Is(got, document.ErrNoRoom) != errors.Is(err, unix.ENOSPC) {
						t.Errorf("send = %v", got)
					}
				}
				if got := s.Err(); !errors.Is(got, err) {
					t.Errorf("Err = %v", got)
				}
				disk.Heal()
				if got := send(t.Context(), s, content(1, 300_000)); got != nil || s.Err() != nil || len(files(t, o.Path)) != 1 {
					t.Errorf("once it works again: %v, Err %v, files %v", got, s.Err(), files(t, o.Path))
				}
			})
		}
	}
}

// gate is a directory whose Sync waits.
type gate struct {
	dir.FS
	open  chan struct{}
	syncs *int
}

func (g gate) Sync(name string) error {
	*g.syncs++
	<-g.open
	return g.FS.Sync(name)
}

// Who waits for the directory's fsync while one is under way shares the next.
func TestCommitsShareTheDirectorysFsync(t *testing.T) {
	o := options(t)
	if err := os.Mkdir(o.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		syncs, open := 0, make(chan struct{})
		o.OpenDir = func(path string) (dir.FS, error) {
			root, err := dir.Open(path)
			if err != nil || path != o.Path {
				return root, err
			}
			return gate{root, open, &syncs}, nil
		}
		s := start(t, o, &pipeline{})
		done := make(chan error, 20)
		one := func() { done <- send(context.WithoutCancel(t.Context()), s, content(1, 100)) }
		go one()
		synctest.Wait() // it is in the fsync
		for range 19 {
			go one()
		}
		synctest.Wait()
		close(open)
		for range 20 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n, _ := s.Waiting(); n != 20 || syncs != 2 {
			t.Errorf("%d objects, %d fsyncs", n, syncs)
		}
	})
}

// What cannot be removed is not said to be gone; the pipeline acknowledges it again, and does not take it twice.
func TestWhatCannotBeRemovedIsAcknowledgedAgain(t *testing.T) {
	o := options(t)
	synctest.Test(t, func(t *testing.T) {
		var disk dirtest.Disk
		o.OpenDir = disk.Open
		p := &pipeline{}
		s := start(t, o, p)
		stop := run(t.Context(), s)
		disk.Fail(dirtest.Fault{Call: dirtest.Remove, N: 1, Err: unix.EIO, Stays: true})
		if err := send(t.Context(), s, content(1, 1000)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n, _ := s.Waiting(); p.gone != 0 || len(p.errs) < 2 || !errors.Is(p.errs[0], unix.EIO) || n != 1 || !errors.Is(s.Err(), unix.EIO) {
			t.Errorf("%d gone, %v, %d wait, Err %v", p.gone, p.errs, n, s.Err())
		}
		disk.Heal()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if err := errors.Join(stop(), s.Err()); err != nil || p.gone != 1 || len(p.contents()) != 1 || len(files(t, o.Path)) != 0 {
			t.Errorf("once it can: %v, %d gone, taken %d times, files %v", err, p.gone, len(p.contents()), files(t, o.Path))
		}
	})
}

// Whatever read of an object fails, it is said, once, and the object is tried again. The first is age's, which reads further than
// the header that it looks for, and passes over what fails there.
func TestAFailedReadIsSaid(t *testing.T) {
	deliver := func(fault dirtest.Fault) (log string, reads int) {
		o := options(t)
		synctest.Test(t, func(t *testing.T) {
			var disk dirtest.Disk
			var said bytes.Buffer
			o.OpenDir, o.Log = disk.Open, slog.New(slog.NewTextHandler(&said, nil))
			p := &pipeline{}
			s := start(t, o, p)
			if err := send(t.Context(), s, content(1, 3*chunk)); err != nil {
				t.Fatal(err)
			}
			disk.Fail(fault)
			stop := run(t.Context(), s)
			time.Sleep(time.Minute)
			synctest.Wait()
			if err := errors.Join(stop(), s.Err()); err != nil || len(p.contents()) != 1 || len(files(t, o.Path)) != 0 {
				t.Errorf("%v, %d objects, files %v", err, len(p.contents()), files(t, o.Path))
			}
			log, reads = said.String(), disk.Counts()[dirtest.Read]
		})
		return log, reads
	}
	log, reads := deliver(dirtest.Fault{Call: dirtest.Read, N: 1000, Err: unix.EIO})
	if log != "" || reads < 4 {
		t.Fatalf("in peace: %d reads, %s", reads, log)
	}
	for n := range reads {
		log, _ := deliver(dirtest.Fault{Call: dirtest.Read, N: n + 1, Err: unix.EIO})
		if strings.Count(log, unix.EIO.Error()) != 1 || strings.Count(log, "tried again") != 1 {
			t.Errorf("read %d of %d fails: %s", n+1, reads, log)
		}
	}
}

func TestAcknowledgeSyncsTheDirectoryOnce(t *testing.T) {
	o := options(t)
	var disk dirtest.Disk
	o.OpenDir = disk.Open
	synctest.Test(t, func(t *testing.T) {
		var claims []document.Claim
		s := start(t, o, &pipeline{take: func(d document.Delivery) error {
			claims = append(claims, d.Claim)
			return errors.New("later")
		}})
		for n := range 10 {
			if err := send(t.Context(), s, content(n, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		stop := run(t.Context(), s)
		synctest.Wait()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		before := disk.Counts()[dirtest.SyncDir]
		gone, err := s.Acknowledge(t.Context(), claims)
		if syncs := disk.Counts()[dirtest.SyncDir] - before; err != nil || len(gone) != 10 || syncs != 1 {
			t.Errorf("Acknowledge = %d gone, %v, with %d fsyncs", len(gone), err, syncs)
		}
	})
}

// An fsync that fails while another object's directory is synced: that object is not acknowledged either.
func TestAFailedFsyncStopsWhatIsUnderWay(t *testing.T) {
	o := options(t)
	if err := os.Mkdir(o.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var disk dirtest.Disk
		syncs, open := 0, make(chan struct{})
		o.OpenDir = func(path string) (dir.FS, error) {
			root, err := disk.Open(path)
			if err != nil || path != o.Path {
				return root, err
			}
			return gate{root, open, &syncs}, nil
		}
		s := start(t, o, &pipeline{})
		done := make(chan error, 1)
		go func() { done <- send(context.WithoutCancel(t.Context()), s, content(1, 100)) }()
		synctest.Wait() // it is in the directory's fsync
		disk.Fail(dirtest.Fault{Call: dirtest.Sync, N: 1, Err: unix.EIO})
		if err := send(t.Context(), s, content(2, 100)); !errors.Is(err, unix.EIO) {
			t.Errorf("send = %v", err)
		}
		close(open)
		if err := <-done; !errors.Is(err, unix.EIO) {
			t.Errorf("the one under way: %v", err)
		}
		if n, _ := s.Waiting(); n != 0 {
			t.Errorf("%d objects wait", n)
		}
	})
}
