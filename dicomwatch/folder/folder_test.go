package folder_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/dicomwatch/folder"
	"github.com/medanchor/medanchor/document"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// intake collects what a folder offers.
type intake chan document.Delivery

func (i intake) Submit(ctx context.Context, d document.Delivery) error {
	select {
	case i <- d:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next waits for a delivery.
func (i intake) next(t *testing.T) document.Delivery {
	t.Helper()
	select {
	case d := <-i:
		return d
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was offered")
		return document.Delivery{}
	}
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	within(t, 10*time.Second, what, holds)
}

// within is eventually, for what takes longer.
func within(t *testing.T, atMost time.Duration, what string, holds func() bool) {
	t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.After(atMost); !holds(); {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

// quiet says that nothing is offered for a while.
func (i intake) quiet(t *testing.T) {
	t.Helper()
	select {
	case d := <-i:
		t.Fatalf("%s was offered", d.Claim.Path)
	case <-time.After(300 * time.Millisecond):
	}
}

func options(t *testing.T) folder.Options {
	t.Helper()
	return folder.Options{
		Name: "door", Path: t.TempDir(), Disposal: folder.Done, Quiet: 60 * time.Millisecond, Rescan: 100 * time.Millisecond,
		Log: slog.New(slog.DiscardHandler),
	}
}

// start runs a folder until the test ends.
func start(t *testing.T, o folder.Options) intake {
	t.Helper()
	_, in := startFolder(t, o)
	return in
}

func startFolder(t *testing.T, o folder.Options) (*folder.Folder, intake) {
	t.Helper()
	in := make(intake)
	f, err := folder.New(o, in)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, f.Close()); err != nil {
			t.Error(err)
		}
	})
	return f, in
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, d document.Delivery) string {
	t.Helper()
	f, err := d.Door.Open(d.Claim)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.NewSectionReader(f, 0, d.Claim.Size))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Unchanged(); err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func acknowledge(t *testing.T, d document.Delivery) []document.Claim {
	t.Helper()
	gone, err := d.Door.Acknowledge(t.Context(), []document.Claim{d.Claim})
	if err != nil {
		t.Fatal(err)
	}
	return gone
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func TestADroppedFileIsOfferedAndMovedToDone(t *testing.T) {
	o := options(t)
	in := start(t, o)
	write(t, filepath.Join(o.Path, "sub", "a.dcm"), "bytes")
	d := in.next(t)
	if got := read(t, d); got != "bytes" {
		t.Fatalf("read %q", got)
	}
	if gone := acknowledge(t, d); len(gone) != 1 || gone[0] != d.Claim {
		t.Fatalf("gone: %v", gone)
	}
	if exists(t, filepath.Join(o.Path, "sub", "a.dcm")) || !exists(t, filepath.Join(o.Path, "done", "sub", "a.dcm")) {
		t.Fatal("not moved to done/")
	}
	in.quiet(t)
}

func TestDoneKeepsEarlierFilesOfTheSameName(t *testing.T) {
	o := options(t)
	in := start(t, o)
	for _, content := range []string{"first", "second", "third"} {
		write(t, filepath.Join(o.Path, "a.dcm"), content)
		acknowledge(t, in.next(t))
	}
	for name, want := range map[string]string{"a.dcm": "first", "a.dcm.~2~": "second", "a.dcm.~3~": "third"} {
		got, err := os.ReadFile(filepath.Join(o.Path, "done", name))
		if err != nil || string(got) != want {
			t.Errorf("done/%s is %q, %v", name, got, err)
		}
	}
}

// What cannot be moved keeps nothing else from being moved, or from being told of as gone.
func TestAFileThatCannotBeMovedIsHeldAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		at     string // where a.dcm is
		blocks func(done string) error
		why    string
	}{
		"a file in the way": {
			"sub", func(done string) error {
				return errors.Join(os.Mkdir(done, 0o700), put(filepath.Join(done, "sub"), "x"))
			}, "not a directory",
		},
		"a link in the way": {
			"sub", func(done string) error {
				return errors.Join(os.Mkdir(done, 0o700), os.Symlink(t.TempDir(), filepath.Join(done, "sub")))
			}, "too many levels of symbolic links",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			if err := tc.blocks(filepath.Join(o.Path, "done")); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(o.Path, tc.at, "a.dcm"), "x")
			write(t, filepath.Join(o.Path, "b.dcm"), "x")
			f, in := startFolder(t, o)
			claims := []document.Claim{in.next(t).Claim}
			d := in.next(t)
			claims = append(claims, d.Claim)
			gone, err := d.Door.Acknowledge(t.Context(), claims)
			if err == nil || len(gone) != 1 || filepath.Base(gone[0].Path) != "b.dcm" {
				t.Errorf("gone: %v, %v", gone, err)
			}
			if held := heldBut(f, "b.dcm"); len(held) != 1 || !strings.HasPrefix(held[0], "it is taken, and stays in the folder until it can be moved") ||
				!strings.HasSuffix(held[0], tc.why) {
				t.Errorf("held: %q", held)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	o := options(t)
	o.Disposal = folder.Delete
	in := start(t, o)
	write(t, filepath.Join(o.Path, "a.dcm"), "bytes")
	if gone := acknowledge(t, in.next(t)); len(gone) != 1 || exists(t, filepath.Join(o.Path, "a.dcm")) {
		t.Fatal("not deleted")
	}
}

func TestAKeptFileIsOfferedOnceUntilItChanges(t *testing.T) {
	o := options(t)
	o.Disposal = folder.Keep
	in := start(t, o)
	path := filepath.Join(o.Path, "a.dcm")
	write(t, path, "bytes")
	if gone := acknowledge(t, in.next(t)); len(gone) != 0 {
		t.Fatal("the claim of a kept file must stay")
	}
	in.quiet(t)
	write(t, path, "other bytes")
	if got := read(t, in.next(t)); got != "other bytes" {
		t.Fatalf("read %q", got)
	}
}

func TestDisposed(t *testing.T) {
	for _, tc := range []struct {
		name     string
		disposal folder.Disposal
		files    []string
		want     bool
	}{
		{"at its place", folder.Done, []string{"a"}, false},
		{"moved", folder.Done, []string{"done/a"}, true},
		{"moved, and another came", folder.Done, []string{"a", "done/a"}, false},
		{"not mounted", folder.Done, nil, false},
		{"to be deleted", folder.Delete, []string{"a"}, false},
		{"deleted", folder.Delete, []string{"b"}, true},
		{"not mounted, or deleted as the last", folder.Delete, nil, false},
		{"kept, and removed by its owner", folder.Keep, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := options(t)
			o.Disposal = tc.disposal
			for _, name := range tc.files {
				write(t, filepath.Join(o.Path, name), "x")
			}
			f, err := folder.New(o, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if got := f.Disposed(filepath.Join(o.Path, "a")); got != tc.want {
				t.Errorf("Disposed = %t, want %t", got, tc.want)
			}
		})
	}
}

func TestAFileIsOfferedOnlyOnceItIsQuiet(t *testing.T) {
	o := options(t)
	o.Quiet = 400 * time.Millisecond
	in := start(t, o)
	path := filepath.Join(o.Path, "slow.dcm")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	last := time.Now() // before a write, or after that
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for range 10 { // a second in all, more than twice the quiet period
		select {
		case <-pause.C:
		case d := <-in:
			if time.Since(last) < o.Quiet {
				t.Fatalf("offered at %d bytes while it is written", d.Claim.Size)
			}
			d.Door.Release(d.Claim, document.ErrChanged) // this test was late, and the file quiet
		}
		last = time.Now()
		if _, err := f.WriteString("0123456789"); err != nil {
			t.Fatal(err)
		}
	}
	if d := in.next(t); d.Claim.Size != 100 {
		t.Fatalf("offered at %d bytes", d.Claim.Size)
	}
}

// A sender may pause for longer than any quiet period.
func TestAFileThatAProgramStillWritesIsNotOpened(t *testing.T) {
	o := options(t)
	in := start(t, o)
	writer, err := os.Create(filepath.Join(o.Path, "slow.dcm"))
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if _, err := writer.WriteString("half"); err != nil {
		t.Fatal(err)
	}
	d := in.next(t)
	if f, err := d.Door.Open(d.Claim); !errors.Is(err, document.ErrChanged) {
		if err == nil {
			f.Close()
		}
		t.Fatalf("Open of a file that is being written: %v", err)
	}
	d.Door.Release(d.Claim, document.ErrChanged)
	if _, err := writer.WriteString(" and whole"); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, in.next(t)); got != "half and whole" {
		t.Fatalf("read %q", got)
	}
}

// Held is over once a file is taken, also where it stays.
func TestAKeptFileThatWasHeldIsHeldNoMore(t *testing.T) {
	o := options(t)
	o.Disposal = folder.Keep
	f, in := startFolder(t, o)
	write(t, filepath.Join(o.Path, "a.dcm"), "bytes")
	d := in.next(t)
	d.Door.Release(d.Claim, errors.New("not now"))
	acknowledge(t, in.next(t))
	if held := f.Held(); len(held) != 0 {
		t.Fatalf("held after it was taken: %v", held)
	}
	in.quiet(t)
}

func TestOnlyRegularWholeFilesInsideAreOffered(t *testing.T) {
	o := options(t)
	outside := filepath.Join(t.TempDir(), "secret")
	write(t, outside, "secret")
	for _, name := range []string{
		".hidden", ".a.dcm.x7Rq2Z", "copy.part", "copy.TMP", "copy.filepart", "copy.partial", "copy.crdownload", "backup~", "a.swp", "a.lock",
		"~$letter.doc", ".dir/x", "done/old.dcm", "lost+found/x",
	} {
		write(t, filepath.Join(o.Path, name), "x")
	}
	if err := os.Symlink(outside, filepath.Join(o.Path, "link.dcm")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(o.Path, "linked")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(o.Path, "fifo.dcm"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, o).quiet(t)
}

func TestAFileReplacedByALinkIsNotOpened(t *testing.T) {
	o := options(t)
	in := start(t, o)
	path, outside := filepath.Join(o.Path, "a.dcm"), filepath.Join(t.TempDir(), "secret")
	write(t, outside, "bytes")
	write(t, path, "bytes")
	d := in.next(t)
	if err := errors.Join(os.Remove(path), os.Symlink(outside, path)); err != nil {
		t.Fatal(err)
	}
	if f, err := d.Door.Open(d.Claim); err == nil {
		f.Close()
		t.Fatal("a link to the outside was opened")
	}
}

func TestAFileThatChangedSinceIsNeitherOpenedNorMoved(t *testing.T) {
	o := options(t)
	in := start(t, o)
	path := filepath.Join(o.Path, "a.dcm")
	write(t, path, "bytes")
	d := in.next(t)
	write(t, path, "other bytes")
	if _, err := d.Door.Open(d.Claim); !errors.Is(err, document.ErrChanged) {
		t.Fatalf("Open: %v", err)
	}
	acknowledge(t, d)
	if !exists(t, path) {
		t.Fatal("a file that was never read is gone")
	}
	if got := read(t, in.next(t)); got != "other bytes" {
		t.Fatalf("read %q", got)
	}
}

func TestAReleasedFileIsOfferedAgainAndShownMeanwhile(t *testing.T) {
	o := options(t)
	f, in := startFolder(t, o)
	write(t, filepath.Join(o.Path, "a.dcm"), "bytes")
	d := in.next(t)
	d.Door.Release(d.Claim, errors.New("not now"))
	if held := f.Held(); held["a.dcm"] != "not now" {
		t.Fatalf("held: %v", held)
	}
	acknowledge(t, in.next(t))
	if held := f.Held(); len(held) != 0 {
		t.Fatalf("held after it was taken: %v", held)
	}
}

func TestWhatWasThereBeforeTheStartIsOffered(t *testing.T) {
	o := options(t)
	for _, name := range []string{"a", "b", "c/d"} {
		write(t, filepath.Join(o.Path, name), name)
	}
	in := start(t, o)
	for range 3 {
		acknowledge(t, in.next(t))
	}
	in.quiet(t)
}

func TestThePathTellsThePatient(t *testing.T) {
	for name, tc := range map[string]struct {
		rule folder.PatientRule
		want map[string]string // identifiers by path
	}{
		"none":      {folder.PatientRule{}, map[string]string{"9990000018/letter.pdf": "", "nobody.pdf": ""}},
		"by folder": {folder.ByFolder(), map[string]string{"9990000018/letter.pdf": "9990000018", "nobody.pdf": "", "a/b/c.pdf": "a"}},
		"by pattern": {
			folder.ByPattern(regexp.MustCompile(`_(?P<id>\d+)\.pdf$`)),
			map[string]string{"x/letter_4711.pdf": "4711", "4712/letter.pdf": ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(t)
			o.Patient, o.Issuer = tc.rule.IssuedBy("nhs"), "here"
			for at := range tc.want {
				write(t, filepath.Join(o.Path, at), "x")
			}
			in := start(t, o)
			for range tc.want {
				d := in.next(t)
				at, err := filepath.Rel(o.Path, d.Claim.Path)
				want := document.PatientID{Identifier: tc.want[at]}
				if want.Identifier != "" {
					want.Issuer = "nhs"
				}
				if err != nil || d.Patient != want || d.Issuer != "here" {
					t.Errorf("%s is of %+v, issuer %q", at, d.Patient, d.Issuer)
				}
			}
		})
	}
}

func TestTheRuleGoesWithEachDelivery(t *testing.T) {
	o := options(t)
	o.Accepts, o.Kind, o.Department = []document.Format{document.FormatPDF}, record.KindLetter, "Radiology"
	in := start(t, o)
	write(t, filepath.Join(o.Path, "a.pdf"), "x")
	d := in.next(t)
	if !slices.Equal(d.Accepts, o.Accepts) || d.Kind != o.Kind || d.Department != o.Department {
		t.Errorf("%+v", d)
	}
}

func TestCheckSaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "x")
	for path, want := range map[string]string{filepath.Join(t.TempDir(), "none"): "create it", file: "is not a directory"} {
		o := options(t)
		o.Path = path
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
	o := options(t)
	if err := o.Check(); err != nil {
		t.Error(err)
	}
	o.Patience = o.Quiet
	if _, err := folder.New(o, nil); err == nil {
		t.Error("a patience that is over at once is accepted")
	}
}
