package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestAProgramThatIsNotInstalledIsNamedWithItsPackage(t *testing.T) {
	if _, err := program("no-such-program", "its-package"); err == nil ||
		!strings.Contains(err.Error(), "no-such-program") || !strings.Contains(err.Error(), "apt-get install its-package") {
		t.Errorf("program gives %v, want the program and its package", err)
	}
	if path, err := program("sh", "dash"); err != nil || !filepath.IsAbs(path) {
		t.Errorf("program(sh) gives %q, %v", path, err)
	}
}
