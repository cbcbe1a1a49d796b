package inspect_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect"
	"github.com/medanchor/medanchor/ingest/inspect/wire"
)

// programs are what the test binary becomes when it is started under another name (children get no arguments and no
// environment, so the name is all there is).
var programs = map[string]func(){
	"dies": func() {
		greet(wire.Version, "")
		_, _ = readFile()
		os.Exit(3)
	},
	"careful": func() { // dies on its first file unless told to be careful
		greet(wire.Version, "")
		f, _ := readFile()
		if f.Mode == wire.Full {
			os.Exit(3)
		}
		answer(wire.Answer{Metadata: document.Metadata{Format: document.FormatDICOM, Parser: "header"}})
	},
	"hangs-first": func() { // hangs on its first file unless told to be careful
		greet(wire.Version, "")
		f, _ := readFile()
		if f.Mode == wire.Full {
			_, _ = io.Copy(io.Discard, os.Stdin)
		}
		answer(wire.Answer{Metadata: document.Metadata{Format: document.FormatDICOM, Parser: "header"}})
	},
	"slow-to-start": func() { // after the first
		if err := os.Mkdir(filepath.Join(filepath.Dir(os.Args[0]), "started"), 0o700); err == nil {
			greet(wire.Version, "")
			_, _ = readFile()
			answer(wire.Answer{Metadata: document.Metadata{Format: document.FormatText}, Worn: true})
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
	},
	"hangs": func() {
		greet(wire.Version, "")
		_, _ = io.Copy(io.Discard, os.Stdin)
	},
	"hangs-on-PDF": func() {
		greet(wire.Version, "")
		for {
			f, err := readFile()
			if err != nil {
				return
			}
			if bytes.HasPrefix(f.Head, []byte("%PDF-")) {
				_, _ = io.Copy(io.Discard, os.Stdin)
				return
			}
			answer(wire.Answer{Metadata: document.Metadata{Format: wire.Sniff(f.Head, f.Size)}})
		}
	},
	"asks-and-hangs": func() {
		greet(wire.Version, "")
		_, _ = readFile()
		_ = wire.WriteRange(os.Stdout, wire.Range{Length: 1})
		_, _ = io.Copy(io.Discard, os.Stdin)
	},
	"asks": func() { // for five ranges of each file
		greet(wire.Version, "")
		for {
			f, err := readFile()
			if err != nil {
				return
			}
			for n := range 5 {
				_ = wire.WriteRange(os.Stdout, wire.Range{Offset: int64(n), Length: 1})
				if _, err := wire.ReadBytes(os.Stdin); err != nil {
					return
				}
			}
			answer(wire.Answer{Metadata: document.Metadata{Format: wire.Sniff(f.Head, f.Size)}})
		}
	},
	"liar": func() {
		greet(wire.Version, "")
		for {
			if _, err := readFile(); err != nil {
				return
			}
			answer(wire.Answer{Metadata: document.Metadata{Format: document.FormatDICOM, DatasetOffset: 1 << 40}})
		}
	},
	"greedy": func() { // asks without end
		greet(wire.Version, "")
		if _, err := readFile(); err != nil {
			return
		}
		for wire.WriteRange(os.Stdout, wire.Range{Length: wire.MaxRange}) == nil {
			if _, err := wire.ReadBytes(os.Stdin); err != nil {
				return
			}
		}
	},
	"worn": func() { // serves one file and wants to be replaced
		greet(wire.Version, "")
		_, _ = readFile()
		answer(wire.Answer{
			Metadata: document.Metadata{Format: document.FormatText, Pages: os.Getpid()},
			Worn:     true,
		})
		_, _ = io.Copy(io.Discard, os.Stdin)
	},
	"deaf": func() { // does not notice the end of its stdin
		greet(wire.Version, "")
		<-time.After(time.Hour)
	},
	"daemon": func() { // keeps a pool of deaf children and says when it has one
		deaf := filepath.Join(filepath.Dir(os.Args[0]), "deaf")
		if _, err := inspect.New(context.Background(), inspect.Options{Program: deaf}); err != nil {
			os.Exit(1)
		}
		_, _ = os.Stdout.WriteString("ready\n")
		<-time.After(time.Hour)
	},
	"other-version": func() { greet(wire.Version+1, "") },
	"no-sandbox":    func() { greet(wire.Version, "filter system calls: not supported") },
	"no-inspector":  func() { _, _ = os.Stdout.WriteString("usage: something else\n") },
}

func greet(version int, problem string) {
	_ = wire.WriteJSON(os.Stdout, wire.TypeHello, wire.Hello{Version: version, Error: problem})
}

func readFile() (wire.File, error) { return wire.ReadFile(os.Stdin, new([]byte)) }

func answer(a wire.Answer) { _ = wire.WriteJSON(os.Stdout, wire.TypeAnswer, a) }

func TestMain(m *testing.M) {
	if run, ok := programs[filepath.Base(os.Args[0])]; ok {
		run()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// inspector builds the real program, as it is packaged: without a C library, whose threads' stacks would count as memory,
// and without the race detector, which needs more memory than the sandbox leaves.
func inspector(t testing.TB) string {
	t.Helper()
	// Opening its sources tells the go command that what it remembers of these tests ends with a change of them.
	sources, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sources {
		if _, err := os.Stat(s); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "medanchor-inspect")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../../cmd/medanchor-inspect")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build medanchor-inspect: %v\n%s", err, out)
	}
	return path
}

// program makes a link to the test binary in a folder, by which it becomes one of the programs.
func program(t testing.TB, dir, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}
