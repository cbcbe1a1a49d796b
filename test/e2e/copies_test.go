package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/medanchor/medanchor/appliance/control"
	"github.com/medanchor/medanchor/devnet/devnettest"
	"github.com/medanchor/medanchor/test/synth"
)

const copies = 50

// TestFiftyCopies: the same file fifty times at once is one document and 49 duplicates, also where the daemon is killed
// over and over.
func TestFiftyCopies(t *testing.T) {
	const size = 2 << 20 // several groups of 32 MiB
	for _, tt := range []struct {
		name string
		// kill, if set, kills the daemon at moments that it chooses, and starts it again.
		kill func(s *site)
	}{
		{name: "at once"},
		{"with kill -9", func(s *site) {
			kills := 0
			for taken := int64(0); taken < copies; kills++ {
				s.kill() // at first just after it answers, then whenever more is received
				s.start()
				status := s.await("more files are received", func(c control.Status) bool { return c.Items.Received > taken })
				taken = status.Items.Received
			}
			s.t.Logf("killed %d times while files were received", kills)
			s.kill()
			s.start()
			s.await("the document is anchored", func(c control.Status) bool { return c.Items.Anchored == 1 })
			s.kill()
			s.start()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := devnettest.Exclusive(t)
			dir := t.TempDir()
			manifest, err := synth.Many(dir, 7, "north", 1, size)
			if err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(manifest.Files[0].Path)))
			if err != nil {
				t.Fatal(err)
			}
			s := newSite(t, n, 0)
			from := s.height()
			s.start()
			staged := filepath.Join(s.Dir, "copies")
			if err := os.Mkdir(staged, 0o700); err != nil {
				t.Fatal(err)
			}
			for i := range copies {
				if err := os.WriteFile(filepath.Join(staged, fmt.Sprintf("%d.dcm", i)), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Rename(staged, filepath.Join(s.DICOM, "copies")); err != nil {
				t.Fatal(err)
			}
			if tt.kill != nil {
				tt.kill(s)
			}
			items := s.awaitSettled(copies).Items
			s.reconcile(synth.Counts{
				Files: copies, Bytes: int64(copies * len(content)), Anchored: 1, Duplicates: copies - 1,
			}, items, len(s.chainSince(from).documents))
			poll(t, "all files are in done/", func() bool {
				return filesIn(t, filepath.Join(s.DICOM, "done")) == copies
			}, func() string { return fmt.Sprintf("%v", s.status().Held) })
			s.checkFiles(manifest, dir, "north", s.chainSince(from))
			if tt.kill == nil {
				return
			}
			// The blocks of copies that were not the first are gone, or are swept after a kill.
			poll(t, "orphans are swept", func() bool { return treeSize(t, s.blocks()) < 2*int64(len(content)) },
				func() string { return fmt.Sprintf("%d bytes of blocks", treeSize(t, s.blocks())) })
		})
	}
}

// blocks is the folder of the IPFS node's blocks.
func (s *site) blocks() string { return filepath.Join(s.Config.Data, "ipfs", "blocks") }

// treeSize adds up the files below a folder, in bytes.
func treeSize(t *testing.T, dir string) (size int64) {
	t.Helper()
	for _, f := range tree(t, dir) {
		size += f.info.Size()
	}
	return size
}
