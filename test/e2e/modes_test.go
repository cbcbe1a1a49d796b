package e2e

import (
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/medanchor/medanchor/devnet/devnettest"
)

// TestOnlyTheOwnerReads: group and others have no rights on anything in the data and keys folders, however lax the umask is.
// The files of Kubo's own repository have its own modes, in a folder that nobody else may enter.
func TestOnlyTheOwnerReads(t *testing.T) {
	n := devnettest.Network(t)
	manifest, dir := generate(t, 41)
	old := syscall.Umask(0)
	t.Cleanup(func() { syscall.Umask(old) })
	s := newSite(t, n, 0)
	s.start()
	s.dropManifest(dir, manifest.Hospitals[0])
	s.awaitSettled(manifest.Counts(manifest.Hospitals[0]).Files)
	s.awaitIndexed()

	kinds := make(map[string]int)
	check := func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		mode := info.Mode()
		switch {
		case mode.IsDir():
			kinds["folder"]++
			if mode.Perm() != 0o700 {
				t.Errorf("%s: %s, want 0700", path, mode)
			}
			if path == filepath.Join(s.Config.Data, "ipfs") {
				return fs.SkipDir
			}
		case mode.Type() == fs.ModeSocket:
			kinds["socket"]++
			if mode.Perm() != 0o600 {
				t.Errorf("%s: %s, want 0600", path, mode)
			}
		default:
			kinds["file"]++
			if mode.Perm()&0o177 != 0 {
				t.Errorf("%s: %s, want 0600 or less", path, mode)
			}
		}
		return nil
	}
	for _, root := range []string{s.Config.Data, filepath.Join(s.Dir, "keys")} {
		if err := filepath.WalkDir(root, check); err != nil {
			t.Fatal(err)
		}
	}
	if kinds["socket"] != 1 || kinds["folder"] == 0 || kinds["file"] == 0 {
		t.Errorf("looked at %v, want one socket, folders and files", kinds)
	}
}
