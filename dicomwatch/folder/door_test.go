package folder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadErrorNamesNoFile: a source that cannot be read is logged, and its name may be a person's.
func TestReadErrorNamesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Doe^Jane.dcm")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	source := &openFile{File: f}
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = source.ReadAt(make([]byte, 1), 0)
	if err == nil || strings.Contains(err.Error(), "Doe") {
		t.Errorf("read of a closed file: %v", err)
	}
}
