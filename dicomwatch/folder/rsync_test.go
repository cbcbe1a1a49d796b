package folder_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/medanchor/medanchor/dicomwatch/folder"
)

// rsync copies slowly, with the times that the file had (-a), by each of its ways to write: a hidden file that it renames, a hidden
// folder, and the file itself. Only the last is ever seen before it is whole.
func TestRsync(t *testing.T) {
	program, err := exec.LookPath("rsync")
	if err != nil {
		t.Skip("rsync is not installed: .ci/peers installs it")
	}
	content := strings.Repeat("slow ", 60_000) + "END"
	for _, tc := range []struct {
		flags  []string
		inPart bool // it may be offered before it is whole
	}{
		{nil, false},
		{[]string{"--delay-updates"}, false},
		{[]string{"--partial-dir=.parts"}, false},
		{[]string{"--inplace"}, true},
	} {
		t.Run(strings.Join(append([]string{"rsync"}, tc.flags...), " "), func(t *testing.T) {
			t.Parallel()
			source := filepath.Join(t.TempDir(), "scan.dcm")
			write(t, source, content)
			long := time.Now().AddDate(-3, 0, 0)
			if err := os.Chtimes(source, long, long); err != nil {
				t.Fatal(err)
			}
			o := options(t)
			o.Disposal, o.Quiet, o.Patience = folder.Done, 100*time.Millisecond, 10*time.Second
			p := newPipeline(o.Path)
			_, _ = p.through(t, o)
			began := time.Now()
			rsync := exec.CommandContext(t.Context(), program, append(tc.flags, "-a", "--bwlimit=200", source, o.Path+"/")...)
			rsync.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			if out, err := rsync.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if took := time.Since(began); took < 5*o.Quiet {
				t.Fatalf("rsync took %s: it is to be slow", took)
			}
			eventually(t, "it is moved", func() bool { return exists(t, filepath.Join(o.Path, "done", "scan.dcm")) })
			if got := p.items(); !slices.Equal(got, []string{"scan.dcm  " + content}) {
				t.Errorf("taken: %d items", len(got))
			}
			if n := p.offered(); n != 1 && !tc.inPart {
				t.Errorf("offered %d times", n)
			}
		})
	}
}
