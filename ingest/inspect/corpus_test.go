package inspect_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/medanchor/medanchor/document"
	"github.com/medanchor/medanchor/ingest/inspect"
)

// TestCorpus reads every file of a folder of real files, given by MEDANCHOR_CORPUS (with dicom/ and pdf/ in it): each gets
// an answer, and all of it by one child that never has to be replaced.
func TestCorpus(t *testing.T) {
	corpus := os.Getenv("MEDANCHOR_CORPUS")
	if corpus == "" {
		t.Skip("MEDANCHOR_CORPUS is not set: no folder of real files to read")
	}
	p := pool(t, inspect.Options{Children: 1, Program: inspector(t)})
	files, err := filepath.Glob(filepath.Join(corpus, "*", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s (%v)", corpus, err)
	}
	classes := map[string]int{}
	for _, path := range files {
		m := inspectFile(t, p, path)
		classes[fmt.Sprintf("%s by %q: %q", m.Format, m.Parser, m.Problem)]++
		if m.Problem == document.ReasonInspectFailed {
			t.Errorf("%s: the inspector died: %s", path, m.Detail)
		}
		t.Logf("%-50s %+v", filepath.Base(path), m)
	}
	for class, n := range classes {
		t.Logf("%4d %s", n, class)
	}
}

func inspectFile(t *testing.T, p *inspect.Pool, path string) document.Metadata {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.Inspect(t.Context(), f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return m
}
