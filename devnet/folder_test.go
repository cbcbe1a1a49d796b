package devnet

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestTemporaryFoldersOfTheDeadAreRemoved(t *testing.T) {
	opts := Options{Cache: t.TempDir()}
	living, err := opts.makeFolder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dead, err := opts.makeFolder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.lock.Close(); err != nil { // as the end of its process does
		t.Fatal(err)
	}
	next, err := opts.makeFolder(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if got, want := folders(t, opts.Cache), sorted(living.path, next.path); !slices.Equal(got, want) {
		t.Errorf("folders %q, want those in use %q", got, want)
	}
	if err := next.close(); err != nil {
		t.Fatal(err)
	}
	if err := living.close(); err != nil {
		t.Fatal(err)
	}
	if got := folders(t, opts.Cache); len(got) > 0 {
		t.Errorf("folders %q after close", got)
	}
}

func TestFreeAddressesAreDistinct(t *testing.T) {
	addresses, err := freeAddresses(t.Context(), 200)
	if err != nil {
		t.Fatal(err)
	}
	if distinct := slices.Compact(sorted(addresses...)); len(distinct) != 200 {
		t.Errorf("%d distinct addresses of 200", len(distinct))
	}
}

func folders(t *testing.T, cache string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(cache, "net-*"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(paths, func(path string) bool {
		info, err := os.Stat(path)
		return err != nil || !info.IsDir()
	})
}

func sorted(all ...string) []string {
	slices.Sort(all)
	return all
}
