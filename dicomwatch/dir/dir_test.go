package dir_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/medanchor/medanchor/dicomwatch/dir"
)

// tree is a directory with something of each kind, beside a secret that must not be reached.
func tree(t *testing.T) (root *dir.Root, at string) {
	t.Helper()
	base := t.TempDir()
	at = filepath.Join(base, "root")
	err := errors.Join(
		os.MkdirAll(filepath.Join(at, "sub", "deep"), 0o700),
		os.WriteFile(filepath.Join(base, "secret"), []byte("secret"), 0o600),
		os.WriteFile(filepath.Join(at, "file"), []byte("content"), 0o600),
		os.WriteFile(filepath.Join(at, "sub", "deep", "file"), []byte("deep"), 0o600),
		os.Symlink(filepath.Join(base, "secret"), filepath.Join(at, "link")),
		os.Symlink("file", filepath.Join(at, "link-inside")),
		os.Symlink(base, filepath.Join(at, "linked")),
		os.Symlink("sub", filepath.Join(at, "linked-inside")),
		syscall.Mkfifo(filepath.Join(at, "fifo"), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, at), at
}

func open(t *testing.T, at string) *dir.Root {
	t.Helper()
	root, err := dir.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root
}

func content(t *testing.T, root dir.FS, name string) string {
	t.Helper()
	f, err := root.Open(name, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNothingOutsideIsReached(t *testing.T) {
	root, at := tree(t)
	for _, name := range []string{
		"../secret", "sub/../../secret", "sub/../file", "./file", "file/", "sub//deep", "..", "", "/", filepath.Join(at, "file"),
		"link", "link-inside", "linked/secret", "linked-inside/deep/file", "/etc/passwd", "nul\x00byte",
	} {
		t.Run(name, func(t *testing.T) {
			if f, err := root.Open(name, os.O_RDONLY, 0); err == nil {
				t.Error("opened", f.Close())
			}
			if f, err := root.Open(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err == nil {
				t.Error("opened for writing", f.Close())
			}
			if _, err := root.List(name); err == nil {
				t.Error("listed")
			}
			if root.Sync(name) == nil {
				t.Error("synced")
			}
			if isLink := strings.HasPrefix(name, "link") && !strings.Contains(name, "/"); isLink {
				return // these stand inside
			}
			if _, err := root.Stat(name); err == nil {
				t.Error("described")
			}
			if root.Rename("file", name) == nil || root.Rename(name, "taken") == nil {
				t.Error("renamed")
			}
			if root.Remove(name) == nil {
				t.Error("removed")
			}
			if root.MakeDir(name, 0o700) == nil {
				t.Error("made")
			}
		})
	}
	if b, err := os.ReadFile(filepath.Join(filepath.Dir(at), "secret")); err != nil || string(b) != "secret" {
		t.Fatalf("the secret outside is %q, %v", b, err)
	}
}

func TestALinkIsDescribedRenamedAndRemovedItself(t *testing.T) {
	root, at := tree(t)
	info, err := root.Stat("link")
	if err != nil || info.Mode().Type() != fs.ModeSymlink || info.Name() != "link" {
		t.Fatalf("%v, %v", info, err)
	}
	if err := errors.Join(root.Rename("link", "sub/link"), root.Remove("sub/link")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(at), "secret")); err != nil {
		t.Fatal("what the link led to is gone")
	}
}

// On a file system that can see to it, and on one that cannot.
func TestRenameReplacesNothing(t *testing.T) {
	root, at := tree(t)
	for name, rename := range map[string]func(from, to string) error{"itself": root.Rename, "by looking first": root.LookAndRename} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(at, "new"), []byte("new"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, taken := range []string{"file", "link", "sub"} {
				if err := rename("new", taken); !errors.Is(err, fs.ErrExist) {
					t.Errorf("%s: %v, want ErrExist", taken, err)
				}
			}
			if err := rename("none", "free"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v, want ErrNotExist", err)
			}
			if err := rename("new", "sub/"+name); err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(filepath.Join(at, "sub", name)); string(b) != "new" {
				t.Errorf("%q, %v", b, err)
			}
			if _, err := root.Stat("new"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it is still there by its old name: %v", err)
			}
		})
	}
}

// Of two that want the same name in the same moment, one has it, and the other is left as it is.
func TestRenamesToOneName(t *testing.T) {
	root, at := tree(t)
	for range 300 {
		names, errs := []string{"a", "b"}, make([]error, 2)
		for _, n := range names {
			if err := os.WriteFile(filepath.Join(at, n), []byte(n), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var renames sync.WaitGroup
		for i, n := range names {
			renames.Go(func() { errs[i] = root.Rename(n, "wanted") })
		}
		renames.Wait()
		won := slices.Index(errs, nil)
		if won < 0 || !errors.Is(errs[1-won], fs.ErrExist) {
			t.Fatalf("%v", errs)
		}
		for file, want := range map[string]string{"wanted": names[won], names[1-won]: names[1-won]} {
			if b, err := os.ReadFile(filepath.Join(at, file)); string(b) != want {
				t.Fatalf("%s is %q, %v", file, b, err)
			}
		}
		if err := root.Remove("wanted"); err != nil {
			t.Fatal(err)
		}
	}
}

// What a sender puts in a file's place while that is renamed is renamed instead, or stays: neither is lost.
func TestARenameIsOneStep(t *testing.T) {
	for name, rename := range map[string]func(*dir.Root, string, string) error{
		"itself": (*dir.Root).Rename, "by looking first": (*dir.Root).LookAndRename,
	} {
		t.Run(name, func(t *testing.T) {
			root, at := tree(t)
			for _, n := range []string{"a", "next"} {
				if err := os.WriteFile(filepath.Join(at, n), []byte(n), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			done := make(chan struct{})
			var exchanging sync.WaitGroup
			exchanging.Go(func() {
				a, next := filepath.Join(at, "a"), filepath.Join(at, "next")
				for {
					select {
					case <-done:
						return
					default:
						_ = unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, next, unix.RENAME_EXCHANGE) // a may be away
					}
				}
			})
			for range 3000 {
				if err := errors.Join(rename(root, "a", "moved"), rename(root, "moved", "a")); err != nil {
					t.Error(err)
					break
				}
			}
			close(done)
			exchanging.Wait()
			var left []string
			for _, n := range []string{"a", "next"} {
				b, err := os.ReadFile(filepath.Join(at, n))
				if err != nil {
					t.Error(err)
				}
				left = append(left, string(b))
			}
			slices.Sort(left)
			if want := []string{"a", "next"}; !slices.Equal(left, want) {
				t.Errorf("left: %q", left)
			}
		})
	}
}

func TestListDescribesWhatStandsThere(t *testing.T) {
	root, at := tree(t)
	if err := os.Chmod(filepath.Join(at, "file"), 0o640); err != nil {
		t.Fatal(err)
	}
	entries, err := root.List(".")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.Lstat(filepath.Join(at, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok || *stat != *want.Sys().(*syscall.Stat_t) || info.Size() != want.Size() || !info.ModTime().Equal(want.ModTime()) ||
			info.Mode() != want.Mode() || e.Type() != want.Mode().Type() || e.IsDir() != want.IsDir() {
			t.Errorf("%s is %v, want %v", e.Name(), info, want)
		}
		got = append(got, fmt.Sprintf("%s %s", e.Name(), e.Type()))
	}
	want := []string{
		"fifo p---------", "file ----------", "link L---------", "link-inside L---------", "linked L---------",
		"linked-inside L---------", "sub d---------",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if _, err := root.List("file"); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("List of a file: %v", err)
	}
}

func TestNamesNeedNotBeText(t *testing.T) {
	root, at := tree(t)
	name := "M\xfcller.dcm" // Latin-1
	if err := os.WriteFile(filepath.Join(at, name), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	entries, err := root.List(".")
	if err != nil || entries[0].Name() != name || content(t, root, name) != "x" {
		t.Fatalf("%v, %v", entries, err)
	}
}

func TestAFIFODoesNotBlock(t *testing.T) {
	root, _ := tree(t)
	f, err := root.Open("fifo", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode().Type() != fs.ModeNamedPipe {
		t.Fatalf("%v, %v", info, err)
	}
}

func TestAFileIsWrittenAndMoved(t *testing.T) {
	root, at := tree(t)
	f, err := root.Open("sub/new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte("new"))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(root.MakeDir("done", 0o700), root.Rename("sub/new", "done/new"), root.Sync("done"), root.Sync(".")); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(at, "done", "new")); err != nil || string(b) != "new" {
		t.Fatalf("%q, %v", b, err)
	}
	if err := root.MakeDir("done", 0o700); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second MakeDir: %v", err)
	}
	if err := root.Remove("done"); !errors.Is(err, unix.ENOTEMPTY) {
		t.Errorf("Remove of a directory that is not empty: %v", err)
	}
	if err := errors.Join(root.Remove("done/new"), root.Remove("done")); err != nil {
		t.Error(err)
	}
	for _, err := range []error{root.Remove("none"), root.Rename("none", "x"), root.Sync("none")} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("of what is not there: %v", err)
		}
	}
}

func TestTheRootMayBeALinkAndStaysTheSameDirectory(t *testing.T) {
	_, at := tree(t)
	link := at + "-link"
	if err := os.Symlink(at, link); err != nil {
		t.Fatal(err)
	}
	root := open(t, link)
	if err := errors.Join(os.Rename(at, at+"-renamed"), os.Mkdir(at, 0o700)); err != nil {
		t.Fatal(err)
	}
	if got := content(t, root, "sub/deep/file"); got != "deep" {
		t.Fatalf("%q", got)
	}
}

// While a directory and a link to the outside change places, a path through it never leads outside.
func TestRenamesUnderIt(t *testing.T) {
	root, at := tree(t)
	outside := filepath.Join(filepath.Dir(at), "deep")
	err := errors.Join(os.Mkdir(outside, 0o700), os.WriteFile(filepath.Join(outside, "file"), []byte("secret"), 0o600),
		os.Symlink(filepath.Dir(at), filepath.Join(at, "evil")))
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(at, "sub"), unix.AT_FDCWD, filepath.Join(at, "evil"), unix.RENAME_EXCHANGE)
			}
		}
	})
	reached := 0
	for range 5000 {
		f, err := root.Open("sub/deep/file", os.O_RDONLY, 0)
		if err != nil {
			continue
		}
		b := make([]byte, 4)
		if _, err := f.ReadAt(b, 0); err != nil || string(b) != "deep" {
			t.Fatalf("read %q, %v", b, err)
		}
		reached++
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	swapping.Wait()
	if reached == 0 || reached == 5000 {
		t.Logf("reached %d times of 5000: the swap was not seen", reached)
	}
}

func TestErrorsNameNoPath(t *testing.T) {
	root, at := tree(t)
	f, err := root.Open("file", os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, writeErr := f.Write([]byte("x"))
	closeErr := f.Close()
	_, readErr := f.ReadAt(make([]byte, 1), 0)
	_, statErr := f.Stat()
	_, openErr := root.Open("Doe^Jane", os.O_RDONLY, 0)
	_, listErr := root.List("Doe^Jane")
	for name, err := range map[string]error{
		"write": writeErr, "read": readErr, "stat": statErr, "sync": f.Sync(), "close": f.Close(), "open": openErr, "list": listErr,
		"rename": root.Rename("Doe^Jane", "x"), "remove": root.Remove("Doe^Jane"), "make": root.MakeDir("file", 0o700),
	} {
		if err == nil || strings.Contains(err.Error(), "Doe") || strings.Contains(err.Error(), at) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if closeErr != nil {
		t.Error(closeErr)
	}
}

// The directory itself is made durable without another descriptor: that there is none left is no disk that fails.
func TestSyncWantsNoDescriptor(t *testing.T) {
	root, _ := tree(t)
	noMoreDescriptors(t)
	if _, err := root.List("."); !errors.Is(err, unix.EMFILE) {
		t.Fatalf("there is a descriptor left: %v", err)
	}
	if err := root.Sync("."); err != nil {
		t.Error(err)
	}
}

// noMoreDescriptors has this process open no file more until the test ends.
func noMoreDescriptors(t *testing.T) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
}

func TestAfterClose(t *testing.T) {
	root, _ := tree(t)
	if err := root.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := root.Stat("file")
	_, listErr := root.List(".")
	for _, err := range []error{err, listErr, root.Sync("."), root.Remove("file"), root.Close()} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
}

func BenchmarkList(b *testing.B) {
	at := b.TempDir()
	for i := range 10_000 {
		if err := os.WriteFile(filepath.Join(at, fmt.Sprintf("file-%05d.dcm", i)), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	root, err := dir.Open(at)
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	b.ReportAllocs()
	for b.Loop() {
		if entries, err := root.List("."); err != nil || len(entries) != 10_000 {
			b.Fatal(err)
		}
	}
}
