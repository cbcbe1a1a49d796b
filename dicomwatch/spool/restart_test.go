package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/spool"
	"github.com/medanchor/medanchor/document"
)

// spooled gives the file of one object, under the options of its spool.
func spooled(t *testing.T, o spool.Options, content []byte) (name string, file []byte) {
	t.Helper()
	o.Path = filepath.Join(t.TempDir(), "spool")
	s := start(t, o, &pipeline{})
	if err := send(t.Context(), s, content); err != nil {
		t.Fatal(err)
	}
	name = files(t, o.Path)[0]
	file, err := os.ReadFile(filepath.Join(o.Path, name))
	if err != nil {
		t.Fatal(err)
	}
	return name, file
}

// put makes the spool's directory hold this file alone.
func put(t *testing.T, o spool.Options, name string, file []byte) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(o.Path), os.Mkdir(o.Path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.Path, name), file, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Wherever a stop cut a file short, it is removed: nobody was told that it is safe.
func TestWhatAStopCutShortIsRemoved(t *testing.T) {
	o := options(t)
	name, whole := spooled(t, o, content(1, 3*chunk+1000))
	sizes := []int{0, 1, len(whole) - 1, len(whole) - 8, len(whole) - 26, len(whole) - 27}
	for size := 10; size < 1000; size += 7 { // the head
		sizes = append(sizes, size)
	}
	for size := 1000; size < len(whole); size += 4099 {
		sizes = append(sizes, size)
	}
	for at := bytes.Index(whole, []byte("\n")); at < len(whole); at += chunk + 16 { // and where chunks end
		sizes = append(sizes, min(len(whole)-1, at+16), at)
	}
	torn := make(map[string][]byte)
	for _, size := range sizes {
		torn[fmt.Sprintf("the first %d of %d bytes", size, len(whole))] = whole[:size]
	}
	torn["zeros, of which a probe consists"] = make([]byte, 256<<10)
	torn["a beginning that a power cut left unwritten"] = zeroed(whole, 4096)[:len(whole)-1]
	for what, file := range torn {
		put(t, o, name, file)
		s, err := spool.New(o, &pipeline{})
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := s.Waiting(); n != 0 || s.Err() != nil || len(files(t, o.Path)) != 0 {
			t.Errorf("%s: %d objects wait, Err %v, files %v", what, n, s.Err(), files(t, o.Path))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// zeroed is a file whose first n bytes are zero.
func zeroed(file []byte, n int) []byte { return append(make([]byte, n), file[n:]...) }

// What was whole and does not open now is kept, and said; the rest goes its way.
func TestWhatIsDamagedIsKept(t *testing.T) {
	o := options(t)
	name, whole := spooled(t, o, content(1, 3*chunk+1000))
	flipped := func(at int) []byte {
		file := bytes.Clone(whole)
		file[at] ^= 0x01
		return file
	}
	for what, file := range map[string][]byte{
		"magic":              flipped(3),
		"version":            bytes.Replace(whole, []byte("spool 1\n"), []byte("spool 2\n"), 1),
		"length of the info": flipped(20),
		"info":               flipped(100),
		"last chunk":         flipped(len(whole) - 100),
		"zeros, and the end": zeroed(whole, 4096),
		"another's zeros":    append([]byte{1}, make([]byte, 4096)...),
	} {
		t.Run(what, func(t *testing.T) {
			put(t, o, name, file)
			p := &pipeline{}
			s := start(t, o, p)
			if n, _ := s.Waiting(); n != 0 || len(files(t, o.Path)) != 1 {
				t.Errorf("%d objects wait, files %v", n, files(t, o.Path))
			}
			if err := s.Err(); err == nil || !strings.Contains(err.Error(), "1 objects in the spool") || strings.Contains(err.Error(), name) {
				t.Errorf("Err = %v", err)
			}
		})
	}
}

// A file is bound to its name: one that was copied is no second object.
func TestACopyUnderAnotherNameDoesNotOpen(t *testing.T) {
	o := options(t)
	name, whole := spooled(t, o, content(1, 1000))
	other := "0" + name[1:]
	if other == name {
		other = "1" + name[1:]
	}
	put(t, o, other, whole)
	s := start(t, o, &pipeline{})
	if n, _ := s.Waiting(); n != 0 || s.Err() == nil {
		t.Errorf("%d objects wait, Err = %v", n, s.Err())
	}
}

// With another vault's key nothing opens and nothing is removed; once the right key is back, all is offered.
func TestAnotherKeyOpensNothingAndRemovesNothing(t *testing.T) {
	o := options(t)
	synctest.Test(t, func(t *testing.T) {
		s := start(t, o, &pipeline{})
		for n := range 3 {
			if err := send(t.Context(), s, content(n, 100_000)); err != nil {
				t.Fatal(err)
			}
		}
		other := o
		other.Sealer = newVault(t)
		s = start(t, other, &pipeline{})
		if n, _ := s.Waiting(); n != 0 || s.Err() == nil || len(files(t, o.Path)) != 3 {
			t.Errorf("with another key: %d wait, Err %v, %d files", n, s.Err(), len(files(t, o.Path)))
		}
		p := &pipeline{}
		s = start(t, o, p)
		stop := run(t.Context(), s)
		synctest.Wait()
		if err := stop(); err != nil || len(p.contents()) != 3 {
			t.Errorf("with the key: %d objects, %v", len(p.contents()), err)
		}
	})
}

// Damage inside an object shows when it is read: it stays in the spool, and is said, with what its user needs to end it.
func TestAChangedChunkIsNeverDelivered(t *testing.T) {
	o := options(t)
	name, whole := spooled(t, o, content(1, 3*chunk+1000))
	whole[len(whole)/2] ^= 1
	put(t, o, name, whole)
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	synctest.Test(t, func(t *testing.T) {
		p := &pipeline{}
		s := start(t, o, p)
		stop := run(t.Context(), s)
		time.Sleep(time.Hour)
		synctest.Wait()
		if err := stop(); err != nil || len(p.contents()) != 0 || s.Err() == nil || len(files(t, o.Path)) != 1 {
			t.Errorf("Run %v, %d objects, Err %v, files %v", err, len(p.contents()), s.Err(), files(t, o.Path))
		}
		const remedy = "move its file out of the spool folder, restart, and have the device send it again"
		for _, want := range []string{name, sent.Calling, remedy} {
			if strings.Count(log.String(), want) != 1 {
				t.Errorf("%s is not said once: %s", want, log.String())
			}
		}
		if err := s.Err(); !strings.HasSuffix(err.Error(), remedy) {
			t.Errorf("Err = %v", err)
		}
	})
}

// What cannot be mended is found by its name in the log, and is at an end once it is moved away.
func TestWhatWasPutAsideCanBeMovedAway(t *testing.T) {
	o := options(t)
	name, whole := spooled(t, o, content(1, 1000))
	whole[100] ^= 1
	put(t, o, name, whole)
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	synctest.Test(t, func(t *testing.T) {
		s := start(t, o, &pipeline{})
		stop := run(t.Context(), s)
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := s.Err(); err == nil || !strings.HasSuffix(err.Error(), "have the device send them again") {
			t.Errorf("Err = %v", err)
		}
		if strings.Count(log.String(), name) != 1 || !strings.Contains(log.String(), "have the device send them again") {
			t.Errorf("its name is not said once, with what to do: %s", log.String())
		}
		if err := os.Rename(filepath.Join(o.Path, name), filepath.Join(t.TempDir(), name)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second) // Options.Recheck, and a little
		synctest.Wait()
		if err := errors.Join(stop(), s.Err()); err != nil {
			t.Errorf("once it is moved away: %v", err)
		}
	})
}

// Of many that do not open some are named; of the rest, once these are moved away.
func TestNotAllThatIsPutAsideIsNamedAtOnce(t *testing.T) {
	const all = 40
	o := options(t)
	other := o
	other.Sealer = newVault(t)
	s := start(t, other, &pipeline{})
	for n := range all {
		if err := send(t.Context(), s, content(n, 100)); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	synctest.Test(t, func(t *testing.T) {
		stop := run(t.Context(), start(t, o, &pipeline{}))
		for left := all; left > 0; left = len(files(t, o.Path)) {
			if strings.Count(log.String(), "level=ERROR") != 1 || !strings.Contains(log.String(), fmt.Sprintf("objects=%d", left)) {
				t.Errorf("of %d: %s", left, log.String())
			}
			named := 0
			for _, name := range files(t, o.Path) {
				if !strings.Contains(log.String(), name) {
					continue
				}
				named++
				if err := os.Remove(filepath.Join(o.Path, name)); err != nil {
					t.Fatal(err)
				}
			}
			if named == 0 || named > 20 {
				t.Fatalf("%d of %d are named", named, left)
			}
			log.Reset()
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Files of others (lost+found of a disk of its own) are let alone.
func TestForeignFilesAreLetAlone(t *testing.T) {
	o := options(t)
	put(t, o, "README", []byte("hello"))
	if err := os.Mkdir(filepath.Join(o.Path, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := start(t, o, &pipeline{})
	if n, _ := s.Waiting(); n != 0 || s.Err() != nil || len(files(t, o.Path)) != 2 {
		t.Errorf("%d objects wait, Err %v, files %v", n, s.Err(), files(t, o.Path))
	}
}

// What opened badly once is looked at again: a disk may come back.
func TestWhatWasPutAsideIsLookedAtAgain(t *testing.T) {
	o := options(t)
	name, whole := spooled(t, o, content(1, 1000))
	damaged := bytes.Clone(whole)
	damaged[100] ^= 1
	put(t, o, name, damaged)
	synctest.Test(t, func(t *testing.T) {
		p := &pipeline{}
		s := start(t, o, p)
		stop := run(t.Context(), s)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s.Err() == nil || len(p.contents()) != 0 {
			t.Errorf("damaged: Err %v, %d objects", s.Err(), len(p.contents()))
		}
		if err := os.WriteFile(filepath.Join(o.Path, name), whole, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := stop(); err != nil || s.Err() != nil || len(p.contents()) != 1 {
			t.Errorf("repaired: Run %v, Err %v, %d objects", err, s.Err(), len(p.contents()))
		}
	})
}

// While the directory is looked at again, what is on its way in is not taken for torn, nor what waits for new.
func TestWhatIsOnItsWayIsNotTakenForTorn(t *testing.T) {
	o := options(t)
	name, whole := spooled(t, o, content(1, 1000))
	whole[100] ^= 1 // it is put aside, for which the directory is looked at again and again
	put(t, o, name, whole)
	synctest.Test(t, func(t *testing.T) {
		later := errors.New("later")
		p := &pipeline{take: func(document.Delivery) error { return later }}
		s := start(t, o, p)
		stop := run(t.Context(), s)
		if err := send(t.Context(), s, content(2, 1000)); err != nil {
			t.Fatal(err)
		}
		in, err := s.Create(sent)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write(content(3, 400_000)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := in.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if n, _ := s.Waiting(); n != 2 || len(files(t, o.Path)) != 3 {
			t.Errorf("%d objects wait, files %v", n, files(t, o.Path))
		}
	})
}
